//! What Python sees: `pdp._core`.

use std::borrow::Cow;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::answer::{By, check_call, check_calls};
use crate::challenge::{Seal, VERSION};
use crate::counters::Durations;
use crate::current::{Remembered, State};
use crate::front::server::{Front as Running, Listening, Phase};
use crate::front::settings::{Settings, Shared};
use crate::front::tls;
use crate::guard::{Client, Identities, Limits as Buckets, Telling, TooMany};
use crate::log::Log;
use crate::memory::{Retired, memory_of, owned};
use crate::rules::snapshot::{FORMAT_VERSION, Plain, Snapshot};

/// How much one client may ask, wherever it does.
#[pyclass(frozen)]
struct Limits(Arc<Buckets>);

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

type Times = (Vec<u64>, f64);
/// A permission that denied calls: tenant, id, name, decision, and how often.
type Denying = (String, u64, String, u8, u64);
/// Digest, header and certificate.
type Credentials = ([u8; 32], Vec<u8>, Option<Vec<u8>>);
/// Decisions by outcome; times of plain calls, of other decisions, of batches and of answers on streams; messages too
/// large, by method; streams that ended, by how.
type Counted = (Vec<u64>, Times, Times, Times, Times, Vec<u64>, Vec<u64>);

/// Serves gRPC.
#[pyclass(frozen)]
struct Front {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
    retired: Arc<Retired>,
    threads: usize,
}

#[pymethods]
impl Front {
    #[new]
    #[pyo3(signature = (behind, *, threads, decides, limits, clients, buckets, seal, log, certificate))]
    #[allow(clippy::too_many_arguments, reason = "a constructor's choices, all of them named")]
    fn new(
        behind: PathBuf,
        threads: usize,
        decides: bool,
        limits: &FrontLimits,
        clients: Option<(bool, bool, bool)>,
        buckets: Option<&Limits>,
        seal: Option<(Vec<u8>, u64)>,
        log: Option<([f64; 3], usize, usize)>,
        certificate: Option<(Vec<u8>, Vec<u8>, Vec<u8>)>,
    ) -> PyResult<Self> {
        let tls = match certificate {
            Some((chain, key, authorities)) => {
                Some(tls::config(&chain, &key, &authorities).map_err(PyValueError::new_err)?)
            }
            None => None,
        };
        let telling = clients.map(|(header, certificate, by_address)| Telling { header, certificate, by_address });
        let shared = Shared::new(
            limits.settings(decides, behind),
            seal.map(|(key, milliseconds)| Seal::new(&key, milliseconds)),
            telling.map(Identities::new),
            buckets.map(|buckets| Arc::clone(&buckets.0)),
            log.map(|(shares, mask, most)| Log::new(shares, mask, most)),
            tls,
        );
        Ok(Self { shared: Arc::new(shared), running: Mutex::new(None), retired: Arc::default(), threads })
    }

    /// Serves what comes to these sockets, which listen: their files' numbers, and whether each is a Unix socket.
    fn start(&self, sockets: Vec<(i32, bool)>) -> PyResult<()> {
        let listening = sockets.into_iter().map(|(number, unix)| listening(number, unix)).collect::<PyResult<_>>()?;
        let started = Running::start(Arc::clone(&self.shared), listening, self.threads);
        *locked(&self.running) = Some(started.map_err(PyOSError::new_err)?);
        Ok(())
    }

    /// Calls of one more tenant, or by other rules of one, are decided by this blob from now on.
    ///
    /// `plain_from`: 0 where calls with any printable ASCII are decided here; else the digits of the shortest extension
    /// for which they are, of those that have nothing else; `None`: all calls of the tenant are for Python.
    ///
    /// Returns whether it is of a format that is understood here; calls of all tenants are for Python while one is not.
    fn replace(
        &self,
        tenant: &str,
        number: u64,
        revision: &str,
        blob: PyBuffer<u8>,
        plain_from: Option<usize>,
    ) -> PyResult<bool> {
        let memory = memory_of(blob, &self.retired).map_err(PyValueError::new_err)?;
        let plain =
            plain_from.map_or(Plain::Nothing, |least| if least == 0 { Plain::Printable } else { Plain::Digits(least) });
        let opened = Snapshot::open(memory, tenant, number, revision, plain);
        let understood = opened.is_ok();
        self.change(tenant, opened.ok().map(Arc::new).as_ref(), understood);
        Ok(understood)
    }

    /// No call is of this tenant any more.
    fn remove(&self, tenant: &str) {
        self.change(tenant, None, true);
    }

    /// Shows another certificate in handshakes from now on.
    fn set_certificate(&self, chain: &[u8], key: &[u8], authorities: &[u8]) -> PyResult<()> {
        let config = tls::config(chain, key, authorities).map_err(PyValueError::new_err)?;
        self.shared.tls.store(Some(config));
        Ok(())
    }

    /// Tells clients to go elsewhere, and accepts no more connections than have come.
    fn drain(&self) {
        if let Some(running) = &*locked(&self.running) {
            running.enter(Phase::Draining);
        }
    }

    /// Ends the streams that are served here.
    fn end_streams(&self) {
        if let Some(running) = &*locked(&self.running) {
            running.enter(Phase::Ending);
        }
    }

    /// Ends all connections and threads.
    fn close(&self, py: Python<'_>) {
        let running = locked(&self.running).take();
        if let Some(mut running) = running {
            running.enter(Phase::Closing);
            py.detach(|| running.join());
        }
        if let Some(identities) = &self.shared.identities {
            identities.wake();
        }
        self.shared.state.store(Arc::default());
        self.retired.release();
    }

    /// Connections that are open, and calls in flight that are expected to end soon.
    fn load(&self) -> (usize, usize) {
        let short = locked(&self.running).as_ref().map_or(0, Running::short);
        (self.shared.connections.load(std::sync::atomic::Ordering::Relaxed), short)
    }

    /// The response to a CheckCall or a CheckCalls as it would be sent to somebody who may ask about every tenant.
    ///
    /// Nothing is counted. `None`: the request is for Python.
    #[pyo3(signature = (*, many, request))]
    fn answer(&self, many: bool, request: &[u8]) -> Option<Vec<u8>> {
        let state = self.shared.state.load();
        let most = self.shared.settings.max_calls;
        let by = By { state: &state, seal: self.shared.seal.as_ref(), tenants: None, most };
        let (mut response, seen) = (Vec::new(), &mut Remembered::default());
        let answered = if many {
            check_calls(request, by, seen, &mut response)
        } else {
            check_call(request, by, seen, &mut response)
        };
        answered.ok().map(|_| response)
    }

    /// What was counted since the start.
    fn counted(&self) -> Counted {
        let mut total: Counted = (vec![0; 32], zero(), zero(), zero(), zero(), vec![0; 2], vec![0; 4]);
        for counters in self.shared.all_counters() {
            sum(&mut total.0, counters.decisions());
            add(&mut total.1, &counters.plain);
            add(&mut total.2, &counters.deciding);
            add(&mut total.3, &counters.batches);
            add(&mut total.4, &counters.streamed);
            sum(&mut total.5, counters.too_large());
            sum(&mut total.6, counters.all_ended());
        }
        total
    }

    /// The permissions that denied calls since the last time; without a tenant, those beyond the first thousands.
    fn denying(&self) -> Vec<Denying> {
        let mut found = Vec::new();
        for counters in self.shared.all_counters() {
            for ((_, verdict), (snapshot, count)) in counters.take_denying() {
                if let Ok(permission) = snapshot.permission(verdict) {
                    let name = String::from_utf8_lossy(permission.name).into_owned();
                    found.push((snapshot.tenant.clone(), permission.id, name, (verdict & 3) as u8, count));
                }
            }
            for (decision, count) in counters.take_together() {
                found.push((String::new(), 0, String::new(), decision, count));
            }
        }
        found
    }

    /// Lines of the decision log that have to be written, how many there are, and how many more were dropped since the
    /// last time; waits for some for so many seconds.
    fn logged(&self, py: Python<'_>, seconds: f64) -> (Cow<'static, [u8]>, usize, u64) {
        let Some(log) = &self.shared.log else { return (Cow::Borrowed(&[]), 0, 0) };
        let patience = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let (text, lines, dropped) = py.detach(|| log.take(patience));
        (Cow::Owned(text), lines, dropped)
    }

    /// Credentials that have to be judged: digest, header and certificate; waits for some for so many seconds.
    fn unknown(&self, py: Python<'_>, seconds: f64) -> Vec<Credentials> {
        let Some(identities) = &self.shared.identities else { return Vec::new() };
        let patience = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let found = py.detach(|| identities.unknown(patience));
        let told = |certificate: Option<Arc<[u8]>>| certificate.map(|certificate| certificate.to_vec());
        found.into_iter().map(|one| (one.digest, one.authorization, told(one.certificate))).collect()
    }

    /// Credentials are those of a client until a time in seconds of Unix time.
    fn remember(&self, digest: [u8; 32], name: String, tenants: Option<Vec<String>>, expires: f64) {
        if let Some(identities) = &self.shared.identities {
            identities.remember(digest, Client { name, tenants }, expires);
        }
    }

    /// What credentials were judged by has changed.
    fn forget(&self) {
        if let Some(identities) = &self.shared.identities {
            identities.forget();
        }
    }

    /// Gives back the memory of rules that no call is decided by any more.
    fn release(&self) {
        self.retired.release();
    }
}

impl Front {
    fn change(&self, tenant: &str, snapshot: Option<&Arc<Snapshot>>, understood: bool) {
        self.shared.state.rcu(|state| State::changed(state, tenant, snapshot, understood));
    }
}

/// The limits of connections and requests; 0 is none.
#[pyclass(frozen)]
struct FrontLimits {
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
    fn settings(&self, decides: bool, behind: PathBuf) -> Settings {
        let time = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4);
        let limit = |seconds: f64| (seconds > 0.0).then(|| time(seconds));
        Settings {
            max_message_size: self.message,
            max_metadata_size: self.metadata,
            max_concurrent_streams: (self.streams > 0).then_some(self.streams),
            max_connections: (self.connections > 0).then_some(self.connections),
            max_calls: self.calls,
            max_streams: self.open_streams,
            keepalive_time: time(self.keepalive.0),
            keepalive_timeout: time(self.keepalive.1),
            idle: limit(self.idle),
            age: limit(self.age.0),
            grace: limit(self.age.1),
            decides,
            behind,
        }
    }
}

fn listening(number: i32, unix: bool) -> PyResult<Listening> {
    let socket = owned(number).map_err(PyOSError::new_err)?;
    let made =
        if unix { Listening::Unix(UnixListener::from(socket)) } else { Listening::Tcp(TcpListener::from(socket)) };
    match &made {
        Listening::Tcp(listener) => listener.set_nonblocking(true),
        Listening::Unix(listener) => listener.set_nonblocking(true),
    }
    .map_err(PyOSError::new_err)?;
    Ok(made)
}

fn zero() -> Times {
    (vec![0; crate::counters::BUCKETS.len() + 1], 0.0)
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rightcall's gRPC front in Rust.
#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::{Front, FrontLimits, Limits};

    /// Changes with whatever Python calls here, so that neither is used with another release of the other.
    #[pymodule_export]
    const API: u32 = 1;

    #[pymodule_export]
    const FORMAT: u32 = super::FORMAT_VERSION;

    #[pymodule_export]
    const CHALLENGE: u32 = super::VERSION;

    #[pymodule_export]
    const BUCKETS: [u64; 17] = crate::counters::BUCKETS;
}
