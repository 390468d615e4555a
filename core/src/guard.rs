//! Who asks, and whether that is too much (`security/guard.py`, `limits.py`).
//!
//! Credentials are judged in Python, once. What came of good ones is remembered here by their digest, until it expires
//! or anything that it was judged by changes; credentials that are not remembered take the way through Python, which
//! refuses them or lets them in, and judges them for here meanwhile.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::digest::{Context, SHA256};

const REMEMBERED: usize = 10_000;
const WAITING: usize = 256;

/// Somebody who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub name: String,
    /// In lower case, sorted; `None`: every tenant.
    pub tenants: Option<Vec<String>>,
}

/// What tells clients apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling {
    /// The header `authorization` is part of it.
    pub header: bool,
    /// The certificate is part of it.
    pub certificate: bool,
    /// Limits count by address, not by client.
    pub by_address: bool,
}

/// Credentials that nothing is remembered of.
#[derive(Debug, Clone)]
pub struct Unknown {
    pub digest: [u8; 32],
    pub authorization: Vec<u8>,
    pub certificate: Option<Arc<[u8]>>,
}

/// Clients by the digest of their credentials, each until a time in seconds of Unix time.
type Known = HashMap<[u8; 32], (Arc<Client>, f64)>;

/// The clients that are known by what they send and show.
#[derive(Debug)]
pub struct Identities {
    pub telling: Telling,
    known: RwLock<Known>,
    unknown: Mutex<VecDeque<Unknown>>,
    arrived: Condvar,
}

impl Identities {
    pub fn new(telling: Telling) -> Self {
        Self { telling, known: RwLock::default(), unknown: Mutex::default(), arrived: Condvar::new() }
    }

    /// The client with these credentials; `None`: Python has to look at them.
    pub fn find(&self, authorization: &[u8], certificate: Option<&Arc<[u8]>>) -> Option<Arc<Client>> {
        let digest = self.digest(authorization, certificate);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((client, expires)) = known.get(&digest)
            && unix_now() < *expires
        {
            return Some(Arc::clone(client));
        }
        drop(known);
        let mut unknown = self.lock();
        if unknown.len() < WAITING && !unknown.iter().any(|other| other.digest == digest) {
            let (authorization, certificate) = (authorization.to_vec(), certificate.cloned());
            unknown.push_back(Unknown { digest, authorization, certificate });
            self.arrived.notify_one();
        }
        None
    }

    fn digest(&self, authorization: &[u8], certificate: Option<&Arc<[u8]>>) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        if self.telling.header {
            context.update(authorization);
        }
        if self.telling.certificate {
            context.update(&[0]);
            context.update(certificate.map_or(&[][..], |certificate| certificate));
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }

    /// The credentials that wait to be judged; waits for some as long as `patience`.
    pub fn unknown(&self, patience: Duration) -> Vec<Unknown> {
        let mut waiting = self.lock();
        if waiting.is_empty() {
            let waited = self.arrived.wait_timeout(waiting, patience);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.drain(..).collect()
    }

    /// Ends a wait for unknown credentials.
    pub fn wake(&self) {
        self.arrived.notify_all();
    }

    /// Good credentials, until a time in seconds of Unix time.
    pub fn remember(&self, digest: [u8; 32], client: Client, expires: f64) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(digest, (Arc::new(client), expires));
    }

    /// What all were judged by has changed.
    pub fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Unknown>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
}

const MAX_CLIENTS: usize = 10_000;
/// When it is worth asking again for a client with too many calls at a time.
const BUSY: Duration = Duration::from_millis(50);

/// Why a call is one too many, and after which time to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    Concurrency(Duration),
    Rate(Duration),
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled: Instant,
    active: u32,
}

/// A token bucket and a number of calls at a time for each client.
///
/// A bucket that holds at least one token can be taken from, and then owes the rest.
#[derive(Debug)]
pub struct Limits {
    rate: f64,
    burst: f64,
    concurrency: u32,
    clients: Mutex<HashMap<String, Bucket>>,
}

impl Limits {
    /// 0 of `rate` or `concurrency` is no limit; of `burst`: the tokens of one second, at least one.
    pub fn new(rate: f64, burst: u32, concurrency: u32) -> Self {
        let burst = if burst > 0 { f64::from(burst) } else { rate.max(1.0) };
        Self { rate, burst, concurrency, clients: Mutex::default() }
    }

    /// A client asks; `leave` must follow where this does not fail.
    pub fn enter(&self, client: &str, cost: u32, now: Instant) -> Result<(), TooMany> {
        let mut clients = self.lock();
        let bucket = self.bucket(&mut clients, client, now);
        if self.concurrency > 0 && bucket.active >= self.concurrency {
            return Err(TooMany::Concurrency(BUSY));
        }
        self.take(bucket, cost, now).map_err(TooMany::Rate)?;
        bucket.active += 1;
        Ok(())
    }

    /// What a client asked holds so many more calls than were taken for it when it entered; it owes them.
    pub fn charge(&self, client: &str, cost: u32, now: Instant) {
        if self.rate > 0.0 {
            self.bucket(&mut self.lock(), client, now).tokens -= f64::from(cost);
        }
    }

    /// What it asked is answered.
    pub fn leave(&self, client: &str) {
        if let Some(bucket) = self.lock().get_mut(client) {
            bucket.active = bucket.active.saturating_sub(1);
        }
    }

    /// Takes a token for one more call of a stream; fails with the time after which to try again.
    pub fn pace(&self, client: &str, now: Instant) -> Result<(), Duration> {
        let mut clients = self.lock();
        let bucket = self.bucket(&mut clients, client, now);
        self.take(bucket, 1, now)
    }

    fn take(&self, bucket: &mut Bucket, cost: u32, now: Instant) -> Result<(), Duration> {
        if self.rate <= 0.0 {
            return Ok(());
        }
        bucket.tokens =
            self.burst.min(now.duration_since(bucket.filled).as_secs_f64().mul_add(self.rate, bucket.tokens));
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.rate));
        }
        bucket.tokens -= f64::from(cost);
        Ok(())
    }

    fn bucket<'a>(&self, clients: &'a mut HashMap<String, Bucket>, client: &str, now: Instant) -> &'a mut Bucket {
        if !clients.contains_key(client) {
            if clients.len() >= MAX_CLIENTS {
                self.forget(clients, now);
            }
            clients.insert(client.to_owned(), Bucket { tokens: self.burst, filled: now, active: 0 });
        }
        clients.get_mut(client).expect("it is there, or was put there")
    }

    /// Drops buckets that are as full as a new one; failing that, those of clients with nothing under way.
    fn forget(&self, clients: &mut HashMap<String, Bucket>, now: Instant) {
        let before = clients.len();
        let full = |bucket: &Bucket| {
            now.duration_since(bucket.filled).as_secs_f64().mul_add(self.rate, bucket.tokens) >= self.burst
        };
        clients.retain(|_, bucket| bucket.active > 0 || !full(bucket));
        if clients.len() == before {
            clients.retain(|_, bucket| bucket.active > 0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Bucket>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Identities, Limits, Telling, TooMany, unix_now};
    use std::time::{Duration, Instant};

    #[test]
    fn a_batch_larger_than_the_bucket_is_paid_off_afterwards() {
        let (limits, start) = (Limits::new(10.0, 5, 0), Instant::now());
        assert_eq!(limits.enter("a", 15, start), Ok(()));
        assert_eq!(limits.enter("a", 1, start), Err(TooMany::Rate(Duration::from_millis(1100))));
        assert_eq!(limits.enter("b", 1, start), Ok(()));
        assert_eq!(limits.enter("a", 1, start + Duration::from_millis(1101)), Ok(()));
    }

    #[test]
    fn credentials_are_remembered_until_they_expire_or_all_are_forgotten() {
        let identities = Identities::new(Telling { header: true, certificate: false, by_address: false });
        let client = || Client { name: "a".to_owned(), tenants: None };
        assert_eq!(identities.find(b"token", None), None);
        let [unknown] = &identities.unknown(Duration::ZERO)[..] else { panic!("it waits to be judged") };

        identities.remember(unknown.digest, client(), unix_now() + 60.0);
        assert_eq!(identities.find(b"token", None).as_deref(), Some(&client()));
        assert_eq!(identities.find(b"other", None), None);
        identities.remember(unknown.digest, client(), unix_now() - 0.1);
        assert_eq!(identities.find(b"token", None), None);
        identities.remember(unknown.digest, client(), unix_now() + 60.0);
        identities.forget();
        assert_eq!(identities.find(b"token", None), None);
    }

    #[test]
    fn calls_at_a_time_are_limited_until_they_end() {
        let (limits, start) = (Limits::new(0.0, 0, 1), Instant::now());
        assert_eq!(limits.enter("a", 1, start), Ok(()));
        assert!(matches!(limits.enter("a", 1, start), Err(TooMany::Concurrency(_))));
        limits.leave("a");
        assert_eq!(limits.enter("a", 1, start), Ok(()));
    }
}
