//! What each error is called, what to do about it, and how a front-end ends.

use super::{Exit, ServiceError, secrets, store, work};
use crate::document::Diagnostic;
use orchestrator_core::{port::BlobError, run::Unsteerable};
use orchestrator_gateway::cassette::CassetteError;

impl ServiceError {
    /// A refusal with one place.
    pub(crate) fn invalid(what: impl Into<String>, diagnostic: Diagnostic) -> Self {
        Self::Invalid { what: what.into(), diagnostics: vec![diagnostic] }
    }

    /// The stable code, such as `ORC-0601`; a page under `docs/errors/` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { diagnostics, .. } => {
                diagnostics.first().map_or("ORC-0901", |first| first.code)
            }
            Self::SettingsUnwritable { .. } => "ORC-0105",
            Self::SetUpAlready(_) => "ORC-0106",
            Self::NoSuchTemplate { .. } => "ORC-0290",
            Self::Store { error, .. } => store::code(error),
            Self::State { .. } => "ORC-0406",
            Self::Blob(BlobError::Missing(_) | BlobError::Damaged(_)) => "ORC-0407",
            Self::Blob(BlobError::Full(_)) => "ORC-0404",
            Self::Blob(_) => "ORC-0401",
            Self::Secrets(error) => secrets::code(error),
            Self::NoSuchSecret { .. } | Self::NoSecrets => "ORC-0537",
            Self::HoldsSecret(_) => "ORC-0540",
            Self::NoSuchAgent { .. } => "ORC-0511",
            Self::NobodyFor { .. } => "ORC-0512",
            Self::ModelNeeded(_) => "ORC-0513",
            Self::NoSuchRun(_) => "ORC-0601",
            Self::AmbiguousRun { .. } => "ORC-0602",
            Self::NoRuns => "ORC-0603",
            Self::NoSuchTask { .. } => "ORC-0604",
            Self::RunOver { .. } => "ORC-0605",
            Self::Driven { .. } => "ORC-0606",
            Self::DrivenElsewhere { .. } => "ORC-0607",
            Self::NoSuchArtifact { .. } => "ORC-0608",
            Self::Engine(_) => "ORC-0609",
            Self::NobodyAsked { .. } => "ORC-0621",
            Self::Refused { .. } => "ORC-0622",
            Self::SeveralAsked { .. } => "ORC-0679",
            Self::NotAsked { .. } => "ORC-0680",
            Self::Unsteerable { why: Unsteerable::Agent { .. }, .. } => "ORC-0681",
            Self::Unsteerable { .. } => "ORC-0682",
            Self::NotForGood { .. } => "ORC-0683",
            Self::TaskOver { .. } => "ORC-0623",
            Self::NotAtWork(_) => "ORC-0624",
            Self::Import { .. } => "ORC-0631",
            Self::RunHere(_) => "ORC-0632",
            Self::WorkflowHere { .. } => "ORC-0633",
            Self::NotAgain { .. } => "ORC-0634",
            Self::Cassette(error) => error.code(),
            Self::Git(error) => error.code(),
            Self::Sandbox(error) => work::of_sandbox(error),
            Self::Checks(error) => work::of_checks(error),
            Self::Landing(error) => work::of_landing(error),
            Self::GitTool(error) => work::of_tool(error),
            Self::NothingToLand { .. } => "ORC-0664",
            Self::NoSuchLanding(_) => "ORC-0649",
            Self::RunGoesOn { .. } => "ORC-0665",
            Self::Unverified { .. } => "ORC-0666",
            Self::NothingLanded { .. } => "ORC-0667",
            Self::RolledBack { .. } => "ORC-0668",
            Self::SigningKey { .. } => "ORC-0641",
            Self::NoWork { .. } => "ORC-0642",
            Self::NoSuchCheckpoint { .. } => "ORC-0643",
            Self::InTheWay { .. } => "ORC-0644",
            Self::Place(_) => "ORC-0645",
            Self::Receipt { .. } => "ORC-0647",
            Self::Project { .. } => "ORC-0701",
            Self::Platform(_) => "ORC-0706",
            Self::PathNotUtf8(_) => "ORC-0702",
            Self::Telemetry(_) => "ORC-0705",
            Self::Argument { .. } | Self::Missing(_) => "ORC-0801",
            Self::Internal(_) => "ORC-0901",
        }
    }

    /// What to do, with the next command where there is one.
    pub fn help(&self) -> Option<String> {
        let known = |suggestion: &Option<String>, list: &str| match suggestion {
            Some(suggestion) => format!("{suggestion} `{list}` shows all"),
            None => format!("`{list}` shows those that there are"),
        };
        Some(match self {
            Self::Invalid { diagnostics, .. } => diagnostics.first()?.suggestion.clone()?,
            Self::SettingsUnwritable { .. } => "check the permissions of the directory".into(),
            Self::SetUpAlready(_) => {
                "change single settings with `orchestrator config set`, or replace the file with \
                 `orchestrator init --force`"
                    .into()
            }
            Self::NoSuchTemplate { suggestion, .. } => {
                known(suggestion, "orchestrator list-templates")
            }
            Self::Store { error, directory } => store::help(error, directory),
            Self::State { .. } => "`orchestrator doctor` shows what is wrong".into(),
            Self::Blob(_) => "restore `.orchestrator/state` from a copy".into(),
            Self::Secrets(error) => secrets::help(error),
            Self::NoSuchSecret { suggestion, .. } => known(suggestion, "orchestrator secrets list"),
            Self::HoldsSecret(run) => format!(
                "`orchestrator export {run} --format html` hides it; so that nobody can use it any \
                 more, change the secret where it was made"
            ),
            Self::NoSecrets => "begin with `orchestrator secrets set NAME`".into(),
            Self::NoSuchAgent { suggestion, .. } | Self::NobodyFor { suggestion, .. } => {
                known(suggestion, "orchestrator list-agents")
            }
            Self::ModelNeeded(_) => {
                "set ANTHROPIC_API_KEY, OPENAI_API_KEY, DEEPSEEK_API_KEY or GEMINI_API_KEY, or name a \
                 model server under [providers] in `.orchestrator/config.toml` (`orchestrator init` writes one); \
                 without a model, `orchestrator execute --task-type audit` works"
                    .into()
            }
            Self::NoSuchRun(_) => "`orchestrator list-runs` shows those that there are".into(),
            Self::AmbiguousRun { .. } => "give more of the id".into(),
            Self::NoRuns => "start with `orchestrator execute --task-type audit`".into(),
            Self::NoSuchTask { run, suggestion, .. } => {
                known(suggestion, &format!("orchestrator run-details {run}"))
            }
            Self::RunOver { run, .. } => {
                format!("`orchestrator run-details {run}` shows what came of it")
            }
            Self::Driven { run, .. } => {
                format!("follow it with `orchestrator logs {run} -f`, or stop it with `orchestrator cancel {run}`")
            }
            Self::DrivenElsewhere { run, seconds, .. } => format!(
                "if that machine is gone, wait {seconds} s and type `orchestrator resume {run}` again"
            ),
            Self::NoSuchArtifact { known, .. } if known.is_empty() => {
                "it made no files".into()
            }
            Self::NoSuchArtifact { known, .. } => format!("it made {}", known.join(", ")),
            Self::NobodyAsked { task, .. } | Self::TaskOver { task, .. } => {
                format!("`orchestrator task-details {task}` shows where it stands")
            }
            Self::Refused { run, .. } => format!("`orchestrator status {run}` shows where it stands"),
            Self::SeveralAsked { task, asks } => {
                let first = asks.first().map_or(1, |(number, _)| *number);
                format!(
                    "`orchestrator approve {task} --question {first}` answers one, and `--all` all"
                )
            }
            Self::NotAsked { open, .. } if open.is_empty() => "nothing is open any more".into(),
            Self::NotAsked { open, .. } => {
                let open: Vec<String> = open.iter().map(u32::to_string).collect();
                format!("open are {}", open.join(", "))
            }
            Self::NotForGood { .. } => "approve it without `--always`".into(),
            Self::Unsteerable { why: Unsteerable::Agent { task, .. }, run } => format!(
                "stop it with `orchestrator kill {run}.{task}`, or wait for it to end"
            ),
            Self::Unsteerable { run, .. } => {
                format!("`orchestrator list-tasks --run {run} --status running` shows who is at work")
            }
            Self::NotAtWork(_) => "`orchestrator list-tasks --status running` shows who is".into(),
            Self::Engine(_) => "`orchestrator doctor` shows what is wrong; what is recorded is safe".into(),
            Self::Import { .. } => "nothing was stored; export the run again with \
                                    `orchestrator export RUN --output FILE`"
                .into(),
            Self::RunHere(_) => "give it an id of its own with `--new-id`".into(),
            Self::WorkflowHere { .. } => {
                "rename it in the file, or replace the project's own with `--yes`".into()
            }
            Self::Cassette(error) => error.help().into(),
            Self::NotAgain { run, .. } => {
                format!("`orchestrator run-details {run}` shows its tasks")
            }
            // Their messages say what to do.
            Self::Git(_) | Self::GitTool(_) => return None,
            Self::Landing(error) => work::help_of_landing(error)?,
            Self::NothingToLand { run, .. } => format!(
                "`orchestrator run-details {run}` shows what it made and where that is; only work of \
                 tasks in worktrees lands"
            ),
            Self::NoSuchLanding(_) => {
                "`orchestrator queue --json` names those that there are as `id`".into()
            }
            Self::RunGoesOn { run, .. } => format!(
                "wait for its end (`orchestrator logs {run} -f`), resume it if it was interrupted, or stop it with \
                 `orchestrator cancel {run}`"
            ),
            Self::Unverified { .. } => {
                "give those tasks `checks`, or say `--unverified` when you have looked at it".into()
            }
            Self::NothingLanded { run, .. } => {
                format!("`orchestrator queue --run {run}` shows what became of its work")
            }
            Self::RolledBack { by, .. } => {
                let short = by.iter().rev().map(|by| by.chars().take(10).collect::<String>());
                format!(
                    "to have it back, revert what undid it: `git revert {}`",
                    short.collect::<Vec<_>>().join(" ")
                )
            }
            Self::Sandbox(error) => work::help_of_sandbox(error)?,
            Self::Checks(error) => work::help_of_checks(error)?,
            Self::SigningKey { .. } => {
                "restore the file, or move it away for a new key to be made: what the old one signed \
                 verifies as long as its public key is known"
                    .into()
            }
            Self::NoWork { .. } => "only what tasks change that declare `workspace: worktree` is \
                                    recorded and lands: `orchestrator task-details TASK` shows it"
                .into(),
            Self::NoSuchCheckpoint { task, .. } => {
                format!("`orchestrator checkpoints {task}` shows those that there are")
            }
            Self::InTheWay { help, .. } => (*help).into(),
            Self::Place(_) => "`orchestrator worktrees list` shows the places that there are".into(),
            Self::Receipt { .. } => {
                "name a file that `orchestrator export RUN --format receipt` wrote".into()
            }
            Self::Project { .. } => "name a directory with `--path DIR`".into(),
            Self::Platform(_) => "run it on Linux, or in a Linux virtual machine".into(),
            Self::PathNotUtf8(_) => "rename it, or work from a copy with a plain name".into(),
            Self::Telemetry(_) => {
                "check `telemetry.otlp-endpoint`, such as `http://127.0.0.1:4318`".into()
            }
            Self::Argument { .. } => return None,
            Self::Missing(_) => {
                "for example `orchestrator execute \"Add a health check\"`, or `orchestrator execute \
                 --task-type audit`"
                    .into()
            }
            Self::Internal(_) => "this is a bug: please report it with the command that you typed".into(),
        })
    }

    /// The places that are wrong, where files or inputs are; empty for other errors.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Invalid { diagnostics, .. } => diagnostics,
            _ => &[],
        }
    }

    /// How a front-end ends because of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Invalid { .. } if matches!(self.code(), "ORC-0504" | "ORC-0516" | "ORC-0517") => {
                Exit::Auth
            }
            Self::Invalid { .. } if secrets::CODES.contains(&self.code()) => Exit::Unreachable,
            Self::Secrets(error) => secrets::exit(error),
            Self::Invalid { .. }
            | Self::SetUpAlready(_)
            | Self::NoSuchTemplate { .. }
            | Self::NoSuchSecret { .. }
            | Self::NoSecrets
            | Self::NoSuchAgent { .. }
            | Self::NobodyFor { .. }
            | Self::ModelNeeded(_)
            | Self::NoSuchRun(_)
            | Self::AmbiguousRun { .. }
            | Self::NoRuns
            | Self::NoSuchTask { .. }
            | Self::RunOver { .. }
            | Self::Driven { .. }
            | Self::DrivenElsewhere { .. }
            | Self::NoSuchArtifact { .. }
            | Self::TaskOver { .. }
            | Self::NotAtWork(_)
            | Self::NobodyAsked { .. }
            | Self::Refused { .. }
            | Self::SeveralAsked { .. }
            | Self::NotAsked { .. }
            | Self::NotForGood { .. }
            | Self::Unsteerable { .. }
            | Self::Import { .. }
            | Self::RunHere(_)
            | Self::WorkflowHere { .. }
            | Self::NotAgain { .. }
            | Self::GitTool(_)
            | Self::NothingToLand { .. }
            | Self::NoSuchLanding(_)
            | Self::RunGoesOn { .. }
            | Self::Unverified { .. }
            | Self::NothingLanded { .. }
            | Self::RolledBack { .. }
            | Self::NoWork { .. }
            | Self::NoSuchCheckpoint { .. }
            | Self::InTheWay { .. }
            | Self::Receipt { .. }
            | Self::Project { .. }
            | Self::PathNotUtf8(_)
            | Self::Argument { .. }
            | Self::Missing(_) => Exit::Usage,
            Self::Git(error) => work::exit(error.class()),
            Self::Place(failure) => work::exit(failure.class),
            Self::Checks(error) => work::exit(error.class()),
            Self::Landing(error) => work::exit_of_landing(error),
            Self::Cassette(CassetteError::Write { .. }) => Exit::Failed,
            Self::Cassette(_) => Exit::Usage,
            Self::Store { error, .. } => store::exit(error),
            Self::State { .. } | Self::Blob(_) => Exit::Unreachable,
            Self::SettingsUnwritable { .. }
            | Self::HoldsSecret(_)
            | Self::Sandbox(_)
            | Self::SigningKey { .. }
            | Self::Platform(_)
            | Self::Engine(_)
            | Self::Telemetry(_)
            | Self::Internal(_) => Exit::Failed,
        }
    }
}
