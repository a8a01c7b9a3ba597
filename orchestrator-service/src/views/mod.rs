//! What the service tells: documents that front-ends print or show as they are.
//!
//! Each serializes to JSON with a `schema` field; `docs/schemas/` describes it. Instants are
//! RFC 3339 text in UTC, durations are milliseconds, money is a decimal string in US dollars.

mod agent;
mod call;
mod compare;
mod control;
mod cost;
mod forecast;
mod from_rows;
mod git;
mod landing;
mod list;
mod plan;
mod run;
mod secrets;
mod settings;
mod setup;
mod spent;
mod task;
mod transfer;
mod why;
mod work;
mod workspace;

pub use agent::{
    AccountView, AgentDetails, AgentStatus, AgentView, AgentsChangeView, CapabilityView,
    ProgramView,
};
pub use call::{CallView, FailedCallView, KeptView, ModelSpentView};
pub use compare::{
    CompareView, DefinitionChange, Likeness, OutputComparison, TaskChange, TaskComparison,
    TaskSide, ValueChange,
};
pub use control::{ControlView, Controlled};
pub use cost::{BudgetView, CostGroup, CostReport, CostRow, LedgerView};
pub use forecast::{CalibrationRow, CalibrationView, ForecastOutcome, ForecastView};
pub(crate) use forecast::{outcome, to_thousandth};
pub use git::{
    GitBranchView, GitBranchesView, GitCommitView, GitDiffView, GitLogEntry, GitLogView,
    GitPullView, GitPushView, GitStatusView, WrittenView,
};
pub use landing::{
    LandItem, LandRefusal, LandStepView, LandView, LandingDetails, OverlapView, PrintedView,
    QueueItem, QueueOfBranch, QueueView, RevertView, RollbackPlan, RollbackView, SettledItem,
};
pub use list::List;
pub use plan::{Estimate, PlanView, PlannedTask, PlannedWorkflow};
pub use run::{CancelView, CleanView, OriginView, ResultView, RunDetails, RunView, StatusView};
pub use secrets::{SecretView, SecretsChangeView};
pub use settings::{ConfigView, SettingView};
pub use setup::{CheckState, CheckView, DoctorView, InitView, TemplateView};
pub use spent::Spent;
pub use task::{
    ActionView, AllowedView, ArtifactView, AskView, AskedView, AttemptView, CachedView,
    FailureView, HeldUpView, ItemCounts, LogEntry, LogPage, MessageView, TaskDetails, TaskView,
};
pub use transfer::{ImportView, ImportedRun};
pub use why::{Said, TaskWhy, WhyLink, WhyView};
pub use work::{
    ChangedView, CheckedView, EvidenceView, FoundView, JudgedView, LandedView, MadeView,
    RefusedView, RequestedView, ResultBranch, WorkView, WorkspaceView,
};
pub use workspace::{
    CheckpointView, CheckpointsView, DiffView, FileDiffView, NotRemovedView, PlaceView,
    PreparedView, ReceiptKeyView, ReceiptTaskView, RestoreView, VerifyView, WorktreesCleanView,
    WorktreesView,
};
