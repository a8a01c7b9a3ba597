//! One attempt to escape: with nothing around it, to see that it works, and behind every wall.

use super::{LAUNCHER, bubblewrap};
use orchestrator_workspace::sandbox::{
    Confinement, Landlock, Limits, NOT_CONFINED, Network, Reads, Sandbox, SandboxError,
};
use std::{
    fs,
    net::{TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::{MetadataExt, PermissionsExt},
            net::{SocketAddr, UnixDatagram, UnixListener},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};
use tempfile::TempDir;

/// The number of a user who owns nothing, for walls around an ordinary user.
const NOBODY: u32 = 65534;

/// What stands around a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wall {
    /// Landlock and seccomp in namespaces, all readable but for what is hidden.
    Namespaces,
    /// The same with what may be read named; the victims can be seen.
    Named,
    /// The same for a user who is not root.
    Ordinary,
    /// Landlock and seccomp alone.
    Plain,
    /// Landlock and seccomp in what bubblewrap makes.
    Bubblewrap,
}

const ALL: [Wall; 5] =
    [Wall::Namespaces, Wall::Named, Wall::Ordinary, Wall::Plain, Wall::Bubblewrap];

/// An attempt, as a script of a shell that ends well when it has worked.
pub(crate) struct Attempt {
    script: &'static str,
    control: bool,
    without: Vec<Wall>,
    limits: Limits,
    inherit: bool,
}

/// The place of one attempt.
struct Arena {
    root: TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    unix: UnixListener,
    hidden_unix: UnixListener,
    dgram: UnixDatagram,
    sibling: Child,
    /// Of shared memory.
    memory: Option<String>,
    before: Vec<String>,
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where arenas and their tools are: a directory that an ordinary user can reach. The usual one may
/// lie below the home of root, whom the others are tried beside.
fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let usual = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let is_open =
            |dir: &Path| fs::metadata(dir).is_ok_and(|dir| dir.permissions().mode() & 0o001 != 0);
        if !is_root() || usual.ancestors().all(is_open) {
            return usual.to_owned();
        }
        let other = PathBuf::from("/var/lib/orchestrator-tests");
        fs::create_dir_all(&other).expect("a directory");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).expect("open to all");
        other
    })
}

/// Where the helper of the attempts is; it is compiled once.
fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let dir = base().join("escape-tools");
        fs::create_dir_all(&dir).expect("a directory");
        let fresh = dir.join(format!("attempt-{}", std::process::id()));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sandbox/attempts.c");
        let status = Command::new("cc").args(["-O1", "-w", "-o"]).arg(&fresh).arg(source).status();
        assert!(status.expect("a C compiler").success());
        // Two runs of the tests may be at this at once.
        fs::rename(&fresh, dir.join("attempt")).expect("in its place");
        dir
    })
}

impl Arena {
    fn new(owner: Option<u32>, has_git: bool) -> Self {
        let root = tempfile::tempdir_in(base()).expect("a directory");
        let at = |name: &str| root.path().join(name);
        for dir in ["workspace", "outside", "hidden", "repository/hooks"] {
            fs::create_dir_all(at(dir)).expect("a directory");
        }
        fs::write(at("outside/victim"), "untouched").expect("a file");
        fs::write(at("hidden/secret"), "sesame").expect("a file");
        fs::write(at("workspace/own"), "own").expect("a file");
        fs::write(at("repository/config"), "[core]").expect("a file");
        std::os::unix::fs::symlink(at("outside"), at("workspace/planted")).expect("a link");
        if has_git {
            for dir in ["hooks", "refs/heads", "objects/info", "info", "worktrees/other"] {
                fs::create_dir_all(at("workspace/.git").join(dir)).expect("a directory");
            }
            for file in ["HEAD", "config", "index", "refs/heads/main", "info/attributes"] {
                fs::write(at("workspace/.git").join(file), "untouched").expect("a file");
            }
        }
        let tcp = TcpListener::bind("0.0.0.0:0").expect("a port");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let unix = UnixListener::bind(at("outside/s")).expect("a socket");
        let name = SocketAddr::from_abstract_name(root.path().as_os_str().as_encoded_bytes());
        let hidden_unix = UnixListener::bind_addr(&name.expect("a name")).expect("a socket");
        let dgram = UnixDatagram::bind(at("outside/d")).expect("a socket");
        for socket in ["outside/s", "outside/d"] {
            let all = fs::Permissions::from_mode(0o777);
            fs::set_permissions(at(socket), all).expect("open to all");
        }
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("open to all");
        tcp.set_nonblocking(true).expect("not to wait");
        udp.set_nonblocking(true).expect("not to wait");
        unix.set_nonblocking(true).expect("not to wait");
        hidden_unix.set_nonblocking(true).expect("not to wait");
        dgram.set_nonblocking(true).expect("not to wait");
        let mut sibling = Command::new("sleep");
        sibling.arg("1000").env("SESAME", "open").process_group(0);
        sibling.stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(owner) = owner {
            let owner_of = format!("{owner}:{owner}");
            let status = Command::new("chown").args(["-R", &owner_of]).arg(root.path()).status();
            assert!(status.expect("chown").success());
            sibling.uid(owner).gid(owner);
        }
        let sibling = sibling.spawn().expect("a sibling");
        let made = Command::new("ipcmk").args(["-M", "4096", "-p", "0666"]).output();
        let memory = made.ok().and_then(|made| {
            String::from_utf8_lossy(&made.stdout).trim().rsplit(' ').next().map(str::to_owned)
        });
        let mut arena =
            Self { root, tcp, udp, unix, hidden_unix, dgram, sibling, memory, before: Vec::new() };
        arena.before = arena.state();
        arena
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Everything about what must not be changed.
    fn state(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut open = vec![self.path("outside"), self.path("hidden"), self.path("repository")];
        open.push(self.path("workspace/.git"));
        while let Some(path) = open.pop() {
            let Ok(data) = path.symlink_metadata() else { continue };
            let content = if data.is_file() { fs::read(&path).unwrap_or_default() } else { vec![] };
            all.push(format!(
                "{path:?} {:o} {}:{} {} {} {content:?}",
                data.mode(),
                data.uid(),
                data.gid(),
                data.mtime(),
                data.nlink(),
            ));
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                open.push(entry.path());
            }
        }
        all.sort();
        all
    }

    /// What has come out, if anything.
    fn reached(&mut self) -> Option<String> {
        let after = self.state();
        if after != self.before {
            let new = after.iter().filter(|line| !self.before.contains(line)).cloned();
            return Some(format!("files were changed: {:?}", new.collect::<Vec<_>>()));
        }
        if self.sibling.try_wait().expect("a sibling").is_some() {
            return Some("the sibling was ended".into());
        }
        let mut one = [0];
        for (name, is_reached) in [
            ("tcp", self.tcp.accept().is_ok()),
            ("udp", self.udp.recv(&mut one).is_ok()),
            ("unix", self.unix.accept().is_ok()),
            ("abstract", self.hidden_unix.accept().is_ok()),
            ("datagram", self.dgram.recv(&mut one).is_ok()),
        ] {
            if is_reached {
                return Some(format!("the {name} socket was reached"));
            }
        }
        None
    }

    fn tell(&self, command: &mut Command) {
        let port = |address: std::io::Result<std::net::SocketAddr>| {
            address.expect("an address").port().to_string()
        };
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.sibling.id()));
        let address = maps.unwrap_or_default().split('-').next().unwrap_or_default().to_owned();
        let usual = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
        command
            .env_clear()
            .env("PATH", format!("{}:{usual}", tools().display()))
            .env("W", self.path("workspace"))
            .env("O", self.path("outside"))
            .env("H", self.path("hidden"))
            .env("R", self.path("repository"))
            .env("VICTIM", self.path("outside/victim"))
            .env("SECRET", self.path("hidden/secret"))
            .env("SOCK", self.path("outside/s"))
            .env("DGRAM", self.path("outside/d"))
            .env("ABSTRACT", self.root.path())
            .env("PORT", port(self.tcp.local_addr()))
            .env("UDP", port(self.udp.local_addr()))
            .env("PID", std::process::id().to_string())
            .env("SIBLING", self.sibling.id().to_string())
            .env("ADDRESS", address)
            .env("SHM", self.memory.as_deref().unwrap_or("-1"))
            .stdin(Stdio::null());
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = self.sibling.kill();
        let _ = self.sibling.wait();
        if let Some(memory) = &self.memory {
            let _ = Command::new("ipcrm").args(["-m", memory]).status();
        }
    }
}

impl Attempt {
    pub(crate) fn new(script: &'static str) -> Self {
        let limits = Limits::default();
        Self { script, control: true, without: Vec::new(), limits, inherit: false }
    }

    /// It is not tried unconfined: it would do harm, or needs what not every machine has.
    pub(crate) fn no_control(mut self, _why: &str) -> Self {
        self.control = false;
        self
    }

    /// It is not tried behind these walls, which do not promise to stop it or have nothing to try.
    pub(crate) fn not_behind(mut self, walls: &[Wall], _why: &str) -> Self {
        self.without.extend(walls);
        self
    }

    /// It is bounded.
    pub(crate) fn limited(mut self) -> Self {
        self.limits = Limits {
            memory: Some(128 << 20),
            processes: Some(40),
            cpu: Some(Duration::from_secs(1)),
            files: Some(128),
            file_size: Some(8 << 20),
        };
        self
    }

    /// The victim is open for writing as its descriptor 9 when it is started.
    pub(crate) fn inheriting(mut self) -> Self {
        self.inherit = true;
        self
    }

    pub(crate) fn run(self) {
        if self.control {
            let mut arena = Arena::new(None, true);
            let mut command = Command::new("sh");
            command.args(["-c", self.script]).current_dir(arena.path("workspace"));
            let mut command = self.handing_down(command, &arena);
            arena.tell(&mut command);
            let output = command.output().expect("a shell");
            let has_worked = output.status.success() || arena.reached().is_some();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(has_worked, "it does not even work unconfined: {} {said}", output.status);
        }
        let walls: Vec<_> = ALL.iter().filter(|wall| !self.without.contains(wall)).collect();
        let tried = walls.iter().filter(|wall| self.behind(***wall)).count();
        assert!(tried > 0, "there was no wall to try it behind");
    }

    /// The command with the victim's descriptor, if it is to have that.
    fn handing_down(&self, command: Command, arena: &Arena) -> Command {
        if !self.inherit {
            return command;
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec 9>>\"$0\"; exec \"$@\""]).arg(arena.path("outside/victim"));
        shell.arg(command.get_program()).args(command.get_args());
        shell.current_dir(command.get_current_dir().expect("a directory"));
        shell
    }

    /// Whether it was tried behind this wall, which then has held.
    fn behind(&self, wall: Wall) -> bool {
        let owner = match wall {
            // Who is not root is an ordinary user behind every wall.
            Wall::Ordinary if !is_root() => return false,
            Wall::Ordinary => Some(NOBODY),
            _ => None,
        };
        let mut arena = Arena::new(owner, wall != Wall::Plain);
        let native = Landlock::new(LAUNCHER);
        let sandbox = match wall {
            Wall::Namespaces | Wall::Named | Wall::Ordinary => native,
            Wall::Plain => native.without_namespaces(),
            Wall::Bubblewrap => native.in_bubblewrap(bubblewrap()),
        };
        let reads = match wall {
            Wall::Named => Reads::Only(vec![arena.root.path().into(), tools().into()]),
            _ => Reads::All,
        };
        let confinement = Confinement {
            writable: vec![arena.path("workspace")],
            reads,
            hidden: vec![arena.path("hidden"), arena.path("outside/later")],
            network: Network::None,
            limits: self.limits,
            visible: Vec::new(),
            protected: Vec::new(),
        };
        let words = ["-c".into(), self.script.into()];
        let directory = arena.path("workspace");
        let command = match sandbox.command("sh".as_ref(), &words, &directory, &confinement) {
            Ok(command) => command,
            // Root's processes are counted by control groups alone, which a machine may not lend.
            Err(SandboxError::Unavailable(why)) if why.contains("control groups") => return false,
            Err(error) => panic!("{wall:?}: {error}"),
        };
        let command = match owner {
            None => command,
            Some(owner) => {
                let mut other = Command::new("setpriv");
                other.args([format!("--reuid={owner}"), format!("--regid={owner}")]);
                other.args(["--clear-groups", "--"]);
                other.arg(command.get_program()).args(command.get_args());
                other.current_dir(directory);
                other
            }
        };
        let mut command = self.handing_down(command, &arena);
        arena.tell(&mut command);
        let output = command.output().expect("a launcher");
        let said = String::from_utf8_lossy(&output.stderr);
        if wall == Wall::Ordinary && said.contains("lets no ordinary user make namespaces") {
            return false;
        }
        let code = output.status.code();
        assert_ne!(code, Some(i32::from(NOT_CONFINED)), "{wall:?}: it was not tried: {said}");
        assert!(!matches!(code, Some(126 | 127)), "{wall:?}: it was not tried: {said}");
        let reached = arena.reached();
        assert!(reached.is_none(), "{wall:?}: {} {said}", reached.unwrap_or_default());
        assert!(!output.status.success(), "{wall:?}: it has worked: {said}");
        true
    }
}
