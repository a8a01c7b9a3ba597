//! What attempts made in places of their own: looked at, given back, cleaned away, and proved by receipts.

use crate::{
    harness::{Project, Ran, eventually},
    repository::{commit_first, git},
    schemas,
};
use serde_json::Value;
use std::{fs, path::Path};

/// Two tasks in worktrees with a check each, and one without a place.
const FLOW: &str = "name: flow
tasks:
  build:
    agent: builder
    prompt: \"Build.\"
    workspace: worktree
    checks: [\"grep -q made made.txt\"]
  more:
    agent: builder
    needs: [build]
    prompt: \"Build more after {{ tasks.build.status }}.\"
    workspace: worktree
  plain: { command: [echo, hello] }
";

/// What the agent does: a new file for each task, and a change.
const BUILDER: &str = "if [ -e made.txt ]; then echo more > more.txt; else echo made > made.txt; fi
echo two >> one.txt
echo done
";

/// A repository with one commit and an agent that runs `script`.
fn project(flow: &str, script: &str) -> Project {
    let project = Project::new();
    project.write("one.txt", "one\n");
    commit_first(&project, &[("builder", script)], flow);
    project
}

/// A project in which the flow has run.
fn ran() -> (Project, String) {
    let project = project(FLOW, BUILDER);
    let result = project.run(&["execute", "--workflow", "flow", "--json"]).expect(0).last();
    let run = result["run"].as_str().expect("a run").to_owned();
    (project, run)
}

fn checked(project: &Project, arguments: &[&str]) -> Value {
    let document = project.json(arguments);
    schemas::check(&document);
    document
}

/// The code with which it refuses, as a call that is wrong.
fn refused(project: &Project, arguments: &[&str]) -> String {
    let ran: Ran = project.run(&[arguments, &["--json"]].concat()).expect(2);
    ran.problem()["code"].as_str().expect("a code").to_owned()
}

fn paths(diff: &Value) -> Vec<&str> {
    let files = diff["files"].as_array().expect("files");
    files.iter().map(|file| file["path"].as_str().expect("a path")).collect()
}

#[test]
fn the_diff_of_a_task_is_its_work_and_that_of_a_run_what_has_landed() {
    let (project, run) = ran();
    let of_task = checked(&project, &["diff", "build"]);
    assert_eq!(paths(&of_task), ["made.txt", "one.txt"]);
    assert_eq!(
        (&of_task["files"][0]["added"], &of_task["files"][0]["removed"]),
        (&1.into(), &0.into())
    );
    assert_eq!(of_task["from"], git(&project, &["rev-parse", "HEAD"]).as_str());
    let text = project.ok(&["diff", &format!("{run}.build")]).stdout;
    assert_eq!(of_task["diff"], text.as_str());
    assert!(text.contains("+++ b/made.txt\n@@ -0,0 +1 @@\n+made\n"), "{text}");

    let of_run = checked(&project, &["diff", "latest"]);
    assert_eq!(paths(&of_run), ["made.txt", "more.txt", "one.txt"]);
    assert_eq!(of_run["branch"], format!("orchestrator/{run}/result").as_str());
    // What it prints is a patch that makes the one of the other.
    fs::write(project.home().join("all.patch"), project.ok(&["diff", &run]).stdout)
        .expect("a file");
    git(&project, &["apply", "--index", &project.home().join("all.patch").display().to_string()]);
    let tree = git(&project, &["write-tree"]);
    // A commit says what was asked, with everything filled in.
    let subject =
        git(&project, &["log", "-1", "--format=%s", &format!("orchestrator/{run}/result")]);
    assert_eq!(subject, "more: Build more after succeeded.");
    let tip = format!("orchestrator/{run}/result^{{tree}}");
    assert_eq!(tree, git(&project, &["rev-parse", &tip]));
    git(&project, &["reset", "-q", "--hard"]);

    let stat = project.ok(&["diff", "latest", "--stat"]).stdout;
    let lines: Vec<&str> = stat.lines().collect();
    assert!(lines[0].starts_with("added") && lines[0].ends_with("made.txt"), "{stat}");
    assert_eq!(lines.last(), Some(&"3 files, +4 -0"), "{stat}");
    let stat = checked(&project, &["diff", "more", "--stat"]);
    assert_eq!((paths(&stat), &stat["diff"]), (vec!["more.txt", "one.txt"], &Value::Null));

    let colored = project.ok(&["diff", "build", "--color", "always"]).stdout;
    assert!(colored.contains("\x1b[32m+made"), "{colored:?}");
    for (arguments, code) in [
        (&["diff", "nothing"][..], "ORC-0604"),
        (&["diff", "r_none"], "ORC-0601"),
        (&["diff", "plain"], "ORC-0642"),
        (&["diff", "build", "--attempt", "7"], "ORC-0642"),
        (&["diff", "build", "--checkpoint", "0000000"], "ORC-0643"),
    ] {
        assert_eq!(refused(&project, arguments), code, "{arguments:?}");
    }
}

#[test]
fn a_checkpoint_is_given_back_as_files_as_a_branch_or_where_it_was_made() {
    // The attempt fails, so that its place is kept.
    let flow = "name: flow\ntasks:\n  build:\n    agent: builder\n    prompt: \"Build.\"\n    workspace: worktree\n    \
                checks: [\"false\"]\n    retry: { max-attempts: 1 }\n";
    let project = project(flow, BUILDER);
    project.run(&["execute", "--workflow", "flow", "--json"]).expect(1);
    let details = project.json(&["task-details", "build"]);
    let made = details["work"][0]["made"]["commit"].as_str().expect("a commit").to_owned();
    let place = details["work"][0]["workspace"]["directory"].as_str().expect("a path").to_owned();
    let place = Path::new(&place);
    let head = git(&project, &["rev-parse", "HEAD"]);

    // As files.
    let to = project.home().join("back");
    let target = to.display().to_string();
    let view = checked(&project, &["restore", "build", "--to", &target]);
    assert_eq!(view["commit"], made.as_str());
    assert_eq!(fs::read_to_string(to.join("made.txt")).expect("a file"), "made\n");
    assert_eq!(fs::read_to_string(to.join("one.txt")).expect("a file"), "one\ntwo\n");
    assert!(!to.join(".git").exists());
    for taken in [&target, "one.txt", ".", ".git/new", ".orchestrator/state/new"] {
        assert_eq!(refused(&project, &["restore", "build", "--to", taken]), "ORC-0644", "{taken}");
    }
    let beside = fs::read_dir(project.home()).expect("a directory").filter_map(Result::ok);
    let beside: Vec<_> = beside.map(|entry| entry.file_name()).collect();
    assert!(
        !beside.iter().any(|name| name.to_string_lossy().starts_with(".restore")),
        "{beside:?}"
    );

    // As a branch.
    let view =
        checked(&project, &["restore", "build", "--checkpoint", &made[..8], "--branch", "again"]);
    assert_eq!(view["branch"], "again");
    assert_eq!(git(&project, &["rev-parse", "again"]), made);
    assert_eq!(refused(&project, &["restore", "build", "--branch", "main"]), "ORC-0644");
    assert_eq!(refused(&project, &["restore", "build", "--branch", "a..b"]), "ORC-0617");
    assert_eq!(git(&project, &["rev-parse", "main"]), head);

    // In its place, where somebody has gone on.
    fs::write(place.join("one.txt"), "mine\n").expect("a file");
    let now = checked(&project, &["diff", "build", "--now"]);
    assert!(now["diff"].as_str().expect("text").contains("+mine"), "{now}");
    let view = checked(&project, &["restore", "build", "--checkpoint", &made, "--in-place"]);
    assert_eq!(fs::read_to_string(place.join("one.txt")).expect("a file"), "one\ntwo\n");
    let before = view["before"].as_str().expect("a checkpoint").to_owned();
    assert_eq!(git(&project, &["show", &format!("{before}:one.txt")]), "mine");

    // That is a checkpoint as any other.
    let listed = checked(&project, &["checkpoints", "build"]);
    let items = listed["items"].as_array().expect("checkpoints");
    assert!(items.iter().any(|state| state["commit"] == before.as_str()), "{listed}");
    let told = project.ok(&["checkpoints", "build"]).stdout;
    assert!(told.contains("ATTEMPT") && told.contains(&before[..12]), "{told}");
    checked(&project, &["restore", "build", "--checkpoint", &before[..9], "--in-place"]);
    assert_eq!(fs::read_to_string(place.join("one.txt")).expect("a file"), "mine\n");

    assert_eq!(
        refused(&project, &["restore", "build", "--checkpoint", "77", "--in-place"]),
        "ORC-0643"
    );
    project.run(&["restore", "build"]).expect(2);
    assert_eq!(git(&project, &["status", "--porcelain"]), "", "the checkout is as it was");
}

/// No agent of today has turns that change files: those that call models only speak. So the states are
/// made here as a process leaves them that recorded each after a turn and died before its log had it.
#[test]
fn a_checkpoint_is_named_by_its_turn() {
    let flow = "name: flow\ntasks:\n  build:\n    agent: builder\n    prompt: \"Build.\"\n    workspace: worktree\n    \
                checks: [\"false\"]\n    retry: { max-attempts: 1 }\n";
    let project = project(flow, BUILDER);
    let result = project.run(&["execute", "--workflow", "flow", "--json"]).expect(1).last();
    let run = result["run"].as_str().expect("a run").to_owned();
    let base = git(&project, &["rev-parse", "HEAD"]);
    let hidden = format!("refs/orchestrator/{run}/build/1");
    let mut tip = git(&project, &["for-each-ref", "--format=%(objectname)", &hidden]);
    if tip.is_empty() {
        tip.clone_from(&base);
    }
    let mut states = Vec::new();
    for turn in [2, 3, 12] {
        let file = project.home().join("turn");
        fs::write(&file, format!("turn {turn}\n")).expect("a file");
        let blob = git(&project, &["hash-object", "-w", &file.display().to_string()]);
        git(
            &project,
            &["update-index", "--add", "--cacheinfo", &format!("100644,{blob},turn.txt")],
        );
        let tree = git(&project, &["write-tree"]);
        let message = format!(
            "orchestrator: turn {turn} of build\n\nOrchestrator-Run: {run}\nOrchestrator-Task: build\n\
             Orchestrator-Attempt: 1\nOrchestrator-Turn: {turn}\nOrchestrator-Base: {base}\n"
        );
        tip = git(&project, &["commit-tree", &tree, "-p", &tip, "-m", &message]);
        states.push((turn, tip.clone()));
    }
    git(&project, &["update-ref", &hidden, &tip]);
    git(&project, &["reset", "-q", "--hard"]);

    let listed = checked(&project, &["checkpoints", "build"]);
    let items = listed["items"].as_array().expect("checkpoints").iter();
    let turns: Vec<_> = items.filter(|item| item["turn"] != Value::Null).collect();
    assert_eq!(turns.len(), 3, "{listed}");
    for (item, (turn, commit)) in turns.iter().zip(&states) {
        assert_eq!((&item["turn"], &item["commit"]), (&(*turn).into(), &commit.as_str().into()));
    }
    for (turn, commit) in &states {
        let number = turn.to_string();
        let diff = checked(&project, &["diff", "build", "--checkpoint", &number]);
        assert_eq!(diff["to"], commit.as_str());
        assert!(
            diff["diff"].as_str().expect("text").contains(&format!("+turn {turn}\n")),
            "{diff}"
        );
        let by_commit = checked(&project, &["diff", "build", "--checkpoint", &commit[..9]]);
        assert_eq!(by_commit["diff"], diff["diff"]);
        let to = project.home().join(format!("turn-{turn}"));
        let target = to.display().to_string();
        project.ok(&["restore", "build", "--checkpoint", &number, "--to", &target]);
        assert_eq!(
            fs::read_to_string(to.join("turn.txt")).expect("a file"),
            format!("turn {turn}\n")
        );
        let branch = format!("turn-{turn}");
        project.ok(&["restore", "build", "--checkpoint", &number, "--branch", &branch]);
        assert_eq!(git(&project, &["rev-parse", &branch]), *commit);
    }
    let place = project.json(&["worktrees", "list"])["items"][0]["directory"].clone();
    let place = Path::new(place.as_str().expect("a path"));
    project.ok(&["restore", "build", "--checkpoint", "3", "--in-place"]);
    assert_eq!(fs::read_to_string(place.join("turn.txt")).expect("a file"), "turn 3\n");
    for none in ["1", "4", "0", "-1", "99999999999"] {
        let given = format!("--checkpoint={none}");
        assert_eq!(refused(&project, &["diff", "build", &given]), "ORC-0643", "{none}");
        assert_eq!(refused(&project, &["restore", "build", &given, "--branch", "x"]), "ORC-0643");
    }
}

#[test]
fn kept_places_are_listed_and_cleaned_away_and_can_be_given_back() {
    let flow = "name: flow\ntasks:\n  build:\n    agent: builder\n    prompt: \"Build.\"\n    workspace: worktree\n    \
                checks: [\"false\"]\n    retry: { max-attempts: 1 }\n";
    let project = project(flow, BUILDER);
    let none = checked(&project, &["worktrees", "list"]);
    assert_eq!(none["items"], Value::Array(Vec::new()));
    let nothing = checked(&project, &["worktrees", "clean"]);
    assert_eq!(nothing["removed"], Value::Array(Vec::new()));
    project.run(&["execute", "--workflow", "flow", "--json"]).expect(1);
    let listed = checked(&project, &["worktrees", "list"]);
    let item = &listed["items"][0];
    assert_eq!(
        (&item["task"], &item["attempt"], &item["state"]),
        (&"build".into(), &1.into(), &"kept".into())
    );
    assert!(item["bytes"].as_u64().expect("a size") > 0);
    let place = item["directory"].as_str().expect("a path").to_owned();
    let told = project.ok(&["worktrees", "list"]).stdout;
    assert!(told.contains("kept") && told.contains(&place), "{told}");

    let young = checked(&project, &["worktrees", "clean", "--older-than", "1d", "--yes"]);
    assert_eq!(young["removed"], Value::Array(Vec::new()));
    let would = checked(&project, &["worktrees", "clean", "--dry-run"]);
    assert_eq!(would["removed"][0]["directory"], place.as_str());
    fs::write(Path::new(&place).join("late.txt"), "late\n").expect("a file");
    let done = checked(&project, &["worktrees", "clean", "--yes"]);
    assert_eq!((&done["dry_run"], &done["removed"][0]["task"]), (&false.into(), &"build".into()));
    assert!(!Path::new(&place).exists());
    assert_eq!(checked(&project, &["worktrees", "list"])["items"], Value::Array(Vec::new()));

    // What nobody had recorded was, before it went.
    let last = checked(&project, &["checkpoints", "build"]);
    let last = last["items"].as_array().expect("items").last().expect("a checkpoint").clone();
    let commit = last["commit"].as_str().expect("a commit");
    let to = project.home().join("back").display().to_string();
    project.ok(&["restore", "build", "--checkpoint", commit, "--to", &to]);
    assert_eq!(fs::read_to_string(Path::new(&to).join("late.txt")).expect("a file"), "late\n");
    let gone = refused(&project, &["restore", "build", "--in-place"]);
    assert_eq!(gone, "ORC-0645");
}

#[test]
fn a_receipt_verifies_anywhere_until_a_letter_of_it_is_changed() {
    let (project, run) = ran();
    let file = project.home().join("receipt.json");
    let path = file.display().to_string();
    project.ok(&["export", "latest", "--format", "receipt", "--output", &path]);
    let text = fs::read_to_string(&file).expect("a receipt");
    let receipt: Value = serde_json::from_str(&text).expect("JSON");
    schemas::check(&receipt);
    assert_eq!(project.ok(&["export", &run, "--format", "receipt"]).stdout, text, "the same again");
    let of = |kind: &str| {
        let entries = receipt["entries"].as_array().expect("entries").iter();
        entries.map(|chained| &chained["entry"]).filter(|entry| entry["kind"] == kind).count()
    };
    assert_eq!(
        (of("run"), of("agent"), of("attempt"), of("evidence"), of("landing")),
        (1, 2, 3, 1, 2)
    );

    let good = checked(&project, &["verify", &path]);
    assert_eq!((&good["good"], &good["signed_by"]), (&true.into(), &"own".into()));
    assert_eq!(
        (&good["unchecked"], good["verified"].as_array().map(Vec::len)),
        (&Value::Array(Vec::new()), Some(5))
    );
    let tasks: Vec<(&str, bool)> = good["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|task| (task["task"].as_str().expect("a name"), task["verified"] == true))
        .collect();
    assert_eq!(tasks, [("build", true), ("more", false), ("plain", false)]);
    let told = project.ok(&["verify", &path]).stdout;
    assert!(told.starts_with("good") && told.contains("build  succeeded, verified"), "{told}");

    // Elsewhere, by somebody who has the key and nothing else.
    let key = project.ok(&["verify", "--show-key"]).stdout;
    let shown = checked(&project, &["verify", "--show-key"]);
    assert_eq!(shown["key"], key.trim());
    let other = Project::new();
    fs::remove_dir(other.path().join(".orchestrator")).expect("no project");
    let key_file = other.write("known.key", &key);
    for key in [key.trim(), &key.trim()["ed25519:".len()..], &key_file.display().to_string()] {
        let good = checked(&other, &["verify", &path, "--key", key]);
        assert_eq!((&good["good"], &good["signed_by"]), (&true.into(), &"trusted".into()));
    }
    assert_eq!(checked(&other, &["verify", &path])["signed_by"], "unknown");
    let own = other.ok(&["verify", "--show-key"]).stdout;
    let ran = other.run(&["verify", &path, "--key", own.trim(), "--json"]).expect(1);
    schemas::check(&ran.last());
    assert!(ran.stdout.contains("not the key that is trusted"), "{}", ran.stdout);
    assert_eq!(refused(&other, &["verify", &path, "--key", "nothing"]), "ORC-0801");
    assert!(!other.path().join(".orchestrator").exists(), "looking leaves nothing behind");

    // Every edit is found, and each says what it is.
    for (from, to, what) in [
        ("\"succeeded\"", "\"failed\"", "signature"),
        ("\"verdict\": \"verified\"", "\"verdict\": \"failed\"", "chain"),
        ("\"builder\"", "\"somebody\"", "signature"),
        ("  \"run\"", " \"run\"", "changed at byte"),
    ] {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text);
        fs::write(&file, edited).expect("a file");
        let ran = project.run(&["verify", &path, "--json"]).expect(1);
        let view = ran.last();
        schemas::check(&view);
        assert!(view["problems"].to_string().contains(what), "{view}");
        assert_eq!((&view["good"], &view["tasks"]), (&false.into(), &Value::Array(Vec::new())));
    }
    for (content, code) in [("no receipt", "ORC-0647"), ("{\"schema\": \"other/v1\"}", "ORC-0647")]
    {
        fs::write(&file, content).expect("a file");
        assert_eq!(refused(&project, &["verify", &path]), code);
    }
    assert_eq!(refused(&project, &["verify", "nowhere.json"]), "ORC-0647");
}

#[test]
fn a_receipt_is_held_against_what_is_here_of_its_run() {
    let (project, _) = ran();
    let file = project.home().join("receipt.json");
    let path = file.display().to_string();
    project.ok(&["export", "latest", "--format", "receipt", "--output", &path]);

    // The same run in another project, which has none of its commits.
    let bundle = project.home().join("run.json").display().to_string();
    project.ok(&["export", "latest", "--output", &bundle]);
    let other = Project::new();
    other.ok(&["import", &bundle]);
    let good = checked(&other, &["verify", &path]);
    assert_eq!(good["good"], true, "{good}");
    assert!(good["verified"].to_string().contains("the log of the run is the same"), "{good}");
    assert!(good["unchecked"].to_string().contains("its commits"), "{good}");

    // Evidence that was changed on the disk afterwards.
    let receipt: Value =
        serde_json::from_str(&fs::read_to_string(&file).expect("a receipt")).expect("JSON");
    let entries = receipt["entries"].as_array().expect("entries");
    let evidence = entries.iter().find(|chained| chained["entry"]["kind"] == "evidence");
    let blob = evidence.expect("evidence")["entry"]["blobs"][0]["blob"].as_str().expect("an id");
    let digits = blob.rsplit(':').next().expect("digits");
    let state = project.path().join(".orchestrator/state");
    let kept = find(&state, digits).expect("the blob");
    let bytes = fs::read(&kept).expect("bytes");
    fs::remove_file(&kept).expect("it can be removed");
    let view = project.run(&["verify", &path, "--json"]).expect(1).last();
    schemas::check(&view);
    assert!(view["problems"].to_string().contains("is not there"), "{view}");
    fs::write(&kept, bytes).expect("it can be put back");
    project.ok(&["verify", &path]);
}

/// The file below `directory` whose path ends with these digits, wherever they are parted.
fn find(directory: &Path, digits: &str) -> Option<std::path::PathBuf> {
    for entry in fs::read_dir(directory).ok()?.filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, digits) {
                return Some(found);
            }
        } else if path.display().to_string().replace('/', "").ends_with(digits) {
            return Some(path);
        }
    }
    None
}

#[test]
fn a_run_that_waits_has_no_receipt_and_one_without_git_has() {
    let flow = "name: flow\ntasks:\n  ask: { approval: { message: \"Go on?\" } }\n";
    let project = Project::with_flow(flow);
    project.run(&["execute", "--workflow", "flow.yaml", "--json"]).expect(6);
    assert_eq!(refused(&project, &["export", "latest", "--format", "receipt"]), "ORC-0665");
    project.write("flow.yaml", "name: flow\ntasks:\n  a: { command: [echo, hello] }\n");
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    let file = project.home().join("receipt.json").display().to_string();
    project.ok(&["export", "latest", "--format", "receipt", "--output", &file]);
    assert_eq!(checked(&project, &["verify", &file])["good"], true);
    for arguments in [
        &["diff", "a"][..],
        &["diff", "latest"],
        &["checkpoints", "a"],
        &["restore", "a", "--to", "new"],
    ] {
        assert_eq!(refused(&project, arguments), "ORC-0642", "{arguments:?}");
    }
    assert_eq!(checked(&project, &["worktrees", "list"])["items"], Value::Array(Vec::new()));
}

#[test]
fn while_an_attempt_works_its_files_can_be_seen_and_its_place_is_left_alone() {
    let flow = "name: flow\ntasks:\n  build: { agent: builder, prompt: \"Build.\", workspace: worktree }\n";
    let project = project(flow, "");
    let gate = project.path().join("gate");
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    let script = format!("echo begun > begun.txt\n{wait}\necho done\n");
    fs::write(project.home().join("builder.sh"), script).expect("a program");
    let mut running = project.start(&["execute", "--workflow", "flow", "--json"]);
    running.until("a place", |event| event["type"] == "workspace-opened");
    let begun = || {
        let diff = project.run(&["diff", "build", "--now"]);
        diff.stdout.contains("+begun").then_some(())
    };
    eventually("the first file", begun);
    assert_eq!(refused(&project, &["diff", "build"]), "ORC-0642", "nothing is recorded yet");
    let listed = checked(&project, &["worktrees", "list"]);
    assert_eq!(listed["items"][0]["state"], "in use");
    let done = checked(&project, &["worktrees", "clean", "--yes"]);
    assert_eq!(done["removed"], Value::Array(Vec::new()));
    assert_eq!(refused(&project, &["export", "latest", "--format", "receipt"]), "ORC-0665");
    fs::write(&gate, "").expect("a gate");
    running.end().expect(0);
    assert_eq!(paths(&checked(&project, &["diff", "build"])), ["begun.txt"]);
    project.ok(&["export", "latest", "--format", "receipt"]);
}

/// A key of a provider that agents, set-up and checks print is in nothing that is kept.
#[test]
fn a_secret_reaches_no_evidence_diff_or_log() {
    const KEY: &str = "sk-quite-secret-0815";
    let flow = format!(
        "name: flow\ntasks:\n  build:\n    agent: builder\n    prompt: \"Build.\"\n    retry: {{ max-attempts: 1 }}\n    \
         workspace: {{ kind: worktree, setup: [\"echo setup {KEY}\"] }}\n    checks: [\"echo check {KEY}; exit 1\"]\n"
    );
    let script = format!("echo {KEY} > key.txt\necho done\n");
    // What the workflow itself says is the user's own, so that it is read from elsewhere.
    let project = project(&flow.replace(KEY, "$(cat words.txt)"), &script);
    project.write("words.txt", KEY);
    git(&project, &["add", "-A"]);
    git(&project, &["commit", "-q", "-m", "words"]);
    let project = project.with("OPENAI_API_KEY", KEY);
    let ran = project.run(&["execute", "--workflow", "flow", "--json"]).expect(1);
    assert!(!ran.stdout.contains(KEY) && !ran.stderr.contains(KEY), "{ran:?}");
    let details = project.json(&["task-details", "build"]);
    let excerpt = details["work"][0]["evidence"]["checks"][0]["excerpt"].as_str().expect("text");
    assert!(excerpt.contains("check [redacted]"), "{excerpt}");
    let diff = project.ok(&["diff", "build"]).stdout;
    assert!(diff.contains("+[redacted]") && !diff.contains(KEY), "{diff}");
    // Whatever form it is kept in, it can be exported, which is refused of a run that holds a secret.
    project.ok(&["export", "latest"]);
    project.ok(&["export", "latest", "--format", "receipt"]);
    let logs = project.ok(&["logs", "latest"]).stdout;
    assert!(!logs.contains(KEY), "{logs}");
}
