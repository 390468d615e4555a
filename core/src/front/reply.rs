//! Responses as gRPC has them on HTTP/2.

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::server::SendResponse;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DECISION: HeaderName = HeaderName::from_static("rightcall-decision-id");
const OK: HeaderValue = HeaderValue::from_static("0");

/// Bytes before a message: whether it is compressed, and its length.
pub const PREFIX: usize = 5;

/// A gRPC status that the front answers with by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    ResourceExhausted = 8,
    Internal = 13,
    Unavailable = 14,
}

/// What is said to clients that do not speak gRPC.
const OTHER: &[u8] = b"this port speaks gRPC; metrics and AuthZEN are at the address of --http\n";

/// Begins a response whose trailers say that all went well.
pub fn head() -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::OK;
    head.headers_mut().insert(CONTENT_TYPE, GRPC);
    head
}

/// The trailers of a response; `id`: under which the decision log has it.
pub fn trailers(id: Option<[u8; 32]>) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(STATUS, OK);
    name(&mut trailers, id);
    trailers
}

/// Adds the id under which the decision log has a request.
pub fn name(trailers: &mut HeaderMap, id: Option<[u8; 32]>) {
    if let Some(id) = id
        && let Ok(id) = HeaderValue::from_bytes(&id)
    {
        trailers.insert(DECISION, id);
    }
}

/// Where messages are made: many of them share a piece of memory, which is freed with the last.
#[derive(Debug, Default)]
pub struct Room {
    pub scratch: Vec<u8>,
    piece: BytesMut,
}

/// A few messages: one that is not sent keeps no more than that from being freed.
const PIECE: usize = 4096;

impl Room {
    /// Begins a message: room for its prefix.
    pub fn begin(&mut self) -> &mut Vec<u8> {
        self.scratch.clear();
        self.scratch.resize(PREFIX, 0);
        &mut self.scratch
    }

    /// The message that was begun, with its prefix.
    pub fn finish(&mut self) -> Bytes {
        let length = u32::try_from(self.scratch.len() - PREFIX).unwrap_or(u32::MAX);
        self.scratch[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        if self.scratch.len() >= PIECE {
            return Bytes::from(std::mem::take(&mut self.scratch));
        }
        if self.piece.capacity() < self.scratch.len() {
            self.piece.reserve(PIECE);
        }
        self.piece.extend_from_slice(&self.scratch);
        self.piece.split().freeze()
    }
}

/// Answers a call with one message. What fails has lost its client.
#[inline]
pub fn answer(respond: &mut SendResponse<Bytes>, answered: Answered) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(head(), false)?;
    stream.send_data(answered.message, false)?;
    stream.send_trailers(trailers(answered.id))
}

/// What a call is answered with.
#[derive(Debug)]
pub struct Answered {
    /// With its prefix.
    pub message: Bytes,
    /// Under which the decision log has it; `None`: there is no log.
    pub id: Option<[u8; 32]>,
}

/// Ends a call with a status, without a message.
pub fn refuse(respond: &mut SendResponse<Bytes>, code: Code, why: &str) {
    let mut head = head();
    head.headers_mut().extend(status(code, why));
    // Where this fails, the client has gone, and nobody is left to tell.
    drop(respond.send_response(head, true));
}

/// Answers what is no gRPC at all with a status of HTTP's; whether it is.
pub fn refuse_other(method: &Method, headers: &HeaderMap, respond: &mut SendResponse<Bytes>) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let status = match *method {
        Method::POST if kind.starts_with(b"application/grpc") => return false,
        Method::POST => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        _ => StatusCode::METHOD_NOT_ALLOWED,
    };
    let mut head = Response::new(());
    *head.status_mut() = status;
    head.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if let Ok(mut stream) = respond.send_response(head, *method == Method::HEAD)
        && *method != Method::HEAD
    {
        drop(stream.send_data(Bytes::from_static(OTHER), true));
    }
    true
}

/// The trailers of a response that ends with another status than OK.
pub fn status(code: Code, why: &str) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert(STATUS, HeaderValue::from(code as u16));
    if let Ok(message) = HeaderValue::from_maybe_shared(percent_encoded(why)) {
        trailers.insert(MESSAGE, message);
    }
    trailers
}

fn percent_encoded(text: &str) -> Bytes {
    let mut made = BytesMut::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if (0x20..0x7f).contains(&byte) && byte != b'%' {
            made.put_u8(byte);
        } else {
            made.put_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    made.freeze()
}
