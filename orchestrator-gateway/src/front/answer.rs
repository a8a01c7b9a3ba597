//! The body of an answer: one of our own, or the provider's as it arrives.

use super::{call::Call, tape::Tap};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use orchestrator_core::{port::Clock, usage::Usage};
use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// What a client reads.
pub(super) enum Answer {
    Whole(Option<Bytes>),
    Passing(Box<Passing>),
}

/// A body that ends before its end: the client sees the connection break, as the front did.
#[derive(Debug)]
pub(super) struct Broken(&'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Broken {}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Passing(passing) => passing.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Passing(passing) => passing.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Passing(passing) => passing.body.size_hint(),
        }
    }
}

/// The provider's body. Each piece is passed on as it arrives and shown to the call's meter; the
/// call is settled when this ends or is dropped.
pub(super) struct Passing {
    body: reqwest::Body,
    call: Option<Call>,
    tap: Option<Tap>,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    /// The silence is being measured.
    is_waiting: bool,
    clock: Arc<dyn Clock>,
}

impl Passing {
    /// `idle`: how long the provider may say nothing.
    pub(super) fn new(
        body: reqwest::Body,
        mut call: Option<Call>,
        tap: Option<Tap>,
        idle: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        if let Some(call) = call.as_mut().filter(|_| body.is_end_stream()) {
            call.ended();
        }
        Self { body, call, tap, idle, silence: Box::pin(sleep(idle)), is_waiting: false, clock }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending() {
            if !std::mem::replace(&mut self.is_waiting, true) {
                self.silence.as_mut().reset(Instant::now() + self.idle);
            }
            ready!(self.silence.as_mut().poll(cx));
            return self.broken("the provider fell silent");
        }
        self.is_waiting = false;
        let frame = match ready!(polled) {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => {
                return self.broken("the provider broke its answer off");
            }
            None => {
                if let Some(Err(error)) = self.tap.take().map(|tap| tap.end(self.usage())) {
                    tracing::error!(%error, "an exchange is not recorded");
                    self.end();
                    return Poll::Ready(Some(Err(Broken("the cassette cannot be written"))));
                }
                self.end();
                return Poll::Ready(None);
            }
        };
        if let Some(call) = &mut self.call {
            if let Some(bytes) = frame.data_ref() {
                call.read(bytes);
            }
            // Nobody asks a body for more that has said that nothing follows.
            if self.body.is_end_stream() {
                call.ended();
            }
        }
        if let (Some(tap), Some(bytes)) = (&mut self.tap, frame.data_ref())
            && !tap.read(bytes)
        {
            (self.call, self.tap) = (None, None);
            return Poll::Ready(Some(Err(Broken("the answer is too large to be recorded"))));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    /// The provider has answered to the end: settles the call.
    fn end(&mut self) {
        if let Some(mut call) = self.call.take() {
            call.ended();
        }
    }

    /// The provider goes no further: settles the call, and leaves the exchange out of the cassette.
    fn broken(&mut self, why: &'static str) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(mut call) = self.call.take() {
            call.broke(self.clock.now());
        }
        self.tap = None;
        Poll::Ready(Some(Err(Broken(why))))
    }

    /// What the answer has said of its usage, if it has said all.
    fn usage(&self) -> Option<Usage> {
        self.call.as_ref().and_then(Call::usage)
    }
}

impl Drop for Passing {
    /// Clients hang up when they have read the last event, which need not be the last byte.
    fn drop(&mut self) {
        let Some(usage) = self.usage() else { return };
        if let Some(Err(error)) = self.tap.take().map(|tap| tap.end(Some(usage))) {
            tracing::error!(%error, "an exchange is not recorded");
        }
    }
}
