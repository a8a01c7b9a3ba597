//! Why tasks stand where they stand: the run's own account, and what only the store knows about it:
//! who drives it, what holds its tasks up there, what its child runs do.

mod actions;
mod told;

use super::Driver;
use crate::{
    OrchestratorService, ServiceError,
    clock::now,
    service::{LATEST, Opened},
    views::{Said, TaskWhy, WhyLink, WhyView},
};
use orchestrator_core::{
    event::{Event, Recorded},
    id::{RunId, Sequence, TaskId, TaskName},
    port::{Page, RunRow, StoreError, TaskFilter},
    run::{Link, Reason, Rule, Run, Why},
    task::TaskStatus,
    time::Timestamp,
    workflow::did_you_mean,
};
use told::{document, needs_a_driver};

/// How many tasks are told about when a run is asked about.
const TASKS: usize = 20;
/// How far down child runs are followed.
const GENERATIONS: usize = 8;
/// The most stored tasks that are looked through for what holds them up.
const HELD_UP: usize = 1_000;
/// The most characters of what an attempt said.
const SAID: usize = 400;

/// A run as its log has it.
struct Told {
    row: RunRow,
    run: Run,
    events: Vec<Recorded>,
}

impl OrchestratorService {
    /// Why a task stands where it stands: `RUN.TASK`, or the name of one in the latest run. Given a
    /// run, why its open tasks do, or else those that did not succeed.
    ///
    /// Reads the log of that run, and of the child runs that the answer leads to.
    ///
    /// # Errors
    /// An unknown run or task, an unusable store.
    pub async fn why(&self, of: &str) -> Result<WhyView, ServiceError> {
        let (opened, told, task) = self.asked_about(of).await?;
        let now = now();
        let (mut driver, mut lease_expires, mut undriven) = (None, None, false);
        if !told.row.status.is_final() {
            match self.driver(opened, &told.row).await? {
                Driver::Alive(lease) => {
                    driver = Some(lease.owner.to_string());
                    lease_expires = Some(lease.expires.to_string());
                }
                Driver::Nobody(_) => undriven = true,
            }
        }
        let (names, left_out) = match &task {
            Some(task) => (vec![task.clone()], 0),
            None => telling(&told.run, now),
        };
        let status = self.standing(opened, &told.row).await?.status;
        let mut view = WhyView {
            schema: "orchestrator.why/v1",
            run: told.row.id.to_string(),
            workflow: told.row.workflow.to_string(),
            status: status.to_owned(),
            task: task.map(|task| TaskId::of(&told.row.id, &task).to_string()),
            driver,
            lease_expires,
            items: Vec::new(),
            left_out,
            actions: Vec::new(),
        };
        for name in names {
            let Some(why) = told.run.why(name.as_str(), now) else { continue };
            let (root, reason) = why.root();
            let (mut at, mut reason) = (TaskId::of(&told.row.id, root), reason.clone());
            let mut item = item(&told, &why, now);
            for (run, link) in self.descend(opened, &told, &why, now).await? {
                at = TaskId::of(&run, &link.task);
                item.chain.push(link_view(&run, &link, now));
                reason = link.because;
            }
            if undriven && needs_a_driver(&reason) {
                let because = Reason::Undriven {};
                let (task, status) = (root.clone(), why.status);
                let link = Link { task, status, because };
                item.chain.push(link_view(&told.row.id, &link, now));
                reason = link.because;
            }
            let standing = actions::Standing { run: &told.row, undriven, at: &at };
            for action in actions::after(&reason, &standing) {
                if !view.actions.contains(&action) {
                    view.actions.push(action);
                }
            }
            view.items.push(item);
        }
        Ok(view)
    }

    /// The run that `of` means and, unless it means all of it, the task.
    async fn asked_about(
        &self,
        of: &str,
    ) -> Result<(&Opened, Told, Option<TaskName>), ServiceError> {
        if let Some((run, name)) = of.rsplit_once('.') {
            let (opened, row) = self.find_run(run).await?;
            let told = opened.told(row).await?;
            let task = told.task(name).ok_or_else(|| told.no_task(name))?;
            return Ok((opened, told, Some(task)));
        }
        // A name is first of all that of a task; what looks like the id of a run need not be tried.
        let is_run = of == LATEST || of.starts_with("r_");
        if !is_run && let Ok((opened, row)) = self.find_run(LATEST).await {
            let told = opened.told(row).await?;
            if let Some(task) = told.task(of) {
                return Ok((opened, told, Some(task)));
            }
            return match self.find_run(of).await {
                Ok((opened, row)) => Ok((opened, opened.told(row).await?, None)),
                // It was meant to be the name of a task, most likely.
                Err(ServiceError::NoSuchRun(_)) => Err(told.no_task(of)),
                Err(error) => Err(error),
            };
        }
        let (opened, row) = self.find_run(of).await?;
        Ok((opened, opened.told(row).await?, None))
    }

    /// What goes on in the child runs that the answer leads to, down to the last.
    async fn descend(
        &self,
        opened: &Opened,
        told: &Told,
        why: &Why,
        now: Timestamp,
    ) -> Result<Vec<(RunId, Link)>, ServiceError> {
        let mut found = Vec::new();
        let (root, reason) = why.root();
        let mut child = opened.child(&told.row.id, root, reason).await?;
        while let Some(id) = child.take().filter(|_| found.len() < GENERATIONS * 16) {
            let row = opened.catalog().run(&id).await.map_err(|e| opened.failed(e))?;
            // It may not have been created yet.
            let Some(row) = row else { break };
            let told = opened.told(row).await?;
            let Some(why) = told.run.most_telling(now).and_then(|t| told.run.why(t.as_str(), now))
            else {
                break;
            };
            let first =
                Link { task: why.task.clone(), status: why.status, because: why.because.clone() };
            let (root, reason) = why.root();
            let next = opened.child(&id, root, reason).await?;
            found.push((id.clone(), first));
            found.extend(why.chain.into_iter().map(|link| (id.clone(), link)));
            child = next;
        }
        Ok(found)
    }
}

impl Opened {
    /// The run of `row` as its log has it, with what its rows say about limits.
    async fn told(&self, row: RunRow) -> Result<Told, ServiceError> {
        let events = self.events(&row.id, Sequence(0)).await?;
        let mut run = Run::replay(&events).map_err(|error| {
            let message = format!("cannot replay run `{}`: {error}", row.id);
            self.failed(StoreError::Damaged(message))
        })?;
        if !row.status.is_final() {
            let filter = TaskFilter {
                run: Some(row.id.clone()),
                status: vec![TaskStatus::Ready, TaskStatus::Waiting],
                ..TaskFilter::default()
            };
            let page = Page { limit: HELD_UP, cursor: None };
            let tasks = self.catalog().tasks(&filter, &page).await.map_err(|e| self.failed(e))?;
            let held = tasks.items.into_iter().filter_map(|task| Some((task.name, task.held_up?)));
            run.recall_held_up(held);
        }
        Ok(Told { row, run, events })
    }

    /// The child run behind `reason`.
    async fn child(
        &self,
        run: &RunId,
        task: &TaskName,
        reason: &Reason,
    ) -> Result<Option<RunId>, ServiceError> {
        match reason {
            Reason::Child { run, .. } => Ok(Some(run.clone())),
            Reason::Failed { rule: Rule::Child {}, .. } => {
                let attempts = self.catalog().attempts(run, Some(task)).await;
                let attempts = attempts.map_err(|e| self.failed(e))?;
                Ok(attempts.into_iter().rev().find_map(|attempt| attempt.child))
            }
            _ => Ok(None),
        }
    }
}

impl Told {
    fn task(&self, name: &str) -> Option<TaskName> {
        self.run.place(name).and_then(|place| Some(self.run.task(place)?.name()))
    }

    fn no_task(&self, name: &str) -> ServiceError {
        let known: Vec<TaskName> = self.run.tasks().take(HELD_UP).map(|task| task.name()).collect();
        ServiceError::NoSuchTask {
            run: self.row.id.to_string(),
            task: name.chars().take(64).collect(),
            suggestion: did_you_mean(name, known.iter().map(TaskName::as_str)),
        }
    }

    /// What the attempt of `task` said last.
    fn said(&self, task: &TaskName) -> Option<Said> {
        self.events.iter().rev().find_map(|recorded| match &recorded.event {
            Event::AttemptLogged { task: by, lines, .. } if by == task => Some(Said {
                at: recorded.at.to_string(),
                text: lines.last()?.text.chars().take(SAID).collect(),
            }),
            _ => None,
        })
    }
}

/// The tasks that say most about a run, and how many more there are: its open ones; of a run that is
/// over those that did not succeed. Items are told about by their list.
fn telling(run: &Run, now: Timestamp) -> (Vec<TaskName>, u64) {
    let over = run.status().is_final();
    let first = run.most_telling(now);
    let tells = |status: TaskStatus| match over {
        true => matches!(status, TaskStatus::Failed | TaskStatus::Skipped | TaskStatus::Cancelled),
        false => !status.is_final(),
    };
    let mut names: Vec<TaskName> = first.iter().cloned().collect();
    let mut left_out = 0;
    for task in run.tasks().filter(|task| tells(task.status()) && task.item_of().is_none()) {
        let name = task.name();
        if Some(&name) == first.as_ref() {
            continue;
        }
        if names.len() < TASKS {
            names.push(name);
        } else {
            left_out += 1;
        }
    }
    (names, left_out)
}

fn item(told: &Told, why: &Why, now: Timestamp) -> TaskWhy {
    let (root, reason) = why.root();
    let at_work = matches!(reason, Reason::Attempt { .. } | Reason::Stopping { .. });
    TaskWhy {
        id: TaskId::of(&told.row.id, &why.task).to_string(),
        name: why.task.to_string(),
        status: why.status.as_str().to_owned(),
        because: document(&why.because),
        text: why.because.told(now),
        chain: why.chain.iter().map(|link| link_view(&told.row.id, link, now)).collect(),
        omitted: why.omitted,
        said: at_work.then(|| told.said(root)).flatten(),
    }
}

fn link_view(run: &RunId, link: &Link, now: Timestamp) -> WhyLink {
    WhyLink {
        run: run.to_string(),
        task: link.task.to_string(),
        status: link.status.as_str().to_owned(),
        because: document(&link.because),
        text: link.because.told(now),
    }
}
