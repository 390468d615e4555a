//! What the front is told when it is made, and what all of its threads share.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::ServerConfig;
use tokio::sync::Semaphore;

use crate::challenge::Seal;
use crate::counters::Counters;
use crate::current::State;
use crate::guard::{Identities, Limits};
use crate::log::Log;
use crate::policy::Policy;

/// Limits and times; `None` is no limit.
#[derive(Debug, Clone)]
pub struct Settings {
    pub max_message_size: usize,
    pub max_metadata_size: usize,
    pub max_concurrent_streams: Option<u32>,
    pub max_connections: Option<usize>,
    pub max_calls: usize,
    pub max_streams: usize,
    /// That TLS and HTTP/2 have to begin.
    pub handshake: Duration,
    pub keepalive_time: Duration,
    pub keepalive_timeout: Duration,
    pub idle: Option<Duration>,
    pub age: Option<Duration>,
    /// That calls in flight have when their connection is of age.
    pub grace: Option<Duration>,
    /// Calls are decided here; else all of them are answered behind.
    pub decides: bool,
    /// What health checks may name.
    pub services: HashSet<String>,
    /// The Unix socket behind which everything else is answered.
    pub behind: PathBuf,
}

/// What the threads of a front share.
#[derive(Debug)]
pub struct Shared {
    pub settings: Settings,
    pub policy: Arc<Policy>,
    /// What health checks are told.
    pub serving: AtomicBool,
    pub state: ArcSwap<State>,
    pub tls: ArcSwapOption<ServerConfig>,
    pub seal: Option<Seal>,
    /// `None`: nobody looks at who asks.
    pub identities: Option<Identities>,
    pub limits: Option<Arc<Limits>>,
    /// `None`: decisions are not logged.
    pub log: Option<Log>,
    /// Of unary calls that are answered behind at the same time.
    pub behind: Semaphore,
    pub connections: AtomicUsize,
    /// Streams that are served here.
    pub streams: AtomicUsize,
    counters: Mutex<Vec<Arc<Counters>>>,
}

/// Calls that the server behind works on and holds at the same time; it drops calls where more than 1,000 wait.
const MOST_BEHIND: usize = 512;

impl Shared {
    pub fn new(
        settings: Settings,
        policy: Arc<Policy>,
        seal: Option<Seal>,
        identities: Option<Identities>,
        limits: Option<Arc<Limits>>,
        log: Option<Log>,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        Self {
            settings,
            policy,
            serving: AtomicBool::new(false),
            state: ArcSwap::default(),
            tls: ArcSwapOption::new(tls),
            seal,
            identities,
            limits,
            log,
            behind: Semaphore::new(MOST_BEHIND),
            connections: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            counters: Mutex::default(),
        }
    }

    /// Counters for a thread that begins.
    pub fn counters(&self) -> Arc<Counters> {
        let made = Arc::new(Counters::default());
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&made));
        made
    }

    /// The counters of all threads.
    pub fn all_counters(&self) -> Vec<Arc<Counters>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
