//! Looking at one program.

use super::kept::stamp;
use crate::OrchestratorService;
use orchestrator_agents::{
    coding::{Adapter, Told, ask},
    command::Environment as Passed,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

/// How long a program may take to say something of itself: those that run on an interpreter take
/// seconds on a machine that is at work.
const LIMIT: Duration = Duration::from_secs(20);

/// How much of what a program says is repeated, in characters.
const LONGEST: usize = 120;

/// How a login is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// By its files.
    Files,
    /// By what the program says of them, where that is free.
    Ask,
}

/// What was seen of a program.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: PathBuf,
    pub(crate) version: Result<String, NoVersion>,
    /// Whether it is logged in; unknown where nothing tells.
    pub(crate) logged_in: Option<bool>,
}

/// Why there is no version.
#[derive(Debug, Clone)]
pub(crate) enum NoVersion {
    /// It was not asked, for this reason.
    NotAsked(&'static str),
    /// It was, and this came of it.
    Unread(String),
}

impl Seen {
    /// What is worth a word, and refuses nothing.
    pub(crate) fn note(&self, adapter: &dyn Adapter) -> Option<String> {
        match (&self.version, adapter.proved_with()) {
            (Ok(version), Some(proved)) if version != proved => {
                Some(format!("proved with {proved}, this is {version}"))
            }
            (Err(NoVersion::NotAsked(why)), _) => Some(format!("its version is not known: {why}")),
            _ => None,
        }
    }
}

impl OrchestratorService {
    /// Looks at the program of `adapter` at `path`.
    pub(crate) async fn look(
        &self,
        adapter: &dyn Adapter,
        path: PathBuf,
        has_arguments: bool,
        depth: Depth,
    ) -> Seen {
        let may_ask = self.may_ask(adapter, &path, has_arguments);
        let version = match may_ask {
            Err(why) => Err(NoVersion::NotAsked(why)),
            Ok(()) => match self.kept_version(&path) {
                Some(version) => Ok(version),
                None => self.ask_version(adapter, &path).await.map_err(NoVersion::Unread),
            },
        };
        let mut logged_in = self.has_login(adapter);
        if let (Depth::Ask, Ok(()), Some(arguments), Some(true)) =
            (depth, may_ask, adapter.login_arguments(), logged_in)
            && let Ok(told) = self.ask_in_home(adapter, &path, arguments).await
        {
            logged_in = adapter.read_login(&told).or(logged_in);
        }
        Seen { path, version, logged_in }
    }

    /// Whether looking at a program may run it: nothing of the project's own is run by that.
    fn may_ask(
        &self,
        adapter: &dyn Adapter,
        path: &Path,
        has_arguments: bool,
    ) -> Result<(), &'static str> {
        if adapter.program().is_none() {
            return Err("programs of many kinds stand behind this provider");
        }
        if has_arguments {
            return Err("`command` has arguments, and is run for work alone");
        }
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if real.starts_with(self.project()) || path.starts_with(self.project()) {
            return Err("it lies in the project, and is run for work alone");
        }
        Ok(())
    }

    async fn ask_version(&self, adapter: &dyn Adapter, path: &Path) -> Result<String, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let told = self.ask_program(path, adapter.version_arguments(), &home).await?;
        if !told.is_well {
            let said = first_line(&told.stderr).or_else(|| first_line(&told.stdout));
            return Err(match said {
                Some(said) => format!("it failed, saying `{said}`"),
                None => "it failed, saying nothing".to_owned(),
            });
        }
        adapter.read_version(&told.stdout).ok_or_else(|| match first_line(&told.stdout) {
            Some(said) => format!("it said `{said}`"),
            None => "it said nothing".to_owned(),
        })
    }

    /// The files of the login of `adapter` in the user's home.
    fn login_files(&self, adapter: &dyn Adapter) -> Vec<(PathBuf, &'static str)> {
        let Some(user) = self.environment().get("HOME").map(PathBuf::from) else {
            return Vec::new();
        };
        let files = adapter.login().iter().map(|name| (user.join(name), *name));
        files.filter(|(file, _)| file.is_file()).collect()
    }

    fn has_login(&self, adapter: &dyn Adapter) -> Option<bool> {
        (!adapter.login().is_empty()).then(|| !self.login_files(adapter).is_empty())
    }

    /// Asks a program in a home as its agents have it: with a copy of its login, so that nothing in the
    /// user's own is changed.
    async fn ask_in_home(
        &self,
        adapter: &dyn Adapter,
        path: &Path,
        arguments: &[&str],
    ) -> Result<Told, String> {
        let copied = || -> io::Result<TempDir> {
            let home = tempfile::tempdir()?;
            for (file, name) in self.login_files(adapter) {
                let place = home.path().join(name);
                place.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::copy(file, place)?;
            }
            Ok(home)
        };
        let home = copied().map_err(|error| error.to_string())?;
        self.ask_program(path, arguments, &home).await
    }

    async fn ask_program(
        &self,
        path: &Path,
        arguments: &[&str],
        home: &TempDir,
    ) -> Result<Told, String> {
        let offered = self.environment().variables.iter();
        let offered = offered.map(|(name, value)| (name.into(), value.into()));
        let environment = Passed::from_vars(offered, &[]);
        let told = ask(path, arguments, &environment, home.path(), LIMIT).await;
        told.map_err(|error| error.to_string())
    }

    fn kept_version(&self, path: &Path) -> Option<String> {
        self.kept_programs().get(path, &stamp(path)?)
    }
}

fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect())
}
