//! What people say to what they are asked.

use super::refuse_over;
use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{ControlView, Controlled},
};
use orchestrator_core::{
    event::{Ask, Reply, Verdict},
    id::{QuestionNumber, TaskName},
    port::{RunRow, Signal, TaskRow},
};

/// How far up the runs are followed that wait for another.
const DEPTH: usize = 64;

/// What a person says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Approve,
    /// No, and why.
    Reject(String),
    /// Something else, in words.
    Answer(String),
}

/// To which of the things that a task asks something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The only one.
    Only,
    /// The one of that number.
    Question(u32),
    /// Each.
    All,
}

/// What is said, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saying {
    /// What.
    pub answer: Answer,
    /// Whether a yes holds for the rest of the run.
    pub for_good: bool,
    /// In whose name.
    pub by: String,
}

/// What of that which a task asks is meant.
fn meant(
    run: &RunRow,
    row: &TaskRow,
    which: Which,
) -> Result<Vec<Option<QuestionNumber>>, ServiceError> {
    let asks: Vec<&Ask> = row.asks().collect();
    let task = || task_id(run, &row.name);
    let numbers = || asks.iter().filter_map(|ask| ask.question);
    match which {
        _ if asks.is_empty() => Err(nobody_asked(run, row)),
        Which::Only if asks.len() > 1 => {
            let asks = asks.iter().filter_map(|ask| Some((ask.question?.0, ask.message.clone())));
            Err(ServiceError::SeveralAsked { task: task(), asks: asks.collect() })
        }
        Which::Only | Which::All => Ok(asks.iter().map(|ask| ask.question).collect()),
        Which::Question(question) => match numbers().find(|open| open.0 == question) {
            Some(open) => Ok(vec![Some(open)]),
            None => {
                let open = numbers().map(|open| open.0).collect();
                Err(ServiceError::NotAsked { task: task(), question, open })
            }
        },
    }
}

impl Answer {
    fn action(&self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject(_) => "reject",
            Self::Answer(_) => "answer",
        }
    }
}

impl From<Answer> for Verdict {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Approve => Self::Approved,
            Answer::Reject(reason) => Self::Rejected(reason),
            Answer::Answer(text) => Self::Answered(text),
        }
    }
}

impl OrchestratorService {
    /// Says `answer` to what a task asks, in the name of `by`. The task is `RUN.TASK`, or a name:
    /// then the newest open run counts in which such a task waits for a person.
    ///
    /// # Errors
    /// An unknown task, one that waits for nobody, or an answer that does not fit.
    pub async fn reply(
        &self,
        task: &str,
        answer: Answer,
        by: &str,
    ) -> Result<ControlView, ServiceError> {
        self.reply_to(task, Which::Only, Saying { answer, for_good: false, by: by.to_owned() })
            .await
    }

    /// The same to one of several things that a task asks, or to all of them, and perhaps for the
    /// rest of the run.
    ///
    /// # Errors
    /// As for [`OrchestratorService::reply`]; several things are asked and none was named; or no
    /// rule says exactly what is to be allowed for good.
    pub async fn reply_to(
        &self,
        task: &str,
        which: Which,
        saying: Saying,
    ) -> Result<ControlView, ServiceError> {
        let (opened, run, row) = self.find_asking(task).await?;
        let meant = meant(&run, &row, which)?;
        let Saying { answer, for_good, by } = saying;
        if for_good {
            let known = opened.run_of_log(&run.id).await?;
            if let Some(place) = known.place(row.name.as_str()) {
                for question in &meant {
                    known.rules_for_good(place, *question).map_err(|reason| {
                        ServiceError::NotForGood { task: task_id(&run, &row.name), reason }
                    })?;
                }
            }
        }
        let mut view = ControlView::none(answer.action());
        for question in meant {
            let mut reply = Reply::new(answer.clone().into(), &by).to(question);
            reply.always = for_good;
            let signal = Signal::Reply { task: row.name.clone(), reply };
            let told = match self.ask(opened, &run, signal).await {
                // What one yes has allowed for good is not asked any more.
                Err(ServiceError::Refused { .. }) if for_good && !view.items.is_empty() => continue,
                told => told?,
            };
            let mut item = Controlled::of(&run.id, Some(&row.name), &told);
            item.question = question.map(|number| number.0);
            view.items.push(item);
            if !told.driven && !told.status.is_final() {
                view.resume = Some(self.root(opened, &run).await?.id.to_string());
            }
        }
        Ok(view)
    }

    async fn find_asking(&self, given: &str) -> Result<(&Opened, RunRow, TaskRow), ServiceError> {
        if given.contains('.') {
            let (opened, run, row) = self.find_task(given, None).await?;
            refuse_over(&run, "answer a task of")?;
            return Ok((opened, run, row));
        }
        let Some(opened) = self.store_if_any()? else { return Err(ServiceError::NoRuns) };
        let asks = |task: &TaskRow| task.ask.is_some();
        if let Some((run, row)) = self.newest_task(opened, given, asks).await? {
            return Ok((opened, run, row));
        }
        // Nobody is asked: said of the task that was most likely meant.
        let (_, run, row) = self.find_task(given, None).await?;
        Err(nobody_asked(&run, &row))
    }

    /// The run at the top of those that wait for `row` as for a child, as far up as they are open.
    pub(crate) async fn root(&self, opened: &Opened, row: &RunRow) -> Result<RunRow, ServiceError> {
        let mut top = row.clone();
        // Bounded, because ids that were forged into a circle would lead nowhere.
        for _ in 0..DEPTH {
            let Some(parent) = top.parent.clone() else { break };
            let parent = opened.catalog().run(&parent).await.map_err(|e| opened.failed(e))?;
            match parent {
                Some(parent) if !parent.status.is_final() => top = parent,
                _ => break,
            }
        }
        Ok(top)
    }
}

fn task_id(run: &RunRow, name: &TaskName) -> String {
    format!("{}.{name}", run.id)
}

fn nobody_asked(run: &RunRow, row: &TaskRow) -> ServiceError {
    ServiceError::NobodyAsked { task: task_id(run, &row.name), status: row.status.to_string() }
}
