//! What was counted, as Python reads it.

use pyo3::prelude::*;

use crate::counters::{BUCKETS, Counters, Durations};

/// Counts by bucket, and seconds all together.
type Times = (Vec<u64>, f64);

/// What all threads counted since the start.
#[pyclass(frozen, get_all)]
pub struct Counts {
    /// Decisions by outcome.
    decisions: Vec<u64>,
    /// Times of plain calls, of other decisions, of batches and of answers on streams.
    plain: Times,
    deciding: Times,
    batches: Times,
    streamed: Times,
    /// Messages too large, by method.
    too_large: Vec<u64>,
    /// Streams that ended, by how.
    ended: Vec<u64>,
    /// Calls with a caller that is not known, and with such an outcall.
    strange: Vec<u64>,
    /// Requests that Python had to answer, by method.
    handed: Vec<u64>,
}

impl Default for Counts {
    fn default() -> Self {
        let zero = || (vec![0; BUCKETS.len() + 1], 0.0);
        Self {
            decisions: vec![0; 32],
            plain: zero(),
            deciding: zero(),
            batches: zero(),
            streamed: zero(),
            too_large: vec![0; 2],
            ended: vec![0; 5],
            strange: vec![0; 2],
            handed: vec![0; 3],
        }
    }
}

impl Counts {
    /// Adds the counts of a thread.
    pub fn add(&mut self, counters: &Counters) {
        for (total, durations) in [
            (&mut self.plain, &counters.plain),
            (&mut self.deciding, &counters.deciding),
            (&mut self.batches, &counters.batches),
            (&mut self.streamed, &counters.streamed),
        ] {
            add(total, durations);
        }
        sum(&mut self.decisions, counters.decisions());
        sum(&mut self.too_large, counters.too_large());
        sum(&mut self.ended, counters.all_ended());
        sum(&mut self.strange, counters.strange());
        sum(&mut self.handed, counters.all_handed());
    }
}

fn add(total: &mut Times, durations: &Durations) {
    let (buckets, seconds) = durations.read();
    sum(&mut total.0, buckets);
    total.1 += seconds;
}

fn sum(total: &mut [u64], more: Vec<u64>) {
    for (total, more) in total.iter_mut().zip(more) {
        *total += more;
    }
}
