//! The front, as Python makes, feeds and stops it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use super::counts::Counts;
use super::limits::Limits;
use super::settings::{FrontLimits, FrontPolicy};
use crate::answer::{By, check_call, check_calls};
use crate::challenge::Seal;
use crate::current::{Remembered, State};
use crate::front::server::{Front as Running, Listening, Phase};
use crate::front::settings::Shared;
use crate::front::tls;
use crate::guard::{Client, Identities, Telling};
use crate::log::Log;
use crate::memory::{Retired, memory_of, owned};
use crate::rules::emergency::Emergency;
use crate::rules::snapshot::{Facts, Snapshot};

/// A permission that denied calls: tenant, id, name, decision, and how often.
type Denying = (String, u64, String, u8, u64);
/// A tenant, a decision, that of its candidate (0: none), and how often.
type Compared = (String, u8, u8, u64);
/// A tenant and its candidate's revision; caller, extension and outcall; decisions and permissions of both.
type Difference = ([String; 2], [String; 3], (u8, u8), (Option<u64>, Option<u64>));
/// Digest, header and certificate.
type Credentials = ([u8; 32], Vec<u8>, Option<Vec<u8>>);

/// Serves gRPC.
#[pyclass(frozen)]
pub struct Front {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
    retired: Arc<Retired>,
    threads: usize,
}

#[pymethods]
impl Front {
    #[new]
    #[pyo3(signature = (behind, *, threads, decides, limits, policy, services, clients, buckets, seal, log, certificate))]
    #[allow(clippy::too_many_arguments, reason = "a constructor's choices, all of them named")]
    fn new(
        behind: PathBuf,
        threads: usize,
        decides: bool,
        limits: &FrontLimits,
        policy: &FrontPolicy,
        services: HashSet<String>,
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
            limits.settings(decides, services, behind),
            Arc::clone(&policy.0),
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
    /// `closed`: it holds no rules yet. `emergency`: the ways to dial the tenant's emergency numbers, and the server's.
    ///
    /// Returns whether it is of a format that is understood here; calls of all tenants are for Python while one is not.
    #[pyo3(signature = (tenant, number, revision, blob, *, closed, emergency))]
    fn replace(
        &self,
        tenant: String,
        number: u64,
        revision: String,
        blob: PyBuffer<u8>,
        closed: bool,
        emergency: HashSet<String>,
    ) -> PyResult<bool> {
        let named = tenant.clone();
        let facts = Facts { tenant, number, revision, closed, emergency: Emergency::new(emergency) };
        let opened = self.opened(blob, facts)?;
        self.change(&named, opened.as_ref(), opened.is_some());
        Ok(opened.is_some())
    }

    /// Decisions on calls of a tenant are compared with those by this blob from now on; as in `replace`.
    #[pyo3(signature = (tenant, number, revision, blob, *, closed, emergency))]
    fn compare(
        &self,
        tenant: String,
        number: u64,
        revision: String,
        blob: PyBuffer<u8>,
        closed: bool,
        emergency: HashSet<String>,
    ) -> PyResult<bool> {
        let named = tenant.clone();
        let facts = Facts { tenant, number, revision, closed, emergency: Emergency::new(emergency) };
        let opened = self.opened(blob, facts)?;
        self.shared.state.rcu(|state| state.comparing(&named, opened.as_ref()));
        Ok(opened.is_some())
    }

    /// Decisions on calls of a tenant are compared with nothing any more.
    fn stop_comparing(&self, tenant: &str) {
        self.shared.state.rcu(|state| state.comparing(tenant, None));
    }

    /// Whether there may be tenants that are not here.
    fn set_incomplete(&self, incomplete: bool) {
        if self.shared.state.load().incomplete != incomplete {
            self.shared.state.rcu(|state| state.with(incomplete));
        }
    }

    /// What health checks are told.
    fn set_serving(&self, serving: bool) {
        self.shared.serving.store(serving, Relaxed);
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

    /// How often each thread has given a sign of life; none before the start and after the end.
    fn beats(&self) -> Vec<u64> {
        locked(&self.running).as_ref().map(Running::beats).unwrap_or_default()
    }

    /// Connections that are open, and calls in flight that are expected to end soon.
    fn load(&self) -> (usize, usize) {
        let short = locked(&self.running).as_ref().map_or(0, Running::short);
        (self.shared.connections.load(Relaxed), short)
    }

    /// The response to a CheckCall or a CheckCalls as it would be sent to a client that may ask about these tenants;
    /// `None`: about every one.
    ///
    /// Nothing is counted. Returns `None` where the request is for Python.
    #[pyo3(signature = (*, many, request, tenants = None))]
    #[allow(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn answer(&self, many: bool, request: &[u8], tenants: Option<Vec<String>>) -> Option<Vec<u8>> {
        let state = self.shared.state.load();
        let by = By {
            state: &state,
            policy: &self.shared.policy,
            seal: self.shared.seal.as_ref(),
            tenants: tenants.as_deref(),
            most: self.shared.settings.max_calls,
        };
        let (mut response, seen) = (Vec::new(), &mut Remembered::default());
        let answered = if many {
            check_calls(request, by, seen, &mut response)
        } else {
            check_call(request, by, seen, &mut response)
        };
        answered.ok().map(|_| response)
    }

    /// What was counted since the start.
    fn counted(&self) -> Counts {
        let mut total = Counts::default();
        for counters in self.shared.all_counters() {
            total.add(&counters);
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
                    found.push((snapshot.facts.tenant.clone(), permission.id, name, (verdict & 3) as u8, count));
                }
            }
            for (decision, count) in counters.take_together() {
                found.push((String::new(), 0, String::new(), decision, count));
            }
        }
        found
    }

    /// How often decisions were compared with those of candidates, since the start.
    fn compared(&self) -> Vec<Compared> {
        let mut found = Vec::new();
        for counters in self.shared.all_counters() {
            for (tenant, matrix) in &counters.compared().counts {
                for (current, row) in (0..).zip(matrix) {
                    let counts = (0..).zip(row).filter(|(_, count)| **count > 0);
                    found.extend(counts.map(|(other, count)| (tenant.clone(), current, other, *count)));
                }
            }
        }
        found
    }

    /// Takes away some of the calls that candidates decide otherwise.
    fn differences(&self) -> Vec<Difference> {
        let mut found = Vec::new();
        for counters in self.shared.all_counters() {
            for one in std::mem::take(&mut counters.compared().differences) {
                let facts = &one.candidate.facts;
                let of = [facts.tenant.clone(), facts.revision.clone()];
                found.push((of, [one.caller, one.extension, one.outcall], one.decisions, one.permissions));
            }
        }
        found
    }

    /// Lines of the decision log that have to be written, and how many there are; waits for some for so many seconds.
    fn logged(&self, py: Python<'_>, seconds: f64) -> (Cow<'static, [u8]>, usize) {
        let Some(log) = &self.shared.log else { return (Cow::Borrowed(&[]), 0) };
        let patience = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let (text, lines) = py.detach(|| log.take(patience));
        (Cow::Owned(text), lines)
    }

    /// How many lines were dropped since the last time.
    fn dropped(&self) -> u64 {
        self.shared.log.as_ref().map_or(0, Log::take_dropped)
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
    /// The rules in a blob; `None`: it is of a format that is not understood here.
    fn opened(&self, blob: PyBuffer<u8>, facts: Facts) -> PyResult<Option<Arc<Snapshot>>> {
        let memory = memory_of(blob, &self.retired).map_err(PyValueError::new_err)?;
        Ok(Snapshot::open(memory, facts).ok().map(Arc::new))
    }

    fn change(&self, tenant: &str, snapshot: Option<&Arc<Snapshot>>, understood: bool) {
        self.shared.state.rcu(|state| State::changed(state, tenant, snapshot, understood));
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
