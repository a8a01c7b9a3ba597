//! The HTTP front of the model gateway, between a client and a provider that answers at once: how
//! many calls it passes, what it adds to one, how late the pieces of a stream are, and its memory.
//! Client, front and provider are processes of their own on the same cores; the same calls go to
//! the provider directly, in turns. Budgets are on, in a ledger on disk: what a call waits for the
//! disk is measured beside it.
#![expect(clippy::print_stdout, reason = "the figures are what a benchmark is for")]

use orchestrator_benches::{Child, commits, database, role, rounds, say, scratch, since};
use orchestrator_core::{
    id::{OwnerId, ProviderName, RunId},
    ledger::{Payer, Rule, ScopeKind, Unit, Window},
    time::Timestamp,
};
use orchestrator_gateway::{
    SecretString,
    front::{Api, Front, FrontConfig, Grant, Tokens, Upstream},
    prices::PriceTable,
};
use orchestrator_store::LocalStore;
use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

/// Calls at once.
const CROWD: usize = 32;
/// Pieces of the stream that is timed.
const PIECES: usize = 200;
/// Commits in a row of a database, to know what the disk takes.
const COMMITS: usize = 200;
const ANSWER: &str = r#"{"type":"message","content":[{"type":"text","text":"yes"}],"stop_reason":"end_turn","usage":{"input_tokens":400,"output_tokens":3}}"#;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    if let Some((role, directory)) = role() {
        return match role.strip_prefix("front ") {
            Some(upstream) => runtime.block_on(front(upstream, &directory.join("state"))),
            None => runtime.block_on(provider()),
        };
    }
    let directory = scratch();
    let mut provider = Child::start("provider", directory.path());
    let direct: SocketAddr = provider.hear().0.parse().expect("an address");
    let mut front = Child::start(&format!("front {direct}"), directory.path());
    let said = front.hear().0;
    let (address, token) = said.split_once(' ').expect("an address and a token");
    let address: SocketAddr = address.parse().expect("an address");
    let ways = [(direct, String::new()), (address, token.to_owned())];
    runtime.block_on(measure(&ways, &front, directory.path()));
    front.kill();
    provider.kill();
}

async fn measure(ways: &[(SocketAddr, String); 2], front: &Child, directory: &Path) {
    let rounds = rounds(5);
    let disk = database(directory);
    let mut commit = Vec::new();
    let mut figures: [[Vec<f64>; 5]; 2] = Default::default();
    for round in 0..=rounds {
        commit.push(since(|| commits(&disk, COMMITS)).as_secs_f64() * 1_000.0 / COMMITS as f64);
        for (way, figures) in ways.iter().zip(&mut figures) {
            let one = times(way, 1, 2_000).await.0;
            let (crowd, took) = times(way, CROWD, 20_000).await;
            let pieces = stream(way).await;
            if round > 0 {
                figures[0].push(crowd.len() as f64 / took.as_secs_f64());
                figures[1].push(part(&one, 50));
                figures[2].push(part(&crowd, 99));
                figures[3].push(part(&pieces, 50));
                figures[4].push(part(&pieces, 99));
            }
        }
    }
    let median = |values: &[f64]| part(values, 50);
    println!("\nthe HTTP front of the gateway; {rounds} rounds, medians of them");
    println!("{:<46} {:>10} {:>10} {:>10}  goal", "", "direct", "front", "added");
    let row = |name: &str, place: usize, goal: &str, reached: &dyn Fn(f64, f64) -> bool| {
        let [direct, front] = [0, 1].map(|way: usize| median(&figures[way][place]));
        let added = if place == 0 { String::new() } else { format!("{:.3}", front - direct) };
        let reached = if reached(direct, front) { "reached" } else { "MISSED" };
        println!("{name:<46} {direct:>10.3} {front:>10.3} {added:>10}  {goal}: {reached}");
    };
    row("calls a second, 32 at once", 0, "5,000", &|_, front| front >= 5_000.0);
    // The end of a call shares the commit of the next one.
    let commit = median(&commit);
    let goal = "0.3 ms added beyond a commit";
    row("one at a time, median, ms", 1, goal, &|a, b| b - a - commit <= 0.3);
    println!("{:<46} {commit:>10.3}", "one commit of a database alone, ms");
    row("32 at once, 99th percentile, ms", 2, "10 ms", &|_, front| front <= 10.0);
    row("a piece of a stream, median, ms", 3, "1 ms added", &|direct, front| front - direct <= 1.0);
    row("a piece of a stream, 99th percentile, ms", 4, "1 ms added", &|a, b| b - a <= 1.0);
    // The pages of the ledger that are kept in memory are as many as may be by then.
    times(&ways[1], CROWD, 100_000).await;
    let before = front.memory();
    times(&ways[1], CROWD, 100_000).await;
    let after = front.memory();
    println!("\nmemory of the front, in MB");
    println!(
        "before another 100,000 calls {:.1}, after {:.1}, peak {:.1}",
        before.resident, after.resident, after.peak
    );
    let grown = after.resident - before.resident;
    let verdict = if after.peak < 60.0 && grown < 2.0 { "reached" } else { "MISSED" };
    println!("goal: under 60, and grown by less than 2: {verdict}");
}

/// The value below which so many percent of `values` are.
fn part(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

/// Makes `count` calls, `crowd` at once; how many ms each took, and how long all.
async fn times(way: &(SocketAddr, String), crowd: usize, count: usize) -> (Vec<f64>, Duration) {
    let request = request(way, "messages");
    let began = Instant::now();
    let calls = (0..crowd).map(|_| {
        let (address, request) = (way.0, request.clone());
        tokio::spawn(async move {
            let mut stream = connect(address).await;
            let (mut took, mut bytes) = (Vec::with_capacity(count / crowd), Vec::new());
            for _ in 0..count / crowd {
                let began = Instant::now();
                stream.write_all(&request).await.expect("it is sent");
                bytes.clear();
                while !bytes.ends_with(b"\"output_tokens\":3}}") {
                    assert!(stream.read_buf(&mut bytes).await.expect("it is read") > 0);
                }
                assert!(bytes.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&bytes));
                took.push(began.elapsed().as_secs_f64() * 1_000.0);
            }
            took
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut all = Vec::with_capacity(count);
    for call in calls {
        all.extend(call.await.expect("it answers"));
    }
    (all, began.elapsed())
}

/// How many ms after it was sent each piece of a stream arrives.
async fn stream(way: &(SocketAddr, String)) -> Vec<f64> {
    let mut stream = connect(way.0).await;
    stream.write_all(&request(way, "messages?stream")).await.expect("it is sent");
    let (mut late, mut bytes) = (Vec::new(), Vec::new());
    while late.len() < PIECES {
        assert!(stream.read_buf(&mut bytes).await.expect("it is read") > 0);
        let now = nanoseconds();
        while let Some(at) = bytes.windows(2).position(|two| two == b"\n\n") {
            let text = String::from_utf8_lossy(&bytes[..at]).into_owned();
            if let Some((_, sent)) = text.rsplit_once("data: ") {
                let sent: u128 = sent.parse().expect("a time");
                late.push(now.saturating_sub(sent) as f64 / 1e6);
            }
            bytes.drain(..at + 2);
        }
    }
    late
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    stream
}

fn nanoseconds() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_nanos()
}

fn request((address, token): &(SocketAddr, String), path: &str) -> Arc<Vec<u8>> {
    let prompt = "word ".repeat(400);
    let body = format!(
        r#"{{"model":"claude-haiku-4-5","max_tokens":100,"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    );
    let root = if token.is_empty() { "" } else { "/anthropic" };
    Arc::new(
        format!(
            "POST {root}/v1/{path} HTTP/1.1\r\nhost: {address}\r\nx-api-key: {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

/// Answers at once, for ever.
async fn provider() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    say(&listener.local_addr().expect("bound").to_string());
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        tokio::spawn(serve(stream));
    }
}

async fn serve(mut stream: TcpStream) -> Option<()> {
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    let mut bytes = Vec::new();
    loop {
        // Every request has the same body: its end tells that all of it is here.
        while !bytes.ends_with(b"\"}]}") {
            stream.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
        }
        let is_stream = bytes.windows(7).take(64).any(|part| part == b"?stream");
        bytes.clear();
        if !is_stream {
            stream.write_all(whole.as_bytes()).await.ok()?;
            continue;
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.ok()?;
        for _ in 0..PIECES {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let event = format!("data: {}\n\n", nanoseconds());
            let piece = format!("{:x}\r\n{event}\r\n", event.len());
            stream.write_all(piece.as_bytes()).await.ok()?;
        }
        stream.write_all(b"0\r\n\r\n").await.ok()?;
    }
}

/// The front, for ever.
async fn front(upstream: &str, directory: &Path) {
    let account = ProviderName::new("anthropic").expect("letters");
    let run = RunId::new("r_1").expect("letters");
    let mut payer = Payer::new(account.clone(), "");
    payer.run = Some(run);
    let most = 1 << 50;
    let rules = [
        Rule::hard(ScopeKind::Run, Window::Total, Unit::Usd, most),
        Rule::hard(ScopeKind::Project, Window::Day, Unit::Usd, most),
        Rule::hard(ScopeKind::Account, Window::Hours(5), Unit::Tokens, most),
    ];
    let tokens = Arc::new(Tokens::new());
    let grant = Grant::new(payer, Timestamp(u64::MAX))
        .with_accounts([account.clone()])
        .with_models(["claude-*"])
        .with_rules(rules);
    let token = tokens.issue(grant).expect("randomness");
    let ledger = Arc::new(LocalStore::open(directory).expect("a store"));
    let owner = OwnerId::new("bench").expect("letters");
    let upstream = Upstream::new(account, Api::Anthropic, &format!("http://{upstream}"));
    let upstream = upstream.and_then(|upstream| upstream.with_key(SecretString::new("key")));
    let config =
        FrontConfig::new(owner, ledger, tokens, Arc::new(orchestrator_core::engine::SystemClock))
            .with_prices(PriceTable::built_in())
            .with_upstream(upstream.expect("an address"));
    let front = Front::bind(([127, 0, 0, 1], 0).into(), config).await.expect("a port");
    say(&format!("{} {}", front.address(), token.expose()));
    front.serve(std::future::pending()).await;
}
