//! A project, an empty home, and the binary run in them with a clean environment.

use serde_json::Value;
use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longer than anything takes that ends at all, on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A project with its home.
#[derive(Debug)]
pub(crate) struct Project {
    directory: TempDir,
    home: TempDir,
    variables: Vec<(String, String)>,
}

impl Project {
    /// An empty project: a directory that the lookup of projects stops at.
    pub(crate) fn new() -> Self {
        let project = Self {
            directory: tempfile::tempdir().expect("a directory"),
            home: tempfile::tempdir().expect("a home"),
            variables: Vec::new(),
        };
        fs::create_dir(project.path().join(".orchestrator")).expect("a project");
        project
    }

    /// A project with one workflow file, `flow.yaml`.
    pub(crate) fn with_flow(text: &str) -> Self {
        let project = Self::new();
        project.write("flow.yaml", text);
        project
    }

    /// The same with a variable in the environment of every command.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, text).expect("a file");
        path
    }

    /// The text of a file of the project; empty when there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    /// The environment that every command is given.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let fixed = [
            ("HOME", self.home().display().to_string()),
            ("PATH", std::env::var("PATH").expect("a PATH")),
            ("LANG", "C.UTF-8".to_owned()),
            ("TERM", "xterm-256color".to_owned()),
        ];
        fixed
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .chain(self.variables.iter().cloned())
            .collect()
    }

    /// The binary with these arguments, not yet started.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment())
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        Ran::of(self.command(arguments).output().expect("the binary runs"), arguments)
    }

    /// Runs it and expects exit code 0.
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        self.run(arguments).expect(0)
    }

    /// Runs it with `--json`, expects exit code 0 and one document.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?} printed no document: {error}\n{ran:?}"))
    }

    /// Starts it with both streams piped.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Running {
        let mut command = self.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let data = Lines::of(child.stdout.take().expect("a pipe"));
        let talk = Lines::of(child.stderr.take().expect("a pipe"));
        Running { child, data, talk }
    }

    /// The statuses of a run's tasks by name, as `list-tasks` says.
    pub(crate) fn statuses(&self, run: &str) -> Vec<(String, String)> {
        let tasks = self.json(&["list-tasks", "--run", run, "--limit", "1000"]);
        let text = |task: &Value, key: &str| task[key].as_str().expect("text").to_owned();
        let items = tasks["items"].as_array().expect("items");
        items.iter().map(|task| (text(task, "name"), text(task, "status"))).collect()
    }
}

/// The binary under test.
pub(crate) fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_orchestrator")
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    arguments: Vec<String>,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of<S: AsRef<OsStr>>(output: Output, arguments: &[S]) -> Self {
        Self {
            arguments: arguments.iter().map(|a| a.as_ref().to_string_lossy().into()).collect(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails unless it ended with `code`.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{:?}\nstdout:\n{}\nstderr:\n{}",
            self.arguments,
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("because of a bug"), "a panic: {}", self.stderr);
        self
    }

    /// The last line of standard output, as JSON.
    pub(crate) fn last(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The last line of standard error, as JSON.
    pub(crate) fn problem(&self) -> Value {
        let line = self.stderr.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A command under way. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    data: Lines,
    talk: Lines,
}

/// The lines of a stream as they come, and those that were taken.
#[derive(Debug)]
struct Lines {
    coming: Receiver<String>,
    taken: String,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (send, coming) = channel();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Self { coming, taken: String::new() }
    }

    /// The next line; `None` at the end.
    fn next(&mut self) -> Option<String> {
        match self.coming.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.taken.push_str(&line);
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("waited in vain after\n{}", self.taken),
        }
    }

    fn all(&mut self) -> String {
        while self.next().is_some() {}
        std::mem::take(&mut self.taken)
    }
}

impl Running {
    /// The next line of standard output; `None` at its end.
    pub(crate) fn line(&mut self) -> Option<String> {
        self.data.next()
    }

    /// Reads JSON lines until one fits; panics at the end of the output.
    pub(crate) fn until(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        while let Some(line) = self.line() {
            let value: Value = serde_json::from_str(&line).expect("a JSON line");
            if fits(&value) {
                return value;
            }
        }
        panic!("ended without {what}: {:?}", self.end());
    }

    /// Reads lines of standard error until one holds `text`.
    pub(crate) fn until_said(&mut self, text: &str) {
        while let Some(line) = self.talk.next() {
            if line.contains(text) {
                return;
            }
        }
        panic!("ended without saying `{text}`: {:?}", self.end());
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).expect("it is there");
    }

    /// Kills it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> Ran {
        let (stdout, stderr) = (self.data.all(), self.talk.all());
        let code = self.child.wait().expect("it ends").code();
        Ran { arguments: vec!["(started)".into()], code, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `ready` gives something, looking again and again, but not for ever.
pub(crate) fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
