//! A thread's connection to the server behind, over its Unix socket.

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use tokio::net::UnixStream;
use tokio::task::spawn_local;

const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
const HEADER_LIST: u32 = 1024 * 1024;

/// The way to the server behind; connected when it is first needed, and again when it has broken.
#[derive(Debug)]
pub struct Backend {
    path: PathBuf,
    connected: RefCell<Option<SendRequest<Bytes>>>,
}

impl Backend {
    pub const fn new(path: PathBuf) -> Self {
        Self { path, connected: RefCell::new(None) }
    }

    /// A handle that takes one more call.
    pub async fn ready(&self) -> io::Result<SendRequest<Bytes>> {
        let connected = self.connected.borrow().clone();
        if let Some(sender) = connected
            && let Ok(ready) = sender.ready().await
        {
            return Ok(ready);
        }
        let sender = self.connect().await?;
        self.connected.replace(Some(sender.clone()));
        sender.ready().await.map_err(io::Error::other)
    }

    async fn connect(&self) -> io::Result<SendRequest<Bytes>> {
        let socket = UnixStream::connect(&self.path).await?;
        let (sender, connection) = client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST)
            .enable_push(false)
            .handshake(socket)
            .await
            .map_err(io::Error::other)?;
        // How it ends is noticed by those who use it.
        spawn_local(async move { drop(connection.await) });
        Ok(sender)
    }
}
