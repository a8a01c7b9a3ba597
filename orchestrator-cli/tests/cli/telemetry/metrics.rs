//! What is counted, by OTLP and as the text of Prometheus, which is read strictly here.

use super::collector::{Collector, attribute};
use crate::{
    gateway,
    harness::{Project, eventually},
    models,
};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point::Value};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

const MODEL: &str = "claude-sonnet-4-5";

/// The samples of a page, by name with labels; fails unless every line is as the format has it.
fn read(page: &str) -> BTreeMap<String, f64> {
    let is_name = |name: &str| {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
        name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
    };
    assert!(page.ends_with('\n'), "the last line has an end");
    let (mut kinds, mut samples) = (BTreeMap::new(), BTreeMap::new());
    let mut current = "";
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, _) = rest.split_once(' ').expect("a name and a text");
            assert!(is_name(name) && !kinds.contains_key(name), "{line}");
            current = name;
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert_eq!(name, current, "its help comes first: {line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(kinds.insert(name, kind).is_none(), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        let value: f64 = value.parse().expect("a number");
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("a brace")),
            None => (series, ""),
        };
        let kind = kinds[current];
        let fits = match kind {
            "histogram" => ["_bucket", "_sum", "_count"]
                .iter()
                .any(|part| name.strip_suffix(part) == Some(current)),
            "counter" => name == current && name.ends_with("_total"),
            _ => name == current,
        };
        assert!(fits && is_name(name), "{line} in {current}");
        for pair in labels.split("\",").filter(|pair| !pair.is_empty()) {
            let (label, value) = pair.split_once("=\"").expect("a label");
            assert!(is_name(label) && !value.contains('\n'), "{line}");
        }
        assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }
    histograms_are_whole(&samples);
    samples
}

/// Buckets grow, and the last of them is the count.
fn histograms_are_whole(samples: &BTreeMap<String, f64>) {
    let mut series: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (name, count) in samples.iter().filter(|(name, _)| name.contains("_bucket{")) {
        let start = name.find("le=\"").expect("a bound");
        let rest = &name[start + 4..];
        let (bound, rest) = rest.split_once('"').expect("an end");
        let key = format!("{}{rest}", &name[..start]);
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().expect("a bound") };
        series.entry(key).or_default().push((bound, *count));
    }
    for (name, mut buckets) in series {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}: {buckets:?}");
        assert_eq!(buckets.last().map(|last| last.0), Some(f64::INFINITY), "{name}");
    }
}

/// Gets a page; `Err` when nobody answers.
fn get(address: &str, host: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let (head, body) = text.split_once("\r\n\r\n").expect("a body");
    assert!(status != 200 || head.contains("text/plain; version=0.0.4"), "{head}");
    Ok((status, body.to_owned()))
}

fn sample(samples: &BTreeMap<String, f64>, start: &str, with: &[&str]) -> f64 {
    let fits = |name: &str| {
        (name == start || name.starts_with(&format!("{start}{{")))
            && with.iter().all(|part| name.contains(part))
    };
    let found: Vec<_> = samples.iter().filter(|(name, _)| fits(name)).collect();
    let all: Vec<&String> = samples.keys().collect();
    assert_eq!(found.len(), 1, "{start} {with:?} in {all:#?}");
    *found[0].1
}

fn answer() -> Reply {
    let usage = Usage { input: TokenCount(1_000), output: TokenCount(100), ..Usage::default() };
    Reply::text("done").usage(usage)
}

/// A port that is free now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
}

#[test]
fn metrics_go_to_the_collector_with_few_names() {
    let (server, collector) = (ModelServer::start().expect("a server"), Collector::start());
    server.next(Reply::error(402, "billing_error", "no credit"));
    server.otherwise(answer());
    let project = models::project(&server, "anthropic", MODEL)
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let mut config = project.read(".orchestrator/config.toml");
    config = config.replace("[agents.dev]\n", "[agents.dev]\nfall-back = [\"qa\"]\n");
    config += "\n[budget]\nusd-per-day = 5\n";
    project.write(".orchestrator/config.toml", &config);
    let flow = "name: counted\ntasks:\n  ask: { agent: dev, prompt: hello }\n  \
                bad: { command: ['false'], retry: { max-attempts: 1 }, on-failure: continue }\n";
    project.write("flow.yaml", flow);
    let ran = project.run(&["execute", "--workflow", "flow.yaml", "--json"]);
    let run = ran.last()["run"].as_str().expect("a run").to_owned();
    let metrics = collector.metrics();
    let sums = |name: &str, with: &[(&str, &str)]| sum(&metrics, name, with);
    assert_eq!(sums("orchestrator.runs.started", &[]), 1.0);
    assert_eq!(sums("orchestrator.runs.ended", &[]), 1.0);
    assert_eq!(sums("orchestrator.runs.active", &[]), 0.0);
    assert_eq!(sums("orchestrator.attempts.started", &[]), 3.0);
    assert_eq!(sums("orchestrator.attempts.active", &[]), 0.0);
    let failed = [("orchestrator.outcome", "failed"), ("error.type", "billing")];
    assert_eq!(sums("orchestrator.attempts.ended", &failed), 1.0);
    let failed = [("error.type", "tool_failed"), ("gen_ai.agent.name", "command")];
    assert_eq!(sums("orchestrator.attempts.ended", &failed), 1.0);
    assert_eq!(sums("orchestrator.retries", &[("orchestrator.reason", "fall-back")]), 1.0);
    assert_eq!(sums("orchestrator.tasks.ended", &[("orchestrator.status", "succeeded")]), 1.0);
    assert_eq!(sums("orchestrator.tasks.waiting", &[]), 0.0);
    let cost = [("orchestrator.account", "scripted"), ("gen_ai.request.model", MODEL)];
    assert!((sums("orchestrator.cost.usd", &cost) - 0.0045).abs() < 1e-9);
    let settled = [("orchestrator.state", "settled")];
    assert!((sums("orchestrator.ledger.usd", &settled) - 0.0045).abs() < 1e-9);
    let day = [("orchestrator.scope", "project"), ("orchestrator.window", "day")];
    assert!((sums("orchestrator.budget.limit", &day) - 5.0).abs() < 1e-9);
    assert!((sums("orchestrator.budget.used", &day) - 0.0045).abs() < 1e-9);
    assert!(sums("process.memory.usage", &[]) > 1e6);
    let input = [("gen_ai.token.type", "input"), ("gen_ai.provider.name", "anthropic")];
    assert_eq!(sums("gen_ai.client.token.usage", &input), 1_000.0);
    let output = [("gen_ai.token.type", "output"), ("gen_ai.request.model", MODEL)];
    assert_eq!(sums("gen_ai.client.token.usage", &output), 100.0);
    for (name, unit) in [
        ("gen_ai.client.token.usage", "{token}"),
        ("gen_ai.client.operation.duration", "s"),
        ("gen_ai.client.operation.time_to_first_chunk", "s"),
        ("gen_ai.invoke_agent.duration", "s"),
        ("orchestrator.store.commit.duration", "s"),
        ("process.memory.usage", "By"),
    ] {
        let metric = metrics.iter().find(|metric| metric.name == name).expect(name);
        assert_eq!(metric.unit, unit, "{name}");
    }
    let (.., bodies): (Vec<_>, Vec<_>) = collector
        .requests()
        .into_iter()
        .filter(|(path, ..)| path == "/v1/metrics")
        .map(|(path, _, body)| (path, body))
        .unzip();
    for body in bodies {
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(!text.contains(&run) && !text.contains("hello"), "names without bound");
    }
}

/// The sum of a metric's points whose attributes hold these; of a histogram of its sums.
fn sum(metrics: &[Metric], name: &str, with: &[(&str, &str)]) -> f64 {
    let names: BTreeSet<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let metric = metrics.iter().find(|metric| metric.name == name);
    let metric = metric.unwrap_or_else(|| panic!("no `{name}` in {names:?}"));
    let number = |value: &Option<Value>| match value {
        Some(Value::AsDouble(number)) => *number,
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        Some(Value::AsInt(number)) => *number as f64,
        None => f64::NAN,
    };
    let points: Vec<(_, f64)> = match metric.data.as_ref().expect("data") {
        Data::Gauge(data) => {
            data.data_points.iter().map(|p| (&p.attributes, number(&p.value))).collect()
        }
        Data::Sum(data) => {
            data.data_points.iter().map(|p| (&p.attributes, number(&p.value))).collect()
        }
        Data::Histogram(data) => {
            data.data_points.iter().map(|p| (&p.attributes, p.sum.unwrap_or(f64::NAN))).collect()
        }
        other => panic!("{name}: {other:?}"),
    };
    let fits = |attributes: &[_]| {
        with.iter().all(|(key, value)| attribute(attributes, key).as_deref() == Some(*value))
    };
    points.iter().filter(|(attributes, _)| fits(attributes)).map(|(_, value)| value).sum()
}

#[test]
fn a_run_can_be_asked_while_it_goes_and_leaves_a_file() {
    let address = free().to_string();
    let flow = "name: long\ntasks:\n  first: { command: [echo, done], priority: high }\n  \
                held:\n    needs: [first]\n    priority: high\n    \
                command: [sh, -c, 'until test -e go; do sleep 0.02; done']\n  \
                later: { needs: [first], command: ['true'], priority: low }\n";
    let project = Project::with_flow(flow);
    let settings = format!(
        "[telemetry]\nprometheus-listen = '{address}'\nprometheus-file = 'metrics/run.prom'\n\
         [limits]\nconcurrent = 1\n"
    );
    project.write(".orchestrator/config.toml", &settings);
    let mut running = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
    running.until("the second task", |event| {
        event["type"] == "attempt-started" && event["task"] == "held"
    });
    // What holds a task up is published by and by.
    let held = "orchestrator_tasks_waiting{orchestrator_reason=\"limit\"} 1\n";
    let page = eventually("an answer", || {
        let (status, page) = get(&address, &address, "/metrics").ok()?;
        assert_eq!(status, 200, "{page}");
        page.contains(held).then_some(page)
    });
    let samples = read(&page);
    assert_eq!(sample(&samples, "orchestrator_runs_started_total", &[]), 1.0);
    assert_eq!(sample(&samples, "orchestrator_runs_active", &[]), 1.0);
    assert_eq!(sample(&samples, "orchestrator_attempts_active", &["\"command\""]), 1.0);
    let ended = ["orchestrator_outcome=\"succeeded\""];
    assert_eq!(sample(&samples, "orchestrator_attempts_ended_total", &ended), 1.0);
    assert!(sample(&samples, "process_memory_usage_bytes", &[]) > 1e6);
    assert!(sample(&samples, "target_info", &["service_name=\"orchestrator\""]) > 0.0);
    assert!(
        samples
            .keys()
            .any(|name| name.starts_with("orchestrator_store_commit_duration_seconds_bucket{"))
    );
    let run = project.json(&["list-runs"])["items"][0]["id"].as_str().expect("an id").to_owned();
    assert!(!page.contains(&run) && !page.contains("later"), "names without bound");
    assert_eq!(get(&address, &address, "/").expect("an answer").0, 404);
    assert_eq!(get(&address, "evil.test", "/metrics").expect("an answer").0, 403);
    project.write("go", "");
    running.end().expect(0);
    let samples = read(&project.read("metrics/run.prom"));
    let ended = ["orchestrator_status=\"succeeded\""];
    assert_eq!(sample(&samples, "orchestrator_runs_ended_total", &ended), 1.0);
    assert_eq!(sample(&samples, "orchestrator_runs_active", &[]), 0.0);
}

#[test]
fn the_gateway_shows_its_metrics() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = models::project(&server, "anthropic", MODEL);
    let mut running = project.start(&["gateway", "--budget", "0.006", "--json"]);
    let first = serde_json::from_str(&running.line().expect("a line")).expect("JSON");
    let (url, token) = gateway::listening(&first);
    let address = url.strip_prefix("http://").expect("a URL");
    assert_eq!(gateway::ask_with(&url, &token, MODEL, "").0, 200);
    let page = || get(address, address, "/metrics").expect("an answer").1;
    // The answer is here before the ledger has settled the call.
    let is_settled = "orchestrator_ledger_calls{orchestrator_state=\"settled\"}";
    eventually("the settlement", || read(&page()).contains_key(is_settled).then_some(()));
    assert_eq!(gateway::ask_with(&url, &token, MODEL, "").0, 402);
    let settled = ["orchestrator_outcome=\"metered\"", "http_response_status_code=\"200\""];
    let samples = read(&page());
    let name = "orchestrator_gateway_requests_total";
    assert_eq!(sample(&samples, name, &settled), 1.0);
    assert_eq!(sample(&samples, name, &["\"refused\"", "\"ORC-0545\"", "\"402\""]), 1.0);
    let cost = ["orchestrator_account=\"scripted\"", MODEL];
    assert!((sample(&samples, "orchestrator_cost_usd_total", &cost) - 0.0045).abs() < 1e-9);
    let tokens = ["gen_ai_token_type=\"output\"", MODEL];
    assert_eq!(sample(&samples, "gen_ai_client_token_usage_sum", &tokens), 100.0);
    assert!(!page().contains(&token));
    running.signal(Signal::INT);
    running.end().expect(0);

    // Where others reach it, whoever asks needs the token.
    let mut running = project.start(&["gateway", "--anywhere", "--json"]);
    let first = serde_json::from_str(&running.line().expect("a line")).expect("JSON");
    let (url, token) = gateway::listening(&first);
    let address = url.strip_prefix("http://").expect("a URL");
    assert_eq!(get(address, address, "/metrics").expect("an answer").0, 403);
    let with = format!("{address}\r\nx-api-key: {token}");
    assert_eq!(get(address, &with, "/metrics").expect("an answer").0, 200);
    running.signal(Signal::INT);
    running.end().expect(0);
}

#[test]
fn metrics_are_shown_and_written_where_the_user_says_and_nowhere_else() {
    let flow = "name: small\ntasks:\n  a: { command: ['true'] }\n";
    let refused = |settings: &str, code: &str| {
        let project = Project::with_flow(flow);
        project.write(".orchestrator/config.toml", settings);
        let ran = project.run(&["execute", "--workflow", "flow.yaml"]).expect(2);
        assert!(ran.stderr.contains(code), "{code}: {}", ran.stderr);
    };
    refused("[telemetry]\nprometheus-listen = '0.0.0.0:0'\n", "ORC-0548");
    refused("[telemetry]\nprometheus-listen = 'nowhere'\n", "ORC-0104");
    refused("[telemetry]\nprometheus-reach = 'anywhere'\n", "ORC-0572");
    refused("[telemetry]\nprometheus-file = '../out.prom'\n", "ORC-0571");
    refused("[log]\nfile = '/tmp/out.log'\n", "ORC-0571");
    // An address that is taken is told, and the run goes on.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let project = Project::with_flow(flow);
    let settings = format!("[telemetry]\nprometheus-listen = '{address}'\n");
    project.write(".orchestrator/config.toml", &settings);
    let ran = project.ok(&["execute", "--workflow", "flow.yaml"]);
    assert!(ran.stderr.contains("metrics are not served"), "{}", ran.stderr);
}
