//! What a check finds around it: its variables, and what is told of them in evidence.

use super::{place::Place, settings::CheckSettings};
use crate::{
    process::{self, Ending, Watch},
    sandbox::{Confinement, Network, Reads, Sandbox},
};
use orchestrator_core::{port::AttemptHost, workspace::CheckCommand};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
    time::Duration,
};

/// Programs whose versions are told, with what asks them for it.
const VERSIONED: [(&str, &str); 14] = [
    ("bun", "--version"),
    ("cargo", "--version"),
    ("deno", "--version"),
    ("go", "version"),
    ("make", "--version"),
    ("node", "--version"),
    ("npm", "--version"),
    ("php", "--version"),
    ("pytest", "--version"),
    ("python", "--version"),
    ("python3", "--version"),
    ("ruby", "--version"),
    ("rustc", "--version"),
    ("uv", "--version"),
];
/// How long a program may take to tell its version.
const TELLING: Duration = Duration::from_secs(20);

/// How a check in `place` is confined.
pub(super) fn confinement(settings: &CheckSettings, place: &Place) -> Confinement {
    let mut writable = vec![place.tree(), place.home(), place.temporary()];
    writable.extend(settings.writable.iter().cloned());
    Confinement {
        writable,
        reads: Reads::All,
        visible: settings.visible.clone(),
        hidden: settings.hidden.clone(),
        protected: Vec::new(),
        network: settings.network.clone(),
        limits: settings.limits,
    }
}

/// The variables of a check in `place`.
pub(super) fn variables(settings: &CheckSettings, place: &Place) -> BTreeMap<OsString, OsString> {
    let mut variables: BTreeMap<OsString, OsString> = [
        ("LANG", "C.UTF-8"),
        ("TZ", "UTC"),
        ("NO_COLOR", "1"),
        ("CARGO_TERM_COLOR", "never"),
        // Nothing that a check leaves in the tree may change the next.
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value.into()))
    .collect();
    if settings.network == Network::None {
        variables.insert("CARGO_NET_OFFLINE".into(), "true".into());
    }
    for (name, value) in settings.environment.iter() {
        variables.insert(name.clone(), value.clone());
    }
    // A relative place is one in the checkout, whose programs nobody has asked for.
    if let Some(path) = variables.get_mut(OsStr::new("PATH")) {
        let places: Vec<_> =
            std::env::split_paths(path).filter(|part| part.is_absolute()).collect();
        if let Ok(joined) = std::env::join_paths(places) {
            *path = joined;
        }
    }
    for (name, value) in [
        ("HOME", place.home()),
        ("TMPDIR", place.temporary()),
        ("TMP", place.temporary()),
        ("TEMP", place.temporary()),
        ("XDG_CACHE_HOME", place.home().join(".cache")),
        // No repository above the checkout is found.
        ("GIT_CEILING_DIRECTORIES", place.root().to_owned()),
    ] {
        variables.insert(name.into(), value.into());
    }
    variables
}

/// The command that runs `words` in `directory`, confined, with `variables` and no others.
pub(super) fn command(
    sandbox: &dyn Sandbox,
    words: &[String],
    directory: &Path,
    confinement: &Confinement,
    variables: &BTreeMap<OsString, OsString>,
) -> Result<Command, crate::sandbox::SandboxError> {
    let (program, arguments) = words.split_first().map_or(("", &[] as &[String]), |(p, a)| (p, a));
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let mut command = sandbox.command(OsStr::new(program), &arguments, directory, confinement)?;
    // What the sandbox has set for itself stays.
    let own: Vec<(OsString, OsString)> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command.env_clear().envs(variables).envs(own);
    Ok(command)
}

/// The program and its arguments.
pub(super) fn words(command: &CheckCommand) -> Vec<String> {
    match command {
        CheckCommand::Shell(line) => vec!["sh".into(), "-c".into(), line.clone()],
        CheckCommand::Program(words) => words.clone(),
    }
}

/// A command as a line.
pub(super) fn line(command: &CheckCommand) -> String {
    match command {
        CheckCommand::Shell(line) => line.clone(),
        CheckCommand::Program(words) => words.join(" "),
    }
}

/// What evidence tells of the environment: the system, the names of the variables, the versions of
/// the programs that `lines` name. They are asked from where nothing of the tree is.
pub(super) async fn describe(
    sandbox: &dyn Sandbox,
    settings: &CheckSettings,
    place: &Place,
    lines: &[String],
    host: &dyn AttemptHost,
) -> BTreeMap<String, String> {
    let variables = variables(settings, place);
    let names: Vec<&str> = variables.keys().filter_map(|name| name.to_str()).collect();
    let network = match &settings.network {
        Network::None => "none",
        Network::Gateway(_) => "gateway",
        Network::Only { .. } => "listed hosts",
        Network::All => "all",
    };
    let mut told = BTreeMap::from([
        ("system".into(), format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("network".into(), network.into()),
        ("variables".into(), names.join(" ")),
    ]);
    let mut confinement = confinement(settings, place);
    confinement.network = Network::None;
    for (program, argument) in versioned(lines) {
        let words = [program.to_owned(), argument.to_owned()];
        let Ok(command) = command(sandbox, &words, &place.outside(), &confinement, &variables)
        else {
            continue;
        };
        let watch = Watch { input: None, limit: Some(TELLING), grace: Duration::ZERO };
        let Ok(done) = process::run(program, command, watch, &Quiet(host)).await else { continue };
        if matches!(&done.ending, Ending::Ended(Ok(status)) if status.success()) {
            let text = format!("{}\n{}", done.stdout.text(), done.stderr.text());
            if let Some(first) = text.lines().map(str::trim).find(|line| !line.is_empty()) {
                told.insert(program.into(), first.chars().take(200).collect());
            }
        }
    }
    told
}

/// The programs that `lines` name, of those whose versions are told.
fn versioned(lines: &[String]) -> BTreeSet<(&'static str, &'static str)> {
    let mut named = BTreeSet::new();
    for line in lines {
        for word in line.split(|c: char| c.is_whitespace() || ";|&()`'\"".contains(c)) {
            let program = word.rsplit('/').next().unwrap_or(word);
            let wanted: &[&str] = match program {
                "cargo" => &["cargo", "rustc"],
                "npx" | "jest" | "vitest" | "pnpm" | "yarn" => &["node"],
                "npm" => &["node", "npm"],
                "pytest" => &["pytest", "python3"],
                other => &[other],
            };
            named.extend(VERSIONED.iter().filter(|(program, _)| wanted.contains(program)));
        }
    }
    named
}

/// A host that is told nothing and is asked only whether to stop.
struct Quiet<'a>(&'a dyn AttemptHost);

#[async_trait::async_trait]
impl AttemptHost for Quiet<'_> {
    fn log(&self, _line: orchestrator_core::port::LogLine) {}

    fn progress(&self, _progress: orchestrator_core::port::Progress) {}

    fn now(&self) -> orchestrator_core::time::Timestamp {
        self.0.now()
    }

    async fn cancelled(&self) {
        self.0.cancelled().await;
    }
}
