//! The one message of a request, taken in frame by frame.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;

use super::reply::PREFIX;

/// Bytes of unfinished messages that one connection may have here.
pub const MOST_HELD: usize = 16 * 1024 * 1024;

/// What came of a request's message so far.
#[derive(Debug)]
pub enum Taken {
    /// All that was sent, which mostly is one message with its prefix.
    Whole(Bytes),
    /// A message is larger than taken; it has, or declares, so many bytes.
    TooLarge(usize),
    /// The connection has too many unfinished messages.
    TooMany,
    /// The client took the call back, or is gone.
    Gone,
}

/// A request's message.
#[derive(Debug)]
pub struct Body {
    stream: RecvStream,
    first: Bytes,
    more: BytesMut,
    held: Held,
    most: usize,
}

/// The share that one call has of the bytes held for its connection.
#[derive(Debug)]
pub struct Held {
    bytes: usize,
    all: Rc<Cell<usize>>,
}

impl Held {
    fn add(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.all.set(self.all.get() + bytes);
        self.all.get() <= MOST_HELD
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.bytes);
    }
}

impl Body {
    /// A message of at most so many bytes; `all` counts those held for its connection.
    pub fn new(stream: RecvStream, most: usize, all: &Rc<Cell<usize>>) -> Self {
        let held = Held { bytes: 0, all: Rc::clone(all) };
        Self { stream, first: Bytes::new(), more: BytesMut::new(), held, most }
    }

    /// Takes in what has come.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Taken> {
        loop {
            match self.stream.poll_data(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Taken::Whole(self.whole())),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Taken::Gone),
                Poll::Ready(Some(Ok(data))) => {
                    if let Some(end) = self.add(data) {
                        return Poll::Ready(end);
                    }
                }
            }
            if self.stream.is_end_stream() {
                return Poll::Ready(Taken::Whole(self.whole()));
            }
        }
    }

    #[inline]
    fn add(&mut self, data: Bytes) -> Option<Taken> {
        if self.stream.flow_control().release_capacity(data.len()).is_err() {
            return Some(Taken::Gone);
        }
        let size = data.len();
        if self.first.is_empty() {
            self.first = data;
        } else {
            if self.more.is_empty() {
                self.more.extend_from_slice(&self.first);
            }
            self.more.extend_from_slice(&data);
        }
        let so_far = if self.more.is_empty() { &self.first[..] } else { &self.more[..] };
        let expected = declared(so_far).unwrap_or(0).max(so_far.len().saturating_sub(PREFIX));
        if expected > self.most {
            return Some(Taken::TooLarge(expected));
        }
        if !self.stream.is_end_stream() && !self.held.add(size) {
            return Some(Taken::TooMany);
        }
        None
    }

    fn whole(&mut self) -> Bytes {
        if self.more.is_empty() { std::mem::take(&mut self.first) } else { std::mem::take(&mut self.more).freeze() }
    }

    /// The share of the connection's bytes, to be kept as long as the message is.
    pub fn into_held(self) -> Held {
        self.held
    }
}

/// The length that a message's prefix declares, once that is there.
#[inline]
pub fn declared(data: &[u8]) -> Option<usize> {
    match data {
        [_, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d]) as usize),
        _ => None,
    }
}

/// The bytes of a request that is one uncompressed message.
#[inline]
pub fn single(data: &[u8]) -> Option<&[u8]> {
    (data.first() == Some(&0) && declared(data) == Some(data.len() - PREFIX)).then(|| &data[PREFIX..])
}
