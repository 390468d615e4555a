//! The hot methods: answered in place, or left to Python.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;

use super::methods::Kind;
use super::reply::{self, Answered, Code, PREFIX};
use super::server::Thread;
use super::session::Peer;
use crate::answer::{By, Ruling, check_call, check_calls};
use crate::counters::{Counters, Ended};
use crate::current::{Remembered, State};
use crate::guard::{Client, Limits};
use crate::log::{Log, Request};
use crate::rules::response::put;
use crate::rules::wire::stream_request;

/// Room for the response to one call; a longer one grows.
const ROOM: usize = 192;
/// The number under which requests of streams are counted.
const STREAMED: usize = 2;
/// What a client is told of a mistake of ours.
pub const INTERNAL: &str = "internal error";

/// A whole request.
pub struct Asked<'a> {
    pub kind: Kind,
    pub client: Option<&'a Client>,
    pub message: &'a [u8],
}

/// Answers the hot methods for one connection.
#[derive(Clone)]
pub struct Hot {
    thread: Rc<Thread>,
    counters: Arc<Counters>,
    seen: Rc<RefCell<Remembered>>,
    /// Whose limits apply where clients are known by their address alone.
    address: Option<String>,
}

impl Hot {
    pub fn new(thread: &Rc<Thread>, peer: &Peer) -> Self {
        let shared = &thread.shared;
        let by_address = shared.identities.as_ref().is_none_or(|known| known.telling.by_address);
        Self {
            thread: Rc::clone(thread),
            counters: Arc::clone(&thread.counters),
            seen: Rc::clone(&thread.seen),
            address: (by_address && shared.limits.is_some()).then(|| peer.host()),
        }
    }

    /// A message of a method was too large.
    pub fn refused(&self, kind: Kind) {
        if let Some(method) = number_of(kind) {
            self.counters.refused(method);
        }
    }

    /// Answers a call, if it is one that is answered here.
    #[inline]
    pub fn answer(&self, asked: &Asked<'_>, respond: &mut SendResponse<Bytes>) -> bool {
        let Some(method) = number_of(asked.kind) else { return false };
        let decides = self.thread.shared.settings.decides;
        match catch_unwind(AssertUnwindSafe(|| decides.then(|| self.made(asked)).flatten())) {
            Ok(Some(answered)) => drop(reply::answer(respond, answered)),
            Ok(None) => {
                self.counters.handed(method);
                return false;
            }
            Err(_) => reply::refuse(respond, Code::Internal, INTERNAL),
        }
        true
    }

    /// Answers a health check, if its service is known here.
    pub fn tell_health(&self, message: &[u8], respond: &mut SendResponse<Bytes>) -> bool {
        let shared = &self.thread.shared;
        let service = match message {
            [] => &[][..],
            [0x0a, length, service @ ..] if usize::from(*length) == service.len() && *length < 0x80 => service,
            _ => return false,
        };
        if !std::str::from_utf8(service).is_ok_and(|service| shared.settings.services.contains(service)) {
            return false;
        }
        let serving = if shared.serving.load(Relaxed) { 1 } else { 2 };
        let message = Bytes::from([0, 0, 0, 0, 2, 0x08, serving].to_vec());
        drop(reply::answer(respond, Answered { message, id: None }));
        true
    }

    /// The response's bytes; `None`: this call is for Python.
    #[inline]
    fn made(&self, asked: &Asked<'_>) -> Option<Answered> {
        let started = Instant::now();
        let shared = &self.thread.shared;
        let state = shared.state.load();
        let by = self.by(&state, asked.client);
        let seen = &mut *self.seen.borrow_mut();
        let room = &mut *self.thread.room.borrow_mut();
        let message = room.begin();
        let outcomes = if asked.kind == Kind::CheckCall {
            check_call(asked.message, by, seen, message).ok()?
        } else {
            check_calls(asked.message, by, seen, message).ok()?
        };
        // Only what is answered is charged: what goes to Python is charged there. A call for help is under no limit.
        if self.charge(asked.client, outcomes.all().len(), started).is_none() && !outcomes.is_emergency() {
            return None;
        }
        let took = started.elapsed();
        self.count(asked.kind, outcomes.all(), took);
        self.compare(outcomes.all(), by);
        let id = shared.log.as_ref().map(|log| self.log(log, asked, outcomes.all(), took));
        Some(Answered { message: room.finish(), id })
    }

    /// Lets a client open a stream; `None`: that is for Python, which may refuse it.
    pub fn admit(&self, client: Option<Arc<Client>>) -> Option<Admitted> {
        let shared = &self.thread.shared;
        let admitted = if shared.settings.decides { self.entered(client) } else { None };
        if admitted.is_none() {
            self.handed_streamed();
        }
        admitted
    }

    fn entered(&self, client: Option<Arc<Client>>) -> Option<Admitted> {
        let shared = &self.thread.shared;
        let name = self.name(client.as_deref());
        let limited = match (&shared.limits, name) {
            (None, _) => None,
            (Some(limits), Some(name)) => {
                limits.enter(name, 1, Instant::now()).ok()?;
                Some((Arc::clone(limits), name.to_owned()))
            }
            (Some(_), None) => return None,
        };
        let begin = |_| self.thread.pen.borrow_mut().begin(name.unwrap_or_default());
        let logged = shared.log.as_ref().map(begin).map(RefCell::new);
        Some(Admitted { client, limited, logged })
    }

    /// A request of a stream was handed to Python.
    pub fn handed_streamed(&self) {
        self.counters.handed(STREAMED);
    }

    /// Writes the response to a plain request of a stream; `None`: it is for Python.
    ///
    /// Returns whether limits apply to it. A panic is the end of the stream.
    pub fn answer_streamed(&self, request: &[u8], admitted: &Admitted, out: &mut Vec<u8>) -> Option<bool> {
        let started = Instant::now();
        let state = self.thread.shared.state.load();
        let by = self.by(&state, admitted.client.as_deref());
        let (id, call) = stream_request(request)?;
        let mut response = Vec::with_capacity(ROOM);
        let outcomes = check_call(call, by, &mut self.seen.borrow_mut(), &mut response).ok()?;
        let start = out.len();
        out.extend_from_slice(&[0; PREFIX]);
        if !id.is_empty() {
            put(0x0a, id, out);
        }
        put(0x12, &response, out);
        let length = u32::try_from(out.len() - start - PREFIX).ok()?;
        out[start + 1..start + PREFIX].copy_from_slice(&length.to_be_bytes());
        let took = started.elapsed();
        self.count_decisions(outcomes.all());
        self.compare(outcomes.all(), by);
        self.counters.deciding.took(took, 1);
        self.counters.streamed.took(took, 1);
        if let (Some(log), Some(logged)) = (&self.thread.shared.log, &admitted.logged) {
            self.write(log, &mut logged.borrow_mut(), outcomes.all(), took);
        }
        Some(!outcomes.is_emergency())
    }

    /// A stream that was served here has ended.
    pub fn ended(&self, how: Ended) {
        self.counters.ended(how);
    }

    fn by<'a>(&'a self, state: &'a State, client: Option<&'a Client>) -> By<'a> {
        let shared = &self.thread.shared;
        By {
            state,
            policy: &shared.policy,
            seal: shared.seal.as_ref(),
            tenants: client.and_then(|client| client.tenants.as_deref()),
            most: shared.settings.max_calls,
        }
    }

    /// Whose limits apply; `None`: nobody's that is known here.
    fn name<'a>(&'a self, client: Option<&'a Client>) -> Option<&'a str> {
        self.address.as_deref().or(client.map(|client| client.name.as_str()))
    }

    /// Logs the decisions of a request; returns its id.
    fn log(&self, log: &Log, asked: &Asked<'_>, rulings: &[Ruling<'_>], took: Duration) -> [u8; 32] {
        let mut request = self.thread.pen.borrow_mut().begin(self.name(asked.client).unwrap_or_default());
        self.write(log, &mut request, rulings, took);
        request.id
    }

    fn write(&self, log: &Log, request: &mut Request, rulings: &[Ruling<'_>], took: Duration) {
        let pen = &mut *self.thread.pen.borrow_mut();
        let each = took / u32::try_from(rulings.len().max(1)).unwrap_or(u32::MAX);
        for ruling in rulings {
            pen.write(log, request, ruling, each);
        }
    }

    fn charge(&self, client: Option<&Client>, calls: usize, now: Instant) -> Option<()> {
        let Some(limits) = &self.thread.shared.limits else { return Some(()) };
        let name = self.name(client)?;
        limits.enter(name, u32::try_from(calls.max(1)).ok()?, now).ok()?;
        limits.leave(name);
        Some(())
    }

    #[inline]
    fn count(&self, kind: Kind, rulings: &[Ruling<'_>], took: Duration) {
        let counters = &self.counters;
        self.count_decisions(rulings);
        if kind == Kind::CheckCall {
            counters.plain.took(took, 1);
            return;
        }
        counters.batches.took(took, 1);
        if let Ok(count @ 1..) = u32::try_from(rulings.len()) {
            counters.deciding.took(took / count, u64::from(count));
        }
    }

    /// Decides by candidates as well, where there are any; the response is made by then.
    #[inline]
    fn compare(&self, rulings: &[Ruling<'_>], by: By<'_>) {
        if by.state.compares() {
            self.counters.compare(rulings, by);
        }
    }

    #[inline]
    fn count_decisions(&self, rulings: &[Ruling<'_>]) {
        for one in rulings {
            self.counters.decided(one);
        }
    }
}

/// The number under which requests for a method are counted, where they have one message each.
const fn number_of(kind: Kind) -> Option<usize> {
    match kind {
        Kind::CheckCall => Some(0),
        Kind::CheckCalls => Some(1),
        _ => None,
    }
}

/// A client that has a stream open.
pub struct Admitted {
    client: Option<Arc<Client>>,
    /// Its limits, and the name under which they count.
    limited: Option<(Arc<Limits>, String)>,
    /// What the decision log has of it; `None`: there is none.
    logged: Option<RefCell<Request>>,
}

impl Admitted {
    /// The id under which the decision log has the stream, and how many decisions were made so far.
    pub fn logged(&self) -> Option<([u8; 32], usize)> {
        let logged = self.logged.as_ref()?.borrow();
        Some((logged.id, logged.decisions))
    }

    /// Takes what one more call costs; fails with the time after which to try again.
    pub fn pace(&self) -> Result<(), Duration> {
        self.limited.as_ref().map_or(Ok(()), |(limits, name)| limits.pace(name, Instant::now()))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some((limits, name)) = &self.limited {
            limits.leave(name);
        }
    }
}
