//! Results that are used again.

use super::{Shared, host::Host};
use crate::{
    command::{AttemptKey, Command},
    event::{ArtifactRef, CacheHit, Content},
    id::CacheKey,
    port::{Assignment, CachedResult, Work},
    time::Timestamp,
    workspace::WorkspacePolicy,
};
use serde_json::{Value, json};
use std::time::Duration;

/// The number of the way in which keys are made: another one finds nothing of before.
const FORMAT: u32 = 1;

/// The key of the result of `assignment`: all that its agent is told, `salt`, the task's own
/// addition, and in what kind of `place` it works.
pub(super) fn key(
    assignment: &Assignment,
    salt: Option<&str>,
    place: Option<&WorkspacePolicy>,
) -> CacheKey {
    let agent = &assignment.agent;
    let needs: serde_json::Map<String, Value> = assignment
        .needs
        .iter()
        .map(|(name, left)| {
            (name.to_string(), json!({ "status": left.status.as_str(), "output": left.output }))
        })
        .collect();
    let work = match &assignment.work {
        Work::Prompt(prompt) => json!({ "prompt": prompt }),
        Work::Command(command) => json!({ "command": command }),
    };
    let mut told = json!({
        "format": FORMAT,
        "agent": {
            "name": agent.name.as_str(),
            "role": agent.role.as_str(),
            "provider": agent.provider.as_str(),
            "model": agent.model,
            "instructions": agent.instructions(),
            "max-tokens": agent.max_tokens,
        },
        "work": work,
        "schema": assignment.output_schema,
        "feedback": assignment.feedback,
        "item": assignment.item.as_ref().map(|item| json!([item.index, item.value])),
        "needs": needs,
        "inputs": *assignment.inputs,
        "project": assignment.project,
        "compact": assignment.compact,
        "salt": salt,
    });
    if let Some(policy) = place {
        told["workspace"] = json!(policy);
    }
    if let Some(route) = &agent.route {
        // What a rule comes to, not how it got there.
        let models: Vec<String> = route.models.iter().map(ToString::to_string).collect();
        told["agent"]["route"] = json!([route.order, models]);
    }
    CacheKey::of(&told)
}

/// A result that was found.
pub(super) struct Hit(CachedResult);

impl Hit {
    /// The end of an attempt that did not have to be made.
    pub(super) fn finish(self, attempt: AttemptKey) -> Command {
        let CachedResult { key, run, task, at, output, artifacts, .. } = self.0;
        Command::FinishAttempt {
            attempt,
            output,
            spend: Vec::new(),
            artifacts,
            cached: Some(Box::new(CacheHit { key, run, task, at })),
            added: None,
        }
    }
}

impl Shared {
    /// The result under `key`, when it is there and whole. Whatever stands in the way is no more
    /// than a result that has to be made.
    pub(super) async fn recall(&self, key: &CacheKey) -> Option<Hit> {
        let found = match self.store.cached(key, self.clock.now()).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::warn!(%key, %error, "the cache could not be asked");
                return None;
            }
        };
        let blobs = found.output.blob().into_iter().chain(found.artifacts.iter().map(|a| &a.blob));
        for blob in blobs {
            if let Err(error) = self.blobs.get(blob).await {
                tracing::warn!(%key, %error, "a cached result is not whole");
                return None;
            }
        }
        Some(Hit(found))
    }
}

impl Host {
    /// What is kept of a result that was made.
    pub(super) fn keepsake(
        &self,
        key: CacheKey,
        at: Timestamp,
        ttl: Option<Duration>,
        output: &Content,
        artifacts: &[ArtifactRef],
    ) -> CachedResult {
        CachedResult {
            key,
            project: self.project.clone(),
            workflow: self.workflow.clone(),
            run: self.run.clone(),
            task: self.key.task.clone(),
            at,
            expires: ttl.map(|ttl| at.after(ttl)),
            output: output.clone(),
            artifacts: artifacts.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::{AgentSpec, Role},
        id::{AgentName, ProviderName, RunId, TaskName},
        port::Feedback,
        route::{Route, RouteModel, RouteOrder},
    };
    use std::sync::Arc;

    fn told(change: impl FnOnce(&mut Assignment)) -> CacheKey {
        let agent = AgentSpec::new(
            AgentName::new("a").unwrap(),
            Role::Dev,
            ProviderName::new("own").unwrap(),
        );
        let run = RunId::new("r_1").unwrap();
        let task = TaskName::new("t").unwrap();
        let mut assignment =
            Assignment::new(run, task, Arc::new(agent), Work::Prompt("do it".into()));
        assignment.inputs = Arc::new(json!({ "a": 1, "b": 2 }));
        change(&mut assignment);
        key(&assignment, None, None)
    }

    #[test]
    fn a_key_changes_with_what_the_agent_is_told_and_with_nothing_else() {
        let plain = told(|_| {});
        assert_eq!(plain, told(|a| a.run = RunId::new("r_2").unwrap()));
        assert_eq!(plain, told(|a| a.attempt = crate::id::AttemptNumber(7)));
        assert_eq!(plain, told(|a| a.inputs = Arc::new(json!({ "b": 2, "a": 1 }))));
        let others = [
            told(|a| a.work = Work::Command(vec!["do it".into()])),
            told(|a| a.inputs = Arc::new(json!({ "a": 1, "b": "2" }))),
            told(|a| a.output_schema = Some(Arc::new(json!({})))),
            told(|a| Arc::make_mut(&mut a.agent).model = Some("m".into())),
            told(|a| {
                let agent = Arc::make_mut(&mut a.agent);
                let model = RouteModel::new(agent.provider.clone(), "m");
                let (rule, order) = ("cheap".into(), RouteOrder::Fixed);
                let route = Route { rule, order, models: vec![model], why: String::new() };
                agent.route = Some(Arc::new(route));
            }),
            told(|a| a.feedback.push(Feedback { from: "x".into(), message: "y".into() })),
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(plain, *other, "{place}");
            assert!(!others[..place].contains(other), "{place}");
        }
    }
}
