//! The sandboxes of Linux: Landlock and seccomp, with namespaces of our own making or bubblewrap's.

use super::{
    Confinement, Enforced, Network, Sandbox, SandboxError, launch,
    order::{self, Order, Within},
    proof::Proofs,
    proxy,
    relay::Relay,
};
use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

/// Confines programs by Landlock and seccomp, in namespaces where the system has them.
///
/// Clones share their proofs and the relay of networks, which serves as long as one of them lives.
#[derive(Debug, Clone)]
pub struct Landlock {
    launcher: PathBuf,
    is_plain: bool,
    bubblewrap: Option<PathBuf>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    relay: Mutex<Option<Relay>>,
    proofs: Proofs,
}

impl Landlock {
    /// A sandbox whose launcher is `program`, which calls
    /// [`launch_if_asked`](super::launch_if_asked) first of all.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let shared = Arc::default();
        Self { launcher: program.into(), is_plain: false, bubblewrap: None, shared }
    }

    /// A sandbox whose launcher is the program that runs now.
    ///
    /// # Errors
    /// When the system does not say which it is.
    pub fn of_this_program() -> io::Result<Self> {
        std::env::current_exe().map(Self::new)
    }

    /// The same without namespaces, for systems that have none for ordinary users.
    ///
    /// Less is enforced: the program may change the mode, times and extended attributes of files
    /// that are the user's own, and sees the names and arguments of other processes. It gets no
    /// socket at all when the network is [`Network::None`]. A part of the network, and something
    /// protected in what is writable, is refused.
    #[must_use]
    pub fn without_namespaces(self) -> Self {
        Self { is_plain: true, shared: Arc::default(), ..self }
    }

    /// The same in what the bubblewrap at `program` makes in place of our own namespaces. Some
    /// systems let that program make them and no other.
    #[must_use]
    pub fn in_bubblewrap(self, program: impl Into<PathBuf>) -> Self {
        Self { bubblewrap: Some(program.into()), shared: Arc::default(), ..self }
    }

    fn relay(&self, network: &Network) -> Result<Option<PathBuf>, SandboxError> {
        if let Network::Only { hosts, .. } = network {
            proxy::Allowed::new(hosts).map_err(SandboxError::Invalid)?;
        }
        if matches!(network, Network::None | Network::All) {
            return Ok(None);
        }
        let mut relay = self.shared.relay.lock().unwrap_or_else(PoisonError::into_inner);
        if relay.is_none() {
            *relay = Some(Relay::start()?);
        }
        Ok(relay.as_ref().map(|relay| relay.path().to_owned()))
    }

    fn build(
        &self,
        program: &OsStr,
        arguments: &[OsString],
        directory: &Path,
        confinement: &Confinement,
    ) -> Result<Command, SandboxError> {
        let order = Order {
            backend: self.name().to_owned(),
            confinement: confinement.clone(),
            directory: directory.to_owned(),
            relay: self.relay(&confinement.network)?,
            plain: self.is_plain,
            bubblewrap: self.bubblewrap.clone(),
            within: Within::default(),
        };
        let mut command = Command::new(&self.launcher);
        command.args(order::arguments(launch::OUTER, &order, program, arguments)?);
        command.current_dir(directory);
        Ok(command)
    }
}

impl Sandbox for Landlock {
    fn name(&self) -> &str {
        if self.bubblewrap.is_some() { "bubblewrap" } else { "landlock" }
    }

    fn command(
        &self,
        program: &OsStr,
        arguments: &[OsString],
        directory: &Path,
        confinement: &Confinement,
    ) -> Result<Command, SandboxError> {
        order::check(directory, confinement)?;
        self.relay(&confinement.network)?;
        self.prove(confinement)?;
        self.build(program, arguments, directory, confinement)
    }

    fn prove(&self, confinement: &Confinement) -> Result<Vec<Enforced>, SandboxError> {
        self.shared.proofs.of(confinement, &self.launcher, |words, directory, confinement| {
            self.build(self.launcher.as_os_str(), words, directory, confinement)
        })
    }
}
