//! Containers of docker or podman, through their command.
//!
//! A container sees its image, the directory it starts in and what is named; nothing else of the
//! disk, whatever may be read. The engine is another service, so ending its command does not end the
//! container: a remover that outlives us takes it away by its name.

use super::{
    Confinement, Enforced, Network, Reads, Sandbox, SandboxError,
    launch::{self, During, Step},
    order,
};
use rustix::process::{getgid, getuid};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{Read, Write, stdin},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

/// Which command the engine of containers has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Engine {
    /// `docker`.
    Docker,
    /// `podman`, which keeps the user's number by itself.
    Podman,
}

/// Confines programs in containers. Each runs in one of its own, which is removed after it.
#[derive(Debug, Clone)]
pub struct Container {
    launcher: PathBuf,
    box_of: BoxOf,
    proofs: Proofs,
}

/// Proofs that were made, by the shape of the confinement.
type Proofs = Arc<Mutex<Vec<(String, Vec<Enforced>)>>>;

/// What all containers of one sandbox share.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct BoxOf {
    engine: Engine,
    program: PathBuf,
    image: String,
    setup: Vec<String>,
    gateway: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    box_of: BoxOf,
    confinement: Confinement,
    directory: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Removal {
    program: PathBuf,
    name: String,
}

impl Container {
    /// Containers of `image` by the engine whose command is `program`. `launcher` is a program that
    /// calls [`launch_if_asked`](super::launch_if_asked) first of all.
    pub fn new(
        launcher: impl Into<PathBuf>,
        engine: Engine,
        program: impl Into<PathBuf>,
        image: impl Into<String>,
    ) -> Self {
        let box_of = BoxOf {
            engine,
            program: program.into(),
            image: image.into(),
            setup: Vec::new(),
            gateway: None,
        };
        Self { launcher: launcher.into(), box_of, proofs: Arc::default() }
    }

    /// The same with commands that prepare the image, each a layer of its own. What has been
    /// prepared from the same image by the same commands is used again.
    #[must_use]
    pub fn prepared_by(mut self, commands: Vec<String>) -> Self {
        self.box_of.setup = commands;
        self.proofs = Arc::default();
        self
    }

    /// The same with a network of the engine in which the model gateway alone can be reached. It is
    /// for the user to make; without it a confinement that asks for the gateway is refused.
    #[must_use]
    pub fn with_gateway_network(mut self, name: impl Into<String>) -> Self {
        self.box_of.gateway = Some(name.into());
        self.proofs = Arc::default();
        self
    }

    fn build(
        &self,
        program: &OsStr,
        arguments: &[OsString],
        directory: &Path,
        confinement: &Confinement,
    ) -> Result<Command, SandboxError> {
        let order = Order {
            box_of: self.box_of.clone(),
            confinement: confinement.clone(),
            directory: directory.to_owned(),
        };
        // What cannot be said is refused here, not when it is started.
        flags(&order, "checked")?;
        let mut command = Command::new(&self.launcher);
        command.args(order::arguments(launch::CONTAINER, &order, program, arguments)?);
        command.current_dir(directory);
        Ok(command)
    }
}

impl Sandbox for Container {
    fn name(&self) -> &str {
        match self.box_of.engine {
            Engine::Docker => "docker",
            Engine::Podman => "podman",
        }
    }

    fn command(
        &self,
        program: &OsStr,
        arguments: &[OsString],
        directory: &Path,
        confinement: &Confinement,
    ) -> Result<Command, SandboxError> {
        order::check(directory, confinement)?;
        self.prove(confinement)?;
        self.build(program, arguments, directory, confinement)
    }

    fn prove(&self, confinement: &Confinement) -> Result<Vec<Enforced>, SandboxError> {
        let shape = format!("{:?}", confinement.network);
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, proof)) = proofs.iter().find(|(proved, _)| *proved == shape) {
            return Ok(proof.clone());
        }
        let proof = self.try_it(confinement)?;
        proofs.push((shape, proof.clone()));
        Ok(proof)
    }
}

/// What a shell in the container tries. Each line that it prints is `NAME=held` or `NAME=leaks`.
const TRIES: &str = r#"
held() { if "$@" >/dev/null 2>&1; then echo "$name=leaks"; else echo "$name=held"; fi; }
same() { if [ "$1" = "$2" ]; then echo "$name=held"; else echo "$name=leaks"; fi; }
name=write-the-image; held sh -c ': > /orchestrator-probe'
name=write-outside; held sh -c ': >> "$0"' "$1"
name=read-hidden; held sh -c '[ -s "$0" ]' "$2"
name=capabilities; same "$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)" 0000000000000000
name=new-privileges; same "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' /proc/self/status)" 1
name=seccomp; same "$(sed -n 's/^Seccomp:[[:space:]]*//p' /proc/self/status)" 2
if [ "$3" = none ]; then
  name=network; same "$(sed '1,2d; s/:.*//; s/ //g' /proc/net/dev | grep -v '^lo$')" ""
fi
echo end=held
"#;

impl Container {
    fn try_it(&self, confinement: &Confinement) -> Result<Vec<Enforced>, SandboxError> {
        let failed = |error| SandboxError::Unavailable(format!("cannot try containers: {error}"));
        let place = tempfile::tempdir().map_err(failed)?;
        let root = place.path().canonicalize().map_err(failed)?;
        let (writable, hidden) = (root.join("writable"), root.join("hidden"));
        for dir in [&writable, &hidden] {
            fs::create_dir(dir).map_err(failed)?;
        }
        let (outside, secret) = (root.join("outside"), hidden.join("secret"));
        for file in [&outside, &secret] {
            fs::write(file, "untouched").map_err(failed)?;
        }
        let tried = Confinement {
            writable: vec![writable],
            hidden: vec![hidden],
            reads: Reads::Only(vec![root.clone()]),
            network: confinement.network.clone(),
            limits: confinement.limits,
            protected: Vec::new(),
            visible: Vec::new(),
        };
        let network = if confinement.network == Network::None { "none" } else { "some" };
        let words: Vec<OsString> = vec![
            "-c".into(),
            TRIES.into(),
            "sh".into(),
            outside.clone().into(),
            secret.into(),
            network.into(),
        ];
        let output = self
            .build(OsStr::new("sh"), &words, &root, &tried)?
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        let tries: Vec<Enforced> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, how)| Enforced {
                name: name.replace('-', " "),
                held: how == "held",
                how: how.into(),
            })
            .collect();
        if tries.last().is_none_or(|last| last.name != "end") {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().last().unwrap_or("it does not answer").to_owned();
            return Err(SandboxError::Unavailable(format!("{}: {said}", self.name())));
        }
        let leaks: Vec<_> =
            tries.iter().filter(|tried| !tried.held).map(|tried| tried.name.clone()).collect();
        let is_touched = fs::read(&outside).map_err(failed)? != b"untouched";
        if is_touched || !leaks.is_empty() {
            return Err(SandboxError::Leaks(leaks.join(", ")));
        }
        Ok(tries.into_iter().filter(|tried| tried.name != "end").collect())
    }
}

/// What the engine is told between `run` and the image.
fn flags(order: &Order, name: &str) -> Result<Vec<OsString>, SandboxError> {
    let Order { box_of, confinement, directory } = order;
    let mut all: Vec<OsString> = [
        "run",
        "--rm",
        "--interactive",
        "--init",
        "--name",
        name,
        "--read-only",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--ipc",
        "private",
        "--ulimit",
        "core=0:0",
    ]
    .map(OsString::from)
    .into();
    let mut say = |words: &[&str]| all.extend(words.iter().map(OsString::from));
    say(&["--user", &format!("{}:{}", getuid().as_raw(), getgid().as_raw())]);
    if box_of.engine == Engine::Podman {
        say(&["--userns", "keep-id"]);
    }
    let network = match (&confinement.network, &box_of.gateway) {
        (Network::None, _) => "none",
        (Network::All, _) => "bridge",
        (Network::Gateway(_), Some(name)) => name,
        (Network::Gateway(_), None) => {
            return Err(SandboxError::Unavailable(
                "a container reaches the gateway through a network that is made for it, and none \
                 is named"
                    .into(),
            ));
        }
        (Network::Only { .. }, _) => {
            return Err(SandboxError::Unavailable(
                "a container's network cannot be let through in part; use Landlock".into(),
            ));
        }
    };
    say(&["--network", network]);
    let limits = &confinement.limits;
    if let Some(memory) = limits.memory {
        let memory = memory.to_string();
        say(&["--memory", &memory, "--memory-swap", &memory]);
    }
    if let Some(processes) = limits.processes {
        say(&["--pids-limit", &processes.to_string()]);
    }
    for (kind, most) in [
        ("cpu", limits.cpu.map(|cpu| cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0))),
        ("nofile", limits.files),
        ("fsize", limits.file_size),
    ] {
        if let Some(most) = most {
            say(&["--ulimit", &format!("{kind}={most}:{most}")]);
        }
    }
    say(&["--tmpfs", "/tmp:rw,nosuid,nodev,exec,mode=1777", "--env", "HOME=/tmp"]);
    let mut mounts = Vec::new();
    let mut readable = vec![directory.clone()];
    if let Reads::Only(paths) = &confinement.reads {
        readable.extend(paths.iter().cloned());
    }
    for path in readable.iter().filter(|path| !confinement.writable.contains(path)) {
        mounts.push((path.clone(), bind(path, true)?));
    }
    for path in &confinement.writable {
        mounts.push((path.clone(), bind(path, false)?));
    }
    for path in confinement.protected.iter().cloned().chain(order::gits(confinement)) {
        mounts.push((path.clone(), bind(&path, true)?));
    }
    let seen: Vec<_> = mounts.iter().map(|(path, _)| path.clone()).collect();
    for path in &confinement.hidden {
        if seen.iter().any(|above| path.starts_with(above)) && path.exists() {
            let mount = if path.is_dir() {
                format!("type=tmpfs,dst={}", named(path)?)
            } else {
                format!("type=bind,src=/dev/null,dst={},readonly", named(path)?)
            };
            mounts.push((path.clone(), mount));
        }
    }
    // What lies above is mounted first; of two at one place the later was meant.
    mounts.sort_by(|one, other| one.0.cmp(&other.0));
    let mut last: Vec<(PathBuf, String)> = Vec::new();
    for (path, mount) in mounts {
        if last.last().is_some_and(|(before, _)| *before == path) {
            last.pop();
        }
        last.push((path, mount));
    }
    for (_, mount) in &last {
        say(&["--mount", mount]);
    }
    say(&["--workdir", named(directory)?]);
    Ok(all)
}

fn bind(path: &Path, is_read_only: bool) -> Result<String, SandboxError> {
    let name = named(path)?;
    let mode = if is_read_only { ",readonly" } else { "" };
    Ok(format!("type=bind,src={name},dst={name}{mode}"))
}

/// A path as it can be part of a mount, whose fields are parted by commas.
fn named(path: &Path) -> Result<&str, SandboxError> {
    let fits = |name: &&str| !name.contains([',', '"', '\n']);
    path.to_str().filter(fits).ok_or_else(|| {
        SandboxError::Invalid(format!("{} cannot be mounted by this name", path.display()))
    })
}

/// Runs a program in a container and answers its code.
pub(super) fn run(words: &mut dyn Iterator<Item = OsString>) -> Step<i32> {
    let (order, program, arguments): (Order, _, _) = order::read(words)?;
    let image = image(&order.box_of)?;
    let mut random = [0_u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .during("name a container")?;
    let name = format!("orchestrator-{:016x}", u64::from_ne_bytes(random));
    let flags = flags(&order, &name).map_err(|error| error.to_string())?;
    let mut remover = remover(&order.box_of.program, &name)?;
    let mut command = Command::new(&order.box_of.program);
    command.args(flags);
    for (variable, _) in env::vars_os().filter(|(variable, _)| is_for_container(variable)) {
        // Only the name: the command takes the value from its own environment, where nobody who
        // lists processes sees it.
        command.arg("--env").arg(variable);
    }
    command.arg(image).arg(program).args(arguments);
    let engine = command.spawn().during("start the engine's command")?;
    launch::let_signals_pass()?;
    let code = launch::end_of(engine)?;
    // It has ended by itself, so there is nothing to remove.
    if let Some(mut told) = remover.stdin.take() {
        let _ = told.write_all(b"k");
    }
    let _ = remover.wait();
    Ok(code)
}

/// Whether a variable is meant for the program: not what belongs to this machine.
fn is_for_container(name: &OsStr) -> bool {
    const OURS: [&str; 10] = [
        "PATH",
        "HOME",
        "HOSTNAME",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "TMPDIR",
        "SHELL",
        "_",
        "SSH_AUTH_SOCK",
    ];
    name.to_str().is_some_and(|name| {
        !OURS.contains(&name)
            && !["DOCKER_", "CONTAINER_", "XDG_", "ORCHESTRATOR_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
    })
}

/// The image, prepared if it is to be and has not been.
fn image(box_of: &BoxOf) -> Step<String> {
    if box_of.setup.is_empty() {
        return Ok(box_of.image.clone());
    }
    let mut file = format!("FROM {}\n", box_of.image);
    for command in &box_of.setup {
        // The form of a list is taken as it stands, without a second reading.
        let words = serde_json::to_string(&["/bin/sh", "-c", command]).during("write a file")?;
        file.push_str(&format!("RUN {words}\n"));
    }
    let digest = Sha256::digest(file.as_bytes());
    let digest: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("orchestrator-sandbox:{digest}");
    let mut inspect = Command::new(&box_of.program);
    inspect.args(["image", "inspect", &tag]);
    inspect.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if inspect.status().during("ask for an image")?.success() {
        return Ok(tag);
    }
    let mut build = Command::new(&box_of.program);
    build.args(["build", "--tag", &tag, "-"]);
    build.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut building = build.spawn().during("prepare the image")?;
    if let Some(mut told) = building.stdin.take() {
        told.write_all(file.as_bytes()).during("prepare the image")?;
    }
    let status = building.wait().during("prepare the image")?;
    if status.success() { Ok(tag) } else { Err(format!("cannot prepare the image: {status}")) }
}

/// Starts a process that removes the container when this one is gone without a word. It has a group
/// of its own and no mark, so whatever ends this one leaves it be.
fn remover(program: &Path, name: &str) -> Step<Child> {
    let removal = Removal { program: program.to_owned(), name: name.to_owned() };
    let words = order::arguments(launch::REMOVER, &removal, OsStr::new("-"), &[])
        .map_err(|error| error.to_string())?;
    let mut command = launch::step(words);
    command.env_clear();
    for (name, value) in env::vars_os() {
        let is_needed = |name: &str| {
            ["PATH", "HOME", "XDG_RUNTIME_DIR"].contains(&name)
                || name.starts_with("DOCKER_")
                || name.starts_with("CONTAINER_")
        };
        if name.to_str().is_some_and(is_needed) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().during("see to the container's removal")
}

/// Waits until whom it was started by is gone, and removes the container unless it was told that it
/// is gone as well.
pub(super) fn remove(words: &mut dyn Iterator<Item = OsString>) -> Step<i32> {
    let (removal, _, _): (Removal, _, _) = order::read(words)?;
    launch::let_signals_pass()?;
    let mut told = [0];
    if stdin().read(&mut told).unwrap_or_default() == 0 {
        let mut command = Command::new(&removal.program);
        command.args(["rm", "--force", &removal.name]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        return command.status().map(launch::code).during("remove a container");
    }
    Ok(0)
}
