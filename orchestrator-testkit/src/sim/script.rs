//! Agents whose prompt says what they do.

use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{ProviderName, RunId, TaskName},
    money::MicroUsd,
    permission::Action,
    port::{
        Agent, Answer, Artifact, Assignment, AttemptHost, Call, Clock, LogLine, LogStream, Permit,
        turn,
    },
    time::parse_duration,
    usage::{Spend, TokenCount, Usage},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// An agent that does what its prompt tells it, step after step, so that a workflow file alone
/// says how its agents behave. Steps are separated by `;`:
///
/// | step | does |
/// |---|---|
/// | `turns N` | `N` journalled turns |
/// | `slow D` | works for a duration such as `5s`; ends early when told to stop |
/// | `fail CLASS N` | the first `N` times, fails with an error class such as `transient` |
/// | `panic N` | the first `N` times, panics |
/// | `hang N` | the first `N` times, works on until told to stop |
/// | `deaf N` | the first `N` times, works on and does not hear that either |
/// | `wrong N` | the first `N` times, gives a number where an object is expected |
/// | `log N` | says `N` lines |
/// | `session` | names the session in which it works |
/// | `ask TEXT` | asks a person and waits for a minute |
/// | `permit TEXT` | asks whether it may run that, and waits for a minute |
/// | `listen N D` | takes `N` messages, for a duration at most |
/// | `file BYTES` | leaves a file |
/// | `write FILE TEXT` | in a simulation, writes into a file of its workspace, last of all; text that says `bad` fails its checks until the task was sent back |
/// | `write FILE dull` | the same, with what a judge does not accept until the task was sent back |
/// | `write FILE doubtful` | the same, with what its judge fails at the first time that it is asked |
/// | `add NAME NAME` | adds tasks of those names to the run |
/// | `list N` | answers `{"items": [0, 1, ..]}` |
/// | `approve-at N` | answers `{"approved": .., "feedback": ..}`, true once what it needs says `revN` |
/// | `large BYTES` | answers a text of that size |
/// | `say TEXT` | answers the rest of the prompt, with the item that it is for, and `revN` after `N` revisions |
///
/// What it has done so often is counted for a task of a run and outlives crashes, as the world does.
pub struct Scripted {
    clock: Arc<dyn Clock>,
    memory: Mutex<BTreeMap<(RunId, TaskName, &'static str), u32>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripted").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl Scripted {
    /// Agents that work in the time of `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, memory: Mutex::default() }
    }

    /// Whether this is one of the first `times` that the task comes to `step`.
    fn first(&self, work: &Assignment, step: &'static str, times: u32) -> bool {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let done = memory.entry((work.run.clone(), work.task.clone(), step)).or_default();
        let first = *done < times;
        *done += u32::from(first);
        first
    }

    /// Judges a change: see `write`. Whatever its task does is nothing to a judge.
    async fn judge(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        let change = work.prompt().split_once("<change>").map_or("", |(_, change)| change);
        self.work(Duration::from_millis(300), host).await?;
        // Of its turns none is recorded.
        let call = Call::new("model", "simulated", "judge");
        let asked = turn(host, &call, async |_| Ok((json!("read"), spent())));
        asked.await?;
        if change.contains("doubtful") && self.first(work, "judge", 1) {
            let message = "it could not tell";
            return Err(Failure::new(ErrorClass::Transient, message).spent(spent()));
        }
        let accepted = !change.contains("dull") || change.contains("mended");
        let judged = json!({ "accepted": accepted, "reason": "say more" });
        Ok(Answer::json(judged).spent(spent()))
    }

    async fn work(&self, pause: Duration, host: &dyn AttemptHost) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = host.cancelled() => Err(stopped()),
            () = self.clock.until(self.clock.now().after(pause)) => Ok(()),
        }
    }
}

fn stopped() -> Failure {
    Failure::new(ErrorClass::Cancelled, "it was told to stop")
}

/// Whether an agent is asked to judge the work of another, as the engine asks it.
pub(super) fn is_judge(work: &Assignment) -> bool {
    let asked =
        work.output_schema.as_ref().and_then(|schema| schema.pointer("/properties/accepted"));
    asked.is_some()
}

fn number(text: &str) -> u32 {
    text.trim().parse().unwrap_or(1)
}

/// What one call costs: a hundred tokens for a tenth of a cent.
pub(super) fn spent() -> Vec<Spend> {
    let usage = Usage { input: TokenCount(100), output: TokenCount(10), ..Usage::default() };
    let cost = Some(MicroUsd(1_000));
    ProviderName::new("simulated")
        .map(|provider| {
            vec![Spend { provider, model: "scripted".into(), requests: 1, usage, cost }]
        })
        .unwrap_or_default()
}

#[async_trait]
impl Agent for Scripted {
    async fn perform(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        if is_judge(work) {
            return self.judge(work, host).await;
        }
        let mut answer = Answer::text("done").spent(spent());
        let mut said = String::new();
        let prompt = work.prompt();
        let mut rest = prompt;
        while !rest.trim().is_empty() {
            let (step, more) = rest.split_once(';').unwrap_or((rest, ""));
            let (verb, given) = step.trim().split_once(' ').unwrap_or((step.trim(), ""));
            // A text to say may itself hold a separator: it goes to the end.
            let given = if verb == "say" { rest.trim()["say".len()..].trim() } else { given };
            rest = if verb == "say" { "" } else { more };
            match verb {
                "turns" => {
                    for place in 1..=number(given) {
                        let sent = format!("{prompt}#{place}#{}", work.feedback.len());
                        let call = Call::new("tool", "simulated", sent);
                        let made = turn(host, &call, async |turn| {
                            self.clock
                                .until(self.clock.now().after(Duration::from_millis(5)))
                                .await;
                            Ok((json!({ "turn": turn, "place": place }), spent()))
                        });
                        said.push_str(&made.await?.to_string());
                    }
                }
                "slow" => {
                    let pause = parse_duration(given).unwrap_or(Duration::from_secs(1));
                    self.work(pause, host).await?;
                }
                "fail" => {
                    let (class, times) = given.split_once(' ').unwrap_or((given, "1"));
                    let class = ErrorClass::from_name(class).unwrap_or(ErrorClass::Transient);
                    if self.first(work, class.as_str(), number(times)) {
                        let failure =
                            Failure::new(class, "it failed as it was told").spent(spent());
                        let resets = [ErrorClass::RateLimited, ErrorClass::QuotaExhausted];
                        return Err(if resets.contains(&class) {
                            failure.retry_at(host.now().after(Duration::from_secs(20)))
                        } else {
                            failure
                        });
                    }
                }
                "panic" if self.first(work, "panic", number(given)) => {
                    // Unwinds as a panic does, without the message that a hook would print.
                    std::panic::resume_unwind(Box::new("it panicked as it was told"));
                }
                "hang" if self.first(work, "hang", number(given)) => {
                    host.cancelled().await;
                    return Err(stopped());
                }
                "deaf" if self.first(work, "deaf", number(given)) => {
                    std::future::pending::<()>().await;
                }
                "wrong" if self.first(work, "wrong", number(given)) => {
                    return Ok(Answer::json(json!(42)).spent(spent()));
                }
                "log" => {
                    for place in 0..number(given) {
                        let text = format!("line {place} of {}", work.task);
                        host.log(LogLine { stream: LogStream::Note, text });
                    }
                }
                "session" => host.session(&format!("session-of-{}", work.task)).await?,
                "ask" => {
                    let reply = host.ask(given, Some(Duration::from_secs(60))).await;
                    match reply {
                        Ok(reply) => said.push_str(&reply),
                        Err(failure) if failure.class == ErrorClass::TimedOut => {
                            said.push_str("(nobody answered)");
                        }
                        Err(failure) => return Err(failure),
                    }
                }
                "permit" => {
                    // No two steps want the same.
                    let action = Action::run("Shell", format!("{given} {}", rest.len()));
                    match host.permit(&action, Some(Duration::from_secs(60))).await? {
                        Permit::Allowed => said.push_str("(allowed)"),
                        Permit::Denied { why } => said.push_str(&format!("({why})")),
                    }
                }
                "listen" => {
                    let (count, pause) = given.split_once(' ').unwrap_or((given, "1s"));
                    let pause = parse_duration(pause).unwrap_or(Duration::from_secs(1));
                    let until = self.clock.now().after(pause);
                    for _ in 0..number(count) {
                        let steer = tokio::select! {
                            biased;
                            () = host.cancelled() => return Err(stopped()),
                            steer = host.steered() => steer,
                            () = self.clock.until(until) => break,
                        };
                        host.delivered(steer.number()).await?;
                        said.push_str(&format!("({})", steer.number()));
                    }
                }
                "file" => {
                    let bytes = vec![b'x'; number(given) as usize];
                    let (name, media_type) = ("note.txt".to_owned(), "text/plain".to_owned());
                    answer.artifacts.push(Artifact { name, media_type, bytes });
                }
                "add" => {
                    let added: serde_json::Map<String, Value> = given
                        .split_whitespace()
                        .map(|name| {
                            let task =
                                json!({ "agent": "worker", "prompt": format!("say added {name}") });
                            (name.to_owned(), task)
                        })
                        .collect();
                    answer.tasks = Some(Value::Object(added));
                }
                "list" => {
                    let items: Vec<u32> = (0..number(given)).collect();
                    answer.output = json!({ "items": items });
                }
                "approve-at" => {
                    let wanted = format!("rev{}", number(given));
                    let mut needs = work.needs.values();
                    let approved = needs.any(|need| need.output.to_string().contains(&wanted));
                    answer.output = json!({ "approved": approved, "feedback": "do more of it" });
                }
                "large" => {
                    let text: String =
                        "0123456789".chars().cycle().take(number(given) as usize).collect();
                    answer.output = Value::String(text);
                }
                "say" => {
                    let item = work.item.as_ref().map(|item| format!(" {}", item.value));
                    said.push_str(given);
                    said.push_str(&item.unwrap_or_default());
                    if !work.feedback.is_empty() {
                        said.push_str(&format!(" rev{}", work.feedback.len()));
                    }
                }
                _ => {}
            }
        }
        if !said.is_empty() && answer.output == "done" {
            answer.output = Value::String(said);
        }
        Ok(answer)
    }

    fn steerable(&self) -> bool {
        true
    }
}
