//! Models that fail, and programs that are stopped.

use super::{LIMIT, Room, uuid};
use orchestrator_agents::coding::{Event, Order, Start, Verdict};
use orchestrator_core::error::ErrorClass;
use orchestrator_testkit::model_server::Reply;
use rustix::process::{Signal, test_kill_process_group};
use std::time::{Duration, Instant};

pub(super) fn a_key_that_is_refused(room: &Room) {
    room.server.otherwise(Reply::error(401, "authentication_error", "no such key"));
    let ways: &[bool] = if room.both() { &[false, true] } else { &[room.live] };
    for &live in ways {
        let before = room.requests().len();
        let start = Start::New(uuid(if live { 3 } else { 4 }));
        let played = room.play(&Order { live, start, ..room.order() });
        assert_eq!(played.failed(), ErrorClass::Auth, "{}", played.about());
        let made = room.requests().len() - before;
        // Copilot tells of a failure only after its last try there.
        let most = if live && (room.is("copilot") || room.is("acp")) { 3 } else { 2 };
        assert!(made <= most, "{made} calls: {}", played.about());
    }
}

pub(super) fn a_request_that_is_refused(room: &Room) {
    room.server.otherwise(Reply::error(400, "invalid_request_error", "no such thing"));
    let played = room.play(&room.order());
    assert_eq!(played.failed(), ErrorClass::InvalidRequest, "{}", played.about());
}

pub(super) fn too_many_requests(room: &Room) {
    let reply = Reply::error(429, "rate_limit_error", "slow down").header("retry-after", "1");
    room.server.otherwise(reply);
    let played = room.play(&room.order());
    assert_eq!(played.failed(), ErrorClass::RateLimited, "{}", played.about());
    // Codex tells of some of its tries, the protocol of none, and Gemini CLI makes none.
    let retried = played.events().any(|event| matches!(event, Event::Retrying(_)));
    let tells = room.is("claude-code") || (room.is("copilot") && !room.live);
    assert!(retried || !tells, "{}", played.about());
}

pub(super) fn too_many_requests_once(room: &Room) {
    room.server.next(Reply::error(429, "rate_limit_error", "slow down").header("retry-after", "1"));
    room.server.otherwise(Reply::text("Now it goes."));
    let played = room.play(&room.order());
    if room.is("gemini-cli") {
        // It is told to try once: its own waits are long, and the engine knows better when.
        assert_eq!(played.failed(), ErrorClass::RateLimited, "{}", played.about());
    } else {
        assert_eq!(played.done().text.as_deref(), Some("Now it goes."));
    }
}

pub(super) fn a_server_that_fails(room: &Room) {
    room.server.otherwise(Reply::error(500, "api_error", "broken"));
    let played = room.play(&room.order());
    assert_eq!(played.failed(), ErrorClass::Transient, "{}", played.about());
}

pub(super) fn an_answer_that_is_cut_off(room: &Room) {
    room.server.otherwise(Reply::text("This is never told to its end").cut_after(2));
    let played = room.play(&room.order());
    if room.is("claude-code") {
        // It asks again for an answer that is not streamed, which is not cut.
        assert_eq!(played.done().text.as_deref(), Some("This is never told to its end"));
    } else {
        assert_eq!(played.failed(), ErrorClass::Transient, "{}", played.about());
    }
}

/// Some end with exit code 0 when they are stopped: that is no success.
pub(super) fn stopped_while_its_model_is_silent(room: &Room) {
    room.server.otherwise(Reply::text("This never ends").hang_after(0));
    let mut asked_to_end: Option<Instant> = None;
    let played = room.play_with(&room.order(), &mut |_, _| {
        match asked_to_end {
            None if !room.requests().is_empty() => {
                asked_to_end = Some(Instant::now());
                room.signal(Signal::TERM);
            }
            Some(at) if at.elapsed() > Duration::from_secs(2) => room.signal(Signal::KILL),
            None | Some(_) => {}
        }
        Vec::new()
    });
    assert!(asked_to_end.is_some());
    assert!(!matches!(played.verdict, Verdict::Done(_)), "{}", played.about());
    let group = room.group.get().unwrap();
    // What was killed is there until the system has buried it.
    let begin = Instant::now();
    while test_kill_process_group(group).is_ok() {
        assert!(begin.elapsed() < LIMIT, "something of it is left");
        std::thread::sleep(Duration::from_millis(20));
    }
}
