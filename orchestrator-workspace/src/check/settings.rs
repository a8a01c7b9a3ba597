//! How checks are run on this machine: what they see, reach and may use.

use crate::{
    process::Environment,
    sandbox::{Limits, Network},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How checks are run on this machine.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CheckSettings {
    /// The directory under which checkouts are made and removed. It must be none of those that
    /// are hidden from what is confined.
    pub scratch: PathBuf,
    /// The variables that checks see, besides those that every check has: `HOME` and `TMPDIR` of
    /// its own, `LANG`, `TZ`. Never a secret: their names are recorded.
    pub environment: Environment,
    /// What checks may write besides their checkout, such as a cache that all share. Whoever
    /// writes there can change what later checks find.
    pub writable: Vec<PathBuf>,
    /// What checks may read although it lies in a place for temporary files, such as tools.
    pub visible: Vec<PathBuf>,
    /// What checks must not see: credentials, the state directory.
    pub hidden: Vec<PathBuf>,
    /// Whom checks may talk to. Nobody unless it is said.
    pub network: Network,
    /// How much a check may use.
    pub limits: Limits,
    /// How long a check may take that does not say it. 30 minutes.
    pub timeout: Duration,
    /// How long a check may take to end once it was asked to. 5 seconds.
    pub grace: Duration,
    /// How many bytes of what each check prints are kept with the evidence. 512 KiB.
    pub output: usize,
}

impl CheckSettings {
    /// The settings with only what none can lack; the public fields take the rest.
    pub fn new(scratch: PathBuf, environment: Environment) -> Self {
        Self {
            scratch,
            environment,
            writable: Vec::new(),
            visible: Vec::new(),
            hidden: Vec::new(),
            network: Network::None,
            limits: Limits::default(),
            timeout: Duration::from_secs(30 * 60),
            grace: Duration::from_secs(5),
            output: 512 * 1024,
        }
    }
}

/// The variables that lead tools to the caches and tool chains below `home`, the home of whoever
/// runs the orchestrator: checks have a home of their own, in which none of these are. Only those
/// that are there and that `environment` does not name.
pub fn tool_homes(home: &Path, environment: Environment) -> Environment {
    const HOMES: [(&str, &str); 8] = [
        ("CARGO_HOME", ".cargo"),
        ("RUSTUP_HOME", ".rustup"),
        ("PYENV_ROOT", ".pyenv"),
        ("GOMODCACHE", "go/pkg/mod"),
        ("NVM_DIR", ".nvm"),
        ("SDKMAN_DIR", ".sdkman"),
        ("RBENV_ROOT", ".rbenv"),
        ("VOLTA_HOME", ".volta"),
    ];
    HOMES.iter().fold(environment, |environment, (name, directory)| {
        let path = home.join(directory);
        if environment.get(name).is_none() && path.is_dir() {
            environment.with(*name, path)
        } else {
            environment
        }
    })
}
