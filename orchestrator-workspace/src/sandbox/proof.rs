//! A sandbox proves itself before it is trusted: a program in it tries what is forbidden.

use super::{Confinement, Enforced, Limits, Network, Reads, SandboxError, launch, order};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    io::{self, ErrorKind},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// Where the program of a proof may try what is forbidden. Nothing in it is of worth.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ground {
    /// A directory that it may write.
    pub writable: PathBuf,
    /// A file that it may not write.
    pub outside: PathBuf,
    /// A file that it may not read.
    pub hidden: PathBuf,
    /// A file that it may read but not write.
    pub protected: Option<PathBuf>,
    /// A Unix socket at which we listen.
    pub socket: PathBuf,
    /// A port of the loopback address at which we listen; none when it may connect anywhere.
    pub port: Option<u16>,
    /// Us.
    pub prover: i32,
    /// What it may use.
    pub limits: Limits,
    /// Where our environment can be read by those who may.
    pub environment: PathBuf,
}

/// Proofs that were made, by the shape of the confinement.
#[derive(Debug, Default)]
pub(super) struct Proofs(Mutex<HashMap<String, Result<Vec<Enforced>, Refusal>>>);

/// A proof that failed, to be told again.
#[derive(Debug, Clone)]
enum Refusal {
    Unavailable(String),
    Leaks(String),
}

impl Proofs {
    /// The proof for confinements of this shape, made now if it has not been.
    pub(super) fn of(
        &self,
        confinement: &Confinement,
        launcher: &Path,
        command: impl FnOnce(&[OsString], &Path, &Confinement) -> Result<Command, SandboxError>,
    ) -> Result<Vec<Enforced>, SandboxError> {
        let mut proofs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let proof = proofs
            .entry(shape(confinement))
            .or_insert_with(|| prove(confinement, launcher, command));
        proof.clone().map_err(|refusal| match refusal {
            Refusal::Unavailable(why) => SandboxError::Unavailable(why),
            Refusal::Leaks(what) => SandboxError::Leaks(what),
        })
    }
}

/// What two confinements share when one proof holds for both.
fn shape(confinement: &Confinement) -> String {
    let network = match &confinement.network {
        Network::None => "none",
        Network::Gateway(_) => "gateway",
        Network::Only { gateway: None, .. } => "only",
        Network::Only { gateway: Some(_), .. } => "only with gateway",
        Network::All => "all",
    };
    let reads = match &confinement.reads {
        Reads::All => "all",
        Reads::Only(_) => "only",
    };
    format!("{network} {reads} {} {:?}", protects(confinement), confinement.limits)
}

/// Whether something in what is writable must not be written.
fn protects(confinement: &Confinement) -> bool {
    !confinement.protected.is_empty() || !order::gits(confinement).is_empty()
}

fn prove(
    confinement: &Confinement,
    launcher: &Path,
    command: impl FnOnce(&[OsString], &Path, &Confinement) -> Result<Command, SandboxError>,
) -> Result<Vec<Enforced>, Refusal> {
    let failed = |error: io::Error| Refusal::Unavailable(format!("cannot prove itself: {error}"));
    let wrong = |error: SandboxError| Refusal::Unavailable(error.to_string());
    let place = tempfile::Builder::new().prefix("orchestrator-proof").tempdir().map_err(failed)?;
    let root = place.path().canonicalize().map_err(failed)?;
    let (writable, hidden) = (root.join("writable"), root.join("hidden"));
    fs::create_dir(&writable).map_err(failed)?;
    fs::create_dir(&hidden).map_err(failed)?;
    let file = |path: PathBuf| fs::write(&path, "untouched").map(|()| path).map_err(failed);
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let port = tcp.local_addr().map_err(failed)?.port();
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok();
    let socket = root.join("socket");
    let _unix = UnixListener::bind(&socket).map_err(failed)?;
    let protected = if protects(confinement) {
        fs::create_dir(writable.join(".git")).map_err(failed)?;
        Some(file(writable.join(".git/config"))?)
    } else {
        None
    };
    let ground = Ground {
        outside: file(root.join("outside"))?,
        hidden: file(hidden.join("secret"))?,
        protected,
        socket,
        port: (confinement.network != Network::All).then_some(port),
        prover: i32::try_from(std::process::id()).unwrap_or_default(),
        limits: confinement.limits,
        environment: format!("/proc/{}/environ", std::process::id()).into(),
        writable: writable.clone(),
    };
    let reads = match &confinement.reads {
        Reads::All => Reads::All,
        Reads::Only(_) => Reads::Only(vec![root.clone()]),
    };
    let tried = Confinement {
        writable: vec![writable],
        reads,
        hidden: vec![hidden],
        protected: Vec::new(),
        visible: Vec::new(),
        network: confinement.network.clone(),
        limits: confinement.limits,
    };
    let words =
        order::arguments(launch::PROBE, &ground, launcher.as_os_str(), &[]).map_err(wrong)?;
    let mut command = command(&words, &root, &tried).map_err(wrong)?;
    let output = command.stdin(Stdio::null()).output().map_err(failed)?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let Ok(mut tries) = serde_json::from_slice::<Vec<Enforced>>(&output.stdout) else {
        let said = said.strip_prefix("orchestrator sandbox: ").unwrap_or(&said);
        let said = said.strip_suffix("; the program was not started").unwrap_or(said);
        let said = if said.is_empty() { "the launcher does not answer" } else { said };
        return Err(Refusal::Unavailable(said.to_owned()));
    };
    if let Some(udp) = udp.filter(|_| ground.port.is_some()) {
        let _ = udp.set_nonblocking(true);
        let arrived = udp.recv(&mut [0]).map_err(|error| error.kind());
        let held = arrived == Err(ErrorKind::WouldBlock);
        let how = if held { "nothing arrived" } else { "it arrived" };
        tries.push(Enforced { name: "send a datagram".into(), held, how: how.into() });
    }
    for (name, path) in
        [("outside", Some(&ground.outside)), ("protected", ground.protected.as_ref())]
    {
        let Some(path) = path else { continue };
        if fs::read(path).ok().as_deref() != Some(b"untouched") {
            let name = format!("leave what is {name} as it is");
            tries.push(Enforced { name, held: false, how: "it was changed".into() });
        }
    }
    let leaks: Vec<_> = tries.iter().filter(|tried| !tried.held).collect();
    if leaks.is_empty() {
        return Ok(tries);
    }
    let leaks: Vec<_> = leaks.iter().map(|leak| format!("{} ({})", leak.name, leak.how)).collect();
    Err(Refusal::Leaks(leaks.join(", ")))
}
