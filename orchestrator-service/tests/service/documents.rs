//! Every printed document fits its schema, every code has its page, every example runs.

use crate::place::{Place, template, workflow};
use orchestrator_service::{
    CostQuery, ExecuteRequest, InitOptions, LogQuery, RunQuery, TaskQuery, codes,
};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn schema(name: &str) -> Value {
    let file = repository().join(format!("docs/schemas/{name}.json"));
    serde_json::from_str(&fs::read_to_string(&file).expect(name)).expect(name)
}

/// Checks a document against the schema that it names, and that it names `name`.
fn check(name: &str, document: &impl Serialize) {
    let document = serde_json::to_value(document).unwrap();
    let schema = schema(name);
    assert_eq!(document["schema"], schema["properties"]["schema"]["const"], "{name}");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{name}: {problems:?}");
}

const MIXED: &str = "name: mixed\ninputs:\n  x: { type: array, default: [1] }\ntasks:\n  \
    good: { command: [sh, -c, 'echo {}; echo note >&2'], output: { type: object } }\n  \
    bad: { command: ['false'], retry: { max-attempts: 1 } }\n  \
    late: { command: ['true'], needs: [bad] }\n  \
    never: { command: ['true'], when: 'false' }\n";

#[tokio::test]
async fn every_document_fits_its_schema() {
    let server = ModelServer::start().unwrap();
    server.otherwise(Reply::json(&json!({ "approved": true, "feedback": "" })));
    let settings = format!(
        "[providers.house]\nkind = 'openai-chat'\nbase-url = '{}'\n\
         [agents.dev]\nprovider = 'house'\nmodel = 'gpt-5'\nmax-tokens = 100\n\
         [agents.broken]\nprovider = 'nope'\n[budget]\nusd-per-run = 5\n",
        server.url()
    );
    let place = Place::new()
        .file(".orchestrator/config.toml", &settings)
        .file("src/lib.rs", "pub fn f() {}\n")
        .file(".orchestrator/workflows/own.yaml", "name: own\ntasks: 5\n");
    let service = place.service();
    check("status", &service.status().await.unwrap());
    check("doctor", &service.doctor(Default::default()).await);
    let quick = ExecuteRequest { prompt: Some("x".into()), ..Default::default() };
    let mixed = place.request(MIXED);
    for request in [&quick, &mixed, &template("audit")] {
        check("plan", &service.plan(request).await.unwrap());
        let mut execution = service.execute(request.clone()).await.unwrap();
        let run = execution.run().clone();
        check("status", &service.status().await.unwrap());
        check("runs", &service.runs(&RunQuery::default()).await.unwrap());
        while let Some(happening) = execution.next().await {
            if let Some(line) = happening.to_json() {
                check("event", &line);
            }
        }
        check("result", &execution.wait().await.unwrap());
        check("run", &service.run(run.as_str()).await.unwrap());
        for task in service.run(run.as_str()).await.unwrap().items {
            check("task", &service.task(&task.id, None).await.unwrap());
        }
        let export = service.export(run.as_str(), Default::default()).await.unwrap();
        check("export", &serde_json::from_str::<Value>(&export).unwrap());
    }
    check("runs", &service.runs(&RunQuery::default()).await.unwrap());
    check("tasks", &service.tasks(&TaskQuery::default()).await.unwrap());
    check("agents", &service.agents(None).await.unwrap());
    for agent in service.agents(None).await.unwrap().items {
        check("agent", &service.agent(&agent.name).await.unwrap());
    }
    check("templates", &service.templates(None).unwrap());
    for of in ["latest", "dev", "plan"] {
        let query = LogQuery { of: of.into(), ..Default::default() };
        check("logs", &service.logs(&query).await.unwrap());
    }
    check("cost-report", &service.cost_report(&CostQuery::default()).await.unwrap());
    check("config", &service.config().unwrap());
    check("init", &service.init(&InitOptions { force: true, ..InitOptions::default() }).unwrap());
    let old = std::time::Duration::from_secs(3600);
    check("clean", &service.clean(old, true).await.unwrap());
    let mut execution =
        place.start("name: w\ntasks:\n  a: { command: [sleep, '60'] }\n").await.unwrap();
    execution.next().await.unwrap();
    check("cancel", &place.service().cancel("latest", "x").await.unwrap());
    check("result", &execution.wait().await.unwrap());
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let pages: BTreeSet<String> = fs::read_dir(repository().join("docs/errors"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "index")
        .collect();
    let known: BTreeSet<String> = codes().iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(pages, known);
    assert_eq!(codes().len(), known.len(), "a code is there twice");
    let index = fs::read_to_string(repository().join("docs/errors/index.md")).unwrap();
    for (code, title) in codes() {
        let page = fs::read_to_string(repository().join(format!("docs/errors/{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}: {title}\n")), "{code}");
        assert!(page.contains("\n## What to do\n"), "{code}");
        assert!(index.contains(&format!("[{code}]({code}.md): {title}")), "{code}");
    }
}

/// Every workflow file of the repository.
fn workflows() -> Vec<PathBuf> {
    let folders = ["examples", "orchestrator-service/templates"];
    let files = folders.iter().flat_map(|folder| fs::read_dir(repository().join(folder)).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[test]
fn editors_take_every_workflow_that_we_ship() {
    let validator = jsonschema::validator_for(&schema("workflow")).unwrap();
    assert!(workflows().len() >= 12);
    for file in workflows() {
        let document = orchestrator_service::document::Document::read(&file).unwrap().value;
        let problems: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{}: {problems:?}", file.display());
    }
    for bad in [json!({}), json!({ "name": "x", "tasks": { "a": { "agnet": "dev" } } })] {
        assert!(!validator.is_valid(&bad));
    }
}

fn git(directory: &Path, arguments: &[&str]) {
    let mut git = std::process::Command::new("git");
    git.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments);
    assert!(git.current_dir(directory).output().unwrap().status.success());
}

#[tokio::test]
async fn every_example_runs() {
    let server = ModelServer::start().unwrap();
    server.when("free of what users", Reply::json(&json!({ "approved": true, "feedback": "" })));
    server.otherwise(Reply::text("- A first version."));
    let settings = format!(
        "[providers.house]\nkind = 'openai-chat'\nbase-url = '{}'\n\
         [agents.docs]\nprovider = 'house'\nmodel = 'gpt-5'\n[sandbox]\nmode = 'off'\n",
        server.url()
    );
    let place = Place::new().file(".orchestrator/config.toml", &settings).file("a.txt", "a\n");
    let git = |arguments: &[&str]| git(&place.root(), arguments);
    git(&["init", "-q"]);
    git(&["add", "a.txt"]);
    git(&["commit", "-q", "-m", "first"]);
    git(&["tag", "v1"]);
    git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    let files: Vec<PathBuf> = workflows()
        .into_iter()
        .filter(|file| file.parent().unwrap().ends_with("examples"))
        .collect();
    assert!(files.len() >= 4);
    for file in files {
        let mut request = workflow(&file);
        if file.ends_with("release-notes.yaml") {
            request.inputs = vec![("since".into(), "v1".into())];
        }
        let result = place.service().execute(request).await.unwrap().wait().await.unwrap();
        assert_eq!(result.status, "succeeded", "{}: {result:?}", file.display());
    }
    assert_eq!(server.requests().len(), 2, "only the release notes need a model");
}

#[tokio::test]
async fn the_pages_name_every_setting_and_their_examples_are_valid() {
    let page = |name: &str| fs::read_to_string(repository().join("docs").join(name)).unwrap();
    let configuration = page("configuration.md");
    for key in orchestrator_service::setting_keys() {
        let of_models = key.starts_with("prices") || key.starts_with("tokenizers");
        let place = if of_models { "MODEL" } else { "NAME" };
        let shown = format!("`{}`", key.replace('*', place));
        assert!(configuration.contains(&shown), "{shown}");
    }
    let blocks = |text: &str, language: &str| -> Vec<String> {
        let start = format!("```{language}\n");
        let parts = text.split(&start).skip(1);
        parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
    };
    let settings = blocks(&page("agents.md"), "toml").join("\n");
    let workflows =
        ["workflows.md", "quick-start.md", "workspaces.md"].map(|name| blocks(&page(name), "yaml"));
    let place = Place::new().with("LOCAL_KEY", "k").file(".orchestrator/config.toml", &settings);
    let agents = place.service().agents(None).await.unwrap().items;
    assert!(agents.iter().all(|agent| agent.ready), "{agents:?}");
    let several = blocks(&page("providers.md"), "toml").join("\n");
    let place_of_several = Place::new().with("FIRST_KEY", "k").with("SECOND_KEY", "k");
    let several = place_of_several.file(".orchestrator/config.toml", &several);
    let agents = several.service().agents(None).await.unwrap().items;
    let dev = agents.iter().find(|agent| agent.name == "dev").unwrap();
    let names: Vec<_> = dev.accounts.iter().map(|it| (it.name.as_str(), it.ready)).collect();
    assert_eq!(names, [("lab.first", true), ("lab.second", true)]);
    // Worktrees are planned only where there can be some.
    git(&place.root(), &["init", "-q"]);
    git(&place.root(), &["commit", "-q", "--allow-empty", "-m", "first"]);
    let mut checked = 0;
    for text in workflows.concat() {
        let mut request = place.request(&text);
        if text.contains("required: true") || text.contains("extends:") {
            request.prompt = Some("x".into());
        }
        place.service().plan(&request).await.unwrap();
        checked += 1;
    }
    assert_eq!(checked, 5);
}
