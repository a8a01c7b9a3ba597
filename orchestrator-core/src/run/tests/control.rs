//! Pausing, stopping one task, time limits, the journal, questions.

use super::*;
use crate::{
    error::ErrorClass,
    event::{Turn, Verdict},
    id::{QuestionNumber, TurnNumber},
};

fn turn(number: u32, usd: i64) -> Box<Turn> {
    let spend = crate::usage::Spend {
        provider: ProviderName::new("p").unwrap(),
        model: "m".into(),
        requests: 1,
        usage: Default::default(),
        cost: Some(crate::money::MicroUsd(usd.try_into().unwrap())),
    };
    Box::new(Turn {
        number: TurnNumber(number),
        kind: "model".into(),
        name: "m".into(),
        input: format!("in{number}"),
        output: Content::Inline(json!(number)),
        spend: vec![spend],
    })
}

#[test]
fn a_pause_lets_what_runs_finish_and_starts_nothing() {
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&["a"]) }));
    driven.signal(Signal::Pause { now: false });
    assert!(driven.stopped.is_empty());
    driven.answer("a", json!(1));
    driven.check("a:succeeded b:ready");
    assert_eq!((driven.run.status(), driven.run.resting()), (RunStatus::Paused, true));
    driven.run = Run::replay(&driven.log).unwrap();
    assert_eq!(driven.run.status(), RunStatus::Paused);
    driven.tell(Command::recover(Epoch(2))).unwrap();
    driven.check("a:succeeded b:ready");
    driven.signal(Signal::Resume {});
    driven.check("a:succeeded b:running");
}

#[test]
fn a_pause_that_does_not_wait_stops_attempts_that_go_on_later() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    let attempt = driven.started[0].clone();
    driven.tell(Command::RecordTurn { attempt: attempt.clone(), turn: turn(1, 5) }).unwrap();
    driven.signal(Signal::Pause { now: true });
    assert_eq!(driven.stopped, ["a"]);
    driven.fail("a", ErrorClass::Cancelled);
    driven.check("a:waiting");
    driven.signal(Signal::Resume {});
    driven.check("a:running");
    let briefing = driven.run.briefing(0);
    assert_eq!((briefing.journal.len(), briefing.first_attempt.0), (1, 1));
    assert_eq!(driven.run.cost().known.0, 5);
}

#[test]
fn signals_are_taken_once_and_refused_with_a_reason() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    driven.signal(Signal::Pause { now: false });
    let again = Command::Signal { number: 1, signal: Signal::Resume {} };
    assert_eq!(driven.tell(again), Err(Rejected::Late));
    assert_eq!(driven.run.status(), RunStatus::Paused);
    let reply = crate::event::Reply::new(Verdict::Approved, "ann");
    for (signal, part) in [
        (Signal::Pause { now: false }, "paused already"),
        (Signal::Kill { task: TaskName::new("zz").unwrap(), reason: String::new() }, "no task"),
        (Signal::Reply { task: TaskName::new("a").unwrap(), reply }, "nobody is asked"),
    ] {
        driven.signal(signal);
        let Event::SignalTaken { refused: Some(why), .. } = &driven.log.last().unwrap().event
        else {
            panic!("it was taken");
        };
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn another_budget_tries_again_what_the_budget_stopped_and_nothing_else() {
    let tasks = json!({ "a": task(&[]), "b": task(&[]), "c": task(&["a", "b"]) });
    let mut driven = Driven::new(tasks);
    driven.fail("a", ErrorClass::OverBudget);
    driven.fail("b", ErrorClass::Auth);
    driven.check("a:waiting b:waiting c:pending");
    let before = driven.run.run_row().budget;
    driven.signal(Signal::Budget { usd: None });
    driven.check("a:running b:waiting c:pending");
    assert_eq!(driven.run.run_row().budget, before);
    driven.fail("a", ErrorClass::OverBudget);
    driven.signal(Signal::Budget { usd: Some(MicroUsd(7)) });
    driven.check("a:running b:waiting c:pending");
    assert_eq!(driven.run.run_row().budget, Some(MicroUsd(7)));
    driven.answer("a", json!(1));
    driven.check("a:succeeded b:waiting c:pending");
    driven.check_replay();
}

/// Fails what is under way of `a` by a budget that is renewed at 5 s of each 5 s.
fn fail_until_renewed(driven: &mut Driven) {
    let attempt = driven.attempt("a");
    let renewed = Timestamp(driven.now - driven.now % 5_000 + 5_000);
    let failure = Failure::new(ErrorClass::OverBudget, "used up").retry_at(renewed);
    driven.tell(Command::FailAttempt { attempt, failure }).unwrap();
    driven.check("a:waiting");
}

#[test]
fn a_budget_that_is_renewed_lets_go_on_then_or_as_soon_as_somebody_says_so() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    fail_until_renewed(&mut driven);
    let ask = driven.run.task(0).unwrap().ask().unwrap();
    assert_eq!(ask.expires, Some(Timestamp(5_000)));
    let why = driven.run.why("a", Timestamp(4_000)).unwrap();
    let told = why.because.told(Timestamp(4_000));
    assert!(told.starts_with("it waits for the budget until 1970-01-01T00:00:05"), "{told}");
    assert_eq!(driven.run.next_wake(), Some(Timestamp(5_000)));
    driven.now = 4_980;
    driven.tell(Command::Tick).unwrap();
    driven.check("a:waiting");
    driven.tell(Command::Tick).unwrap();
    driven.check("a:running");
    // It is not renewed yet after all; a person has raised it.
    fail_until_renewed(&mut driven);
    driven.reply("a", Verdict::Approved);
    driven.check("a:running");
    fail_until_renewed(&mut driven);
    driven.signal(Signal::Budget { usd: None });
    driven.check("a:running");
    fail_until_renewed(&mut driven);
    driven.reply("a", Verdict::Rejected("no".into()));
    driven.check("a:failed");
}

#[test]
fn what_a_lost_attempt_has_spent_is_counted_when_it_is_known() {
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&[]) }));
    let attempt = driven.started[0].clone();
    driven.tell(Command::RecordTurn { attempt, turn: turn(1, 5) }).unwrap();
    let lost = driven.run.attempts_under_way();
    let lost: Vec<_> = lost.iter().map(|it| (it.task.as_str(), it.provider.as_str())).collect();
    assert_eq!(lost, [("a", "test"), ("b", "test")]);
    let lines = turn(1, 40).spend;
    let spent = [("a", lines.clone()), ("z", lines)];
    let spent = spent.map(|(task, lines)| (TaskName::new(task).unwrap(), lines)).into();
    driven.tell(Command::Recover { lease: Epoch(2), spent }).unwrap();
    driven.check("a:running b:running");
    let cost = |place| driven.run.task(place).unwrap().cost().known.0;
    assert_eq!((cost(0), cost(1), driven.run.cost().known.0), (45, 0, 45));
}

#[test]
fn one_task_is_stopped_and_the_others_go_on() {
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&["a"]), "c": task(&[]) }));
    let kill = |task: &str| Signal::Kill { task: TaskName::new(task).unwrap(), reason: "x".into() };
    driven.signal(kill("a"));
    assert_eq!(driven.stopped, ["a"]);
    driven.fail("a", ErrorClass::Cancelled);
    driven.check("a:cancelled b:skipped c:running");
    driven.answer("c", json!(1));
    assert_eq!(driven.run.status(), RunStatus::Failed);
    driven.check_replay();
}

#[test]
fn a_task_and_a_run_may_take_only_so_long() {
    let mut driven = Driven::new(json!({
        "a": { "agent": "x", "prompt": "x", "timeout": { "task": "1m" } }, "b": task(&["a"]),
    }));
    driven.now = driven.run.next_wake().unwrap().0;
    driven.tell(Command::Tick).unwrap();
    assert_eq!(driven.stopped, ["a"]);
    driven.fail("a", ErrorClass::Cancelled);
    driven.check("a:failed b:skipped");

    let tasks = json!({ "a": task(&[]), "b": task(&["a"]) });
    let document = json!({ "name": "w", "timeout": "1m", "tasks": tasks });
    let mut driven = Driven::with(document, &["one"]);
    driven.now = driven.run.next_wake().unwrap().0;
    driven.tell(Command::Tick).unwrap();
    driven.check("a:running b:skipped");
    driven.fail("a", ErrorClass::Cancelled);
    assert_eq!(driven.run.status(), RunStatus::Failed);
    driven.check_replay();
}

#[test]
fn turns_outlive_a_crash_but_not_another_beginning() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    for number in 1..=3 {
        let attempt = driven.started[0].clone();
        driven.tell(Command::RecordTurn { attempt, turn: turn(number, 2) }).unwrap();
    }
    let attempt = driven.started[0].clone();
    let again = Command::RecordTurn { attempt: attempt.clone(), turn: turn(3, 2) };
    assert_eq!(driven.tell(again), Err(Rejected::Late));
    driven.tell(Command::KnowSession { attempt, session: "s".into() }).unwrap();
    driven.run = Run::replay(&driven.log).unwrap();
    driven.started.clear();
    driven.tell(Command::recover(Epoch(2))).unwrap();
    let briefing = driven.run.briefing(0);
    assert_eq!((briefing.journal.len(), briefing.session.as_deref()), (3, Some("s")));
    assert_eq!(briefing.first_attempt.0, 1);
    let attempt = driven.started[0].clone();
    driven.tell(Command::CutJournal { attempt, from: TurnNumber(2) }).unwrap();
    assert_eq!(driven.run.briefing(0).journal.len(), 1);
    driven.check_replay();
    driven.fail("a", ErrorClass::BadOutput);
    driven.now += 1_000_000;
    driven.tell(Command::Tick).unwrap();
    let briefing = driven.run.briefing(0);
    assert_eq!((briefing.journal.len(), briefing.feedback.len()), (0, 1));
    assert_eq!(driven.run.cost().known.0, 6);
}

#[test]
fn a_question_is_asked_once_and_answered_once() {
    let ask = |driven: &mut Driven| {
        let attempt = driven.started[0].clone();
        let (question, message) = (QuestionNumber(1), "which?".to_owned());
        let (action, expires_in) = (None, None);
        driven.tell(Command::AskPerson { attempt, question, message, action, expires_in }).unwrap();
    };
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    ask(&mut driven);
    let asked = driven.log.len();
    driven.run = Run::replay(&driven.log).unwrap();
    driven.started.clear();
    driven.tell(Command::recover(Epoch(2))).unwrap();
    ask(&mut driven);
    let questions = |d: &Driven| d.log.iter().filter(|r| r.event.kind() == "person-asked").count();
    assert_eq!((questions(&driven), driven.log.len() > asked), (1, true));
    driven.reply("a", Verdict::Answered("the left".into()));
    assert!(matches!(&driven.asked[..], [Effect::AnswerAttempt { .. }]));
    driven.check("a:running");
    let briefing = driven.run.briefing(0);
    assert_eq!(briefing.answers[0].reply.verdict, Verdict::Answered("the left".into()));
    driven.answer("a", json!(1));
    assert_eq!(driven.run.status(), RunStatus::Succeeded);
}

#[test]
fn what_only_a_person_can_mend_waits_for_one() {
    let mut driven = Driven::with(json!({ "name": "w", "tasks": { "a": task(&[]) } }), &["one"]);
    driven.fail("a", ErrorClass::Billing);
    driven.check("a:waiting");
    assert_eq!(driven.run.status(), RunStatus::Waiting);
    driven.reply("a", Verdict::Answered("paid, go on".into()));
    driven.check("a:running");
    assert_eq!(driven.run.briefing(0).feedback[0].message, "paid, go on");
    driven.fail("a", ErrorClass::Auth);
    driven.reply("a", Verdict::Rejected("no".into()));
    assert_eq!(driven.run.status(), RunStatus::Failed);
    driven.check_replay();
}
