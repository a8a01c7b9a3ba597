//! Off unless set.

use super::collector::Collector;
use crate::harness::Project;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Tells which sockets the process that runs it has, and which sockets of the machine are TCP.
const SOCKETS: &str = "name: sockets\ntasks:\n  look:\n    command:\n      - sh\n      - -c\n      - |\n        \
    echo \"parent $TRACEPARENT\"\n        \
    for fd in /proc/$ORCHESTRATOR/fd/*; do readlink \"$fd\"; done\n        \
    echo tcp\n        cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6\n    output: { type: string }\n";

fn files(below: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(below).into_iter().flatten().filter_map(Result::ok) {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => {
                found.insert(path);
            }
        }
    }
    found
}

#[test]
fn nothing_is_told_to_anybody_unless_it_is_set() {
    let project = Project::with_flow("name: small\ntasks:\n  a: { command: ['true'] }\n");
    let before = files(project.path());
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    let state = project.path().join(".orchestrator/state");
    let beside: Vec<PathBuf> = files(project.path())
        .difference(&before)
        .filter(|path| !path.starts_with(&state) && !path.ends_with(".orchestrator/.gitignore"))
        .cloned()
        .collect();
    assert!(beside.is_empty(), "{beside:?}");
    let kept: BTreeSet<PathBuf> = files(&state);
    let logs = kept.iter().filter(|path| {
        let name = path.to_string_lossy();
        name.ends_with(".log") || name.ends_with(".prom")
    });
    assert_eq!(logs.count(), 0, "{kept:?}");
    assert!(files(project.home()).is_empty(), "{:?}", files(project.home()));
}

#[cfg(target_os = "linux")]
#[test]
fn no_socket_of_the_network_is_open_unless_it_is_set() {
    // The program of a task is a child of the process that drives it.
    let flow =
        SOCKETS.replace("$ORCHESTRATOR", "$PPID").replace("    output: { type: string }\n", "");
    let network = |project: &Project| {
        project.ok(&["execute", "--workflow", "flow.yaml"]);
        let details = project.json(&["task-details", "look"]);
        let text = details["output"].as_str().expect("text").to_owned();
        let (own, tables) = text.split_once("\ntcp\n").expect("both parts");
        let (parent, own) = own.split_once('\n').expect("both parts");
        let sockets: Vec<String> = own
            .lines()
            .filter_map(|line| line.strip_prefix("socket:[")?.strip_suffix(']'))
            .map(str::to_owned)
            .collect();
        assert!(own.lines().count() > 3, "it was looked at a process: {text}");
        let inodes: BTreeSet<&str> =
            tables.lines().filter_map(|line| line.split_whitespace().nth(9)).collect();
        let count = sockets.iter().filter(|one| inodes.contains(one.as_str())).count();
        (count, parent.to_owned())
    };
    let project = Project::with_flow(&flow);
    assert_eq!(network(&project), (0, "parent ".to_owned()));

    // The same look finds one that is there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let address = address.expect("an address").to_string();
    let project = project.with("ORCHESTRATOR_TELEMETRY__PROMETHEUS_LISTEN", &address);
    assert!(network(&project).0 > 0, "the address that it listens on");

    // And the usual switch turns everything off that is set.
    let collector = Collector::start();
    let project = project
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .with("OTEL_SDK_DISABLED", "true");
    assert_eq!(network(&project), (0, "parent ".to_owned()));
    assert!(collector.requests().is_empty());
}
