//! The body of an answer: one of our own, or the provider's as it arrives.

use super::call::Call;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use orchestrator_core::port::Clock;
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
        idle: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        if let Some(call) = call.as_mut().filter(|_| body.is_end_stream()) {
            call.ended();
        }
        Self { body, call, idle, silence: Box::pin(sleep(idle)), is_waiting: false, clock }
    }

    fn broke(&mut self) {
        if let Some(mut call) = self.call.take() {
            call.broke(self.clock.now());
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending() {
            if !std::mem::replace(&mut self.is_waiting, true) {
                self.silence.as_mut().reset(Instant::now() + self.idle);
            }
            ready!(self.silence.as_mut().poll(cx));
            self.broke();
            return Poll::Ready(Some(Err(Broken("the provider fell silent"))));
        }
        self.is_waiting = false;
        let frame = match ready!(polled) {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => {
                self.broke();
                return Poll::Ready(Some(Err(Broken("the provider broke its answer off"))));
            }
            None => {
                if let Some(mut call) = self.call.take() {
                    call.ended();
                }
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
        Poll::Ready(Some(Ok(frame)))
    }
}
