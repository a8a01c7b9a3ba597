//! Checking what work here depends on.

use super::{
    Inquiry,
    found::{coding_programs, keys},
};
use crate::{
    OrchestratorService, ServiceError,
    document::Diagnostic,
    health::{self, Depth, Seen},
    platform::{self, Platform},
    views::{CheckState, CheckView, DoctorView},
};
use orchestrator_agents::coding::Adapter;
use orchestrator_core::port::{Secrets, SecretsError};
use orchestrator_workspace::worktree::PlaceState;
use rustix::fs::{Access, access, statvfs};
use std::{collections::BTreeMap, net::TcpListener};
use tokio::task::JoinSet;

const MIB: u64 = 1024 * 1024;
/// Less than this and work will fail soon.
const LEAST_DISK: u64 = 100 * MIB;
/// Less than this is worth a word.
const AMPLE_DISK: u64 = 1024 * MIB;

impl OrchestratorService {
    /// Checks what work here depends on. Writes nothing that stays, and leaves this machine only for
    /// [`Inquiry::Online`].
    pub async fn doctor(&self, inquiry: Inquiry) -> DoctorView {
        let mut items = vec![platform(), self.check_settings()];
        items.extend(self.check_templates());
        items.push(self.check_git().await);
        items.push(self.check_sandbox().await);
        items.extend(self.check_worktrees().await);
        items.push(self.check_secrets().await);
        let said = match inquiry {
            Inquiry::Local => BTreeMap::new(),
            Inquiry::Online => self.ask_providers().await,
        };
        items.extend(self.check_models(said).await);
        items.extend(self.check_tokenizers());
        items.extend(self.check_coding().await);
        items.push(self.check_state());
        items.push(self.check_disk());
        items.push(self.check_store().await);
        items.push(check_loopback());
        let ok = items.iter().all(|item| item.state != CheckState::Failed);
        DoctorView { schema: "orchestrator.doctor/v1", ok, items }
    }

    fn check_settings(&self) -> CheckView {
        match self.settings() {
            Ok(_) => {
                let files = self.config_files();
                let read = [Some(files.project), files.user, Some(files.dot_env)];
                let read: Vec<String> = read
                    .into_iter()
                    .flatten()
                    .filter(|file| file.exists())
                    .map(|file| file.display().to_string())
                    .collect();
                if read.is_empty() {
                    note("settings", "none; defaults hold", "orchestrator init")
                } else {
                    good("settings", read.join(", "))
                }
            }
            Err(error) => failed("settings", &error, "mend the place that is named"),
        }
    }

    fn check_templates(&self) -> Option<CheckView> {
        let own = self.templates(None).ok()?.items;
        let own = own.into_iter().filter(|template| template.source != "built-in");
        let (ready, broken): (Vec<_>, Vec<_>) = own.partition(|template| template.ready);
        if let Some(first) = broken.first() {
            let reason = first.reason.clone().unwrap_or_default();
            let found = format!("`{}` cannot run: {reason}", first.name);
            return Some(note("workflows", &found, "orchestrator list-templates"));
        }
        (!ready.is_empty()).then(|| good("workflows", format!("{} of your own", ready.len())))
    }

    fn check_tokenizers(&self) -> Option<CheckView> {
        let tokenizers = self.roster().ok()?.tokenizers();
        let models: Vec<&str> = tokenizers.models().collect();
        for model in &models {
            if let Err(error) = tokenizers.get(model) {
                let mend = format!("orchestrator config set tokenizers.\"{model}\".file PATH");
                let found = error.to_string();
                return Some(CheckView {
                    code: Some(error.code()),
                    ..bad("tokenizers", &found, &mend)
                });
            }
        }
        (!models.is_empty()).then(|| good("tokenizers", models.join(", ")))
    }

    async fn check_git(&self) -> CheckView {
        let Some(git) = self.environment().programs("git").into_iter().next() else {
            let found =
                "not on PATH: `workspace: worktree` and what lands need it, all else does not";
            return CheckView {
                code: Some("ORC-0704"),
                ..bad("git", found, "install git, such as with `apt-get install git`")
            };
        };
        let version = std::process::Command::new(&git)
            .arg("--version")
            .env_clear()
            .stdin(std::process::Stdio::null())
            .output();
        match version {
            Ok(output) if output.status.success() => {
                let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                if let Err(error) = self.git().await {
                    return failed("git", &error, "install a later git");
                }
                if self.project().ancestors().any(|directory| directory.join(".git").exists()) {
                    good("git", version)
                } else {
                    note("git", &format!("{version}; the project is not a repository"), "git init")
                }
            }
            _ => CheckView {
                code: Some("ORC-0704"),
                ..bad("git", &format!("`{}` does not run", git.display()), "install git anew")
            },
        }
    }

    async fn check_sandbox(&self) -> CheckView {
        let this = self.clone();
        let proved = tokio::task::spawn_blocking(move || {
            let sandbox = this.sandbox()?;
            let proof = sandbox.prove(&this.confinement()?)?;
            Ok::<_, ServiceError>((sandbox.name().to_owned(), proof))
        });
        match proved.await {
            Ok(Ok((name, _))) if name == "off" => {
                let found = "off: programs of agents and checks are not confined";
                note("sandbox", found, "orchestrator config set sandbox.mode auto")
            }
            Ok(Ok((name, proof))) => {
                let held: Vec<&str> = proof.iter().map(|tried| tried.name.as_str()).collect();
                let tried = match held.is_empty() {
                    true => String::new(),
                    false => format!("; tried here, each as it must be: {}", held.join(", ")),
                };
                good("sandbox", format!("{name}{tried}"))
            }
            // What has no workspace works without.
            Ok(Err(error)) => {
                let mend = error.help().unwrap_or_default();
                let found = note("sandbox", &error.to_string(), &mend);
                CheckView { code: Some(error.code()), ..found }
            }
            Err(error) => note("sandbox", &error.to_string(), ""),
        }
    }

    async fn check_worktrees(&self) -> Option<CheckView> {
        let places = self.kept_places().await.ok()??;
        let places = places.list().await.ok()?;
        let of = |state| places.iter().filter(|place| place.state == state).count();
        let (kept, orphans) = (of(PlaceState::Kept), of(PlaceState::Orphan));
        let size = places.iter().map(|place| place.size).sum::<u64>() / MIB;
        let found = format!(
            "{} in use, {kept} kept to be looked at, {orphans} of processes that died; {size} MiB",
            of(PlaceState::InUse)
        );
        Some(match kept + orphans {
            0 => good("worktrees", found),
            _ => note("worktrees", &found, "orchestrator worktrees clean"),
        })
    }

    async fn check_secrets(&self) -> CheckView {
        let Some(vault) = self.vault_if_any() else {
            return good("secrets", "nowhere to keep them; variables do");
        };
        let opens = async {
            let kept = vault.names().await?;
            let Some(place) = vault.key_place()? else { return Ok(None) };
            // What a person would have to be asked for is not looked at.
            let at_hand = self.can_open_unasked(&place);
            if let Some(first) = kept.first().filter(|_| at_hand) {
                vault.get(&first.name).await?;
            }
            Ok::<_, SecretsError>(Some((kept.len(), place.as_str())))
        };
        match opens.await {
            Ok(None) => good("secrets", "none yet; `orchestrator secrets set` keeps one"),
            Ok(Some((count, key))) => {
                let file = vault.path().display();
                good("secrets", format!("{count} in `{file}`, opened by a {key}"))
            }
            Err(error) => failed("secrets", &error.into(), "restore a copy"),
        }
    }

    async fn check_models(&self, mut said: BTreeMap<String, CheckView>) -> Vec<CheckView> {
        let Ok(roster) = self.roster() else { return Vec::new() };
        let mut checks: Vec<CheckView> = roster
            .providers()
            .map(|(name, provider)| {
                if let Some(said) = said.remove(name) {
                    return said;
                }
                let check = format!("provider {name}");
                match (&provider.config, provider.found_by) {
                    (Ok(_), Some(variable)) => good(&check, format!("key in {variable}")),
                    (Ok(config), None) => good(&check, format!("{} as set", config.kind)),
                    (Err(problem), _) => CheckView {
                        code: Some(problem.code),
                        ..bad(
                            &check,
                            &problem.to_string(),
                            problem.suggestion.as_deref().unwrap_or(""),
                        )
                    },
                }
            })
            .collect();
        let health = self.health(None, Depth::Ask).await.unwrap_or_default();
        for member in roster.members() {
            let name = format!("agent {}", member.spec.name);
            if let Some(problem) = health.unusable(member) {
                checks.push(problem_of(&name, CheckState::Failed, &problem));
            } else if let Some(problem) = health.trouble(member) {
                checks.push(problem_of(&name, CheckState::Note, &problem));
            }
        }
        if !roster.has_model() {
            let found = match keys(self).first() {
                Some(usual) => format!("none at hand, though {} is set", usual.variable),
                None => "none at hand; the built-in analysts work without one".to_owned(),
            };
            checks.push(note(
                "models",
                &found,
                "export ANTHROPIC_API_KEY=... (or OPENAI_API_KEY, DEEPSEEK_API_KEY, GEMINI_API_KEY)",
            ));
        }
        checks
    }

    /// The coding CLIs on `PATH`, whether or not an agent runs on them.
    async fn check_coding(&self) -> Vec<CheckView> {
        let found = coding_programs(self.environment());
        if found.is_empty() {
            return vec![good("coding CLIs", "none on PATH; none is needed")];
        }
        let mut looks = JoinSet::new();
        for (adapter, path) in found {
            let this = self.clone();
            looks.spawn(async move {
                let seen = this.look(&*adapter, path, false, Depth::Ask).await;
                (adapter, seen)
            });
        }
        let mut looked: Vec<_> = looks
            .join_all()
            .await
            .into_iter()
            .map(|(adapter, seen)| (adapter.provider(), adapter, seen))
            .collect();
        looked.sort_by_key(|(provider, ..)| *provider);
        self.keep_versions(looked.iter().map(|(.., seen)| seen));
        looked
            .iter()
            .map(|(provider, adapter, seen)| coding_cli(provider, &**adapter, seen))
            .collect()
    }

    fn check_state(&self) -> CheckView {
        let state = self.place().state();
        let nearest = state.ancestors().find(|directory| directory.exists());
        let Some(directory) = nearest else {
            return bad("state directory", "nowhere", "name another project with `--path DIR`");
        };
        let shown = directory.display();
        match access(directory, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => good("state directory", format!("`{shown}` can be written to")),
            Err(error) => CheckView {
                code: Some("ORC-0406"),
                ..bad(
                    "state directory",
                    &format!("`{shown}` cannot be written to: {error}"),
                    &format!("chmod u+rwx '{shown}'"),
                )
            },
        }
    }

    fn check_disk(&self) -> CheckView {
        match statvfs(self.project()) {
            Ok(disk) => {
                let free = disk.f_bavail.saturating_mul(disk.f_frsize);
                let found = format!("{} MiB free", free / MIB);
                let mend = "orchestrator clean --older-than 30d";
                if free < LEAST_DISK {
                    CheckView { code: Some("ORC-0404"), ..bad("disk", &found, mend) }
                } else if free < AMPLE_DISK {
                    note("disk", &found, mend)
                } else {
                    good("disk", found)
                }
            }
            Err(error) => note("disk", &format!("cannot be asked: {error}"), "df ."),
        }
    }

    async fn check_store(&self) -> CheckView {
        let verified = match self.store_if_any() {
            Ok(None) => return good("store", "not made yet; the first run makes it"),
            Ok(Some(opened)) => opened.verify().await,
            Err(error) => Err(error),
        };
        match verified {
            Ok(()) => {
                good("store", format!("`{}` opens and is sound", self.place().state().display()))
            }
            Err(error) => failed("store", &error, "restore a copy, or move the directory aside"),
        }
    }
}

fn platform() -> CheckView {
    let found = format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH);
    match platform::judge(std::env::consts::OS) {
        Ok(Platform::Tested) => good("platform", found),
        Ok(Platform::Alike) => {
            note("platform", &format!("{found}, on which the tests are not run"), "use Linux")
        }
        Err(error) => failed("platform", &error, "use Linux"),
    }
}

fn check_loopback() -> CheckView {
    match TcpListener::bind(("127.0.0.1", 0)) {
        Ok(_) => good("loopback", "ports can be opened"),
        Err(error) => bad(
            "loopback",
            &format!("no port can be opened: {error}"),
            "allow connections to 127.0.0.1",
        ),
    }
}

fn coding_cli(provider: &str, adapter: &dyn Adapter, seen: &Seen) -> CheckView {
    if let Some(problem) = health::too_old(adapter, seen).or_else(|| health::unread(seen)) {
        // Those that are needed fail as agents.
        return problem_of(provider, CheckState::Note, &problem);
    }
    let mut found = match &seen.version {
        Ok(version) => format!("{version} at `{}`", seen.path.display()),
        Err(_) => format!("at `{}`", seen.path.display()),
    };
    found += match seen.logged_in {
        Some(true) => "; has a login of yours",
        Some(false) => "; not logged in",
        None => "",
    };
    match seen.note(adapter) {
        Some(note) => self::note(provider, &format!("{found}; {note}"), ""),
        None => good(provider, found),
    }
}

fn problem_of(name: &str, state: CheckState, problem: &Diagnostic) -> CheckView {
    let found = check(name, state, problem.to_string(), problem.suggestion.as_deref());
    CheckView { code: Some(problem.code), ..found }
}

fn check(name: &str, state: CheckState, found: String, mend: Option<&str>) -> CheckView {
    let mend = mend.filter(|mend| !mend.is_empty()).map(str::to_owned);
    CheckView { name: name.to_owned(), state, found, mend, code: None }
}

pub(super) fn good(name: &str, found: impl Into<String>) -> CheckView {
    check(name, CheckState::Ok, found.into(), None)
}

pub(super) fn note(name: &str, found: &str, mend: &str) -> CheckView {
    check(name, CheckState::Note, found.to_owned(), Some(mend))
}

pub(super) fn bad(name: &str, found: &str, mend: &str) -> CheckView {
    check(name, CheckState::Failed, found.to_owned(), Some(mend))
}

pub(super) fn failed(name: &str, error: &ServiceError, otherwise: &str) -> CheckView {
    let help = error.help();
    let mut view = bad(name, &error.to_string(), help.as_deref().unwrap_or(otherwise));
    view.code = Some(error.code());
    view
}
