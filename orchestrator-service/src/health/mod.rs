//! Whether agents can be given work now. It costs nothing: no model is called, and nothing leaves
//! this machine.

mod kept;
mod look;

pub(crate) use look::{Depth, Seen};

use crate::{
    OrchestratorService, ServiceError,
    document::Diagnostic,
    roster::{Member, Mode},
    views::ProgramView,
};
use orchestrator_agents::coding::{self, Adapter, is_older};
use orchestrator_core::{
    id::AgentName,
    port::{Page, TaskFilter},
    task::TaskStatus,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};
use tokio::task::JoinSet;

/// How many tasks are looked at to see who is at work.
const AT_WORK: usize = 1_000;

/// How agents are, by what was seen of their programs.
#[derive(Debug, Default)]
pub(crate) struct Health {
    programs: BTreeMap<(String, PathBuf), Seen>,
    at_work: BTreeMap<AgentName, u32>,
}

impl Health {
    /// How many tasks `agent` is at work on.
    pub(crate) fn at_work(&self, agent: &AgentName) -> u32 {
        self.at_work.get(agent).copied().unwrap_or_default()
    }

    /// Why `member` cannot be given work.
    pub(crate) fn unusable(&self, member: &Member) -> Option<Diagnostic> {
        member.unusable.clone().or_else(|| {
            let (adapter, seen) = self.seen(member)?;
            too_old(&*adapter, seen)
        })
    }

    /// What is wrong with `member` that may still work.
    pub(crate) fn trouble(&self, member: &Member) -> Option<Diagnostic> {
        let (adapter, seen) = self.seen(member)?;
        let own_login = member.program.as_ref()?.coding.as_ref()?.mode == Mode::OwnLogin;
        unread(seen).or_else(|| not_logged_in(&*adapter, seen).filter(|_| own_login))
    }

    /// What is known of the program of `member`.
    pub(crate) fn program(&self, member: &Member) -> Option<ProgramView> {
        let (adapter, seen) = self.seen(member)?;
        Some(ProgramView {
            path: seen.path.display().to_string(),
            version: seen.version.as_ref().ok().cloned(),
            proved_with: adapter.proved_with().map(str::to_owned),
            oldest: adapter.oldest().map(str::to_owned),
            logged_in: seen.logged_in,
            note: seen.note(&*adapter),
        })
    }

    fn seen(&self, member: &Member) -> Option<(Arc<dyn Adapter>, &Seen)> {
        let (adapter, path, _) = program_of(member)?;
        let seen = self.programs.get(&(adapter.provider().to_owned(), path))?;
        Some((adapter, seen))
    }
}

/// The coding CLI that `member` runs, where it is found, and whether it is given arguments of its own.
fn program_of(member: &Member) -> Option<(Arc<dyn Adapter>, PathBuf, bool)> {
    let program = member.program.as_ref()?;
    let adapter = coding::adapter(&program.coding.as_ref()?.provider)?;
    let (first, arguments) = program.command.split_first()?;
    let path = PathBuf::from(first);
    (path.is_absolute() && path.is_file()).then_some((adapter, path, !arguments.is_empty()))
}

/// That a program is older than what its adapter knows.
pub(crate) fn too_old(adapter: &dyn Adapter, seen: &Seen) -> Option<Diagnostic> {
    let (version, oldest) = (seen.version.as_ref().ok()?, adapter.oldest()?);
    is_older(version, oldest).then(|| {
        let message = format!(
            "`{}` is version {version}, and {oldest} or later is needed",
            seen.path.display()
        );
        let hint = match adapter.proved_with() {
            Some(proved) => format!("install a later one, such as {proved}"),
            None => "install a later one".to_owned(),
        };
        Diagnostic::new("ORC-0574", message).suggest(Some(hint))
    })
}

/// That a program did not say its version when it was asked.
pub(crate) fn unread(seen: &Seen) -> Option<Diagnostic> {
    let look::NoVersion::Unread(why) = seen.version.as_ref().err()? else { return None };
    let message = format!("`{}` does not say its version: {why}", seen.path.display());
    let hint = format!("try `{} --version`, and install it anew", seen.path.display());
    Some(Diagnostic::new("ORC-0576", message).suggest(Some(hint)))
}

/// That a program has no login that could be handed to it.
pub(crate) fn not_logged_in(adapter: &dyn Adapter, seen: &Seen) -> Option<Diagnostic> {
    if seen.logged_in != Some(false) {
        return None;
    }
    let name = adapter.program().unwrap_or(adapter.provider());
    let message = format!("`{name}` has no login in your home that an agent could work with");
    let hint = format!("start `{name}` and log in, or set `mode = \"metered\"` and a key");
    Some(Diagnostic::new("ORC-0575", message).suggest(Some(hint)))
}

impl OrchestratorService {
    /// How the agents of `names` are, or all of them; the logins of their programs are judged as `depth`
    /// says.
    ///
    /// Who is at work is not known where the store cannot be read, which is no reason to say nothing.
    ///
    /// # Errors
    /// Invalid settings.
    pub(crate) async fn health(
        &self,
        names: Option<&BTreeSet<AgentName>>,
        depth: Depth,
    ) -> Result<Health, ServiceError> {
        let at_work = self.tasks_at_work().await.unwrap_or_else(|error| {
            tracing::debug!(%error, "who is at work is not known");
            BTreeMap::new()
        });
        Ok(Health { at_work, ..self.looked(names, depth).await? })
    }

    /// What is seen of the programs of the agents of `names`, or of all.
    async fn looked(
        &self,
        names: Option<&BTreeSet<AgentName>>,
        depth: Depth,
    ) -> Result<Health, ServiceError> {
        let roster = self.roster()?;
        let mut health = Health::default();
        if self.replayed().is_some() {
            return Ok(health);
        }
        let mut looks = JoinSet::new();
        let mut begun = BTreeSet::new();
        for member in roster.members() {
            if names.is_some_and(|names| !names.contains(&member.spec.name)) {
                continue;
            }
            let Some((adapter, path, has_arguments)) = program_of(member) else { continue };
            let key = (adapter.provider().to_owned(), path.clone());
            if begun.insert(key.clone()) {
                let this = self.clone();
                looks.spawn(async move {
                    (key, this.look(&*adapter, path, has_arguments, depth).await)
                });
            }
        }
        while let Some(looked) = looks.join_next().await {
            let (key, seen) = looked.map_err(|error| ServiceError::Internal(error.to_string()))?;
            health.programs.insert(key, seen);
        }
        self.keep_versions(health.programs.values());
        Ok(health)
    }

    /// Refuses `agents` whose programs are too old before anything is begun with them.
    ///
    /// # Errors
    /// The first of them.
    pub(crate) async fn refuse_too_old(
        &self,
        agents: &BTreeSet<AgentName>,
    ) -> Result<(), ServiceError> {
        let roster = self.roster()?;
        let members: Vec<&Member> =
            agents.iter().filter_map(|name| roster.get(name.as_str()).ok()).collect();
        if members.iter().all(|member| program_of(member).is_none()) {
            return Ok(());
        }
        let health = self.looked(Some(agents), Depth::Files).await?;
        for member in members {
            if let Some(found) = health.unusable(member) {
                let what = format!("cannot use agent `{}`", member.spec.name);
                return Err(ServiceError::invalid(what, found));
            }
        }
        Ok(())
    }

    /// How many tasks each agent is at work on, in runs that somebody drives.
    async fn tasks_at_work(&self) -> Result<BTreeMap<AgentName, u32>, ServiceError> {
        let mut at_work = BTreeMap::new();
        let Some(opened) = self.store_if_any()? else { return Ok(at_work) };
        let filter = TaskFilter { status: vec![TaskStatus::Running], ..TaskFilter::default() };
        let page = Page { limit: AT_WORK, cursor: None };
        let tasks = opened.catalog().tasks(&filter, &page).await.map_err(|e| opened.failed(e))?;
        let mut driven = BTreeMap::new();
        for task in tasks.items {
            let Some(agent) = task.agent else { continue };
            if !driven.contains_key(&task.run) {
                let row = opened.catalog().run(&task.run).await.map_err(|e| opened.failed(e))?;
                let is_driven = match row {
                    Some(row) => self.standing(opened, &row).await?.is_driven(),
                    None => false,
                };
                driven.insert(task.run.clone(), is_driven);
            }
            if driven.get(&task.run).copied().unwrap_or_default() {
                *at_work.entry(agent).or_default() += 1;
            }
        }
        Ok(at_work)
    }
}
