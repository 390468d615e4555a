//! The hot methods: answered in place, or left to Python.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;

use super::methods::Kind;
use super::reply::{self, Code, PREFIX};
use super::server::Thread;
use super::session::Peer;
use crate::answer::{By, Outcomes, check_call, check_calls};
use crate::counters::Counters;
use crate::current::Remembered;
use crate::guard::Client;

/// Room for the response to one call; a longer one grows.
const ROOM: usize = 192;

/// A whole request.
pub struct Asked<'a> {
    pub kind: Kind,
    pub client: Option<&'a Client>,
    pub message: &'a [u8],
}

/// Answers the hot methods for one connection.
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
            Ok(Some(message)) => drop(reply::answer(respond, message)),
            Ok(None) => return false,
            Err(_) => reply::refuse(respond, Code::Internal, "internal error"),
        }
        true
    }

    /// The response's bytes; `None`: this call is for Python.
    #[inline]
    fn made(&self, asked: &Asked<'_>) -> Option<Bytes> {
        let started = Instant::now();
        let shared = &self.thread.shared;
        let state = shared.state.load();
        let by = By {
            state: &state,
            seal: shared.seal.as_ref(),
            tenants: asked.client.and_then(|client| client.tenants.as_deref()),
            most: shared.settings.max_calls,
        };
        let seen = &mut *self.seen.borrow_mut();
        let mut framed = Vec::with_capacity(ROOM);
        framed.resize(PREFIX, 0);
        let outcomes = if asked.kind == Kind::CheckCall {
            check_call(asked.message, by, seen, &mut framed).ok()?
        } else {
            check_calls(asked.message, by, seen, &mut framed).ok()?
        };
        // Only what is answered is charged: what goes to Python is charged there.
        self.charge(asked.client, outcomes.calls(), started)?;
        self.count(asked.kind, &outcomes, started.elapsed());
        Some(reply::message(framed))
    }

    fn charge(&self, client: Option<&Client>, calls: usize, now: Instant) -> Option<()> {
        let Some(limits) = &self.thread.shared.limits else { return Some(()) };
        let name = match (&self.address, client) {
            (Some(address), _) => address,
            (None, Some(client)) => &client.name,
            (None, None) => return None,
        };
        limits.enter(name, u32::try_from(calls.max(1)).ok()?, now).ok()?;
        limits.leave(name);
        Some(())
    }

    #[inline]
    fn count(&self, kind: Kind, outcomes: &Outcomes<'_>, took: Duration) {
        let counters = &self.counters;
        match outcomes {
            Outcomes::One(one) => counters.decided(*one),
            Outcomes::Many(many) => many.iter().for_each(|one| counters.decided(*one)),
        }
        if kind == Kind::CheckCall {
            counters.plain.took(took, 1);
            return;
        }
        counters.batches.took(took, 1);
        if let Ok(count @ 1..) = u32::try_from(outcomes.calls()) {
            counters.deciding.took(took / count, u64::from(count));
        }
    }
}
