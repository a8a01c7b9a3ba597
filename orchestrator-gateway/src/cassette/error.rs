//! What can be wrong with a cassette.

use std::{io, path::PathBuf};

/// A cassette that cannot be read, written or gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CassetteError {
    /// The file cannot be read.
    #[error("cannot read the cassette `{}`: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What stood in the way.
        source: io::Error,
    },
    /// The file is something else.
    #[error("`{}` is no cassette: {reason}", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// By what one can tell.
        reason: String,
    },
    /// A line of it cannot be read.
    #[error("the cassette `{}` is damaged in line {line}: {reason}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer version has written it.
    #[error("the cassette `{}` is of the form `{found}`, which this version does not know", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// The form that it names.
        found: String,
    },
    /// There is a file of that name.
    #[error("cannot record into `{}`: it is there already", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write the cassette `{}`: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What stood in the way.
        source: io::Error,
    },
    /// The file is not the one that the recording began.
    #[error("cannot go on recording into `{}`: {reason}", file.display())]
    Other {
        /// The file.
        file: PathBuf,
        /// By what one can tell.
        reason: String,
    },
}

impl CassetteError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "ORC-0552",
            Self::Foreign { .. } => "ORC-0553",
            Self::Damaged { .. } => "ORC-0554",
            Self::Newer { .. } => "ORC-0555",
            Self::Exists(_) => "ORC-0556",
            Self::Write { .. } => "ORC-0557",
            Self::Other { .. } => "ORC-0558",
        }
    }

    /// What the user can do.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Read { .. } => "name the file that `--record` has written",
            Self::Foreign { .. } => "name a file that `--record` has written",
            Self::Damaged { .. } => {
                "restore the file from version control or a copy, or record it anew"
            }
            Self::Newer { .. } => "use a newer version of orchestrator, or record it anew",
            Self::Exists(_) => {
                "name another file, or remove that one first; to go on with a run that is recorded \
                 there, type `orchestrator resume`"
            }
            Self::Write { .. } => "check the disk and the permissions of the directory",
            Self::Other { .. } => {
                "put the file back where the recording began it, or execute the work anew"
            }
        }
    }
}
