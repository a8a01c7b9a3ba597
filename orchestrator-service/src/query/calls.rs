//! Which models a task asked, and how each answer came about.

use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{CallView, FailedCallView, KeptView, ModelSpentView},
};
use orchestrator_core::{
    event::{Content, Event, Turn},
    id::{AttemptNumber, RunId, Sequence, TaskName},
};
use serde_json::Value;

impl OrchestratorService {
    /// The answers of models that `task` got, in the order in which they were recorded.
    pub(super) async fn calls(
        &self,
        opened: &Opened,
        run: &RunId,
        task: &TaskName,
    ) -> Result<Vec<CallView>, ServiceError> {
        let mut calls = Vec::new();
        for recorded in opened.events(run, Sequence(0)).await? {
            if let Event::TurnRecorded { task: of, attempt, turn, .. } = recorded.event
                && of == *task
                && turn.kind == "model"
            {
                let output = opened.content(&turn.output).await?;
                calls.push(call(attempt, &turn, &output));
            }
        }
        Ok(calls)
    }
}

impl Opened {
    /// A value of the log, wherever it lies.
    async fn content(&self, content: &Content) -> Result<Value, ServiceError> {
        match content {
            Content::Inline(value) => Ok(value.clone()),
            Content::Blob { id, .. } => {
                let bytes = self.blobs().get(id).await?;
                serde_json::from_slice(&bytes).map_err(|_| {
                    ServiceError::Blob(orchestrator_core::port::BlobError::Damaged(id.clone()))
                })
            }
        }
    }
}

fn call(attempt: AttemptNumber, turn: &Turn, output: &Value) -> CallView {
    let asked = &output["asked"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let words = |value: &Value| text(value).unwrap_or_default();
    let failed = asked["failed"].as_array().into_iter().flatten();
    let last = turn.spend.last();
    CallView {
        attempt: attempt.0,
        turn: turn.number.0,
        provider: text(&asked["provider"]).or_else(|| last.map(|line| line.provider.to_string())),
        model: text(&asked["model"]).unwrap_or_else(|| turn.name.clone()),
        rule: text(&asked["rule"]),
        why: text(&asked["why"]),
        source: text(&asked["source"]).unwrap_or_else(|| "called".into()),
        kept: asked
            .get("kept")
            .map(|kept| KeptView { run: text(&kept["run"]), at: words(&kept["at"]) }),
        failed: failed
            .map(|failed| FailedCallView {
                provider: words(&failed["provider"]),
                model: words(&failed["model"]),
                class: words(&failed["class"]),
                message: words(&failed["message"]),
            })
            .collect(),
        spent: turn
            .spend
            .iter()
            .map(|line| ModelSpentView {
                provider: line.provider.to_string(),
                model: line.model.clone(),
                requests: line.requests,
                cost_usd: line.cost,
            })
            .collect(),
    }
}
