//! The body of an answer: one of our own, or the provider's as it arrives.

use super::{
    call::Call,
    tape::{Stopping, Tap},
};
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
    /// A recorded one that was stopped.
    Stopping(Stopping),
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
            Self::Stopping(stopping) => {
                let next = ready!(stopping.poll(cx));
                Poll::Ready(Some(next.map(Frame::data).map_err(Broken)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Passing(passing) => passing.body.is_end_stream(),
            Self::Stopping(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Passing(passing) => passing.body.size_hint(),
            Self::Stopping(_) => SizeHint::default(),
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
    /// Why it breaks off, once what came before is sent: a connection that breaks loses what it has not
    /// sent.
    breaks: Option<&'static str>,
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
        Self {
            body,
            call,
            tap,
            idle,
            silence: Box::pin(sleep(idle)),
            is_waiting: false,
            breaks: None,
            clock,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(why) = self.breaks.take() {
            return Poll::Ready(Some(Err(Broken(why))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending() {
            if !std::mem::replace(&mut self.is_waiting, true) {
                self.silence.as_mut().reset(Instant::now() + self.idle);
            }
            ready!(self.silence.as_mut().poll(cx));
            return self.broken("the provider fell silent", cx);
        }
        self.is_waiting = false;
        let frame = match ready!(polled) {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => {
                return self.broken("the provider broke its answer off", cx);
            }
            None => {
                let written = self.record();
                self.end();
                return Poll::Ready(written.err().map(Err));
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
            self.call = None;
            self.tap.take().into_iter().for_each(Tap::forget);
            return Poll::Ready(Some(Err(Broken("the answer is too large to be recorded"))));
        }
        if self.body.is_end_stream()
            && let Err(broken) = self.record()
        {
            self.end();
            return Poll::Ready(Some(Err(broken)));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    /// Writes the exchange, of which all is here, if it is to be.
    fn record(&mut self) -> Result<(), Broken> {
        let written = self.tap.take().map(|tap| tap.end(self.usage()));
        written.unwrap_or(Ok(())).map_err(|error| {
            tracing::error!(%error, "an exchange is not recorded");
            Broken("the cassette cannot be written")
        })
    }

    /// The provider has answered to the end: settles the call.
    fn end(&mut self) {
        if let Some(mut call) = self.call.take() {
            call.ended();
        }
    }

    /// The provider goes no further: settles the call, and records how far it has come.
    fn broken(
        &mut self,
        why: &'static str,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let usage = self.usage();
        if let Some(mut call) = self.call.take() {
            call.broke(self.clock.now());
        }
        if let Some(tap) = self.tap.take() {
            tap.broke_off(usage);
        }
        self.breaks = Some(why);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What the answer has said of its usage, if it has said all.
    fn usage(&self) -> Option<Usage> {
        self.call.as_ref().and_then(Call::usage)
    }
}

impl Drop for Passing {
    /// Clients hang up when they have read the last event, which need not be the last byte. Before
    /// that they have given the answer up, and its tap says so.
    fn drop(&mut self) {
        if self.usage().is_some() || self.body.is_end_stream() {
            // What could not be written is told by then.
            let _ = self.record();
        }
    }
}
