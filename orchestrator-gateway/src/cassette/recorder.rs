//! Writing a cassette while the work goes on.

use super::{
    Cassette, CassetteError, Header, Known, Places,
    exchange::{Answer, Count, Exchange, Failed, Kind, Outcome, Piece, Place, Stopped, StoppedBy},
    http::HttpResponse,
    request,
    scrub::scrubbed,
};
use crate::{Completion, Counted, Delta, Request};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{AttemptNumber, ProviderName, RunId, TaskName},
    ledger::Payer,
    time::Timestamp,
    usage::Spend,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Writes every exchange of a gateway into a file, each as one line as soon as it has ended. Clones
/// write into the same file.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    file: Mutex<File>,
    known: Known,
    places: Option<Arc<dyn Places>>,
    /// When attempts made their first calls.
    began: Mutex<HashMap<Attempt, Instant>>,
}

/// What tells one attempt from another.
type Attempt = (Option<RunId>, Option<TaskName>, AttemptNumber);

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("file", &self.inner.path).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Begins a recording into `file`, which must not exist. Secrets that `known` hides never get
    /// into it.
    ///
    /// # Errors
    /// [`CassetteError::Exists`]; [`CassetteError::Write`].
    pub fn create(file: &Path, header: &Header, known: Known) -> Result<Self, CassetteError> {
        let failed = |source: io::Error| match source {
            error if error.kind() == io::ErrorKind::AlreadyExists => {
                CassetteError::Exists(file.to_owned())
            }
            source => CassetteError::Write { file: file.to_owned(), source },
        };
        let mut value = serde_json::to_value(header).map_err(|error| failed(error.into()))?;
        known().value(&mut value);
        let mut made = OpenOptions::new().append(true).create_new(true).open(file);
        if let Ok(made) = &mut made {
            made.write_all(format!("{value}\n").as_bytes()).map_err(failed)?;
        }
        Ok(Self::of(file, made.map_err(failed)?, known))
    }

    /// Goes on with the recording `id` in `file`. A last line that is not whole is cut off first;
    /// the second part of the answer says whether there was one. So are the calls at its end that
    /// were given up: what stopped the recording stopped them, and they are made again.
    ///
    /// # Errors
    /// [`CassetteError::Other`] when the file is gone or holds another recording; what
    /// [`Cassette::read`] gives; [`CassetteError::Write`].
    pub fn go_on(file: &Path, id: &str, known: Known) -> Result<(Self, bool), CassetteError> {
        let other = |reason: &str| CassetteError::Other {
            file: file.to_owned(),
            reason: reason.to_owned(),
        };
        let failed = |source| CassetteError::Write { file: file.to_owned(), source };
        let mut made = match OpenOptions::new().read(true).append(true).open(file) {
            Ok(made) => made,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(other("it is gone"));
            }
            Err(source) => return Err(failed(source)),
        };
        let mut bytes = Vec::new();
        made.read_to_end(&mut bytes)
            .map_err(|source| CassetteError::Read { file: file.to_owned(), source })?;
        let cassette = Cassette::parse(file, &bytes)?;
        if cassette.header().id != id {
            return Err(other("it holds another recording"));
        }
        let kept = cassette.kept();
        made.set_len(kept).map_err(failed)?;
        if !bytes[..usize::try_from(kept).unwrap_or(bytes.len())].ends_with(b"\n") {
            made.write_all(b"\n").map_err(failed)?;
        }
        Ok((Self::of(file, made, known), cassette.is_torn()))
    }

    pub(super) fn of(path: &Path, file: File, known: Known) -> Self {
        let (path, file) = (path.to_owned(), Mutex::new(file));
        let began = Mutex::default();
        Self { inner: Arc::new(Inner { path, file, known, places: None, began }) }
    }

    /// The same where `places` says which tasks runs belong to. Only before the first clone.
    #[must_use]
    pub fn with_places(mut self, places: Arc<dyn Places>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.places = Some(places);
        }
        self
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.inner.path
    }

    /// A call of a model by `payer` begins.
    pub(crate) async fn listen(&self, payer: &Payer, request: &Request) -> Listening {
        let (asked, model) = (request::canonical(request), &request.model);
        let pending = Some(self.pending(Kind::Complete, payer, asked, model).await);
        Listening { pending, heard: Vec::new(), sent: false }
    }

    /// Writes what came of counting.
    ///
    /// # Errors
    /// As for [`Listening::completed`].
    pub(crate) async fn counted(
        &self,
        payer: &Payer,
        request: &Request,
        result: Result<Counted, Failure>,
        now: Timestamp,
    ) -> Result<Counted, Failure> {
        let outcome = match &result {
            Ok(counted) => Outcome::Count(Count::of(*counted)),
            Err(failure) => Outcome::Failure(Failed::of(failure, Vec::new(), now)),
        };
        let asked = request::canonical(request);
        let pending = self.pending(Kind::Count, payer, asked, &request.model).await;
        pending.write(outcome).map_err(|error| unwritten(&error, Vec::new()))?;
        result
    }

    /// A request of `payer` over HTTP goes out.
    pub(crate) async fn begin(&self, payer: &Payer, request: Value) -> Pending {
        self.pending(Kind::Http, payer, request, &payer.model).await
    }

    async fn pending(&self, kind: Kind, payer: &Payer, request: Value, model: &str) -> Pending {
        let place = place(self.inner.places.as_deref(), payer).await;
        let (payer, model, since) = (payer.clone(), model.to_owned(), self.since(payer));
        Pending { recorder: self.clone(), kind, payer, place, model, request, since }
    }

    /// When the attempt of `payer` made its first call, which a call of no attempt is itself.
    fn since(&self, payer: &Payer) -> Instant {
        let now = Instant::now();
        let Some(attempt) = payer.attempt else { return now };
        let attempt = (payer.run.clone(), payer.task.clone(), attempt);
        let mut began = self.inner.began.lock().unwrap_or_else(PoisonError::into_inner);
        *began.entry(attempt).or_insert(now)
    }

    fn append(&self, exchange: &Exchange) -> Result<(), CassetteError> {
        let failed = |source| CassetteError::Write { file: self.inner.path.clone(), source };
        let value = scrubbed(exchange, &(self.inner.known)());
        let value = value.map_err(|error| failed(error.into()))?;
        let line = format!("{value}\n");
        let mut file = self.inner.file.lock().unwrap_or_else(PoisonError::into_inner);
        // In one piece, so that only the end of the file can ever be torn.
        file.write_all(line.as_bytes()).map_err(failed)
    }
}

fn unwritten(error: &CassetteError, spend: Vec<Spend>) -> Failure {
    let message = format!("{error}; the call was made and is not recorded ({})", error.code());
    Failure::new(ErrorClass::Internal, message).spent(spend)
}

/// An exchange that has not ended.
pub(crate) struct Pending {
    recorder: Recorder,
    kind: Kind,
    payer: Payer,
    place: Place,
    model: String,
    request: Value,
    since: Instant,
}

/// What there is of an exchange that was stopped.
pub(crate) struct Begun {
    pub(crate) by: StoppedBy,
    /// Whether it had gone out.
    pub(crate) sent: bool,
    pub(crate) response: Option<HttpResponse>,
}

impl Pending {
    /// It goes out to `account`.
    pub(crate) fn goes_to(&mut self, account: &ProviderName) {
        self.payer.account.clone_from(account);
    }

    /// Writes what came of an exchange over HTTP.
    ///
    /// # Errors
    /// [`CassetteError::Write`].
    pub(crate) fn end(self, response: HttpResponse) -> Result<(), CassetteError> {
        self.write(Outcome::Response(Box::new(response)))
    }

    /// Writes that it was stopped.
    ///
    /// # Errors
    /// [`CassetteError::Write`].
    pub(crate) fn stopped(self, begun: Begun) -> Result<(), CassetteError> {
        self.write_stopped(begun, Vec::new())
    }

    fn write_stopped(self, begun: Begun, pieces: Vec<Piece>) -> Result<(), CassetteError> {
        let Begun { by, sent, response } = begun;
        let after_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let stopped = Stopped { by, after_ms, sent, pieces, response };
        self.write(Outcome::Stopped(Box::new(stopped)))
    }

    fn write(self, outcome: Outcome) -> Result<(), CassetteError> {
        let Self { recorder, kind, payer, place, model, request, since: _ } = self;
        recorder.append(&Exchange::new(kind, &payer, place, &model, request, outcome))
    }
}

/// A call of a model that is being recorded. Dropped before its end it was stopped, and is written
/// so.
pub(crate) struct Listening {
    pending: Option<Pending>,
    heard: Vec<Piece>,
    sent: bool,
}

impl Listening {
    /// Takes notice of a piece of the answer.
    pub(crate) fn hear(&mut self, delta: &Delta) {
        self.sent |= matches!(delta, Delta::Sent);
        self.heard.extend(Piece::of(delta));
    }

    /// Writes what came of the call.
    ///
    /// # Errors
    /// What came of it; and a failure with what it cost when it cannot be written: what a cassette
    /// lacks cannot be replayed.
    pub(crate) fn completed(
        mut self,
        result: Result<Completion, Failure>,
        now: Timestamp,
    ) -> Result<Completion, Failure> {
        let Some(pending) = self.pending.take() else { return result };
        let heard = std::mem::take(&mut self.heard);
        let outcome = match &result {
            Ok(completion) => Outcome::Answer(Box::new(Answer::of(completion, heard))),
            // Nothing was exchanged, and a replay has no budget that could refuse it.
            Err(failure) if failure.class == ErrorClass::OverBudget => return result,
            Err(failure) => Outcome::Failure(Failed::of(failure, heard, now)),
        };
        match (pending.write(outcome), result) {
            (Ok(()), result) => result,
            (Err(error), Ok(completion)) => Err(unwritten(&error, vec![completion.spend])),
            (Err(error), Err(failure)) => Err(unwritten(&error, failure.spend)),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        let begun = Begun { by: StoppedBy::Caller, sent: self.sent, response: None };
        if let Err(error) = pending.write_stopped(begun, std::mem::take(&mut self.heard)) {
            tracing::error!(%error, "a call that was stopped is not recorded");
        }
    }
}

/// Where a call of `payer` is made.
pub(super) async fn place(places: Option<&dyn Places>, payer: &Payer) -> Place {
    let attempt = payer.attempt.map(|attempt| attempt.0);
    let Some(task) = &payer.task else { return Place { task: None, attempt } };
    let above = match (places, &payer.run) {
        (Some(places), Some(run)) => places.above(run).await,
        _ => None,
    };
    let task = match above {
        Some(above) => format!("{above}/{task}"),
        None => task.to_string(),
    };
    Place { task: Some(task), attempt }
}
