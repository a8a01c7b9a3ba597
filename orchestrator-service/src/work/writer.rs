//! Messages of commits that an agent writes: a run of the template `commit-message`, metered and bounded
//! by the budgets like any other.

use crate::{
    ExecuteRequest, Execution, OrchestratorService, ServiceError, What, views::ResultView,
    views::WrittenView,
};
use orchestrator_core::{
    id::RunId,
    workspace::{Change, ChangedFile},
};
use orchestrator_workspace::tools::written;
use serde_json::Value;
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep_until};

/// The template, which a project or a user may have in a form of their own.
const TEMPLATE: &str = "commit-message";
/// Its role that a named agent takes.
const ROLE: &str = "dev";
/// Its task whose output is the message.
const TASK: &str = "message";
/// The longest difference that is shown to the agent, in bytes.
pub(super) const MOST_DIFF: u64 = 48 * 1024;
/// How many files are named.
const NAMED: usize = 200;
/// How long a message is waited for, in all.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How long nothing happens before it is looked whether nobody but people is waited for.
const QUIET: Duration = Duration::from_millis(150);

/// Who writes the message of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// The best agent with the role that the template `commit-message` names: `dev`.
    ByRole,
    /// The agent of that name.
    Named(String),
}

/// What came of asking for a message.
#[derive(Debug)]
pub(super) enum Wrote {
    /// The agent has answered, or could not.
    Answered {
        /// The message, when there is one that is fit.
        message: Option<String>,
        /// Who was asked, what that cost, and why there is no message.
        told: WrittenView,
    },
    /// It was called off.
    CalledOff,
}

impl OrchestratorService {
    /// Whether there is anybody who could be asked; nothing is started, spent or written.
    ///
    /// # Errors
    /// There is no such agent, or the template is invalid.
    pub(super) async fn judge_writer(&self, writer: &Writer) -> Result<(), ServiceError> {
        self.quote(&request(writer, String::new(), String::new())).await.map(drop)
    }

    /// Asks for the message of a commit that changes `files` as `diff` shows. Whatever the agent does
    /// not do well is told and is no error.
    ///
    /// # Errors
    /// Nobody can be asked: there is no such agent, or no run could begin.
    pub(super) async fn ask_for_message(
        &self,
        writer: &Writer,
        files: &[ChangedFile],
        diff: String,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Wrote, ServiceError> {
        let quote = self.quote(&request(writer, list(files), diff)).await?;
        let execution = self.start(quote).await?;
        let run = execution.run().clone();
        let (result, cut_short) = match follow(execution, stop).await? {
            Some(followed) => followed,
            None => return Ok(Wrote::CalledOff),
        };
        let (message, refused) = match cut_short {
            Some(why) => (None, Some(why)),
            None => match self.answer(&run, &result).await? {
                Ok(message) => (Some(message), None),
                Err(why) => (None, Some(why)),
            },
        };
        let task = result.items.iter().find(|task| task.name == TASK);
        let told = WrittenView {
            agent: task.and_then(|task| task.agent.clone()),
            run: run.to_string(),
            cost_usd: result.spent.cost_usd,
            unpriced_requests: result.spent.unpriced_requests,
            refused,
        };
        Ok(Wrote::Answered { message, told })
    }

    /// The message that a run gave, or why it gave none.
    async fn answer(
        &self,
        run: &RunId,
        result: &ResultView,
    ) -> Result<Result<String, String>, ServiceError> {
        if result.status != "succeeded" {
            let why = result.failure.as_ref().map(|failure| {
                format!(": {}", failure.message.split_whitespace().collect::<Vec<_>>().join(" "))
            });
            return Ok(Err(format!("the run is {}{}", result.status, why.unwrap_or_default())));
        }
        let tasks = self.store()?.all_tasks(run).await?;
        let Some(task) = tasks.iter().find(|task| task.name.as_str() == TASK) else {
            return Ok(Err(format!("the workflow `{TEMPLATE}` has no task `{TASK}`")));
        };
        Ok(match self.store()?.output(task).await? {
            Value::String(text) => written(&text),
            Value::Object(fields) => match fields.get("message").and_then(Value::as_str) {
                Some(text) => written(text),
                None => Err("its answer is an object without a text `message`".into()),
            },
            _ => Err("its answer is no text".into()),
        })
    }
}

fn request(writer: &Writer, files: String, diff: String) -> ExecuteRequest {
    ExecuteRequest {
        what: What::Template(TEMPLATE.to_owned()),
        inputs: vec![("files".into(), files), ("diff".into(), diff)],
        agents: match writer {
            Writer::ByRole => Vec::new(),
            Writer::Named(name) => vec![(ROLE.to_owned(), name.clone())],
        },
        ..ExecuteRequest::default()
    }
}

/// Sees the run to its end, which is brought about when only people are waited for or it takes too long;
/// then that is told. `None` when it was called off.
async fn follow(
    mut execution: Execution,
    stop: impl Future<Output = ()> + Send,
) -> Result<Option<(ResultView, Option<String>)>, ServiceError> {
    let control = execution.control();
    let late = Instant::now() + PATIENCE;
    let (mut cut_short, mut called_off) = (None, false);
    let mut look = Some(Instant::now() + QUIET);
    tokio::pin!(stop);
    loop {
        let ends = called_off || cut_short.is_some();
        tokio::select! {
            biased;
            () = &mut stop, if !called_off => {
                called_off = true;
                control.cancel("nobody waits for the message any more");
            }
            happening = execution.next() => match happening {
                Some(_) => look = Some(Instant::now() + QUIET),
                None => break,
            },
            () = sleep_until(look.unwrap_or(late)), if look.is_some() && !ends => {
                look = None;
                if let Some(asked) = execution.asked().await?.into_iter().next() {
                    cut_short = Some(format!("a person would have to answer: {}", asked.ask.message));
                    control.cancel("nobody is there to answer");
                }
            }
            () = sleep_until(late), if !ends => {
                cut_short = Some(format!("there was no answer for {} minutes", PATIENCE.as_secs() / 60));
                control.cancel("it took too long");
            }
        }
    }
    let result = execution.wait().await?;
    Ok((!called_off).then_some((result, cut_short)))
}

/// The files, one a line.
fn list(files: &[ChangedFile]) -> String {
    let line = |file: &ChangedFile| {
        let how = match file.change {
            Change::Added => "added",
            Change::Modified | Change::TypeChanged => "modified",
            Change::Deleted => "deleted",
            Change::Renamed => "renamed",
        };
        let from = file.from.as_ref().map_or(String::new(), |from| format!(" (was {from})"));
        format!("{how} {}{from}\n", file.path)
    };
    let mut text: String = files.iter().take(NAMED).map(line).collect();
    if files.len() > NAMED {
        text.push_str(&format!("and {} more\n", files.len() - NAMED));
    }
    text
}
