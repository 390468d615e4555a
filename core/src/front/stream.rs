//! StreamCheckCalls: each request is answered as soon as it is read, in their order.
//!
//! Who does not read the answers is not asked for more requests: no frame is taken in while an answer waits to be sent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::HeaderMap;
use http::request::Parts;
use tokio::time::sleep;

use super::body::declared;
use super::forward::pass;
use super::hot::{Admitted, Hot, INTERNAL};
use super::reply::{self, Code, PREFIX};
use super::server::{Phase, Thread};
use super::session::Peer;
use super::side::{Said, Side};
use crate::counters::Ended;

/// Bytes of answers that are sent together.
const TOGETHER: usize = 16 * 1024;
/// The longest pause of a stream that is slowed down, after which it is looked whether anybody still listens.
const PAUSE: Duration = Duration::from_millis(250);

/// A stream that is served.
pub struct Serving {
    pub thread: Rc<Thread>,
    pub peer: Arc<Peer>,
    pub parts: Parts,
    pub hot: Hot,
    pub admitted: Admitted,
}

/// How a stream ends.
enum End {
    /// Its client has nothing more to ask.
    Done,
    /// Its client took it back, or is gone.
    Gone,
    TooLarge(usize),
    Stopping,
    /// By a mistake of ours.
    Mistaken,
    /// As the server behind said.
    Said(HeaderMap),
}

/// Counts a stream as long as it lives.
struct Open(Rc<Thread>);

impl Open {
    /// `None`: there are as many as there may be.
    fn one_more(thread: &Rc<Thread>) -> Option<Self> {
        let streams = &thread.shared.streams;
        let counted = Self(Rc::clone(thread));
        (streams.fetch_add(1, Relaxed) < thread.shared.settings.max_streams).then_some(counted)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.streams.fetch_sub(1, Relaxed);
    }
}

/// What answers go out by: the head goes with the first of them.
enum Out {
    Begun(SendStream<Bytes>),
    Unbegun(SendResponse<Bytes>),
}

impl Serving {
    /// Serves it to its end.
    pub async fn serve(self, coming: RecvStream, mut respond: SendResponse<Bytes>) {
        let Some(_open) = Open::one_more(&self.thread) else {
            let most = self.thread.shared.settings.max_streams;
            let why = format!("{most} streams are open here, and no more are served; share one, or ask another server");
            self.hot.ended(Ended::ResourceExhausted);
            return reply::refuse(&mut respond, Code::ResourceExhausted, &why);
        };
        let mut side = None;
        let mut out = Out::Unbegun(respond);
        let end = self.answer(coming, &mut out, &mut side).await;
        let in_python = side.is_some();
        let id = self.admitted.logged().map(|(id, _)| id);
        let trailers = match (&end, side) {
            (End::Done, Some(side)) => side.close().await.unwrap_or_else(|_| reply::trailers(id)),
            (End::Said(trailers), _) => trailers.clone(),
            _ => reply::trailers(id),
        };
        // The server behind counts those that it had a part in.
        if !in_python {
            self.hot.ended(match end {
                End::Done | End::Said(_) => Ended::Ok,
                End::Gone => Ended::Cancelled,
                End::TooLarge(_) => Ended::ResourceExhausted,
                End::Stopping => Ended::Unavailable,
                End::Mistaken => Ended::Internal,
            });
        }
        out.end(&end, trailers, id, self.thread.shared.settings.max_message_size);
    }

    async fn answer(&self, mut coming: RecvStream, out: &mut Out, side: &mut Option<Side>) -> End {
        let mut buffer = BytesMut::new();
        let mut answers = Vec::new();
        loop {
            while let Some(framed) = match next(&mut buffer, self.thread.shared.settings.max_message_size) {
                Ok(framed) => framed,
                Err(end) => return end,
            } {
                if let Err(end) = self.answer_one(framed, &mut answers, out, side).await {
                    return end;
                }
                if answers.len() >= TOGETHER && out.send(std::mem::take(&mut answers)).await.is_none() {
                    return End::Gone;
                }
                if self.stops() {
                    return if out.send(answers).await.is_none() { End::Gone } else { End::Stopping };
                }
            }
            if out.send(std::mem::take(&mut answers)).await.is_none() {
                return End::Gone;
            }
            match self.more(&mut coming, out).await {
                Ok(data) => buffer.extend_from_slice(&data),
                Err(end) => return end,
            }
        }
    }

    /// What comes next from the client.
    async fn more(&self, coming: &mut RecvStream, out: &mut Out) -> Result<Bytes, End> {
        let mut phases = self.thread.phases.clone();
        let data = tokio::select! {
            biased;
            () = out.reset() => return Err(End::Gone),
            data = coming.data() => data,
            _ = phases.wait_for(|phase| matches!(phase, Phase::Ending | Phase::Closing)) => return Err(End::Stopping),
        };
        match data {
            None => Err(End::Done),
            Some(Err(_)) => Err(End::Gone),
            Some(Ok(data)) => match coming.flow_control().release_capacity(data.len()) {
                Ok(()) => Ok(data),
                Err(_) => Err(End::Gone),
            },
        }
    }

    async fn answer_one(
        &self,
        framed: Bytes,
        answers: &mut Vec<u8>,
        out: &mut Out,
        side: &mut Option<Side>,
    ) -> Result<(), End> {
        // One side numbers the decisions of the log, so Python goes on once it has begun.
        let here = side.is_none() || self.thread.shared.log.is_none();
        if here && framed[0] == 0 && self.plain(&framed[PREFIX..], answers, out).await? {
            return Ok(());
        }
        // Who asked before must not wait for Python.
        out.send(std::mem::take(answers)).await.ok_or(End::Gone)?;
        self.hot.handed_streamed();
        if side.is_none() {
            *side = Side::open(&self.thread, &self.peer, &self.parts, self.admitted.logged()).await.ok();
        }
        let Some(side) = side else { return Err(End::Gone) };
        let said = tokio::select! {
            biased;
            () = out.reset() => return Err(End::Gone),
            said = side.ask(framed) => said,
        };
        match said {
            Ok(Said::Response(response)) => answers.extend_from_slice(&response),
            Ok(Said::End(trailers)) => {
                return Err(End::Said(trailers));
            }
            Err(_) => return Err(End::Gone),
        }
        Ok(())
    }

    /// Answers a plain request, when its client may ask it; whether it is one.
    async fn plain(&self, request: &[u8], answers: &mut Vec<u8>, out: &mut Out) -> Result<bool, End> {
        let mut before = answers.len();
        let answer = || self.hot.answer_streamed(request, &self.admitted, answers);
        let Some(limited) = catch_unwind(AssertUnwindSafe(answer)).map_err(|_| End::Mistaken)? else {
            answers.truncate(before);
            return Ok(false);
        };
        if !limited {
            return Ok(true);
        }
        while let Err(wait) = self.admitted.pace() {
            let this = answers.split_off(before.min(answers.len()));
            out.send(std::mem::replace(answers, this)).await.ok_or(End::Gone)?;
            before = 0;
            tokio::select! {
                biased;
                () = out.reset() => return Err(End::Gone),
                () = sleep(wait.min(PAUSE)) => {}
            }
        }
        Ok(true)
    }

    fn stops(&self) -> bool {
        matches!(*self.thread.phases.borrow(), Phase::Ending | Phase::Closing)
    }
}

/// The next message of a stream, with its prefix, once it is whole.
fn next(buffer: &mut BytesMut, most: usize) -> Result<Option<Bytes>, End> {
    match declared(buffer) {
        Some(length) if length > most => Err(End::TooLarge(length)),
        Some(length) if buffer.len() >= PREFIX + length => Ok(Some(buffer.split_to(PREFIX + length).freeze())),
        _ => Ok(None),
    }
}

impl Out {
    /// Sends answers, as fast as the client takes them; `None`: it is gone.
    async fn send(&mut self, answers: Vec<u8>) -> Option<()> {
        if answers.is_empty() {
            return Some(());
        }
        if let Self::Unbegun(respond) = self {
            *self = Self::Begun(respond.send_response(reply::head(), false).ok()?);
        }
        let Self::Begun(stream) = self else { return None };
        pass(stream, Bytes::from(answers), false).await.ok()
    }

    /// Returns when the client takes the stream back.
    async fn reset(&mut self) {
        std::future::poll_fn(|cx| match self {
            Self::Begun(stream) => stream.poll_reset(cx).map(drop),
            Self::Unbegun(respond) => respond.poll_reset(cx).map(drop),
        })
        .await;
    }

    fn end(self, end: &End, trailers: HeaderMap, id: Option<[u8; 32]>, most: usize) {
        let (code, why) = match end {
            End::Gone => return self.cancel(),
            End::Done | End::Said(_) => return self.finish(trailers),
            End::TooLarge(size) => (
                Code::ResourceExhausted,
                format!("the request has {size} bytes, and at most {most} are taken; send it in smaller ones"),
            ),
            End::Stopping => (Code::Unavailable, "this server is stopping; ask another one, or ask again".to_owned()),
            End::Mistaken => (Code::Internal, INTERNAL.to_owned()),
        };
        match self {
            Self::Unbegun(mut respond) => reply::refuse(&mut respond, code, &why),
            Self::Begun(mut stream) => {
                let mut trailers = reply::status(code, &why);
                reply::name(&mut trailers, id);
                drop(stream.send_trailers(trailers));
            }
        }
    }

    fn finish(self, trailers: HeaderMap) {
        match self {
            Self::Begun(mut stream) => drop(stream.send_trailers(trailers)),
            Self::Unbegun(mut respond) => {
                let mut head = reply::head();
                head.headers_mut().extend(trailers);
                drop(respond.send_response(head, true));
            }
        }
    }

    fn cancel(self) {
        match self {
            Self::Begun(mut stream) => stream.send_reset(Reason::CANCEL),
            Self::Unbegun(mut respond) => respond.send_reset(Reason::CANCEL),
        }
    }
}
