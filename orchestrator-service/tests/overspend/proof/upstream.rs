//! The other side: it reads a request, bills it, and then answers as that call's fate has it.

use super::{
    plan::{self, Fate, Usage, World},
    sse::{self, Wire},
};
use anyhow::{Context as _, Result};
use orchestrator_core::ledger::Scope;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    time,
};

/// One call that reached the upstream.
#[derive(Debug, Clone)]
pub(crate) struct Bill {
    pub(crate) fate: Fate,
    /// How often it was asked for.
    pub(crate) times: u64,
    /// Nothing when it was refused.
    pub(crate) usage: Usage,
    pub(crate) usd: u64,
}

/// What was billed: by call, and in all by scope.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) calls: BTreeMap<u64, Bill>,
    pub(crate) scopes: BTreeMap<Scope, Billed>,
    /// Prompts that were counted, at no cost.
    pub(crate) counts: u64,
    /// What came that is no call of the plan.
    pub(crate) strange: Vec<String>,
}

/// A sum of bills.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Billed {
    pub(crate) usd: u64,
    pub(crate) tokens: u64,
    pub(crate) requests: u64,
}

/// The bills, shared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bills(Arc<Mutex<Ledger>>);

impl Ledger {
    /// What all calls were billed, each as often as it was asked for.
    pub(crate) fn usd(&self) -> u64 {
        self.calls.values().map(|bill| bill.usd * bill.times).sum()
    }
}

impl Bills {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server at work.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) at: SocketAddr,
    pub(crate) bills: Bills,
}

/// Starts it at an address of the loopback.
pub(crate) async fn start(world: Arc<World>, listen: SocketAddr) -> Result<Upstream> {
    let listener = TcpListener::bind(listen).await.context("cannot open a port")?;
    let (at, bills) = (listener.local_addr()?, Bills::default());
    let shared = bills.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (world, bills) = (world.clone(), shared.clone());
            tokio::spawn(async move {
                // A worker that was killed or gave up is no error of the server.
                let _ = answer(&world, &bills, stream).await;
            });
        }
    });
    Ok(Upstream { at, bills })
}

async fn answer(world: &World, bills: &Bills, mut stream: TcpStream) -> Result<()> {
    let Some((path, body)) = read(&mut stream).await? else { return Ok(()) };
    let json: Value = serde_json::from_slice(&body)?;
    let prompt = prompt(&json["messages"]);
    let number = prompt.split_whitespace().next().and_then(plan::number_of);
    let Some(number) = number.filter(|number| *number < world.calls) else {
        bills.lock().strange.push(format!("`{path}`: {prompt:.40}"));
        return Ok(());
    };
    let bytes = prompt.len() as u64;
    if path.ends_with("/count_tokens") {
        bills.lock().counts += 1;
        let usage = world.usage(number, bytes, 1);
        let counted = json!({ "input_tokens": usage.tokens() - usage.output });
        return whole(&mut stream, 200, &counted).await;
    }
    let wire = if path.ends_with("/messages") { Wire::Messages } else { Wire::Chat };
    let bound = ["max_tokens", "max_completion_tokens"].map(|key| json[key].as_u64());
    let Some(bound) = bound.into_iter().flatten().next() else {
        bills.lock().strange.push(format!("call {number} has no bound"));
        return Ok(());
    };
    let fate = world.fate(number);
    let usage = world.usage(number, bytes, bound);
    bill(world, bills, number, fate, usage);
    let model = json["model"].as_str().unwrap_or_default();
    let parts = sse::stream(wire, model, (fate != Fate::Uncounted).then_some(usage));
    match fate {
        Fate::HungUp => Ok(()),
        Fate::Refused(status) => {
            let kind = if status == 529 { "overloaded_error" } else { "api_error" };
            let error = json!({ "type": kind, "message": "not now" });
            whole(&mut stream, status, &json!({ "type": "error", "error": error })).await
        }
        Fate::CutBefore => {
            let some = usize::try_from(number).unwrap_or(0) % parts.before.len();
            pieces(&mut stream, &parts.before[..=some], Duration::ZERO).await
        }
        Fate::CutAfter => {
            pieces(&mut stream, &parts.before, Duration::ZERO).await?;
            chunk(&mut stream, &parts.count).await
        }
        Fate::Whole | Fate::Slow | Fate::Uncounted => {
            let slow = if fate == Fate::Slow { 40 + number % 120 } else { 0 };
            pieces(&mut stream, &parts.before, Duration::from_millis(slow)).await?;
            chunk(&mut stream, &parts.count).await?;
            chunk(&mut stream, &parts.end).await?;
            Ok(stream.write_all(b"0\r\n\r\n").await?)
        }
    }
}

/// What the user says, in either protocol.
fn prompt(messages: &Value) -> String {
    let content = messages.as_array().and_then(|all| all.last()).map(|last| &last["content"]);
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect()
        }
        _ => String::new(),
    }
}

fn bill(world: &World, bills: &Bills, number: u64, fate: Fate, usage: Usage) {
    let payer = world.call(number).payer;
    let usage = if fate.is_billed() { usage } else { Usage::default() };
    let usd = usage.price(plan::rates(payer.account.as_str()));
    let mut bills = bills.lock();
    bills.calls.entry(number).and_modify(|bill| bill.times += 1).or_insert(Bill {
        fate,
        times: 1,
        usage,
        usd,
    });
    if fate.is_billed() {
        for scope in world.scopes(&payer) {
            let billed = bills.scopes.entry(scope).or_default();
            billed.usd += usd;
            billed.tokens += usage.tokens();
            billed.requests += 1;
        }
    }
}

/// Reads one request: its path and its body.
async fn read(stream: &mut TcpStream) -> Result<Option<(String, Vec<u8>)>> {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if path.is_empty() {
            let target = line.split(' ').nth(1).unwrap_or_default();
            target.split('?').next().unwrap_or_default().clone_into(&mut path);
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    Ok(Some((path, body)))
}

async fn whole(stream: &mut TcpStream, status: u16, json: &Value) -> Result<()> {
    let body = json.to_string();
    let head = format!(
        "HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    Ok(stream.write_all(body.as_bytes()).await?)
}

/// Begins a stream, with a pause before each piece.
async fn pieces(stream: &mut TcpStream, pieces: &[String], pause: Duration) -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    for piece in pieces {
        if !pause.is_zero() {
            time::sleep(pause).await;
        }
        chunk(stream, piece).await?;
    }
    Ok(())
}

async fn chunk(stream: &mut TcpStream, text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let framed = format!("{:x}\r\n{text}\r\n", text.len());
    Ok(stream.write_all(framed.as_bytes()).await?)
}
