//! A project, an empty home, and the program run in them with an environment of its own.

use super::{Broken, failed, flows::Flow, flows::STEP};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write as _},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longer than any command takes that ends at all, on a machine that has much else to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether a command has ended.
const GLANCE: Duration = Duration::from_micros(300);

/// The program under proof.
#[derive(Debug, Clone)]
pub struct Product {
    binary: PathBuf,
}

impl Product {
    /// The program in the file `binary`.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into() }
    }
}

/// A directory with a workflow in it, and a home for the program.
#[derive(Debug)]
pub struct Project {
    product: Product,
    directory: PathBuf,
    home: TempDir,
    variables: Vec<(String, String)>,
    _kept: Option<TempDir>,
}

impl Project {
    /// A project for `flow` in a directory of its own that goes with it.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn new(product: &Product, flow: &Flow) -> Result<Self, Broken> {
        let kept = tempfile::tempdir().map_err(failed("make a directory"))?;
        let mut project = Self::within(product, flow, &kept.path().join("project"))?;
        project._kept = Some(kept);
        Ok(project)
    }

    /// The same in `directory`, which is made and stays.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn within(product: &Product, flow: &Flow, directory: &Path) -> Result<Self, Broken> {
        let home = tempfile::tempdir().map_err(failed("make a home"))?;
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).map_err(failed(format_args!("write `{}`", path.display())))
        };
        // A directory of that name tells the program where a project begins.
        fs::create_dir_all(directory.join(".orchestrator")).map_err(failed("make a project"))?;
        write("step.sh", STEP)?;
        for (name, text) in flow.files {
            write(name, text)?;
        }
        let directory = directory.canonicalize().map_err(failed("name the project"))?;
        Ok(Self { product: product.clone(), directory, home, variables: Vec::new(), _kept: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// The directory in which the program keeps the log and all else.
    pub fn state(&self) -> PathBuf {
        self.directory.join(".orchestrator/state")
    }

    /// Sets the variables that every command sees beside the usual ones, in place of earlier ones.
    pub fn set_variables(&mut self, variables: Vec<(String, String)>) {
        self.variables = variables;
    }

    /// Makes every step of the workflow wait for ever from here on, or not any more.
    ///
    /// # Errors
    /// When the file that says so cannot be written or removed.
    pub fn hang(&self, yes: bool) -> Result<(), Broken> {
        let path = self.directory.join("hang");
        let changed = if yes { fs::write(&path, "") } else { fs::remove_file(&path) };
        changed.map_err(failed("change `hang`"))
    }

    /// The text of a file of the project; empty when there is none.
    pub fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.directory.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Starts the program with `arguments`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(&self, arguments: &[&str]) -> Result<Running, Broken> {
        let mut command = Command::new(&self.product.binary);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("LANG", "C.UTF-8")
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in ["PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let what = format!("start `{} {}`", self.product.binary.display(), arguments.join(" "));
        let mut child = command.spawn().map_err(failed(what))?;
        let (stdout, stderr) = (gather(child.stdout.take()), gather(child.stderr.take()));
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Ok(Running { arguments, child, stdout, stderr })
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// When it cannot be started, or does not end.
    pub fn run(&self, arguments: &[&str]) -> Result<Ran, Broken> {
        self.start(arguments)?.end()
    }

    /// Runs it with `--json`, and reads the one document that it prints.
    ///
    /// # Errors
    /// When it fails, or prints something else.
    pub fn json(&self, arguments: &[&str]) -> Result<Value, Broken> {
        let ran = self.run(&[arguments, &["--json"]].concat())?.expect(&[0])?;
        serde_json::from_str(&ran.stdout).map_err(|error| ran.broken(&format!("no JSON: {error}")))
    }
}

/// Reads a stream to its end on a thread.
fn gather(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before a failure is what there is.
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// The program under way.
#[derive(Debug)]
pub(super) struct Running {
    arguments: Vec<String>,
    child: Child,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

impl Running {
    /// Waits for its end.
    pub(super) fn end(self) -> Result<Ran, Broken> {
        let ran = self.within(PATIENCE)?;
        if ran.was_killed() {
            return Err(ran.broken(&format!("did not end within {PATIENCE:?}")));
        }
        Ok(ran)
    }

    /// Waits for its end, but kills it after `time`, as a crash would.
    pub(super) fn within(mut self, time: Duration) -> Result<Ran, Broken> {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(failed("wait for it"))? {
                break status;
            }
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                self.child.kill().map_err(failed("kill it"))?;
                break self.child.wait().map_err(failed("wait for it"))?;
            }
            thread::park_timeout(left.min(GLANCE));
        };
        let text = |stream: JoinHandle<Vec<u8>>| {
            String::from_utf8_lossy(&stream.join().unwrap_or_default()).into_owned()
        };
        let (stdout, stderr) = (text(self.stdout), text(self.stderr));
        Ok(Ran { arguments: self.arguments, status, stdout, stderr, took: start.elapsed() })
    }
}

/// What came of a command.
#[derive(Debug, Clone)]
pub struct Ran {
    arguments: Vec<String>,
    status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// Its exit code, if it ended by itself.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether a `SIGKILL` ended it.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// What it printed, without a last line that is not whole.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let whole = self.stdout.rfind('\n').map_or("", |end| &self.stdout[..end]);
        whole.lines()
    }

    /// Refuses any other end than one of these exit codes, and everything that looks like a panic.
    ///
    /// # Errors
    /// Another end.
    pub fn expect(self, codes: &[i32]) -> Result<Self, Broken> {
        self.expect_no_panic()?;
        match self.code() {
            Some(code) if codes.contains(&code) => Ok(self),
            _ => Err(self.broken(&format!("ended with {}, not with {codes:?}", self.status))),
        }
    }

    /// Refuses everything that looks like a panic or a crash.
    pub(super) fn expect_no_panic(&self) -> Result<(), Broken> {
        let said =
            ["panicked at", "because of a bug"].iter().any(|text| self.stderr.contains(text));
        if said || self.code() == Some(101) || self.status.signal().is_some_and(|n| n != 9) {
            return Err(self.broken(&format!("a panic or a crash ({})", self.status)));
        }
        Ok(())
    }

    /// A broken rule about this command.
    pub(super) fn broken(&self, what: &str) -> Broken {
        let end = |text: &str| {
            let skipped = text.chars().count().saturating_sub(2_000);
            text.chars().skip(skipped).collect::<String>()
        };
        Broken::new(format!(
            "`orchestrator {}` {what}\n--- stdout\n{}\n--- stderr\n{}",
            self.arguments.join(" "),
            end(&self.stdout),
            end(&self.stderr)
        ))
    }
}

/// Says a line to whoever watches a long proof.
pub(super) fn say(talk: bool, line: std::fmt::Arguments<'_>) {
    if talk {
        // That nobody reads it is no failure of the proof.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
