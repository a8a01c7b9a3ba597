//! What the texts and conditions of a task may see of its run, and what an attempt begins with.

use super::{
    Made, Run,
    state::{Answered, Items, List, WorkState},
};
use crate::{
    event::{ArtifactRef, Content, Message, Turn},
    expr,
    id::{AttemptNumber, BlobId, QuestionNumber, RunId, TaskName},
    port::{Call, Feedback, Item, Start, Upstream},
    task::{TaskKind, TaskSpec, TaskStatus, Then},
    time::Timestamp,
    workspace::{Opened, WorkFacts},
};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

/// What the texts and conditions of a task may see: pure data, taken at one moment.
///
/// Large values are in blobs; [`Sight::blobs`] names those that have to be loaded first.
#[derive(Debug, Clone)]
pub struct Sight {
    run: RunId,
    status: &'static str,
    inputs: Arc<Value>,
    tasks: Vec<Seen>,
    item: Option<SeenItem>,
    /// Whether somebody speaks of what tasks have changed: that is not loaded for nothing.
    diffs: bool,
}

/// Values of blobs that were loaded.
pub type Loaded = BTreeMap<BlobId, Arc<Value>>;

#[derive(Debug, Clone)]
struct Seen {
    name: TaskName,
    /// Whether the task needs it directly.
    need: bool,
    /// Whether its texts and conditions may speak of it.
    told: bool,
    status: TaskStatus,
    left: Left,
}

#[derive(Debug, Clone)]
enum Left {
    One(Facts),
    Each(Arc<Each>),
}

/// What the items of a list have left, in their order. There may be very many, and as many that need
/// them: it is put together once for all of those.
#[derive(Debug)]
pub(super) struct Each {
    all: Vec<Facts>,
    outputs: OnceLock<Arc<Value>>,
}

impl Each {
    fn outputs(&self, loaded: &Loaded) -> Result<Arc<Value>, String> {
        if let Some(outputs) = self.outputs.get() {
            return Ok(outputs.clone());
        }
        let outputs = self.all.iter().map(|facts| facts.output(loaded));
        let outputs = Arc::new(Value::Array(outputs.collect::<Result<_, _>>()?));
        Ok(self.outputs.get_or_init(|| outputs).clone())
    }
}

#[derive(Debug, Clone)]
struct Facts {
    status: TaskStatus,
    output: Option<Content>,
    attempts: u32,
    cost: f64,
    error: Option<String>,
    verified: Option<bool>,
    diff: Option<Diff>,
}

/// What a task has changed.
#[derive(Debug, Clone)]
enum Diff {
    Nothing,
    Blob(BlobId),
}

#[derive(Debug, Clone)]
struct SeenItem {
    index: u32,
    value: ItemValue,
}

#[derive(Debug, Clone)]
enum ItemValue {
    Here(Arc<Vec<Value>>),
    Blob(BlobId),
}

/// What an attempt begins with besides what its task says.
#[derive(Debug, Clone, Default)]
pub struct Briefing {
    /// Why earlier work was not accepted, oldest first.
    pub feedback: Vec<Feedback>,
    /// The session in which an earlier attempt worked.
    pub session: Option<String>,
    /// The turns that need not be done again.
    pub journal: Vec<Turn>,
    /// The attempt with which the journal began.
    pub first_attempt: AttemptNumber,
    /// Whether the prompt has to be shortened.
    pub compact: bool,
    /// When the task must have ended.
    pub deadline: Option<Timestamp>,
    /// From where a place of its own begins, when it has one.
    pub start: Start,
    /// What people have said to earlier attempts: they are not asked again.
    pub answers: Vec<Answered>,
    /// What earlier attempts have asked and nobody has answered yet.
    pub open: Vec<(Call, QuestionNumber)>,
    /// The highest number of what was asked.
    pub questions: u32,
    /// Messages that no attempt has.
    pub messages: Vec<Message>,
    /// What an earlier attempt has made and recorded: the agent is not asked again.
    pub done: Option<Box<WorkDone>>,
}

/// Work that is recorded and has yet to be proved or landed.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkDone {
    /// The output.
    pub output: Content,
    /// Files that were made besides.
    pub artifacts: Vec<ArtifactRef>,
    /// The commit, what proves it and where it has landed, as far as that is known.
    pub facts: WorkFacts,
    /// Where it was made.
    pub opened: Option<Arc<Opened>>,
}

impl Facts {
    fn of(run: &Run, place: usize) -> Self {
        let state = &run.tasks[place];
        let work = state.work().and_then(|work| Some(&work.facts.as_ref()?.work));
        Self {
            verified: run.verified(place),
            diff: work.map(|work| work.diff.clone().map_or(Diff::Nothing, Diff::Blob)),
            status: state.status,
            output: state.output.clone(),
            attempts: state.attempts,
            cost: state.cost.known.0 as f64 / 1e6,
            error: state.error().map(|error| error.message.clone()),
        }
    }

    fn shared(&self, loaded: &Loaded) -> Result<Arc<Value>, String> {
        match &self.output {
            None => Ok(Arc::default()),
            Some(content) => value_of(content, loaded),
        }
    }

    fn output(&self, loaded: &Loaded) -> Result<Value, String> {
        self.shared(loaded).map(Arc::unwrap_or_clone)
    }

    /// The difference as text; nothing when it was not asked for, or there is no git.
    fn diff(&self, loaded: &Loaded) -> Value {
        match &self.diff {
            None => Value::Null,
            Some(Diff::Nothing) => Value::String(String::new()),
            Some(Diff::Blob(id)) => loaded.get(id).map(|text| (**text).clone()).unwrap_or_default(),
        }
    }
}

fn value_of(content: &Content, loaded: &Loaded) -> Result<Arc<Value>, String> {
    match content {
        Content::Inline(value) => Ok(Arc::new(value.clone())),
        Content::Blob { id, .. } => match loaded.get(id) {
            Some(value) => Ok(value.clone()),
            None => Err(format!("blob {id} is not at hand")),
        },
    }
}

impl Sight {
    /// The blobs that have to be loaded before the values can be seen.
    pub fn blobs(&self) -> Vec<BlobId> {
        let outputs = self.tasks.iter().flat_map(|seen| match &seen.left {
            Left::One(facts) => std::slice::from_ref(facts),
            Left::Each(each) if each.outputs.get().is_some() => &[],
            Left::Each(each) => &each.all,
        });
        let outputs = outputs.filter_map(|facts| facts.output.as_ref()?.blob());
        let item = self.item.iter().filter_map(|item| match &item.value {
            ItemValue::Here(_) => None,
            ItemValue::Blob(id) => Some(id),
        });
        let mut blobs: Vec<BlobId> = outputs.chain(item).cloned().collect();
        blobs.sort();
        blobs.dedup();
        blobs
    }

    /// The blobs of text that have to be loaded as well, as JSON strings of the whole: what tasks
    /// have changed, where somebody speaks of that.
    pub fn texts(&self) -> Vec<BlobId> {
        if !self.diffs {
            return Vec::new();
        }
        let facts = self.tasks.iter().filter(|seen| seen.told).flat_map(|seen| match &seen.left {
            Left::One(facts) => std::slice::from_ref(facts),
            Left::Each(each) => &each.all,
        });
        let mut texts: Vec<BlobId> = facts
            .filter_map(|facts| match &facts.diff {
                Some(Diff::Blob(id)) => Some(id.clone()),
                Some(Diff::Nothing) | None => None,
            })
            .collect();
        texts.sort();
        texts.dedup();
        texts
    }

    /// The values as expressions see them: `inputs`, `tasks`, `run`, and `item` and `index` where
    /// the task is one of a `for-each`.
    ///
    /// # Errors
    /// In words, which blob is missing or what else is wrong.
    pub fn scope(&self, loaded: &Loaded) -> Result<Value, String> {
        let mut tasks = Map::new();
        for seen in self.tasks.iter().filter(|seen| seen.told) {
            let value = match &seen.left {
                Left::One(facts) => json!({
                    "output": facts.output(loaded)?,
                    "status": facts.status.as_str(),
                    "attempts": facts.attempts,
                    "cost": facts.cost,
                    "verified": facts.verified,
                    "diff": facts.diff(loaded),
                    "error": facts.error,
                }),
                Left::Each(list) => {
                    let each = |part: fn(&Facts) -> Value| -> Vec<Value> {
                        list.all.iter().map(part).collect()
                    };
                    let diffs: Vec<Value> =
                        list.all.iter().map(|facts| facts.diff(loaded)).collect();
                    json!({
                        "output": *list.outputs(loaded)?,
                        "status": each(|facts| facts.status.as_str().into()),
                        "attempts": each(|facts| facts.attempts.into()),
                        "cost": each(|facts| facts.cost.into()),
                        "verified": each(|facts| facts.verified.into()),
                        "diff": diffs,
                        "error": each(|facts| facts.error.clone().into()),
                    })
                }
            };
            tasks.insert(seen.name.to_string(), value);
        }
        let mut scope = expr::scope((*self.inputs).clone(), tasks);
        if let Value::Object(map) = &mut scope {
            let run = json!({ "id": self.run.as_str(), "status": self.status });
            map.insert("run".into(), run);
            if let Some(item) = &self.item {
                map.insert("item".into(), item.value(loaded)?);
                map.insert("index".into(), item.index.into());
            }
        }
        Ok(scope)
    }

    /// What the tasks that this one needs have left.
    ///
    /// # Errors
    /// As for [`Sight::scope`].
    pub fn needs(&self, loaded: &Loaded) -> Result<BTreeMap<TaskName, Upstream>, String> {
        let direct = self.tasks.iter().filter(|seen| seen.need);
        direct
            .map(|seen| {
                let output = match &seen.left {
                    Left::One(facts) => facts.shared(loaded)?,
                    Left::Each(list) => list.outputs(loaded)?,
                };
                Ok((seen.name.clone(), Upstream { status: seen.status, output }))
            })
            .collect()
    }

    /// The item that the task is for.
    ///
    /// # Errors
    /// As for [`Sight::scope`].
    pub fn item(&self, loaded: &Loaded) -> Result<Option<Item>, String> {
        self.item
            .as_ref()
            .map(|item| Ok(Item { index: item.index, value: item.value(loaded)? }))
            .transpose()
    }
}

impl SeenItem {
    fn value(&self, loaded: &Loaded) -> Result<Value, String> {
        let at = |items: &[Value]| items.get(self.index as usize).cloned();
        let value = match &self.value {
            ItemValue::Here(items) => at(items),
            ItemValue::Blob(id) => match loaded.get(id).map(|list| &**list) {
                Some(Value::Array(items)) => at(items),
                Some(_) => None,
                None => return Err(format!("blob {id} is not at hand")),
            },
        };
        value.ok_or_else(|| format!("the list has no item {}", self.index))
    }
}

impl Run {
    /// What the texts and conditions of the task at `place` may see now.
    ///
    /// # Panics
    /// When there is no such place.
    pub fn sight(&self, place: usize) -> Sight {
        let owner = match self.made(place) {
            Some(Made::Item { group, .. }) => *group,
            Some(Made::Undo { of, .. }) => self.group_of(*of).unwrap_or(*of),
            Some(Made::Added { .. }) | None => place,
        };
        let mut places: Vec<usize> = self.graph.needs(owner).collect();
        let needs = places.len();
        let mut names = Vec::new();
        let is_item = matches!(self.made(place), Some(Made::Item { .. }));
        if is_item {
            // Its conditions were those of the list. There may be very many items, so that what
            // their texts do not speak of is not copied for each.
            in_texts(self.spec(place), &mut names);
        } else {
            referred(self.spec(owner), &mut names);
            if place != owner {
                referred(self.spec(place), &mut names);
            }
        }
        if self.is_undo(place) {
            // What is undone may name itself.
            places.push(owner);
        }
        let mut told = BTreeSet::new();
        for name in names {
            if let Some(place) = self.places.get(name.as_str()).copied() {
                told.insert(place);
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        let tells = |at: &usize| !is_item || told.contains(at);
        let seen = places.into_iter().enumerate();
        let tasks = seen.map(|(n, at)| Seen { told: tells(&at), ..self.seen(at, n < needs) });
        let tasks: Vec<Seen> = tasks.collect();
        let diffs = tasks.iter().any(Seen::has_diff)
            && (speaks_of_diffs(self.spec(owner)) || speaks_of_diffs(self.spec(place)));
        Sight { item: self.seen_item(place), diffs, ..self.sight_of(tasks) }
    }

    /// What the inputs of a workflow may see that `then` starts after the end of `task`, or of the
    /// run itself.
    pub fn sight_of_end(&self, task: Option<usize>, then: &Then) -> Sight {
        let mut names = Vec::new();
        in_values(then.with.values(), &mut names);
        let mut places: Vec<usize> = task.into_iter().collect();
        for name in names {
            if let Some(place) = self.places.get(name.as_str()).copied()
                && !places.contains(&place)
            {
                places.push(place);
            }
        }
        let seen: Vec<Seen> = places.into_iter().map(|at| self.seen(at, false)).collect();
        let diffs = seen.iter().any(Seen::has_diff) && values_speak_of_diffs(then.with.values());
        Sight { diffs, ..self.sight_of(seen) }
    }

    fn sight_of(&self, tasks: Vec<Seen>) -> Sight {
        // While `then` is being followed, what the run will end with counts.
        let status = if self.open == 0 { self.verdict().as_str() } else { self.status.as_str() };
        Sight {
            run: self.created.run.clone(),
            status,
            inputs: self.created.inputs.clone(),
            tasks,
            item: None,
            diffs: false,
        }
    }

    fn seen(&self, place: usize, need: bool) -> Seen {
        let state = &self.tasks[place];
        let left = match state.items() {
            None => Left::One(Facts::of(self, place)),
            // Once all have ended, nothing changes any more: a list that is made again is another.
            Some(items) if items.open == 0 => {
                Left::Each(items.left.0.get_or_init(|| self.each(items)).clone())
            }
            Some(items) => Left::Each(self.each(items)),
        };
        Seen { name: self.name(place), need, told: true, status: state.status, left }
    }

    fn each(&self, items: &Items) -> Arc<Each> {
        let all = items.first..items.first + items.count as usize;
        let all = all.map(|place| Facts::of(self, place)).collect();
        Arc::new(Each { all, outputs: OnceLock::new() })
    }

    fn seen_item(&self, place: usize) -> Option<SeenItem> {
        let (group, index) = match self.made(place)? {
            Made::Item { group, index } => (*group, *index),
            Made::Undo { of, .. } => return self.seen_item(*of),
            Made::Added { .. } => return None,
        };
        let value = match &self.tasks[group].items()?.list {
            List::Here(items) => ItemValue::Here(items.clone()),
            List::Blob(content) => ItemValue::Blob(content.blob()?.clone()),
        };
        Some(SeenItem { index, value })
    }

    /// What the attempt under way at `place` begins with.
    ///
    /// # Panics
    /// When there is no such place.
    pub fn briefing(&self, place: usize) -> Briefing {
        let mut feedback = Vec::new();
        if let Some(group) = self.group_of(place).and_then(|group| self.tasks[group].more.as_ref())
        {
            feedback.extend(group.feedback.iter().cloned());
        }
        let state = &self.tasks[place];
        let attempt = state.current.as_ref().map(|current| current.attempt);
        let Some(more) = &state.more else {
            return Briefing {
                feedback,
                first_attempt: attempt.unwrap_or(AttemptNumber(1)),
                ..Briefing::default()
            };
        };
        feedback.extend(more.feedback.iter().cloned());
        let first = (more.first_attempt.0 > 0).then_some(more.first_attempt);
        Briefing {
            feedback,
            session: more.session.clone(),
            journal: more.journal.clone(),
            first_attempt: first.or(attempt).unwrap_or(AttemptNumber(1)),
            compact: more.compact,
            deadline: more.deadline,
            answers: more.answers.clone(),
            open: more
                .asks
                .iter()
                .filter_map(|asked| Some((asked.ask.call(), asked.ask.question?)))
                .collect(),
            questions: more.questions,
            messages: more
                .messages
                .iter()
                .filter(|sent| sent.delivered.is_none())
                .map(|sent| sent.message.clone())
                .collect(),
            start: more.work.as_deref().map(WorkState::start).unwrap_or_default(),
            done: more.work.as_deref().and_then(WorkState::done).map(Box::new),
        }
    }

    /// What the run leaves: [`Sight::needs`] gives what each task left that nothing needs. Of one
    /// such task its output is the run's, of several an object by their names.
    pub fn output_sight(&self) -> Sight {
        let ends = (0..self.tasks.len()).filter(|&place| {
            self.group_of(place).is_none()
                && !self.is_undo(place)
                && self.graph.dependents(place).next().is_none()
        });
        self.sight_of(ends.map(|place| self.seen(place, true)).collect())
    }
}

impl Seen {
    /// Whether the task, or an item of it, has changed something.
    fn has_diff(&self) -> bool {
        let changed = |facts: &Facts| matches!(facts.diff, Some(Diff::Blob(_)));
        match &self.left {
            Left::One(facts) => changed(facts),
            Left::Each(each) => each.all.iter().any(changed),
        }
    }
}

impl WorkState {
    fn start(&self) -> Start {
        match &self.opened {
            Some(opened) if self.is_open => Start::Resume((**opened).clone()),
            _ => self.begin.clone(),
        }
    }

    fn done(&self) -> Option<WorkDone> {
        let (done, facts) = (self.done.as_ref()?, self.facts.as_ref()?);
        Some(WorkDone {
            output: done.output.clone(),
            artifacts: done.artifacts.clone(),
            facts: facts.clone(),
            opened: self.opened.clone(),
        })
    }
}

/// Whether some text or condition of `task` may speak of what another has changed.
fn speaks_of_diffs(task: &TaskSpec) -> bool {
    let conditions = [task.when.as_deref(), task.for_each.as_deref()];
    let unless = task.revise.as_ref().map(|revise| revise.unless.as_str());
    let key = task.cache.as_ref().and_then(|cache| cache.key.as_deref());
    kind_speaks_of_diffs(&task.kind)
        || task.compensate.as_deref().is_some_and(kind_speaks_of_diffs)
        || conditions.into_iter().flatten().chain(unless).chain(key).any(speaks)
}

fn kind_speaks_of_diffs(kind: &TaskKind) -> bool {
    match kind {
        TaskKind::Agent { prompt, .. } => speaks(prompt),
        TaskKind::Command { command } => command.iter().any(|text| speaks(text)),
        TaskKind::Workflow { with, .. } => values_speak_of_diffs(with.values()),
        TaskKind::Approval { message, .. } => speaks(message),
    }
}

fn values_speak_of_diffs<'v>(mut values: impl Iterator<Item = &'v Value>) -> bool {
    values.any(|value| match value {
        Value::String(text) => speaks(text),
        Value::Array(items) => values_speak_of_diffs(items.iter()),
        Value::Object(map) => {
            let values: Vec<&Value> = map.values().collect();
            values_speak_of_diffs(values.into_iter())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    })
}

/// Too often rather than too seldom: an expression may write it as `["diff"]`.
fn speaks(text: &str) -> bool {
    text.contains("diff")
}

/// Adds the names of the tasks that the texts and conditions of `task` refer to.
fn referred(task: &TaskSpec, names: &mut Vec<String>) {
    in_texts(task, names);
    if let Some(compensate) = &task.compensate {
        in_kind(compensate, names);
    }
    let conditions = [task.when.as_deref(), task.for_each.as_deref()];
    let unless = task.revise.as_ref().map(|revise| revise.unless.as_str());
    for condition in conditions.into_iter().flatten().chain(unless) {
        names.extend(expr::tasks_in(condition));
    }
}

/// Adds the names of the tasks that the texts of `task` refer to.
fn in_texts(task: &TaskSpec, names: &mut Vec<String>) {
    in_kind(&task.kind, names);
    if let Some(key) = task.cache.as_ref().and_then(|cache| cache.key.as_deref()) {
        in_text(key, names);
    }
}

fn in_kind(kind: &TaskKind, names: &mut Vec<String>) {
    match kind {
        TaskKind::Agent { prompt, .. } => in_text(prompt, names),
        TaskKind::Command { command } => command.iter().for_each(|text| in_text(text, names)),
        TaskKind::Workflow { with, .. } => in_values(with.values(), names),
        TaskKind::Approval { message, .. } => in_text(message, names),
    }
}

fn in_values<'v>(values: impl Iterator<Item = &'v Value>, names: &mut Vec<String>) {
    for value in values {
        match value {
            Value::String(text) => in_text(text, names),
            Value::Array(items) => in_values(items.iter(), names),
            Value::Object(map) => in_values(map.values(), names),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn in_text(text: &str, names: &mut Vec<String>) {
    if !text.contains("{{") {
        return;
    }
    for path in expr::paths(text).unwrap_or_default() {
        if let ["tasks", name, ..] = path[..] {
            names.push(name.to_owned());
        }
    }
}
