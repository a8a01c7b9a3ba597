//! A task as it is shown.

use orchestrator_core::{
    id::RunId,
    port::Progress,
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Spend, Usage},
};
use std::{collections::BTreeMap, time::Duration};

/// A task as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) agent: String,
    pub(super) status: TaskStatus,
    pub(super) attempts: u32,
    /// When the present attempt started, while one runs.
    since: Option<Timestamp>,
    /// Time that is over: of earlier attempts and of the last.
    pub(super) spent_time: Duration,
    pub(super) usage: Usage,
    pub(super) cost: Cost,
    /// What the turns of the present attempt used and cost.
    turns: (Usage, Cost),
    /// What the present attempt says, and has used so far.
    pub(super) live: Progress,
    /// What there is to say about it: an error, a reason.
    pub(super) note: String,
    /// Until when it waits, if it waits for a time.
    pub(super) until: Option<Timestamp>,
    /// What a person is asked, in a line.
    pub(super) ask: Option<String>,
    /// All that people are asked, with the numbers of what attempts ask.
    asks: Vec<(Option<u32>, String)>,
    /// The child run that its attempt is.
    pub(super) child: Option<RunId>,
    /// Its items, once its list is known.
    pub(super) items: Option<Items>,
}

/// The items of a `for-each` task: how all of them stand, and more about those that have not ended.
#[derive(Debug, Clone)]
pub(super) struct Items {
    statuses: Vec<TaskStatus>,
    counts: [u32; TaskStatus::ALL.len()],
    open: BTreeMap<u32, Row>,
}

impl Row {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            agent: String::new(),
            status: TaskStatus::Pending,
            attempts: 0,
            since: None,
            spent_time: Duration::ZERO,
            usage: Usage::default(),
            cost: Cost::default(),
            turns: Default::default(),
            live: Progress::default(),
            note: String::new(),
            until: None,
            ask: None,
            asks: Vec::new(),
            child: None,
            items: None,
        }
    }

    /// Whether an attempt of it runs.
    pub(super) fn is_at_work(&self) -> bool {
        self.since.is_some()
    }

    /// How long it has been worked on.
    pub(super) fn elapsed(&self, now: Timestamp) -> Duration {
        self.spent_time + self.since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// What it used so far, its items included.
    pub(super) fn usage(&self) -> Usage {
        let live = match self.live.usage.total() > self.turns.0.total() {
            true => self.live.usage,
            false => self.turns.0,
        };
        let items = self.items.iter().flat_map(|items| items.open.values());
        self.usage + live + items.map(Self::usage).sum()
    }

    /// What that cost so far.
    pub(super) fn cost(&self) -> Cost {
        let live =
            if self.live.cost.known > self.turns.1.known { self.live.cost } else { self.turns.1 };
        let items = self.items.iter().flat_map(|items| items.open.values());
        items.map(Self::cost).fold(sum(self.cost, live), sum)
    }

    /// Time begins to be spent on it.
    pub(super) fn begin(&mut self, at: Timestamp) {
        self.since.get_or_insert(at);
        self.note.clear();
        self.until = None;
        self.keep_asks(true);
        self.status = TaskStatus::Running;
    }

    /// An attempt begins.
    pub(super) fn attempt(&mut self, agent: &str, attempt: u32, at: Timestamp) {
        if self.agent != agent {
            self.keep_asks(false);
        }
        self.agent = agent.to_owned();
        self.attempts = attempt;
        self.begin(at);
    }

    /// A turn is done.
    pub(super) fn turn(&mut self, spend: &[Spend]) {
        for line in spend {
            self.turns.0 += line.usage;
            self.turns.1.add(line);
        }
    }

    /// One more thing is asked.
    pub(super) fn asked(&mut self, question: Option<u32>, what: String) {
        self.asks.retain(|(other, _)| question.is_some() && other.is_some());
        self.asks.push((question, what));
        self.show_asks();
    }

    /// That was answered.
    pub(super) fn answered(&mut self, question: Option<u32>) {
        self.asks.retain(|(other, _)| *other != question);
        self.show_asks();
    }

    /// Of what is asked remains what an attempt asks that goes on, or nothing.
    pub(super) fn keep_asks(&mut self, goes_on: bool) {
        self.asks.retain(|(question, _)| goes_on && question.is_some());
        self.show_asks();
    }

    fn show_asks(&mut self) {
        self.ask = self.asks.first().map(|(_, what)| match self.asks.len() {
            1 => what.clone(),
            several => format!("{what} (and {} more)", several - 1),
        });
    }

    /// What was done has ended so.
    pub(super) fn end(&mut self, status: TaskStatus, at: Timestamp, spend: &[Spend]) {
        self.spent_time = self.elapsed(at);
        self.since = None;
        self.live = Progress::default();
        let (usage, cost) = std::mem::take(&mut self.turns);
        self.usage += usage;
        self.cost = sum(self.cost, cost);
        for line in spend {
            self.usage += line.usage;
            self.cost.add(line);
        }
        self.status = status;
        self.until = None;
        self.keep_asks(!status.is_final());
        if status.is_final() {
            self.child = None;
        }
    }
}

impl Items {
    /// `count` items that have not begun.
    pub(super) fn new(count: u32) -> Self {
        let mut counts = [0; TaskStatus::ALL.len()];
        counts[TaskStatus::Pending as usize] = count;
        Self { statuses: vec![TaskStatus::Pending; count as usize], counts, open: BTreeMap::new() }
    }

    /// The item at `index`, to be changed; `group` is the name of the task.
    pub(super) fn open(&mut self, group: &str, index: u32) -> Option<&mut Row> {
        self.statuses.get(index as usize)?;
        Some(self.open.entry(index).or_insert_with(|| Row::new(&format!("{group}:{index}"))))
    }

    /// Counts the item at `index` as it stands now; one that has ended is not kept any longer, and
    /// what it used and cost is given back.
    pub(super) fn settle(&mut self, index: u32) -> Option<(Usage, Cost)> {
        let status = self.open.get(&index)?.status;
        let before = std::mem::replace(self.statuses.get_mut(index as usize)?, status);
        self.counts[before as usize] -= 1;
        self.counts[status as usize] += 1;
        if !status.is_final() {
            return None;
        }
        self.open.remove(&index).map(|row| (row.usage(), row.cost()))
    }

    /// All are to be done again.
    pub(super) fn reopen(&mut self) {
        *self = Self::new(u32::try_from(self.statuses.len()).unwrap_or(u32::MAX));
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.statuses.len()
    }

    /// How many stand so.
    pub(super) fn with(&self, status: TaskStatus) -> u32 {
        self.counts[status as usize]
    }

    /// Those that have begun and not ended, in their order.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &Row> {
        self.open.values()
    }

    /// The same, to be changed.
    pub(super) fn under_way_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.open.values_mut()
    }

    /// `3 done, 2 running, 1 failed of 10`.
    pub(super) fn told(&self) -> String {
        let parts: Vec<String> = [
            (TaskStatus::Succeeded, "done"),
            (TaskStatus::Running, "running"),
            (TaskStatus::Waiting, "waiting"),
            (TaskStatus::Failed, "failed"),
            (TaskStatus::Skipped, "skipped"),
            (TaskStatus::Cancelled, "cancelled"),
        ]
        .into_iter()
        .filter(|(status, _)| self.with(*status) > 0)
        .map(|(status, word)| format!("{} {word}", self.with(status)))
        .collect();
        if parts.is_empty() {
            return format!("{} items", self.count());
        }
        format!("{} of {}", parts.join(", "), self.count())
    }
}

/// Both together.
pub(super) fn sum(left: Cost, right: Cost) -> Cost {
    Cost {
        known: left.known + right.known,
        unpriced_requests: left.unpriced_requests.saturating_add(right.unpriced_requests),
    }
}
