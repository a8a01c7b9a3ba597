//! Sessions that go on, and what is said in between.

use super::{Room, uuid};
use orchestrator_agents::coding::{Decision, Event, Order, Reach, Start, Step, Verdict};
use orchestrator_core::error::ErrorClass;
use orchestrator_testkit::model_server::Reply;
use std::fs;

pub(super) fn resumed_and_forked(room: &Room) {
    room.server.next(Reply::text("One."));
    let first = room.play(&room.order());
    first.done();
    let session = first.session();
    room.server.next(Reply::text("Two."));
    let start = Start::Resume(session.clone());
    let second = room.play(&Order { start, prompt: "and now?".into(), ..room.order() });
    assert_eq!(second.done().text.as_deref(), Some("Two."));
    assert_eq!(second.session(), session);
    assert!(room.requests()[1].body.to_string().contains("One."));
    room.server.next(Reply::text("Three."));
    let start = Start::Fork { of: session.clone(), id: uuid(2) };
    let third = room.play(&Order { start, prompt: "otherwise?".into(), ..room.order() });
    assert_eq!(third.done().text.as_deref(), Some("Three."));
    assert_ne!(third.session(), session);
    assert!(room.requests()[2].body.to_string().contains("Two."));
    // All that came before is in its count.
    assert_eq!([first.input(), second.input(), third.input()], [100, 200, 300]);
}

pub(super) fn resumed_and_forked_when_asked(room: &Room) {
    room.server.next(Reply::text("One."));
    let first = room.play(&Order { live: true, ..room.order() });
    first.done();
    let session = first.session();
    room.server.next(Reply::text("Two."));
    let start = Start::Resume(session.clone());
    let second = room.play(&Order { start, live: true, ..room.order() });
    assert_eq!(second.done().text.as_deref(), Some("Two."));
    assert_eq!(second.session(), session);
    room.server.next(Reply::text("Three."));
    let start = Start::Fork { of: session.clone(), id: uuid(2) };
    let third = room.play(&Order { start, live: true, ..room.order() });
    assert_eq!(third.done().text.as_deref(), Some("Three."));
    assert_ne!(third.session(), session);
    assert_eq!([first.input(), second.input(), third.input()], [100, 200, 300]);
    third.is_known();
}

pub(super) fn a_session_that_it_does_not_know(room: &Room) {
    let ways: &[bool] = if room.both() { &[false, true] } else { &[room.live] };
    for &live in ways {
        let start = Start::Resume("01a1fbd0-0000-7401-ad68-f2ac9bc05152".into());
        let played = room.play(&Order { start, live, ..room.order() });
        let class = match &played.verdict {
            Verdict::Silent => room.adapter.diagnose(played.exit, &played.stderr).unwrap().class,
            Verdict::Done(_) | Verdict::Failed(_) => played.failed(),
        };
        // Either of which makes the base begin a new session.
        let is_lost = matches!(class, ErrorClass::InvalidRequest | ErrorClass::Crashed);
        assert!(is_lost, "{class:?}: {}", played.about());
        assert!(!played.events().any(|event| matches!(event, Event::Session { .. })));
    }
}

pub(super) fn interrupted_and_told_something_else(room: &Room) {
    room.server.next(Reply::text("This never ends").hang_after(0));
    room.server.next(Reply::text("Then that."));
    let mut interrupted = false;
    let order = Order { live: true, ..room.order() };
    let played = room.play_with(&order, &mut |dialogue, _| {
        if interrupted || room.requests().is_empty() {
            return Vec::new();
        }
        let Some(mut steps) = dialogue.interrupt() else { return Vec::new() };
        interrupted = true;
        steps.extend(dialogue.say("do that instead").unwrap());
        steps
    });
    assert!(interrupted);
    assert_eq!(played.done().text.as_deref(), Some("Then that."), "{}", played.about());
    let requests = room.requests();
    assert!(requests[1].body.to_string().contains("do that instead"));
}

pub(super) fn told_more_while_it_works(room: &Room) {
    room.server.next(room.shell("sleep 1"));
    room.server.next(Reply::text("Both are done."));
    room.server.otherwise(Reply::text("Both are done."));
    let reach = Reach { edit: true, run: true, network: false };
    let order = Order { live: true, reach, ..room.order() };
    let played = room.play_with(&order, &mut |dialogue, steps| {
        let mut more = Vec::new();
        for step in steps {
            match step {
                Step::Said(Event::ToolStarted { .. }) => {
                    more.extend(dialogue.say("and mind the marked thing").unwrap());
                }
                Step::Said(Event::Permission { id, .. }) => {
                    more.extend(dialogue.answer(id, &Decision::Allow));
                }
                Step::Said(_) | Step::Write(_) | Step::Close | Step::GiveUp(_) => {}
            }
        }
        more
    });
    assert_eq!(played.done().text.as_deref(), Some("Both are done."));
    let told = room
        .requests()
        .iter()
        .skip(1)
        .any(|request| request.body.to_string().contains("and mind the marked thing"));
    assert!(told, "{}", played.about());
}

pub(super) fn resumed(room: &Room) {
    room.server.next(Reply::text("One."));
    let first = room.play(&room.order());
    first.done();
    let session = first.session();
    age_sessions(room);
    room.server.next(Reply::text("Two."));
    let start = Start::Resume(session.clone());
    let second = room.play(&Order { start, prompt: "and now?".into(), ..room.order() });
    assert_eq!(second.done().text.as_deref(), Some("Two."), "{}", second.about());
    assert_eq!(second.session(), session);
    assert!(room.requests()[1].body.to_string().contains("One."));
    second.is_known();
}

/// Gemini CLI, asked by its protocol, spoils a session that it loads in the minute in which it began:
/// the minute is the name of the file. So these began some time ago.
fn age_sessions(room: &Room) {
    if !(room.is("gemini-cli") && room.live) {
        return;
    }
    let chats = room.order().home.join(".gemini/tmp").join("work/chats");
    for entry in fs::read_dir(&chats).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (_, id) = name.rsplit_once('-').unwrap();
        fs::rename(chats.join(&name), chats.join(format!("session-2026-01-01T00-00-{id}")))
            .unwrap();
    }
}
