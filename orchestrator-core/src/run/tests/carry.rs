//! What one run has done, as the beginning of another.

use super::*;

fn all(_: &TaskName) -> bool {
    true
}

/// `Kind task` of each event.
fn shape(events: &[Event]) -> Vec<String> {
    let shape = |event: &Event| format!("{} {}", event.kind(), event.task().unwrap());
    events.iter().map(shape).collect()
}

/// The definition of another with these tasks.
fn workflow(tasks: Value) -> Workflow {
    Workflow::parse(&json!({ "name": "w", "tasks": tasks, "max-parallel": 2 })).unwrap()
}

/// A new run of `into` that begins with `seed`.
fn begun(from: &Run, into: Workflow, seed: Vec<Event>) -> Driven {
    let agents: Vec<AgentName> =
        ["one", "two"].iter().map(|name| AgentName::new(name).unwrap()).collect();
    let binding = |task: &crate::task::TaskSpec| Binding {
        task: task.name.clone(),
        agents: agents.clone(),
        undo: agents.clone(),
        judges: Vec::new(),
    };
    let bindings = into.tasks.iter().map(binding).collect();
    let start = StartRun { seed, ..StartRun::new(Arc::new(into)) };
    let (run, log) = Run::create(
        RunId::new("r_2").unwrap(),
        start,
        bindings,
        from.created().agents.clone(),
        Moment { now: Timestamp(1_000_000), draw: 0 },
        &mut Open,
    )
    .unwrap();
    let mut driven = Driven {
        run,
        log,
        now: 1_000_000,
        started: Vec::new(),
        stopped: Vec::new(),
        asked: Vec::new(),
    };
    driven.collect();
    driven
}

/// Three in a row, of which the last has failed.
fn failed_chain() -> (Value, Driven) {
    let mut tasks = json!({ "a": task(&[]), "b": task(&["a"]), "c": task(&["b"]) });
    tasks["c"]["retry"] = json!({ "max-attempts": 1 });
    let mut driven = Driven::new(tasks.clone());
    driven.answer("a", json!("A"));
    driven.answer("b", json!("B"));
    driven.fail("c", ErrorClass::Refused);
    assert_eq!(driven.run.status(), RunStatus::Failed);
    (tasks, driven)
}

#[test]
fn what_succeeded_is_taken_over_and_the_rest_is_done() {
    let (tasks, driven) = failed_chain();
    let seed = driven.run.carry(&workflow(tasks.clone()), &all);
    assert_eq!(shape(&seed), ["task-carried a", "task-carried b"]);
    let mut again = begun(&driven.run, workflow(tasks), seed);
    again.check("a:succeeded b:succeeded c:running");
    assert_eq!(again.run.task(0).unwrap().output(), driven.run.task(0).unwrap().output());
    again.answer("c", json!("C"));
    assert_eq!(again.run.status(), RunStatus::Succeeded);
    again.check_replay();
    // Taken over once more, it still names the run that did it.
    let Event::TaskCarried { from, .. } = &again.run.carry(&driven.run.created().workflow, &all)[0]
    else {
        panic!("`a` is carried")
    };
    assert_eq!(from.as_str(), "r_1");
}

#[test]
fn what_changed_or_is_not_kept_is_done_again_with_all_that_follows() {
    let (tasks, driven) = failed_chain();
    let carried = |change: &dyn Fn(&mut Value), keep: &dyn Fn(&TaskName) -> bool| {
        let mut tasks = tasks.clone();
        change(&mut tasks);
        shape(&driven.run.carry(&workflow(tasks), keep))
    };
    assert_eq!(carried(&|_| {}, &|task| task.as_str() != "a"), Vec::<String>::new());
    assert_eq!(carried(&|_| {}, &|task| task.as_str() != "b"), ["task-carried a"]);
    assert_eq!(carried(&|t| t["b"]["prompt"] = json!("y"), &all), ["task-carried a"]);
    assert_eq!(carried(&|t| t["a"]["prompt"] = json!("y"), &all), Vec::<String>::new());
    assert_eq!(carried(&|t| t["c"]["prompt"] = json!("y"), &all).len(), 2);
    // A new task before `b` makes it another task.
    let before = |t: &mut Value| {
        t["n"] = task(&[]);
        t["b"]["needs"] = json!(["a", "n"]);
    };
    assert_eq!(carried(&before, &all), ["task-carried a"]);
    let gone = |t: &mut Value| {
        t.as_object_mut().unwrap().remove("c");
    };
    assert_eq!(carried(&gone, &all).len(), 2);
}

fn each() -> Value {
    json!({ "each": { "agent": "x", "prompt": "x", "for-each": "[1, 2, 3]",
                      "retry": { "max-attempts": 1 } },
            "join": task(&["each"]) })
}

#[test]
fn items_that_succeeded_are_not_done_again() {
    let mut driven = Driven::new(each());
    driven.answer("each:0", json!("zero"));
    driven.fail("each:1", ErrorClass::Refused);
    driven.answer("each:2", json!("two"));
    assert_eq!(driven.run.status(), RunStatus::Failed);
    let seed = driven.run.carry(&workflow(each()), &all);
    assert_eq!(shape(&seed), ["task-expanded each", "task-carried each:0", "task-carried each:2"]);
    let mut again = begun(&driven.run, workflow(each()), seed);
    again.check("each:running join:pending each:0:succeeded each:1:running each:2:succeeded");
    again.answer("each:1", json!("one"));
    let scope = again.run.sight(1).scope(&Loaded::new()).unwrap();
    assert_eq!(scope["tasks"]["each"]["output"], json!(["zero", "one", "two"]));
    again.check_replay();
}

#[test]
fn a_list_that_is_done_is_taken_over_with_its_items() {
    let mut driven = Driven::new(each());
    for item in ["each:0", "each:1", "each:2"] {
        driven.answer(item, json!(item));
    }
    driven.fail("join", ErrorClass::Refused);
    let seed = driven.run.carry(&workflow(each()), &all);
    assert_eq!(seed.len(), 5);
    let again = begun(&driven.run, workflow(each()), seed);
    again.check("each:succeeded join:running each:0:succeeded each:1:succeeded each:2:succeeded");
    let not_one = |task: &TaskName| task.as_str() != "each:1";
    let seed = driven.run.carry(&workflow(each()), &not_one);
    let again = begun(&driven.run, workflow(each()), seed);
    again.check("each:running join:pending each:0:succeeded each:1:running each:2:succeeded");
    let not_each = |task: &TaskName| task.as_str() != "each";
    assert_eq!(driven.run.carry(&workflow(each()), &not_each), []);
}

#[test]
fn a_list_without_items_is_taken_over() {
    let mut tasks = each();
    tasks["each"]["for-each"] = json!("[]");
    let mut driven = Driven::new(tasks.clone());
    driven.fail("join", ErrorClass::Refused);
    let seed = driven.run.carry(&workflow(tasks.clone()), &all);
    assert_eq!(shape(&seed), ["task-expanded each", "task-carried each"]);
    begun(&driven.run, workflow(tasks), seed).check("each:succeeded join:running");
}

#[test]
fn what_was_undone_is_done_again() {
    let undone = json!({
        "a": { "agent": "x", "prompt": "x", "compensate": { "agent": "x", "prompt": "undo" } },
        "b": { "agent": "x", "prompt": "x" },
        "c": { "agent": "x", "prompt": "x", "needs": ["a", "b"], "on-failure": "compensate" },
    });
    let mut driven = Driven::new(undone.clone());
    driven.answer("a", json!(1));
    driven.answer("b", json!(1));
    driven.fail("c", ErrorClass::Refused);
    driven.answer("a:undo", json!(1));
    assert_eq!(driven.run.status(), RunStatus::Failed);
    assert_eq!(shape(&driven.run.carry(&workflow(undone), &all)), ["task-carried b"]);
}

#[test]
fn tasks_that_were_added_come_with_who_added_them() {
    let document = json!({ "name": "w", "mode": "hierarchical", "max-parallel": 2,
        "tasks": { "lead": { "agent": "x", "prompt": "x" }, "last": { "agent": "x", "prompt": "x" } } });
    let mut driven = Driven::with(document.clone(), &["one", "two"]);
    let attempt = driven.attempt("lead");
    let spec = |name: &str, needs: &[&str]| {
        let kind = crate::task::TaskKind::Agent { agent: "one".into(), prompt: "x".into() };
        let mut spec = crate::task::TaskSpec::new(TaskName::new(name).unwrap(), kind);
        spec.needs = needs.iter().map(|need| TaskName::new(need).unwrap()).collect();
        spec
    };
    let tasks = vec![spec("more", &[]), spec("most", &["more"])];
    let one = AgentName::new("one").unwrap();
    let bindings =
        tasks.iter().map(|task| Binding::new(task.name.clone(), vec![one.clone()])).collect();
    let added = Some(Box::new(crate::command::Added { tasks, bindings, agents: Vec::new() }));
    let output = Content::Inline(json!("plan"));
    let (spend, artifacts) = (Vec::new(), Vec::new());
    driven
        .tell(Command::FinishAttempt { attempt, output, spend, artifacts, cached: None, added })
        .unwrap();
    driven.answer("more", json!("M"));
    driven.fail("most", ErrorClass::Refused);
    driven.answer("last", json!("L"));
    assert_eq!(driven.run.status(), RunStatus::Failed);
    let into = || Workflow::parse(&document).unwrap();
    let seed = driven.run.carry(&into(), &all);
    assert_eq!(
        shape(&seed),
        ["tasks-added lead", "task-carried lead", "task-carried last", "task-carried more"]
    );
    let mut again = begun(&driven.run, into(), seed);
    again.check("lead:succeeded last:succeeded more:succeeded most:running");
    again.answer("most", json!("done"));
    assert_eq!(again.run.status(), RunStatus::Succeeded);
    again.check_replay();
    // Who plans again adds again.
    let not_lead = |task: &TaskName| task.as_str() != "lead";
    assert_eq!(driven.run.carry(&into(), &not_lead), []);
    // A definition with a task of that name cannot take the added one.
    let mut clash = document.clone();
    clash["tasks"]["more"] = json!({ "agent": "x", "prompt": "x" });
    let clash = Workflow::parse(&clash).unwrap();
    assert_eq!(driven.run.carry(&clash, &all), []);
}
