//! What is said of coding CLIs that are on the machine, and of agents on them.

use super::{KEY, MODEL, answer, flow};
use crate::{
    harness::{Project, eventually},
    schemas,
};
use orchestrator_testkit::model_server::ModelServer;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Programs on `PATH`, outside of the project, each of which writes what it is asked to `asked`.
struct Programs(TempDir);

impl Programs {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// The program `name`, which prints its version, and does `otherwise` for all else.
    fn with(self, name: &str, version: &str, otherwise: &str) -> Self {
        let asked = self.0.path().join("asked");
        let script = format!(
            "echo \"{name} $* in $HOME\" >> '{}'\n[ \"$1\" = --version ] && echo '{version}' && exit 0\n{otherwise}\n",
            asked.display()
        );
        executable(&self.0.path().join(name), &script);
        self
    }

    /// An empty project that finds them.
    fn project(&self) -> Project {
        let path = std::env::var("PATH").expect("a PATH");
        Project::new().with("PATH", &format!("{}:{path}", self.0.path().display()))
    }

    /// How often `name` was asked for `what`.
    fn asked(&self, name: &str, what: &str) -> usize {
        let asked = fs::read_to_string(self.0.path().join("asked")).unwrap_or_default();
        asked.lines().filter(|line| line.starts_with(&format!("{name} {what}"))).count()
    }
}

fn executable(path: &Path, script: &str) -> PathBuf {
    fs::write(path, format!("#!/bin/sh\n{script}")).expect("a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
    path.to_owned()
}

/// The agent `name` as `list-agents` shows it.
fn listed(project: &Project, name: &str) -> Value {
    let agents = project.json(&["list-agents"]);
    schemas::check(&agents);
    let items = agents["items"].as_array().expect("agents");
    items.iter().find(|agent| agent["name"] == name).expect(name).clone()
}

/// What `doctor` found under `name`.
fn checked(project: &Project, name: &str) -> Value {
    let ran = project.run(&["doctor", "--json"]);
    let found = ran.last();
    schemas::check(&found);
    let items = found["items"].as_array().expect("checks");
    items.iter().find(|check| check["name"] == name).expect(name).clone()
}

#[test]
fn a_coding_cli_is_known_with_its_version_its_login_and_what_it_can_do() {
    let programs = Programs::new().with("claude", "2.1.329 (Claude Code)", "exit 9").with(
        "codex",
        "codex-cli 0.170.1",
        "echo Not logged in >&2; exit 1",
    );
    let project = programs.project().with("ANTHROPIC_API_KEY", KEY);
    let config = "[agents.dev]\nprovider = \"claude-code\"\n\
                  [agents.other]\nprovider = \"codex\"\nmode = \"own-login\"\n";
    project.write(".orchestrator/config.toml", config);
    let dev = listed(&project, "dev");
    assert_eq!((&dev["status"], &dev["ready"]), (&json!("available"), &json!(true)), "{dev}");
    let program = &dev["program"];
    assert_eq!(program["version"], "2.1.329");
    assert_eq!((&program["proved_with"], &program["note"]), (&json!("2.1.329"), &Value::Null));
    assert_eq!(program["logged_in"], false);
    // Another version than the one that was tried is said, and used.
    let other = listed(&project, "other");
    assert_eq!(other["program"]["note"], "proved with 0.169.0, this is 0.170.1");
    assert_eq!((&other["status"], &other["ready"]), (&json!("error"), &json!(true)), "{other}");
    assert!(other["trouble"].as_str().expect("trouble").starts_with("ORC-0575"), "{other}");
    // A file is there, and the program says what it is worth.
    fs::create_dir(project.home().join(".codex")).expect("a directory");
    fs::write(project.home().join(".codex/auth.json"), "{}").expect("a login");
    assert_eq!(listed(&project, "other")["status"], "available");
    let details = project.json(&["agent-details", "other"]);
    schemas::check(&details);
    assert_eq!(
        (&details["status"], &details["program"]["logged_in"]),
        (&json!("error"), &json!(false))
    );
    let cost =
        json!({ "name": "cost", "offered": false, "reason": "it tells tokens, and no prices" });
    assert!(details["capabilities"].as_array().expect("some").contains(&cost), "{details}");
    let shown = project.ok(&["agent-details", "other"]).stdout;
    for part in ["0.170.1 (proved with 0.169.0, this is 0.170.1)", "no cost: it tells", "ORC-0575"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert_eq!(checked(&project, "claude-code")["state"], "ok");
    let codex = checked(&project, "codex");
    assert_eq!(codex["state"], "note", "{codex}");
    assert!(codex["found"].as_str().expect("text").contains("not logged in"), "{codex}");
    assert_eq!(checked(&project, "agent other")["code"], "ORC-0575");
    // No program was given the user's home, in which it could change something.
    let asked = fs::read_to_string(programs.0.path().join("asked")).expect("asked");
    assert!(!asked.contains(&project.home().display().to_string()), "{asked}");
}

#[test]
fn one_that_is_too_old_or_does_not_say_its_version_is_named_before_work_begins() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer("done"));
    let programs = Programs::new().with("claude", "2.0.14 (Claude Code)", "exit 9").with(
        "copilot",
        "who knows",
        "exit 9",
    );
    let project = programs.project().with("SOME_KEY", KEY);
    let config = format!(
        "[providers.scripted]\nkind = \"anthropic\"\nbase-url = \"{}\"\nkey = {{ env = \"SOME_KEY\" }}\n\
         [agents.dev]\nprovider = \"claude-code\"\nmodel = \"{MODEL}\"\n\
         [agents.strange]\nprovider = \"copilot\"\n",
        server.url()
    );
    project.write(".orchestrator/config.toml", &config);
    let dev = listed(&project, "dev");
    assert_eq!((&dev["status"], &dev["ready"]), (&json!("unavailable"), &json!(false)), "{dev}");
    let reason = dev["reason"].as_str().expect("a reason");
    for part in ["ORC-0574", "is version 2.0.14, and 2.1.329 or later", "install a later one"] {
        assert!(reason.contains(part), "{part} in {reason}");
    }
    let strange = listed(&project, "strange");
    let trouble = strange["trouble"].as_str().expect("trouble");
    assert!(trouble.starts_with("ORC-0576") && trouble.contains("who knows"), "{trouble}");
    let check = checked(&project, "agent dev");
    assert_eq!((&check["state"], &check["code"]), (&json!("failed"), &json!("ORC-0574")));
    flow(&project, "[[ask]]", "");
    let ran = project.run(&["execute", "--workflow", "flow"]).expect(2);
    assert!(ran.stderr.contains("ORC-0574"), "{}", ran.stderr);
    assert_eq!(programs.asked("claude", "-p"), 0, "no work was begun");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_program_is_asked_anew_only_when_it_has_changed() {
    let programs = Programs::new().with("claude", "2.1.329", "exit 9");
    let project = programs.project().with("ANTHROPIC_API_KEY", KEY);
    project.write(".orchestrator/config.toml", "[agents.dev]\nprovider = \"claude-code\"\n");
    listed(&project, "dev");
    assert!(!project.path().join(".orchestrator/state").exists(), "looking makes no state");
    project.ok(&["execute", "--task-type", "audit"]);
    let before = programs.asked("claude", "--version");
    for _ in 0..3 {
        assert_eq!(listed(&project, "dev")["program"]["version"], "2.1.329");
    }
    assert_eq!(programs.asked("claude", "--version"), before + 1);
    let _changed = programs.with("claude", "2.1.1000", "exit 9");
    assert_eq!(listed(&project, "dev")["program"]["version"], "2.1.1000");
    // What the project keeps is no way to write elsewhere.
    let (kept, elsewhere) =
        (project.path().join(".orchestrator/state/programs.json"), project.home().join("x"));
    fs::remove_file(&kept).expect("it is kept");
    std::os::unix::fs::symlink(&elsewhere, &kept).expect("a link");
    listed(&project, "dev");
    assert!(!elsewhere.exists());
}

#[test]
fn nothing_of_the_projects_own_is_run_by_looking_at_its_agents() {
    let programs = Programs::new();
    let project = programs.project().with("ANTHROPIC_API_KEY", KEY);
    let trap = format!("touch '{}/sprung'\necho 2.1.329\n", project.home().display());
    let inside = executable(&project.path().join("claude"), &trap);
    let outside = executable(&project.home().join("claude"), &trap);
    for command in [
        format!("[\"{}\"]", inside.display()),
        format!("[\"{}\", \"--quiet\"]", outside.display()),
        "[\"./claude\"]".to_owned(),
    ] {
        let config = format!("[agents.dev]\nprovider = \"claude-code\"\ncommand = {command}\n");
        project.write(".orchestrator/config.toml", &config);
        assert_eq!(listed(&project, "dev")["program"]["version"], Value::Null, "{command}");
        project.json(&["agent-details", "dev"]);
        project.run(&["doctor"]);
        assert!(!project.home().join("sprung").exists(), "{command}");
    }
    let config = format!(
        "[agents.dev]\nprovider = \"claude-code\"\ncommand = [\"{}\"]\n",
        outside.display()
    );
    project.write(".orchestrator/config.toml", &config);
    assert_eq!(listed(&project, "dev")["program"]["version"], "2.1.329", "it would have run");
}

#[test]
fn one_that_is_at_work_is_busy_until_it_is_done() {
    let server = ModelServer::start().expect("a server");
    let project = super::project(&server, "");
    flow(&project, &format!("[[wait {}/go]] [[say over]]", project.path().display()), "");
    let mut running = project.start(&["execute", "--workflow", "flow", "--json"]);
    let busy = eventually("it to be at work", || {
        Some(listed(&project, "dev")).filter(|dev| dev["status"] == "busy")
    });
    assert_eq!(busy["at_work"], 1);
    assert!(project.ok(&["list-agents"]).stdout.contains("busy: at work on 1 task"));
    project.write("go", "");
    running.end().expect(0);
    assert_eq!(listed(&project, "dev")["status"], "available");
}

#[test]
fn without_settings_one_that_is_there_works_when_it_is_named_and_a_key_can_meter_it() {
    let programs = Programs::new().with("claude", "2.1.329 (Claude Code)", "exit 9").with(
        "codex",
        "codex-cli 0.169.0",
        "exit 9",
    );
    let without_a_key = programs.project();
    let names = |project: &Project| -> Vec<String> {
        let agents = project.json(&["list-agents"]);
        let items = agents["items"].as_array().expect("agents").clone();
        items.iter().map(|agent| agent["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert!(!names(&without_a_key).contains(&"claude-code".to_owned()), "no login is used unasked");
    let project = programs.project().with("ANTHROPIC_API_KEY", KEY);
    let found = listed(&project, "claude-code");
    let expected = (json!("found"), json!("metered"), json!(MODEL), json!("available"));
    let told = (&found["source"], &found["mode"], &found["model"], &found["status"]);
    assert_eq!(told, (&expected.0, &expected.1, &expected.2, &expected.3));
    assert!(!names(&project).contains(&"codex".to_owned()), "no key of its kind");
    // It never takes the place of a model by itself.
    let plan = |project: &Project, more: &[&str]| {
        flow(project, "hello", "");
        let plan = project.json(&[&["execute", "--workflow", "flow", "--dry-run"], more].concat());
        plan.to_string()
    };
    assert!(
        plan(&project, &[]).contains("\"anthropic\"")
            && !plan(&project, &[]).contains("claude-code")
    );
    assert!(plan(&project, &["--agent", "dev=claude-code"]).contains("claude-code"));
    // Set up, it is as before, and what would use a login is for the user to decide.
    project.ok(&["init", "--yes"]);
    let text = project.read(".orchestrator/config.toml");
    assert!(text.contains("\n[agents.claude-code]\n"), "{text}");
    assert!(
        text.contains("\n# [agents.codex]\n") && text.contains("# mode = \"own-login\""),
        "{text}"
    );
    let again = listed(&project, "claude-code");
    assert_eq!((&again["source"], &again["model"]), (&json!("config"), &json!(MODEL)));
}

#[test]
fn agents_are_added_and_removed_and_the_rest_of_the_settings_stays() {
    let programs = Programs::new().with("claude", "2.1.329 (Claude Code)", "exit 9");
    let project = programs.project().with("ANTHROPIC_API_KEY", KEY);
    let config = "# mine\n[providers.anthropic]\nkind = \"anthropic\"\nkey = { env = \"ANTHROPIC_API_KEY\" } # here\n\n\
                  # the first\n[agents.dev]\nprovider = \"anthropic\"\nmodel = \"claude-sonnet-4-5\"\n";
    project.write(".orchestrator/config.toml", config);
    let add = |arguments: &[&str]| project.run(&[&["agents", "add"], arguments].concat());
    let done =
        add(&["builder", "--provider", "claude-code", "--model", MODEL, "--role", "qa", "--json"]);
    let done = done.expect(0).last();
    schemas::check(&done);
    assert_eq!((&done["action"], &done["note"]), (&json!("add"), &Value::Null), "{done}");
    let text = project.read(".orchestrator/config.toml");
    assert!(text.starts_with(config), "{text}");
    let builder = listed(&project, "builder");
    assert_eq!((&builder["role"], &builder["status"]), (&json!("qa"), &json!("available")));
    // What is only not there yet is told; its arguments are kept as they are.
    let ran = add(&[
        "open",
        "--provider",
        "acp",
        "--mode",
        "own-login",
        "--command",
        "no-such-program",
        "acp",
        "--flag",
    ]);
    assert!(ran.expect(0).stderr.contains("ORC-0569"));
    let text = project.read(".orchestrator/config.toml");
    assert!(text.contains("command = [\"no-such-program\", \"acp\", \"--flag\"]"), "{text}");
    // What is wrong is refused, and nothing is written.
    for (arguments, code) in [
        (&["dev", "--provider", "anthropic"][..], "ORC-0577"),
        (&["x", "--provider", "anthropc", "--model", "m"], "ORC-0515"),
        (&["x", "--provider", "a2a"], "ORC-0514"),
        (&["x", "--provider", "anthropic", "--mode", "own-login"], "ORC-0519"),
        (&["x", "--provider", "claude-code", "--mode", "free"], "ORC-0104"),
        (&["no name", "--provider", "anthropic"], "ORC-0801"),
    ] {
        let ran = add(arguments).expect(2);
        assert!(ran.stderr.contains(code), "{code}: {}", ran.stderr);
        assert_eq!(project.read(".orchestrator/config.toml"), text, "{code}");
    }
    // One that another falls back to stays, and what is not in the file cannot go.
    project.ok(&["config", "set", "agents.dev.fall-back", "builder"]);
    let ran = project.run(&["agents", "remove", "builder"]).expect(2);
    assert!(ran.stderr.contains("`dev` could not be used then"), "{}", ran.stderr);
    project.ok(&["agents", "remove", "dev"]);
    let done = project.run(&["agents", "remove", "builder", "--json"]).expect(0).last();
    schemas::check(&done);
    assert_eq!(done["action"], "remove");
    let ran = project.run(&["agents", "remove", "builtin-dev"]).expect(2);
    assert!(ran.stderr.contains("ORC-0578"), "{}", ran.stderr);
    let text = project.read(".orchestrator/config.toml");
    assert!(
        text.starts_with("# mine") && text.contains("} # here") && text.contains("[agents.open]")
    );
    assert!(!text.contains("builder") && !text.contains("[agents.dev]"), "{text}");
}
