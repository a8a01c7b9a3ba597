//! One session of the protocol, from its first word to its last.

use super::{
    content::{Call, text},
    habits::{self, Habits, Piece},
    rpc::{self, Message, Problem},
    usage::{self, Counting},
};
use crate::coding::{
    adapter::{Dialogue, Exit, Order, Start, Step, Verdict},
    event::{Decision, Ended, Event, Finish, Outcome, RequestId, ToolResult},
    told::{brief, by_status, by_words, disagrees, garbage},
};
use agent_client_protocol_schema::{
    ProtocolVersion,
    v1::{
        CancelNotification, ClientCapabilities, ContentBlock, EnvVariable, Implementation,
        InitializeRequest, InitializeResponse, LoadSessionRequest, McpServer, McpServerStdio,
        NewSessionRequest, PermissionOption, PermissionOptionKind, PromptRequest, PromptResponse,
        RequestPermissionOutcome, RequestPermissionRequest, RequestPermissionResponse,
        ResumeSessionRequest, SelectedPermissionOutcome, SessionUpdate, StopReason, SystemPrompt,
        TextContent, ToolCallStatus, ToolCallUpdateFields,
    },
};
use orchestrator_core::error::{ErrorClass, Failure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// The version that is spoken here.
const VERSION: ProtocolVersion = ProtocolVersion::V1;

/// What a request of ours was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Initialize,
    Session,
    /// Whether all of a session of before has been told.
    Replayed,
    Model,
    Prompt,
}

/// A request for permission that waits for an answer.
#[derive(Debug)]
struct Pending {
    call: String,
    options: Vec<PermissionOption>,
}

/// One conversation with a program.
#[derive(Debug)]
pub(in crate::coding) struct Conversation {
    /// What people call the program.
    name: String,
    order: Order,
    version: Option<String>,
    counting: Counting,
    habits: Habits,
    next: u64,
    asked: BTreeMap<u64, Asked>,
    session: Option<String>,
    /// Whether it tells a session of before again, which was heard then.
    replays: bool,
    /// The answer to the request for the session.
    opened: Value,
    resumes: bool,
    loads: bool,
    takes_instructions: bool,
    /// Whether a prompt is worked on.
    busy: bool,
    interrupted: bool,
    /// What it is still to be told, each as a prompt of its own.
    later: VecDeque<String>,
    saying: String,
    said: Option<String>,
    /// What the program said of a failure, when it said nothing since.
    trouble: Option<String>,
    calls: BTreeMap<String, Call>,
    pending: BTreeMap<String, Pending>,
    denied: Vec<String>,
    /// What was denied, and why, since the model was heard last.
    untold: Vec<String>,
    ended: Option<Result<Finish, Failure>>,
}

impl Conversation {
    pub(in crate::coding) fn new(name: &str, order: &Order) -> Self {
        Self {
            name: name.to_owned(),
            order: order.clone(),
            version: None,
            counting: Counting::of(name),
            habits: Habits::of(name),
            next: 0,
            asked: BTreeMap::new(),
            session: None,
            replays: false,
            opened: Value::Null,
            resumes: false,
            loads: false,
            takes_instructions: false,
            busy: false,
            interrupted: false,
            later: VecDeque::new(),
            saying: String::new(),
            said: None,
            trouble: None,
            calls: BTreeMap::new(),
            pending: BTreeMap::new(),
            denied: Vec::new(),
            untold: Vec::new(),
            ended: None,
        }
    }

    fn request(&mut self, asked: Asked, method: &str, params: &impl serde::Serialize) -> Step {
        self.next += 1;
        self.asked.insert(self.next, asked);
        Step::Write(rpc::request(self.next, method, params))
    }

    /// The end, for good or not: there is no more to be told.
    fn end(&mut self, result: Result<Finish, Failure>) -> Vec<Step> {
        self.ended = Some(result.clone());
        vec![Step::Said(Event::Ended(Ended { result })), Step::Close]
    }

    fn fail(&mut self, class: ErrorClass, message: String) -> Vec<Step> {
        self.end(Err(Failure::new(class, message)))
    }

    /// The message that came piece by piece, once something else follows.
    fn whole(&mut self) -> Option<Step> {
        if self.saying.is_empty() {
            return None;
        }
        let text = std::mem::take(&mut self.saying);
        self.said = Some(text.clone());
        Some(Step::Said(Event::Message { text, model: self.order.model.clone() }))
    }

    fn answered(&mut self, id: u64, result: Result<Value, Problem>) -> Vec<Step> {
        match (self.asked.remove(&id), result) {
            (Some(Asked::Initialize), Ok(result)) => self.initialized(result),
            (Some(Asked::Session), Ok(result)) => self.loaded(result),
            // Whatever the answer is, what came before it has been told.
            (Some(Asked::Replayed), _) => self.opened(),
            (Some(Asked::Model), Ok(_)) => self.begin(),
            (Some(Asked::Prompt), Ok(result)) => self.prompted(result),
            (Some(Asked::Session), Err(problem)) if self.is_resumption() => {
                let message = format!(
                    "{} does not know the session any more: {}",
                    self.name, problem.message
                );
                self.fail(ErrorClass::Crashed, message)
            }
            (Some(Asked::Model), Err(problem)) => {
                let model = self.order.model.clone().unwrap_or_default();
                let message = format!("{} has no model `{model}`: {}", self.name, problem.message);
                self.fail(ErrorClass::InvalidRequest, message)
            }
            (Some(Asked::Prompt), Err(problem)) => {
                self.busy = false;
                let failure = self.failure(&problem);
                self.whole().into_iter().chain(self.end(Err(failure))).collect()
            }
            (Some(Asked::Initialize | Asked::Session), Err(problem)) => {
                let failure = self.failure(&problem);
                self.end(Err(failure))
            }
            (None, _) => vec![Step::Said(Event::Unknown { kind: "an answer to nothing".into() })],
        }
    }

    fn is_resumption(&self) -> bool {
        matches!(self.order.start, Start::Resume(_))
    }

    fn initialized(&mut self, result: Value) -> Vec<Step> {
        let answer: InitializeResponse = match serde_json::from_value(result.clone()) {
            Ok(answer) => answer,
            Err(error) => {
                let message = format!("cannot read how {} begins: {error}", self.name);
                return self.fail(ErrorClass::Incompatible, message);
            }
        };
        if answer.protocol_version != VERSION {
            let message = format!(
                "{} speaks version {} of the Agent Client Protocol; version 1 is spoken here",
                self.name, answer.protocol_version
            );
            return self.fail(ErrorClass::Incompatible, message);
        }
        if let Some(info) = &answer.agent_info {
            self.version = Some(info.version.clone());
            self.counting = Counting::of(&info.name);
            self.habits = Habits::of(&info.name);
        }
        self.loads = answer.agent_capabilities.load_session;
        let sessions = result.pointer("/agentCapabilities/sessionCapabilities");
        let offers =
            |name: &str| sessions.and_then(|it| it.get(name)).is_some_and(|it| !it.is_null());
        self.resumes = offers("resume");
        self.takes_instructions = offers("systemPrompt");
        self.open()
    }

    fn open(&mut self) -> Vec<Step> {
        let directory = self.order.directory.clone();
        let servers = self.servers();
        let own = (self.takes_instructions && !self.order.instructions.is_empty())
            .then(|| SystemPrompt::new(vec![block(&self.order.instructions)]));
        match self.order.start.clone() {
            Start::New(_) => {
                let params =
                    NewSessionRequest::new(directory).mcp_servers(servers).system_prompt(own);
                vec![self.request(Asked::Session, "session/new", &params)]
            }
            Start::Resume(id) if self.resumes => {
                self.session = Some(id.clone());
                let params = ResumeSessionRequest::new(id, directory)
                    .mcp_servers(servers)
                    .system_prompt(own);
                vec![self.request(Asked::Session, "session/resume", &params)]
            }
            Start::Resume(id) if self.loads => {
                self.session = Some(id.clone());
                self.replays = true;
                let params =
                    LoadSessionRequest::new(id, directory).mcp_servers(servers).system_prompt(own);
                vec![self.request(Asked::Session, "session/load", &params)]
            }
            Start::Resume(_) => {
                let message = format!("{} cannot go on in a session", self.name);
                self.fail(ErrorClass::Crashed, message)
            }
            Start::Fork { .. } => {
                let message = format!("{} cannot fork a session", self.name);
                self.fail(ErrorClass::InvalidRequest, message)
            }
        }
    }

    fn servers(&self) -> Vec<McpServer> {
        let server = |(name, value): &(String, Value)| {
            let command = value.get("command").and_then(Value::as_str)?;
            let words = value.get("args").and_then(Value::as_array).into_iter().flatten();
            let words = words.filter_map(Value::as_str).map(str::to_owned).collect();
            let variables = value.get("env").and_then(Value::as_object).into_iter().flatten();
            let variables = variables
                .filter_map(|(name, value)| Some(EnvVariable::new(name.clone(), value.as_str()?)))
                .collect();
            let server = McpServerStdio::new(name.clone(), command).args(words).env(variables);
            Some(McpServer::Stdio(server))
        };
        self.order.mcp.iter().filter_map(server).collect()
    }

    /// One that tells a session again after this is asked for what it does anyway: its answer comes
    /// when it has told all.
    fn loaded(&mut self, result: Value) -> Vec<Step> {
        let mode = result.pointer("/modes/currentModeId").cloned();
        self.opened = result;
        match mode.filter(|_| self.replays && self.habits.replays_late) {
            Some(mode) => {
                let params = json!({ "sessionId": self.session, "modeId": mode });
                vec![self.request(Asked::Replayed, "session/set_mode", &params)]
            }
            None => self.opened(),
        }
    }

    fn opened(&mut self) -> Vec<Step> {
        self.replays = false;
        let result = std::mem::take(&mut self.opened);
        if let Some(id) = result.get("sessionId").and_then(Value::as_str) {
            self.session = Some(id.to_owned());
        }
        let Some(id) = self.session.clone() else {
            let message = format!("{} opened a session without a name", self.name);
            return self.fail(ErrorClass::Incompatible, message);
        };
        let options = result.get("configOptions").and_then(Value::as_array);
        let of_model = options.into_iter().flatten().find(|option| {
            let is = |key: &str| option.get(key).and_then(Value::as_str) == Some("model");
            is("id") || is("category")
        });
        let current = of_model.and_then(|it| it.get("currentValue")).and_then(Value::as_str);
        let wanted = self.order.model.clone();
        let model = wanted.clone().or(current.map(str::to_owned));
        let session = Event::Session { id: id.clone(), model, version: self.version.clone() };
        let mut steps = vec![Step::Said(session)];
        match (wanted, of_model.and_then(|it| it.get("id"))) {
            (Some(wanted), Some(option)) if current != Some(&wanted) => {
                let params = json!({ "sessionId": id, "configId": option, "value": wanted });
                steps.push(self.request(Asked::Model, "session/set_config_option", &params));
            }
            _ => steps.extend(self.begin()),
        }
        steps
    }

    /// The first prompt.
    fn begin(&mut self) -> Vec<Step> {
        let prompt = match (self.takes_instructions, self.order.instructions.as_str()) {
            (true, _) | (_, "") => self.order.prompt.clone(),
            (false, instructions) => format!("{instructions}\n\n{}", self.order.prompt),
        };
        vec![self.prompt(prompt)]
    }

    fn prompt(&mut self, text: String) -> Step {
        self.busy = true;
        let session = self.session.clone().unwrap_or_default();
        let params = PromptRequest::new(session, vec![block(&text)]);
        self.request(Asked::Prompt, "session/prompt", &params)
    }

    fn prompted(&mut self, result: Value) -> Vec<Step> {
        self.busy = false;
        let mut steps: Vec<Step> = self.whole().into_iter().collect();
        let used = usage::of_answer(&result, self.counting, self.order.model.as_deref());
        steps.extend(used.map(|used| Step::Said(Event::Used(used))));
        let reason = match serde_json::from_value::<PromptResponse>(result) {
            Ok(answer) => answer.stop_reason,
            Err(error) => {
                let message = format!("cannot read how a prompt of {} ended: {error}", self.name);
                steps.extend(self.fail(ErrorClass::Incompatible, message));
                return steps;
            }
        };
        let was_interrupted = std::mem::take(&mut self.interrupted);
        if let Some(told) = self.trouble.take() {
            let failure = habits::trouble(&self.name, &told);
            steps.extend(self.end(Err(failure)));
            return steps;
        }
        // Some end their turn when they are denied something, and their model is told nothing of it.
        if !was_interrupted && !self.untold.is_empty() {
            let untold = std::mem::take(&mut self.untold).join("\n");
            self.later.push_front(format!(
                "This was denied:\n{untold}\nDo not try it again. Go on without it, or say what \
                 cannot be done."
            ));
        }
        if let Some(next) = self.later.pop_front() {
            steps.push(self.prompt(next));
            return steps;
        }
        steps.extend(match reason {
            StopReason::EndTurn => {
                let finish = Finish {
                    text: self.said.clone(),
                    structured: None,
                    denied: self.denied.clone(),
                };
                self.end(Ok(finish))
            }
            // It waits for what it is told next.
            StopReason::Cancelled if was_interrupted => Vec::new(),
            StopReason::Cancelled => {
                let message = format!("{} stopped by itself", self.name);
                self.fail(ErrorClass::Crashed, message)
            }
            StopReason::MaxTokens => {
                let message = format!("{} reached the model's limit of tokens", self.name);
                self.fail(ErrorClass::ContextOverflow, message)
            }
            StopReason::MaxTurnRequests => {
                let message = format!("{} reached its limit of turns", self.name);
                self.fail(ErrorClass::NoProgress, message)
            }
            StopReason::Refusal => {
                let message = format!("{} declined to go on", self.name);
                self.fail(ErrorClass::Refused, message)
            }
            other => {
                let message = format!("{} stopped for an unknown reason: {other:?}", self.name);
                self.fail(ErrorClass::Incompatible, message)
            }
        });
        steps
    }

    fn updated(&mut self, update: &Value) -> Vec<Step> {
        let kind = update.get("sessionUpdate").and_then(Value::as_str).unwrap_or_default();
        let read = match serde_json::from_value::<SessionUpdate>(update.clone()) {
            Ok(read) => read,
            Err(_) => {
                return vec![Step::Said(Event::Unknown { kind: format!("session/update {kind}") })];
            }
        };
        if self.replays {
            return Vec::new();
        }
        let said = |event| vec![Step::Said(event)];
        match read {
            SessionUpdate::AgentMessageChunk(chunk) => match text(&chunk.content) {
                Some(piece) => self.heard(piece),
                None => said(Event::Notice("something that is no text was said".into())),
            },
            SessionUpdate::AgentThoughtChunk(chunk) => match text(&chunk.content) {
                Some(piece) => said(Event::Thought(piece.to_owned())),
                None => Vec::new(),
            },
            SessionUpdate::ToolCall(call) => {
                let fields = ToolCallUpdateFields::new()
                    .kind(call.kind)
                    .status(call.status)
                    .title(call.title)
                    .name(call.name)
                    .content(call.content)
                    .locations(call.locations)
                    .raw_input(call.raw_input)
                    .raw_output(call.raw_output);
                self.tool(&call.tool_call_id.to_string(), fields)
            }
            SessionUpdate::ToolCallUpdate(call) => {
                self.tool(&call.tool_call_id.to_string(), call.fields)
            }
            // How full its context is, and sometimes what it takes the cost to be.
            SessionUpdate::UsageUpdate(_)
            | SessionUpdate::UserMessageChunk(_)
            | SessionUpdate::Plan(_)
            | SessionUpdate::AvailableCommandsUpdate(_)
            | SessionUpdate::CurrentModeUpdate(_)
            | SessionUpdate::ConfigOptionUpdate(_)
            | SessionUpdate::SessionInfoUpdate(_) => Vec::new(),
            _ => said(Event::Unknown { kind: format!("session/update {kind}") }),
        }
    }

    fn heard(&mut self, piece: &str) -> Vec<Step> {
        let mut steps = self.no_trouble();
        match self.habits.who_says(piece) {
            Piece::Said => steps.push(self.say_on(piece.to_owned())),
            Piece::Notice => steps.push(Step::Said(Event::Notice(brief(piece)))),
            Piece::Trouble => {
                self.trouble = Some(piece.to_owned());
                steps.push(Step::Said(Event::Notice(brief(piece))));
            }
        }
        steps
    }

    /// The model goes on: what looked like a failure was part of what it says.
    fn no_trouble(&mut self) -> Vec<Step> {
        let was_said = self.trouble.take();
        was_said.map(|said| self.say_on(said)).into_iter().collect()
    }

    fn say_on(&mut self, piece: String) -> Step {
        self.untold.clear();
        self.saying.push_str(&piece);
        Step::Said(Event::Delta(piece))
    }

    fn tool(&mut self, id: &str, fields: ToolCallUpdateFields) -> Vec<Step> {
        let status = fields.status;
        let is_new = !self.calls.contains_key(id);
        // One that was denied has ended already, whatever is told of it.
        if is_new && matches!(status, Some(ToolCallStatus::Failed)) && self.was_denied(id) {
            return Vec::new();
        }
        let call = self.calls.entry(id.to_owned()).or_default();
        call.update(fields);
        let (action, input, output) = (call.action(), call.input(), call.output());
        let mut steps = Vec::new();
        if is_new {
            steps.extend(self.no_trouble());
            self.untold.clear();
            steps.extend(self.whole());
            steps.push(Step::Said(Event::ToolStarted { id: id.to_owned(), action, input }));
        }
        let outcome = match status {
            Some(ToolCallStatus::Completed) => Outcome::Done,
            Some(ToolCallStatus::Failed) => Outcome::Failed,
            _ => return steps,
        };
        self.calls.remove(id);
        let result = ToolResult { outcome, output };
        steps.push(Step::Said(Event::ToolEnded { id: id.to_owned(), result }));
        steps
    }

    fn was_denied(&self, id: &str) -> bool {
        self.denied.iter().any(|denied| denied.starts_with(id))
    }

    fn asks(&mut self, id: Value, params: &Value) -> Vec<Step> {
        let request: RequestPermissionRequest = match serde_json::from_value(params.clone()) {
            Ok(request) => request,
            Err(error) => {
                let outcome = RequestPermissionResponse::new(RequestPermissionOutcome::Cancelled);
                let kind = format!("session/request_permission: {error}");
                return vec![
                    Step::Write(rpc::response(&id, &outcome)),
                    Step::Said(Event::Unknown { kind }),
                ];
            }
        };
        let call = request.tool_call.tool_call_id.to_string();
        let mut fields = request.tool_call.fields;
        // What is asked about has not ended.
        fields.status = None;
        let mut steps = self.tool(&call, fields);
        let known = self.calls.entry(call.clone()).or_default();
        let (action, input) = (known.action(), known.input());
        self.pending.insert(id.to_string(), Pending { call, options: request.options });
        steps.push(Step::Said(Event::Permission { id: RequestId(id), action, input }));
        steps
    }

    fn failure(&self, problem: &Problem) -> Failure {
        let told = match problem.data.get("details").or(problem.data.get("message")) {
            Some(Value::String(details)) => format!("{}: {details}", problem.message),
            _ => problem.message.clone(),
        };
        let kind = problem.data.get("errorKind").and_then(Value::as_str);
        match (problem.code, kind) {
            (-32000, _) => {
                let message = format!("{} is not logged in: {}", self.name, brief(&told));
                Failure::new(ErrorClass::Auth, message)
            }
            (_, Some("rate_limit")) => by_status(&self.name, 429, &told),
            (_, Some("overloaded")) => by_status(&self.name, 529, &told),
            (_, Some("authentication" | "authentication_failed")) => {
                by_status(&self.name, 401, &told)
            }
            (code @ 400..600, _) => {
                by_status(&self.name, u16::try_from(code).unwrap_or(500), &told)
            }
            _ => by_words(&self.name, &told),
        }
    }
}

fn block(text: &str) -> ContentBlock {
    ContentBlock::Text(TextContent::new(text))
}

impl Dialogue for Conversation {
    fn start(&mut self) -> Vec<Step> {
        let us = Implementation::new("orchestrator", env!("CARGO_PKG_VERSION"));
        let params = InitializeRequest::new(VERSION)
            .client_capabilities(ClientCapabilities::new())
            .client_info(us);
        vec![self.request(Asked::Initialize, "initialize", &params)]
    }

    fn line(&mut self, line: &str) -> Vec<Step> {
        if line.trim().is_empty() {
            return Vec::new();
        }
        match rpc::read(line) {
            Some(Message::Response { id, result }) => self.answered(id, result),
            Some(Message::Request { id, method, params }) => match method.as_str() {
                "session/request_permission" => self.asks(id, &params),
                _ => vec![
                    Step::Write(rpc::unknown_method(&id, &method)),
                    Step::Said(Event::Unknown { kind: method }),
                ],
            },
            Some(Message::Notification { method, params }) => match method.as_str() {
                "session/update" => match params.get("update") {
                    Some(update) => self.updated(update),
                    None => vec![Step::Said(garbage(line))],
                },
                // Names with a line before them are the program's own.
                _ if method.starts_with('_') || method.starts_with('$') => Vec::new(),
                _ => vec![Step::Said(Event::Unknown { kind: method })],
            },
            None => vec![Step::Said(garbage(line))],
        }
    }

    /// An option is chosen by its kind: names differ from program to program.
    fn answer(&mut self, request: &RequestId, decision: &Decision) -> Vec<Step> {
        let Some(pending) = self.pending.remove(&request.0.to_string()) else { return Vec::new() };
        let kinds = match decision {
            Decision::Allow => [PermissionOptionKind::AllowOnce, PermissionOptionKind::AllowAlways],
            Decision::Deny(_) => {
                [PermissionOptionKind::RejectOnce, PermissionOptionKind::RejectAlways]
            }
        };
        let option = kinds
            .into_iter()
            .find_map(|kind| pending.options.iter().find(|option| option.kind == kind));
        let outcome = match option {
            Some(option) => {
                let selected = SelectedPermissionOutcome::new(option.option_id.clone());
                RequestPermissionOutcome::Selected(selected)
            }
            None => RequestPermissionOutcome::Cancelled,
        };
        let answer = RequestPermissionResponse::new(outcome);
        let mut steps = vec![Step::Write(rpc::response(&request.0, &answer))];
        let call = self.calls.remove(&pending.call);
        match (decision, call) {
            (Decision::Deny(why), call) => {
                let summary = call.map(|call| call.action().summary).unwrap_or_default();
                self.untold.push(format!("{summary}: {why}"));
                self.denied.push(format!("{} {summary}", pending.call));
                let output = Value::String(why.clone());
                let result = ToolResult { outcome: Outcome::Denied, output };
                steps.push(Step::Said(Event::ToolEnded { id: pending.call, result }));
            }
            (Decision::Allow, Some(call)) => {
                self.calls.insert(pending.call, call);
            }
            (Decision::Allow, None) => {}
        }
        steps
    }

    /// The protocol has no word for something said in between: it is the next prompt.
    fn say(&mut self, message: &str) -> Option<Vec<Step>> {
        if self.ended.is_some() {
            return None;
        }
        if self.busy || self.session.is_none() {
            self.later.push_back(message.to_owned());
            return Some(Vec::new());
        }
        Some(vec![self.prompt(message.to_owned())])
    }

    fn interrupt(&mut self) -> Option<Vec<Step>> {
        let session = self.session.clone().filter(|_| self.busy)?;
        self.interrupted = true;
        let note = rpc::notification("session/cancel", &CancelNotification::new(session));
        // What it had asked about it does not do.
        let cancelled = RequestPermissionResponse::new(RequestPermissionOutcome::Cancelled);
        let mut steps = vec![Step::Write(note)];
        for id in std::mem::take(&mut self.pending).into_keys() {
            let id: Value = serde_json::from_str(&id).unwrap_or_default();
            steps.push(Step::Write(rpc::response(&id, &cancelled)));
            steps.push(Step::Said(Event::Withdrawn { id: RequestId(id) }));
        }
        Some(steps)
    }

    /// The program serves until it is told nothing more: how it ends then says nothing of the work,
    /// unless it says that it failed.
    fn verdict(&mut self, exit: Exit) -> Verdict {
        match (self.ended.take(), exit) {
            (Some(Ok(finish)), Exit::Code(0) | Exit::Stopped) => Verdict::Done(finish),
            (Some(Ok(_)), exit) => Verdict::Failed(disagrees(&self.name, exit)),
            (Some(Err(failure)), _) => Verdict::Failed(failure),
            (None, _) => Verdict::Silent,
        }
    }
}
