//! Random workflows of every construct, random fates, random people.

use super::*;
use crate::{error::ErrorClass, task::TaskStatus};
use proptest::prelude::*;

/// One task of a random workflow.
#[derive(Debug, Clone)]
struct Kind {
    construct: u8,
    harmless: bool,
    needs: Vec<usize>,
}

fn kinds() -> impl Strategy<Value = Vec<Kind>> {
    let kind = (0u8..10, any::<bool>(), prop::collection::vec(0usize..9, 0..4));
    prop::collection::vec(kind, 2..9).prop_map(|kinds| {
        let kinds = kinds.into_iter().enumerate();
        kinds
            .map(|(i, (construct, harmless, needs))| {
                let needs = needs.into_iter().filter(|need| *need < i).collect();
                Kind { construct, harmless, needs }
            })
            .collect()
    })
}

fn document(kinds: &[Kind], sequential: bool, limit: bool) -> Value {
    let mut tasks = serde_json::Map::new();
    for (i, kind) in kinds.iter().enumerate() {
        let needs: Vec<String> = kind.needs.iter().map(|need| format!("t{need}")).collect();
        let mut task = json!({ "needs": needs, "agent": "x", "prompt": "x",
            "on-failure": if kind.harmless { "continue" } else { "fail" },
            "retry": { "max-attempts": 2 } });
        let mut set = |key: &str, value: Value| task[key] = value;
        match kind.construct {
            0 => set("for-each", json!("[1, 2, 3]")),
            1 => set("delay", json!("5s")),
            2 => set("compensate", json!({ "agent": "x", "prompt": "undo" })),
            3 => set("retry", json!("never-repeat")),
            4 => set("timeout", json!({ "task": "90s" })),
            5 => {
                task =
                    json!({ "needs": needs, "approval": { "message": "?", "expires-in": "1h" } });
            }
            6 => task = json!({ "needs": needs, "workflow": "other" }),
            7 => set("when", json!("inputs.x == null || true")),
            8 if kind.needs.first().is_some_and(|need| kinds[*need].construct != 5) => {
                let target = format!("t{}", kind.needs[0]);
                let unless = format!("tasks.t{i}.output.n > 3");
                set("revise", json!({ "task": target, "unless": unless, "max": 2 }));
            }
            _ => {}
        }
        tasks.insert(format!("t{i}"), task);
    }
    // Somebody must be able to undo something before a task may ask for it.
    let undoable = kinds.iter().any(|kind| kind.construct == 2);
    if let Some(last) = tasks.values_mut().rfind(|t| undoable && t.get("prompt").is_some()) {
        last["on-failure"] = json!("compensate");
    }
    let mode = if sequential { "sequential" } else { "parallel" };
    let inputs = json!({ "x": { "type": "string" } });
    let mut document = json!({ "name": "w", "mode": mode, "inputs": inputs, "tasks": tasks,
        "max-parallel": 3, "then": { "on": "always", "workflow": "other" } });
    if limit {
        document["timeout"] = json!("10m");
    }
    document
}

impl Driven {
    fn verdict(n: u8) -> Verdict {
        match n % 4 {
            0 => Verdict::Rejected("no".into()),
            1 => Verdict::Answered("{}".into()),
            _ => Verdict::Approved,
        }
    }

    /// Whatever asks for something gets it: a person's word, a child's end, a chain's start.
    fn serve(&mut self, fate: u8) -> bool {
        if let Some(effect) = self.asked.pop() {
            match effect {
                Effect::AttendChild { child: run, .. } => {
                    let status = match fate % 5 {
                        0 => RunStatus::Failed,
                        1 => RunStatus::Cancelled,
                        _ => RunStatus::Succeeded,
                    };
                    let output = Content::Inline(json!({ "n": fate }));
                    let _ = self.tell(Command::EndChild { run, status, output, reason: None });
                }
                Effect::StartChain { run, .. } => {
                    let _ = self.tell(Command::EndChain { run, failure: None });
                }
                _ => {}
            }
            return true;
        }
        let asked = self.run.tasks().find(|task| task.ask().is_some()).map(|task| task.name());
        match asked {
            Some(task) => {
                self.reply(task.as_str(), Self::verdict(fate));
                true
            }
            None => false,
        }
    }

    fn recover(&mut self) {
        self.run = Run::replay(&self.log).unwrap();
        self.started.clear();
        self.asked.clear();
        self.tell(Command::recover(Epoch(2))).unwrap();
    }
}

const CLASSES: [ErrorClass; 8] = [
    ErrorClass::Transient,
    ErrorClass::InvalidRequest,
    ErrorClass::RateLimited,
    ErrorClass::Billing,
    ErrorClass::BadOutput,
    ErrorClass::ContextOverflow,
    ErrorClass::TimedOut,
    ErrorClass::NoProgress,
];

/// So many cases, unless the environment says how many.
fn cases(usual: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(usual),
    }
}

proptest! {
    #![proptest_config(cases(150))]

    /// Whatever happens: no dependent starts before its needs, the limit holds, replay equals live
    /// at every step, and every run ends.
    #[test]
    fn every_run_ends_and_replays(
        kinds in kinds(),
        fates in prop::collection::vec(any::<u8>(), 300),
        sequential in any::<bool>(),
        limit in any::<bool>(),
    ) {
        let mut driven = Driven::with(document(&kinds, sequential, limit), &["one", "two"]);
        for fate in fates.iter().cycle().take(1_500) {
            if driven.run.status().is_final() {
                break;
            }
            prop_assert!(driven.run.running() <= 3);
            match fate {
                0..=9 => driven.recover(),
                10 | 11 => driven.signal(Signal::Pause { now: *fate == 10 }),
                12 => {
                    let running = driven.run.tasks().find(|t| t.status() == TaskStatus::Running);
                    if let Some(task) = running.map(|task| task.name()) {
                        driven.signal(Signal::Kill { task, reason: "x".into() });
                    }
                }
                13 if driven.now.is_multiple_of(3) => {
                    driven.signal(Signal::Cancel { reason: "x".into() });
                }
                _ => {}
            }
            if let Some(stopped) = driven.stopped.pop() {
                if driven.started.iter().any(|key| key.task.as_str() == stopped) {
                    driven.fail(&stopped, ErrorClass::Cancelled);
                }
            } else if let Some(key) = driven.started.first() {
                let name = key.task.to_string();
                match fate {
                    20..=60 => driven.fail(&name, CLASSES[usize::from(fate % 8)]),
                    _ => driven.answer(&name, json!({ "n": fate % 8 })),
                }
            } else if driven.serve(*fate) {
            } else if let Some(due) = driven.run.next_wake() {
                driven.now = driven.now.max(due.0);
                driven.tell(Command::Tick).unwrap();
            } else if driven.run.status() == RunStatus::Paused {
                driven.signal(Signal::Resume {});
            } else if !driven.run.status().is_final() {
                prop_assert!(false, "nothing runs, nothing is due: {}", driven.run.snapshot());
            }
            driven.check_replay();
        }
        prop_assert!(driven.run.status().is_final(), "{}", driven.run.snapshot());
    }
}
