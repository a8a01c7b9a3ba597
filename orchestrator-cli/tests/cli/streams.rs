//! Colour, quiet, pipes that close.

use crate::harness::{PATIENCE, Project};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Stdio,
    sync::mpsc::channel,
};

const ONE: &str = "name: one\ntasks:\n  only: { command: [\"true\"] }\n";

#[test]
fn colour_is_as_asked() {
    let check = |variable: (&str, &str), arguments: &[&str], colored: bool| {
        let project = Project::with_flow(ONE).with(variable.0, variable.1);
        project.ok(&["execute", "--workflow", "flow.yaml"]);
        let out = project.ok(&[&["list-runs"], arguments].concat()).stdout;
        assert_eq!(out.contains('\x1b'), colored, "{variable:?} {arguments:?}: {out:?}");
    };
    check(("IRRELEVANT", "1"), &[], false);
    check(("CLICOLOR_FORCE", "1"), &[], true);
    check(("CLICOLOR_FORCE", "1"), &["--color", "never"], false);
    check(("NO_COLOR", "1"), &["--color", "always"], true);
    check(("NO_COLOR", "1"), &[], false);
}

#[test]
fn help_obeys_color_too() {
    let project = Project::new();
    assert!(project.ok(&["--color=always", "--help"]).stdout.contains('\x1b'));
    assert!(!project.ok(&["--help"]).stdout.contains('\x1b'));
}

#[test]
fn a_pipe_that_closes_ends_a_command_quietly() {
    let project = Project::new();
    for arguments in
        [&["completions", "bash"][..], &["markdown-help"], &["--help"], &["list-templates"]]
    {
        let mut child = project
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}

#[test]
fn work_goes_on_when_nobody_reads_about_it() {
    let project = Project::with_flow(ONE);
    let mut child = project
        .command(&["execute", "--workflow", "flow.yaml", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{said}");
    assert_eq!(said, "");
    assert_eq!(project.statuses("latest"), [("only".to_owned(), "succeeded".to_owned())]);
}

#[test]
fn an_output_that_is_full_is_an_error_that_says_so() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        panic!("this system has no /dev/full");
    };
    let project = Project::new();
    let output = project
        .command(&["completions", "bash"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ORC-0802") && said.contains("cannot write the output"), "{said}");
}

#[test]
fn a_path_cannot_steer_the_terminal() {
    let project = Project::with_flow(ONE);
    let odd = "odd \x1b[2J\x1b]0;title\x07";
    let flow = project.write(&format!("{odd}/flow.yaml"), ONE);
    let flow = flow.to_str().expect("text");
    for arguments in [
        &["init"][..],
        &["doctor"],
        &["config", "show", "--origin"],
        &["execute", "--workflow", flow, "--dry-run"],
        &["execute", "--workflow", flow],
        &["run-details", "latest"],
        &["status"],
        &["init"],
        &["config", "get", odd],
    ] {
        let place = ["--path", odd, "--color", "always"];
        let ran = project.run(&[arguments, &place].concat());
        let shown = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!shown.is_empty(), "{arguments:?}");
        assert!(!shown.contains("\x1b[2J") && !shown.contains('\x07'), "{arguments:?}: {shown:?}");
    }
}

#[test]
fn an_output_that_is_full_does_not_stop_the_work() {
    let project = Project::with_flow(ONE);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = project
        .command(&["execute", "--workflow", "flow.yaml", "--json"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ORC-0802"), "{said}");
    assert_eq!(project.json(&["list-runs"])["items"][0]["status"], "succeeded");
}

#[test]
fn quiet_says_errors_and_verbose_says_what_tasks_say() {
    let flow = "name: two\ntasks:\n  talk: { command: [echo, \"word of a task\"] }\n";
    let project = Project::with_flow(flow);
    let execute = ["execute", "--workflow", "flow.yaml"];
    assert!(!project.ok(&execute).stderr.contains("word of a task"));
    assert!(project.ok(&[&execute[..], &["-v"]].concat()).stderr.contains("talk| word of a task"));
    let failing = "name: bad\ntasks:\n  only: { command: [sh, -c, \"echo why >&2; exit 3\"], retry: { max-attempts: 1 } }\n";
    project.write("bad.yaml", failing);
    let ran = project.run(&["-q", "execute", "--workflow", "bad.yaml"]).expect(1);
    assert!(ran.stderr.starts_with("only failed (tool_failed)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("why") && !ran.stderr.contains("started"), "{}", ran.stderr);
    assert!(project.run(&["-q", "run-details", "nothing"]).expect(2).stderr.contains("ORC-0601"));
}

#[test]
fn traces_go_to_a_collector_and_only_when_one_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let (send, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let (mut head, mut length) = (String::new(), 0);
            while stream.read_line(&mut head).is_ok_and(|read| read > 2) {
                let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).expect("a body");
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.get_mut().write_all(answer).expect("an answer");
            if send.send((head, body)).is_err() {
                break;
            }
        }
    });
    let project = Project::with_flow(ONE);
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    assert!(requests.try_recv().is_err(), "nothing leaves unless it is asked for");
    let project = project.with("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    let next = || requests.recv_timeout(PATIENCE).expect("a request");
    let (_, body) = loop {
        let (head, body) = next();
        // Metrics go the same way.
        if head.starts_with("POST /v1/traces") {
            break (head, body);
        }
        assert!(head.starts_with("POST /v1/metrics"), "{head}");
    };
    assert!(body.windows(7).any(|part| part == b"attempt"), "no span of an attempt");
}
