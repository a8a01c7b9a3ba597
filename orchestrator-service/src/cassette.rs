//! Runs whose calls of models are recorded, or answered from a recording.

use crate::{
    OrchestratorService, ServiceError, clock::now, execute::Tape, roster::Roster, service::Opened,
};
use async_trait::async_trait;
use orchestrator_core::{
    event::{CassetteUse, Origin, RunCreated},
    id::{AgentName, RunId},
};
use orchestrator_gateway::cassette::{
    Cassette, CassetteError, Header, Known, Places, Player, Recorder,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// What stands between a drive and the models.
#[derive(Debug)]
pub(crate) enum Between {
    /// Nothing.
    Nothing,
    /// What passes is written down.
    Recorder {
        recorder: Recorder,
        /// Whether a line that was not whole had to be cut off.
        was_torn: bool,
    },
    /// Nothing passes: answers come from here.
    Player(Arc<Player>),
}

/// A recording in the place of all models, and who can be given work then.
pub(crate) struct Replayed {
    pub(crate) cassette: Arc<Cassette>,
    pub(crate) roster: OnceLock<Roster>,
}

impl OrchestratorService {
    /// The service and use of a cassette that `tape` asks for. Writes nothing.
    ///
    /// # Errors
    /// A cassette that cannot be read, or a file that would be overwritten.
    pub(crate) fn taped(
        &self,
        tape: Option<&Tape>,
    ) -> Result<(Self, Option<Unkept>), ServiceError> {
        match tape {
            None => Ok((self.clone(), None)),
            Some(Tape::Record(given)) => {
                let file = self.named(given)?;
                if file.exists() {
                    return Err(CassetteError::Exists(file).into());
                }
                let id = format!("c_{:x}_{:x}", now().0, std::process::id());
                Ok((self.clone(), Some(Unkept::Record(CassetteUse::Record { file, id }))))
            }
            Some(Tape::Replay(given)) => {
                let file = self.named(given)?;
                let bytes = std::fs::read(&file)
                    .map_err(|source| CassetteError::Read { file: file.clone(), source })?;
                let cassette = Cassette::parse(&file, &bytes)?;
                Ok((self.replaying(cassette), Some(Unkept::Replay { file, bytes })))
            }
        }
    }

    /// The file that is meant by `given`: absolute.
    fn named(&self, given: &Path) -> Result<PathBuf, ServiceError> {
        let file = self.environment().directory.join(given);
        match file.to_str() {
            Some(_) => Ok(file),
            // It is kept in the log, which is text.
            None => Err(ServiceError::PathNotUtf8(file)),
        }
    }

    /// The same where `cassette` is in the place of all models.
    fn replaying(&self, cassette: Cassette) -> Self {
        let cassette = Arc::new(cassette);
        self.with_replayed(Replayed { cassette, roster: OnceLock::new() })
    }

    /// The same as it was for the run that began as `created`, in what concerns cassettes.
    ///
    /// # Errors
    /// A cassette that cannot be read any more.
    pub(crate) async fn as_for(
        &self,
        opened: &Opened,
        created: &RunCreated,
    ) -> Result<Self, ServiceError> {
        let this = match &created.cassette {
            Some(CassetteUse::Replay { file, cassette }) => {
                let bytes = opened.blobs().get(cassette).await?;
                self.replaying(Cassette::parse(file, &bytes)?)
            }
            _ => self.clone(),
        };
        // It may have been cut off before its first worktree was made.
        Ok(this.including_uncommitted(created.uncommitted))
    }

    /// What stands between a drive and the models: a recording is begun, or gone on with.
    ///
    /// # Errors
    /// A file that cannot be written, or is not that of the recording.
    pub(crate) fn between(
        &self,
        opened: &Opened,
        agents: &BTreeSet<AgentName>,
        cassette: Option<&CassetteUse>,
        stage: Stage,
    ) -> Result<Between, ServiceError> {
        let known = self.known().clone();
        let known: Known = Arc::new(move || known.redactor());
        let places = Arc::new(Tasks { opened: opened.clone(), found: Mutex::default() });
        if let Some(replayed) = self.replayed() {
            let player = Player::new(replayed.cassette.clone(), known).with_places(places);
            return Ok(Between::Player(Arc::new(player)));
        }
        let Some(CassetteUse::Record { file, id }) = cassette else { return Ok(Between::Nothing) };
        let (recorder, was_torn) = match stage {
            Stage::Begins => {
                let mut specs = Vec::new();
                for name in agents {
                    let member = self.roster()?.get(name.as_str())?;
                    if member.calls_model() {
                        specs.push(member.spec.clone());
                    }
                }
                (Recorder::create(file, &Header::new(id, specs), known)?, false)
            }
            Stage::GoesOn => Recorder::go_on(file, id, known)?,
        };
        Ok(Between::Recorder { recorder: recorder.with_places(places), was_torn })
    }
}

impl Between {
    /// What whoever drives the run has to know.
    pub(crate) fn note(&self) -> Option<String> {
        match self {
            Self::Recorder { recorder, was_torn: true } => Some(format!(
                "the last line of `{}` was not whole and has been cut off",
                recorder.file().display()
            )),
            Self::Player(player) if player.cassette().is_torn() => {
                Some("the last line of the cassette is not whole and is left out".into())
            }
            Self::Nothing | Self::Recorder { .. } | Self::Player(_) => None,
        }
    }
}

/// Whether a run begins or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Begins,
    GoesOn,
}

/// The use of a cassette, before anything of it is kept.
#[derive(Debug)]
pub(crate) enum Unkept {
    Record(CassetteUse),
    Replay { file: PathBuf, bytes: Vec<u8> },
}

impl Unkept {
    /// Keeps what the run needs, so that it can go on whatever becomes of the file.
    ///
    /// # Errors
    /// A blob that cannot be kept.
    pub(crate) async fn keep(self, opened: &Opened) -> Result<CassetteUse, ServiceError> {
        Ok(match self {
            Self::Record(record) => record,
            Self::Replay { file, bytes } => {
                CassetteUse::Replay { file, cassette: opened.blobs().put(&bytes).await? }
            }
        })
    }
}

/// Takes away the recording of a run that could not be started.
pub(crate) fn forget(cassette: &CassetteUse) {
    let CassetteUse::Record { file, id } = cassette else { return };
    // Only what was begun for it: a file that was there before is somebody's.
    if Cassette::read(file).is_ok_and(|it| it.header().id == *id) {
        let _ = std::fs::remove_file(file);
    }
}

/// The tasks that runs are part of, by the store.
struct Tasks {
    opened: Opened,
    found: Mutex<BTreeMap<RunId, Option<String>>>,
}

/// How many runs above one another are looked at: more than the engine lets start each other.
const GENERATIONS: usize = 64;

#[async_trait]
impl Places for Tasks {
    async fn above(&self, run: &RunId) -> Option<String> {
        if let Some(found) = self.known().get(run) {
            return found.clone();
        }
        let mut segments: Vec<String> = Vec::new();
        let mut next = Some(run.clone());
        while let Some(run) = next.take().filter(|_| segments.len() < GENERATIONS) {
            let row = self.opened.catalog().run(&run).await.ok().flatten()?;
            if let Some(parent) = &row.parent {
                let attempts = self.opened.catalog().attempts(parent, None).await.ok()?;
                let started =
                    attempts.iter().find(|attempt| attempt.child.as_ref() == Some(&run))?;
                segments.push(match started.number.0 {
                    1 => started.task.to_string(),
                    again => format!("{}#{again}", started.task),
                });
                next = Some(parent.clone());
            } else if let Some(Origin::Then { .. }) = &row.origin {
                segments.push(format!("then {}", row.workflow));
            }
        }
        segments.reverse();
        let above = (!segments.is_empty()).then(|| segments.join("/"));
        self.known().insert(run.clone(), above.clone());
        above
    }
}

impl Tasks {
    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<RunId, Option<String>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
