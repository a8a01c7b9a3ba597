//! What attempts ask people, and what people tell agents at work.

use super::*;
use crate::{
    event::{AskKind, Message},
    id::{Epoch, MessageNumber, QuestionNumber, TaskName},
    permission::Action,
};

/// Lets the attempt of `task` ask whether it may run `command`, as question `number`.
fn wants(driven: &mut Driven, task: &str, number: u32, command: &str, expires_ms: Option<u64>) {
    let attempt = driven.started.iter().find(|key| key.task.as_str() == task).unwrap().clone();
    let action = Some(Box::new(Action::run("Bash", command)));
    let (question, message) = (QuestionNumber(number), format!("may it {command}?"));
    let expires_in = expires_ms.map(std::time::Duration::from_millis);
    driven.tell(Command::AskPerson { attempt, question, message, action, expires_in }).unwrap();
}

/// Says yes or no to question `number` of `task`.
fn says(driven: &mut Driven, task: &str, number: u32, verdict: Verdict, always: bool) {
    let reply = Reply::new(verdict, "ann").to(Some(QuestionNumber(number)));
    let reply = if always { reply.for_good() } else { reply };
    driven.signal(Signal::Reply { task: TaskName::new(task).unwrap(), reply });
}

/// The numbers of what `place` asks.
fn open(driven: &Driven, place: usize) -> Vec<u32> {
    let task = driven.run.task(place).unwrap();
    task.asks().map(|ask| ask.question.unwrap().0).collect()
}

/// What was answered since the last call, as `task:question:verdict`.
fn answered(driven: &mut Driven) -> Vec<String> {
    let effects = std::mem::take(&mut driven.asked);
    let told = effects.iter().map(|effect| match effect {
        Effect::AnswerAttempt { attempt, question, reply } => {
            format!("{}:{question}:{:?}", attempt.task, reply.verdict)
        }
        other => format!("{other:?}"),
    });
    told.collect()
}

fn refusals(driven: &Driven) -> Vec<String> {
    let refused = driven.log.iter().filter_map(|recorded| match &recorded.event {
        Event::SignalTaken { refused, .. } => refused.clone(),
        _ => None,
    });
    refused.collect()
}

#[test]
fn several_questions_of_one_attempt_are_answered_one_by_one() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    for number in 1..=3 {
        wants(&mut driven, "a", number, &format!("step {number}"), None);
    }
    assert_eq!(open(&driven, 0), [1, 2, 3]);
    let ask = driven.run.task(0).unwrap().ask().unwrap();
    assert_eq!((ask.kind, ask.message.as_str()), (AskKind::Permission, "may it step 1?"));
    let row = driven.run.task_row(0).unwrap();
    assert_eq!(row.asks().count(), 3);
    // Which one is meant has to be said.
    driven.reply("a", Verdict::Approved);
    assert_eq!(refusals(&driven), ["`a` asks several things, 1, 2, 3: say which"]);
    says(&mut driven, "a", 2, Verdict::Rejected("not that".into()), false);
    says(&mut driven, "a", 3, Verdict::Approved, false);
    assert_eq!(open(&driven, 0), [1]);
    driven.reply("a", Verdict::Approved);
    assert_eq!(
        answered(&mut driven),
        ["a:2:Rejected(\"not that\")", "a:3:Approved", "a:1:Approved"]
    );
    says(&mut driven, "a", 2, Verdict::Approved, false);
    assert_eq!(refusals(&driven).len(), 2);
    driven.check("a:running");
}

#[test]
fn questions_expire_each_at_its_time() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    wants(&mut driven, "a", 1, "first", Some(1_000));
    wants(&mut driven, "a", 2, "second", Some(990));
    wants(&mut driven, "a", 3, "third", Some(5_000));
    let at = driven.run.next_wake().unwrap();
    assert_eq!(driven.run.task(0).unwrap().asks().filter(|a| a.expires == Some(at)).count(), 2);
    says(&mut driven, "a", 1, Verdict::Approved, false);
    assert_eq!(driven.run.next_wake(), Some(at), "another one expires at that instant");
    driven.now = at.0;
    driven.tell(Command::Tick).unwrap();
    assert_eq!(open(&driven, 0), [3]);
    let attempt = driven.started[0].clone();
    driven.tell(Command::WithdrawQuestion { attempt, question: QuestionNumber(3) }).unwrap();
    assert_eq!(driven.run.next_wake(), None);
    assert_eq!(answered(&mut driven), ["a:1:Approved", "a:2:Expired"]);
    driven.check("a:running");
}

#[test]
fn what_was_answered_before_a_crash_is_known_after_it() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    wants(&mut driven, "a", 1, "first", None);
    wants(&mut driven, "a", 2, "second", None);
    says(&mut driven, "a", 1, Verdict::Approved, false);
    driven.run = Run::replay(&driven.log).unwrap();
    driven.started.clear();
    driven.tell(Command::recover(Epoch(2))).unwrap();
    let briefing = driven.run.briefing(0);
    assert_eq!(briefing.answers.len(), 1);
    assert_eq!(briefing.answers[0].call, Action::run("Bash", "first").call());
    assert!(!briefing.answers[0].noted);
    assert_eq!(briefing.open, [(Action::run("Bash", "second").call(), QuestionNumber(2))]);
    assert_eq!(briefing.questions, 2);
    // An agent that takes over has asked nothing.
    driven.fail("a", ErrorClass::Billing);
    driven.check("a:running");
    let briefing = driven.run.briefing(0);
    assert_eq!((briefing.answers.len(), briefing.open.len(), briefing.questions), (0, 0, 2));
}

#[test]
fn what_is_allowed_for_the_rest_of_the_run_is_not_asked_again() {
    let mut driven = Driven::new(json!({ "a": task(&[]), "b": task(&[]) }));
    wants(&mut driven, "a", 1, "make all", None);
    wants(&mut driven, "a", 2, "make $X", None);
    wants(&mut driven, "b", 1, "make all", None);
    says(&mut driven, "a", 2, Verdict::Approved, true);
    assert!(refusals(&driven)[0].contains("this once only"), "{:?}", refusals(&driven));
    says(&mut driven, "a", 1, Verdict::Rejected("no".into()), true);
    assert!(refusals(&driven)[1].contains("only a yes"), "{:?}", refusals(&driven));
    says(&mut driven, "a", 1, Verdict::Approved, true);
    // Whoever waits for the same need not wait any more.
    assert_eq!(answered(&mut driven), ["a:1:Approved", "b:1:Approved"]);
    let asked = driven.log.iter().filter(|r| r.event.kind() == "person-asked").count();
    wants(&mut driven, "b", 2, "make all", None);
    assert_eq!(answered(&mut driven), ["b:2:Approved"]);
    wants(&mut driven, "b", 3, "make all more", None);
    assert_eq!(answered(&mut driven), Vec::<String>::new());
    let after = driven.log.iter().filter(|r| r.event.kind() == "person-asked").count();
    assert_eq!(after, asked + 1);
    let allowed: Vec<String> = driven
        .run
        .allowances()
        .iter()
        .map(|allowed| {
            format!("{} {} {} {}", allowed.agent, allowed.rule, allowed.task, allowed.by)
        })
        .collect();
    assert_eq!(allowed, ["one run(make all) a ann"]);
    // It holds for the agent that asked alone.
    driven.fail("b", ErrorClass::Billing);
    wants(&mut driven, "b", 4, "make all", None);
    assert_eq!(open(&driven, 1), [4]);
    driven.check("a:running b:running");
}

fn say(task: &str, text: &str) -> Signal {
    Signal::Say { task: TaskName::new(task).unwrap(), text: text.into() }
}

#[test]
fn messages_reach_an_agent_that_listens_and_are_kept_until_it_has_them() {
    let document = json!({ "name": "w", "tasks": { "a": task(&[]), "b": task(&["a"]) } });
    let mut driven = Driven::with(document, &["listens"]);
    driven.signal(say("a", "hurry"));
    let text = Some("the other file".to_owned());
    driven.signal(Signal::Interrupt { task: TaskName::new("a").unwrap(), text: text.clone() });
    let message = |number, text: Option<&str>, interrupts| Message {
        number: MessageNumber(number),
        text: text.map(str::to_owned),
        interrupts,
    };
    let (first, second) = (message(1, Some("hurry"), false), message(2, text.as_deref(), true));
    let attempt = driven.started[0].clone();
    let given = |message: &Message| Effect::SteerAttempt {
        attempt: attempt.clone(),
        message: message.clone(),
    };
    assert_eq!(driven.asked, [given(&first), given(&second)]);
    let number = MessageNumber(1);
    for _ in 0..2 {
        driven.tell(Command::NoteDelivery { attempt: attempt.clone(), number }).unwrap();
    }
    let delivered =
        |d: &Driven| d.log.iter().filter(|r| r.event.kind() == "message-delivered").count();
    assert_eq!(delivered(&driven), 1);
    driven.run = Run::replay(&driven.log).unwrap();
    driven.started.clear();
    driven.tell(Command::recover(Epoch(2))).unwrap();
    assert_eq!(driven.run.briefing(0).messages, [second]);
    driven.signal(say("b", "too early"));
    driven.signal(say("a", "  "));
    driven.signal(say("a", &"x".repeat(Content::INLINE_LIMIT + 1)));
    driven.signal(say("nobody", "x"));
    driven.answer("a", json!(1));
    driven.signal(say("a", "too late"));
    let expected = ["has not begun", "between 1 and", "between 1 and", "no task", "has succeeded"];
    let refused = refusals(&driven);
    assert_eq!(refused.len(), expected.len());
    for (refused, expected) in refused.iter().zip(expected) {
        assert!(refused.contains(expected), "{refused}");
    }
    assert_eq!(driven.run.task(0).unwrap().messages()[1].delivered, None);
    driven.check("a:succeeded b:running");
    for _ in 0..110 {
        driven.signal(say("b", "again and again"));
    }
    assert!(refusals(&driven).last().unwrap().contains("100 messages wait"));
}

#[test]
fn messages_to_an_agent_that_does_not_listen_are_refused() {
    let mut driven = Driven::new(json!({ "a": task(&[]) }));
    driven.signal(say("a", "hurry"));
    driven.signal(Signal::Interrupt { task: TaskName::new("a").unwrap(), text: None });
    let refused = refusals(&driven);
    assert_eq!(refused.len(), 2);
    assert!(refused[0].contains("agent `one`, which is at work on `a`, runs on `test`"));
    assert!(driven.run.task(0).unwrap().messages().is_empty());
    driven.check("a:running");
}
