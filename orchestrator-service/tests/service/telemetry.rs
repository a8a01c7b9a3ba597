//! Traces reach a collector on this machine, and only when one is set.

use crate::place::Place;
use orchestrator_service::{
    KnownSecrets,
    telemetry::{self as subject, TelemetryConfig},
};
use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

const SMALL: &str = "name: small\ntasks:\n  build: { command: ['true'] }\n";

/// Takes one request and returns its head and body.
fn collect(listener: TcpListener) -> thread::JoinHandle<(String, Vec<u8>)> {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let read = stream.read(&mut part).unwrap();
            bytes.extend_from_slice(&part[..read]);
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                assert!(read > 0, "the request was cut off");
                continue;
            };
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap().trim().parse().unwrap();
            if bytes.len() >= end + 4 + length {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                return (head, bytes[end + 4..].to_vec());
            }
        }
    })
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn writer(&self) -> impl Fn() -> Log + Send + Sync + 'static {
        let log = self.clone();
        move || log.clone()
    }
}

#[tokio::test]
async fn spans_of_a_run_reach_the_collector() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let collector = collect(listener);
    let mut config = TelemetryConfig::default();
    config.traces = Some(format!("{endpoint}/v1/traces"));
    let log = Log::default();
    let (dispatch, guard) =
        subject::build(&config, &KnownSecrets::default(), log.writer()).unwrap();
    let scope = tracing::dispatcher::set_default(&dispatch);
    let place = Place::new();
    let service = place.service();
    service.observed_by(guard.telemetry().unwrap());
    let execution = service.execute(place.request(SMALL)).await.unwrap();
    assert_eq!(execution.wait().await.unwrap().status, "succeeded");
    drop(scope);
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();
    let (head, body) = collector.join().unwrap();
    assert!(head.starts_with("post /v1/traces "), "{head}");
    assert!(head.contains("application/x-protobuf"), "{head}");
    let has = |text: &str| body.windows(text.len()).any(|window| window == text.as_bytes());
    for text in ["orchestrator", "invoke_workflow small", "invoke_agent command", "build"] {
        assert!(has(text), "{text}");
    }
    assert!(log.0.lock().unwrap().is_empty(), "verbosity 0 says nothing");
}

#[test]
fn an_endpoint_that_is_none_is_refused() {
    for bad in ["not an address", "ftp://127.0.0.1"] {
        let mut config = TelemetryConfig::default();
        config.traces = Some(bad.into());
        let known = KnownSecrets::default();
        let error = subject::build(&config, &known, std::io::sink).unwrap_err();
        assert_eq!(error.code(), "ORC-0705");
    }
}

#[tokio::test]
async fn the_log_says_more_the_more_is_asked() {
    let said = async |verbosity: u8| {
        let log = Log::default();
        let mut config = TelemetryConfig::default();
        config.verbosity = verbosity;
        let (dispatch, _guard) =
            subject::build(&config, &KnownSecrets::default(), log.writer()).unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::info!(target: "orchestrator_core::x", "happens");
            tracing::debug!(target: "orchestrator_core::x", "details");
            tracing::info!(target: "elsewhere", "foreign");
        });
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    };
    assert_eq!(said(0).await, "");
    let one = said(1).await;
    assert!(one.contains("happens") && !one.contains("details") && !one.contains("foreign"));
    let two = said(2).await;
    assert!(two.contains("details") && two.contains("foreign"));
}

#[test]
fn the_endpoint_comes_from_the_settings_or_the_usual_variable() {
    let check = |place: Place, expected: Option<&str>| {
        let telemetry = place.service().telemetry(false).unwrap();
        for (found, path) in [(telemetry.traces, "traces"), (telemetry.metrics, "metrics")] {
            assert_eq!(found, expected.map(|base| format!("{base}/v1/{path}")));
        }
    };
    check(Place::new(), None);
    check(Place::new().with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), Some("http://a"));
    let place = |endpoint: &str| {
        let set = format!("[telemetry]\notlp-endpoint = '{endpoint}'\n");
        Place::new().file(".orchestrator/config.toml", &set)
    };
    check(place("http://127.0.0.1:4318"), Some("http://127.0.0.1:4318"));
    check(Place::new().file(".env", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c.test\n"), None);
    let error = place("http://c.test").service().telemetry(false).unwrap_err();
    assert_eq!(error.code(), "ORC-0520");
}
