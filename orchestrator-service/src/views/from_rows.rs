//! Documents from the rows of the store.

use super::{
    ActionView, AllowedView, ArtifactView, AskView, AskedView, AttemptView, CachedView,
    FailureView, HeldUpView, ItemCounts, MessageView, OriginView, RunView, Spent, TaskView,
};
use crate::query::Standing;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    event::{Allowance, ArtifactRef, Ask, AskKind, CacheHit, Origin, SentMessage},
    id::TaskId,
    permission::Action,
    port::{self, AttemptRow, RunRow, TaskRow},
    schedule::HeldUp,
    time::Timestamp,
};

fn elapsed(from: Option<Timestamp>, to: Timestamp) -> u64 {
    from.map_or(0, |from| to.0.saturating_sub(from.0))
}

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

impl RunView {
    /// The run of `row`, shown as `status`; an open one has taken until `until`.
    pub(crate) fn new(row: &RunRow, status: &str, until: Timestamp) -> Self {
        Self {
            id: row.id.to_string(),
            workflow: row.workflow.to_string(),
            version: row.version.clone(),
            source: row.source.clone(),
            status: status.to_owned(),
            parent: row.parent.as_ref().map(ToString::to_string),
            origin: row.origin.as_ref().map(OriginView::from),
            created_at: row.created_at.to_string(),
            ended_at: text(row.ended_at),
            elapsed_ms: elapsed(Some(row.created_at), row.ended_at.unwrap_or(until)),
            tasks: row.tasks,
            ended: row.ended,
            failed: row.failed,
            budget_usd: row.budget,
            replayed: row.replayed,
            spent: Spent::new(&row.usage, &row.cost),
        }
    }
}

impl TaskView {
    /// The task of `row` in a run that is shown as `standing`.
    pub(crate) fn new(row: &TaskRow, standing: &Standing) -> Self {
        Self {
            id: TaskId::of(&row.run, &row.name).to_string(),
            name: row.name.to_string(),
            run: row.run.to_string(),
            status: standing.of_part(row.status.as_str()).to_owned(),
            verified: row.verified,
            agent: row.agent.as_ref().map(ToString::to_string),
            attempts: row.attempts,
            started_at: text(row.started_at),
            ended_at: text(row.ended_at),
            elapsed_ms: elapsed(row.started_at, row.ended_at.unwrap_or(standing.until)),
            error: row.error.as_ref().map(FailureView::from),
            ask: row.ask.as_deref().map(|ask| AskView::new(row, ask)),
            more_asks: row.more_asks.iter().map(|ask| AskView::new(row, ask)).collect(),
            held_up: row.held_up.as_ref().map(HeldUpView::from),
            item_counts: row.items.map(ItemCounts::from),
            spent: Spent::new(&row.usage, &row.cost),
        }
    }
}

impl From<port::ItemCounts> for ItemCounts {
    fn from(counts: port::ItemCounts) -> Self {
        Self { total: counts.count, ended: counts.ended, failed: counts.failed }
    }
}

impl From<&Origin> for OriginView {
    fn from(origin: &Origin) -> Self {
        let (how, at) = match origin {
            Origin::Then { .. } => ("then", None),
            Origin::Retry { .. } => ("retry", None),
            Origin::Fork { at, .. } => ("fork", Some(at.0)),
            Origin::Import {} => ("import", None),
            _ => ("other", None),
        };
        Self { how: how.to_owned(), run: origin.run().map(ToString::to_string), at }
    }
}

impl AskView {
    /// What the task of `row` asks.
    pub(crate) fn new(row: &TaskRow, ask: &Ask) -> Self {
        let over_budget = || row.error.as_ref().is_some_and(|e| e.class == ErrorClass::OverBudget);
        let kind = match ask.kind {
            AskKind::Approval => "approval",
            AskKind::Question => "question",
            AskKind::Permission => "permission",
            AskKind::Failure if over_budget() => "budget",
            AskKind::Failure => "failure",
            AskKind::Outcome => "outcome",
        };
        Self {
            kind,
            message: ask.message.clone(),
            expires: text(ask.expires),
            question: ask.question.map(|number| number.0),
            action: ask.action.as_deref().map(ActionView::from),
        }
    }
}

impl From<&Action> for ActionView {
    fn from(action: &Action) -> Self {
        let Action { tool, kind, paths, command, hosts, summary } = action.clone();
        Self { tool, kind: kind.as_str(), paths, command, hosts, summary }
    }
}

impl From<&SentMessage> for MessageView {
    fn from(sent: &SentMessage) -> Self {
        Self {
            number: sent.message.number.0,
            text: sent.message.text.clone(),
            interrupts: sent.message.interrupts,
            sent_at: sent.sent_at.to_string(),
            delivered: sent.delivered.map(|attempt| attempt.0),
        }
    }
}

impl From<&Allowance> for AllowedView {
    fn from(allowed: &Allowance) -> Self {
        Self {
            agent: allowed.agent.to_string(),
            rule: allowed.rule.to_string(),
            task: allowed.task.to_string(),
            by: allowed.by.clone(),
            at: allowed.at.to_string(),
        }
    }
}

impl AskedView {
    /// What the task of `row` asks.
    pub(crate) fn new(row: &TaskRow, ask: &Ask) -> Self {
        Self {
            id: TaskId::of(&row.run, &row.name).to_string(),
            run: row.run.to_string(),
            task: row.name.to_string(),
            ask: AskView::new(row, ask),
        }
    }
}

impl From<&HeldUp> for HeldUpView {
    fn from(held_up: &HeldUp) -> Self {
        let by = match held_up {
            HeldUp::Parallel { .. } => "parallel",
            HeldUp::Limit { .. } => "limit",
            HeldUp::Group { .. } => "group",
            HeldUp::Breaker { .. } => "breaker",
            HeldUp::Apart { .. } => "apart",
            _ => "other",
        };
        Self { by: by.to_owned(), reason: held_up.to_string() }
    }
}

impl From<&CacheHit> for CachedView {
    fn from(hit: &CacheHit) -> Self {
        Self { run: hit.run.to_string(), task: hit.task.to_string(), at: hit.at.to_string() }
    }
}

impl From<&Failure> for FailureView {
    fn from(failure: &Failure) -> Self {
        Self { class: failure.class.as_str().to_owned(), message: failure.message.clone() }
    }
}

impl AttemptView {
    /// The attempt of `row` in a run that is shown as `standing`.
    pub(crate) fn new(row: &AttemptRow, standing: &Standing) -> Self {
        let artifact = |artifact: &ArtifactRef| ArtifactView::new(row.task.as_str(), artifact);
        Self {
            run: row.run.to_string(),
            task: row.task.to_string(),
            number: row.number.0,
            agent: row.agent.to_string(),
            status: standing.of_part(row.status.as_str()).to_owned(),
            started_at: row.started_at.to_string(),
            ended_at: text(row.ended_at),
            error: row.error.as_ref().map(FailureView::from),
            artifacts: row.artifacts.iter().map(artifact).collect(),
            child: row.child.as_ref().map(ToString::to_string),
            session: row.session.clone(),
            turns: row.turns,
            cached: row.cached.as_ref().map(CachedView::from),
            spent: Spent::new(&row.usage, &row.cost),
        }
    }
}

impl ArtifactView {
    pub(crate) fn new(task: &str, artifact: &ArtifactRef) -> Self {
        Self {
            task: task.to_owned(),
            name: artifact.name.clone(),
            media_type: artifact.media_type.clone(),
            blob: artifact.blob.to_string(),
            bytes: artifact.bytes,
        }
    }
}
