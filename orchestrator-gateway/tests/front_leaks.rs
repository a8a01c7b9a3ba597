//! Neither keys nor tokens reach a log or an event of the front. A test program of its own: it
//! listens to everything that the process logs.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should fail")]

use orchestrator_core::{
    engine::SystemClock,
    id::{OwnerId, ProviderName},
    ledger::Payer,
    memory::MemoryStore,
    time::Timestamp,
};
use orchestrator_gateway::{
    SecretString,
    front::{Api, Front, FrontConfig, FrontEvent, FrontObserver, Grant, Tokens, Upstream},
};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use std::{
    io,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

const KEY: &str = "key-that-must-never-be-seen";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FrontObserver for Log {
    fn told(&self, event: FrontEvent) {
        self.0.lock().unwrap().extend_from_slice(format!("{event:?}\n").as_bytes());
    }
}

#[tokio::test]
async fn no_log_and_no_event_shows_a_key_or_a_token() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let server = ModelServer::start().unwrap();
    let account = ProviderName::new("p").unwrap();
    let tokens = Arc::new(Tokens::new());
    let grant = Grant::new(Payer::new(account.clone(), ""), Timestamp(u64::MAX))
        .with_accounts([account.clone()])
        .with_models(["m"]);
    let token = tokens.issue(grant).unwrap();
    let upstream = Upstream::new(account, Api::OpenAi, &server.url()).unwrap();
    let (ledger, clock) = (Arc::new(MemoryStore::default()), Arc::new(SystemClock));
    let config = FrontConfig::new(OwnerId::new("o").unwrap(), ledger, tokens.clone(), clock)
        .with_upstream(upstream.with_key(SecretString::new(KEY)).unwrap())
        .with_observer(Arc::new(log.clone()));
    let shown = format!("{config:?} {tokens:?}");
    let front = Front::bind(([127, 0, 0, 1], 0).into(), config).await.unwrap();
    let address = front.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(front.serve(async {
        let _ = stopped.await;
    }));
    let echo = format!("invalid key {KEY}");
    for (reply, model) in [
        (Some(Reply::text("x")), "m"),
        (Some(Reply::error(401, "authentication_error", &echo)), "m"),
        (None, "other"),
    ] {
        if let Some(reply) = reply {
            server.next(reply);
        }
        let body = format!(r#"{{"model":"{model}","messages":[],"stream":true}}"#);
        for credential in ["authorization: Bearer ", "x-api-key: ", "x-goog-api-key: "] {
            let request = format!(
                "POST /openai/v1/chat/completions?key={0} HTTP/1.1\r\nhost: h\r\n{credential}{0}\r\n\
                 connection: close\r\ncontent-length: {1}\r\n\r\n{body}",
                token.expose(),
                body.len()
            );
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(!answer.contains(KEY) && !answer.contains(token.expose()), "{answer}");
        }
    }
    stop.send(()).unwrap();
    serving.await.unwrap();
    let sent = server.requests();
    assert!(sent.iter().all(|sent| sent.headers.iter().any(|(_, value)| value.contains(KEY))));
    let log = shown + &String::from_utf8_lossy(&log.0.lock().unwrap());
    for told in ["gen_ai.request.model", "refused a request", "Settled {", "Refused {"] {
        assert!(log.contains(told), "the log was written: {told}");
    }
    assert!(!log.contains(KEY), "{}", around(&log, KEY));
    assert!(!log.contains(token.expose()), "{}", around(&log, token.expose()));
}

/// The line of `log` that holds `text`.
fn around<'a>(log: &'a str, text: &str) -> &'a str {
    log.lines().find(|line| line.contains(text)).unwrap_or_default()
}
