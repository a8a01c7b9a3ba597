//! What a confined program may do.

use std::{path::PathBuf, time::Duration};

/// What a confined program may do; nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confinement {
    /// Directories and files that it may write, with all below them. They may be read, too.
    pub writable: Vec<PathBuf>,
    /// What it may read.
    pub reads: Reads,
    /// What it must not see whatever else says so: credentials, the state directory.
    pub hidden: Vec<PathBuf>,
    /// Whom it may talk to.
    pub network: Network,
    /// How much it may use.
    pub limits: Limits,
}

/// What a confined program may read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reads {
    /// All that its user may, but for what is hidden.
    #[default]
    All,
    /// The system's programs and libraries, what is writable, and these.
    Only(Vec<PathBuf>),
}

/// Whom a confined program may talk to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// Nobody.
    #[default]
    None,
    /// The model gateway at this port of the loopback address.
    Gateway(u16),
    /// Hosts on a list, through a proxy of ours: names such as `crates.io`, or `*.example.org`, each
    /// with an optional `:PORT`. The gateway's port as well, if one is given.
    Only {
        /// The names.
        hosts: Vec<String>,
        /// The port of the model gateway on the loopback address.
        gateway: Option<u16>,
    },
    /// Anybody.
    All,
}

/// How much a confined program, with all that it starts, may use. What is not said is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processes and threads at once.
    pub processes: Option<u32>,
    /// Time on processors.
    pub cpu: Option<Duration>,
    /// Open files of each process.
    pub files: Option<u64>,
    /// The largest file that it may write, in bytes.
    pub file_size: Option<u64>,
}
