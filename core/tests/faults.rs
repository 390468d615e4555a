//! A front without Python: what a mistake of ours and peers that do not begin do to it.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use _core::front::server::{Front, Listening, Phase};
use _core::front::settings::{Settings, Shared};
use _core::policy::Policy;
use _core::rules::emergency::Emergency;
use _core::rules::snapshot::{Facts, Memory, Snapshot};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

const TENANT: &str = "54eb71f8-1f4b-4ae4-8730-638062fbe521";
const CHECK: &str = "/rightcall.v1.DecisionService/CheckCall";
const STREAM: &str = "/rightcall.v1.DecisionService/StreamCheckCalls";
const DEADLINE: Duration = Duration::from_secs(20);

/// A blob that cannot be read while it is broken, as if there were a mistake in what reads it.
struct Fragile {
    blob: Vec<u8>,
    broken: Arc<AtomicBool>,
}

impl Memory for Fragile {
    fn bytes(&self) -> &[u8] {
        assert!(!self.broken.load(SeqCst), "this panic is the test's");
        &self.blob
    }
}

struct Server {
    front: Front,
    address: SocketAddr,
    broken: Arc<AtomicBool>,
}

impl Server {
    fn start(handshake: Duration) -> Self {
        let settings = Settings {
            max_message_size: 1 << 20,
            max_metadata_size: 1 << 14,
            max_concurrent_streams: Some(100),
            max_connections: Some(100),
            max_calls: 100,
            max_streams: 10,
            handshake,
            keepalive_time: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            idle: None,
            age: None,
            grace: None,
            decides: true,
            services: HashSet::new(),
            behind: PathBuf::from("/nowhere"),
        };
        let shared = Arc::new(Shared::new(settings, Arc::new(Policy::default()), None, None, None, None, None));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases/snapshot-v3.bin");
        let broken = Arc::new(AtomicBool::new(false));
        let memory = Fragile { blob: std::fs::read(path).unwrap(), broken: Arc::clone(&broken) };
        let (tenant, revision, emergency) = (TENANT.to_owned(), "1-ab".to_owned(), Emergency::default());
        let facts = Facts { tenant, number: 1, revision, closed: false, emergency };
        let snapshot = Arc::new(Snapshot::open(Box::new(memory), facts).unwrap());
        shared.state.rcu(|state| state.changed(TENANT, Some(&snapshot), true));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self { front: Front::start(shared, vec![Listening::Tcp(listener)], 1).unwrap(), address, broken }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.front.enter(Phase::Closing);
        self.front.join();
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(DEADLINE, test).await.unwrap() });
}

async fn client(address: SocketAddr) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

/// The status of a call with this message, and how many bytes of messages came back.
async fn status(sender: &mut SendRequest<Bytes>, path: &str, message: &[u8]) -> (String, usize) {
    let uri = format!("http://localhost{path}");
    let request = Request::post(uri).header("content-type", "application/grpc").body(()).unwrap();
    let (response, mut stream) = sender.send_request(request, false).unwrap();
    let length = u8::try_from(message.len()).unwrap();
    stream.send_data(Bytes::from([&[0, 0, 0, 0, length], message].concat()), true).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    let mut received = 0;
    while let Some(data) = body.data().await {
        received += data.unwrap().len();
    }
    let trailers = body.trailers().await.unwrap().unwrap_or(head.headers);
    (trailers["grpc-status"].to_str().unwrap().to_owned(), received)
}

#[test]
fn a_panic_is_an_internal_error_of_its_call_alone() {
    run(async {
        let server = Server::start(Duration::from_secs(10));
        let mut sender = client(server.address).await;
        let call = b"\x12\x041234";
        let streamed = [&[0x12, 6], &call[..]].concat();
        for _ in 0..3 {
            let (good, bytes) = status(&mut sender, CHECK, call).await;
            assert!(good == "0" && bytes > 5, "{good} {bytes}");
            assert_eq!(status(&mut sender, STREAM, &streamed).await.0, "0");
            server.broken.store(true, SeqCst);
            let named = [&call[..], b"\x22\x24", TENANT.as_bytes(), b"\x0a\x01a"].concat();
            assert_eq!(status(&mut sender, CHECK, &named).await, ("13".to_owned(), 0));
            let named = [&[0x12, u8::try_from(named.len()).unwrap()], &named[..]].concat();
            assert_eq!(status(&mut sender, STREAM, &named).await, ("13".to_owned(), 0));
            server.broken.store(false, SeqCst);
        }
        assert_eq!(status(&mut client(server.address).await, CHECK, call).await.0, "0");
    });
}

#[test]
fn who_does_not_begin_is_let_go() {
    run(async {
        let server = Server::start(Duration::from_millis(200));
        for hello in [&b""[..], b"PRI * HTTP/2.0\r\n"] {
            let mut socket = TcpStream::connect(server.address).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut socket, hello).await.unwrap();
            let mut received = Vec::new();
            // It ends, in order or with a reset.
            drop(socket.read_to_end(&mut received).await);
        }
        assert_eq!(status(&mut client(server.address).await, CHECK, b"\x12\x011").await.0, "0");
    });
}
