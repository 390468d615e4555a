//! A connection: its calls, its times, its end.
//!
//! One turn: look at times and stop; accept until there is nothing more, which also sends what was answered; take in
//! messages, and answer in place; if anything was answered, once more. Never is anything answered between two
//! `poll_accept`, of which each flushes: so many answers make one system call.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use http::Request;
use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use tokio::task::spawn_local;

use super::body::{Body, Taken, single};
use super::forward::{Sent, forward};
use super::hot::{Asked, Hot};
use super::io::{Io, Traffic};
use super::methods::{Kind, kind_of};
use super::reply::{self, Code};
use super::server::{Phase, Thread};
use super::stream::Serving;
use super::times::{Due, Times};
use crate::guard::Client;

/// Bytes of the one message of a health check.
const HEALTH_MESSAGE: usize = 4096;

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// As gRPC writes it: `ipv4:1.2.3.4:5`, `ipv6:[::1]:5`, `unix:`.
    pub address: String,
    /// DER.
    pub certificate: Option<Arc<[u8]>>,
}

impl Peer {
    /// The name of a client that is known by its address alone.
    pub fn host(&self) -> String {
        let host =
            if self.address.starts_with("ip") { self.address.rsplit_once(':').map(|(host, _)| host) } else { None };
        format!("address:{}", host.unwrap_or(&self.address))
    }
}

/// A call whose message is not complete.
struct Unfinished {
    kind: Kind,
    client: Option<Arc<Client>>,
    parts: Parts,
    respond: SendResponse<Bytes>,
    body: Body,
}

/// Counts a call among those that are expected to end soon, as long as it lives.
pub struct Counted(Rc<Thread>);

impl Counted {
    fn new(thread: &Rc<Thread>) -> Self {
        thread.short.fetch_add(1, Relaxed);
        Self(Rc::clone(thread))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.short.fetch_sub(1, Relaxed);
    }
}

/// A connection.
pub struct Session {
    h2: Connection<Io, Bytes>,
    thread: Rc<Thread>,
    peer: Arc<Peer>,
    hot: Hot,
    times: Times,
    phase: Phase,
    unfinished: Vec<Unfinished>,
    held: Rc<Cell<usize>>,
    /// Calls that are answered behind.
    away: Rc<Cell<usize>>,
}

impl Session {
    pub fn new(mut h2: Connection<Io, Bytes>, thread: Rc<Thread>, peer: Peer, traffic: Rc<Traffic>) -> Self {
        let times = Times::new(&thread.shared.settings, traffic, h2.ping_pong());
        Self {
            h2,
            hot: Hot::new(&thread, &peer),
            thread,
            peer: Arc::new(peer),
            times,
            phase: Phase::Serving,
            unfinished: Vec::new(),
            held: Rc::default(),
            away: Rc::default(),
        }
    }

    /// Serves until the connection has ended; then it is to be dropped.
    pub fn poll(&mut self, cx: &mut Context<'_>, changed: &mut Changes) -> Poll<()> {
        if self.stops(cx, changed) || self.is_over(cx) {
            return Poll::Ready(());
        }
        loop {
            loop {
                match self.h2.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, respond)))) => self.begin(request, respond),
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => break,
                }
            }
            if !self.work(cx) {
                return Poll::Pending;
            }
        }
    }

    /// Whether the server's stop ends the connection at once.
    fn stops(&mut self, cx: &mut Context<'_>, changed: &mut Changes) -> bool {
        while changed.poll(cx) {
            let before = std::mem::replace(&mut self.phase, changed.phase());
            if before == Phase::Serving && self.phase != Phase::Serving {
                self.h2.graceful_shutdown();
            }
        }
        self.phase == Phase::Closing
    }

    /// Whether its times end the connection at once.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let busy = !self.unfinished.is_empty() || self.away.get() > 0;
        match self.times.poll(cx, busy) {
            Due::Nothing => false,
            Due::Leave => {
                self.h2.graceful_shutdown();
                false
            }
            Due::End => true,
        }
    }

    fn begin(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        self.times.begun();
        let (parts, stream) = request.into_parts();
        if reply::refuse_other(&parts.method, &parts.headers, &mut respond) {
            return;
        }
        let settings = &self.thread.shared.settings;
        if size_of(&parts.headers) > settings.max_metadata_size {
            let most = settings.max_metadata_size;
            reply::refuse(&mut respond, Code::ResourceExhausted, &format!("the headers have more than {most} bytes"));
            return;
        }
        let kind = kind_of(parts.uri.path());
        let client = match (kind, &self.thread.shared.identities) {
            (Kind::Coming, _) => return self.away(parts, Sent::Coming(stream), respond, false),
            (Kind::Health { .. }, _) | (_, None) => None,
            (_, Some(identities)) => {
                // Whoever is not known is refused before the message is waited for; or let in, a little slower.
                let Some(sent) = credentials(&parts.headers, identities.telling.header) else {
                    return self.away(parts, Sent::Coming(stream), respond, false);
                };
                let Some(client) = identities.find(sent, self.peer.certificate.as_ref()) else {
                    return self.away(parts, Sent::Coming(stream), respond, false);
                };
                Some(client)
            }
        };
        if kind == Kind::StreamCheckCalls {
            return self.stream(client, parts, stream, respond);
        }
        let most = if matches!(kind, Kind::Health { .. }) { HEALTH_MESSAGE } else { settings.max_message_size };
        let body = Body::new(stream, most, &self.held);
        self.unfinished.push(Unfinished { kind, client, parts, respond, body });
    }

    /// Serves a stream, or has it served behind where that is to say why not.
    fn stream(&self, client: Option<Arc<Client>>, parts: Parts, coming: RecvStream, respond: SendResponse<Bytes>) {
        let Some(admitted) = self.hot.admit(client) else {
            return self.away(parts, Sent::Coming(coming), respond, false);
        };
        let (thread, peer, away) = (Rc::clone(&self.thread), Arc::clone(&self.peer), Rc::clone(&self.away));
        let serving = Serving { thread, peer, parts, hot: self.hot.clone(), admitted };
        away.set(away.get() + 1);
        spawn_local(async move {
            serving.serve(coming, respond).await;
            away.set(away.get() - 1);
        });
    }

    /// Takes in messages, and answers those that are complete; whether there was one.
    fn work(&mut self, cx: &mut Context<'_>) -> bool {
        let mut worked = false;
        let mut at = 0;
        while at < self.unfinished.len() {
            let Poll::Ready(taken) = self.unfinished[at].body.poll(cx) else {
                at += 1;
                continue;
            };
            worked = true;
            let call = self.unfinished.swap_remove(at);
            self.finish(call, taken);
        }
        worked
    }

    fn finish(&mut self, mut call: Unfinished, taken: Taken) {
        let most = self.thread.shared.settings.max_message_size;
        match taken {
            Taken::Gone => {}
            Taken::TooLarge(size) => {
                self.hot.refused(call.kind);
                let why =
                    format!("the request has {size} bytes, and at most {most} are taken; send it in smaller ones");
                reply::refuse(&mut call.respond, Code::ResourceExhausted, &why);
            }
            Taken::TooMany => {
                self.hot.refused(call.kind);
                let why = "too many unfinished requests on this connection; send them one after the other";
                reply::refuse(&mut call.respond, Code::ResourceExhausted, why);
            }
            Taken::Whole(data) => self.whole(call, data),
        }
    }

    fn whole(&mut self, mut call: Unfinished, data: Bytes) {
        if let Some(message) = single(&data) {
            let asked = Asked { kind: call.kind, client: call.client.as_deref(), message };
            let answered = match call.kind {
                Kind::Health { lasting: false } => self.hot.tell_health(message, &mut call.respond),
                _ => self.hot.answer(&asked, &mut call.respond),
            };
            if answered {
                return;
            }
        }
        let in_turn = !matches!(call.kind, Kind::Answers | Kind::Health { lasting: true });
        self.away(call.parts, Sent::Whole(data, call.body.into_held()), call.respond, in_turn);
    }

    fn away(&self, parts: Parts, sent: Sent, respond: SendResponse<Bytes>, in_turn: bool) {
        let (thread, peer, away) = (Rc::clone(&self.thread), Arc::clone(&self.peer), Rc::clone(&self.away));
        let short = in_turn.then(|| Counted::new(&thread));
        away.set(away.get() + 1);
        spawn_local(async move {
            forward(thread, peer, parts, sent, respond, in_turn).await;
            drop(short);
            away.set(away.get() - 1);
        });
    }
}

/// What a header list counts, as HTTP/2 has it.
fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// The value of the one header `authorization`; nothing where it does not matter, `None` where it is not one.
fn credentials(headers: &HeaderMap, matter: bool) -> Option<&[u8]> {
    if !matter {
        return Some(&[]);
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// Tells a connection about the phases of the server.
pub struct Changes {
    receiver: tokio::sync::watch::Receiver<Phase>,
    next: Pin<Box<dyn Future<Output = tokio::sync::watch::Receiver<Phase>>>>,
}

impl Changes {
    pub fn new(receiver: &tokio::sync::watch::Receiver<Phase>) -> Self {
        let mut receiver = receiver.clone();
        receiver.mark_changed();
        let next = Box::pin(next_of(receiver.clone()));
        Self { receiver, next }
    }

    fn phase(&self) -> Phase {
        *self.receiver.borrow()
    }

    /// Whether the phase may have changed.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        match self.next.as_mut().poll(cx) {
            Poll::Ready(receiver) => {
                self.next = Box::pin(next_of(receiver));
                true
            }
            Poll::Pending => false,
        }
    }
}

async fn next_of(mut receiver: tokio::sync::watch::Receiver<Phase>) -> tokio::sync::watch::Receiver<Phase> {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    receiver
}
