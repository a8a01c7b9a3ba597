//! What is wrong is refused with its code, its place and what to do, before anything starts.

use crate::place::{Place, template, workflow};
use orchestrator_service::{
    ExecuteRequest, Exit, LogQuery, RunQuery, ServiceError, TaskQuery, What,
};
use std::fs;

fn check(error: &ServiceError, code: &str, part: &str) {
    let text = format!("{error}; {}", error.help().unwrap_or_default());
    assert_eq!(error.code(), code, "{text}");
    assert!(text.contains(part), "`{part}` is not in: {text}");
}

const TASK: &str = "name: w\ninputs:\n  count: { type: integer }\n  prompt: { type: string }\ntasks:\n  a: { command: ['true'] }\n";

#[tokio::test]
async fn every_problem_of_a_workflow_has_a_place() {
    let place = Place::new();
    let text = "name: w\ntasks:\n  a:\n    agnet: dev\n    command: ['true']\n  b:\n    command: ['true']\n    needs: [c]\n";
    let error = place.start(text).await.unwrap_err();
    let found: Vec<(&str, Option<usize>)> =
        error.diagnostics().iter().map(|d| (d.code, d.line)).collect();
    assert_eq!(found, [("ORC-0202", Some(4)), ("ORC-0205", Some(8))]);
    assert!(error.diagnostics()[0].suggestion.as_ref().unwrap().contains("agent"));
    assert_eq!(error.exit(), Exit::Usage);
    assert!(!place.root().join(".orchestrator").exists(), "nothing was started");
}

#[tokio::test]
async fn documents_inputs_and_names_are_judged() {
    let own = TASK.replace("name: w", "name: own-work");
    let place = Place::new().file(".orchestrator/workflows/own.yaml", &own);
    let service = place.service();
    let plan = async |request: ExecuteRequest| service.plan(&request).await.unwrap_err();
    let named =
        |name: &str| ExecuteRequest { what: What::Workflow(name.into()), ..Default::default() };
    let with = |inputs: &[(&str, &str)]| ExecuteRequest {
        inputs: inputs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        ..named("own")
    };
    check(&plan(place.request("a: [")).await, "ORC-0281", "YAML");
    check(&plan(workflow(&place.root().join("nowhere.yaml"))).await, "ORC-0280", "nowhere.yaml");
    check(&plan(named("own-wrok")).await, "ORC-0290", "did you mean `own-work`?");
    check(&plan(template("audti")).await, "ORC-0290", "did you mean `audit`?");
    check(&plan(ExecuteRequest::default()).await, "ORC-0801", "nothing to execute");
    check(&plan(with(&[("cuont", "1")])).await, "ORC-0301", "did you mean `count`?");
    check(&plan(with(&[("count", "many")])).await, "ORC-0303", "whole number");
    check(&plan(with(&[("count", "1"), ("count", "2")])).await, "ORC-0801", "twice");
    let mut twice = with(&[("prompt", "a")]);
    twice.prompt = Some("b".into());
    check(&plan(twice).await, "ORC-0801", "twice");
    let mut agents = named("own");
    agents.agents = vec![("dev".into(), "nobody".into())];
    check(&plan(agents.clone()).await, "ORC-0511", "list-agents");
    agents.agents = vec![("dev".into(), "builtin-dev".into())];
    check(&plan(agents).await, "ORC-0801", "ask for");
    let mut none = named("own");
    none.max_parallel = Some(0);
    check(&plan(none).await, "ORC-0801", "at least 1");
    let unknown = "name: w\ntasks:\n  a: { agent: builtin-devv, prompt: x }\n";
    check(&plan(place.request(unknown)).await, "ORC-0512", "did you mean `builtin-dev`?");
    let extends = "name: w\nextends: audti\n";
    check(&plan(place.request(extends)).await, "ORC-0220", "did you mean `audit`?");
    let circle = "name: w\nextends: w\n";
    check(&plan(place.request(circle)).await, "ORC-0221", "w → w");
}

#[tokio::test]
async fn a_template_parameter_is_judged() {
    let place = Place::new().with("ANTHROPIC_API_KEY", "k");
    let request = |name: &str, value: &str| {
        let mut request = template("quick-implementation");
        request.prompt = Some("x".into());
        request.inputs = vec![(name.into(), value.into())];
        request
    };
    let plan = async |request| place.service().plan(&request).await;
    check(&plan(request("revisions", "many")).await.unwrap_err(), "ORC-0224", "revisions");
    check(&plan(request("builder", "nobody")).await.unwrap_err(), "ORC-0512", "nobody");
    check(&plan(request("bilder", "x")).await.unwrap_err(), "ORC-0301", "");
    let plan = plan(request("builder", "pm")).await.unwrap();
    assert_eq!(plan.items[1].agents, ["pm"]);
}

#[tokio::test]
async fn a_model_is_asked_for_where_one_is_needed() {
    let refused = async |place: Place| {
        let mut request = template("quick-implementation");
        request.prompt = Some("x".into());
        place.service().plan(&request).await.unwrap_err()
    };
    let set = |text: &str| Place::new().file(".orchestrator/config.toml", text);
    check(&refused(Place::new()).await, "ORC-0513", "ANTHROPIC_API_KEY");
    let prompt = ExecuteRequest { prompt: Some("x".into()), ..Default::default() };
    let error = Place::new().service().plan(&prompt).await.unwrap_err();
    check(&error, "ORC-0513", "--task-type audit");
    for (text, code, part) in [
        ("[agents.dev]\nprovider = 'claude-code'", "ORC-0570", "own-login"),
        ("[agents.dev]\nprovider = 'a2a'", "ORC-0514", "not offered yet"),
        ("[agents.dev]\nprovider = 'command'", "ORC-0518", "names it"),
        ("[agents.dev]\nprovider = 'nope'", "ORC-0515", "[providers.nope]"),
        ("[providers.p]\nkind = 'gemini'", "ORC-0516", "GEMINI_API_KEY"),
        ("[providers.p]\nkind = 'openai-responses'", "ORC-0516", "OPENAI_API_KEY"),
        ("[providers.p]\nbase-url = 'http://x'\n[agents.dev]\nprovider = 'p'", "ORC-0518", "kind"),
        ("[providers.p]\nkind = 'anthropic'", "ORC-0516", "ANTHROPIC_API_KEY"),
        ("[providers.p]\nkind = 'anthropic'\nkey = { env = 'MY_KEY' }", "ORC-0516", "MY_KEY"),
        ("[providers.p]\nkind = 'anthropic'\nkey = { secret = 's' }", "ORC-0517", "secrets set s"),
        ("[providers.p]\nkind = 'ollama'\n[agents.dev]\nprovider = 'p'", "ORC-0518", "model"),
        (
            "[providers.p]\nkind = 'anthropic'\nbase-url = 'https://elsewhere.test'\nkey = { env = 'PATH' }",
            "ORC-0520",
            "config set --user providers.p.base-url https://elsewhere.test",
        ),
        ("[agents.dev]\nrole = 'dev'", "ORC-0518", "provider"),
        ("[agents.command]\nrole = 'dev'", "ORC-0518", "another name"),
        (
            "[agents.dev]\nprovider = 'builtin'\npermissions = { allow = ['read'] }",
            "ORC-0519",
            "permissions",
        ),
        (
            "[agents.dev]\nprovider = 'command'\ncommand = ['x']\npermissions = { deny = ['run'] }",
            "ORC-0519",
            "what runs on `command` has no tools",
        ),
        (
            "[agents.dev]\nprovider = 'codex'\npermissions = { allow = ['run(git:*)'] }",
            "ORC-0678",
            "agents.dev.permissions.allow: `run(git:*)` is no permission",
        ),
        (
            "[defaults.permissions]\ndeny = ['edit(../x)']\n[agents.dev]\nprovider = 'codex'",
            "ORC-0678",
            "defaults.permissions.deny",
        ),
        (
            "[agents.dev]\nprovider = 'codex'\npermissions = { allow = ['read'], otherwise = 'deny' }",
            "ORC-0570",
            "own-login",
        ),
        ("[agents.dev]\nprovider = 'builtin'\nmode = 'own-login'", "ORC-0519", "own-login"),
        ("[agents.dev]\nprovider = 'builtin'\nfall-back = ['ghost']", "ORC-0511", "ghost"),
        ("[agents.dev]\nprovider = 'builtin'\nrole = 'artist'", "ORC-0518", "role"),
    ] {
        check(&refused(set(text)).await, code, part);
        let place = set(text);
        assert!(place.service().plan(&template("audit")).await.is_ok(), "audit needs no model");
    }
}

#[tokio::test]
async fn runs_tasks_and_files_that_there_are_not() {
    let place = Place::new();
    let service = place.service();
    let logs = |of: &str| LogQuery { of: of.into(), ..Default::default() };
    check(&service.run("latest").await.unwrap_err(), "ORC-0603", "execute");
    check(&service.run("r_1").await.unwrap_err(), "ORC-0601", "list-runs");
    check(&service.logs(&logs("nope")).await.unwrap_err(), "ORC-0601", "nope");
    assert!(service.runs(&RunQuery::default()).await.unwrap().items.is_empty());
    assert!(!place.root().join(".orchestrator").exists(), "looking writes nothing");

    place.run(TASK).await;
    place.run(TASK).await;
    let service = place.service();
    check(&service.run("r_").await.unwrap_err(), "ORC-0602", "more of the id");
    check(&service.run("").await.unwrap_err(), "ORC-0601", "");
    check(&service.run("../x").await.unwrap_err(), "ORC-0601", "");
    check(&service.task("aa", None).await.unwrap_err(), "ORC-0604", "run-details");
    check(&service.artifact("a", None, "x.md").await.unwrap_err(), "ORC-0608", "no files");
    check(&service.agent("builtin-q").await.unwrap_err(), "ORC-0511", "builtin-qa");
    check(&service.logs(&logs("nope")).await.unwrap_err(), "ORC-0601", "");
    let bad = RunQuery { status: vec!["runing".into()], ..Default::default() };
    check(&service.runs(&bad).await.unwrap_err(), "ORC-0801", "did you mean `running`?");
    let bad = TaskQuery { status: vec!["done".into()], ..Default::default() };
    check(&service.tasks(&bad).await.unwrap_err(), "ORC-0801", "succeeded");
    let bad = RunQuery { cursor: Some("zzz".into()), ..Default::default() };
    check(&service.runs(&bad).await.unwrap_err(), "ORC-0801", "earlier page");
    let bad = LogQuery { cursor: Some("zzz".into()), ..logs("latest") };
    check(&service.logs(&bad).await.unwrap_err(), "ORC-0801", "earlier page");
    check(&service.since("yesterday").unwrap_err(), "ORC-0801", "7d");
    check(&service.cancel("latest", "x").await.unwrap_err(), "ORC-0605", "run-details");
}

#[tokio::test]
async fn a_damaged_or_unusable_store_is_told_and_left_alone() {
    let place = Place::new();
    place.run(TASK).await;
    let database = place.root().join(".orchestrator/state/events.db");
    let noise = vec![b'x'; 8192];
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", database.display()));
    }
    fs::write(&database, &noise).unwrap();
    let error = place.service().runs(&RunQuery::default()).await.unwrap_err();
    check(&error, "ORC-0403", "backup");
    assert_eq!(error.exit(), Exit::Unreachable);
    assert_eq!(fs::read(&database).unwrap(), noise);
    let doctor = place.service().doctor(Default::default()).await;
    assert!(!doctor.ok);
    assert!(doctor.items.iter().any(|item| item.code == Some("ORC-0403")));

    // Looking says the same as working does: that nothing runs there would be a lie.
    let place = Place::new().file(".orchestrator", "a file where the directory would be");
    check(&place.start(TASK).await.unwrap_err(), "ORC-0406", "doctor");
    check(&place.service().status().await.unwrap_err(), "ORC-0406", "not a directory");
    let place = Place::new().file(".orchestrator/state", "a file");
    check(&place.start(TASK).await.unwrap_err(), "ORC-0406", "state");
    check(&place.service().status().await.unwrap_err(), "ORC-0406", "state");
}

#[tokio::test]
async fn a_task_file_of_a_name_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let odd = place.root().join(std::ffi::OsStr::from_bytes(b"w\xff.yaml"));
    if fs::write(&odd, TASK).is_err() {
        return; // Some file systems have no such names at all.
    }
    // Such a file beside it does not disturb the project, and the analysts go on.
    let result = place.service().execute(template("audit")).await.unwrap().wait().await.unwrap();
    assert_eq!(result.status, "succeeded");
}

#[tokio::test]
async fn a_broken_workflow_disturbs_only_itself() {
    let place = Place::new()
        .file(".orchestrator/workflows/bad.yaml", "name: [")
        .file(".orchestrator/workflows/audit.yaml", &TASK.replace("name: w", "name: audit"))
        .file(".orchestrator/workflows/twin-a.yaml", TASK)
        .file(".orchestrator/workflows/twin-b.yaml", TASK);
    let templates = place.service().templates(None).unwrap().items;
    let of = |name: &str| templates.iter().find(|t| t.name == name).unwrap();
    assert!(of("audit").ready && of("w").ready);
    assert_eq!(of("audit").source, "built-in", "a file cannot take a built-in name");
    let taken = templates.iter().find(|t| t.name == "audit" && t.source == "project").unwrap();
    assert!(taken.reason.as_ref().unwrap().contains("ORC-0291"), "{taken:?}");
    let plan = place.service().plan(&template("audit")).await.unwrap();
    assert_eq!(plan.items.len(), 6);
    assert!(of("bad").reason.as_ref().unwrap().starts_with("ORC-0281"));
    assert!(of("twin-b").reason.as_ref().unwrap().starts_with("ORC-0291"));
    check(&place.service().plan(&template("bad")).await.unwrap_err(), "ORC-0281", "bad.yaml");
}

#[tokio::test]
async fn missing_git_fails_only_what_needs_it() {
    let place = Place::new().with("PATH", "/nonexistent");
    let doctor = place.service().doctor(Default::default()).await;
    let git = doctor.items.iter().find(|item| item.name == "git").unwrap();
    assert_eq!(git.code, Some("ORC-0704"));
    assert!(git.mend.as_ref().unwrap().contains("install git"));
    let result = place.service().execute(template("audit")).await.unwrap().wait().await.unwrap();
    assert_eq!(result.status, "succeeded");
}
