//! What a run has made, brought onto branches of the user's and taken back; git for people.

use crate::{
    harness::{Project, eventually},
    repository::{commit_first, git},
    schemas,
};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::Value;
use std::fs;

const CHECK: &str = ". ./lib.sh\nfound=$(answer)\n[ \"$found\" = 42 ] || { echo \"expected 42, found $found\"; exit 1; }\n";

/// Two tasks, of which the second builds on the first.
const TWO: &str = "name: flow\ndefaults: { workspace: worktree, checks: [\"sh tests/check.sh\"] }\ntasks:\n  \
    a: { agent: alpha, prompt: \"Build a.\" }\n  \
    b: { agent: beta, prompt: \"Build b.\", needs: [a] }\n";

/// A repository with one commit, and two agents that write `alpha.txt` and `beta.txt`.
fn project(flow: &str) -> Project {
    let project = Project::new();
    project.write("lib.sh", "answer() { echo 42; }\n");
    project.write("tests/check.sh", CHECK);
    let [alpha, beta] = ["alpha", "beta"].map(|name| {
        format!(
            "echo {name} > {name}.txt\ncat alpha.txt beta.txt > all.txt 2>/dev/null\necho done\n"
        )
    });
    commit_first(&project, &[("alpha", &alpha), ("beta", &beta)], flow);
    project
}

/// The id of a run of the workflow that has succeeded.
fn run(project: &Project) -> String {
    let result = project.run(&["execute", "--workflow", "flow", "--json"]).expect(0).last();
    result["run"].as_str().expect("a run").to_owned()
}

/// A document of a command that ends with `code`.
fn document(project: &Project, arguments: &[&str], code: i32) -> Value {
    let ran = project.run(&[arguments, &["--json"]].concat()).expect(code);
    let document = serde_json::from_str(&ran.stdout).expect("a document");
    schemas::check(&document);
    document
}

/// The code of the problem with which a command ends as a wrong call.
fn refused(project: &Project, arguments: &[&str]) -> (String, String) {
    let ran = project.run(&[arguments, &["--json"]].concat()).expect(2);
    let problem = ran.problem();
    let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    (text("code"), text("title"))
}

fn states(document: &Value) -> Vec<&str> {
    let items = document["items"].as_array().expect("items");
    items.iter().map(|item| item["state"].as_str().expect("a state")).collect()
}

fn tree(project: &Project, branch: &str) -> String {
    git(project, &["rev-parse", &format!("{branch}^{{tree}}")])
}

#[test]
fn a_run_lands_on_a_branch_and_rollback_restores_the_tree() {
    let project = project(TWO);
    git(&project, &["branch", "release"]);
    let run = run(&project);
    // Somebody else is on that branch meanwhile.
    git(&project, &["checkout", "-q", "release"]);
    project.write("other.txt", "other\n");
    git(&project, &["add", "other.txt"]);
    git(&project, &["commit", "-q", "-m", "other"]);
    git(&project, &["checkout", "-q", "main"]);
    let (before, files) = (git(&project, &["rev-parse", "release"]), tree(&project, "release"));

    let landed = document(&project, &["land", "latest", "--into", "release"], 0);
    assert_eq!((&landed["status"], &landed["run"]), (&"landed".into(), &run.as_str().into()));
    assert_eq!(landed["before"], before.as_str());
    assert_eq!(states(&landed), ["landed", "landed"]);
    assert_eq!(landed["after"], git(&project, &["rev-parse", "release"]));
    let show = |file: &str| git(&project, &["show", &format!("release:{file}")]);
    assert_eq!((show("all.txt"), show("other.txt")), ("alpha\nbeta".into(), "other".into()));
    let log = document(&project, &["git", "log", "release", "--limit", "2"], 0);
    let log = log["items"].as_array().expect("commits").clone();
    let from: Vec<_> = log.iter().map(|entry| (&entry["run"], &entry["task"])).collect();
    let run_value = Value::from(run.as_str());
    assert_eq!(from, [(&run_value, &"b".into()), (&run_value, &"a".into())]);
    assert_eq!(git(&project, &["status", "--porcelain"]), "", "the checkout is as it was");
    assert!(!project.path().join("alpha.txt").exists());

    // Asked again, nothing happens twice.
    let again = document(&project, &["land", "latest", "--into", "release"], 0);
    assert_eq!((&again["items"], &again["after"]), (&landed["items"], &landed["after"]));
    let queue = document(&project, &["queue", "--run", &run], 0);
    assert_eq!(queue["items"], Value::Array(Vec::new()));
    let settled = queue["settled"].as_array().expect("settled");
    let on_release = settled.iter().filter(|item| item["branch"] == "release");
    assert_eq!(on_release.filter(|item| item["state"] == "landed").count(), 2);
    assert!(project.ok(&["queue"]).stdout.contains("Settled lately"));

    let undone = document(&project, &["rollback", &run], 0);
    assert_eq!((&undone["branch"], &undone["restored"]), (&"release".into(), &true.into()));
    assert_eq!(undone["tree"], files.as_str());
    assert_eq!(tree(&project, "release"), files);
    let tasks: Vec<_> =
        undone["reverts"].as_array().expect("reverts").iter().map(|r| &r["task"]).collect();
    assert_eq!(tasks, ["b", "a"]);
    assert!(project.ok(&["queue"]).stdout.contains("rolled back"));

    assert_eq!(refused(&project, &["rollback", &run, "--target", "release"]).0, "ORC-0667");
    assert_eq!(refused(&project, &["land", &run, "--into", "release"]).0, "ORC-0668");
    // The result branch is another: it is undone when nothing else is left.
    let told = project.ok(&["rollback", &run, "--yes"]).stdout;
    assert!(told.contains(&format!("orchestrator/{run}/result: 2 commits undone")), "{told}");
    assert!(told.contains("just what they were"), "{told}");
    assert_eq!(refused(&project, &["rollback", &run]).0, "ORC-0667");
    assert_eq!(refused(&project, &["land", &run, "--into", "release"]).0, "ORC-0664");
}

#[test]
fn a_checkout_goes_along_only_when_that_is_said() {
    let project = project(TWO);
    run(&project);
    let files = tree(&project, "main");
    let (code, message) = refused(&project, &["land", "latest"]);
    assert_eq!(code, "ORC-0661");
    assert!(message.contains("`main`") && message.contains("checked out"), "{message}");
    assert_eq!(tree(&project, "main"), files);
    // With changes of the user's it is not touched either.
    project.write("lib.sh", "answer() { echo 43; }\n");
    let (code, message) = refused(&project, &["land", "latest", "--update-checkout"]);
    assert!(code == "ORC-0661" && message.contains("not committed"), "{code} {message}");
    git(&project, &["checkout", "-q", "lib.sh"]);

    let told = project.ok(&["land", "latest", "--update-checkout"]).stdout;
    assert!(told.contains("on main: landed") && told.contains("verified"), "{told}");
    assert_eq!(project.read("all.txt"), "alpha\nbeta\n");
    assert_eq!(git(&project, &["status", "--porcelain"]), "");
    assert_eq!(refused(&project, &["rollback", "latest"]).0, "ORC-0661");
    let undone = document(&project, &["rollback", "latest", "--update-checkout", "--yes"], 0);
    assert_eq!((&undone["branch"], &undone["tree"]), (&"main".into(), &files.as_str().into()));
    assert!(!project.path().join("all.txt").exists());
    assert_eq!(git(&project, &["status", "--porcelain"]), "");
}

#[test]
fn a_conflict_names_the_files_and_lands_nothing() {
    let project = project(TWO);
    run(&project);
    project.write("beta.txt", "mine\n");
    git(&project, &["add", "beta.txt"]);
    git(&project, &["commit", "-q", "-m", "mine"]);
    let tip = git(&project, &["rev-parse", "main"]);
    let land = ["land", "latest", "--update-checkout"];
    let conflict = document(&project, &land, 1);
    assert_eq!(
        (&conflict["status"], &conflict["after"]),
        (&"conflict".into(), &tip.as_str().into())
    );
    assert_eq!(states(&conflict), ["not-tried", "conflict"]);
    assert_eq!(conflict["refused"]["task"], "b");
    assert_eq!(conflict["refused"]["files"], serde_json::json!(["beta.txt"]));
    let told = project.run(&land).expect(1).stdout;
    assert!(told.contains("b: conflicts in beta.txt"), "{told}");
    assert_eq!(git(&project, &["rev-parse", "main"]), tip);
    assert_eq!(project.read("beta.txt"), "mine\n");
    // Once the user has made room, the same goes on.
    git(&project, &["rm", "-q", "beta.txt"]);
    git(&project, &["commit", "-q", "-m", "make room"]);
    assert_eq!(states(&document(&project, &land, 0)), ["landed", "landed"]);
    assert_eq!(project.read("beta.txt"), "beta\n");

    // What others have built upon is not undone over their heads.
    project.write("all.txt", "mine\n");
    git(&project, &["commit", "-q", "-a", "-m", "built upon"]);
    let tip = git(&project, &["rev-parse", "main"]);
    let (code, message) = refused(&project, &["rollback", "latest", "--update-checkout", "--yes"]);
    assert!(code == "ORC-0663" && message.contains("built upon"), "{code} {message}");
    assert_eq!(git(&project, &["rev-parse", "main"]), tip);
}

#[test]
fn what_is_red_together_is_shown_with_its_evidence() {
    let project = project(TWO);
    run(&project);
    project.write("lib.sh", "answer() { echo 41; }\n");
    git(&project, &["commit", "-q", "-a", "-m", "change the answer"]);
    let tip = git(&project, &["rev-parse", "main"]);
    let land = ["land", "latest", "--update-checkout"];
    let red = document(&project, &land, 1);
    assert_eq!((&red["status"], &red["after"]), (&"red".into(), &tip.as_str().into()));
    assert_eq!(states(&red), ["red", "not-tried"]);
    let excerpt = red["refused"]["evidence"]["checks"][0]["excerpt"].as_str().expect("text");
    assert!(excerpt.contains("expected 42, found 41"), "{excerpt}");
    let told = project.run(&land).expect(1).stdout;
    assert!(told.contains("expected 42, found 41"), "{told}");
    assert_eq!(git(&project, &["rev-parse", "main"]), tip);
}

#[test]
fn the_queue_shows_who_waits_and_what_is_not_waited_for_stays_in_it() {
    let project = project(TWO);
    // In the project, where a check can look.
    let gate = project.path().join("gate");
    fs::write(&gate, "").expect("a gate");
    let flow = format!(
        "name: flow\ntasks:\n  a:\n    agent: alpha\n    prompt: \"Build.\"\n    workspace: worktree\n    \
         checks: [\"while [ ! -e {} ]; do sleep 0.05; done\"]\n",
        gate.display()
    );
    project.write(".orchestrator/workflows/flow.yaml", &flow);
    let run = run(&project);
    git(&project, &["branch", "release"]);
    fs::remove_file(&gate).expect("a gate");
    let land = ["land", "latest", "--into", "release"];
    let mut running = project.start(&land);
    let open = || {
        let queue = document(&project, &["queue"], 0);
        let branch = queue["items"].as_array().expect("branches").first()?.clone();
        Some(branch)
    };
    let branch = eventually("work in the queue", open);
    assert_eq!(branch["branch"], "release");
    let item = &branch["open"][0];
    assert_eq!((&item["run"], &item["task"]), (&run.as_str().into(), &"a".into()));
    assert_eq!(item["files"], serde_json::json!(["all.txt", "alpha.txt"]));
    assert!(project.ok(&["queue"]).stdout.contains("SINCE"));
    let waiting = document(&project, &[&land[..], &["--wait", "10ms"]].concat(), 6);
    assert_eq!((&waiting["status"], states(&waiting)), (&"waiting".into(), vec!["waiting"]));
    assert!(open().is_some(), "it is in the queue still");
    fs::write(&gate, "").expect("a gate");
    running.end().expect(0);
    assert!(open().is_none());
    assert_eq!(git(&project, &["show", "release:alpha.txt"]), "alpha");
}

#[test]
fn unproved_work_lands_only_when_that_is_said() {
    let flow = "name: flow\ndefaults: { workspace: worktree }\ntasks:\n  a: { agent: alpha, prompt: \"Build.\" }\n";
    let project = project(flow);
    run(&project);
    let land = ["land", "latest", "--into", "review/a", "--mode", "branch"];
    let (code, message) = refused(&project, &land);
    assert!(code == "ORC-0666" && message.contains("work of a"), "{code} {message}");
    let landed = document(&project, &[&land[..], &["--unverified"]].concat(), 0);
    assert_eq!((&landed["before"], &landed["items"][0]["verified"]), (&Value::Null, &Value::Null));
    assert_eq!(git(&project, &["show", "review/a:alpha.txt"]), "alpha");
    // A branch that is to be there and is not.
    let (code, _) = refused(&project, &["land", "latest", "--into", "nowhere", "--unverified"]);
    assert_eq!(code, "ORC-0660");
    assert_eq!(refused(&project, &["land", "latest", "--mode", "branch"]).0, "ORC-0801");
}

#[test]
fn what_cannot_be_landed_is_told_with_a_code() {
    let flow = "name: flow\ntasks:\n  a: { command: [\"true\"] }\n";
    let plain = Project::new();
    plain.write(".orchestrator/workflows/flow.yaml", flow);
    assert_eq!(refused(&plain, &["land", "latest"]).0, "ORC-0603");
    document(&plain, &["queue"], 0);
    run(&plain);
    for command in ["land", "rollback"] {
        assert_eq!(refused(&plain, &[command, "r_unknown"]).0, "ORC-0601");
    }
    assert_eq!(refused(&plain, &["land", "latest"]).0, "ORC-0610");
    assert_eq!(refused(&plain, &["rollback", "latest"]).0, "ORC-0667");
    assert_eq!(refused(&plain, &["git", "status"]).0, "ORC-0610");
    let project = project(flow);
    run(&project);
    assert_eq!(refused(&project, &["land", "latest"]).0, "ORC-0664");
    let waits = "name: flow\ntasks:\n  a: { approval: \"Go on?\" }\n";
    project.write(".orchestrator/workflows/flow.yaml", waits);
    project.run(&["execute", "--workflow", "flow", "--json"]).expect(6);
    assert_eq!(refused(&project, &["land", "latest"]).0, "ORC-0665");
    assert_eq!(refused(&project, &["rollback", "latest"]).0, "ORC-0665");
}

#[test]
fn git_tools_look_commit_push_and_pull() {
    let project = project(TWO);
    let status = document(&project, &["git", "status"], 0);
    assert_eq!((&status["branch"], &status["clean"]), (&"main".into(), &true.into()));
    assert_eq!(refused(&project, &["git", "commit", "--all"]).0, "ORC-0670");
    assert_eq!(refused(&project, &["git", "commit", "-m", " "]).0, "ORC-0672");
    assert_eq!(refused(&project, &["git", "push"]).0, "ORC-0675");

    project.write("lib.sh", "answer() { echo 42; } # same\n");
    project.write("docs/use.md", "Use it.\n");
    let status = document(&project, &["git", "status"], 0);
    assert_eq!(status["changed"][0]["path"], "lib.sh");
    assert_eq!(status["untracked"], serde_json::json!(["docs/"]));
    let diff = document(&project, &["git", "diff", "lib.sh"], 0);
    assert!(diff["text"].as_str().expect("text").contains("+answer() { echo 42; } # same"));
    assert!(project.ok(&["git", "diff"]).stdout.contains("# same"));
    git(&project, &["add", "docs"]);
    let made = document(&project, &["git", "commit"], 0);
    assert!(made["message"].as_str().expect("text").starts_with("docs"), "{made}");
    let made = document(&project, &["git", "commit", "--all", "-m", "Say the same"], 0);
    assert_eq!((&made["message"], &made["branch"]), (&"Say the same".into(), &"main".into()));
    let log = document(&project, &["git", "log", "--limit", "1"], 0);
    assert_eq!(log["items"][0]["commit"], made["commit"]);
    assert_eq!(log["items"][0]["author"], "A Person");

    let branch = document(&project, &["git", "branch", "topic", "--at", "HEAD~1"], 0);
    assert_eq!(branch["created"], "topic");
    assert_eq!(refused(&project, &["git", "branch", "topic"]).0, "ORC-0673");
    let branches = document(&project, &["git", "branch"], 0);
    let names: Vec<_> =
        branches["items"].as_array().expect("branches").iter().map(|b| &b["name"]).collect();
    assert_eq!(names, ["main", "topic"]);

    let remote = project.home().join("remote.git").display().to_string();
    git(&project, &["init", "-q", "--bare", "-b", "main", &remote]);
    git(&project, &["remote", "add", "origin", &remote]);
    let pushed = document(&project, &["git", "push"], 0);
    assert_eq!((&pushed["commit"], &pushed["was_there"]), (&made["commit"], &false.into()));
    let pulled = document(&project, &["git", "pull"], 0);
    assert_eq!(pulled["before"], pulled["after"]);
    git(&project, &["reset", "-q", "--hard", "HEAD~1"]);
    let pulled = document(&project, &["git", "pull"], 0);
    assert_eq!(pulled["after"], made["commit"]);
    // Another history there is not overwritten.
    git(&project, &["commit", "-q", "--amend", "-m", "Say it otherwise"]);
    assert_eq!(refused(&project, &["git", "push"]).0, "ORC-0676");
    assert_eq!(refused(&project, &["git", "pull"]).0, "ORC-0677");
    git(&project, &["checkout", "-q", "--detach"]);
    assert_eq!(refused(&project, &["git", "push"]).0, "ORC-0674");
}

/// The pieces of a run are checked together, and what is done is told while it is.
#[test]
fn pieces_are_checked_as_one_batch_and_the_steps_are_told() {
    let project = project(TWO);
    run(&project);
    git(&project, &["branch", "release"]);
    let land = ["land", "latest", "--into", "release", "--json", "--events"];
    let told = project.run(&land).expect(0).stdout;
    let lines: Vec<Value> =
        told.lines().map(|line| serde_json::from_str(line).expect("a document")).collect();
    lines.iter().for_each(schemas::check);
    let steps: Vec<&Value> =
        lines.iter().filter(|line| line["schema"] == "orchestrator.land-step/v1").collect();
    let kinds: Vec<&str> = steps.iter().map(|step| step["step"].as_str().expect("it")).collect();
    assert_eq!(
        kinds,
        ["taken", "joined", "checking", "advancing", "advanced", "settled", "settled"]
    );
    assert_eq!(steps[1]["work"], serde_json::json!(["a", "b"]));
    assert_eq!(steps[2]["pieces"], 2, "they are checked once, together");
    assert_eq!(steps[4]["commit"], git(&project, &["rev-parse", "release"]));
    assert_eq!((&steps[6]["work"][0], &steps[6]["state"]), (&"b".into(), &"landed".into()));
    assert_eq!(lines.last().expect("a line")["schema"], "orchestrator.land/v1");
    // Who asks for it sees it in words.
    git(&project, &["branch", "other"]);
    let ran = project.ok(&["land", "latest", "--into", "other", "-v"]);
    assert!(ran.stderr.contains("other: put together: a, b"), "{}", ran.stderr);
    assert!(ran.stderr.contains("other: checking 2 pieces of work"), "{}", ran.stderr);
    let quiet = project.ok(&["land", "latest", "--into", "other"]);
    assert!(!quiet.stderr.contains("put together"), "{}", quiet.stderr);
}

/// What checks print on the branch is kept, and found by the queue.
#[test]
fn what_checks_print_on_a_branch_can_be_read() {
    let flow =
        TWO.replace("sh tests/check.sh", "echo looked at $(ls *.txt | wc -l); sh tests/check.sh");
    let project = project(&flow);
    run(&project);
    git(&project, &["branch", "release"]);
    document(&project, &["land", "latest", "--into", "release"], 0);
    let queue = document(&project, &["queue"], 0);
    let settled = queue["settled"].as_array().expect("settled");
    let last = settled.iter().find(|item| item["branch"] == "release").expect("it landed");
    assert!(last["evidence"].as_str().is_some_and(|blob| blob.starts_with("sha256:")), "{last}");
    let id = last["id"].as_str().expect("an id");
    let shown = document(&project, &["queue", "--show", id], 0);
    assert_eq!((&shown["state"], &shown["landed"]), (&"landed".into(), &last["landed"]));
    assert_eq!(shown["evidence"]["verdict"], "verified");
    let printed = shown["outputs"][0]["text"].as_str().expect("text");
    assert!(printed.contains("looked at 3"), "{shown}");
    let told = project.ok(&["queue", "--show", id]).stdout;
    assert!(told.contains("| looked at 3"), "{told}");
    assert_eq!(refused(&project, &["queue", "--show", "l_0"]).0, "ORC-0649");

    // What did not pass there as well; and what landed on the result branch is in the receipt.
    project.write("lib.sh", "answer() { echo 41; }\n");
    git(&project, &["commit", "-q", "-a", "-m", "change the answer"]);
    document(&project, &["land", "latest", "--update-checkout"], 1);
    let queue = document(&project, &["queue"], 0);
    let settled = queue["settled"].as_array().expect("settled");
    let red = settled.iter().find(|item| item["state"] == "red").expect("it is red");
    let shown = document(&project, &["queue", "--show", red["id"].as_str().expect("an id")], 0);
    assert!(shown["outputs"][0]["text"].as_str().expect("text").contains("expected 42, found 41"));
    let file = project.home().join("receipt.json").display().to_string();
    project.ok(&["export", "latest", "--format", "receipt", "--output", &file]);
    let receipt: Value =
        serde_json::from_str(&fs::read_to_string(&file).expect("a receipt")).expect("JSON");
    schemas::check(&receipt);
    let entries: Vec<&Value> = receipt["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|chained| &chained["entry"])
        .collect();
    let landing = entries.iter().find(|entry| entry["kind"] == "landing").expect("a landing");
    let what: Vec<_> =
        landing["blobs"].as_array().expect("blobs").iter().map(|blob| &blob["what"]).collect();
    assert_eq!(what, ["evidence", "output"]);
    // Who worked is told by the files of the program.
    let agent = entries.iter().find(|entry| entry["kind"] == "agent").expect("an agent");
    let version = agent["version"].as_str().expect("a version");
    assert!(version.starts_with("sh sha256:") && version.contains(", alpha.sh sha256:"), "{agent}");
    document(&project, &["verify", &file], 0);
}

/// Whoever switches the checkout while a run goes on does not change where it lands.
#[test]
fn work_lands_on_the_branch_on_which_the_run_began() {
    let flow = "name: flow\ntasks:\n  ask: { approval: \"Go on?\" }\n  a:\n    agent: alpha\n    needs: [ask]\n    \
                prompt: \"Build.\"\n    workspace: worktree\n    checks: [\"true\"]\n    land: direct\n";
    let project = project(flow);
    project.run(&["execute", "--workflow", "flow", "--json"]).expect(6);
    git(&project, &["checkout", "-q", "-b", "other"]);
    let (main, other) =
        (git(&project, &["rev-parse", "main"]), git(&project, &["rev-parse", "other"]));
    project.ok(&["approve", "ask"]);
    project.ok(&["resume", "latest"]);
    assert_ne!(git(&project, &["rev-parse", "main"]), main);
    assert_eq!(git(&project, &["rev-parse", "other"]), other);
    assert_eq!(git(&project, &["show", "main:alpha.txt"]), "alpha");
    // Without a branch there is nowhere to land, which is told before anything is done.
    git(&project, &["checkout", "-q", "--detach"]);
    assert_eq!(refused(&project, &["execute", "--workflow", "flow"]).0, "ORC-0660");
}

/// That a run begins with what is not committed holds also when it is cut off before its first worktree.
#[test]
fn what_is_not_committed_is_the_base_also_after_a_stop() {
    let flow = "name: flow\ntasks:\n  ask: { approval: \"Go on?\" }\n  a:\n    agent: alpha\n    needs: [ask]\n    \
                prompt: \"Build.\"\n    workspace: worktree\n";
    let project = project(flow);
    project.write("draft.txt", "a draft\n");
    let begin = ["execute", "--workflow", "flow", "--include-uncommitted", "--json"];
    let run = project.run(&begin).expect(6).last()["run"].as_str().expect("a run").to_owned();
    project.ok(&["approve", "ask"]);
    project.ok(&["resume", &run]);
    let result = format!("orchestrator/{run}/result");
    assert_eq!(git(&project, &["show", &format!("{result}:draft.txt")]), "a draft");
    assert_eq!(git(&project, &["show", &format!("{result}:alpha.txt")]), "alpha");
    assert_eq!(git(&project, &["status", "--porcelain"]), "?? draft.txt");
}

#[test]
fn an_agent_writes_the_message_of_a_commit_or_it_is_said_that_it_did_not() {
    let project = Project::new();
    project.write("lib.sh", "answer() { echo 42; }\n");
    let programs = [
        // What it is shown is what changes, and nothing that it does here is committed.
        (
            "good",
            "grep -q '+answer() { echo 43; }' || exit 1\necho sly > sly.txt\n\
                  printf 'fix(lib): answer 43\\n\\nIt was wrong.\\nSigned-off-by: x\\n'\n",
        ),
        ("chatty", "cat > /dev/null\necho 'Sure! Here is the message.'\n"),
        ("broken", "echo no >&2\nexit 3\n"),
        ("sly", "cat > /dev/null\necho more > more.txt\ngit add more.txt\necho 'fix: all of it'\n"),
    ];
    commit_first(&project, &programs, TWO);
    project.write("lib.sh", "answer() { echo 43; }\n");
    assert_eq!(
        refused(&project, &["git", "commit", "--all", "--by-agent", "nobody"]).0,
        "ORC-0511"
    );
    assert_eq!(
        git(&project, &["diff", "--cached", "--name-only"]),
        "",
        "nothing was staged for it"
    );

    let made = document(&project, &["git", "commit", "--all", "--by-agent", "good"], 0);
    assert_eq!(made["message"], "fix(lib): answer 43\n\nIt was wrong.\n".trim_end());
    assert_eq!(
        (&made["message_from"], &made["written"]["refused"]),
        (&"agent".into(), &Value::Null)
    );
    let run = made["written"]["run"].as_str().expect("a run");
    let details = project.json(&["run-details", run]);
    assert_eq!(
        (&details["workflow"], &details["status"]),
        (&"commit-message".into(), &"succeeded".into())
    );
    assert_eq!(git(&project, &["show", "--name-only", "--format="]), "lib.sh");

    for (agent, why) in [("chatty", "has no `TYPE: `"), ("broken", "failed with exit code 3")] {
        project.write("lib.sh", &format!("answer() {{ echo {agent}; }}\n"));
        let ran = project.run(&["git", "commit", "--all", "--by-agent", agent, "-q"]).expect(0);
        assert!(ran.stderr.contains(&format!("warning: `{agent}` wrote no message")), "{ran:?}");
        assert!(ran.stderr.contains(why), "{ran:?}");
        assert!(ran.stdout.contains("fix: change lib.sh"), "{ran:?}");
    }
    // What is staged meanwhile is not committed under a message that is about something else.
    project.write("lib.sh", "answer() { echo sly; }\n");
    let tip = git(&project, &["rev-parse", "HEAD"]);
    assert_eq!(refused(&project, &["git", "commit", "--all", "--by-agent", "sly"]).0, "ORC-0648");
    assert_eq!(git(&project, &["rev-parse", "HEAD"]), tip);
    let both = ["git", "commit", "--by-agent", "sly", "-m", "x"];
    assert!(project.run(&both).expect(2).stderr.contains("cannot be used with"));
}

/// A message is paid for as every other call: it is in the report of costs, and a budget stops it.
#[test]
fn a_message_is_metered_and_bounded_by_the_budget() {
    let server = ModelServer::start().expect("a server");
    let project = crate::models::project(&server, "anthropic", "claude-sonnet-4-5");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["add", "src"]);
    server.next(Reply::text("feat: begin with a main function"));
    let made = document(&project, &["git", "commit", "--by-agent"], 0);
    assert_eq!(made["message"], "feat: begin with a main function");
    let cost = made["written"]["cost_usd"].as_str().expect("money").to_owned();
    assert_ne!(cost, "0");
    let report = project.json(&["cost-report"]);
    assert!(report.to_string().contains(&format!("\"cost_usd\":\"{cost}\"")), "{report}");

    // To count tokens costs nothing.
    let calls = || server.requests().iter().filter(|request| !request.wants_count()).count();
    assert_eq!(calls(), 1);
    project.write("src/more.rs", "fn more() {}\n");
    project.ok(&["config", "set", "budget.usd-per-run", "0.000001"]);
    git(&project, &["add", "src"]);
    let made = document(&project, &["git", "commit", "--by-agent"], 0);
    assert_eq!(
        (&made["message_from"], &made["message"]),
        (&"files".into(), &"feat: add more.rs".into())
    );
    assert!(
        made["written"]["refused"].as_str().is_some_and(|why| why.contains("budget")),
        "{made}"
    );
    assert_eq!(calls(), 1, "nobody was called");
}
