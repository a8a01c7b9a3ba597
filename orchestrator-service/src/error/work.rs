//! What errors of git, sandboxes, checks and landing are called, and what to do about them.

use super::Exit;
use orchestrator_workspace::{
    check::CheckError, landing::LandError, sandbox::SandboxError, tools::ToolError,
};

pub(super) fn of_sandbox(error: &SandboxError) -> &'static str {
    match error {
        SandboxError::Leaks(_) => "ORC-0625",
        SandboxError::Invalid(_) => "ORC-0626",
        _ => "ORC-0620",
    }
}

pub(super) fn of_checks(error: &CheckError) -> &'static str {
    match error {
        CheckError::Sandbox(error) => of_sandbox(error),
        _ => "ORC-0640",
    }
}

pub(super) fn of_landing(error: &LandError) -> &'static str {
    match error {
        LandError::Nowhere
        | LandError::Unverified { .. }
        | LandError::NoBranch { .. }
        | LandError::NoTarget
        | LandError::NoForge => "ORC-0660",
        LandError::CheckedOut { .. } | LandError::DirtyCheckout { .. } => "ORC-0661",
        LandError::Entangled { .. } | LandError::RedWithout { .. } => "ORC-0663",
        LandError::Git(error) => error.code(),
        LandError::Checks(_) => "ORC-0640",
        _ => "ORC-0662",
    }
}

pub(super) fn of_tool(error: &ToolError) -> &'static str {
    match error {
        ToolError::Nothing => "ORC-0670",
        ToolError::Unresolved { .. } => "ORC-0671",
        ToolError::NoWords => "ORC-0672",
        ToolError::Restaged => "ORC-0648",
        ToolError::BranchExists(_) => "ORC-0673",
        ToolError::Detached => "ORC-0674",
        ToolError::NoRemote { .. } => "ORC-0675",
        ToolError::Rejected { .. } => "ORC-0676",
        ToolError::Diverged { .. } => "ORC-0677",
        ToolError::Git(error) => error.code(),
        _ => "ORC-0618",
    }
}

/// What to do where the message does not say it.
pub(super) fn help_of_sandbox(error: &SandboxError) -> Option<String> {
    Some(match error {
        SandboxError::Invalid(_) => "correct `[sandbox]` in the settings".into(),
        _ => "`orchestrator doctor` shows what is missing; to run without it, in so many words: \
              `--sandbox off`, or `orchestrator config set sandbox.mode off`"
            .into(),
    })
}

pub(super) fn help_of_checks(error: &CheckError) -> Option<String> {
    match error {
        CheckError::Sandbox(error) => help_of_sandbox(error),
        _ => None,
    }
}

pub(super) fn help_of_landing(error: &LandError) -> Option<String> {
    match error {
        LandError::CheckedOut { .. } => {
            Some("`--update-checkout` lets a checkout go along that has no changes".into())
        }
        _ => None,
    }
}

/// What a person can make room for is asked for in another way.
pub(super) fn exit_of_landing(error: &LandError) -> Exit {
    match error {
        LandError::CheckedOut { .. } | LandError::DirtyCheckout { .. } => Exit::Usage,
        _ => exit(error.class()),
    }
}

/// What a person can change is a wrong call; what may go better next time has failed.
pub(super) fn exit(class: orchestrator_core::error::ErrorClass) -> Exit {
    use orchestrator_core::error::ErrorClass;
    match class {
        ErrorClass::InvalidRequest => Exit::Usage,
        _ => Exit::Failed,
    }
}
