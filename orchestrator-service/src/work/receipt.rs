//! Issuing receipts: what the log of a run that has ended tells, signed.

use crate::{OrchestratorService, ServiceError, service::Opened};
use orchestrator_core::{
    event::{Event, Recorded},
    id::{AttemptNumber, BlobId, CommitId, Sequence, TaskName},
    port::{AttemptRow, BlobError, RunRow},
    usage::Spend,
    workspace::{Evidence, EvidenceRef, Verdict, WorkRecord},
};
use orchestrator_workspace::receipt::{BlobDigest, Checked, LogHead, ReceiptEntry, issue};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// An attempt of a run.
type Key = (TaskName, AttemptNumber);

/// What the log tells of work.
#[derive(Debug, Default)]
struct Told {
    made: BTreeMap<Key, WorkRecord>,
    /// Evidence and landings, in the order in which they came.
    proved: Vec<ReceiptEntry>,
    /// The last commit of each task that was found to be good.
    good: BTreeMap<TaskName, CommitId>,
    /// The models that attempts have called.
    models: BTreeMap<Key, BTreeSet<(String, String)>>,
    calls: u64,
}

impl OrchestratorService {
    /// The receipt of a run, signed with the user's key.
    ///
    /// # Errors
    /// An unknown run; [`ServiceError::RunGoesOn`]; a missing blob; a key that cannot be used; a run that
    /// holds a known secret.
    pub(crate) async fn issue_receipt(&self, run: &str) -> Result<String, ServiceError> {
        // Keys that the settings name are known once those are read.
        self.settings()?;
        let (opened, row) = self.find_run(run).await?;
        if !row.status.is_final() {
            return Err(ServiceError::RunGoesOn {
                action: "issue a receipt of",
                run: row.id.to_string(),
                status: self.standing(opened, &row).await?.status.to_owned(),
            });
        }
        let events = opened.events(&row.id, Sequence(0)).await?;
        let attempts = opened.catalog().attempts(&row.id, None).await;
        let attempts = attempts.map_err(|error| opened.failed(error))?;
        let told = opened.told_of_work(&events).await?;
        let mut entries = vec![ReceiptEntry::Run {
            workflow: row.workflow.to_string(),
            version: Some(row.version.clone()).filter(|version| !version.is_empty()),
            status: row.status.as_str().to_owned(),
            began: row.created_at.to_string(),
            ended: row.ended_at.map(|at| at.to_string()),
            orchestrator: env!("CARGO_PKG_VERSION").to_owned(),
        }];
        entries.extend(agents(&events, &attempts, &told));
        entries.extend(attempts.iter().map(|attempt| {
            let made = told.made.get(&(attempt.task.clone(), attempt.number));
            ReceiptEntry::Attempt {
                task: attempt.task.clone(),
                attempt: attempt.number,
                agent: attempt.agent.to_string(),
                status: attempt.status.as_str().to_owned(),
                cost_usd: attempt.cost.known,
                commit: made.map(|made| made.commit.clone()),
                base: made.map(|made| made.base.clone()),
            }
        }));
        entries.push(cost(&row, &told));
        entries.extend(told.proved);
        let head = log_head(&events);
        let receipt = issue(row.id.clone(), head, entries, &self.signing_key()?);
        let bytes = receipt.to_bytes();
        // What is signed cannot be changed on its way out.
        if self.known().redactor().finds(&bytes) {
            return Err(ServiceError::HoldsSecret(row.id.to_string()));
        }
        String::from_utf8(bytes).map_err(|error| ServiceError::Internal(error.to_string()))
    }
}

/// Who worked, each with every model that it called.
fn agents(events: &[Recorded], attempts: &[AttemptRow], told: &Told) -> Vec<ReceiptEntry> {
    let Some(Event::RunCreated(created)) = events.first().map(|recorded| &recorded.event) else {
        return Vec::new();
    };
    let worked: BTreeSet<&str> = attempts.iter().map(|attempt| attempt.agent.as_str()).collect();
    let mut entries = Vec::new();
    for agent in created.agents.iter().filter(|agent| worked.contains(agent.name.as_str())) {
        let own = attempts.iter().filter(|attempt| attempt.agent == agent.name);
        let called = own.filter_map(|own| told.models.get(&(own.task.clone(), own.number)));
        let called: BTreeSet<&(String, String)> = called.flatten().collect();
        let entry = |provider: &str, model: Option<String>| ReceiptEntry::Agent {
            name: agent.name.to_string(),
            provider: provider.to_owned(),
            model,
            version: agent.version.clone(),
        };
        if called.is_empty() {
            entries.push(entry(agent.provider.as_str(), agent.model.clone()));
        }
        entries.extend(called.into_iter().map(|(provider, model)| {
            entry(provider, Some(model.clone()).filter(|model| !model.is_empty()))
        }));
    }
    entries
}

fn cost(row: &RunRow, told: &Told) -> ReceiptEntry {
    let usage = &row.usage;
    ReceiptEntry::Cost {
        usd: row.cost.known,
        calls: told.calls,
        input_tokens: (usage.input + usage.cache_read + usage.cache_write).0,
        output_tokens: usage.output.0,
    }
}

impl Told {
    fn spent(&mut self, key: Key, spend: &[Spend]) {
        self.calls += spend.iter().map(|spend| u64::from(spend.requests)).sum::<u64>();
        let models = self.models.entry(key).or_default();
        models.extend(spend.iter().map(|one| (one.provider.to_string(), one.model.clone())));
    }
}

impl Opened {
    async fn told_of_work(&self, events: &[Recorded]) -> Result<Told, ServiceError> {
        let mut told = Told::default();
        for recorded in events {
            match &recorded.event {
                Event::TurnRecorded { task, attempt, turn } => {
                    told.spent((task.clone(), *attempt), &turn.spend);
                }
                Event::AttemptSucceeded { task, attempt, spend, .. } => {
                    told.spent((task.clone(), *attempt), spend);
                }
                Event::AttemptFailed { task, attempt, failure, .. } => {
                    told.spent((task.clone(), *attempt), &failure.spend);
                }
                Event::WorkRecorded { task, attempt, spend, work, .. } => {
                    told.spent((task.clone(), *attempt), spend);
                    told.made.insert((task.clone(), *attempt), (**work).clone());
                }
                Event::EvidenceRecorded { task, attempt, evidence, spend } => {
                    told.spent((task.clone(), *attempt), spend);
                    if evidence.verdict == Verdict::Verified {
                        told.good.insert(task.clone(), evidence.commit.clone());
                    }
                    told.proved.push(self.proof(task, *attempt, evidence).await?);
                }
                Event::WorkLanded { task, attempt, landed } => {
                    // One that goes on with what an earlier one recorded lands the work of that one.
                    let made = told.made.range(..=(task.clone(), *attempt)).next_back();
                    let made = made.filter(|((of, _), _)| of == task);
                    let good = told.good.get(task);
                    let verified = made.is_some_and(|(_, made)| good == Some(&made.commit));
                    let blobs = self.digests(landed.evidence.as_ref(), &landed.outputs).await?;
                    told.proved.push(ReceiptEntry::Landing {
                        task: task.clone(),
                        target: landed.target.clone(),
                        before: landed.before.clone(),
                        commit: landed.commit.clone(),
                        verified,
                        blobs,
                    });
                }
                Event::PullRequestOpened { task, request, .. } => {
                    told.proved.push(ReceiptEntry::PullRequest {
                        task: task.clone(),
                        target: request.target.clone(),
                        commit: request.commit.clone(),
                        url: request.url.clone(),
                        number: request.number,
                        verified: told.good.get(task) == Some(&request.commit),
                    });
                }
                _ => {}
            }
        }
        Ok(told)
    }

    /// What is in evidence and what the checks printed.
    async fn digests(
        &self,
        evidence: Option<&BlobId>,
        outputs: &[BlobId],
    ) -> Result<Vec<BlobDigest>, ServiceError> {
        let named = evidence.map(|blob| ("evidence", blob));
        let mut digests = Vec::new();
        for (what, blob) in named.into_iter().chain(outputs.iter().map(|blob| ("output", blob))) {
            let bytes = self.blobs().get(blob).await?;
            digests.push(BlobDigest::new(what, blob.clone(), &bytes));
        }
        Ok(digests)
    }

    async fn proof(
        &self,
        task: &TaskName,
        attempt: AttemptNumber,
        evidence: &EvidenceRef,
    ) -> Result<ReceiptEntry, ServiceError> {
        let bytes = self.blobs().get(&evidence.blob).await?;
        let found: Evidence = serde_json::from_slice(&bytes)
            .map_err(|_| ServiceError::Blob(BlobError::Damaged(evidence.blob.clone())))?;
        let blobs = self.digests(Some(&evidence.blob), &evidence.outputs).await?;
        let checked = |check: &orchestrator_core::workspace::CheckRecord| Checked {
            name: check.name.clone(),
            outcome: check.outcome,
        };
        Ok(ReceiptEntry::Evidence {
            task: task.clone(),
            attempt,
            commit: found.commit,
            tree: found.tree,
            verdict: found.verdict,
            sandbox: found.sandbox,
            checks: found.checks.iter().map(checked).collect(),
            blobs,
        })
    }
}

/// The head of the chain over the events of a run.
pub(super) fn log_head(events: &[Recorded]) -> LogHead {
    LogHead::of(&log(events))
}

/// The events of a run as they are chained: as exported, but without what an import sets to what is so
/// there.
pub(super) fn log(events: &[Recorded]) -> Vec<Value> {
    let event = |recorded: &Recorded| {
        let mut event = json!({
            "seq": recorded.seq, "at": recorded.at, "event": recorded.event,
        });
        let of_the_place: &[&str] = match recorded.event {
            Event::RunCreated(_) => &["tenant", "project", "directory", "origin", "parent"],
            Event::SignalTaken { .. } => &["number"],
            _ => &[],
        };
        if let Some(fields) = event["event"].as_object_mut() {
            for name in of_the_place {
                fields.remove(*name);
            }
        }
        event
    };
    events.iter().map(event).collect()
}
