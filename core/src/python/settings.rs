//! What a front is made with.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use crate::front::settings::Settings;
use crate::policy::Policy;
use crate::rules::emergency::Emergency;

const HANDSHAKE: Duration = Duration::from_secs(10);

/// The limits of connections and requests; 0 is none.
#[pyclass(frozen)]
pub struct FrontLimits {
    message: usize,
    metadata: usize,
    streams: u32,
    connections: usize,
    calls: usize,
    open_streams: usize,
    keepalive: (f64, f64),
    idle: f64,
    age: (f64, f64),
}

#[pymethods]
impl FrontLimits {
    #[new]
    #[pyo3(signature = (*, message, metadata, streams, connections, calls, open_streams, keepalive, idle, age))]
    #[allow(clippy::too_many_arguments, reason = "a constructor's choices, all of them named")]
    const fn new(
        message: usize,
        metadata: usize,
        streams: u32,
        connections: usize,
        calls: usize,
        open_streams: usize,
        keepalive: (f64, f64),
        idle: f64,
        age: (f64, f64),
    ) -> Self {
        Self { message, metadata, streams, connections, calls, open_streams, keepalive, idle, age }
    }
}

impl FrontLimits {
    pub(super) fn settings(&self, decides: bool, services: HashSet<String>, behind: PathBuf) -> Settings {
        let time = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4);
        let limit = |seconds: f64| (seconds > 0.0).then(|| time(seconds));
        Settings {
            max_message_size: self.message,
            max_metadata_size: self.metadata,
            max_concurrent_streams: (self.streams > 0).then_some(self.streams),
            max_connections: (self.connections > 0).then_some(self.connections),
            max_calls: self.calls,
            max_streams: self.open_streams,
            handshake: HANDSHAKE,
            keepalive_time: time(self.keepalive.0),
            keepalive_timeout: time(self.keepalive.1),
            idle: limit(self.idle),
            age: limit(self.age.0),
            grace: limit(self.age.1),
            decides,
            services,
            behind,
        }
    }
}

/// What is decided beyond a tenant's permissions.
#[pyclass(frozen)]
pub struct FrontPolicy(pub(super) Arc<Policy>);

#[pymethods]
impl FrontPolicy {
    /// `emergency`: the ways to dial the server's emergency numbers, for calls of no tenant.
    #[new]
    #[pyo3(signature = (*, deny_unknown_callers, deny_unknown_outcalls, dialable_only, emergency))]
    fn new(
        deny_unknown_callers: bool,
        deny_unknown_outcalls: bool,
        dialable_only: bool,
        emergency: HashSet<String>,
    ) -> Self {
        let emergency = Emergency::new(emergency);
        Self(Arc::new(Policy { deny_unknown_callers, deny_unknown_outcalls, dialable_only, emergency }))
    }
}
