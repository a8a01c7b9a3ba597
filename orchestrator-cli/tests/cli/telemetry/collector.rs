//! A collector on loopback that takes OTLP over HTTP and reads what it was sent.

use crate::harness::eventually;
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::Metric,
    trace::v1::Span,
};
use prost::Message;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

/// What arrived, each request as its path, its head and its body.
type Arrived = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

/// The collector.
#[derive(Debug)]
pub(crate) struct Collector {
    url: String,
    arrived: Arrived,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let arrived = Arrived::default();
        let into = arrived.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, into) = (stream.expect("a connection"), into.clone());
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    while let Some(request) = take(&mut stream) {
                        into.lock().expect("no panic").push(request);
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        if stream.get_mut().write_all(answer).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { url, arrived }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Every request: its path, its head, its body.
    pub(crate) fn requests(&self) -> Vec<(String, String, Vec<u8>)> {
        self.arrived.lock().expect("no panic").clone()
    }

    /// Every span that has arrived.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.requests();
        let bodies = requests.iter().filter(|(path, ..)| path == "/v1/traces");
        let batches = bodies.flat_map(|(.., body)| {
            ExportTraceServiceRequest::decode(&body[..]).expect("spans").resource_spans
        });
        batches.flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect()
    }

    /// The metrics of the last export.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let requests = self.requests();
        let last = requests.iter().rfind(|(path, ..)| path == "/v1/metrics");
        let (.., body) = last.expect("an export of metrics");
        let batches = ExportMetricsServiceRequest::decode(&body[..]).expect("metrics");
        let scopes = batches.resource_metrics.into_iter().flat_map(|of| of.scope_metrics);
        scopes.flat_map(|of| of.metrics).collect()
    }

    /// Waits until a span of that name is here.
    pub(crate) fn wait_for(&self, name: &str) -> Span {
        eventually(name, || self.spans().into_iter().find(|span| span.name == name))
    }

    /// Whether `text` is anywhere in what arrived.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        self.requests().iter().any(|(.., body)| holds(body))
    }
}

fn take(stream: &mut BufReader<std::net::TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    while stream.read_line(&mut head).is_ok_and(|read| read > 2) {
        let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((path, head, body))
}

/// An attribute as text.
pub(crate) fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(is) => is.to_string(),
        other => format!("{other:?}"),
    })
}
