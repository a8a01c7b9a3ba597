//! One tree a run, whoever drives it, and nothing of what models are told or say.

use super::collector::{Collector, attribute};
use crate::{gateway, harness::Project, models};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use rustix::process::Signal;
use serde_json::Value;

const TREE: &str = r#"name: tree
version: 1.2.0
tasks:
  ask: { agent: dev, prompt: "the secret plan of the prompt" }
  told: { command: [sh, -c, 'echo "$TRACEPARENT"'], needs: [ask] }
  each: { needs: [ask], for-each: "[1, 2]", command: [echo, "{{ item }}"] }
  child: { needs: [ask], workflow: inner.yaml }
"#;

const INNER: &str = "name: inner\ntasks:\n  leaf: { command: [sh, -c, 'echo \"$TRACEPARENT\"'] }\n";

/// The key that `models::project` gives.
const KEY: &str = "sk-test-0123456789";

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// The one span of a name whose attributes hold these.
fn one<'a>(spans: &'a [Span], name: &str, with: &[(&str, &str)]) -> &'a Span {
    let fits = |span: &&&Span| {
        with.iter().all(|(key, value)| attribute(&span.attributes, key).as_deref() == Some(value))
    };
    let all = named(spans, name);
    let found: Vec<_> = all.iter().filter(fits).collect();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(found.len(), 1, "`{name}` with {with:?} among {names:?}");
    found[0]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn code(span: &Span) -> StatusCode {
    span.status
        .as_ref()
        .map_or(StatusCode::Unset, opentelemetry_proto::tonic::trace::v1::Status::code)
}

fn answer(text: &str) -> Reply {
    let usage = Usage {
        input: TokenCount(1_000),
        cache_read: TokenCount(200),
        output: TokenCount(30),
        ..Usage::default()
    };
    Reply::text(text).usage(usage)
}

/// What a task of a run left, by its name.
fn output(project: &Project, task: &str) -> String {
    let details = project.json(&["task-details", task]);
    details["output"].as_str().expect("text").to_owned()
}

#[test]
fn a_run_is_one_tree_down_to_the_call_and_says_nothing_of_what_was_said() {
    let (server, collector) = (ModelServer::start().expect("a server"), Collector::start());
    server.next(Reply::error(402, "billing_error", "no credit is left"));
    server.otherwise(answer("the secret answer of the model"));
    let project = models::project(&server, "anthropic", "claude-sonnet-4-5")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .with("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .with("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let mut config = project.read(".orchestrator/config.toml");
    config = config.replace("[agents.dev]\n", "[agents.dev]\nfall-back = [\"qa\"]\n");
    project.write(".orchestrator/config.toml", &config);
    project.write("tree.yaml", TREE);
    project.write("inner.yaml", INNER);
    let ran = project.ok(&["execute", "--workflow", "tree.yaml", "--json"]);
    let run = ran.last()["run"].as_str().expect("a run").to_owned();
    let spans = collector.spans();

    let root = one(&spans, "invoke_workflow tree", &[]);
    assert!(root.parent_span_id.is_empty(), "{root:?}");
    assert_eq!(attribute(&root.attributes, "orchestrator.run.id"), Some(run));
    assert_eq!(attribute(&root.attributes, "orchestrator.workflow.version").unwrap(), "1.2.0");
    assert_eq!(code(root), StatusCode::Ok);
    assert_eq!(hex(&root.links[0].trace_id), "0af7651916cd43dd8448eb211c80319c", "who started it");
    for span in &spans {
        assert_eq!(span.trace_id, root.trace_id, "{span:?}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    }

    let task = |name: &str| one(&spans, "task", &[("orchestrator.task.name", name)]);
    let attempt = |task: &str, agent: &str| {
        one(&spans, &format!("invoke_agent {agent}"), &[("orchestrator.task.name", task)])
    };
    let below = |child: &Span, parent: &Span| {
        assert_eq!(child.parent_span_id, parent.span_id, "{child:?}\nis not below\n{parent:?}");
    };
    for name in ["ask", "told", "each", "child"] {
        below(task(name), root);
    }
    below(task("each:0"), task("each"));
    below(task("each:1"), task("each"));

    // The account had no credit, and another agent took over.
    let (refused, asked) = (attempt("ask", "dev"), attempt("ask", "qa"));
    below(refused, task("ask"));
    below(asked, task("ask"));
    assert_eq!(code(refused), StatusCode::Error);
    assert_eq!(attribute(&refused.attributes, "error.type").unwrap(), "billing");
    assert_eq!(code(asked), StatusCode::Ok);
    assert_eq!(asked.links[0].span_id, refused.span_id);
    assert_eq!(attribute(&asked.links[0].attributes, "orchestrator.link").unwrap(), "fall-back");

    let chats = named(&spans, "chat claude-sonnet-4-5");
    assert_eq!(chats.len(), 2);
    let failed = |span: &Span| attribute(&span.attributes, "error.type").is_some();
    let turn = |above: &Span| {
        let found = named(&spans, "turn");
        found.into_iter().find(|turn| turn.parent_span_id == above.span_id).expect("a turn").clone()
    };
    for (chat, above) in [
        (chats.iter().find(|chat| failed(chat)).expect("the failed call"), refused),
        (chats.iter().find(|chat| !failed(chat)).expect("the call"), asked),
    ] {
        below(chat, &turn(above));
        assert_eq!(chat.kind(), SpanKind::Client);
        let is = |name: &str| attribute(&chat.attributes, name);
        assert_eq!(is("gen_ai.operation.name").unwrap(), "chat");
        assert_eq!(is("gen_ai.provider.name").unwrap(), "anthropic");
        assert_eq!(is("server.address").unwrap(), "127.0.0.1");
    }
    let chat = chats.iter().find(|chat| !failed(chat)).expect("the call");
    for (name, expected) in [
        ("gen_ai.usage.input_tokens", "1200"),
        ("gen_ai.usage.cache_read.input_tokens", "200"),
        ("gen_ai.usage.output_tokens", "30"),
    ] {
        assert_eq!(attribute(&chat.attributes, name).as_deref(), Some(expected), "{name}");
    }
    assert!(attribute(&chat.attributes, "gen_ai.response.time_to_first_chunk").is_some());

    // A child run is what an attempt of its parent does.
    let inner = one(&spans, "invoke_workflow inner", &[]);
    let of_child: Vec<_> = spans
        .iter()
        .filter(|span| span.name.starts_with("invoke_agent"))
        .filter(|span| attribute(&span.attributes, "orchestrator.task.name").unwrap() == "child")
        .collect();
    below(inner, of_child[0]);
    below(task("leaf"), inner);

    // Programs are told the span of their attempt, providers nothing.
    let leaf = output(&project, "child");
    for (said, of) in [(output(&project, "told"), "told"), (leaf, "leaf")] {
        let attempt = spans
            .iter()
            .filter(|span| span.name.starts_with("invoke_agent"))
            .find(|span| attribute(&span.attributes, "orchestrator.task.name").unwrap() == of);
        let attempt = attempt.expect("an attempt");
        let expected = format!("00-{}-{}-01", hex(&attempt.trace_id), hex(&attempt.span_id));
        assert!(said.contains(&expected), "{said} is not {expected}");
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        for name in ["traceparent", "tracestate", "baggage"] {
            assert_eq!(request.header(name), None, "{name}");
        }
    }
    for unsaid in ["secret plan", "secret answer", "no credit is left", KEY] {
        assert!(!collector.holds(unsaid), "`{unsaid}` was told");
    }
    assert!(collector.holds("deployment.environment.name"));
}

#[test]
fn a_run_that_was_killed_goes_on_in_its_trace() {
    let collector = Collector::start();
    let flow = "name: long\ntasks:\n  first: { command: [echo, done] }\n  \
                held: { needs: [first], command: [sh, -c, 'echo up; test -e go || sleep 600'] }\n";
    let project = Project::with_flow(flow)
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .with("OTEL_BSP_SCHEDULE_DELAY", "20");
    let mut running = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
    running.until("the second task", |event| {
        event["type"] == "attempt-started" && event["task"] == "held"
    });
    let first = collector.wait_for("task");
    running.kill();
    project.write("go", "");
    project.ok(&["resume", "latest"]);
    let spans = collector.spans();
    let root = one(&spans, "invoke_workflow long", &[]);
    assert_eq!(root.trace_id, first.trace_id);
    assert_eq!(first.parent_span_id, root.span_id, "told by the process that was killed");
    assert!(spans.iter().all(|span| span.trace_id == root.trace_id));
    let held = one(&spans, "task", &[("orchestrator.task.name", "held")]);
    assert_eq!(held.parent_span_id, root.span_id);
    assert!(root.start_time_unix_nano <= first.start_time_unix_nano, "it began before the kill");
    let tries = named(&spans, "invoke_agent command");
    let of_held = tries.iter().filter(|span| span.parent_span_id == held.span_id);
    assert!(of_held.count() >= 1);
}

#[test]
fn a_run_that_was_put_down_and_work_that_was_sent_back_are_linked() {
    let (server, collector) = (ModelServer::start().expect("a server"), Collector::start());
    models::script(&server, 0);
    let project = models::project(&server, "anthropic", "claude-sonnet-4-5")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    project.ok(&["execute", "add a flag", "--task-type", "quick-implementation"]);
    let spans = collector.spans();
    let linked = |why: &str| {
        let with = |span: &&Span| {
            let why_of = |link: &opentelemetry_proto::tonic::trace::v1::span::Link| {
                attribute(&link.attributes, "orchestrator.link")
            };
            span.links.iter().any(|link| why_of(link).as_deref() == Some(why))
        };
        spans.iter().filter(with).count()
    };
    assert_eq!(linked("revision"), 1, "the second try answers the first judgement");
    assert_eq!(named(&spans, "invoke_agent dev").len(), 2);
    assert_eq!(named(&spans, "chat claude-sonnet-4-5").len(), 4);

    let flow = "name: long\ntasks:\n  \
                held: { command: [sh, -c, 'test -e go || exec sleep 600'] }\n";
    project.write("flow.yaml", flow);
    let mut running = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
    running.until("the task", |event| event["type"] == "attempt-started");
    running.signal(Signal::INT);
    running.end().expect(130);
    project.write("go", "");
    project.ok(&["resume", "latest"]);
    let spans = collector.spans();
    let root = one(&spans, "invoke_workflow long", &[]);
    let of = |span: &&&Span| span.trace_id == root.trace_id;
    let all = named(&spans, "invoke_agent command");
    let tries: Vec<_> = all.iter().filter(of).collect();
    assert_eq!(tries.len(), 2, "one in each process");
    let is = |outcome: &str| {
        let has = |span: &&&&Span| {
            attribute(&span.attributes, "orchestrator.outcome").as_deref() == Some(outcome)
        };
        **tries.iter().find(has).unwrap_or_else(|| panic!("none {outcome}: {tries:#?}"))
    };
    let (first, second) = (is("put-down"), is("succeeded"));
    assert_eq!(code(first), StatusCode::Unset);
    assert_eq!(attribute(&first.attributes, "error.type"), None);
    assert_eq!(second.links[0].span_id, first.span_id);
    assert_eq!(attribute(&second.links[0].attributes, "orchestrator.link").unwrap(), "resumed");
    assert_eq!(first.parent_span_id, second.parent_span_id, "one task");
}

#[test]
fn what_passes_the_gateway_is_a_part_of_what_its_client_does() {
    let (server, collector) = (ModelServer::start().expect("a server"), Collector::start());
    server.otherwise(answer("the secret answer of the model"));
    let project = models::project(&server, "anthropic", "claude-sonnet-4-5")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let mut running = project.start(&["gateway", "--json"]);
    let first: Value = serde_json::from_str(&running.line().expect("a line")).expect("JSON");
    let (url, token) = gateway::listening(&first);
    let caller = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
                  tracestate: vendor=1\r\n";
    let (status, body) = gateway::ask_with(&url, &token, "claude-sonnet-4-5", caller);
    assert_eq!(status, 200, "{body}");
    let (status, _) = gateway::ask_with(&url, "orc-attempt-forged", "claude-sonnet-4-5", "");
    assert_eq!(status, 401);
    running.signal(Signal::INT);
    running.end().expect(0);
    let spans = collector.spans();
    let all = named(&spans, "POST /anthropic");
    assert_eq!(all.len(), 2);
    let passed = all.iter().find(|span| !span.parent_span_id.is_empty()).expect("the call");
    assert_eq!(hex(&passed.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&passed.parent_span_id), "b7ad6b7169203331");
    assert_eq!(passed.kind(), SpanKind::Server);
    assert_eq!(attribute(&passed.attributes, "http.response.status_code").unwrap(), "200");
    let chat = one(&spans, "chat claude-sonnet-4-5", &[]);
    assert_eq!((&chat.parent_span_id, &chat.trace_id), (&passed.span_id, &passed.trace_id));
    assert_eq!(attribute(&chat.attributes, "gen_ai.usage.output_tokens").unwrap(), "30");
    let refused = all.iter().find(|span| span.parent_span_id.is_empty()).expect("the refusal");
    assert_eq!(attribute(&refused.attributes, "error.type").unwrap(), "ORC-0542");
    assert_ne!(refused.trace_id, passed.trace_id);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    for name in ["traceparent", "tracestate"] {
        assert_eq!(requests[0].header(name), None, "{name}");
    }
    for unsaid in ["secret answer", "hello", KEY, &token] {
        assert!(!collector.holds(unsaid), "`{unsaid}` was told");
    }
}

#[test]
fn a_sampler_keeps_what_it_is_told_to_and_says_so_to_programs() {
    let collector = Collector::start();
    let flow = "name: told\ntasks:\n  told: { command: [sh, -c, 'echo \"$TRACEPARENT\"'] }\n";
    let project = Project::with_flow(flow)
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .with("OTEL_TRACES_SAMPLER", "always_off");
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    assert!(collector.spans().is_empty());
    let said = output(&project, "told");
    assert!(said.starts_with("00-") && said.ends_with("-00"), "{said}");
    assert!(!collector.metrics().is_empty(), "metrics are not sampled");
}

#[test]
fn a_collector_that_is_gone_or_hangs_fails_nothing() {
    let flow = "name: small\ntasks:\n  a: { command: ['true'] }\n";
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let hanging = hanging.local_addr().expect("an address");
    for (address, why) in [(hanging, "did not answer within 2 seconds"), (closed, "refused")] {
        let endpoint = format!("http://{address}");
        let project = Project::with_flow(flow).with("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
        let ran = project.ok(&["execute", "--workflow", "flow.yaml", "--json"]);
        assert_eq!(ran.last()["status"], "succeeded");
        // Said once, for traces and metrics together.
        let told: Vec<&str> =
            ran.stderr.lines().filter(|line| line.contains("telemetry does not arrive")).collect();
        assert!(told.len() == 1 && told[0].contains(why), "{}", ran.stderr);
    }
}
