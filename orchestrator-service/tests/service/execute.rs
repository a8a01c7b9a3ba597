//! Runs from a request to their end, over a real store.

use crate::place::{Place, template};
use orchestrator_service::{ExecuteRequest, Exit, Happening, TaskQuery, What};

const SMALL: &str = "name: small\ntasks:\n  a: { command: [sh, -c, 'echo one'] }\n  \
                     b: { command: [sh, -c, 'echo \"$0 two\"', '{{ tasks.a.output }}'], needs: [a] }\n";

fn project() -> Place {
    Place::new()
        .file("Cargo.toml", "[package]\nname = \"x\"\nversion = \"0.1.0\"\nlicense = \"MIT\"\n")
        .file("src/lib.rs", "//! A library.\n\n/// Adds.\npub fn add(a: u8, b: u8) -> u8 {\n    a + b // TODO: overflow\n}\n")
        .file("README.md", "# x\n\nSee [the guide](guide.md).\n")
}

#[tokio::test]
async fn the_analysts_templates_run_without_a_model() {
    let place = project();
    for name in ["audit", "security-audit", "documentation"] {
        let result = place.service().execute(template(name)).await.unwrap().wait().await.unwrap();
        assert_eq!(result.status, "succeeded", "{name}: {result:?}");
        let report = result.report.expect(name);
        assert_eq!((report.task.as_str(), report.name.as_str()), ("plan", "report.md"));
        let service = place.service();
        let bytes = service.artifact("plan", Some(&result.run), "report.md").await.unwrap();
        let text = service.report(&result.run).await.unwrap().unwrap();
        assert_eq!(text.as_bytes(), bytes);
        assert!(text.starts_with('#'), "{text}");
        assert_eq!(result.spent.cost_usd.to_string(), "0");
    }
    assert!(place.root().join(".orchestrator/.gitignore").exists());
}

#[tokio::test]
async fn outputs_flow_and_every_event_is_told() {
    let place = Place::new();
    let mut execution = place.start(SMALL).await.unwrap();
    let run = execution.run().clone();
    let (mut kinds, mut last) = (Vec::new(), 0);
    while let Some(happening) = execution.next().await {
        if let Happening::Recorded { recorded, .. } = &happening {
            let line = happening.to_json().unwrap();
            assert_eq!(line["schema"], "orchestrator.event/v1");
            assert_eq!(line["run"], run.as_str());
            last += 1;
            assert_eq!(line["seq"], last);
            kinds.push(recorded.event.kind());
        }
    }
    assert_eq!(kinds.first(), Some(&"run-created"));
    assert_eq!(kinds.last(), Some(&"run-ended"));
    let result = execution.wait().await.unwrap();
    assert_eq!(result.status, "succeeded");
    let task = place.service().task("b", None).await.unwrap();
    assert_eq!(task.output, "one two");
    assert_eq!(task.needs, ["a"]);
}

#[tokio::test]
async fn what_the_last_tasks_left_is_the_report() {
    let check = async |tasks: &str, expected: Option<&str>| {
        let place = Place::new();
        let result = place.run(&format!("name: w\ntasks:\n{tasks}")).await;
        let report = place.service().report(&result.run).await.unwrap();
        assert_eq!(report.as_deref(), expected, "{tasks}");
    };
    let say = "a: { command: [echo, one] }";
    check(&format!("  {say}\n"), Some("one")).await;
    check("  a: { command: ['true'] }\n", None).await;
    check(&format!("  {say}\n  b: {{ command: [echo, two] }}\n"), Some("# a\n\none\n\n# b\n\ntwo"))
        .await;
    check(&format!("  {say}\n  b: {{ command: [echo, two], needs: [a] }}\n"), Some("two")).await;
    let json = "  a: { command: [echo, '{\"n\": 1}'], output: { type: object } }\n";
    check(json, Some("{\n  \"n\": 1\n}")).await;
    let failed = format!(
        "  {say}\n  b: {{ command: ['false'], needs: [a], retry: {{ max-attempts: 1 }} }}\n"
    );
    check(&failed, None).await;
}

#[tokio::test]
async fn a_failed_task_fails_the_run_and_says_why() {
    let place = Place::new();
    let result = place
        .run("name: bad\ntasks:\n  a: { command: [sh, -c, 'echo no >&2; exit 3'], retry: { max-attempts: 1 } }\n  b: { command: ['true'], needs: [a] }\n")
        .await;
    assert_eq!(result.status, "failed");
    assert_eq!(result.failure.as_ref().unwrap().class, "tool_failed");
    assert!(result.failure.unwrap().message.contains("no"));
    let statuses: Vec<&str> = result.items.iter().map(|task| task.status.as_str()).collect();
    assert_eq!(statuses, ["failed", "skipped"]);
}

#[tokio::test]
async fn a_cancelled_run_ends_and_an_interrupted_one_goes_on() {
    let place = Place::new();
    let wait = "name: wait\ntasks:\n  first: { command: [sh, -c, 'echo x >> first.txt'] }\n  \
                hold: { command: [sh, -c, 'until test -e go; do sleep 0.05; done; echo done'], needs: [first] }\n";
    let running = |happening: &Happening| {
        matches!(happening, Happening::Recorded { recorded, .. }
            if recorded.event.kind() == "attempt-started"
                && recorded.event.task().is_some_and(|task| task.as_str() == "hold"))
    };
    let mut execution = place.start(wait).await.unwrap();
    while !execution.next().await.as_ref().is_some_and(running) {}
    execution.control().cancel("no longer wanted");
    assert_eq!(execution.wait().await.unwrap().status, "cancelled");

    let mut execution = place.start(wait).await.unwrap();
    while !execution.next().await.as_ref().is_some_and(running) {}
    let busy = place.service().resume("latest").await.unwrap_err();
    assert_eq!(busy.code(), "ORC-0606");
    execution.control().interrupt();
    assert_eq!(execution.wait().await.unwrap().status, "interrupted");
    assert_eq!(place.service().run("latest").await.unwrap().run.status, "interrupted");
    std::fs::write(place.root().join("go"), "").unwrap();
    let resumed = place.service().resume("latest").await.unwrap().wait().await.unwrap();
    assert_eq!(resumed.status, "succeeded");
    let first = std::fs::read_to_string(place.root().join("first.txt")).unwrap();
    assert_eq!(first.lines().count(), 2, "each of the two runs did it once");
    let over = place.service().resume("latest").await.unwrap_err();
    assert_eq!(over.code(), "ORC-0605");
}

#[tokio::test]
async fn an_idle_run_is_cancelled_without_being_started() {
    let place = Place::new();
    let wait = "name: wait\ntasks:\n  hold: { command: [sh, -c, 'echo x >> held.txt; until test -e go; do sleep 0.05; done'] }\n";
    let execution = place.start(wait).await.unwrap();
    while !place.root().join("held.txt").exists() {
        tokio::task::yield_now().await;
    }
    execution.control().interrupt();
    execution.wait().await.unwrap();
    let done = place.service().cancel("latest", "enough").await.unwrap();
    assert_eq!(done.status, "cancelled");
    let run = place.service().run(&done.run).await.unwrap();
    assert_eq!((run.run.status.as_str(), run.items[0].status.as_str()), ("cancelled", "cancelled"));
    let held = std::fs::read_to_string(place.root().join("held.txt")).unwrap();
    assert_eq!(held.lines().count(), 1);
}

#[tokio::test]
async fn two_at_once_in_one_project_both_work() {
    let place = Place::new();
    let (one, two) = (place.start(SMALL).await.unwrap(), place.start(SMALL).await.unwrap());
    let (one, two) = tokio::join!(one.wait(), two.wait());
    for result in [one.unwrap(), two.unwrap()] {
        assert_eq!(result.status, "succeeded");
    }
    assert_eq!(place.service().runs(&Default::default()).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn a_plan_shows_layers_agents_and_cost_and_writes_nothing() {
    let place = project();
    let plan = place.service().plan(&template("audit")).await.unwrap();
    assert_eq!((plan.layers, plan.items.len(), plan.calls_models), (2, 6, false));
    assert_eq!(plan.estimate.most_usd.unwrap().to_string(), "0");
    assert_eq!(plan.items[5].name, "plan");
    assert_eq!(plan.items[5].needs, ["code", "tests", "security", "docs", "notes"]);
    assert!(!place.root().join(".orchestrator").exists());

    let place = project().with("ANTHROPIC_API_KEY", "k");
    let request = ExecuteRequest { prompt: Some("Add x".into()), ..Default::default() };
    let plan = place.service().plan(&request).await.unwrap();
    assert_eq!(plan.workflow, "quick-implementation");
    assert!(plan.calls_models && plan.estimate.least_usd.is_some());
    assert_eq!(plan.estimate.most_usd, None);
    assert_eq!(plan.items[1].provider, "anthropic");
    assert_eq!(plan.items[1].model.as_deref(), Some("claude-sonnet-4-5"));
}

#[tokio::test]
async fn what_is_given_on_the_command_line_counts_most() {
    let place = Place::new().file(
        ".orchestrator/config.toml",
        "[defaults]\nmax-parallel = 2\ntimeout = '1h'\n[budget]\nusd-per-run = 3\n",
    );
    let mut request = place.request(SMALL);
    let plan = place.service().plan(&request).await.unwrap();
    assert_eq!((plan.max_parallel, plan.mode.as_str()), (2, "parallel"));
    assert_eq!(plan.budget_usd.unwrap().to_string(), "3");
    request.max_parallel = Some(7);
    request.budget = Some("0.5".parse().unwrap());
    request.mode = Some(orchestrator_service::Mode::Sequential);
    let plan = place.service().plan(&request).await.unwrap();
    assert_eq!((plan.max_parallel, plan.mode.as_str()), (7, "sequential"));
    assert_eq!(plan.budget_usd.unwrap().to_string(), "0.5");
    let named = ExecuteRequest { what: What::Workflow("small".into()), ..Default::default() };
    assert_eq!(place.service().plan(&named).await.unwrap_err().code(), "ORC-0290");
    let place = place.file(".orchestrator/workflows/small.yaml", SMALL);
    assert_eq!(place.service().plan(&named).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn a_run_whose_process_died_is_taken_up_at_once() {
    let place = Place::new();
    let wait = "name: wait\ntasks:\n  first: { command: [sh, -c, 'echo x >> first.txt'] }\n  \
                hold: { command: [sh, -c, 'echo x >> held.txt; until test -e go; do sleep 0.05; done'], needs: [first] }\n";
    let request = place.request(wait);
    // A process of its own: this test again, told to run the workflow and to be killed at it.
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "execute::the_part_of_a_process_that_dies", "--nocapture"])
        .env("ORCHESTRATOR_TEST_DIES_IN", place.root())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !place.root().join("held.txt").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the other process ended by itself");
        tokio::task::yield_now().await;
    }
    let service = place.service();
    let busy = service.resume("latest").await.unwrap_err();
    assert_eq!(busy.code(), "ORC-0606", "{busy}");
    assert_eq!(busy.exit(), Exit::Usage, "the store is there and answers");
    assert!(busy.to_string().contains(&child.id().to_string()), "{busy}");
    assert_eq!(service.run("latest").await.unwrap().run.status, "running");
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::write(place.root().join("go"), "").unwrap();
    let cut_off = service.run("latest").await.unwrap();
    assert_eq!(cut_off.run.status, "interrupted");
    // Nothing of it runs, wherever one looks.
    let statuses: Vec<_> = cut_off.items.iter().map(|task| task.status.as_str()).collect();
    assert_eq!(statuses, ["succeeded", "interrupted"]);
    let task = service.task("hold", None).await.unwrap();
    assert_eq!(
        (task.task.status.as_str(), task.items[0].status.as_str()),
        ("interrupted", "interrupted")
    );
    assert_eq!(service.agent("command").await.unwrap().items[0].status, "interrupted");
    let listed = async |status: &str| {
        let query = TaskQuery { status: vec![status.to_owned()], ..TaskQuery::default() };
        let tasks = service.tasks(&query).await.unwrap().items;
        tasks.into_iter().map(|task| task.name).collect::<Vec<_>>()
    };
    assert_eq!(listed("running").await, Vec::<String>::new());
    assert_eq!(listed("interrupted").await, ["hold"]);
    assert_eq!(listed("succeeded").await, ["first"]);
    let result = service.resume("latest").await.unwrap().wait().await.unwrap();
    assert_eq!(result.status, "succeeded");
    let lines =
        |file: &str| std::fs::read_to_string(place.root().join(file)).unwrap().lines().count();
    assert_eq!((lines("first.txt"), lines("held.txt")), (1, 2), "what had ended is not done again");
    drop(request);
}

/// Not a test of its own: what the process of the test above does when that starts it.
#[tokio::test]
async fn the_part_of_a_process_that_dies() {
    let Ok(root) = std::env::var("ORCHESTRATOR_TEST_DIES_IN") else { return };
    let root = std::path::PathBuf::from(root);
    let path = ("PATH".to_owned(), std::env::var("PATH").unwrap());
    let environment = orchestrator_service::Environment::new([path], root.clone());
    let service =
        orchestrator_service::OrchestratorService::open(environment, Default::default()).unwrap();
    let what = What::Workflow("workflow.yaml".into());
    let request = ExecuteRequest { what, ..Default::default() };
    service.execute(request).await.unwrap().wait().await.unwrap();
}
