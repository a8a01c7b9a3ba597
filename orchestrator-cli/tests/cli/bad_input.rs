//! What is wrong is named: exit code, error code, place, and what to do.

use crate::{harness::Project, schemas};
use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt};

/// Runs `arguments` for a person and for a script, and expects exit code, error code and hints.
fn check(project: &Project, arguments: &[&str], exit: i32, code: &str, hints: &[&str]) {
    let ran = project.run(arguments).expect(exit);
    assert!(ran.stderr.contains(code), "{arguments:?}: no {code} in\n{}", ran.stderr);
    for hint in hints {
        assert!(ran.stderr.contains(hint), "{arguments:?}: no `{hint}` in\n{}", ran.stderr);
    }
    assert_eq!(ran.stdout, "", "{arguments:?}: data beside an error");
    let problem = project.run(&[arguments, &["--json"]].concat()).expect(exit).problem();
    schemas::check(&problem);
    assert_eq!(problem["code"], code, "{problem:#}");
    assert_eq!(problem["exit"], exit, "{problem:#}");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors");
    assert!(fs::exists(format!("{page}/{code}.md")).unwrap_or(false), "{code} has no page");
}

#[test]
fn words_that_cannot_be_understood() {
    let project = Project::new();
    for (arguments, hint) in [
        (&["exeute"][..], "execute"),
        (&["list-run"], "list-runs"),
        (&["execute", "--bugdet", "1"], "--budget"),
        (&["execute", "--budget", "5 dollars"], "not an amount in USD"),
        (&["execute", "--budget=-1"], "not an amount in USD"),
        (&["execute", "--input", "novalue"], "a name, `=` and a value"),
        (&["execute", "--mode", "paralel"], "parallel"),
        (&["execute", "--max-parallel", "0"], "1..=1000"),
        (&["execute", "--task-type", "audit", "--workflow", "x"], "cannot be used with"),
        (&["execute", "--detached", "x"], "--detach"),
        (&["clean", "--older-than", "soon"], "not a duration"),
        (&["run-details"], "<RUN>"),
        (&["completions", "tcsh"], "bash"),
        (&["cost-report", "--by", "agnet"], "agent"),
        (&["-q", "-v", "status"], "cannot be used with"),
    ] {
        check(&project, arguments, 2, "ORC-0801", &[hint]);
    }
    let ran = project.run::<&str>(&[]).expect(2);
    assert!(ran.stderr.contains("Usage:"), "{}", ran.stderr);
    let prompt = [OsString::from("execute"), OsString::from_vec(vec![0x66, 0xff])];
    let ran = project.run(&prompt).expect(2);
    assert!(ran.stderr.contains("UTF-8"), "{}", ran.stderr);
}

#[test]
fn names_that_nothing_has() {
    let project = Project::with_flow("name: one\ntasks:\n  only: { command: [\"true\"] }\n");
    check(&project, &["run-details", "latest"], 2, "ORC-0603", &["execute"]);
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    for (arguments, code, hints) in [
        (&["execute", "--task-type", "audti"][..], "ORC-0290", &["audit"][..]),
        (&["execute", "--workflow", "absent.yaml"], "ORC-0280", &["absent.yaml"]),
        (
            &["execute", "--task-type", "audit", "--agent", "dev=builtin-dve"],
            "ORC-0511",
            &["builtin-dev"],
        ),
        (&["agent-details", "builtin-secuirty"], "ORC-0511", &["builtin-security"]),
        (&["run-details", "r_nothing"], "ORC-0601", &["r_nothing", "list-runs"]),
        (&["status", "r_nothing"], "ORC-0601", &["r_nothing"]),
        (&["export", "r_nothing"], "ORC-0601", &["r_nothing"]),
        (&["cancel", "r_nothing"], "ORC-0601", &["r_nothing"]),
        (&["resume", "r_nothing"], "ORC-0601", &["r_nothing"]),
        (&["cost-report", "--run", "r_nothing"], "ORC-0601", &["r_nothing"]),
        (&["run-details", "r"], "ORC-0602", &["several"]),
        (&["task-details", "onyl"], "ORC-0604", &["only"]),
        (&["task-details", "only", "--artifact", "report.pdf"], "ORC-0608", &["report.pdf"]),
        (&["config", "get", "defaults.max-paralel"], "ORC-0103", &["max-parallel"]),
        (&["config", "set", "defaults.max-parallel", "many"], "ORC-0104", &["max-parallel"]),
        (&["list-runs", "--since", "yesterday"], "ORC-0801", &["7d"]),
        (&["list-runs", "--status", "sucess"], "ORC-0801", &["succeeded"]),
    ] {
        check(&project, arguments, 2, code, hints);
    }
    assert_eq!(project.read(".orchestrator/config.toml"), "", "nothing was written");
}

#[test]
fn a_workflow_is_told_everything_that_is_wrong_with_it() {
    let project = Project::with_flow(
        "name: broken\ntasks:\n  plan:\n    comand: [\"true\"]\n  build:\n    needs: [plann]\n    command: [\"true\"]\n",
    );
    let ran = project.run(&["execute", "--workflow", "flow.yaml", "--dry-run"]).expect(2);
    for hint in ["command", "plann", "flow.yaml:4:", "flow.yaml:6:"] {
        assert!(ran.stderr.contains(hint), "no `{hint}` in\n{}", ran.stderr);
    }
    let problem =
        project.run(&["execute", "--workflow", "flow.yaml", "--json"]).expect(2).problem();
    schemas::check(&problem);
    assert!(problem["places"].as_array().is_some_and(|places| places.len() >= 2), "{problem:#}");
    for (text, code) in [
        ("name: [unclosed\n", "ORC-0281"),
        ("name: a\nname: b\ntasks: {}\n", "ORC-0283"),
        ("--- \nname: a\n---\nname: b\n", "ORC-0285"),
    ] {
        project.write("flow.yaml", text);
        check(&project, &["execute", "--workflow", "flow.yaml"], 2, code, &["flow.yaml"]);
    }
    assert_eq!(project.json(&["list-runs"])["items"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_cycle_is_named_by_its_path() {
    let project = Project::with_flow(
        "name: round\ntasks:\n  a: { needs: [b], command: [\"true\"] }\n  b: { needs: [a], command: [\"true\"] }\n",
    );
    let ran = project.run(&["execute", "--workflow", "flow.yaml"]).expect(2);
    assert!(ran.stderr.contains("ORC-0206"), "{}", ran.stderr);
    assert!(ran.stderr.contains("a → b → a"), "{}", ran.stderr);
}

#[test]
fn inputs_that_do_not_fit() {
    let project = Project::with_flow(
        "name: wants\ninputs:\n  depth: { type: integer, required: true }\ntasks:\n  only: { command: [echo, \"{{ inputs.depth }}\"] }\n",
    );
    let ran = project.run(&["execute", "--workflow", "flow.yaml"]).expect(2);
    assert!(ran.stderr.contains("depth"), "{}", ran.stderr);
    let ran =
        project.run(&["execute", "--workflow", "flow.yaml", "--input", "depth=deep"]).expect(2);
    assert!(ran.stderr.contains("ORC-0") && ran.stderr.contains("depth"), "{}", ran.stderr);
    let arguments = ["execute", "--workflow", "flow.yaml", "--input", "depht=3"];
    let ran = project.run(&arguments).expect(2);
    assert!(ran.stderr.contains("depht") && ran.stderr.contains("depth"), "{}", ran.stderr);
}

#[test]
fn settings_that_do_not_fit() {
    let project = Project::new();
    for (text, code, hints) in [
        ("[defaults]\nmax-paralel = 4\n", "ORC-0103", &["max-parallel", "config.toml:2:1"][..]),
        ("[defaults]\nmax-parallel = \"four\"\n", "ORC-0104", &["config.toml:2:"]),
        ("[defaults\n", "ORC-0102", &["config.toml"]),
        ("[agents.dev]\nrole = \"dev\"\nprovider = \"a2a\"\n", "ORC-0514", &["a2a"]),
        (
            "[providers.p]\nkind = \"anthropic\"\nkey = { secret = \"k\" }\n[agents.dev]\nrole = \"dev\"\nprovider = \"p\"\nmodel = \"m\"\n",
            "ORC-0517",
            &["secret"],
        ),
    ] {
        project.write(".orchestrator/config.toml", text);
        // What is wrong with a key is a question of accounts, not of usage.
        let exit = if code == "ORC-0517" { 4 } else { 2 };
        check(&project, &["execute", "do it"], exit, code, hints);
    }
}

#[test]
fn a_prompt_without_a_model_says_what_to_set_up() {
    let project = Project::new();
    let ran = project.run(&["execute", "add a flag"]).expect(2);
    for hint in ["ORC-0513", "ANTHROPIC_API_KEY", "audit"] {
        assert!(ran.stderr.contains(hint), "no `{hint}` in\n{}", ran.stderr);
    }
    for template in ["full-development", "quick-implementation", "code-review"] {
        check(&project, &["execute", "x", "--task-type", template], 2, "ORC-0513", &[]);
    }
}

#[test]
fn places_that_cannot_be_a_project() {
    let project = Project::new();
    let file = project.write("file.txt", "");
    let file = file.to_str().expect("UTF-8");
    check(&project, &["status", "--path", "/no/such/place"], 2, "ORC-0701", &["/no/such/place"]);
    check(&project, &["status", "--path", file], 2, "ORC-0701", &["file.txt"]);
}

#[test]
fn a_store_that_cannot_be_used() {
    let flow = "name: one\ntasks:\n  only: { command: [\"true\"] }\n";
    let project = Project::with_flow(flow);
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    let state = project.path().join(".orchestrator/state");
    let database = fs::read_dir(&state)
        .expect("the state")
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3")))
        .expect("a database");
    for beside in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{beside}", database.display()));
    }
    fs::write(
        &database,
        "this is no database, and it is long enough to look like a header of one".repeat(100),
    )
    .expect("damage");
    check(&project, &["list-runs"], 7, "ORC-0403", &["damaged"]);
    let ran = project.run(&["execute", "--workflow", "flow.yaml"]).expect(7);
    assert!(ran.stderr.contains("ORC-0403"), "{}", ran.stderr);
    let doctor = project.run(&["doctor", "--json"]).expect(1);
    assert_eq!(doctor.last()["ok"], false);

    let project = Project::with_flow(flow);
    project.write(".orchestrator/state", "a file where a directory must be");
    let ran = project.run(&["execute", "--workflow", "flow.yaml"]).expect(7);
    assert!(ran.stderr.contains("ORC-0406"), "{}", ran.stderr);
}

#[test]
fn names_that_are_not_utf8_and_a_missing_git_do_not_stop_an_audit() {
    let project = Project::new().with("PATH", "/nowhere");
    let odd = OsString::from_vec(b"caf\xe9.py".to_vec());
    fs::write(project.path().join(odd), "# TODO: rename me\n").expect("a file");
    project.write("fine.py", "# TODO: keep me\n");
    let ran = project.ok(&["execute", "--task-type", "audit"]);
    assert!(ran.stdout.contains("2 notes in the code"), "{}", ran.stdout);
    let doctor = project.run(&["doctor", "--json"]);
    let git = doctor.last()["items"]
        .as_array()
        .and_then(|items| items.iter().find(|item| item["name"] == "git").cloned())
        .expect("a check of git");
    assert_ne!(git["state"], "ok", "{git}");
    assert!(git["mend"].is_string(), "{git}");
}
