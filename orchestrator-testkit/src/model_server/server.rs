//! The server: a listener, a thread for each connection, and what they have seen.

use super::{
    Api, ModelRequest, Reply, chat, gemini,
    http::{self, RawRequest},
    messages,
    reply::{Answer, Flaw, Kind},
    request::COUNTING,
    responses,
    script::Script,
};
use serde_json::Value;
use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// A running server. Stops, and hangs up on everyone, when it is dropped.
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    script: Script,
    requests: Vec<ModelRequest>,
    hang_ups: usize,
    connections: Vec<TcpStream>,
    stopped: bool,
    keys: Vec<String>,
    held: bool,
}

impl State {
    /// Whether a request shows a key that is accepted, as either protocol does.
    fn admits(&self, raw: &RawRequest) -> bool {
        let shown = raw.headers.iter().filter_map(|(name, value)| match name.as_str() {
            "x-api-key" => Some(value.as_str()),
            "authorization" => value.strip_prefix("Bearer "),
            _ => None,
        });
        self.keys.is_empty() || shown.into_iter().any(|key| self.keys.iter().any(|k| k == key))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ModelServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl ModelServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the system has no port to give.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        let handle = thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { address, shared, listener: Some(handle) })
    }

    /// Where it listens, such as `http://127.0.0.1:40123`: without a path and without a slash at
    /// the end. Any path that ends as those of a protocol is served.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers `reply` whenever the last user message holds `text`, as often as that happens.
    /// Among several rules that apply the first one made wins.
    pub fn when(&self, text: impl Into<String>, reply: Reply) {
        let text = text.into();
        self.when_request(move |request| request.last_user_message().contains(&text), reply);
    }

    /// Answers `reply` whenever `applies` says so.
    pub fn when_request(
        &self,
        applies: impl Fn(&ModelRequest) -> bool + Send + 'static,
        reply: Reply,
    ) {
        self.shared.state().script.rules.push((Box::new(applies), reply));
    }

    /// Adds `reply` to the queue of those that are given once each, in order, to requests without
    /// a rule.
    pub fn next(&self, reply: Reply) {
        self.shared.state().script.queue.push_back(reply);
    }

    /// Answers `reply` when there is neither a rule nor anything in the queue.
    pub fn otherwise(&self, reply: Reply) {
        self.shared.state().script.otherwise = Some(reply);
    }

    /// Makes the list of models, at any path that ends in `/models`, answer 401 to every key but
    /// this one and others that were named. Without it every key will do.
    pub fn accept_key(&self, key: impl Into<String>) {
        self.shared.state().keys.push(key.into());
    }

    /// All requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<ModelRequest> {
        self.shared.state().requests.clone()
    }

    /// Blocks until `count` clients have hung up on an answer that the server had fallen silent
    /// in. In an async test call it from a blocking thread: hanging up needs the runtime.
    pub fn wait_for_hang_ups(&self, count: usize) {
        self.wait_until(|state| state.hang_ups >= count);
    }

    /// Blocks until `count` requests have come. In an async test call it from a blocking thread.
    pub fn wait_for_requests(&self, count: usize) {
        self.wait_until(|state| state.requests.len() >= count);
    }

    /// From now on requests are recorded and not answered.
    pub fn hold(&self) {
        self.shared.state().held = true;
    }

    /// Answers what was held, and whatever comes.
    pub fn release(&self) {
        self.shared.state().held = false;
        self.shared.changed.notify_all();
    }

    fn wait_until(&self, reached: impl Fn(&State) -> bool) {
        let mut state = self.shared.state();
        while !reached(&state) {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        let connections = {
            let mut state = self.shared.state();
            state.stopped = true;
            self.shared.changed.notify_all();
            std::mem::take(&mut state.connections)
        };
        for connection in connections {
            // Already closed is as good.
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes the listener, which then sees that it is to stop.
        if TcpStream::connect(self.address).is_ok()
            && let Some(listener) = self.listener.take()
        {
            let _ = listener.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        let Ok(connection) = connection else { continue };
        let mut state = shared.state();
        if state.stopped {
            return;
        }
        state.connections.retain(|open| open.peer_addr().is_ok());
        if let Ok(handle) = connection.try_clone() {
            state.connections.push(handle);
        }
        drop(state);
        let shared = shared.clone();
        thread::spawn(move || {
            // A client that hangs up in the middle is part of many tests.
            let _ = serve(&connection, &shared);
            let _ = connection.shutdown(Shutdown::Both);
        });
    }
}

fn serve(connection: &TcpStream, shared: &Shared) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let Some(raw) = http::read_request(connection)? else {
        return Ok(());
    };
    if raw.method == "GET" && raw.path.ends_with("/models") {
        let (status, body) = match shared.state().admits(&raw) {
            true => (200, "{\"data\":[]}"),
            false => (401, "{\"error\":{\"message\":\"bad key\"}}"),
        };
        return document(connection, status, &[], body);
    }
    let Some(request) = understand(raw) else {
        return document(connection, 404, &[], "{\"error\":\"no such endpoint\"}");
    };
    let reply = {
        let mut state = shared.state();
        state.requests.push(request.clone());
        shared.changed.notify_all();
        while state.held && !state.stopped {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.script.reply_to(&request)
    };
    let silent = match respond(connection, &request, &reply) {
        Ok(silent) => silent,
        // The client hung up before the silence was reached.
        Err(_) if matches!(reply.flaw, Some(Flaw::Hang(_))) => true,
        Err(error) => return Err(error),
    };
    if silent {
        http::wait_for_hang_up(connection);
        shared.state().hang_ups += 1;
        shared.changed.notify_all();
    }
    Ok(())
}

fn understand(raw: RawRequest) -> Option<ModelRequest> {
    let path = raw.path.split('?').next().unwrap_or_default();
    // The path without the end that asks for a count.
    let counted = COUNTING[..2].iter().find_map(|end| path.strip_suffix(end));
    let path = counted.unwrap_or(path);
    let gemini = [":generateContent", ":streamGenerateContent", ":countTokens"];
    let api = if path.ends_with("/chat/completions") {
        Api::Chat
    } else if path.ends_with("/messages") {
        Api::Messages
    } else if path.ends_with("/responses") {
        Api::Responses
    } else if gemini.iter().any(|end| path.ends_with(end)) {
        Api::Gemini
    } else {
        return None;
    };
    let body: Value = serde_json::from_slice(&raw.body).ok()?;
    (raw.method == "POST").then_some(ModelRequest {
        api,
        path: raw.path,
        headers: raw.headers,
        body,
    })
}

/// Sends `reply`; true when it falls silent before its end.
fn respond(connection: &TcpStream, request: &ModelRequest, reply: &Reply) -> io::Result<bool> {
    if matches!(reply.flaw, Some(Flaw::Hang(0))) {
        return Ok(true);
    }
    match &reply.kind {
        Kind::Raw { status, body } => document(connection, *status, &reply.headers, body)?,
        Kind::Error { status, kind, message } => {
            let body = match request.api {
                Api::Messages => messages::error(kind, message),
                Api::Chat | Api::Responses => chat::error(kind, message),
                Api::Gemini => gemini::error(*status, kind, message),
            };
            let body = body.to_string();
            document(connection, *status, &reply.headers, &body)?;
        }
        Kind::Count(tokens) => {
            let place = if request.api == Api::Gemini { "totalTokens" } else { "input_tokens" };
            let body = serde_json::json!({ place: tokens }).to_string();
            document(connection, 200, &reply.headers, &body)?;
        }
        Kind::Answer(answer) if !(answer.stream && request.wants_stream()) => {
            let body = whole(request, answer).to_string();
            document(connection, 200, &reply.headers, &body)?;
        }
        Kind::Answer(answer) => {
            let events = match request.api {
                Api::Messages => messages::events(request, answer),
                Api::Chat => chat::events(request, answer),
                Api::Responses => responses::events(request, answer),
                Api::Gemini => gemini::events(request, answer),
            };
            return stream(connection, request.api, reply, &events);
        }
    }
    Ok(false)
}

/// The answer in one document.
fn whole(request: &ModelRequest, answer: &Answer) -> Value {
    match request.api {
        Api::Messages => messages::document(request, answer),
        Api::Chat => chat::document(request, answer),
        Api::Responses => responses::document(request, answer),
        Api::Gemini => gemini::document(request, answer),
    }
}

fn document(
    connection: &TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &str,
) -> io::Result<()> {
    let mut all = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("content-length".to_owned(), body.len().to_string()),
    ];
    all.extend_from_slice(headers);
    http::write_head(connection, status, &all)?;
    io::Write::write_all(&mut &*connection, body.as_bytes())
}

fn stream(connection: &TcpStream, api: Api, reply: &Reply, events: &[String]) -> io::Result<bool> {
    let mut headers = vec![
        ("content-type".to_owned(), "text/event-stream".to_owned()),
        ("transfer-encoding".to_owned(), "chunked".to_owned()),
    ];
    headers.extend_from_slice(&reply.headers);
    http::write_head(connection, 200, &headers)?;
    let send = |text: &str| http::write_chunks(connection, text.as_bytes(), reply.dribble);
    for (sent, event) in events.iter().enumerate() {
        match &reply.flaw {
            Some(Flaw::Cut(after)) if *after == sent => {
                let half = event.floor_char_boundary(event.len() / 2);
                send(&event[..half])?;
                return Ok(false);
            }
            Some(Flaw::Hang(after)) if *after == sent => return Ok(true),
            Some(Flaw::Damage(after)) if *after == sent => send("data: {\"type\": oops\n\n")?,
            Some(Flaw::Fail { after, kind, message }) if *after == sent => {
                send(&match api {
                    Api::Messages => messages::error_event(kind, message),
                    Api::Chat => chat::error_event(kind, message),
                    Api::Responses => responses::error_event(kind, message),
                    Api::Gemini => gemini::error_event(kind, message),
                })?;
                http::write_end(connection)?;
                return Ok(false);
            }
            _ => {}
        }
        send(event)?;
    }
    http::write_end(connection)?;
    Ok(false)
}
