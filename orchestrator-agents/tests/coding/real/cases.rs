//! Texts, tools and what is asked for.

use super::{Played, Room};
use orchestrator_agents::coding::{Decision, Event, Order, Outcome, Reach, Step};
use orchestrator_testkit::model_server::Reply;
use serde_json::json;
use std::{fs, sync::Arc};

pub(super) fn text(room: &Room) {
    room.server.next(Reply::text("Hello there."));
    let order = Order { instructions: "You are the marked one.".into(), ..room.order() };
    let played = room.play(&order);
    assert_eq!(played.done().text.as_deref(), Some("Hello there."));
    assert_eq!(played.input(), 100, "{}", played.about());
    let request = &room.requests()[0];
    assert!(request.body.to_string().contains("You are the marked one."));
    assert!(request.last_user_message().contains("say hello"));
    assert_eq!(request.model(), room.model());
    let keys = ["authorization", "x-api-key", "x-goog-api-key"];
    let key = keys.into_iter().find_map(|name| request.header(name)).unwrap();
    assert_eq!(key.trim_start_matches("Bearer "), "token-of-the-attempt");
    played.is_known();
}

pub(super) fn a_tool(room: &Room) {
    room.server.next(room.shell("printf made > made.txt; cat made.txt"));
    room.server.next(Reply::text("It is made."));
    let reach = Reach { edit: true, run: true, network: false };
    let played = room.play(&Order { reach, ..room.order() });
    assert_eq!(played.done().text.as_deref(), Some("It is made."));
    assert_eq!(played.outcomes(), [Outcome::Done], "{}", played.about());
    assert_eq!(fs::read_to_string(room.work().join("made.txt")).unwrap(), "made");
    assert_eq!(played.input(), 200);
    let commands: Vec<_> = played
        .events()
        .filter_map(|event| match event {
            Event::ToolStarted { action, .. } => action.command.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(commands, ["printf made > made.txt; cat made.txt"]);
    played.is_known();
}

/// A command that is not in reach: it is denied, or no such tool is there.
pub(super) fn a_tool_that_is_not_in_reach(room: &Room) {
    room.server.next(room.shell("touch made.txt"));
    room.server.next(Reply::text("I could not."));
    let played = room.play(&room.order());
    let finish = played.done();
    assert!(!room.work().join("made.txt").exists());
    if room.adapter.provider() == "claude-code" {
        assert_eq!(finish.denied, ["run `touch made.txt` with Bash"]);
        assert_eq!(played.outcomes(), [Outcome::Denied]);
    }
}

pub(super) fn an_answer_by_a_schema(room: &Room) {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } },
        "required": ["a"], "additionalProperties": false });
    room.server.next(match room.adapter.provider() {
        "codex" => Reply::json(&json!({ "a": "b" })),
        _ => Reply::tool_call("toolu_1", "StructuredOutput", &json!({ "a": "b" })),
    });
    let played = room.play(&Order { schema: Some(Arc::new(schema)), ..room.order() });
    assert_eq!(played.done().structured, Some(json!({ "a": "b" })), "{}", played.about());
}

/// Plays with `decision` for all that it asks, and tells what that was.
fn asked(room: &Room, decision: &Decision) -> (Played, Vec<Option<String>>) {
    room.server.next(room.shell("touch made.txt"));
    // Once, or once more for what is told beside a denial.
    room.server.otherwise(Reply::text("That was it."));
    let mut commands = Vec::new();
    let order = Order { live: true, ..room.order() };
    let played = room.play_with(&order, &mut |dialogue, steps| {
        let asked = steps.iter().filter_map(|step| match step {
            Step::Said(Event::Permission { id, action, .. }) => Some((id.clone(), action.clone())),
            _ => None,
        });
        let asked: Vec<_> = asked.collect();
        commands.extend(asked.iter().map(|(_, action)| action.command.clone()));
        asked.iter().flat_map(|(id, _)| dialogue.answer(id, decision)).collect()
    });
    (played, commands)
}

pub(super) fn asked_and_allowed(room: &Room) {
    let (played, commands) = asked(room, &Decision::Allow);
    assert_eq!(played.done().text.as_deref(), Some("That was it."));
    assert_eq!(commands, [Some("touch made.txt".to_owned())]);
    assert_eq!(played.outcomes(), [Outcome::Done]);
    assert!(room.work().join("made.txt").exists());
    played.is_known();
}

pub(super) fn asked_and_denied(room: &Room) {
    let (played, commands) = asked(room, &Decision::Deny("the probe says no".into()));
    assert_eq!(played.done().text.as_deref(), Some("That was it."));
    assert_eq!(commands.len(), 1);
    assert_eq!(played.outcomes(), [Outcome::Denied], "{}", played.about());
    assert!(!room.work().join("made.txt").exists());
    let requests = room.requests();
    if room.is("gemini-cli") {
        // It tells its model itself, and not why.
        assert!(requests[1].body.to_string().contains("canceled by the user"));
        return;
    }
    // The model is told why.
    let is_told = |body: String| body.contains("the probe says no");
    assert!(requests[1..].iter().any(|it| is_told(it.body.to_string())), "{requests:?}");
}

/// What is asked for is judged before a file is read, too.
pub(super) fn asked_before_it_reads(room: &Room) {
    fs::write(room.work().join("secret.txt"), "the secret").unwrap();
    let file = json!({ "file_path": room.work().join("secret.txt") });
    room.server.next(Reply::tool_call("toolu_1", "Read", &file));
    room.server.next(Reply::text("I may not."));
    let mut paths = Vec::new();
    let order = Order { live: true, ..room.order() };
    let played = room.play_with(&order, &mut |dialogue, steps| {
        let mut answers = Vec::new();
        for step in steps {
            if let Step::Said(Event::Permission { id, action, .. }) = step {
                paths.extend(action.paths.iter().cloned());
                answers.extend(dialogue.answer(id, &Decision::Deny("not that file".into())));
            }
        }
        answers
    });
    played.done();
    assert_eq!(paths, [room.work().join("secret.txt").to_str().unwrap()], "{}", played.about());
    assert!(!room.requests()[1].body.to_string().contains("the secret"));
}

/// Its own sandbox, where it is not in one of ours.
pub(super) fn its_own_sandbox(room: &Room) {
    let outside = room.top.path().join("outside.txt");
    let command = format!("printf in > inside.txt; printf out > {}", outside.display());
    room.server.next(room.shell(&command));
    room.server.next(Reply::text("Tried."));
    let reach = Reach { edit: true, run: true, network: false };
    let played = room.play(&Order { confined: false, reach, ..room.order() });
    played.done();
    assert!(room.work().join("inside.txt").exists(), "{}", played.about());
    assert!(!outside.exists(), "{}", played.about());
}

pub(super) fn a_file_is_written(room: &Room) {
    room.server.next(room.write("made.txt", "made"));
    room.server.next(Reply::text("It is written."));
    let reach = Reach { edit: true, run: !room.live, network: false };
    let played = allowing(room, &Order { reach, ..room.order() });
    assert_eq!(played.done().text.as_deref(), Some("It is written."));
    assert_eq!(fs::read_to_string(room.work().join("made.txt")).unwrap().trim_end(), "made");
    assert_eq!(played.outcomes(), [Outcome::Done], "{}", played.about());
}

/// Plays and allows all that is asked for.
fn allowing(room: &Room, order: &Order) -> Played {
    room.play_with(order, &mut |dialogue, steps| {
        let mut answers = Vec::new();
        for step in steps {
            if let Step::Said(Event::Permission { id, .. }) = step {
                answers.extend(dialogue.answer(id, &Decision::Allow));
            }
        }
        answers
    })
}
