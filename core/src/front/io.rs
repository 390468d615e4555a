//! A connection's bytes: over TCP or a Unix socket, in the clear or by TLS; and what is noticed of them.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::authority::Authorities;

/// A socket.
#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket, or TLS over it.
#[derive(Debug)]
pub enum Wire {
    Clear(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// What is noticed of a connection's bytes.
#[derive(Debug)]
pub struct Traffic {
    /// When the peer last sent something.
    pub heard: Cell<Instant>,
    /// Since when the peer takes nothing that is sent to it.
    pub stalled: Cell<Option<Instant>>,
}

/// A connection's bytes.
#[derive(Debug)]
pub struct Io {
    wire: Wire,
    traffic: Rc<Traffic>,
    authorities: Authorities,
}

impl Io {
    pub fn new(wire: Wire) -> (Self, Rc<Traffic>) {
        let traffic = Rc::new(Traffic { heard: Cell::new(Instant::now()), stalled: Cell::new(None) });
        (Self { wire, traffic: Rc::clone(&traffic), authorities: Authorities::default() }, traffic)
    }

    fn noticed<T>(&self, poll: Poll<T>) -> Poll<T> {
        match poll {
            Poll::Pending if self.traffic.stalled.get().is_none() => self.traffic.stalled.set(Some(Instant::now())),
            Poll::Ready(_) => self.traffic.stalled.set(None),
            Poll::Pending => {}
        }
        poll
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.wire).poll_read(cx, buf);
        if read.is_ready() {
            self.traffic.heard.set(Instant::now());
            self.authorities.pass(&mut buf.filled_mut()[before..]);
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write(cx, data);
        self.noticed(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write_vectored(cx, parts);
        self.noticed(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

/// Passes reading and writing on to the variants of an enumeration.
macro_rules! passed_on {
    ($name:ident, $one:ident, $other:ident) => {
        impl AsyncRead for $name {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::$one(io) => Pin::new(io).poll_read(cx, buf),
                    Self::$other(io) => Pin::new(io).poll_read(cx, buf),
                }
            }
        }

        impl AsyncWrite for $name {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    Self::$one(io) => Pin::new(io).poll_write(cx, data),
                    Self::$other(io) => Pin::new(io).poll_write(cx, data),
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                parts: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    Self::$one(io) => Pin::new(io).poll_write_vectored(cx, parts),
                    Self::$other(io) => Pin::new(io).poll_write_vectored(cx, parts),
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    Self::$one(io) => io.is_write_vectored(),
                    Self::$other(io) => io.is_write_vectored(),
                }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::$one(io) => Pin::new(io).poll_flush(cx),
                    Self::$other(io) => Pin::new(io).poll_flush(cx),
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::$one(io) => Pin::new(io).poll_shutdown(cx),
                    Self::$other(io) => Pin::new(io).poll_shutdown(cx),
                }
            }
        }
    };
}

passed_on!(Socket, Tcp, Unix);
passed_on!(Wire, Clear, Tls);
