//! The commands, one a file.

mod again;
mod agent_details;
mod agents;
mod answer;
mod approve;
mod cancel;
mod checkpoints;
mod clean;
mod compare;
mod completions;
mod config;
mod confirm;
mod control;
mod cost_report;
mod diff;
mod doctor;
mod execute;
mod export;
mod fork;
mod gateway;
mod git;
mod import;
mod init;
mod interrupt;
mod kill;
mod land;
mod list_agents;
mod list_runs;
mod list_tasks;
mod list_templates;
mod listing;
mod logs;
mod markdown_help;
mod pause;
mod plan;
mod proof;
mod queue;
mod reject;
mod restore;
mod resume;
mod retry;
mod rollback;
mod run_details;
mod secrets;
mod send;
mod sheet;
mod status;
mod task_details;
mod verify;
mod why;
mod worktrees;

use crate::{context::Context, exit::Exit, problem::Failure};
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Doctor(doctor::Doctor),
    Execute(Box<execute::Execute>),
    Status(status::Status),
    ListRuns(list_runs::ListRuns),
    ListTasks(list_tasks::ListTasks),
    ListAgents(list_agents::ListAgents),
    ListTemplates(list_templates::ListTemplates),
    RunDetails(run_details::RunDetails),
    TaskDetails(task_details::TaskDetails),
    AgentDetails(agent_details::AgentDetails),
    Agents(agents::Agents),
    Logs(logs::Logs),
    Why(why::Why),
    Diff(diff::Diff),
    Checkpoints(checkpoints::Checkpoints),
    Restore(restore::Restore),
    Worktrees(worktrees::Worktrees),
    Approve(approve::Approve),
    Reject(reject::Reject),
    Answer(answer::Answer),
    Send(send::Send),
    Interrupt(interrupt::Interrupt),
    Pause(pause::Pause),
    Resume(resume::Resume),
    Cancel(cancel::Cancel),
    Kill(kill::Kill),
    Retry(retry::Retry),
    Fork(fork::Fork),
    Compare(compare::Compare),
    CostReport(cost_report::CostReport),
    Land(land::Land),
    Queue(queue::Queue),
    Rollback(rollback::Rollback),
    Git(git::Git),
    Export(export::Export),
    Verify(verify::Verify),
    Import(import::Import),
    Clean(clean::Clean),
    Secrets(secrets::Secrets),
    Gateway(gateway::Gateway),
    Config(config::Config),
    Completions(completions::Completions),
    #[command(hide = true)]
    MarkdownHelp(markdown_help::MarkdownHelp),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// What kept it from being done.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Init(command) => command.run(context),
            Self::Doctor(command) => command.run(context),
            Self::Execute(command) => command.run(context),
            Self::Status(command) => command.run(context),
            Self::ListRuns(command) => command.run(context),
            Self::ListTasks(command) => command.run(context),
            Self::ListAgents(command) => command.run(context),
            Self::ListTemplates(command) => command.run(context),
            Self::RunDetails(command) => command.run(context),
            Self::TaskDetails(command) => command.run(context),
            Self::AgentDetails(command) => command.run(context),
            Self::Agents(command) => command.run(context),
            Self::Logs(command) => command.run(context),
            Self::Why(command) => command.run(context),
            Self::Diff(command) => command.run(context),
            Self::Checkpoints(command) => command.run(context),
            Self::Restore(command) => command.run(context),
            Self::Worktrees(command) => command.run(context),
            Self::Approve(command) => command.run(context),
            Self::Reject(command) => command.run(context),
            Self::Answer(command) => command.run(context),
            Self::Send(command) => command.run(context),
            Self::Interrupt(command) => command.run(context),
            Self::Pause(command) => command.run(context),
            Self::Resume(command) => command.run(context),
            Self::Cancel(command) => command.run(context),
            Self::Kill(command) => command.run(context),
            Self::Retry(command) => command.run(context),
            Self::Fork(command) => command.run(context),
            Self::Compare(command) => command.run(context),
            Self::CostReport(command) => command.run(context),
            Self::Land(command) => command.run(context),
            Self::Queue(command) => command.run(context),
            Self::Rollback(command) => command.run(context),
            Self::Git(command) => command.run(context),
            Self::Export(command) => command.run(context),
            Self::Verify(command) => command.run(context),
            Self::Import(command) => command.run(context),
            Self::Clean(command) => command.run(context),
            Self::Secrets(command) => command.run(context),
            Self::Gateway(command) => command.run(context),
            Self::Config(command) => command.run(context),
            Self::Completions(command) => command.run(context),
            Self::MarkdownHelp(command) => command.run(context),
        }
    }
}
