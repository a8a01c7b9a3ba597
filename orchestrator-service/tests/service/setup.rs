//! `init`, `doctor`, settings, lists.

use crate::place::{Place, template};
use orchestrator_service::{
    ConfigScope, InitOptions, LogQuery, RunQuery, TaskQuery, views::CheckState,
};

#[tokio::test]
async fn what_init_writes_is_valid_and_is_not_overwritten() {
    for place in [
        Place::new(),
        Place::new().with("OPENAI_API_KEY", "sk-x"),
        Place::new().with("ANTHROPIC_API_KEY", "sk-x").with("DEEPSEEK_API_KEY", "sk-y"),
        Place::new().with("GOOGLE_API_KEY", "sk-x"),
    ] {
        let before = place.service().agents(None).await.unwrap().items;
        let done = place.service().init(&InitOptions::default()).unwrap();
        assert_eq!(done.written.len(), 2);
        let text = std::fs::read_to_string(&done.written[1]).unwrap();
        assert!(!text.contains("sk-x") && !text.contains("sk-y"), "{text}");
        let after = place.service().agents(None).await.unwrap().items;
        let ready = |items: &[orchestrator_service::views::AgentView]| {
            let ready = items.iter().filter(|agent| agent.ready);
            let mut names: Vec<_> =
                ready.map(|agent| (agent.name.clone(), agent.model.clone())).collect();
            names.sort();
            names
        };
        assert_eq!(ready(&before), ready(&after), "the same agents, now written down");
        let doctor = place.service().doctor(Default::default()).await;
        assert!(doctor.items.iter().all(|i| i.name != "settings" || i.state == CheckState::Ok));
        let again = place.service().init(&InitOptions::default()).unwrap_err();
        assert_eq!(again.code(), "ORC-0106");
        let force = InitOptions { force: true, ..InitOptions::default() };
        place.service().init(&force).unwrap();
    }
}

#[tokio::test]
async fn init_takes_the_provider_that_is_wanted() {
    let place = Place::new().with("OPENAI_API_KEY", "sk-x");
    let choices = place.service().setup_choices();
    let names: Vec<_> = choices.providers.iter().map(|c| (c.name, c.found)).collect();
    let others = [("anthropic", false), ("deepseek", false), ("gemini", false)];
    assert_eq!(names, [[("openai", true)].as_slice(), &others].concat());
    let google = Place::new().with("GOOGLE_API_KEY", "k").service().setup_choices();
    let variables: Vec<_> = google.providers.iter().map(|c| (c.name, c.variable)).collect();
    assert_eq!(variables[0], ("google", "GOOGLE_API_KEY"), "the one that is set comes first");
    assert!(!choices.is_set_up);
    let init = |provider: &str| {
        let provider = Some(provider.to_owned());
        place.service().init(&InitOptions { force: true, provider })
    };
    let wrong = init("antropic").unwrap_err();
    assert_eq!(wrong.code(), "ORC-0801");
    assert!(wrong.to_string().contains("did you mean `anthropic`"), "{wrong}");
    assert!(!place.service().setup_choices().is_set_up, "a wrong name writes nothing");
    let dev = async || {
        let agents = place.service().agents(None).await.unwrap().items;
        let dev = agents.into_iter().find(|agent| agent.name == "dev");
        dev.map(|dev| (dev.provider, dev.ready))
    };
    let done = init("openai").unwrap();
    assert!(!done.next.iter().any(|next| next.contains("export")), "{done:?}");
    assert_eq!(dev().await, Some(("openai".into(), true)));
    let done = init("anthropic").unwrap();
    assert!(done.next.contains(&"export ANTHROPIC_API_KEY=...".to_owned()), "{done:?}");
    assert_eq!(dev().await, Some(("anthropic".into(), false)), "its key is not there yet");
    init("builtin").unwrap();
    assert!(place.service().setup_choices().is_set_up);
    let text = std::fs::read_to_string(place.root().join(".orchestrator/config.toml")).unwrap();
    assert!(!text.lines().any(|line| line.starts_with("[providers")), "{text}");
}

#[tokio::test]
async fn doctor_names_what_is_wrong_and_how_to_mend_it() {
    let check = async |place: Place, name: &str, state: CheckState, code: Option<&str>| {
        let doctor = place.service().doctor(Default::default()).await;
        let item = doctor.items.iter().find(|item| item.name == name);
        let item = item.unwrap_or_else(|| panic!("{name}: {doctor:?}"));
        assert_eq!((item.state, item.code), (state, code), "{item:?}");
        assert_eq!(item.mend.is_some(), state != CheckState::Ok, "{item:?}");
        assert_eq!(doctor.ok, doctor.items.iter().all(|i| i.state != CheckState::Failed));
    };
    let set = |text: &str| Place::new().file(".orchestrator/config.toml", text);
    check(Place::new(), "settings", CheckState::Note, None).await;
    check(set("x = 1"), "settings", CheckState::Failed, Some("ORC-0103")).await;
    check(Place::new(), "models", CheckState::Note, None).await;
    let place = Place::new().with("OPENAI_API_KEY", "k");
    check(place, "provider openai", CheckState::Ok, None).await;
    let text = "[providers.p]\nkind = 'anthropic'\nkey.env = 'NOPE'";
    check(set(text), "provider p", CheckState::Failed, Some("ORC-0516")).await;
    let text = "[agents.a]\nprovider = 'a2a'";
    check(set(text), "agent a", CheckState::Failed, Some("ORC-0514")).await;
    check(Place::new(), "state directory", CheckState::Ok, None).await;
    check(Place::new(), "store", CheckState::Ok, None).await;
    check(Place::new(), "loopback", CheckState::Ok, None).await;
    check(Place::new(), "git", CheckState::Note, None).await;
    check(Place::new(), "disk", CheckState::Ok, None).await;
}

#[tokio::test]
async fn settings_are_written_and_seen_by_the_next_service() {
    let place = Place::new();
    let service = place.service();
    service.config_set("defaults.max-parallel", "9", ConfigScope::Project).unwrap();
    service.config_set("budget.usd-per-run", "2", ConfigScope::User).unwrap();
    let config = place.service().config().unwrap();
    let of = |key: &str| config.items.iter().find(|item| item.key == key).unwrap();
    assert_eq!(
        (of("defaults.max-parallel").layer, &of("defaults.max-parallel").value),
        ("project", &9.into())
    );
    assert_eq!(of("budget.usd-per-run").layer, "user");
    assert!(place.service().config_get("nope").is_err());
    assert!(place.service().config_get("prices").unwrap().items.is_empty());
}

const TASKS: &str = "name: w\ntasks:\n  one: { command: [sh, -c, 'echo first'] }\n  \
                     two: { command: [sh, -c, 'echo second >&2'], needs: [one] }\n";

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let place = Place::new();
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.insert(0, place.run(TASKS).await.run);
    }
    let service = place.service();
    let mut query = RunQuery { limit: 2, ..Default::default() };
    let first = service.runs(&query).await.unwrap();
    query.cursor = first.next.clone();
    let second = service.runs(&query).await.unwrap();
    let seen: Vec<String> = first.items.into_iter().chain(second.items).map(|r| r.id).collect();
    assert_eq!(seen, runs, "newest first");
    assert_eq!(second.next, None);
    let count = async |query: RunQuery| service.runs(&query).await.unwrap().items.len();
    assert_eq!(count(RunQuery { status: vec!["failed".into()], ..Default::default() }).await, 0);
    assert_eq!(count(RunQuery { status: vec!["succeeded".into()], ..Default::default() }).await, 3);
    assert_eq!(count(RunQuery { agent: Some("command".into()), ..Default::default() }).await, 3);
    assert_eq!(count(RunQuery { search: Some("W".into()), ..Default::default() }).await, 3);
    let since = service.since("1h").unwrap();
    assert_eq!(count(RunQuery { since: Some(since), ..Default::default() }).await, 3);
    let tasks = TaskQuery { run: Some("latest".into()), ..Default::default() };
    let tasks = service.tasks(&tasks).await.unwrap().items;
    assert_eq!(tasks.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let short = runs[0][2..].to_owned();
    assert_eq!(service.run(&short).await.unwrap().run.id, runs[0], "the start may be left out");
}

#[tokio::test]
async fn logs_are_read_by_run_task_and_agent_and_followed() {
    let place = Place::new();
    let run = place.run(TASKS).await.run;
    let service = place.service();
    let texts = async |of: &str| {
        let query = LogQuery { of: of.into(), ..Default::default() };
        let page = service.logs(&query).await.unwrap();
        assert!(page.ended);
        let lines = page.items.into_iter().filter(|entry| entry.stream != "event");
        lines.map(|entry| format!("{}:{}", entry.stream, entry.text)).collect::<Vec<_>>()
    };
    let both = ["stdout:first", "stderr:second"];
    assert_eq!(texts("latest").await, both);
    assert_eq!(texts(&run).await, both);
    assert_eq!(texts("command").await, both);
    assert_eq!(texts("one").await, both[..1]);
    assert_eq!(texts(&format!("{run}.two")).await, both[1..]);
    assert!(texts("builtin-qa").await.is_empty());
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let query = LogQuery { of: run.clone(), cursor: cursor.clone(), limit: 1 };
        let page = service.logs(&query).await.unwrap();
        seen.extend(page.items.iter().map(|entry| entry.seq));
        cursor = page.next;
        if page.ended {
            break;
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(seen, sorted, "nothing twice, nothing out of order");
    let last = service.run(&run).await.unwrap();
    assert!(seen.len() >= 7, "{seen:?} {last:?}");
}

#[tokio::test]
async fn old_runs_are_removed_and_a_dry_run_removes_none() {
    let place = Place::new().file("README.md", "# x\n");
    place.service().execute(template("audit")).await.unwrap().wait().await.unwrap();
    let service = place.service();
    let week = std::time::Duration::from_secs(7 * 86_400);
    assert!(service.clean(week, false).await.unwrap().runs.is_empty());
    // A run that was made within this very millisecond is not older than no time at all.
    let now = std::time::Duration::ZERO;
    while service.clean(now, true).await.unwrap().runs.is_empty() {}
    assert_eq!(service.runs(&RunQuery::default()).await.unwrap().items.len(), 1);
    assert_eq!(service.clean(now, false).await.unwrap().runs.len(), 1);
    assert!(service.runs(&RunQuery::default()).await.unwrap().items.is_empty());
}
