//! The control protocol: what is said at its standard input while it works.

use super::super::{Decision, Event, RequestId, Step, told};
use super::{NAME, tool};
use orchestrator_core::error::{ErrorClass, Failure};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Our name for the request that begins it.
const HELLO: &str = "hello";

/// What stands between us and a process that listens.
///
/// | heard | while | then |
/// |---|---|---|
/// | the answer to our hello | greeting | what waits is told it |
/// | a message of ours again | open | it has taken one more |
/// | a result | it has taken all | its input is closed: it goes |
/// | a result | it has not taken all | it goes on with the next |
/// | a result that was broken off | we interrupted it | it waits for what it is told |
#[derive(Debug)]
pub(super) struct Channel {
    state: State,
    /// What it wants to know, with what the tool would be given.
    asked: BTreeMap<String, Asked>,
    /// Messages of ours that it was told.
    told: u32,
    /// Those that it repeated, as it does when it takes one.
    taken: u32,
    /// Pieces of work that it ended.
    ended: u32,
    /// We have interrupted what it does, and it has not said so yet.
    interrupting: bool,
    interruptions: u32,
}

#[derive(Debug)]
enum State {
    /// It has not answered our hello. What it is told then.
    Greeting(Vec<String>),
    Open,
    Closed,
}

#[derive(Debug)]
struct Asked {
    call: Option<String>,
    input: Value,
}

/// What follows from a result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It has done all that it was told: its input is closed.
    Over,
    /// It goes on with what it was told meanwhile.
    More,
    /// It was broken off by us and waits.
    Interrupted,
}

impl Channel {
    pub(super) fn new(prompt: &str) -> Self {
        Self {
            state: State::Greeting(vec![prompt.to_owned()]),
            asked: BTreeMap::new(),
            told: 0,
            taken: 0,
            ended: 0,
            interrupting: false,
            interruptions: 0,
        }
    }

    pub(super) fn hello() -> Step {
        request(HELLO, &json!({ "subtype": "initialize", "hooks": null }))
    }

    /// An answer to a request of ours. It repeats our own answers, too.
    pub(super) fn answered(&mut self, line: &Value) -> Vec<Step> {
        let id = told::text(line, "/response/request_id");
        if id != Some(HELLO) {
            return Vec::new();
        }
        let State::Greeting(waiting) = &mut self.state else { return Vec::new() };
        let waiting = std::mem::take(waiting);
        self.state = State::Open;
        if told::text(line, "/response/subtype") == Some("error") {
            let why = told::text(line, "/response/error").unwrap_or("it does not say why");
            let message =
                format!("{NAME} does not take the control protocol: {}", told::brief(why));
            return vec![Step::GiveUp(Failure::new(ErrorClass::Incompatible, message))];
        }
        waiting.iter().map(|text| self.tell(text)).collect()
    }

    /// A request of the program. One that is not known has to be answered, too: it would wait.
    pub(super) fn asks(&mut self, line: &Value) -> Vec<Step> {
        let Some(id) = told::text(line, "/request_id").map(str::to_owned) else {
            return vec![unknown("control_request")];
        };
        let request = line.get("request").unwrap_or(&Value::Null);
        let kind = told::text(request, "/subtype").unwrap_or("unnamed");
        if kind != "can_use_tool" {
            let answer = json!({ "subtype": "error", "request_id": id, "error": "not offered" });
            let answer = json!({ "type": "control_response", "response": answer });
            let event = unknown(&format!("control_request/{kind}"));
            return vec![event, Step::Write(answer.to_string())];
        }
        let name = told::text(request, "/tool_name").unwrap_or("a tool");
        let input = request.get("input").cloned().unwrap_or(Value::Null);
        let mut action = tool::action(name, &input);
        if let Some(path) = told::text(request, "/blocked_path")
            && !action.paths.iter().any(|known| known == path)
        {
            action.paths.push(path.to_owned());
        }
        let call = told::text(request, "/tool_use_id").map(str::to_owned);
        self.asked.insert(id.clone(), Asked { call, input: input.clone() });
        let id = RequestId(Value::String(id));
        vec![Step::Said(Event::Permission { id, action, input })]
    }

    /// It does not want to know any more.
    pub(super) fn withdraws(&mut self, line: &Value) -> Vec<Step> {
        let id = told::text(line, "/request_id").unwrap_or_default();
        match self.asked.remove(id) {
            Some(_) => {
                let id = RequestId(Value::String(id.to_owned()));
                vec![Step::Said(Event::Withdrawn { id })]
            }
            None => Vec::new(),
        }
    }

    /// Answers a request, and says which call is not allowed by that.
    pub(super) fn answer(
        &mut self,
        request: &RequestId,
        decision: &Decision,
    ) -> (Vec<Step>, Option<String>) {
        let asked = request.0.as_str().and_then(|id| self.asked.remove_entry(id));
        let Some((id, asked)) = asked else { return (Vec::new(), None) };
        let (answer, denied) = match decision {
            Decision::Allow => {
                let input = if asked.input.is_object() { asked.input } else { json!({}) };
                (json!({ "behavior": "allow", "updatedInput": input }), None)
            }
            Decision::Deny(why) => (json!({ "behavior": "deny", "message": why }), asked.call),
        };
        let response = json!({ "subtype": "success", "request_id": id, "response": answer });
        let line = json!({ "type": "control_response", "response": response });
        (vec![Step::Write(line.to_string())], denied)
    }

    pub(super) fn say(&mut self, message: &str) -> Option<Vec<Step>> {
        match &mut self.state {
            State::Greeting(waiting) => {
                waiting.push(message.to_owned());
                Some(Vec::new())
            }
            State::Open => Some(vec![self.tell(message)]),
            State::Closed => None,
        }
    }

    pub(super) fn interrupt(&mut self) -> Option<Vec<Step>> {
        match self.state {
            State::Open => {
                self.interrupting = true;
                self.interruptions += 1;
                let id = format!("interrupt-{}", self.interruptions);
                Some(vec![request(&id, &json!({ "subtype": "interrupt" }))])
            }
            // It does nothing yet, or nothing any more.
            State::Greeting(_) | State::Closed => None,
        }
    }

    /// It has repeated a message of ours.
    pub(super) fn took(&mut self) {
        self.taken += 1;
    }

    /// It has ended a piece of work.
    pub(super) fn ended(&mut self, broken_off: bool) -> After {
        self.ended += 1;
        if broken_off && self.interrupting {
            self.interrupting = false;
            return After::Interrupted;
        }
        // One that repeats nothing takes at least one message for each result.
        if self.taken.max(self.ended) < self.told {
            return After::More;
        }
        self.state = State::Closed;
        After::Over
    }

    fn tell(&mut self, text: &str) -> Step {
        self.told += 1;
        let message = json!({ "role": "user", "content": plain(text) });
        let line = json!({
            "type": "user",
            "session_id": "",
            "parent_tool_use_id": null,
            "message": message,
        });
        Step::Write(line.to_string())
    }
}

/// `text` so that it is taken for what it is: one that begins with a stroke would be taken for one of
/// the program's own commands, which it obeys without asking a model.
pub(super) fn plain(text: &str) -> String {
    if text.starts_with('/') { format!(" {text}") } else { text.to_owned() }
}

fn request(id: &str, request: &Value) -> Step {
    let line = json!({ "type": "control_request", "request_id": id, "request": request });
    Step::Write(line.to_string())
}

fn unknown(kind: &str) -> Step {
    Step::Said(Event::Unknown { kind: kind.to_owned() })
}
