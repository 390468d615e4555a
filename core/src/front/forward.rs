//! A call that is answered behind: its request there, the response back, with what each side can take.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response, Uri};

use crate::challenge::base64;

use super::body::Held;
use super::reply::{self, Code};
use super::server::Thread;
use super::session::Peer;

/// Names that only the front may use towards the server behind.
pub const RESERVED: &str = "rightcall-front-";
const ADDRESS: HeaderName = HeaderName::from_static("rightcall-front-peer");
const CERTIFICATE: HeaderName = HeaderName::from_static("rightcall-front-certificate-bin");
const LOGGED: HeaderName = HeaderName::from_static("rightcall-front-logged");
/// The alphabet of binary metadata.
const BINARY: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A request as far as it is here.
#[derive(Debug)]
pub enum Sent {
    /// All of it, and its share of the bytes held for its connection.
    Whole(Bytes, Held),
    /// Its message or messages are yet to come.
    Coming(RecvStream),
}

/// Has a call answered behind.
pub async fn forward(
    thread: Rc<Thread>,
    peer: Arc<Peer>,
    parts: Parts,
    sent: Sent,
    mut respond: SendResponse<Bytes>,
    in_turn: bool,
) {
    let answered = async {
        // Nothing closes it, so there is always one to be had in the end.
        let turn = if in_turn { thread.shared.behind.acquire().await.ok() } else { None };
        let begun = begin(&thread, &peer, parts, None).await;
        (begun, turn)
    };
    let (begun, _turn) = tokio::select! {
        biased;
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
        begun = answered => begun,
    };
    let Ok((response, request)) = begun else {
        reply::refuse(&mut respond, Code::Unavailable, "the server behind cannot be reached; ask again");
        return;
    };
    let mut asking = Asking(Some(Box::pin(ask(request, sent))));
    let head = tokio::select! {
        biased;
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
        head = asking.beside(response) => head,
    };
    match head {
        Ok(head) => give(head, respond, asking).await,
        Err(error) => respond.send_reset(error.reason().unwrap_or(Reason::INTERNAL_ERROR)),
    }
}

/// The sending of a request, which goes on beside what its response is waited for with.
struct Asking(Option<Pin<Box<dyn Future<Output = ()>>>>);

impl Asking {
    /// What a future comes to; the request is sent meanwhile.
    async fn beside<T>(&mut self, wanted: impl Future<Output = T>) -> T {
        let mut wanted = pin!(wanted);
        poll_fn(|cx| {
            if self.0.as_mut().is_some_and(|asking| asking.as_mut().poll(cx).is_ready()) {
                self.0 = None;
            }
            wanted.as_mut().poll(cx)
        })
        .await
    }
}

/// Begins a call behind; `logged` as of `Side::open`.
pub async fn begin(
    thread: &Thread,
    peer: &Peer,
    parts: Parts,
    logged: Option<([u8; 32], usize)>,
) -> io::Result<(ResponseFuture, SendStream<Bytes>)> {
    let mut sender = thread.backend.ready().await?;
    let mut request = Request::new(());
    *request.method_mut() = parts.method;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() =
        Uri::builder().scheme("http").authority("localhost").path_and_query(path).build().map_err(io::Error::other)?;
    let headers = request.headers_mut();
    *headers = parts.headers;
    stamp(headers, peer);
    if let Some((id, decisions)) = logged
        && let Ok(value) = HeaderValue::from_str(&format!("{}.{decisions}", String::from_utf8_lossy(&id)))
    {
        headers.insert(LOGGED, value);
    }
    sender.send_request(request, false).map_err(io::Error::other)
}

/// Says who asks, as the connection knows it; whatever the client said about that itself goes.
fn stamp(headers: &mut HeaderMap, peer: &Peer) {
    let theirs: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with(RESERVED)).cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
    headers.remove(CONTENT_LENGTH);
    if let Ok(address) = HeaderValue::from_str(&peer.address) {
        headers.insert(ADDRESS, address);
    }
    if let Some(certificate) = &peer.certificate
        && let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(base64(certificate, BINARY)))
    {
        headers.insert(CERTIFICATE, value);
    }
}

async fn ask(mut request: SendStream<Bytes>, sent: Sent) {
    match sent {
        Sent::Whole(data, _held) => drop(pass(&mut request, data, true).await),
        Sent::Coming(mut coming) => {
            while let Some(Ok(data)) = coming.data().await {
                let size = data.len();
                if pass(&mut request, data, false).await.is_err() {
                    return;
                }
                drop(coming.flow_control().release_capacity(size));
            }
            if coming.is_end_stream() {
                drop(request.send_data(Bytes::new(), true));
            } else {
                request.send_reset(Reason::CANCEL);
            }
        }
    }
}

async fn give(head: Response<RecvStream>, mut respond: SendResponse<Bytes>, mut asking: Asking) {
    let (parts, mut coming) = head.into_parts();
    let ended = coming.is_end_stream();
    let Ok(mut out) = respond.send_response(Response::from_parts(parts, ()), ended) else { return };
    if ended {
        return;
    }
    let passed = pass_on(&mut coming, &mut out);
    if let Err(reason) = asking.beside(passed).await {
        out.send_reset(reason);
    }
}

/// Passes the response's messages and trailers on.
async fn pass_on(coming: &mut RecvStream, out: &mut SendStream<Bytes>) -> Result<(), Reason> {
    let why = |error: &h2::Error| error.reason().unwrap_or(Reason::INTERNAL_ERROR);
    loop {
        let data = tokio::select! {
            biased;
            _ = poll_fn(|cx| out.poll_reset(cx)) => return Err(Reason::CANCEL),
            data = coming.data() => data,
        };
        let Some(data) = data else { break };
        let data = data.map_err(|error| why(&error))?;
        let size = data.len();
        pass(out, data, false).await.map_err(|error| why(&error))?;
        drop(coming.flow_control().release_capacity(size));
    }
    match coming.trailers().await.map_err(|error| why(&error))? {
        Some(trailers) => out.send_trailers(trailers),
        None => out.send_data(Bytes::new(), true),
    }
    .map_err(|error| why(&error))
}

/// Sends data, piece by piece, as fast as the other side takes it.
pub async fn pass(stream: &mut SendStream<Bytes>, mut data: Bytes, end: bool) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = match stream.capacity() {
            0 => match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(room) => room?,
                None => return Err(Reason::CANCEL.into()),
            },
            room => room,
        };
        if room == 0 {
            continue;
        }
        let piece = data.split_to(room.min(data.len()));
        let last = end && data.is_empty();
        stream.send_data(piece, last)?;
        if last {
            return Ok(());
        }
    }
    if end { stream.send_data(Bytes::new(), true) } else { Ok(()) }
}
