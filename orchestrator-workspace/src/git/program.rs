//! The `git` program, run so that nothing but git itself is executed.
//!
//! Hooks, file system monitors, external diffs, pagers, editors and prompts are off, and so is every
//! transport: this layer never talks to a network. What attributes may name (filters, merge drivers)
//! is what the user's own configuration defines, see [`super::drivers`].

use super::GitError;
use crate::process::{Environment, Pen};
use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

/// The least version: `merge-tree --merge-base` came with it.
const NEEDED: (u32, u32) = (2, 40);
const NEEDED_TEXT: &str = "2.40";
/// How long a call may take unless it is said.
const LIMIT: Duration = Duration::from_secs(600);
/// How many bytes a call may give.
const MOST: u64 = 1 << 30;
/// How many bytes of what it says are kept.
const SAID: u64 = 64 * 1024;

/// What stands above every file of configuration.
const SETTINGS: [(&str, &str); 20] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.splitIndex", "false"),
    ("core.preloadIndex", "true"),
    ("core.quotePath", "false"),
    ("core.sparseCheckout", "false"),
    ("core.safecrlf", "false"),
    ("index.sparse", "false"),
    // A time that nobody can set back tells that a file has changed.
    ("core.trustctime", "true"),
    ("core.checkStat", "default"),
    ("commit.gpgSign", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("safe.bareRepository", "explicit"),
    ("submodule.recurse", "false"),
    ("diff.ignoreSubmodules", "none"),
    ("advice.detachedHead", "false"),
    ("advice.graftFileDeprecated", "false"),
    ("core.logAllRefUpdates", "true"),
];

/// Variables that say how git behaves, whatever it was given.
const VARIABLES: [(&str, &str); 13] = [
    ("LC_ALL", "C"),
    // No transport is called this: objects that are not here are an error, not a download.
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "true"),
    ("SSH_ASKPASS", "true"),
    ("GIT_EDITOR", "true"),
    ("GIT_PAGER", "cat"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    // What is proved is the commit itself, not one that was put in its place.
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_LITERAL_PATHSPECS", "1"),
    // No content of large files is downloaded. `git lfs` leaves pointers as they are then; another
    // filter of the user's may give what is on this machine.
    ("GIT_LFS_SKIP_SMUDGE", "1"),
];

/// The `git` program of this machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Git {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    environment: Environment,
    pen: Pen,
    /// Files of patterns that the user never wants recorded.
    excludes: Option<PathBuf>,
    /// What the user's own configuration says of filters and merge drivers.
    drivers: Vec<(String, String)>,
}

/// One call of git.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) arguments: Vec<OsString>,
    pub(crate) directory: &'a Path,
    pub(crate) git_dir: Option<&'a Path>,
    pub(crate) work_tree: Option<&'a Path>,
    pub(crate) index: Option<&'a Path>,
    pub(crate) variables: Vec<(OsString, OsString)>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) input: Vec<u8>,
    pub(crate) most: u64,
    pub(crate) limit: Duration,
}

impl<'a> Call<'a> {
    /// A call in `directory`, where git looks for the repository itself.
    pub(crate) fn new(directory: &'a Path) -> Self {
        Self {
            arguments: Vec::new(),
            directory,
            git_dir: None,
            work_tree: None,
            index: None,
            variables: Vec::new(),
            settings: Vec::new(),
            input: Vec::new(),
            most: MOST,
            limit: LIMIT,
        }
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    pub(crate) fn index(mut self, index: &'a Path) -> Self {
        self.index = Some(index);
        self
    }

    pub(crate) fn work_tree(mut self, directory: &'a Path) -> Self {
        self.work_tree = Some(directory);
        self.directory = directory;
        self
    }

    pub(crate) fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    pub(crate) fn most(mut self, most: u64) -> Self {
        self.most = most;
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The subcommand, for people.
    fn name(&self) -> String {
        let first = self.arguments.first();
        first.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// What a call gave.
#[derive(Debug)]
pub(crate) struct Output {
    /// The exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// It gave more than it may, and was ended.
    pub(crate) is_cut: bool,
}

impl Git {
    /// The `git` that `PATH` of `environment` names. Of the environment git needs `PATH` and, for the
    /// user's own configuration, `HOME` or `XDG_CONFIG_HOME`.
    ///
    /// # Errors
    /// [`GitError::NotInstalled`] and [`GitError::TooOld`].
    pub async fn find(environment: Environment) -> Result<Self, GitError> {
        let program = program(&environment);
        let inner =
            Inner { program, environment, pen: Pen::default(), excludes: None, drivers: vec![] };
        let mut git = Self { inner: Arc::new(inner) };
        let output = git.run(Call::new(Path::new("/")).args(["version"])).await?;
        let found = String::from_utf8_lossy(&output).trim().to_owned();
        match version(&found) {
            Some(version) if version >= NEEDED => {}
            Some(_) => return Err(GitError::TooOld { found, needed: NEEDED_TEXT }),
            None => return Err(GitError::Unreadable { command: "version".into() }),
        }
        let excludes = git.global_excludes().await?;
        let drivers = git.global_drivers().await?;
        if let Some(inner) = Arc::get_mut(&mut git.inner) {
            inner.excludes = excludes;
            inner.drivers = drivers;
        }
        Ok(git)
    }

    /// The user's file of patterns that are never recorded, if it is there.
    pub(crate) fn excludes(&self) -> Option<&Path> {
        self.inner.excludes.as_deref()
    }

    /// What the user's own configuration says of filters and merge drivers.
    pub(super) fn drivers(&self) -> &[(String, String)] {
        &self.inner.drivers
    }

    async fn global_excludes(&self) -> Result<Option<PathBuf>, GitError> {
        let call = Call::new(Path::new("/"));
        let arguments = ["config", "--global", "-z", "--type=path", "--get", "core.excludesFile"];
        let output = self.call(call.args(arguments)).await?;
        let environment = &self.inner.environment;
        let said = (output.code == Some(0))
            .then(|| super::bytes::path(output.stdout.strip_suffix(b"\0").unwrap_or_default()));
        let usual = || {
            let config = match environment.get("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()) {
                Some(dir) => PathBuf::from(dir),
                None => Path::new(environment.get("HOME")?).join(".config"),
            };
            Some(config.join("git/ignore"))
        };
        Ok(said.or_else(usual).filter(|file| file.is_file()))
    }

    async fn global_drivers(&self) -> Result<Vec<(String, String)>, GitError> {
        let mut drivers = Vec::new();
        for scope in ["--system", "--global"] {
            let call = Call::new(Path::new("/"));
            let arguments = ["config", scope, "--includes", "-z", "--list"];
            // Without the file it fails, and then there is nothing.
            let output = self.call(call.args(arguments)).await?;
            let entries = super::drivers::entries(&output.stdout);
            drivers.extend(entries.filter(|(key, _)| super::drivers::runs(key)));
        }
        Ok(drivers)
    }

    /// What a call gives that must succeed.
    pub(crate) async fn run(&self, call: Call<'_>) -> Result<Vec<u8>, GitError> {
        let name = call.name();
        let output = self.call(call).await?;
        if output.code != Some(0) {
            return Err(GitError::of(&name, &output.stderr));
        }
        Ok(output.stdout)
    }

    /// Makes a call, whatever comes of it.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Output, GitError> {
        let (name, limit) = (call.name(), call.limit);
        let started = |error| match self.inner.program.is_file() {
            true => GitError::file("start", &self.inner.program, error),
            false => GitError::NotInstalled { needed: NEEDED_TEXT, source: error },
        };
        let mut child =
            self.command(&call).map_err(started)?.spawn().map_err(|error| {
                match call.directory.is_dir() {
                    true => started(error),
                    false => GitError::NoDirectory { path: call.directory.to_owned() },
                }
            })?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let input = call.input;
        let tell = async move {
            if let Some(mut stdin) = stdin {
                // It has failed when it does not want to hear all; then its words say why.
                let _ = stdin.write_all(&input).await;
            }
        };
        let conversation = async {
            let heard = async {
                let heard = read(stdout, call.most).await?;
                if heard.1 {
                    child.start_kill()?;
                }
                Ok::<_, io::Error>(heard)
            };
            let (stdout, stderr, ()) = tokio::join!(heard, read(stderr, SAID), tell);
            let ((stdout, is_cut), (stderr, _)) = (stdout?, stderr?);
            let code = child.wait().await?.code();
            let stderr = String::from_utf8_lossy(&stderr).into_owned();
            Ok::<_, io::Error>(Output { code, stdout, stderr, is_cut })
        };
        // Dropping the child kills it.
        match tokio::time::timeout(limit, conversation).await {
            Ok(output) => output.map_err(|e| GitError::file("talk to", &self.inner.program, e)),
            Err(_) => Err(GitError::TimedOut { command: name, limit }),
        }
    }

    fn command(&self, call: &Call<'_>) -> io::Result<Command> {
        let mut command = Command::new(&self.inner.program);
        command.env_clear().envs(self.inner.environment.iter()).envs(VARIABLES);
        let settings = SETTINGS.iter().map(|(key, value)| (*key, *value));
        let more = call.settings.iter().map(|(key, value)| (&**key, &**value));
        let mut count = 0;
        for (key, value) in settings.chain(more) {
            command.env(format!("GIT_CONFIG_KEY_{count}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        let places = [
            ("GIT_DIR", call.git_dir),
            ("GIT_WORK_TREE", call.work_tree),
            ("GIT_INDEX_FILE", call.index),
        ];
        for (name, place) in places {
            place.map(|place| command.env(name, place));
        }
        command.envs(call.variables.iter().map(|(name, value)| (name, value)));
        command.args(&call.arguments).current_dir(call.directory);
        let stdin = if call.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true).process_group(self.inner.pen.group()?);
        Ok(command)
    }
}

/// Reads at most `most` bytes, and says whether there were more.
async fn read(source: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let Some(mut source) = source else { return Ok((bytes, false)) };
    (&mut source).take(most).read_to_end(&mut bytes).await?;
    let is_cut = bytes.len() as u64 == most && source.read(&mut [0]).await? > 0;
    Ok((bytes, is_cut))
}

/// Found here, so that the directory that a call runs in has no part in it.
fn program(environment: &Environment) -> PathBuf {
    let path = environment.get("PATH").unwrap_or_default();
    let places = std::env::split_paths(path).filter(|place| place.is_absolute());
    let mut candidates = places.map(|place| place.join("git"));
    candidates.find(|program| program.is_file()).unwrap_or_else(|| "git".into())
}

/// The first two numbers of what `git version` prints.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("hub version 2"), None);
    }
}
