//! Why checks could not be run at all.

use super::source::SourceError;
use crate::sandbox::SandboxError;
use orchestrator_core::error::{ErrorClass, Failure};
use std::{io, path::PathBuf};

/// Why checks could not be run at all. A check that fails is evidence and no error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The commit could not be had.
    #[error("cannot get the commit to check: {0}")]
    Source(#[from] SourceError),
    /// What is to be run cannot be confined, and so nothing was run.
    #[error("cannot run checks: {0}")]
    Sandbox(#[from] SandboxError),
    /// A file or directory that checks need cannot be made or read.
    #[error("cannot prepare `{}` for checks: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The attempt must stop.
    #[error("the checks were stopped")]
    Cancelled,
}

impl CheckError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// The class of the failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Source(error) => error.class,
            Self::Sandbox(_) => ErrorClass::Unsafe,
            Self::Io { .. } => ErrorClass::Transient,
            Self::Cancelled => ErrorClass::Cancelled,
        }
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        Failure::new(error.class(), error.to_string())
    }
}
