//! Writing a cassette while the work goes on.

use super::{
    Cassette, CassetteError, Header, Known, Places,
    exchange::{Answer, Count, Exchange, Failed, Kind, Outcome, Piece, Place},
    http::HttpResponse,
    request,
    scrub::scrubbed,
};
use crate::{Completion, Counted, Delta, Request};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    ledger::Payer,
    time::Timestamp,
    usage::Spend,
};
use serde_json::Value;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
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
}

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
    /// the second part of the answer says whether there was one.
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
        let whole = cassette.whole();
        made.set_len(whole).map_err(failed)?;
        if !bytes[..usize::try_from(whole).unwrap_or(bytes.len())].ends_with(b"\n") {
            made.write_all(b"\n").map_err(failed)?;
        }
        Ok((Self::of(file, made, known), cassette.is_torn()))
    }

    pub(super) fn of(path: &Path, file: File, known: Known) -> Self {
        let (path, file) = (path.to_owned(), Mutex::new(file));
        Self { inner: Arc::new(Inner { path, file, known, places: None }) }
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

    /// Writes what came of a call.
    ///
    /// # Errors
    /// What came of it; and a failure with what it cost when it cannot be written: what a cassette
    /// lacks cannot be replayed.
    pub(crate) async fn completed(
        &self,
        payer: &Payer,
        request: &Request,
        heard: Heard,
        result: Result<Completion, Failure>,
        now: Timestamp,
    ) -> Result<Completion, Failure> {
        let outcome = match &result {
            Ok(completion) => Outcome::Answer(Box::new(Answer::of(completion, heard.0))),
            // Nothing was exchanged, and a replay has no budget that could refuse it.
            Err(failure) if failure.class == ErrorClass::OverBudget => return result,
            Err(failure) => Outcome::Failure(Failed::of(failure, heard.0, now)),
        };
        let kept = self.write(Kind::Complete, payer, request, outcome).await;
        match (kept, result) {
            (Ok(()), result) => result,
            (Err(error), Ok(completion)) => Err(unwritten(&error, vec![completion.spend])),
            (Err(error), Err(failure)) => Err(unwritten(&error, failure.spend)),
        }
    }

    /// Writes what came of counting.
    ///
    /// # Errors
    /// As for [`Recorder::completed`].
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
        let kept = self.write(Kind::Count, payer, request, outcome).await;
        kept.map_err(|error| unwritten(&error, Vec::new()))?;
        result
    }

    /// A request of `payer` over HTTP goes out.
    pub(crate) async fn begin(&self, payer: &Payer, request: Value) -> Pending {
        let place = place(self.inner.places.as_deref(), payer).await;
        Pending { recorder: self.clone(), payer: payer.clone(), place, request }
    }

    async fn write(
        &self,
        kind: Kind,
        payer: &Payer,
        request: &Request,
        outcome: Outcome,
    ) -> Result<(), CassetteError> {
        let place = place(self.inner.places.as_deref(), payer).await;
        let asked = request::canonical(request);
        let exchange = Exchange::new(kind, payer, place, &request.model, asked, outcome);
        self.append(&exchange)
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

/// An exchange over HTTP that has not ended.
pub(crate) struct Pending {
    recorder: Recorder,
    payer: Payer,
    place: Place,
    request: Value,
}

impl Pending {
    /// Writes what came of it.
    ///
    /// # Errors
    /// [`CassetteError::Write`].
    pub(crate) fn end(self, response: HttpResponse) -> Result<(), CassetteError> {
        let Self { recorder, payer, place, request } = self;
        let outcome = Outcome::Response(Box::new(response));
        let exchange = Exchange::new(Kind::Http, &payer, place, &payer.model, request, outcome);
        recorder.append(&exchange)
    }
}

/// The pieces of an answer that is being recorded.
#[derive(Debug, Default)]
pub(crate) struct Heard(Vec<Piece>);

impl Heard {
    pub(crate) fn hear(&mut self, delta: &Delta) {
        self.0.extend(Piece::of(delta));
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
