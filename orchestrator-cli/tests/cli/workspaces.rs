//! Agents in worktrees of their own, confined, checked and landed.

use crate::{
    harness::{Project, Ran, eventually},
    repository::{Belongings, belongings, commit_first, git, unchanged},
    schemas,
};
use rustix::process::Signal;
use serde_json::Value;
use std::{fs, path::Path};

/// What proves the work here: it says what it expected.
const CHECK: &str = ". ./lib.sh\nfound=$(answer)\n[ \"$found\" = 42 ] || { echo \"expected 42, found $found\"; exit 1; }\n";
const LIB: &str = "answer() { echo 42; }\n";

/// A repository with one commit, and an agent for each of `programs`: shell scripts by their names.
fn project(programs: &[(&str, &str)], flow: &str) -> Project {
    let project = Project::new();
    project.write("lib.sh", LIB);
    project.write("tests/check.sh", CHECK);
    commit_first(&project, programs, flow);
    project
}

/// All that is the user's.
fn users(project: &Project) -> Belongings {
    belongings(project.path(), &[])
}

fn execute(project: &Project) -> Ran {
    project.run(&["execute", "--workflow", "flow", "--json"])
}

fn details(project: &Project, task: &str) -> Value {
    let details = project.json(&["task-details", task]);
    schemas::check(&details);
    details
}

const ONE: &str =
    "name: flow\ndefaults: { workspace: worktree, checks: [\"sh tests/check.sh\"] }\ntasks:\n";

#[test]
fn what_is_built_in_parallel_is_proved_sent_back_and_landed() {
    let breaks = "if grep -q 'expected 42, found 41'; then echo '# mended' >> lib.sh; sed -i s/41/42/ lib.sh; echo mended; \
                  else sed -i s/42/41/ lib.sh; echo 'all tests pass'; fi\n";
    let flow = format!(
        "{ONE}  a: {{ agent: alpha, prompt: \"Build a.\" }}\n  b: {{ agent: beta, prompt: \"Build b.\" }}\n  \
         c: {{ agent: gamma, prompt: \"Look at the answer.\" }}\n"
    );
    let programs = [
        ("alpha", "echo alpha > alpha.txt\necho done\n"),
        ("beta", "echo beta > beta.txt\ngit checkout -q -b mine 2>/dev/null\necho done\n"),
        ("gamma", breaks),
    ];
    let project = project(&programs, &flow);
    let before = users(&project);
    let ran = execute(&project).expect(0);
    let result = ran.last();
    schemas::check(&result);
    let run = result["run"].as_str().expect("a run");
    for task in result["items"].as_array().expect("tasks") {
        assert_eq!(task["verified"], true, "{task}");
    }
    let branch = format!("orchestrator/{run}/result");
    assert_eq!(result["landed"][0]["branch"], branch.as_str());
    assert_eq!(result["landed"][0]["tasks"].as_array().map(Vec::len), Some(3));
    let show = |file: &str| git(&project, &["show", &format!("{branch}:{file}")]);
    assert_eq!((show("alpha.txt").as_str(), show("beta.txt").as_str()), ("alpha", "beta"));
    assert!(show("lib.sh").contains("42") && show("lib.sh").contains("# mended"));
    unchanged(&before, &users(&project), "after the run");

    let gamma = details(&project, "c");
    assert_eq!((&gamma["attempts"], &gamma["verified"]), (&2.into(), &true.into()));
    let work = gamma["work"].as_array().expect("work");
    assert_eq!(work[0]["evidence"]["verdict"], "failed");
    let excerpt = work[0]["evidence"]["checks"][0]["excerpt"].as_str().expect("text");
    assert!(excerpt.contains("expected 42, found 41"), "{excerpt}");
    assert_eq!(work[1]["evidence"]["verdict"], "verified");
    assert_eq!(work[1]["landed"]["branch"], branch.as_str());
    assert_eq!(work[1]["made"]["changed"][0]["path"], "lib.sh");
    for work in work {
        assert_ne!(work["workspace"]["sandbox"], "off");
        assert_ne!(work["evidence"]["sandbox"], "off");
    }
    let told = project.ok(&["task-details", "c"]).stdout;
    for what in ["verified", "expected 42, found 41", "landed  on", "modified lib.sh"] {
        assert!(told.contains(what), "{what} in {told}");
    }
    let listed = project.ok(&["list-tasks"]).stdout;
    assert!(listed.contains("PROOF") && listed.contains("verified"), "{listed}");
    let told = project.ok(&["run-details", "latest"]).stdout;
    assert!(told.contains(&format!("{branch} (3 tasks)")), "{told}");

    // What was exported is the same run elsewhere.
    let file = project.home().join("run.json");
    fs::write(&file, project.ok(&["export", "latest"]).stdout).expect("a file");
    let other = Project::new();
    other.ok(&["import", &file.display().to_string()]);
    assert_eq!(details(&other, "c")["work"], gamma["work"]);
    for format in ["csv", "html"] {
        let text = project.ok(&["export", "latest", "--format", format]).stdout;
        assert!(text.contains("verified"), "{format}: {text}");
    }

    // What is kept of a run goes with it, and its branches stay.
    for of in [run, "r_other"] {
        git(&project, &["update-ref", &format!("refs/orchestrator/{of}/a/1"), "HEAD"]);
    }
    let cleaned = project.json(&["clean", "--older-than", "0s", "--yes"]);
    schemas::check(&cleaned);
    assert_eq!(cleaned["runs"].as_array().map(Vec::len), Some(1));
    // The state of the place that was kept is recorded before it goes.
    assert_eq!((&cleaned["worktrees"], &cleaned["refs"]), (&1.into(), &2.into()));
    let hidden = git(&project, &["for-each-ref", "--format=%(refname)", "refs/orchestrator"]);
    assert_eq!(hidden, "refs/orchestrator/r_other/a/1");
    let left = fs::read_dir(project.path().join(".orchestrator/state/worktrees"));
    let left = left.expect("places").map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains(run)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(show("alpha.txt"), "alpha");
    unchanged(&before, &users(&project), "after the run");
}

#[test]
fn a_liar_stays_unverified_and_why_holds_the_evidence() {
    let flow = format!(
        "{ONE}  a: {{ agent: liar, prompt: \"Build.\", retry: {{ max-attempts: 2, base-delay: 1ms }} }}\n"
    );
    let liar = "sed -i s/42/41/ lib.sh\nprintf '#!/bin/sh\\nexit 0\\n' > tests/check.sh\n\
                echo 'all 12 tests pass, verified'\n";
    let project = project(&[("liar", liar)], &flow);
    let before = users(&project);
    let ran = execute(&project).expect(1);
    let result = ran.last();
    assert_eq!(
        (&result["status"], &result["items"][0]["verified"]),
        (&"failed".into(), &false.into())
    );
    assert_eq!(result["landed"], Value::Array(Vec::new()));
    let why = project.ok(&["why", "a"]).stdout;
    assert!(why.contains("tests/check.sh"), "{why}");
    let details = details(&project, "a");
    assert_ne!(details["work"][0]["evidence"]["verdict"], "verified");
    let run = result["run"].as_str().expect("a run");
    let tip = git(&project, &["rev-parse", &format!("orchestrator/{run}/result")]);
    assert_eq!(tip, git(&project, &["rev-parse", "HEAD"]), "nothing has landed");
    unchanged(&before, &users(&project), "after the run");
}

#[test]
fn files_of_a_place_are_left_to_the_next_process_and_cleaned_away() {
    let flow = format!("{ONE}  a: {{ agent: maker, prompt: \"Build.\" }}\n");
    // What an attempt left anywhere would be told by the next.
    let script = "for file in new.txt ignored/file \"$HOME/own\"; do \
                  [ -e \"$file\" ] && echo \"found $file\"; done\n\
                  stat -c %a tests; chmod 700 tests\n\
                  mkdir -p ignored && echo x > ignored/file && echo x > new.txt && echo x > \"$HOME/own\"\n\
                  stat -c %i tests/check.sh > inode.txt\necho done\n";
    let project = project(&[("maker", script)], &flow);
    project.write(".gitignore", "ignored\n");
    git(&project, &["add", ".gitignore"]);
    git(&project, &["commit", "-qm", "what is ignored"]);
    let before = users(&project);
    let prepared = |project: &Project| {
        let listed = project.json(&["worktrees", "list"]);
        schemas::check(&listed);
        listed["prepared"].as_array().expect("a list").clone()
    };
    assert_eq!(prepared(&project), Vec::<Value>::new());
    let mut said = Vec::new();
    let mut inodes = Vec::new();
    for _ in 0..3 {
        let result = execute(&project).expect(0).last();
        said.push(details(&project, "a")["output"].as_str().expect("text").to_owned());
        let branch = result["landed"][0]["branch"].as_str().expect("a branch").to_owned();
        inodes.push(git(&project, &["show", &format!("{branch}:inode.txt")]));
        let left = prepared(&project);
        assert_eq!(left.len(), 1, "each takes what was left and leaves it");
        assert_eq!(left[0]["commit"], git(&project, &["rev-parse", "HEAD"]).as_str());
    }
    assert_eq!(said, [said[0].clone(), said[0].clone(), said[0].clone()]);
    assert!(said[0].ends_with("done") && !said[0].contains("found"), "{}", said[0]);
    // A file that nobody touched since well before is the same one.
    assert_eq!(inodes[1], inodes[2]);
    assert_eq!(users(&project), before);
    let told = project.ok(&["worktrees", "list"]);
    assert!(told.stderr.contains("1 prepared for the next"), "{}", told.stderr);

    // What processes that died have left over, as they name it.
    let state = project.path().join(".orchestrator/state");
    for (file, text) in
        [("tmp/places-dead/file", "x"), ("checks/check-dead/tree/file", "x"), ("tmp/loose", "x")]
    {
        project.write(&format!(".orchestrator/state/{file}"), text);
    }
    let would = project.json(&["clean", "--older-than", "1d", "--dry-run"]);
    schemas::check(&would);
    assert_eq!((&would["left_over"], &would["prepared"]), (&3.into(), &0.into()));
    assert!(state.join("checks/check-dead").exists());
    let cleaned = project.json(&["clean", "--older-than", "0s", "--yes"]);
    assert_eq!((&cleaned["left_over"], &cleaned["prepared"]), (&3.into(), &1.into()));
    for directory in ["tmp", "checks"] {
        let left = fs::read_dir(state.join(directory)).expect("it is there");
        assert_eq!(left.count(), 0, "{directory}");
    }
    assert_eq!(prepared(&project), Vec::<Value>::new());
    // The other way to be rid of it.
    execute(&project).expect(0);
    let done = project.json(&["worktrees", "clean", "--yes"]);
    schemas::check(&done);
    assert_eq!(done["prepared"].as_array().map(Vec::len), Some(1));
    assert_eq!(prepared(&project), Vec::<Value>::new());
}

#[test]
fn directories_are_made_in_advance_while_an_attempt_works() {
    let flow = format!("{ONE}  a: {{ agent: waiter, prompt: \"Wait.\" }}\n");
    let project =
        project(&[("waiter", "while [ ! -e go ]; do sleep 0.05; done\necho done\n")], &flow);
    let settings = project.read(".orchestrator/config.toml");
    let settings = format!("{settings}[workspaces]\npool = 3\nprepare = true\n");
    project.write(".orchestrator/config.toml", &settings);
    let mut running = project.start(&["execute", "--workflow", "flow", "--json"]);
    let place = eventually("three directories", || {
        let listed = project.json(&["worktrees", "list"]);
        let is_ready = |prepared: &Value| prepared["commit"].is_string();
        let ready = listed["prepared"].as_array()?.iter().filter(|ready| is_ready(ready)).count();
        (ready == 3).then(|| listed["items"][0]["directory"].as_str().map(str::to_owned))?
    });
    fs::write(Path::new(&place).join("go"), "").expect("a file");
    running.end().expect(0);
}

#[test]
fn an_attempt_that_fills_the_disk_is_stopped_while_it_works() {
    let flow = "name: flow\ntasks:\n  a:\n    agent: filler\n    prompt: \"Fill.\"\n    \
                workspace: { kind: worktree, quota: 2 MB }\n    retry: { max-attempts: 1 }\n";
    for place in [".", "$HOME", "$TMPDIR"] {
        // It would never end by itself, and has no turns after which anything is looked at.
        let script =
            format!("head -c 4000000 /dev/zero > {place}/large\nwhile :; do sleep 1; done\n");
        let project = project(&[("filler", &script)], flow);
        let settings = project.read(".orchestrator/config.toml");
        let settings = format!("{settings}[workspaces]\nmeasure-every = \"100ms\"\n");
        project.write(".orchestrator/config.toml", &settings);
        let result = execute(&project).expect(1).last();
        assert_eq!(result["status"], "failed", "{place}");
        let task = details(&project, "a");
        let told = task["error"].to_string();
        assert!(told.contains("on the disk and may take 2000000"), "{place}: {task}");
    }
}

#[test]
fn what_was_made_before_a_crash_is_not_asked_for_again() {
    let stamp = "cat /proc/sys/kernel/random/uuid > stamp.txt\necho done\n";
    let project = project(&[("maker", stamp)], "");
    let gate = project.path().join(".orchestrator/gate");
    let flow = format!(
        "name: flow\ntasks:\n  a:\n    agent: maker\n    prompt: \"Build.\"\n    workspace: worktree\n    \
         checks: [\"while [ ! -e {} ]; do sleep 0.05; done\"]\n",
        gate.display()
    );
    project.write(".orchestrator/workflows/flow.yaml", &flow);
    let mut running = project.start(&["execute", "--workflow", "flow", "--json"]);
    let made = running.until("the work", |event| event["type"] == "work-recorded");
    running.kill();
    running.end();
    fs::write(&gate, "").expect("a gate");
    let result = project.run(&["resume", "--json"]).expect(0).last();
    assert_eq!(result["items"][0]["verified"], true);
    let commit = made["work"]["commit"].as_str().expect("a commit");
    let branch = result["landed"][0]["branch"].as_str().expect("a branch");
    let stamp = |of: &str| git(&project, &["show", &format!("{of}:stamp.txt")]);
    assert_eq!(stamp(branch), stamp(commit), "the agent was not asked again");
    assert_eq!(details(&project, "a")["work"].as_array().map(Vec::len), Some(1));
}

#[test]
fn nothing_is_left_of_what_an_interrupted_run_has_started() {
    let name = format!("9{}", std::process::id());
    let flow = format!("{ONE}  a: {{ agent: sleeper, prompt: \"Sleep.\" }}\n");
    let script =
        format!("sleep {name} &\nsetsid sleep {name} &\necho begun > begun.txt\nsleep {name}\n");
    let project = project(&[("sleeper", &script)], &flow);
    let sleepers = || {
        let all = fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
        let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let wanted = format!("sleep\0{name}\0");
        lines.filter(|line| line == wanted.as_bytes()).count()
    };
    let mut running = project.start(&["execute", "--workflow", "flow", "--json"]);
    eventually("the programs", || (sleepers() == 3).then_some(()));
    running.signal(Signal::INT);
    running.end().expect(130);
    eventually("their end", || (sleepers() == 0).then_some(()));
}

#[test]
fn a_program_writes_its_workspace_alone_and_reads_no_key() {
    let flow = format!("{ONE}  a: {{ agent: prober, prompt: \"Try.\" }}\n");
    let project = project(&[("prober", "")], &flow);
    let (root, home) = (project.path().display().to_string(), project.home().display().to_string());
    let keys = [
        format!("{home}/.config/orchestrator/receipts.key"),
        format!("{home}/.local/share/orchestrator/credentials.key"),
        format!("{home}/.ssh/id_ed25519"),
        format!("{root}/.env"),
        format!("{root}/.orchestrator/state/secret"),
    ];
    for key in &keys {
        fs::create_dir_all(Path::new(key).parent().expect("a directory")).expect("a directory");
        fs::write(key, "no=sesame\n").expect("a key");
    }
    let script = format!(
        "for file in {}; do grep -q sesame \"$file\" 2>/dev/null && echo \"read $file\"; done\n\
         for file in {root}/outside {home}/outside {root}/lib.sh {root}/.git/hooks/pre-commit \
         {root}/.git/config .git/config; do\n  \
         (echo x >> \"$file\") 2>/dev/null && echo \"wrote $file\"; done\n\
         echo mine > mine.txt && echo 'wrote its own'\n\
         echo x > \"$HOME/x\" && echo x > \"$TMPDIR/x\" && echo 'has a home'\n",
        keys.join(" ")
    );
    fs::write(project.home().join("prober.sh"), script).expect("a program");
    let before = users(&project);
    execute(&project).expect(0);
    let said = details(&project, "a")["output"].as_str().expect("text").to_owned();
    assert_eq!(said, "wrote its own\nhas a home");
    unchanged(&before, &users(&project), "after the run");
    assert!(!project.path().join("outside").exists() && !project.home().join("outside").exists());
}

#[test]
fn a_worktree_without_a_repository_is_refused_before_anything_starts() {
    let flow = "name: flow\ntasks:\n  a: { command: [echo, hello], workspace: worktree }\n";
    let project = Project::with_flow(flow);
    for arguments in [
        &["execute", "--workflow", "flow.yaml", "--json"][..],
        &["execute", "--workflow", "flow.yaml", "--dry-run", "--json"],
    ] {
        let ran = project.run(arguments).expect(2);
        assert_eq!(ran.problem()["code"], "ORC-0610");
    }
    assert_eq!(project.json(&["list-runs"])["items"], Value::Array(Vec::new()));
    // Without git, other places are there all the same.
    project.write("flow.yaml", "name: flow\ntasks:\n  a: { command: [pwd], workspace: none }\n");
    let result = project.run(&["execute", "--workflow", "flow.yaml", "--json"]).expect(0).last();
    assert_eq!(result["items"][0]["verified"], Value::Null);
    let place = details(&project, "a")["work"][0]["workspace"].clone();
    assert_eq!((&place["kind"], &place["branch"]), (&"none".into(), &Value::Null));
}

#[test]
fn what_is_not_confined_is_said_and_recorded_and_what_cannot_be_is_not_run() {
    let flow = format!("{ONE}  a: {{ agent: maker, prompt: \"Build.\" }}\n");
    let project = project(&[("maker", "echo made > made.txt\necho done\n")], &flow);
    let ran = project.ok(&["execute", "--workflow", "flow", "--sandbox", "off"]);
    assert!(ran.stderr.contains("sandbox off"), "{}", ran.stderr);
    let work = details(&project, "a")["work"][0].clone();
    assert_eq!(work["workspace"]["sandbox"], "off");
    assert_eq!(work["evidence"]["sandbox"], "off");
    let told = project.ok(&["task-details", "a"]).stdout;
    assert!(told.contains("off: not confined") && told.contains("without a sandbox"), "{told}");
    let ran = project.ok(&["execute", "--workflow", "flow"]);
    assert!(!ran.stderr.contains("sandbox off"), "{}", ran.stderr);

    // One that is not to be had is no reason to do without.
    let ran = project.run(&["execute", "--workflow", "flow", "--sandbox", "dagger", "--json"]);
    let result = ran.expect(1).last();
    assert_eq!(result["failure"]["class"], "unsafe");
    let message = result["failure"]["message"].as_str().expect("text");
    assert!(message.contains("ORC-062") && message.contains("--sandbox off"), "{message}");
}

#[test]
fn a_plan_says_where_tasks_work_and_a_worktree_may_begin_with_what_is_not_committed() {
    let flow = format!("{ONE}  a: {{ agent: reader, prompt: \"Read.\" }}\n");
    let project = project(&[("reader", "cat lib.sh new.txt 2>/dev/null; true\n")], &flow);
    project.write("new.txt", "new\n");
    project.write("lib.sh", "answer() { echo 42; }\n# changed\n");
    let plan = project.json(&["execute", "--workflow", "flow", "--dry-run"]);
    schemas::check(&plan);
    let task = &plan["items"][0];
    assert_eq!(
        (&task["workspace"], &task["lands"]),
        (&"worktree".into(), &"orchestrator/RUN/result".into())
    );
    assert_eq!(task["checks"], serde_json::json!(["sh tests/check.sh"]));
    let told = project.ok(&["execute", "--workflow", "flow", "--dry-run"]).stdout;
    assert!(told.contains("checked by sh tests/check.sh"), "{told}");

    let before = users(&project);
    let said = |arguments: &[&str]| {
        project.run(&[&["execute", "--workflow", "flow", "--json"], arguments].concat()).expect(0);
        details(&project, "a")["output"].as_str().expect("text").to_owned()
    };
    assert_eq!(said(&[]), LIB.trim_end());
    assert_eq!(said(&["--include-uncommitted"]), "answer() { echo 42; }\n# changed\nnew");
    unchanged(&before, &users(&project), "after the run");
}

#[test]
fn the_doctor_tells_of_git_the_sandbox_and_what_is_left_over() {
    let flow =
        format!("{ONE}  a: {{ agent: liar, prompt: \"Build.\", retry: {{ max-attempts: 1 }} }}\n");
    let project = project(&[("liar", "sed -i s/42/41/ lib.sh\necho done\n")], &flow);
    execute(&project).expect(1);
    let view = project.json(&["doctor"]);
    schemas::check(&view);
    let found = |name: &str| {
        let mut items = view["items"].as_array().expect("items").iter();
        items.find(|item| item["name"] == name).expect(name)["found"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    assert!(found("git").contains("git version"));
    assert!(found("sandbox").contains("write outside the workspace"), "{}", found("sandbox"));
    assert!(found("worktrees").contains("1 kept"), "{}", found("worktrees"));
}

#[test]
fn the_example_is_proved_and_lands() {
    let example = include_str!("../../../examples/proved.yaml");
    let project = project(&[], example);
    let result = execute(&project).expect(0).last();
    let branch = result["landed"][0]["branch"].as_str().expect("a branch");
    assert!(git(&project, &["show", &format!("{branch}:FILES.txt")]).contains("lib.sh"));
    let summary = details(&project, "summary");
    assert_eq!(summary["output"], "list verified: true, count verified: true");
    assert_eq!(summary["work"][0]["workspace"]["kind"], "project");
}
