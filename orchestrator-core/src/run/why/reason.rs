//! The reasons, and how they are told.

use crate::{
    effect::Question,
    error::ErrorClass,
    event::{AskKind, SkipReason},
    id::{AgentName, AttemptNumber, CommitId, QuestionNumber, RunId, TaskName},
    permission::Action,
    schedule::HeldUp,
    time::{Timestamp, format_duration},
    workspace::PullRequestRef,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What keeps a task where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// It waits for tasks that it needs.
    Needs {
        /// Some of those that have not ended.
        tasks: Vec<TaskName>,
        /// How many have not.
        count: u32,
    },
    /// An expression of it is being evaluated over values outside the log.
    Evaluating {
        /// What is asked.
        question: Question,
    },
    /// It could start, and something keeps it from doing so.
    HeldUp {
        /// What.
        held_up: HeldUp,
    },
    /// It could start, and will as soon as the run's driver gets to it.
    Turn {},
    /// Its delay has not passed.
    Delay {
        /// Until then.
        until: Timestamp,
    },
    /// An attempt failed, and the next is due later.
    Retry {
        /// When.
        until: Timestamp,
        /// How many attempts there were.
        attempts: u32,
        /// What the last failed of.
        class: ErrorClass,
        /// In words.
        message: String,
    },
    /// A rate limit or a quota is used up.
    Reset {
        /// When the next attempt is made.
        until: Timestamp,
        /// Which of the two.
        class: ErrorClass,
        /// In words.
        message: String,
    },
    /// A person is asked.
    Person {
        /// Why.
        ask: AskKind,
        /// What, in words.
        message: String,
        /// Since when.
        since: Option<Timestamp>,
        /// When it is too late to answer.
        expires: Option<Timestamp>,
        /// The numbers of all that its attempt asks, the longest first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        questions: Vec<QuestionNumber>,
        /// What the agent wants to do, for a permission.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<Box<Action>>,
    },
    /// The budget is used up, and a person is asked.
    Budget {
        /// What, in words.
        message: String,
        /// Since when.
        since: Option<Timestamp>,
        /// When it goes on by itself, if the budget is renewed.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Not all of its items have ended.
    Items {
        /// How many have.
        ended: u32,
        /// How many there are.
        total: u32,
        /// Why the others have not, the most frequent reason first.
        open: Vec<OpenItems>,
    },
    /// A child run does it.
    Child {
        /// The child.
        run: RunId,
        /// Since when.
        since: Timestamp,
    },
    /// An agent works on it.
    Attempt {
        /// Which try.
        attempt: AttemptNumber,
        /// Who.
        agent: AgentName,
        /// Since when.
        since: Timestamp,
        /// The agent's own name for its session.
        session: Option<String>,
        /// How many turns are recorded.
        turns: u32,
    },
    /// Its agent is done, and its checks run on what it has made.
    Checking {
        /// The commit.
        commit: CommitId,
        /// Since when.
        since: Timestamp,
    },
    /// Its work is done, and waits to land or is being landed.
    Landing {
        /// The commit.
        commit: CommitId,
        /// Since when.
        since: Timestamp,
    },
    /// Its attempt was told to stop.
    Stopping {
        /// Why.
        message: String,
    },
    /// The run is paused.
    Paused {},
    /// What the run did is being undone; nothing else is begun.
    Compensating {
        /// The task whose failure is compensated.
        failed: TaskName,
    },
    /// The run is being cancelled.
    Cancelling {
        /// Who or why.
        reason: String,
    },
    /// Nobody drives the run. Told by those who know about leases.
    Undriven {},
    /// It succeeded.
    Succeeded {
        /// After how many attempts.
        attempts: u32,
        /// Who did it.
        agent: Option<AgentName>,
        /// The run that did it, when it was carried over.
        carried: Option<RunId>,
        /// Whether the result was taken from the cache.
        cached: bool,
        /// The person who decided it.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The pull request that was opened for its work. What came of it is in the queue of its
        /// branch.
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<PullRequestRef>,
    },
    /// It failed.
    Failed {
        /// The class of the last failure.
        class: ErrorClass,
        /// In words.
        message: String,
        /// How many attempts there were.
        attempts: u32,
        /// Of what they failed, since the last revision.
        causes: Vec<Cause>,
        /// Why it was not tried again.
        rule: Rule,
    },
    /// It did not run.
    Skipped {
        /// Why not.
        reason: SkipReason,
        /// Its condition, when that was false.
        when: Option<String>,
    },
    /// It was stopped.
    Cancelled {
        /// Who or why, when that is known.
        reason: Option<String>,
    },
    /// It succeeded, and was undone because another task failed.
    Undone {
        /// That task.
        failed: Option<TaskName>,
    },
}

/// Open items of a `for-each` task that wait for the same kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OpenItems {
    /// The kind of their reason, as in [`Reason::kind`].
    pub reason: String,
    /// How many.
    pub count: u32,
    /// The first of them.
    pub example: TaskName,
}

/// How often attempts failed of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cause {
    /// The class.
    pub class: ErrorClass,
    /// How often.
    pub count: u32,
}

/// Why a task that failed was not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// Failures of its class are final.
    Class {},
    /// `max-attempts` was reached.
    MaxAttempts {
        /// How many that is, with each agent.
        most: u32,
        /// With how many agents it could be tried.
        agents: u32,
    },
    /// The bound of failed attempts of any kind was reached.
    Total {
        /// How many that is.
        most: u32,
    },
    /// The bound of waits for limits and quotas was reached.
    Parks {
        /// How many that is.
        most: u32,
    },
    /// An output was repaired as often as it may be.
    Repairs {
        /// How often that is, with each agent.
        most: u32,
    },
    /// A program that fails is run again only where `retry` is declared.
    Undeclared {},
    /// `retry: never-repeat` does not allow another.
    NeverRepeat {},
    /// `task-timeout` was over.
    TaskTimeout {},
    /// What it judged was not accepted after the last revision.
    Revisions {
        /// How many revisions there were.
        most: u32,
    },
    /// Not all of its items succeeded.
    Items {},
    /// Its child run did not succeed.
    Child {},
    /// A person said no, or nobody answered in time.
    Person {},
    /// It could not even begin: one of its expressions or texts cannot be used.
    Expression {},
    /// The run was ending already.
    Ending {},
}

impl Rule {
    /// In words.
    pub fn told(&self) -> String {
        match self {
            Self::Class {} => "a failure of this class is not tried again".into(),
            Self::MaxAttempts { most, agents: 0 | 1 } => {
                format!("`retry.max-attempts` allows {most}")
            }
            Self::MaxAttempts { most, agents } => {
                format!("`retry.max-attempts` allows {most} with each of {agents} agents")
            }
            Self::Total { most } => format!("no task is tried more than {most} times in all"),
            Self::Parks { most } => {
                format!("limits and quotas are waited for at most {most} times")
            }
            Self::Repairs { most } => format!("an output is repaired at most {most} times"),
            Self::Undeclared {} => {
                "a program that fails is run again only where `retry` is declared".into()
            }
            Self::NeverRepeat {} => "`retry: never-repeat` allows no other attempt".into(),
            Self::TaskTimeout {} => "`task-timeout` was over".into(),
            Self::Revisions { most } => format!("`revise.max` allows {most} revisions"),
            Self::Items {} => "not all of its items succeeded".into(),
            Self::Child {} => "its child run did not succeed".into(),
            Self::Person {} => "nobody approved it".into(),
            Self::Expression {} => "it could not begin".into(),
            Self::Ending {} => "the run was ending already".into(),
        }
    }
}

/// As much of a commit's id as people need.
fn short(commit: &CommitId) -> &str {
    commit.as_str().get(..10).unwrap_or(commit.as_str())
}

impl Reason {
    /// The stable name of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Needs { .. } => "needs",
            Self::Evaluating { .. } => "evaluating",
            Self::HeldUp { .. } => "held-up",
            Self::Turn {} => "turn",
            Self::Delay { .. } => "delay",
            Self::Retry { .. } => "retry",
            Self::Reset { .. } => "reset",
            Self::Person { .. } => "person",
            Self::Budget { .. } => "budget",
            Self::Items { .. } => "items",
            Self::Child { .. } => "child",
            Self::Attempt { .. } => "attempt",
            Self::Checking { .. } => "checking",
            Self::Landing { .. } => "landing",
            Self::Stopping { .. } => "stopping",
            Self::Paused {} => "paused",
            Self::Compensating { .. } => "compensating",
            Self::Cancelling { .. } => "cancelling",
            Self::Undriven {} => "undriven",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Cancelled { .. } => "cancelled",
            Self::Undone { .. } => "undone",
        }
    }

    /// In words, at `now`: a fragment about the task, such as ``it waits for `build` ``.
    pub fn told(&self, now: Timestamp) -> String {
        match self {
            Self::Needs { tasks, count } => {
                let mut named: Vec<String> = tasks.iter().map(|task| format!("`{task}`")).collect();
                match (*count as usize).saturating_sub(named.len()) {
                    0 => {}
                    more => named.push(format!("{more} more")),
                }
                format!("it waits for {}", listed(&named))
            }
            Self::Evaluating { question } => {
                let what = match question {
                    Question::When => "its `when`",
                    Question::Items => "its `for-each`",
                    Question::Message => "its message",
                    Question::Unless => "the `unless` of its `revise`",
                };
                format!("{what} is being evaluated")
            }
            Self::HeldUp { held_up: held_up @ HeldUp::Breaker { until, .. } } => {
                format!(
                    "it could start, but {held_up}; one attempt is let through {}",
                    at(*until, now)
                )
            }
            Self::HeldUp { held_up } => format!("it could start, but {held_up}"),
            Self::Turn {} => {
                "it could start, and will when the driver of the run gets to it".into()
            }
            Self::Delay { until } => format!("its delay ends {}", at(*until, now)),
            Self::Retry { until, attempts, class, message } => format!(
                "attempt {attempts} failed ({class}: {message}), and the next is due {}",
                at(*until, now)
            ),
            Self::Reset { until, class, message } => {
                format!("{class} ({message}); it goes on {}", at(*until, now))
            }
            Self::Person { ask, message, since, expires, questions, .. } => {
                let kind = match ask {
                    AskKind::Approval => "it waits for an approval",
                    AskKind::Question => "its agent asks a question",
                    AskKind::Permission => "its agent asks for permission",
                    AskKind::Failure => "a person must mend what it failed of",
                    AskKind::Outcome => "a person must say whether it has happened",
                };
                let since = since.map(|at| format!(", asked {} ago", ago(at, now)));
                let expires = expires.map(|until| format!(", open until {}", moment(until, now)));
                let [since, expires] = [since, expires].map(Option::unwrap_or_default);
                let more = match questions.len() {
                    0 | 1 => String::new(),
                    several => format!(" (and {} more)", several - 1),
                };
                format!("{kind}{since}{expires}: {message}{more}")
            }
            Self::Budget { message, until: Some(until), .. } => {
                format!("it waits for the budget until {}: {message}", moment(*until, now))
            }
            Self::Budget { message, since, until: None } => {
                let since = since.map(|at| format!(", asked {} ago", ago(at, now)));
                format!("the budget is used up{}: {message}", since.unwrap_or_default())
            }
            Self::Items { ended, total, open } => {
                let open: Vec<String> = open
                    .iter()
                    .map(|items| format!("{} {}", items.count, items.reason.replace('-', " ")))
                    .collect();
                let open =
                    if open.is_empty() { String::new() } else { format!("; {}", open.join(", ")) };
                format!("{ended} of its {total} items have ended{open}")
            }
            Self::Child { run, since } => {
                format!("the child run `{run}` does it, since {}", ago(*since, now))
            }
            Self::Attempt { attempt, agent, since, turns, .. } => {
                let turns = match turns {
                    0 => String::new(),
                    1 => ", 1 turn so far".into(),
                    n => format!(", {n} turns so far"),
                };
                format!(
                    "`{agent}` works on it, attempt {attempt}, since {}{turns}",
                    ago(*since, now)
                )
            }
            Self::Checking { commit, since } => {
                format!("its checks run on commit {}, since {}", short(commit), ago(*since, now))
            }
            Self::Landing { commit, since } => format!(
                "its work is done, and commit {} waits to land, since {}",
                short(commit),
                ago(*since, now)
            ),
            Self::Stopping { message } => format!("its attempt was told to stop: {message}"),
            Self::Paused {} => "the run is paused".into(),
            Self::Compensating { failed } => {
                format!("`{failed}` failed, and what the run did is being undone")
            }
            Self::Cancelling { reason } => format!("the run is being cancelled: {reason}"),
            Self::Undriven {} => "nobody drives the run".into(),
            Self::Succeeded { carried: Some(run), .. } => {
                format!("it was done in run `{run}`, and its result holds here")
            }
            Self::Succeeded { cached: true, .. } => "its result was taken from the cache".into(),
            Self::Succeeded { by: Some(by), .. } => format!("{by} said so"),
            Self::Succeeded { attempts, agent, request, .. } => {
                let did = match (agent, attempts) {
                    (_, 0) | (None, _) => "all of its items ended well enough".into(),
                    (Some(agent), 1) => format!("`{agent}` did it at the first attempt"),
                    (Some(agent), n) => format!("`{agent}` did it at attempt {n}"),
                };
                match request {
                    None => did,
                    Some(request) => format!(
                        "{did}; a pull request for `{}` was opened: {}",
                        request.target, request.url
                    ),
                }
            }
            Self::Failed { class, message, attempts, causes, rule } => {
                let of = match (&causes[..], attempts) {
                    ([], _) | ([_], 0 | 1) => String::new(),
                    (causes, n) => {
                        let each = |cause: &Cause| format!("{} {}", cause.count, cause.class);
                        let each: Vec<String> = causes.iter().map(each).collect();
                        format!("after {n} attempts ({}), ", each.join(", "))
                    }
                };
                match rule {
                    // The message says so already.
                    Rule::Items {} | Rule::Child {} => format!("{of}{class}: {message}"),
                    rule => format!("{of}{class}: {message}; {}", rule.told()),
                }
            }
            Self::Skipped { reason, when } => match reason {
                SkipReason::Needs { task } => {
                    format!("`{task}`, which it needs, did not succeed")
                }
                SkipReason::When => match when {
                    Some(when) => format!("its `when` is false: {when}"),
                    None => "its `when` is false".into(),
                },
                SkipReason::Compensating => "the run undid what it had done".into(),
                SkipReason::TimedOut => "the run took too long".into(),
            },
            Self::Cancelled { reason: Some(reason) } => format!("it was stopped: {reason}"),
            Self::Cancelled { reason: None } => "it was stopped".into(),
            Self::Undone { failed: Some(task) } => {
                format!("what it did was undone because `{task}` failed")
            }
            Self::Undone { failed: None } => "what it did was undone".into(),
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".into(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

/// `at 2026-01-31T09:30:00.000Z (in 5m)`.
fn at(until: Timestamp, now: Timestamp) -> String {
    format!("at {}", moment(until, now))
}

fn moment(until: Timestamp, now: Timestamp) -> String {
    match until.since(now) {
        Duration::ZERO => format!("{until} (now)"),
        left => format!("{until} (in {})", rounded(left)),
    }
}

fn ago(since: Timestamp, now: Timestamp) -> String {
    rounded(now.since(since))
}

/// A duration for people: to the second, and to the minute from an hour on.
fn rounded(duration: Duration) -> String {
    let seconds = match duration.as_secs() {
        long @ 3_600.. => long / 60 * 60,
        short => short,
    };
    format_duration(Duration::from_secs(seconds))
}
