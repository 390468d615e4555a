//! Memory and files that Python hands over. The one module with `unsafe`: what it rests on stands at each place.

#![allow(unsafe_code, reason = "Python's buffers are pointers, and a file's number is just a number")]

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::buffer::PyBuffer;

use crate::rules::snapshot::Memory;

/// Buffers that nothing reads any more. To give one back needs the interpreter's lock, which no thread here waits for.
#[derive(Default)]
pub struct Retired(Mutex<Vec<PyBuffer<u8>>>);

impl Retired {
    /// Gives the buffers back; call it with the interpreter's lock.
    pub fn release(&self) {
        let buffers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(buffers);
    }
}

struct Buffer {
    buffer: Option<Held>,
    retired: Arc<Retired>,
}

impl Memory for Buffer {
    fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], Held::bytes)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.retired.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer.0);
        }
    }
}

/// A buffer in one piece.
struct Held(PyBuffer<u8>);

impl Memory for Held {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer is contiguous (`contiguous` has looked) and exported for as long as it is held, so it stays
        // where it is; and snapshots' blobs are never written to once they are made (`memory.py`).
        unsafe { std::slice::from_raw_parts(self.0.buf_ptr().cast::<u8>(), self.0.len_bytes()) }
    }
}

fn contiguous(buffer: PyBuffer<u8>) -> Result<Held, String> {
    if buffer.is_c_contiguous() { Ok(Held(buffer)) } else { Err("a blob has to lie in one piece".to_owned()) }
}

/// A blob, where it lies in Python's memory, for threads without the interpreter's lock.
pub fn memory_of(buffer: PyBuffer<u8>, retired: &Arc<Retired>) -> Result<Box<dyn Memory>, String> {
    Ok(Box::new(Buffer { buffer: Some(contiguous(buffer)?), retired: Arc::clone(retired) }))
}

/// A blob, where it lies in Python's memory, for threads that have the interpreter's lock.
pub fn held(buffer: PyBuffer<u8>) -> Result<Box<dyn Memory>, String> {
    Ok(Box::new(contiguous(buffer)?))
}

/// An open file that Python has let go of (`socket.detach`).
pub fn owned(number: i32) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: Python has detached it for this, so nothing else closes it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
