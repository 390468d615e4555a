//! The times of a connection: whether its peer lives and reads, how old it is, how long it has been idle.

use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep_until};

use super::io::Traffic;
use super::settings::Settings;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// The client is to go elsewhere with its next calls.
    Leave,
    /// The connection is to be closed.
    End,
}

/// The times of a connection.
pub struct Times {
    alarm: Pin<Box<Sleep>>,
    traffic: Rc<Traffic>,
    pings: Option<PingPong>,
    /// When the peer was asked whether it lives, and has not said so since.
    asked: Option<Instant>,
    keepalive: Duration,
    patience: Duration,
    idle: Option<Duration>,
    /// When it had its last call, or none yet.
    used: Instant,
    /// When it is of age.
    of_age: Option<Instant>,
    grace: Option<Duration>,
    /// When it is closed with whatever is in flight.
    end: Option<Instant>,
    leaving: bool,
}

impl Times {
    pub fn new(settings: &Settings, traffic: Rc<Traffic>, pings: Option<PingPong>) -> Self {
        let now = Instant::now();
        let mut times = Self {
            alarm: Box::pin(sleep_until(now)),
            traffic,
            pings,
            asked: None,
            keepalive: settings.keepalive_time,
            patience: settings.keepalive_timeout,
            idle: settings.idle,
            used: now,
            of_age: settings.age.map(|age| now + jittered(age)),
            grace: settings.grace,
            end: None,
            leaving: false,
        };
        times.arm(now, false);
        times
    }

    /// A call has begun.
    #[inline]
    pub fn begun(&mut self) {
        if self.idle.is_some() {
            self.used = Instant::now();
        }
    }

    /// What is due now; `busy`: calls are in flight.
    pub fn poll(&mut self, cx: &mut Context<'_>, busy: bool) -> Due {
        if self.asked.is_some()
            && let Some(pings) = &mut self.pings
            && pings.poll_pong(cx).is_ready()
        {
            self.asked = None;
        }
        let mut due = Due::Nothing;
        while self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            match self.look(now, busy) {
                Due::Nothing => {}
                found => due = found,
            }
            if due == Due::End {
                break;
            }
            self.arm(now, busy);
        }
        due
    }

    fn look(&mut self, now: Instant, busy: bool) -> Due {
        if busy {
            self.used = now;
        }
        if self.end.is_some_and(|end| end <= now) || self.is_dead(now) {
            return Due::End;
        }
        let old = self.of_age.is_some_and(|at| at <= now);
        let idle = !busy && self.idle.is_some_and(|idle| self.used + idle <= now);
        if !self.leaving && (old || idle) {
            self.leaving = true;
            let grace = if old { self.grace } else { Some(self.patience) };
            self.end = grace.map(|grace| now + grace);
            return Due::Leave;
        }
        Due::Nothing
    }

    /// Whether the peer has not been heard of, or has taken nothing, for too long; asks it if that may be.
    fn is_dead(&mut self, now: Instant) -> bool {
        let heard = Instant::from_std(self.traffic.heard.get());
        if self.traffic.stalled.get().is_some_and(|since| Instant::from_std(since) + self.patience <= now) {
            return true;
        }
        if let Some(asked) = self.asked {
            if heard > asked {
                self.asked = None;
            } else if asked + self.patience <= now {
                return true;
            }
        }
        if self.asked.is_none()
            && heard + self.keepalive <= now
            && let Some(pings) = &mut self.pings
        {
            // It fails where one is on its way already, which tells as much.
            drop(pings.send_ping(Ping::opaque()));
            self.asked = Some(now);
        }
        false
    }

    fn arm(&mut self, now: Instant, busy: bool) {
        let heard = Instant::from_std(self.traffic.heard.get());
        let alive = self.asked.map_or(heard + self.keepalive, |asked| asked + self.patience);
        // A peer that does not read begins that at any time, so there is a look now and then.
        let mut next = alive.min(now + self.patience);
        let idle = if busy { None } else { self.idle.map(|idle| self.used + idle) };
        let ending = if self.leaving { self.end } else { None };
        for at in [if self.leaving { None } else { self.of_age }, idle.filter(|_| !self.leaving), ending] {
            next = at.map_or(next, |at| next.min(at));
        }
        self.alarm.as_mut().reset(next.max(now + Duration::from_millis(1)));
    }
}

/// A time, give or take a tenth of it, so that connections made together do not all end together.
fn jittered(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 2001;
    time.mul_f64(0.9 + 0.0001 * f64::from(u32::try_from(random).unwrap_or(1000)))
}
