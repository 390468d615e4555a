//! The stream behind a stream: for those of its requests that are not plain, opened with the first of them.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::request::Parts;

use super::body::declared;
use super::forward::{begin, pass};
use super::reply::PREFIX;
use super::server::Thread;
use super::session::Peer;

/// What the server behind said to a request.
pub enum Said {
    /// A response, with its prefix.
    Response(Bytes),
    /// The end of the stream, which is to be that of the whole stream.
    End(HeaderMap),
}

/// A stream to the server behind.
pub struct Side {
    asking: SendStream<Bytes>,
    head: Option<ResponseFuture>,
    coming: Option<RecvStream>,
    buffer: BytesMut,
}

impl Side {
    /// Opens a stream with the head of the one that it is for; `logged`: the id under which the decision log has that,
    /// and how many decisions it has of it.
    pub async fn open(
        thread: &Rc<Thread>,
        peer: &Arc<Peer>,
        parts: &Parts,
        logged: Option<([u8; 32], usize)>,
    ) -> io::Result<Self> {
        let mut own = http::Request::new(());
        *own.method_mut() = parts.method.clone();
        *own.uri_mut() = parts.uri.clone();
        *own.headers_mut() = parts.headers.clone();
        let (head, asking) = begin(thread, peer, own.into_parts().0, logged).await?;
        Ok(Self { asking, head: Some(head), coming: None, buffer: BytesMut::new() })
    }

    /// What a request, with its prefix, is answered with.
    pub async fn ask(&mut self, request: Bytes) -> Result<Said, h2::Error> {
        pass(&mut self.asking, request, false).await?;
        self.next().await
    }

    /// Ends the stream; there is nothing more to ask.
    pub async fn close(mut self) -> Result<HeaderMap, h2::Error> {
        self.asking.send_data(Bytes::new(), true)?;
        loop {
            if let Said::End(trailers) = self.next().await? {
                return Ok(trailers);
            }
        }
    }

    async fn next(&mut self) -> Result<Said, h2::Error> {
        if let Some(head) = self.head.take() {
            let (parts, coming) = head.await?.into_parts();
            if coming.is_end_stream() {
                let mut trailers = parts.headers;
                trailers.remove(CONTENT_TYPE);
                return Ok(Said::End(trailers));
            }
            self.coming = Some(coming);
        }
        let Some(coming) = &mut self.coming else { return Ok(Said::End(HeaderMap::new())) };
        loop {
            if let Some(length) = declared(&self.buffer)
                && self.buffer.len() >= PREFIX + length
            {
                return Ok(Said::Response(self.buffer.split_to(PREFIX + length).freeze()));
            }
            let Some(data) = coming.data().await else {
                return Ok(Said::End(coming.trailers().await?.unwrap_or_default()));
            };
            let data = data?;
            coming.flow_control().release_capacity(data.len())?;
            self.buffer.extend_from_slice(&data);
        }
    }
}
