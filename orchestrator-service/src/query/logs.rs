//! Logs of runs, tasks and agents, page by page.

use super::{
    LogQuery,
    describe::{attempt_of, describe},
};
use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{LogEntry, LogPage},
};
use orchestrator_core::{
    event::{Event, Recorded},
    id::{AgentName, AttemptNumber, RunId, Sequence, TaskName},
    port::{LogStream, RunRow},
};
use std::collections::BTreeMap;

/// The entries of a page when no number is given.
const PAGE: usize = 1_000;
/// How many runs of an agent are looked through.
const RUNS: usize = 20;

/// What is shown of a run's log.
enum Part {
    Run,
    Task(TaskName),
    Agent(AgentName),
}

/// Who worked on which attempt.
type Workers = BTreeMap<(TaskName, AttemptNumber), AgentName>;

impl OrchestratorService {
    /// A part of a log; call again with its `next` to follow.
    ///
    /// # Errors
    /// An unknown run, task or agent.
    pub async fn logs(&self, query: &LogQuery) -> Result<LogPage, ServiceError> {
        let mut page = LogPage {
            schema: "orchestrator.logs/v1",
            items: Vec::new(),
            next: query.cursor.clone(),
            ended: true,
        };
        let mut places = read_cursor(query.cursor.as_deref())?;
        let limit = if query.limit == 0 { PAGE } else { query.limit };
        let (runs, part) = self.subject(&query.of).await?;
        let Some(opened) = self.store_if_any()? else { return Ok(page) };
        for run in &runs {
            let row = opened.catalog().run(run).await.map_err(|e| opened.failed(e))?;
            let Some(row) = row else { continue };
            let after = places.get(run).copied().unwrap_or_default();
            let read = opened.read_log(&row, &part, after, limit, &mut page.items).await?;
            places.insert(run.clone(), read);
            let over = row.status.is_final() || !self.standing(opened, &row).await?.is_driven();
            page.ended &= over && read >= row.seq;
            if page.items.len() >= limit {
                // What is left of this run or of later ones comes with the next page.
                page.ended &= read >= row.seq && runs.last() == Some(run);
                break;
            }
        }
        places.retain(|run, _| runs.contains(run));
        page.next = Some(write_cursor(&places));
        Ok(page)
    }

    /// The runs, oldest first, and what is shown of them.
    async fn subject(&self, of: &str) -> Result<(Vec<RunId>, Part), ServiceError> {
        if of.contains('.') {
            let (_, run, task) = self.find_task(of, None).await?;
            return Ok((vec![run.id], Part::Task(task.name)));
        }
        let no_run = match self.find_run(of).await {
            Ok((_, run)) => return Ok((vec![run.id], Part::Run)),
            Err(error @ (ServiceError::NoSuchRun(_) | ServiceError::NoRuns)) => error,
            Err(error) => return Err(error),
        };
        let Some(opened) = self.store_if_any()? else { return Err(no_run) };
        if let Ok((_, latest)) = self.find_run("latest").await
            && opened.has_task(&latest.id, of).await?
        {
            let task =
                TaskName::new(of).map_err(|error| ServiceError::Internal(error.to_string()))?;
            return Ok((vec![latest.id], Part::Task(task)));
        }
        let Ok(agent) = AgentName::new(of) else { return Err(no_run) };
        let attempts = opened.catalog().attempts_of(&agent, 1_000).await;
        let mut runs: Vec<RunId> = Vec::new();
        for attempt in attempts.map_err(|e| opened.failed(e))? {
            if runs.len() < RUNS && !runs.contains(&attempt.run) {
                runs.push(attempt.run);
            }
        }
        if runs.is_empty() {
            // An agent that has not worked yet has an empty log; an unknown name is a mistake.
            self.roster()?.get(of).map_err(|_| no_run)?;
        }
        runs.reverse();
        Ok((runs, Part::Agent(agent)))
    }
}

impl Opened {
    /// Reads entries after `after` until about `limit` are there; returns the last event read.
    async fn read_log(
        &self,
        run: &RunRow,
        part: &Part,
        after: Sequence,
        limit: usize,
        entries: &mut Vec<LogEntry>,
    ) -> Result<Sequence, ServiceError> {
        let attempts = self.catalog().attempts(&run.id, None).await.map_err(|e| self.failed(e))?;
        let mut workers: Workers =
            attempts.into_iter().map(|row| ((row.task, row.number), row.agent)).collect();
        let mut last = after;
        while entries.len() < limit {
            let events = self.log().events(&run.id, last, 200).await.map_err(|e| self.failed(e))?;
            if events.is_empty() {
                break;
            }
            for recorded in events {
                last = recorded.seq;
                if let Event::AttemptStarted { task, attempt, agent, .. } = &recorded.event {
                    workers.insert((task.clone(), *attempt), agent.clone());
                }
                entries.extend(read_event(&run.id, &recorded, &workers, part));
                if entries.len() >= limit {
                    break;
                }
            }
        }
        Ok(last)
    }
}

fn read_event(run: &RunId, recorded: &Recorded, workers: &Workers, part: &Part) -> Vec<LogEntry> {
    let event = &recorded.event;
    let task = event.task();
    let agent = task
        .zip(attempt_of(event))
        .and_then(|(task, attempt)| workers.get(&(task.clone(), attempt)));
    let shown = match part {
        Part::Run => true,
        Part::Task(wanted) => task == Some(wanted),
        Part::Agent(wanted) => agent == Some(wanted),
    };
    if !shown {
        return Vec::new();
    }
    let entry = |stream: &str, text: String| LogEntry {
        run: run.to_string(),
        seq: recorded.seq.0,
        at: recorded.at.to_string(),
        task: task.map(ToString::to_string),
        agent: agent.map(ToString::to_string),
        stream: stream.to_owned(),
        text,
    };
    if let Event::AttemptLogged { lines, dropped, .. } = event {
        let more =
            (*dropped > 0).then(|| entry("event", format!("{dropped} more lines were not kept")));
        return lines
            .iter()
            .map(|line| entry(stream_name(line.stream), line.text.clone()))
            .chain(more)
            .collect();
    }
    vec![entry("event", describe(event))]
}

fn stream_name(stream: LogStream) -> &'static str {
    match stream {
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
        LogStream::Note => "note",
        LogStream::Model => "model",
    }
}

fn read_cursor(cursor: Option<&str>) -> Result<BTreeMap<RunId, Sequence>, ServiceError> {
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    let places = cursor.split(',').map(|place| {
        let (run, seq) = place.split_once('=')?;
        Some((RunId::new(run).ok()?, Sequence(seq.parse().ok()?)))
    });
    places.collect::<Option<_>>().ok_or_else(|| ServiceError::Argument {
        what: "the cursor",
        given: cursor.chars().take(40).collect(),
        expected: "give the `next` of an earlier page".into(),
    })
}

fn write_cursor(places: &BTreeMap<RunId, Sequence>) -> String {
    let places: Vec<String> = places.iter().map(|(run, seq)| format!("{run}={seq}")).collect();
    places.join(",")
}
