//! What is said to and by `codex app-server`.

use super::super::{
    Action, ActionKind, Decision, Dialogue, Ended, Event, Exit, Order, RequestId, Start, Step,
    Verdict, told,
};
use super::exec::{End, finish, used};
use super::item::{self, Items, Stage};
use super::{NAME, config, failure, shell};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    time::Timestamp,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Notifications of which nothing is told.
const PROGRESS: [&str; 40] = [
    "account/gatewayOAuth/changed",
    "account/updated",
    "app/list/updated",
    "command/exec/outputDelta",
    "fs/changed",
    "hook/completed",
    "hook/started",
    "item/autoApprovalReview/completed",
    "item/autoApprovalReview/started",
    "item/commandExecution/outputDelta",
    "item/commandExecution/terminalInteraction",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/mcpToolCall/progress",
    "item/plan/delta",
    "item/reasoning/summaryPartAdded",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/textDelta",
    "mcpServer/event/stream/notification",
    "mcpServer/startupStatus/updated",
    "model/safetyBuffering/updated",
    "model/verification",
    "modelProvider/authRecoveryCompleted",
    "modelProvider/authRecoveryStarted",
    "process/exited",
    "process/outputDelta",
    "remoteControl/status/changed",
    "skills/changed",
    "thread/closed",
    "thread/environment/connected",
    "thread/environment/disconnected",
    "thread/name/updated",
    "thread/queue/changed",
    "thread/readState/changed",
    "thread/settings/updated",
    "thread/started",
    "thread/status/changed",
    "turn/diff/updated",
    "turn/moderationMetadata",
    "turn/plan/updated",
];

/// A dialogue with one process.
///
/// | state | heard | then |
/// |---|---|---|
/// | greeting | the answer to `initialize` | the thread is started, resumed or forked: opening |
/// | opening | the thread | a turn with what waits: idle |
/// | idle | `turn/started` | in a turn |
/// | in a turn | `turn/completed` | a turn with what waits: idle; else closed |
/// | in a turn | `turn/completed`, interrupted by us | idle, and it waits for what it is told |
#[derive(Debug)]
pub(super) struct Server {
    order: Arc<Order>,
    state: State,
    thread: Option<String>,
    model: Option<String>,
    /// What it is told with the next turn.
    waiting: Vec<String>,
    /// Requests of ours that it has not answered.
    asked: BTreeMap<u64, Ours>,
    requests: u64,
    /// Its requests that we have not answered, by what was asked for.
    wants: Vec<(Value, String)>,
    /// What it does, by its items, for requests that name only those.
    doing: BTreeMap<String, (Action, Value)>,
    items: Items,
    /// We have interrupted its turn, and it has not said so yet.
    interrupting: bool,
    /// It was interrupted, and waits for what it is told.
    paused: bool,
    resets: Option<Timestamp>,
    end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Greeting,
    Opening,
    /// No turn, or one that was asked for.
    Idle,
    Turn(String),
    Closed,
}

/// A request of ours.
#[derive(Debug)]
enum Ours {
    Hello,
    Thread,
    Turn,
    /// With what it was told, which is told again when this turn cannot be told any more.
    Steer(Option<String>),
    Interrupt,
}

impl Server {
    pub(super) fn new(order: &Order) -> Self {
        Self {
            order: Arc::new(order.clone()),
            state: State::Greeting,
            thread: None,
            model: order.model.clone(),
            waiting: vec![order.prompt.clone()],
            asked: BTreeMap::new(),
            requests: 0,
            wants: Vec::new(),
            doing: BTreeMap::new(),
            items: Items::default(),
            interrupting: false,
            paused: false,
            resets: None,
            end: End::Open,
        }
    }

    fn ask(&mut self, what: Ours, method: &str, params: &Value) -> Step {
        self.requests += 1;
        self.asked.insert(self.requests, what);
        let line = json!({ "id": self.requests, "method": method, "params": params });
        Step::Write(line.to_string())
    }

    /// Opens the thread. Where it is resumed or forked, its turns need not be told again.
    fn open(&mut self) -> Step {
        let order = Arc::clone(&self.order);
        let mut params = json!({
            "cwd": order.directory,
            "approvalPolicy": config::approvals(&order),
            "sandbox": config::sandbox(&order),
        });
        if let Some(model) = &order.model {
            params["model"] = json!(model);
        }
        let method = match &order.start {
            Start::New(_) => "thread/start",
            Start::Resume(id) | Start::Fork { of: id, .. } => {
                params["threadId"] = json!(id);
                params["excludeTurns"] = json!(true);
                match &order.start {
                    Start::Fork { .. } => "thread/fork",
                    Start::New(_) | Start::Resume(_) => "thread/resume",
                }
            }
        };
        self.state = State::Opening;
        self.ask(Ours::Thread, method, &params)
    }

    /// Begins a turn with all that waits.
    fn turn(&mut self) -> Vec<Step> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        self.paused = false;
        let input: Vec<Value> =
            self.waiting.drain(..).map(|text| json!({ "type": "text", "text": text })).collect();
        let mut params = json!({ "threadId": self.thread, "input": input });
        if let Some(schema) = &self.order.schema {
            params["outputSchema"] = (**schema).clone();
        }
        vec![self.ask(Ours::Turn, "turn/start", &params)]
    }

    fn steer(&mut self, turn: &str, text: &str, again: bool) -> Step {
        let input = json!([{ "type": "text", "text": text }]);
        let params = json!({ "threadId": self.thread, "expectedTurnId": turn, "input": input });
        self.ask(Ours::Steer(again.then(|| text.to_owned())), "turn/steer", &params)
    }

    fn answered(&mut self, answer: &Value) -> Vec<Step> {
        let id = answer.get("id").and_then(Value::as_u64);
        let Some(what) = id.and_then(|id| self.asked.remove(&id)) else { return Vec::new() };
        if let Some(error) = answer.get("error") {
            return self.refused(what, error);
        }
        match what {
            Ours::Hello => {
                let ready = Step::Write(json!({ "method": "initialized" }).to_string());
                vec![ready, self.open()]
            }
            Ours::Thread => self.opened(answer),
            Ours::Turn | Ours::Interrupt => Vec::new(),
            Ours::Steer(_) => self.rest(),
        }
    }

    fn refused(&mut self, what: Ours, error: &Value) -> Vec<Step> {
        let message = told::text(error, "/message").unwrap_or("it does not say why").to_owned();
        let failed =
            |class| Failure::new(class, format!("{NAME} failed: {}", told::brief(&message)));
        match what {
            Ours::Hello => self.end.give_up(failed(ErrorClass::Incompatible)).into_iter().collect(),
            // Most often one that it does not know any more.
            Ours::Thread => {
                self.end.give_up(failed(ErrorClass::InvalidRequest)).into_iter().collect()
            }
            Ours::Turn => {
                let failure = failure::of(&message, error.pointer("/data/codexErrorInfo"));
                self.end.give_up(failure).into_iter().collect()
            }
            // The turn was over, or is none that can be told anything.
            Ours::Steer(again) => {
                self.waiting.extend(again);
                self.rest()
            }
            Ours::Interrupt => {
                self.interrupting = false;
                self.rest()
            }
        }
    }

    fn opened(&mut self, answer: &Value) -> Vec<Step> {
        let thread = answer.pointer("/result/thread").unwrap_or(&Value::Null);
        let Some(id) = told::text(thread, "/id").map(str::to_owned) else {
            let message = format!("{NAME} opened a thread without a name");
            let failure = Failure::new(ErrorClass::Incompatible, message);
            return self.end.give_up(failure).into_iter().collect();
        };
        let model = told::text(answer, "/result/model").or(told::text(thread, "/model"));
        self.model = model.map(str::to_owned).or(self.model.take());
        self.thread = Some(id.clone());
        self.state = State::Idle;
        let version = told::text(thread, "/cliVersion").map(str::to_owned);
        let session = Event::Session { id, model: self.model.clone(), version };
        let mut steps = vec![Step::Said(session)];
        steps.extend(self.turn());
        steps
    }

    /// What follows once no turn is under way: more of it, or the end.
    fn rest(&mut self) -> Vec<Step> {
        let steering = self.asked.values().any(|ours| matches!(ours, Ours::Steer(_) | Ours::Turn));
        if self.state != State::Idle || steering {
            return Vec::new();
        }
        let turn = self.turn();
        if !turn.is_empty() {
            return turn;
        }
        if self.paused {
            return Vec::new();
        }
        self.state = State::Closed;
        vec![Step::Close]
    }

    fn notified(&mut self, method: &str, params: &Value) -> Vec<Step> {
        // Those of helpers that it has started are theirs.
        let other =
            told::text(params, "/threadId").is_some_and(|id| Some(id) != self.thread.as_deref());
        match method {
            "warning" | "configWarning" | "deprecationNotice" | "guardianWarning" => {
                let text = told::text(params, "/message").or(told::text(params, "/summary"));
                text.map(|text| vec![Step::Said(Event::Notice(told::brief(text)))])
                    .unwrap_or_default()
            }
            "account/rateLimits/updated" => self.limits(params),
            _ if other => Vec::new(),
            "turn/started" => {
                let Some(id) = told::text(params, "/turn/id").map(str::to_owned) else {
                    return Vec::new();
                };
                self.state = State::Turn(id.clone());
                let waiting = std::mem::take(&mut self.waiting);
                waiting.iter().map(|text| self.steer(&id, text, true)).collect()
            }
            "turn/completed" => self.completed(params),
            "item/started" => self.item(params, Stage::Started),
            "item/completed" => self.item(params, Stage::Completed),
            "item/agentMessage/delta" => {
                let text = told::text(params, "/delta").map(str::to_owned);
                text.map(|text| vec![Step::Said(Event::Delta(text))]).unwrap_or_default()
            }
            "thread/tokenUsage/updated" => {
                let total = params.pointer("/tokenUsage/total").unwrap_or(&Value::Null);
                vec![Step::Said(used(total, self.model.as_deref()))]
            }
            "thread/compacted" => {
                vec![Step::Said(Event::Notice("it has shortened its conversation".into()))]
            }
            "model/rerouted" => {
                vec![Step::Said(Event::Notice("its calls go to another model".into()))]
            }
            "serverRequest/resolved" => self.resolved(params),
            "error" => self.error(params),
            method if PROGRESS.contains(&method) => Vec::new(),
            method => vec![Step::Said(Event::Unknown { kind: method.to_owned() })],
        }
    }

    fn item(&mut self, params: &Value, stage: Stage) -> Vec<Step> {
        let item = params.get("item").unwrap_or(&Value::Null);
        let (id, kind) = (told::text(item, "/id"), told::text(item, "/type").unwrap_or_default());
        if let (Some(id), Some(action)) = (id, item::action(kind, item)) {
            match stage {
                Stage::Started => {
                    self.doing.insert(id.to_owned(), (action, item::input(item)));
                }
                Stage::Completed => {
                    self.doing.remove(id);
                }
            }
        }
        self.items.item(item, stage, self.model.as_deref())
    }

    fn completed(&mut self, params: &Value) -> Vec<Step> {
        let turn = params.get("turn").unwrap_or(&Value::Null);
        self.state = State::Idle;
        let mut steps = Vec::new();
        let result = match told::text(turn, "/status") {
            Some("completed") => Ok(finish(&self.items, self.order.schema.is_some())),
            Some("interrupted") if self.interrupting => {
                self.interrupting = false;
                self.paused = true;
                let message = format!("{NAME} was interrupted and was told nothing more");
                self.end = End::Result(Err(Failure::new(ErrorClass::Cancelled, message)));
                steps.push(Step::Said(Event::Notice("it was interrupted".into())));
                steps.extend(self.rest());
                return steps;
            }
            Some("interrupted") => {
                let message = format!("{NAME} was interrupted by somebody else");
                Err(Failure::new(ErrorClass::Cancelled, message))
            }
            _ => {
                let error = turn.get("error").unwrap_or(&Value::Null);
                let message = told::text(error, "/message").unwrap_or_default();
                Err(self.dated(failure::of(message, error.get("codexErrorInfo"))))
            }
        };
        // An interruption that came too late.
        self.interrupting = false;
        self.end = End::Result(result.clone());
        steps.push(Step::Said(Event::Ended(Ended { result })));
        steps.extend(self.rest());
        steps
    }

    /// A call that is made again; other errors are told of again when the turn ends.
    fn error(&mut self, params: &Value) -> Vec<Step> {
        if params.get("willRetry").and_then(Value::as_bool) != Some(true) {
            return Vec::new();
        }
        let message = told::text(params, "/error/message").unwrap_or_default();
        let info = params.pointer("/error/codexErrorInfo");
        let mut steps = vec![Step::Said(Event::Retrying(failure::retry(message, info)))];
        let failure = failure::of_retry(message, info);
        steps.extend(failure.and_then(|failure| self.end.give_up(failure)));
        steps
    }

    fn limits(&mut self, params: &Value) -> Vec<Step> {
        let windows = ["primary", "secondary"].into_iter();
        let windows = windows.filter_map(|name| params.get("rateLimits")?.get(name));
        let full = windows.filter(|window| told::count(window, "/usedPercent") >= 100);
        let resets = full.map(|window| told::count(window, "/resetsAt")).max();
        self.resets = resets.filter(|at| *at > 0).map(|at| Timestamp(at.saturating_mul(1_000)));
        Vec::new()
    }

    /// The same with the time at which the subscription's window begins anew.
    fn dated(&self, failure: Failure) -> Failure {
        match (failure.class, self.resets) {
            (ErrorClass::QuotaExhausted | ErrorClass::RateLimited, Some(at)) => {
                failure.retry_at(at)
            }
            _ => failure,
        }
    }

    fn resolved(&mut self, params: &Value) -> Vec<Step> {
        let Some(id) = params.get("requestId") else { return Vec::new() };
        let place = self.wants.iter().position(|(known, _)| known == id);
        let gone = place.map(|place| self.wants.remove(place));
        let withdrawn = gone.map(|(id, _)| Event::Withdrawn { id: RequestId(id) });
        withdrawn.map(Step::Said).into_iter().collect()
    }

    /// A request of its. One that is not known has to be answered, too: it would wait.
    fn wants(&mut self, id: &Value, method: &str, params: &Value) -> Vec<Step> {
        let named = told::text(params, "/itemId").and_then(|id| self.doing.get(id)).cloned();
        let reason = told::text(params, "/reason").map(told::brief).unwrap_or_default();
        let (action, input) = match method {
            "item/commandExecution/requestApproval" => {
                let (known, input) =
                    named.unwrap_or_else(|| (Action::new("shell", ActionKind::Run), Value::Null));
                let command = told::text(params, "/command");
                let input = command.map_or(input, |command| json!(command));
                let command = command.map(shell::script).or(known.command.clone());
                let host = told::text(params, "/networkApprovalContext/host").map(str::to_owned);
                let action = Action { command, ..known };
                (if host.is_some() { action.reaching(host) } else { action }, input)
            }
            "item/fileChange/requestApproval" => {
                let (mut action, input) = named
                    .unwrap_or_else(|| (Action::new("apply_patch", ActionKind::Edit), Value::Null));
                action.paths.extend(told::text(params, "/grantRoot").map(str::to_owned));
                (action, input)
            }
            "mcpServer/elicitation/request" if is_for_a_tool(params) => {
                let server = told::text(params, "/serverName").unwrap_or("unnamed");
                let tool = ["/_meta/tool_name", "/_meta/toolName", "/_meta/tool_title"];
                let tool = tool.into_iter().find_map(|place| told::text(params, place));
                let name = format!("mcp__{server}__{}", tool.unwrap_or("unnamed"));
                let input = ["/_meta/tool_params", "/_meta/toolParams"].into_iter();
                let input = input.filter_map(|place| params.pointer(place)).next().cloned();
                (Action::new(name, ActionKind::Other), input.unwrap_or(Value::Null))
            }
            method => {
                let error = json!({ "code": -32601, "message": "not offered" });
                let answer = json!({ "id": id, "error": error });
                let event = Event::Unknown { kind: format!("request {method}") };
                return vec![Step::Said(event), Step::Write(answer.to_string())];
            }
        };
        let action = if action.summary.is_empty() { action.because(reason) } else { action };
        self.wants.push((id.clone(), method.to_owned()));
        let id = RequestId(id.clone());
        vec![Step::Said(Event::Permission { id, action, input })]
    }
}

/// Whether a question of an MCP server is that of Codex whether a tool of it may be used.
fn is_for_a_tool(params: &Value) -> bool {
    told::text(params, "/_meta/codex_approval_kind") == Some("mcp_tool_call")
}

impl Dialogue for Server {
    fn start(&mut self) -> Vec<Step> {
        let client = json!({
            "name": "orchestrator",
            "title": "orchestrator",
            "version": env!("CARGO_PKG_VERSION"),
        });
        vec![self.ask(Ours::Hello, "initialize", &json!({ "clientInfo": client }))]
    }

    fn line(&mut self, line: &str) -> Vec<Step> {
        let message = match told::object(line) {
            Ok(message) => message,
            Err(steps) => return steps,
        };
        let params = message.get("params").unwrap_or(&Value::Null);
        match (message.get("id"), told::text(&message, "/method")) {
            (Some(id), Some(method)) => self.wants(id, method, params),
            (None, Some(method)) => self.notified(method, params),
            (Some(_), None) => self.answered(&message),
            (None, None) => vec![Step::Said(Event::Unknown { kind: "unnamed".into() })],
        }
    }

    fn answer(&mut self, request: &RequestId, decision: &Decision) -> Vec<Step> {
        let Some(place) = self.wants.iter().position(|(id, _)| *id == request.0) else {
            return Vec::new();
        };
        let (id, method) = self.wants.remove(place);
        let answer = match (method.as_str(), decision) {
            ("mcpServer/elicitation/request", Decision::Allow) => {
                json!({ "action": "accept", "content": {} })
            }
            ("mcpServer/elicitation/request", Decision::Deny(_)) => json!({ "action": "decline" }),
            (_, Decision::Allow) => json!({ "decision": "accept" }),
            (_, Decision::Deny(_)) => json!({ "decision": "decline" }),
        };
        let mut steps = vec![Step::Write(json!({ "id": id, "result": answer }).to_string())];
        // There is no place for a reason in the answer.
        if let (Decision::Deny(why), State::Turn(turn)) = (decision, &self.state) {
            let (turn, why) = (turn.clone(), format!("That was not allowed: {why}"));
            steps.push(self.steer(&turn, &why, false));
        }
        steps
    }

    fn say(&mut self, message: &str) -> Option<Vec<Step>> {
        match self.state.clone() {
            State::Closed => None,
            State::Turn(turn) if !self.interrupting => Some(vec![self.steer(&turn, message, true)]),
            State::Turn(_) | State::Greeting | State::Opening => {
                self.waiting.push(message.to_owned());
                Some(Vec::new())
            }
            State::Idle => {
                self.waiting.push(message.to_owned());
                Some(self.rest())
            }
        }
    }

    fn interrupt(&mut self) -> Option<Vec<Step>> {
        let State::Turn(turn) = self.state.clone() else { return None };
        self.interrupting = true;
        let params = json!({ "threadId": self.thread, "turnId": turn });
        Some(vec![self.ask(Ours::Interrupt, "turn/interrupt", &params)])
    }

    fn verdict(&mut self, exit: Exit) -> Verdict {
        self.end.verdict(exit)
    }
}
