//! The program is its own launcher of sandboxes.

#![cfg(target_os = "linux")]

use serde_json::json;
use std::{fs, process::Command};

#[test]
fn the_program_confines_what_it_is_told_to_start() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let dir = dir.path().canonicalize().expect("a path");
    let work = dir.join("work");
    fs::create_dir(&work).expect("a directory");
    fs::write(dir.join("outside"), "untouched").expect("a file");
    let order = json!({
        "backend": "landlock",
        "confinement": {
            "writable": [work], "reads": {"Only": [dir]}, "hidden": [], "protected": [], "network": "None",
            "limits": {
                "memory": null, "processes": null, "cpu": null, "files": null, "file_size": null
            },
        },
        "directory": work,
        "relay": null,
        "plain": false,
        "bubblewrap": null,
        "within": {
            "processes": false, "mounts": false, "veiled": false, "network": false, "proxy": null,
            "groups": [], "memory": false, "count": false,
        },
    });
    let script = "echo in > own; cat ../outside; echo x >> ../outside || echo ' refused'";
    let output = Command::new(env!("CARGO_BIN_EXE_orchestrator"))
        .args(["sandbox-launch", "outer", &order.to_string(), "sh", "-c", script])
        .output()
        .expect("the program");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "untouched refused\n", "{output:?}");
    assert_eq!(fs::read_to_string(work.join("own")).expect("a file"), "in\n");
    assert_eq!(fs::read_to_string(dir.join("outside")).expect("a file"), "untouched");
}

#[test]
fn an_order_that_cannot_be_read_starts_nothing() {
    for words in [&["outer", "{}", "true"][..], &["outer"], &["elsewhere"], &[]] {
        let output = Command::new(env!("CARGO_BIN_EXE_orchestrator"))
            .arg("sandbox-launch")
            .args(words)
            .output()
            .expect("the program");
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("the program was not started"), "{said}");
    }
}
