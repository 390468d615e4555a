//! The hot methods: answered in place, or left to Python.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;

use super::methods::Kind;
use super::reply::{self, Answered, Code, PREFIX};
use super::server::Thread;
use super::session::Peer;
use crate::answer::{By, Outcomes, check_call, check_calls};
use crate::counters::{Counters, Ended};
use crate::current::{Remembered, State};
use crate::guard::{Client, Limits};
use crate::log::Log;
use crate::rules::snapshot::varint;
use crate::rules::wire::{call, next_call, stream_request};

/// Room for the response to one call; a longer one grows.
const ROOM: usize = 192;

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
        match kind {
            Kind::CheckCall => self.counters.refused(0),
            Kind::CheckCalls => self.counters.refused(1),
            _ => {}
        }
    }

    /// Answers a call, if it is one that is answered here.
    #[inline]
    pub fn answer(&self, asked: &Asked<'_>, respond: &mut SendResponse<Bytes>) -> bool {
        if !matches!(asked.kind, Kind::CheckCall | Kind::CheckCalls) || !self.thread.shared.settings.decides {
            return false;
        }
        match catch_unwind(AssertUnwindSafe(|| self.made(asked))) {
            Ok(Some(answered)) => drop(reply::answer(respond, answered)),
            Ok(None) => return false,
            Err(_) => reply::refuse(respond, Code::Internal, "internal error"),
        }
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
        // Only what is answered is charged: what goes to Python is charged there.
        self.charge(asked.client, outcomes.calls(), started)?;
        let took = started.elapsed();
        self.count(asked.kind, &outcomes, took);
        let id = shared.log.as_ref().map(|log| self.log(log, asked, &outcomes, took));
        Some(Answered { message: room.finish(), id })
    }

    /// Lets a client open a stream; `None`: that is for Python, which may refuse it.
    pub fn admit(&self, client: Option<Arc<Client>>) -> Option<Admitted> {
        let shared = &self.thread.shared;
        // Those with a decision log have one id for all of a stream, so one side has to answer it.
        if !shared.settings.decides || shared.log.is_some() {
            return None;
        }
        let name = self.name(client.as_deref());
        let limited = match (&shared.limits, name) {
            (None, _) => None,
            (Some(limits), Some(name)) => {
                limits.enter(name, 1, Instant::now()).ok()?;
                Some((Arc::clone(limits), name.to_owned()))
            }
            (Some(_), None) => return None,
        };
        Some(Admitted { client, limited })
    }

    /// Writes the response to a plain request of a stream; `None`: it is for Python.
    pub fn answer_streamed(&self, request: &[u8], admitted: &Admitted, out: &mut Vec<u8>) -> Option<()> {
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
        self.count_decisions(&outcomes);
        self.counters.deciding.took(started.elapsed(), 1);
        self.counters.streamed.took(started.elapsed(), 1);
        Some(())
    }

    /// A stream that was served here has ended.
    pub fn ended(&self, how: Ended) {
        self.counters.ended(how);
    }

    fn by<'a>(&'a self, state: &'a State, client: Option<&'a Client>) -> By<'a> {
        let shared = &self.thread.shared;
        By {
            state,
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
    fn log(&self, log: &Log, asked: &Asked<'_>, outcomes: &Outcomes<'_>, took: Duration) -> [u8; 32] {
        let pen = &mut *self.thread.pen.borrow_mut();
        let mut request = pen.begin(self.name(asked.client).unwrap_or_default());
        match outcomes {
            Outcomes::One(verdict) => {
                if let Some(call) = call(asked.message) {
                    pen.write(log, &mut request, &call, verdict, took);
                }
            }
            Outcomes::Many(verdicts) => {
                let each = took / u32::try_from(verdicts.len().max(1)).unwrap_or(u32::MAX);
                let mut rest = asked.message;
                for verdict in verdicts {
                    let Some((call, after)) = next_call(rest) else { break };
                    pen.write(log, &mut request, &call, verdict, each);
                    rest = after;
                }
            }
        }
        request.id
    }

    fn charge(&self, client: Option<&Client>, calls: usize, now: Instant) -> Option<()> {
        let Some(limits) = &self.thread.shared.limits else { return Some(()) };
        let name = self.name(client)?;
        limits.enter(name, u32::try_from(calls.max(1)).ok()?, now).ok()?;
        limits.leave(name);
        Some(())
    }

    #[inline]
    fn count(&self, kind: Kind, outcomes: &Outcomes<'_>, took: Duration) {
        let counters = &self.counters;
        self.count_decisions(outcomes);
        if kind == Kind::CheckCall {
            counters.plain.took(took, 1);
            return;
        }
        counters.batches.took(took, 1);
        if let Ok(count @ 1..) = u32::try_from(outcomes.calls()) {
            counters.deciding.took(took / count, u64::from(count));
        }
    }

    #[inline]
    fn count_decisions(&self, outcomes: &Outcomes<'_>) {
        match outcomes {
            Outcomes::One(one) => self.counters.decided(*one),
            Outcomes::Many(many) => many.iter().for_each(|one| self.counters.decided(*one)),
        }
    }
}

/// A client that has a stream open.
pub struct Admitted {
    client: Option<Arc<Client>>,
    /// Its limits, and the name under which they count.
    limited: Option<(Arc<Limits>, String)>,
}

impl Admitted {
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

/// Writes a field of a message.
fn put(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    varint(content.len(), out);
    out.extend_from_slice(content);
}
