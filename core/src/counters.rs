//! What a thread counts (`counters.py`). One thread writes, and the scrape adds up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::answer::{By, Ruling};
use crate::rules::snapshot::Snapshot;
use crate::shadow::Compared;

const OUTCOMES: usize = 32;
/// Upper bounds of the latency histograms, in nanoseconds; Python hands in the same in seconds, and a test compares.
pub const BUCKETS: [u64; 17] = [
    25_000,
    50_000,
    75_000,
    100_000,
    150_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    5_000_000_000,
];
/// Denying permissions that are told apart between two scrapes; those beyond are counted together.
const MOST_DENYING: usize = 65_536;

/// How long something took, each time.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Durations {
    /// So many took so long each.
    #[inline]
    pub fn took(&self, each: Duration, count: u64) {
        let nanoseconds = u64::try_from(each.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|&bound| bound < nanoseconds);
        add(&self.buckets[bucket], count);
        add(&self.nanoseconds, nanoseconds.saturating_mul(count));
    }

    /// Buckets, and seconds all together.
    pub fn read(&self) -> (Vec<u64>, f64) {
        let buckets = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        (buckets, Duration::from_nanos(self.nanoseconds.load(Relaxed)).as_secs_f64())
    }
}

/// Adds to a counter that this thread alone writes.
#[inline]
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}

/// How a stream ended that was served here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Ok,
    Cancelled,
    ResourceExhausted,
    Unavailable,
    Internal,
}

/// The permissions that denied calls, and how often.
pub type Denying = HashMap<(usize, u32), (Arc<Snapshot>, u64)>;

/// The counters of a thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    decisions: [[AtomicU64; 8]; OUTCOMES / 8],
    /// CheckCalls of one call each: at the same time decisions and requests.
    pub plain: Durations,
    /// Decisions of CheckCalls requests, and those requests.
    pub deciding: Durations,
    pub batches: Durations,
    /// Answers on streams.
    pub streamed: Durations,
    /// Streams that ended, by `Ended`.
    ended: [AtomicU64; 5],
    /// Messages larger than taken, by method.
    too_large: [AtomicU64; 2],
    /// Calls with a caller that is not known, and with such an outcall.
    strange: [AtomicU64; 2],
    /// Requests for CheckCall, CheckCalls and StreamCheckCalls that Python had to answer.
    handed: [AtomicU64; 3],
    /// Denied and challenged calls by permissions beyond those that are told apart, by decision.
    together: [AtomicU64; 4],
    denying: Mutex<Denying>,
    compared: Mutex<Compared>,
}

impl Counters {
    /// How often each outcome was decided, by `outcome` of `counters.py`.
    pub fn decisions(&self) -> Vec<u64> {
        self.decisions.iter().flatten().map(|counter| counter.load(Relaxed)).collect()
    }

    /// A message of a method was too large.
    pub fn refused(&self, method: usize) {
        add(&self.too_large[method], 1);
    }

    /// A stream ended.
    pub fn ended(&self, how: Ended) {
        add(&self.ended[how as usize], 1);
    }

    /// How many streams ended, by `Ended`.
    pub fn all_ended(&self) -> Vec<u64> {
        self.ended.iter().map(|counter| counter.load(Relaxed)).collect()
    }

    /// How many messages were too large, by method.
    pub fn too_large(&self) -> Vec<u64> {
        self.too_large.iter().map(|counter| counter.load(Relaxed)).collect()
    }

    /// Takes away what was counted together since the last time, by decision.
    pub fn take_together(&self) -> Vec<(u8, u64)> {
        let taken = (0..).zip(&self.together).map(|(decision, counter)| (decision, counter.swap(0, Relaxed)));
        taken.filter(|(_, count)| *count > 0).collect()
    }

    /// Takes away what denied calls since the last time.
    pub fn take_denying(&self) -> Denying {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Denying> {
        self.denying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls had a caller that is not known, and how many such an outcall.
    pub fn strange(&self) -> Vec<u64> {
        self.strange.iter().map(|counter| counter.load(Relaxed)).collect()
    }

    /// A request for the method with this number was handed to Python.
    pub fn handed(&self, method: usize) {
        add(&self.handed[method], 1);
    }

    /// How many requests were handed to Python, by method.
    pub fn all_handed(&self) -> Vec<u64> {
        self.handed.iter().map(|counter| counter.load(Relaxed)).collect()
    }

    /// A call was decided.
    #[inline]
    pub fn decided(&self, ruling: &Ruling<'_>) {
        let (decision, stage) = ruling.outcome.decided();
        add(&self.decisions[usize::from(decision & 3)][usize::from(stage & 7)], 1);
        if let Some((snapshot, verdict)) = ruling.denying() {
            self.denied(snapshot, verdict);
        }
        for (counter, strange) in self.strange.iter().zip(ruling.strange()) {
            if strange {
                add(counter, 1);
            }
        }
    }

    /// Calls were decided that candidates may decide otherwise.
    pub fn compare(&self, rulings: &[Ruling<'_>], by: By<'_>) {
        let mut compared = self.compared();
        for ruling in rulings {
            compared.add(ruling, by);
        }
    }

    /// What was compared with candidates.
    pub fn compared(&self) -> MutexGuard<'_, Compared> {
        self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn denied(&self, snapshot: &Arc<Snapshot>, verdict: u32) {
        let mut denying = self.lock();
        let key = (Arc::as_ptr(snapshot) as usize, verdict);
        if let Some((_, count)) = denying.get_mut(&key) {
            *count += 1;
        } else if denying.len() < MOST_DENYING {
            denying.insert(key, (Arc::clone(snapshot), 1));
        } else {
            self.together[(verdict & 3) as usize].fetch_add(1, Relaxed);
        }
    }
}
