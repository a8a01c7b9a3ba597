//! What a confined program may do.

use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What a confined program may do; nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Confinement {
    /// Directories and files that it may write, with all below them. They may be read, too.
    pub writable: Vec<PathBuf>,
    /// What it may read.
    pub reads: Reads,
    /// What stays visible, to be read, in places for temporary files, which are empty for each program
    /// otherwise. What is not there is passed over.
    #[serde(default)]
    pub visible: Vec<PathBuf>,
    /// What it must not see whatever else says so: credentials, the state directory.
    ///
    /// What of [`writable`](Self::writable) lies below one of these stays visible. A path that is
    /// not there yet is hidden as well once it is, unless it lies in what is writable.
    pub hidden: Vec<PathBuf>,
    /// What it may read but not write although it lies in what is writable. The `.git` of each
    /// writable directory is so without being named.
    pub protected: Vec<PathBuf>,
    /// Whom it may talk to.
    pub network: Network,
    /// How much it may use.
    pub limits: Limits,
}

/// What a confined program may read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Reads {
    /// All that its user may, but for what is hidden.
    #[default]
    All,
    /// The system's programs, libraries and settings, what is writable, and these.
    Only(Vec<PathBuf>),
}

/// Whom a confined program may talk to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

/// Something that a sandbox keeps a program from, as it was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Enforced {
    /// What the program tried, such as `write outside the workspace`.
    pub name: String,
    /// Whether it was kept from it.
    pub held: bool,
    /// What the system answered.
    pub how: String,
}

/// Files below a home directory that hold keys or let somebody act in the user's name.
const IN_HOME: [&str; 31] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".netrc",
    ".pgpass",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".docker",
    ".vault-token",
    ".terraform.d",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".m2/settings.xml",
    ".mozilla",
    ".password-store",
    ".config/gcloud",
    ".config/gh",
    ".config/git/credentials",
    ".config/containers/auth.json",
    ".config/orchestrator",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".config/op",
    ".local/share/keyrings",
    ".local/share/orchestrator",
    "snap/firefox",
];

/// Files of the system that hold keys, and views of the kernel that show what others do.
const IN_SYSTEM: [&str; 9] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/ssl/private",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
    "/var/run/docker.sock",
    "/run/secrets",
];

impl Confinement {
    /// The same with what usually holds credentials hidden: keys, tokens and browser profiles below
    /// `home`, the password files of the system.
    #[must_use]
    pub fn without_credentials(mut self, home: &Path) -> Self {
        self.hidden.extend(IN_HOME.iter().map(|name| home.join(name)));
        self.hidden.extend(IN_SYSTEM.iter().map(PathBuf::from));
        self
    }
}
