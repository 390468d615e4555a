//! Threads that serve connections, and the one that accepts them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use h2::server;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::backend::Backend;
use super::beats::{Beat, give};
use super::io::{Io, Socket, Wire};
use super::reply::Room;
use super::session::{Changes, Peer, Session};
use super::settings::Shared;
use crate::counters::Counters;
use crate::current::Remembered;
use crate::log::Pen;

const STREAM_WINDOW: u32 = 65_535;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const HEADER_LIST: usize = 512 * 1024;
const SEND_BUFFER: usize = 64 * 1024;
const PENDING_RESETS: usize = 20;
const LOCAL_RESETS: usize = 1024;
/// After accepting failed, mostly because too many files are open.
const PAUSE: Duration = Duration::from_millis(50);

/// What the server is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Serving,
    /// Clients are told to go elsewhere, and served meanwhile.
    Draining,
    /// So are they, but streams end.
    Ending,
    Closing,
}

/// What the connections of a thread share.
pub struct Thread {
    pub shared: Arc<Shared>,
    pub counters: Arc<Counters>,
    pub seen: Rc<RefCell<Remembered>>,
    pub pen: RefCell<Pen>,
    pub room: RefCell<Room>,
    pub backend: Backend,
    pub phases: watch::Receiver<Phase>,
    /// Calls that are answered behind and expected to end soon.
    pub short: Arc<AtomicUsize>,
}

/// What is listened on.
#[derive(Debug)]
pub enum Listening {
    Tcp(std::net::TcpListener),
    Unix(StdUnixListener),
}

/// A connection that was accepted.
enum Accepted {
    Tcp(std::net::TcpStream, SocketAddr),
    Unix(StdUnixStream),
}

/// A running front.
#[derive(Debug)]
pub struct Front {
    pub shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    threads: Vec<JoinHandle<()>>,
    beats: Vec<Beat>,
    short: Arc<AtomicUsize>,
}

/// A thread that serves, as the one that accepts knows it.
struct Serving {
    accepted: mpsc::UnboundedSender<Accepted>,
    connections: Arc<AtomicUsize>,
}

impl Front {
    /// Serves what comes, in so many threads.
    pub fn start(shared: Arc<Shared>, listening: Vec<Listening>, threads: usize) -> io::Result<Self> {
        let phase = watch::Sender::new(Phase::Serving);
        let short = Arc::new(AtomicUsize::new(0));
        let (mut serving, mut started) = (Vec::new(), Vec::new());
        // One for each thread that serves, and one for that which accepts.
        let beats: Vec<Beat> = (0..=threads.max(1)).map(|_| Beat::default()).collect();
        for (number, beat) in beats.iter().enumerate().take(threads.max(1)) {
            let beat = Arc::clone(beat);
            let (sender, receiver) = mpsc::unbounded_channel();
            let connections = Arc::new(AtomicUsize::new(0));
            serving.push(Serving { accepted: sender, connections: Arc::clone(&connections) });
            let (shared, phases, short) = (Arc::clone(&shared), phase.subscribe(), Arc::clone(&short));
            let run = move || {
                run_local(async move {
                    spawn_local(give(beat));
                    let backend = Backend::new(shared.settings.behind.clone());
                    let counters = shared.counters();
                    let thread = Rc::new(Thread {
                        shared,
                        counters,
                        seen: Rc::default(),
                        pen: RefCell::default(),
                        room: RefCell::default(),
                        backend,
                        phases,
                        short,
                    });
                    serve(&thread, receiver, &connections).await;
                });
            };
            started.push(std::thread::Builder::new().name(format!("core-{number}")).spawn(run)?);
        }
        let (own, phases) = (Arc::clone(&shared), phase.subscribe());
        let beat = beats.last().map(Arc::clone).unwrap_or_default();
        let run = move || {
            run_local(async move {
                spawn_local(give(beat));
                let serving = Rc::new(serving);
                let accepting = listening.into_iter().map(|listening| {
                    spawn_local(accept(Arc::clone(&own), listening, Rc::clone(&serving), phases.clone()))
                });
                for accepting in accepting.collect::<Vec<_>>() {
                    // One that panicked accepts no more; the others go on.
                    drop(accepting.await);
                }
            });
        };
        started.push(std::thread::Builder::new().name("core-accept".to_owned()).spawn(run)?);
        Ok(Self { shared, phase, threads: started, beats, short })
    }

    /// Enters another phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// How often each thread has given a sign of life: those that serve, then that which accepts, until it is draining.
    pub fn beats(&self) -> Vec<u64> {
        self.beats.iter().map(|beat| beat.load(Relaxed)).collect()
    }

    /// Calls in flight that are expected to end soon.
    pub fn short(&self) -> usize {
        self.short.load(Relaxed)
    }

    /// Waits for the threads to end, which they do when it is closing.
    pub fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to say.
            drop(thread.join());
        }
    }
}

fn run_local(work: impl Future<Output = ()>) {
    let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Ok(runtime) = made {
        LocalSet::new().block_on(&runtime, work);
    }
}

/// Accepts connections until the server drains, then those that wait to be accepted.
async fn accept(
    shared: Arc<Shared>,
    listening: Listening,
    serving: Rc<Vec<Serving>>,
    mut phases: watch::Receiver<Phase>,
) {
    let drains = async move { drop(phases.wait_for(|phase| *phase != Phase::Serving).await) };
    tokio::pin!(drains);
    let Ok(listener) = Listener::open(listening) else { return };
    loop {
        tokio::select! {
            () = &mut drains => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => hand_over(&shared, accepted, &serving),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
    while let Ok(Ok(accepted)) = timeout(Duration::ZERO, listener.accept()).await {
        hand_over(&shared, accepted, &serving);
    }
}

/// Gives a connection to the thread that has fewest; closes it where there are too many.
fn hand_over(shared: &Shared, accepted: Accepted, serving: &[Serving]) {
    if shared.settings.max_connections.is_some_and(|most| shared.connections.load(Relaxed) >= most) {
        return;
    }
    let Some(thread) = serving.iter().min_by_key(|thread| thread.connections.load(Relaxed)) else { return };
    thread.connections.fetch_add(1, Relaxed);
    shared.connections.fetch_add(1, Relaxed);
    // A thread that has ended does so because the server closes.
    drop(thread.accepted.send(accepted));
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn open(listening: Listening) -> io::Result<Self> {
        Ok(match listening {
            Listening::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Listening::Unix(listener) => Self::Unix(UnixListener::from_std(listener)?),
        })
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok(Accepted::Tcp(stream.into_std()?, address))
            }
            Self::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0.into_std()?)),
        }
    }
}

/// Serves the connections of a thread until the server closes.
async fn serve(thread: &Rc<Thread>, mut accepted: mpsc::UnboundedReceiver<Accepted>, connections: &Arc<AtomicUsize>) {
    let mut watched = thread.phases.clone();
    let closes = async move { drop(watched.wait_for(|phase| *phase == Phase::Closing).await) };
    tokio::pin!(closes);
    loop {
        let next = tokio::select! {
            () = &mut closes => return,
            next = accepted.recv() => next,
        };
        let Some(next) = next else {
            closes.await;
            return;
        };
        let open = Open { shared: Arc::clone(&thread.shared), thread: Arc::clone(connections) };
        let thread = Rc::clone(thread);
        spawn_local(async move {
            // A peer that does not even get that far is not worth a word.
            drop(connection(thread, next).await);
            drop(open);
        });
    }
}

/// Counts a connection as long as it lives.
struct Open {
    shared: Arc<Shared>,
    thread: Arc<AtomicUsize>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.thread.fetch_sub(1, Relaxed);
        self.shared.connections.fetch_sub(1, Relaxed);
    }
}

async fn connection(thread: Rc<Thread>, accepted: Accepted) -> io::Result<()> {
    let (socket, address) = match accepted {
        Accepted::Tcp(stream, address) => {
            stream.set_nodelay(true)?;
            (Socket::Tcp(TcpStream::from_std(stream)?), told(address))
        }
        Accepted::Unix(stream) => (Socket::Unix(UnixStream::from_std(stream)?), "unix:".to_owned()),
    };
    let handshake = thread.shared.settings.handshake;
    let (wire, certificate) = match thread.shared.tls.load_full() {
        None => (Wire::Clear(socket), None),
        Some(config) => {
            let stream = timeout(handshake, TlsAcceptor::from(config).accept(socket)).await??;
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let certificate = shown.map(|certificate| Arc::from(certificate.as_ref()));
            (Wire::Tls(Box::new(stream)), certificate)
        }
    };
    let (io, traffic) = Io::new(wire);
    let settings = &thread.shared.settings;
    let mut builder = server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // What is more than allowed is refused with a status; only what is much more, by HTTP/2.
        .max_header_list_size(u32::try_from(settings.max_metadata_size.max(HEADER_LIST)).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(Some(LOCAL_RESETS));
    if let Some(most) = settings.max_concurrent_streams {
        builder.max_concurrent_streams(most);
    }
    let h2 = timeout(handshake, builder.handshake(io)).await?.map_err(io::Error::other)?;
    let mut changes = Changes::new(&thread.phases);
    let mut session = Session::new(h2, thread, Peer { address, certificate }, traffic);
    poll_fn(|cx| session.poll(cx, &mut changes)).await;
    Ok(())
}

/// An address as gRPC writes it.
fn told(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => format!("ipv4:{address}"),
        SocketAddr::V6(address) => match address.ip().to_ipv4_mapped() {
            Some(ip) => format!("ipv4:{ip}:{}", address.port()),
            None => format!("ipv6:[{}]:{}", address.ip(), address.port()),
        },
    }
}
