//! Coding CLIs that are agents.

use super::{Member, Program, Roster};
use crate::{
    Environment,
    config::{AgentSettings, Config},
    document::Diagnostic,
};
use orchestrator_agents::coding::{self, Limits, Offer, Reach};
use orchestrator_core::{
    agent::AgentSpec,
    permission::{PermissionRule, Permissions},
    route::Route,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What an agent may do of which no settings say anything: read, and edit in its workspace. For
/// anything else somebody is asked.
const USUAL: [&str; 2] = ["read", "edit"];

/// What a coding CLI is besides a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coding {
    /// The provider of its adapter.
    pub(crate) provider: String,
    pub(crate) mode: Mode,
    /// More arguments.
    pub(crate) arguments: Vec<String>,
    pub(crate) limits: Limits,
    /// Whether it asks and takes messages.
    pub(crate) live: bool,
    /// What it may do unasked.
    pub(crate) reach: Reach,
    /// Where it is installed.
    pub(crate) installed: Vec<PathBuf>,
}

/// How a coding CLI reaches its models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Through the gateway: each call is held and settled.
    Metered,
    /// By itself, with the user's login: what it says that it used is counted afterwards.
    OwnLogin,
}

impl Mode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Metered => "metered",
            Self::OwnLogin => "own-login",
        }
    }
}

/// Whether agents on `provider` are coding CLIs that this version has an adapter for.
pub(crate) fn is_coding(provider: &str) -> bool {
    coding::adapter(provider).is_some()
}

/// Says what is wrong with a setting: its key, a code, a message and what to do.
pub(super) type Wrong<'a> =
    &'a dyn Fn(&str, &'static str, String, Option<String>) -> Option<Diagnostic>;

impl Program {
    /// What the settings of an agent say of the coding CLI that `provider` means, where `routes` are the
    /// rules; none when it means no such program.
    pub(super) fn of_coding(
        settings: &AgentSettings,
        provider: &str,
        routes: &[Route],
        permissions: Option<&Permissions>,
    ) -> Option<Self> {
        let adapter = coding::adapter(provider)?;
        let mut program = Self::of(settings, routes);
        if program.command.is_empty() {
            program.command.extend(adapter.program().map(str::to_owned));
        }
        let usual = Limits::default();
        program.coding = Some(Coding {
            provider: provider.to_owned(),
            mode: match settings.mode.as_deref() {
                Some("own-login") => Mode::OwnLogin,
                _ => Mode::Metered,
            },
            arguments: settings.arguments.clone(),
            limits: Limits {
                first_event: settings.limits.first_event.unwrap_or(usual.first_event),
                idle: settings.limits.idle.unwrap_or(usual.idle),
                ..usual
            },
            live: settings.live.unwrap_or(true),
            reach: permissions.map(reach).unwrap_or_default(),
            installed: Vec::new(),
        });
        Some(program)
    }
}

/// What an agent may do of which no settings say anything.
fn usual() -> Permissions {
    Permissions::of(&USUAL, &[], &[]).unwrap_or_default()
}

/// What a program may do without a question: what is allowed as a whole, when there is nothing that
/// would have to be judged one by one.
fn reach(permissions: &Permissions) -> Reach {
    let is_plain = permissions.ask.is_empty() && permissions.deny.is_empty();
    let allows = |kind: &str| {
        let means_it = |rule: &PermissionRule| [kind, "*"].contains(&rule.to_string().as_str());
        is_plain && permissions.allow.iter().any(means_it)
    };
    Reach { edit: allows("edit"), run: allows("run"), network: allows("network") }
}

impl Roster {
    /// Completes the specification of a coding CLI, or says why it cannot work.
    pub(super) fn judge_coding(
        &self,
        name: &str,
        settings: &AgentSettings,
        provider: &str,
        spec: &mut AgentSpec,
        wrong: Wrong<'_>,
    ) -> Option<Diagnostic> {
        let adapter = coding::adapter(provider)?;
        spec.permissions.get_or_insert_with(|| Arc::new(usual()));
        if settings.command.is_empty() && adapter.program().is_none() {
            let message = format!("agent `{name}` runs on `{provider}`, and no `command` names it");
            let hint = format!("agents.{name}.command = [\"PROGRAM\", \"ARGUMENT\"]");
            return wrong("provider", "ORC-0518", message, Some(hint));
        }
        let unknown =
            settings.accounts.iter().find(|account| !self.providers.contains_key(*account));
        if let Some(account) = unknown {
            let message = format!("agent `{name}` may call `{account}`, which is no provider here");
            let names = self.providers.keys().map(String::as_str);
            let hint = orchestrator_core::workflow::did_you_mean(account, names);
            return wrong("accounts", "ORC-0515", message, hint);
        }
        if settings.mode.as_deref() == Some("own-login") {
            return None;
        }
        let own = format!("agents.{name}.mode = \"own-login\" has it work with your own login");
        if let Offer::No(why) = adapter.capabilities().metered {
            let message = format!("agent `{name}` cannot call models through the gateway: {why}");
            return wrong("mode", "ORC-0570", message, Some(own));
        }
        if !self.providers.values().any(|provider| provider.config.is_ok()) {
            let message = format!(
                "agent `{name}` on `{provider}` calls models through the gateway, and no provider \
                 that can be called is set up"
            );
            let hint =
                format!("set a key such as ANTHROPIC_API_KEY, or add a [providers] entry; {own}");
            return wrong("provider", "ORC-0570", message, Some(hint));
        }
        None
    }

    /// The same with the programs of coding CLIs found, as `environment` names the places. Whose
    /// program is not there cannot work; where `config` names no agents, those that are there are some.
    pub(crate) fn with_programs(mut self, environment: &Environment, config: &Config) -> Self {
        self.add_found(environment, config);
        for member in self.members.values_mut() {
            find(member, environment);
        }
        self
    }
}

fn find(member: &mut Member, environment: &Environment) {
    let Some(program) = &mut member.program else { return };
    let Some(coding) = &mut program.coding else { return };
    let Some(first) = program.command.first_mut() else { return };
    let found = match Path::new(first.as_str()).components().count() {
        1 => environment.programs(first).into_iter().next(),
        // From where the task works, unless it begins at the root.
        _ if Path::new(first).is_relative() => return,
        _ => Some(PathBuf::from(&*first)).filter(|path| path.is_file()),
    };
    let Some(found) = found else {
        let (name, provider) = (&member.spec.name, &coding.provider);
        let message = format!("agent `{name}` runs `{first}`, which is not there");
        let hint = format!(
            "install it (docs/coding-agents.md), put it on PATH, or name it: \
             agents.{name}.command = [\"/path/of/{provider}\"]"
        );
        let found = Diagnostic::new("ORC-0569", message).suggest(Some(hint));
        member.unusable.get_or_insert(found);
        return;
    };
    let node = environment.programs("node").into_iter().next();
    coding.installed =
        [Some(&found), node.as_ref()].into_iter().flatten().flat_map(|path| places(path)).collect();
    coding.installed.sort();
    coding.installed.dedup();
    *first = found.display().to_string();
}

/// The directories that a program needs which is found at `path`: its own, that of what it links to,
/// and the packages beside that.
fn places(path: &Path) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = path.parent().map(Path::to_owned).into_iter().collect();
    if let Ok(real) = path.canonicalize() {
        let packages = real.ancestors().filter(|place| place.ends_with("node_modules"));
        // The outermost: what it requires may lie beside it.
        let own = packages.last().or(real.parent()).map(Path::to_owned);
        places.extend(own);
    }
    places.retain(|place| place.parent().is_some());
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_as_a_whole_is_in_reach_unless_something_has_to_be_judged() {
        let check = |allow: &[&str], deny: &[&str], expected: [bool; 3]| {
            let permissions = Permissions::of(allow, &[], deny).unwrap();
            let Reach { edit, run, network } = reach(&permissions);
            assert_eq!([edit, run, network], expected, "{allow:?} {deny:?}");
        };
        check(&USUAL, &[], [true, false, false]);
        check(&["edit", "run", "network"], &[], [true, true, true]);
        check(&["edit", "run"], &["run(rm *)"], [false, false, false]);
        check(&["run(git *)"], &[], [false, false, false]);
    }

    #[test]
    fn a_package_needs_all_packages_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().canonicalize().unwrap();
        let real = top.join("node_modules/@google/gemini-cli/dist/index.js");
        std::fs::create_dir_all(real.parent().unwrap()).unwrap();
        std::fs::create_dir_all(top.join("bin")).unwrap();
        std::fs::write(&real, "").unwrap();
        let link = top.join("bin/gemini");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(places(&link), [top.join("bin"), top.join("node_modules")]);
    }
}
