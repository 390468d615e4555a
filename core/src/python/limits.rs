//! The limits of clients, which Python counts by as well.

use std::sync::Arc;
use std::time::Instant;

use pyo3::prelude::*;

use crate::guard::{Limits as Buckets, TooMany};

/// How much one client may ask, wherever it does.
#[pyclass(frozen)]
pub struct Limits(pub(super) Arc<Buckets>);

#[pymethods]
impl Limits {
    #[new]
    #[pyo3(signature = (*, rate, burst, concurrency))]
    fn new(rate: f64, burst: u32, concurrency: u32) -> Self {
        Self(Arc::new(Buckets::new(rate, burst, concurrency)))
    }

    /// A client asks; returns why that is too much, and after how many seconds to ask again.
    fn enter(&self, client: &str, cost: u32) -> Option<(&'static str, f64)> {
        match self.0.enter(client, cost, Instant::now()) {
            Ok(()) => None,
            Err(TooMany::Concurrency(wait)) => Some(("concurrency", wait.as_secs_f64())),
            Err(TooMany::Rate(wait)) => Some(("rate", wait.as_secs_f64())),
        }
    }

    /// What a client asked holds so many more calls; it owes them.
    fn charge(&self, client: &str, cost: u32) {
        self.0.charge(client, cost, Instant::now());
    }

    /// What a client asked is answered.
    fn leave(&self, client: &str) {
        self.0.leave(client);
    }

    /// Takes a token for one more call of a stream; returns 0, or the seconds after which to try again.
    fn pace(&self, client: &str) -> f64 {
        self.0.pace(client, Instant::now()).err().map_or(0.0, |wait| wait.as_secs_f64())
    }
}
