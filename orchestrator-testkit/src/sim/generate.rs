//! Workflows by chance, written as the documents that a file would hold.

use super::{Construct, Job, Rng};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The most tasks that one document declares.
const MOST_TASKS: u64 = 9;

/// Makes documents from a stream of numbers.
pub(super) struct Generator<'g> {
    pub(super) rng: &'g mut Rng,
    pub(super) without: &'g BTreeSet<Construct>,
}

/// What later tasks can build upon.
#[derive(Default)]
struct Made {
    names: Vec<String>,
    /// Those that answer a list.
    lists: Vec<String>,
    /// Those that say a text and may be sent back.
    texts: Vec<String>,
}

impl Generator<'_> {
    fn may(&mut self, construct: Construct, part: u64) -> bool {
        // The number is drawn either way, so that leaving something out changes little else.
        let drawn = self.rng.chance(part);
        drawn && !self.without.contains(&construct)
    }

    /// A workflow called `name`.
    pub(super) fn workflow(&mut self, name: &str) -> Job {
        let mut library = Vec::new();
        let children = if self.may(Construct::Children, 350) { self.rng.between(1, 2) } else { 0 };
        for child in 0..children {
            let name = format!("{name}-child-{child}");
            let document = self.document(&name, &[]);
            library.push((name, document));
        }
        let chained = self.may(Construct::Chains, 150).then(|| format!("{name}-next"));
        if let Some(next) = &chained {
            let document = self.document(next, &[]);
            library.push((next.clone(), document));
        }
        let children: Vec<String> = library
            .iter()
            .map(|(name, _)| name.clone())
            .filter(|n| n.contains("-child-"))
            .collect();
        let mut document = self.document(name, &children);
        if let (Some(next), Some(top)) = (chained, document.as_object_mut()) {
            let on = *self.rng.pick(&["success", "failure", "always"]);
            top.insert("then".into(), json!([{ "on": on, "workflow": next }]));
        }
        Job { document, library, acts: Vec::new() }
    }

    fn document(&mut self, name: &str, children: &[String]) -> Value {
        let mut top = Map::new();
        top.insert("name".into(), json!(name));
        top.insert("max-parallel".into(), json!(self.rng.between(1, 5)));
        let mut tasks = Map::new();
        let mut made = Made::default();
        if self.may(Construct::Hierarchical, 120) {
            top.insert("mode".into(), json!("hierarchical"));
            tasks
                .insert("lead".into(), json!({ "agent": "lead", "prompt": "add extra-a extra-b" }));
            made.names.push("lead".into());
        } else if self.may(Construct::Sequential, 100) {
            top.insert("mode".into(), json!("sequential"));
        }
        if self.may(Construct::Timeouts, 80) {
            top.insert("timeout".into(), json!(format!("{}s", self.rng.between(40, 400))));
        }
        for place in 0..self.rng.between(1, MOST_TASKS) {
            let name = format!("t{place}");
            let task = self.task(&name, &mut made, children);
            tasks.insert(name.clone(), task);
            made.names.push(name);
        }
        let undone = tasks.values().any(|task| task.get("compensate").is_some());
        for task in tasks.values_mut().filter_map(Value::as_object_mut) {
            // To compensate takes somebody who says how.
            if !undone && task.get("on-failure").is_some_and(|policy| policy == "compensate") {
                task.remove("on-failure");
            }
        }
        top.insert("tasks".into(), Value::Object(tasks));
        Value::Object(top)
    }

    fn task(&mut self, name: &str, made: &mut Made, children: &[String]) -> Value {
        let mut task = Map::new();
        let mut needs: BTreeSet<String> = BTreeSet::new();
        if !made.names.is_empty() {
            for _ in 0..self.rng.below(4) {
                needs.insert(self.rng.pick(&made.names).clone());
            }
        }
        let agent = *self.rng.pick(&["worker", "worker", "second", "judge"]);
        match self.rng.below(12) {
            0 if self.may(Construct::Approvals, 800) => {
                let expires = format!("{}s", self.rng.between(5, 90));
                task.insert(
                    "approval".into(),
                    json!({ "message": "go on?", "expires-in": expires }),
                );
            }
            1 if !children.is_empty() && !self.without.contains(&Construct::Children) => {
                task.insert("workflow".into(), json!(self.rng.pick(children)));
            }
            2 | 3 => {
                let steps = self.steps();
                let items = self.rng.below(5);
                task.insert("agent".into(), json!(agent));
                task.insert("prompt".into(), json!(format!("{steps}list {items}")));
                let array = json!({ "type": "array" });
                let schema = json!({ "type": "object", "required": ["items"], "properties": { "items": array } });
                task.insert("output".into(), schema);
                made.lists.push(name.into());
            }
            4 | 5 if !made.texts.is_empty() && self.may(Construct::Revise, 800) => {
                let target = self.rng.pick(&made.texts).clone();
                let steps = self.steps();
                let at = self.rng.between(0, 3);
                needs.insert(target.clone());
                task.insert("agent".into(), json!("judge"));
                // At 0 it is satisfied with what was never sent back.
                let judge =
                    if at == 0 { "approve-at 0".into() } else { format!("approve-at {at}") };
                task.insert("prompt".into(), json!(format!("{steps}{judge}")));
                let schema = json!({ "type": "object", "required": ["approved"] });
                task.insert("output".into(), schema);
                let unless = format!("tasks.{name}.output.approved");
                let most = self.rng.between(1, 3);
                task.insert(
                    "revise".into(),
                    json!({ "task": target, "unless": unless, "max": most }),
                );
            }
            _ => {
                let steps = self.steps();
                let last = match self.rng.below(8) {
                    0 => format!("large {}", self.rng.between(10, 90_000)),
                    1 => format!("file {}", self.rng.between(10, 90_000)),
                    _ => {
                        made.texts.push(name.into());
                        format!("say {name}")
                    }
                };
                task.insert("agent".into(), json!(agent));
                task.insert("prompt".into(), json!(format!("{steps}{last}")));
                self.for_each(&mut task, &mut needs, made);
            }
        }
        self.options(&mut task, made);
        if !needs.is_empty() {
            task.insert("needs".into(), json!(needs));
        }
        Value::Object(task)
    }

    fn for_each(
        &mut self,
        task: &mut Map<String, Value>,
        needs: &mut BTreeSet<String>,
        made: &Made,
    ) {
        if !made.lists.is_empty() && self.may(Construct::ForEach, 500) {
            let list = self.rng.pick(&made.lists).clone();
            task.insert("for-each".into(), json!(format!("tasks.{list}.output.items")));
            needs.insert(list);
        }
    }

    /// What the agent goes through before its answer.
    fn steps(&mut self) -> String {
        let mut steps = String::new();
        let mut add = |step: String| {
            steps.push_str(&step);
            steps.push_str("; ");
        };
        if self.may(Construct::Turns, 350) {
            add(format!("turns {}", self.rng.between(1, 4)));
        }
        if self.may(Construct::Turns, 100) {
            add("session".into());
        }
        if self.rng.chance(200) {
            add(format!("log {}", self.rng.between(1, 5)));
        }
        if self.rng.chance(400) {
            add(format!("slow {}ms", self.rng.between(1, 4_000)));
        }
        if self.may(Construct::Questions, 80) {
            add("ask which one?".into());
        }
        if self.may(Construct::Questions, 120) {
            let more = self.rng.chance(400);
            add(if more { "permit make; permit sh -c it" } else { "permit make" }.into());
        }
        if self.may(Construct::Messages, 150) {
            add(format!("listen {} {}s", self.rng.between(1, 2), self.rng.between(1, 9)));
        }
        if self.may(Construct::Failures, 300) {
            let times = self.rng.between(1, 4);
            let what = match self.rng.below(8) {
                0 => format!("panic {times}"),
                1 => "hang 1".into(),
                2 => "deaf 1".into(),
                3 => format!("wrong {times}"),
                _ => {
                    let classes = [
                        "transient",
                        "transient",
                        "overloaded",
                        "rate_limited",
                        "quota_exhausted",
                        "billing",
                        "auth",
                        "context_overflow",
                        "invalid_request",
                        "refused",
                        "bad_output",
                        "tool_failed",
                        "no_progress",
                        "crashed",
                        "internal",
                    ];
                    format!("fail {} {times}", self.rng.pick(&classes))
                }
            };
            add(what);
        }
        if self.may(Construct::Turns, 150) {
            add(format!("turns {}", self.rng.between(1, 2)));
        }
        steps
    }

    fn options(&mut self, task: &mut Map<String, Value>, made: &Made) {
        if self.may(Construct::When, 150) {
            let condition = match made.names.first() {
                Some(name) if self.rng.chance(500) => format!("tasks.{name}.status == 'succeeded'"),
                _ => (*self.rng.pick(&["1 < 2", "2 < 1"])).to_owned(),
            };
            // Only what a task needs has surely ended when its condition is looked at.
            if !condition.starts_with("tasks") {
                task.insert("when".into(), json!(condition));
            }
        }
        if self.may(Construct::Continue, 200) {
            task.insert("on-failure".into(), json!("continue"));
        } else if self.may(Construct::Compensation, 150) {
            task.insert("on-failure".into(), json!("compensate"));
        }
        let is_agent = task.contains_key("agent");
        if is_agent && self.may(Construct::Compensation, 250) {
            let steps = if self.without.contains(&Construct::Turns) { "" } else { "turns 1; " };
            let prompt = format!("{steps}say undone");
            task.insert("compensate".into(), json!({ "agent": "worker", "prompt": prompt }));
        }
        let prompt = task.get("prompt").and_then(Value::as_str).unwrap_or_default();
        let hangs = prompt.contains("hang ") || prompt.contains("deaf ");
        if (self.may(Construct::Timeouts, 250) && !task.contains_key("approval")) || hangs {
            task.insert("timeout".into(), json!(format!("{}s", self.rng.between(1, 20))));
        }
        if self.may(Construct::Delays, 120) {
            task.insert("delay".into(), json!(format!("{}s", self.rng.between(1, 30))));
        }
        if is_agent && self.may(Construct::Groups, 150) {
            let group = *self.rng.pick(&["deploy", "release"]);
            task.insert("concurrency-group".into(), json!(group));
        }
        if is_agent && self.may(Construct::Cache, 120) {
            task.insert("cache".into(), json!({ "ttl": "60s" }));
        }
        if self.rng.chance(250) {
            let priority = *self.rng.pick(&["low", "normal", "high", "critical"]);
            task.insert("priority".into(), json!(priority));
        }
        if is_agent && self.rng.chance(400) {
            let retry = json!({
                "max-attempts": self.rng.between(1, 4),
                "base-delay": "500ms",
                "max-delay": "5s",
            });
            task.insert("retry".into(), retry);
        }
        if is_agent && self.may(Construct::Worktrees, 200) {
            self.worktree(task);
        }
    }

    /// Lets the task work in a worktree: some of what is written there fails its checks at first or
    /// displeases its judge, and some does not go together with what others write.
    fn worktree(&mut self, task: &mut Map<String, Value>) {
        let file = *self.rng.pick(&["a", "b", "shared", "shared"]);
        let text = *self.rng.pick(&["fine", "good", "bad", "dull", "doubtful"]);
        let prompt = task.get("prompt").and_then(Value::as_str).unwrap_or_default();
        let number = self.rng.below(3);
        let prompt = format!("write {file} {text}-{number}; {prompt}");
        task.insert("prompt".into(), json!(prompt));
        task.insert("workspace".into(), json!("worktree"));
        task.remove("cache");
        if self.rng.chance(800) {
            // Nothing is drawn for it, so that a seed makes the same workflow with and without judges.
            let is_judged = number > 0 && !self.without.contains(&Construct::Judges);
            let checks = match is_judged {
                true => json!({ "run": ["make test"], "judge": "judge" }),
                false => json!(["make test"]),
            };
            task.insert("checks".into(), checks);
        }
        let land = match self.rng.below(6) {
            0 => json!("no"),
            1 => json!("direct"),
            2 => json!({ "touches": [file], "keep-apart": true }),
            _ => return,
        };
        task.insert("land".into(), land);
    }
}
