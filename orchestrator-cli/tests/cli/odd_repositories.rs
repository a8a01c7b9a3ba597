//! Repositories in an odd state, and odd names: each command works or says with a code what is wrong, and
//! nothing of the user's changes.

use crate::{
    harness::{Project, Ran, binary},
    repository::{BUILD, Belongings, belongings, commit_first, git, git_in, unchanged},
};
use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::chown},
    path::Path,
    process::Command,
};

const BUILDER: &str = "echo made > made.txt\necho two >> one.txt\necho done\n";
/// The branches that the commands below are asked to change.
const ASKED: [&str; 2] = ["release", "again"];

/// A repository with a branch `release` and two commits, in which the flow has run.
fn ran_with(script: &str) -> (Project, String) {
    let project = Project::new();
    project.write("one.txt", "one\n");
    commit_first(&project, &[("builder", script)], BUILD);
    git(&project, &["commit", "-q", "--allow-empty", "-m", "second"]);
    git(&project, &["branch", "release"]);
    let result = project.run(&["execute", "--workflow", "flow", "--json"]).expect(0).last();
    let run = result["run"].as_str().expect("a run").to_owned();
    (project, run)
}

fn ran() -> (Project, String) {
    ran_with(BUILDER)
}

/// What a command comes to.
#[derive(Clone, Copy)]
enum Comes {
    /// It works.
    Well,
    /// It fails with this exit code and error code.
    To(i32, &'static str),
}
use Comes::{To, Well};

/// Has each of the commands run by `run`; what they come to is in the order of the fields.
struct Expected {
    execute: Comes,
    uncommitted: Comes,
    look: Comes,
    files: Comes,
    branch: Comes,
    land: Comes,
    rollback: Comes,
    checkout: Comes,
}

/// What an ordinary repository comes to, without `main` being free to land on.
const ORDINARY: Expected = Expected {
    execute: Well,
    uncommitted: Well,
    look: Well,
    files: Well,
    branch: Well,
    land: Well,
    rollback: Well,
    checkout: Well,
};

impl Expected {
    /// Runs everything in the project, whose run is `id`, and sees that nothing changes that was not
    /// to be.
    fn check(&self, project: &Project, id: &str, run: impl Fn(&[&str]) -> Ran) {
        let before = belongings(project.path(), &ASKED);
        let out = project.home().join("out").display().to_string();
        let _ = fs::remove_dir_all(&out);
        let task = format!("{id}.build");
        let execute = ["execute", "--workflow", "flow"];
        for (what, arguments, comes) in [
            ("execute", execute.to_vec(), self.execute),
            (
                "execute with what is not committed",
                [&execute[..], &["--include-uncommitted"]].concat(),
                self.uncommitted,
            ),
            ("diff of the run", vec!["diff", id], self.look),
            ("diff of the task", vec!["diff", &task, "--stat"], self.look),
            ("checkpoints", vec!["checkpoints", &task], self.look),
            ("restore files", vec!["restore", &task, "--to", &out], self.files),
            ("restore a branch", vec!["restore", &task, "--branch", "again"], self.branch),
            ("land", vec!["land", id, "--into", "release"], self.land),
            ("rollback", vec!["rollback", id, "--yes"], self.rollback),
            // Last, since it changes the checkout where it works.
            ("land on the checkout", vec!["land", id, "--update-checkout"], self.checkout),
        ] {
            let arguments = [&arguments[..], &["--json"]].concat();
            let ran = run(&arguments);
            let code = match comes {
                Well => {
                    ran.expect(0);
                    None
                }
                To(exit, code) => Some((ran.expect(exit), code)),
            };
            if let Some((ran, code)) = code {
                // A run that has failed says why in its result; what is refused is a problem.
                let said = format!("{}{}", ran.stdout, ran.stderr);
                assert!(said.contains(code), "{what}: no {code} in {said}");
            }
            if what != "land on the checkout" || matches!(comes, To(..)) {
                unchanged(&before, &belongings(project.path(), &ASKED), what);
            }
        }
    }
}

fn fails(project: &Project, arguments: &[&str]) {
    let ended = Command::new("git")
        .args(arguments)
        .current_dir(project.path())
        .envs([("GIT_EDITOR", "true")])
        .output()
        .expect("git");
    assert!(!ended.status.success(), "{arguments:?}: {ended:?}");
}

/// Two branches that change the same line: `main`, which is checked out, and `topic`.
fn diverge(project: &Project) {
    git(project, &["checkout", "-q", "-b", "topic"]);
    project.write("one.txt", "theirs\n");
    git(project, &["commit", "-q", "-a", "-m", "theirs"]);
    git(project, &["checkout", "-q", "main"]);
    project.write("two.txt", "two\n");
    project.write("one.txt", "ours\n");
    git(project, &["add", "-A"]);
    git(project, &["commit", "-q", "-m", "ours"]);
}

#[test]
fn an_ordinary_repository_with_work_of_the_users_in_it() {
    let (project, run) = ran();
    project.write("README", "put away\n");
    git(&project, &["add", "README"]);
    git(&project, &["stash", "-q"]);
    git(&project, &["tag", "v1"]);
    git(&project, &["branch", "other"]);
    project.write("staged.txt", "staged\n");
    git(&project, &["add", "staged.txt"]);
    project.write("new.txt", "new\n");
    project.write("one.txt", "one\nmine\n");
    project.write(".git/hooks/post-commit", "#!/bin/sh\ntouch sprung\n");
    let dirty = Expected { checkout: To(2, "ORC-0661"), ..ORDINARY };
    dirty.check(&project, &run, |arguments| project.run(arguments));
    assert!(!project.path().join("sprung").exists());
}

#[test]
fn a_detached_head() {
    let (project, run) = ran();
    git(&project, &["checkout", "-q", "--detach"]);
    let expected = Expected { checkout: To(2, "ORC-0660"), ..ORDINARY };
    expected.check(&project, &run, |arguments| project.run(arguments));
}

#[test]
fn a_branch_without_a_commit() {
    let (project, run) = ran();
    git(&project, &["checkout", "-q", "--orphan", "unborn"]);
    let expected = Expected {
        execute: To(2, "ORC-0612"),
        uncommitted: To(2, "ORC-0612"),
        checkout: To(2, "ORC-0660"),
        ..ORDINARY
    };
    expected.check(&project, &run, |arguments| project.run(arguments));
}

#[test]
fn a_merge_that_is_not_finished() {
    let (project, run) = ran();
    diverge(&project);
    fails(&project, &["merge", "-q", "topic"]);
    let expected =
        Expected { uncommitted: To(2, "ORC-0613"), checkout: To(1, "conflict"), ..ORDINARY };
    expected.check(&project, &run, |arguments| project.run(arguments));
    // Where the work itself would go together with the branch.
    git(&project, &["merge", "--abort"]);
    git(&project, &["reset", "-q", "--hard", "main~1"]);
    project.write("three.txt", "three\n");
    git(&project, &["add", "-A"]);
    git(&project, &["commit", "-q", "-m", "three"]);
    git(&project, &["merge", "-q", "--no-ff", "--no-commit", "topic"]);
    let before = belongings(project.path(), &[]);
    let land = project.run(&["land", &run, "--update-checkout", "--json"]).expect(2);
    assert_eq!(land.problem()["code"], "ORC-0613");
    unchanged(&before, &belongings(project.path(), &[]), "land on the checkout");
}

#[test]
fn a_rebase_that_is_not_finished_comes_back_to_its_branch() {
    let (project, run) = ran();
    diverge(&project);
    git(&project, &["checkout", "-q", "topic"]);
    fails(&project, &["rebase", "-q", "main"]);
    let expected =
        Expected { uncommitted: To(2, "ORC-0613"), checkout: To(2, "ORC-0660"), ..ORDINARY };
    expected.check(&project, &run, |arguments| project.run(arguments));
    git(&project, &["rebase", "--abort"]);

    // On a branch that is itself rebased: git moves it when it has ended, from where it was.
    git(&project, &["branch", "rebased", "main~1"]);
    project.ok(&["land", &run, "--into", "rebased"]);
    git(&project, &["branch", "wanted", "main~1"]);
    for branch in ["rebased", "wanted"] {
        git(&project, &["checkout", "-q", branch]);
        project.write("two.txt", "mine\n");
        git(&project, &["add", "-A"]);
        git(&project, &["commit", "-q", "-m", "mine"]);
        fails(&project, &["rebase", "-q", "main"]);
        let before = belongings(project.path(), &[]);
        let arguments = match branch {
            "rebased" => vec!["rollback", &*run, "--target", branch, "--yes"],
            _ => vec!["land", &*run, "--into", branch],
        };
        let ran = project.run(&[&arguments[..], &["--json"]].concat()).expect(2);
        assert_eq!(ran.problem()["code"], "ORC-0613", "{branch}");
        unchanged(&before, &belongings(project.path(), &[]), branch);
        git(&project, &["rebase", "--abort"]);
        assert_eq!(git(&project, &["symbolic-ref", "HEAD"]), format!("refs/heads/{branch}"));
    }
    // Once it has ended, or was given up, it goes.
    git(&project, &["checkout", "-q", "main"]);
    project.ok(&["land", &run, "--into", "wanted"]);

    // And so it is while one is looked for by bisection.
    git(&project, &["checkout", "-q", "wanted"]);
    git(&project, &["bisect", "start", "wanted", "main~2"]);
    let before = belongings(project.path(), &[]);
    let rollback = ["rollback", &run, "--target", "wanted", "--yes", "--json"];
    let ran = project.run(&rollback).expect(2);
    assert_eq!(ran.problem()["code"], "ORC-0613");
    unchanged(&before, &belongings(project.path(), &[]), "rollback");
    git(&project, &["bisect", "reset"]);
}

#[test]
fn an_index_that_another_git_has_locked() {
    let (project, run) = ran();
    project.write(".git/index.lock", "");
    let expected = Expected { checkout: To(1, "ORC-0614"), ..ORDINARY };
    expected.check(&project, &run, |arguments| project.run(arguments));
    assert!(project.path().join(".git/index.lock").exists());
}

#[test]
fn a_bare_repository() {
    let project = Project::new();
    git(&project, &["init", "-q", "--bare", "-b", "main", "."]);
    project.write(
        ".orchestrator/workflows/flow.yaml",
        "name: flow\ntasks:\n  a: { command: [\"true\"], workspace: worktree }\n",
    );
    let before = belongings(project.path(), &[]);
    let ran = project.run(&["execute", "--workflow", "flow", "--json"]).expect(2);
    assert_eq!(ran.problem()["code"], "ORC-0611");
    unchanged(&before, &belongings(project.path(), &[]), "execute");
    project.write(
        ".orchestrator/workflows/flow.yaml",
        "name: flow\ntasks:\n  a: { command: [\"true\"] }\n",
    );
    let run = project.run(&["execute", "--workflow", "flow", "--json"]).expect(0).last();
    let run = run["run"].as_str().expect("a run").to_owned();
    let before = belongings(project.path(), &[]);
    for (arguments, code) in [
        (vec!["land", &*run], "ORC-0611"),
        (vec!["git", "status"], "ORC-0611"),
        (vec!["diff", &run], "ORC-0642"),
        (vec!["restore", "a", "--branch", "x"], "ORC-0642"),
        (vec!["rollback", &run, "--yes"], "ORC-0667"),
    ] {
        let ran = project.run(&[&arguments[..], &["--json"]].concat()).expect(2);
        assert_eq!(ran.problem()["code"], code, "{arguments:?}");
    }
    unchanged(&before, &belongings(project.path(), &[]), "all of them");
}

#[test]
fn a_repository_of_another_user() {
    let (project, run) = ran();
    let mut path = std::env::var("PATH").expect("a path");
    if rustix::process::geteuid().is_root() {
        for path in [project.path().to_owned(), project.path().join(".git")] {
            chown(path, Some(4_242), None).expect("it can be given away");
        }
    } else {
        // Only the superuser gives files away. Git has a switch to behave as if it had been done.
        let bin = project.home().join("bin");
        fs::create_dir(&bin).expect("a directory");
        let script =
            format!("#!/bin/sh\nPATH='{path}' GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec git \"$@\"\n");
        let git = bin.join("git");
        fs::write(&git, script).expect("a program");
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).expect("a mode");
        path = format!("{}:{path}", bin.display());
    }
    let refused = To(2, "ORC-0615");
    let expected = Expected {
        execute: refused,
        uncommitted: refused,
        look: refused,
        files: refused,
        branch: refused,
        land: refused,
        rollback: refused,
        checkout: refused,
    };
    let run_in = |arguments: &[&str]| {
        let output = project.command(arguments).env("PATH", &path).output();
        Ran::of(output.expect("the binary runs"), arguments)
    };
    expected.check(&project, &run, run_in);
    // Once the user says that it is trusted, it works.
    let config = format!("[safe]\ndirectory = {}\n", project.path().display());
    fs::write(project.home().join(".gitconfig"), config).expect("a file");
    ORDINARY.check(&project, &run, run_in);
}

/// Runs the binary where `script`, whose `$1` is `directory`, has changed what is mounted.
fn confined(project: &Project, script: &str, directory: &Path, arguments: &[&str]) -> Ran {
    let whole = format!("{script}\nshift\nexec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-ec", &whole, "sh"]).arg(directory).arg(binary());
    command.args(arguments).env_clear().envs(project.environment()).current_dir(project.path());
    Ran::of(command.output().expect("unshare runs"), arguments)
}

const READ_ONLY: &str = "mount --bind \"$1\" \"$1\"\nmount -o remount,bind,ro \"$1\"";

#[test]
fn a_repository_that_cannot_be_written() {
    let (project, run) = ran();
    let refused = To(2, "ORC-0616");
    let expected = Expected {
        execute: To(1, "ORC-0616"),
        uncommitted: To(1, "ORC-0616"),
        branch: refused,
        land: refused,
        rollback: refused,
        checkout: refused,
        ..ORDINARY
    };
    let git_dir = project.path().join(".git");
    expected.check(&project, &run, |arguments| confined(&project, READ_ONLY, &git_dir, arguments));

    // All of the project: there is no place for what is to be recorded either.
    let before = belongings(project.path(), &[]);
    let execute = ["execute", "--workflow", "flow", "--json"];
    let ran = confined(&project, READ_ONLY, project.path(), &execute).expect(7);
    assert_eq!(ran.problem()["code"], "ORC-0406");
    unchanged(&before, &belongings(project.path(), &[]), "execute");
}

#[test]
fn a_disk_that_is_full() {
    let (project, run) = ran();
    let (git_dir, kept) = (project.path().join(".git"), project.home().join("after"));
    let ours = project.home().join("before");
    for directory in [&kept, &ours] {
        fs::create_dir(directory).expect("a directory");
    }
    // A small disk with the repository on it and room for nothing else. What it holds afterwards is
    // copied away, since it goes with the command.
    let script = format!(
        "mkdir '{0}/.git'\ncp -a \"$1/.\" '{0}/.git'\nmount -t tmpfs -o size=2m tmpfs \"$1\"\n\
         cp -a '{0}/.git/.' \"$1\"\n(yes > \"$1/fill\") 2>/dev/null || true\n\
         place=$1\nshift\nset +e\n\"$@\"\ncode=$?\nrm -rf '{1}/.git'\ncp -a \"$place\" '{1}/.git'\nexit $code\n",
        ours.display(),
        kept.display(),
    );
    let full = To(1, "ORC-0404");
    let task = format!("{run}.build");
    let out = project.home().join("out").display().to_string();
    for (arguments, comes) in [
        (vec!["execute", "--workflow", "flow"], full),
        (vec!["execute", "--workflow", "flow", "--include-uncommitted"], full),
        (vec!["land", &*run, "--into", "release"], full),
        (vec!["land", &run, "--update-checkout"], full),
        (vec!["rollback", &run, "--yes"], full),
        (vec!["restore", &task, "--branch", "again"], full),
        (vec!["restore", &task, "--to", &out], Well),
        (vec!["diff", &task], Well),
    ] {
        let before = belongings(project.path(), &[]);
        let _ = fs::remove_dir_all(ours.join(".git"));
        let ran = confined(&project, &script, &git_dir, &[&arguments[..], &["--json"]].concat());
        match comes {
            Well => drop(ran.expect(0)),
            To(exit, code) => {
                let ran = ran.expect(exit);
                let said = format!("{}{}", ran.stdout, ran.stderr);
                assert!(said.contains(code), "{arguments:?}: {said}");
            }
        }
        let without = |mut found: Belongings| {
            found.remove(Path::new(".git/fill"));
            found
        };
        let after = without(belongings(&kept, &[]));
        unchanged(&belongings(&ours, &[]), &after, arguments[0]);
        unchanged(&before, &belongings(project.path(), &[]), arguments[0]);
    }

    // The disk of the state.
    let state = project.path().join(".orchestrator/state");
    let small = "mount -t tmpfs -o size=300k tmpfs \"$1\"";
    let execute = ["execute", "--workflow", "flow", "--json"];
    let before = belongings(project.path(), &[]);
    let ran = confined(&project, small, &state, &execute).expect(7);
    assert_eq!(ran.problem()["code"], "ORC-0404");
    unchanged(&before, &belongings(project.path(), &[]), "execute");
    // With room again all of it works.
    ORDINARY.check(&project, &run, |arguments| project.run(arguments));
}

#[test]
fn files_with_odd_names_are_files() {
    let script = "echo 1 > ./--help\necho 2 > ./-rf\necho 3 > \"$(printf 'two\\nlines')\"\n\
                  echo 4 > \"$(printf 'odd\\377.txt')\"\necho 5 > 'a \"b\" \\c'\necho 6 > ümläut\n\
                  echo made > made.txt\necho done\n";
    let (project, run) = ran_with(script);
    let (before, main) =
        (belongings(project.path(), &ASKED), git(&project, &["rev-parse", "main"]));
    let branch = format!("orchestrator/{run}/result");
    let odd: [&[u8]; 7] = [
        b"--help",
        b"-rf",
        b"two\nlines",
        b"odd\xff.txt",
        b"a \"b\" \\c",
        "ümläut".as_bytes(),
        b"made.txt",
    ];
    let names = |directory: &Path| {
        let mut names: Vec<Vec<u8>> = fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().as_bytes().to_vec())
            .collect();
        names.sort();
        names
    };
    // Given back as files they are the same.
    let out = project.home().join("out");
    project.ok(&["restore", "build", "--to", &out.display().to_string()]);
    let there = names(&out);
    for name in odd {
        assert!(there.iter().any(|there| there == name), "{name:?} is not in {there:?}");
    }
    // And what is printed is a patch that makes them.
    let patch = project.home().join("all.patch");
    let diff = project.command(&["diff", &run]).output().expect("it runs").stdout;
    fs::write(&patch, diff).expect("a file");
    git(&project, &["apply", "--index", &patch.display().to_string()]);
    let tree = git(&project, &["write-tree"]);
    assert_eq!(tree, git(&project, &["rev-parse", &format!("{branch}^{{tree}}")]));
    git(&project, &["reset", "-q", "--hard"]);
    // Git has written these anew.
    let reset: Vec<_> = [".git/index", ".git/ORIG_HEAD", ".git/logs/HEAD"].map(Path::new).into();
    let same = |mut found: Belongings| {
        found.retain(|path, _| !reset.contains(&path.as_path()));
        found
    };
    project.ok(&["land", &run, "--into", "release"]);
    assert_eq!(git(&project, &["rev-parse", "release^{tree}"]), tree);
    let told = project.ok(&["task-details", "build"]).stdout;
    assert!(told.contains("--help") && !told.contains("two\nlines"), "{told}");
    project.ok(&["rollback", &run, "--target", "release", "--yes"]);
    assert_eq!(
        git(&project, &["rev-parse", "release^{tree}"]),
        git(&project, &["rev-parse", &format!("{main}^{{tree}}")])
    );
    unchanged(&same(before), &same(belongings(project.path(), &ASKED)), "at the end");
}

#[test]
fn branches_with_odd_names_are_refused_or_are_names() {
    let (project, run) = ran();
    let before = belongings(project.path(), &[]);
    for name in ["-x", "--help", "two\nlines", "a..b", "a b", "x.lock", "HEAD", "@{-1}", ""] {
        let restore = project.run(&["restore", "build", &format!("--branch={name}"), "--json"]);
        assert_eq!(restore.expect(2).problem()["code"], "ORC-0617", "restore {name:?}");
        let into = format!("--into={name}");
        let land = project.run(&["land", &run, &into, "--mode", "branch", "--json"]);
        assert_eq!(land.expect(2).problem()["code"], "ORC-0617", "land {name:?}");
        let target = format!("--target={name}");
        let rollback = project.run(&["rollback", &run, &target, "--yes", "--json"]).expect(2);
        let code = rollback.problem()["code"].as_str().expect("a code").to_owned();
        assert!(["ORC-0667", "ORC-0617"].contains(&&*code), "rollback {name:?}: {code}");
    }
    for arguments in [
        vec!["diff", "--", "-x"],
        vec!["diff", "--", "--help"],
        vec!["land", "--", "-x"],
        vec!["checkpoints", "--", "two\nlines"],
        vec!["restore", "--to=x", "--", "../../etc"],
    ] {
        let ran = project.run(&arguments).expect(2);
        assert!(ran.stderr.contains("ORC-06"), "{arguments:?}: {ran:?}");
    }
    unchanged(&before, &belongings(project.path(), &[]), "all of them");
    // One that somebody has made is a branch as any other.
    git(&project, &["update-ref", "refs/heads/-x", "release"]);
    project.ok(&["land", &run, "--into=-x"]);
    assert_eq!(git(&project, &["show", "refs/heads/-x:made.txt"]), "made");
    project.ok(&["rollback", &run, "--target=-x", "--yes"]);
    // And a directory may be called like an option.
    project.ok(&["restore", "build", "--to=-dir"]);
    assert_eq!(project.read("-dir/made.txt"), "made\n");
}

#[test]
fn a_project_whose_path_is_odd() {
    for name in ["-x", "two\nlines", "a 'b' \"c\"", "ümläut"] {
        let outer = Project::new();
        let inner = outer.path().join(name);
        fs::create_dir(&inner).expect("a directory");
        let run = |arguments: &[&str]| {
            let output = outer.command(arguments).current_dir(&inner).output();
            Ran::of(output.expect("the binary runs"), arguments).expect(0)
        };
        outer.write(&format!("{name}/.orchestrator/.gitignore"), "state/\n");
        let flow = "name: flow\ntasks:\n  build:\n    command: [sh, -c, \"echo made > made.txt; git status --porcelain\"]\n    workspace: worktree\n    checks: [\"grep -q made made.txt\"]\n";
        outer.write(&format!("{name}/.orchestrator/workflows/flow.yaml"), flow);
        let within = |arguments: &[&str]| git_in(&outer, &inner, arguments);
        within(&["init", "-q", "-b", "main"]);
        within(&["config", "user.name", "A Person"]);
        within(&["config", "user.email", "person@example.org"]);
        within(&["add", "-A"]);
        within(&["commit", "-q", "-m", "first"]);
        within(&["branch", "release"]);
        let before = belongings(&inner, &["release"]);
        run(&["execute", "--workflow", "flow"]);
        run(&["diff", "latest"]);
        run(&["restore", "build", "--to", &outer.home().join("out").display().to_string()]);
        run(&["land", "latest", "--into", "release"]);
        assert_eq!(within(&["show", "release:made.txt"]), "made");
        run(&["rollback", "latest", "--target", "release", "--yes"]);
        unchanged(&before, &belongings(&inner, &["release"]), name);
    }
}

#[test]
fn names_that_differ_only_in_capitals() {
    // The repository says that the file system takes them for one, which is not so here.
    let project = Project::new();
    for (name, text) in [("A", "large\n"), ("a", "small\n"), ("Dir/x", "1\n"), ("dir/x", "2\n")] {
        project.write(name, text);
    }
    let script = "cat A a Dir/x dir/x\necho more >> a\necho made > made.txt\n";
    commit_first(&project, &[("builder", script)], BUILD);
    git(&project, &["config", "core.ignorecase", "true"]);
    git(&project, &["branch", "release"]);
    let before = belongings(project.path(), &ASKED);
    project.run(&["execute", "--workflow", "flow", "--json"]).expect(0);
    let details = project.json(&["task-details", "build"]);
    assert_eq!(details["output"], "large\nsmall\n1\n2");
    let changed = details["work"][0]["made"]["changed"].as_array().expect("files").clone();
    let changed: Vec<_> = changed.iter().map(|file| file["path"].as_str()).collect();
    assert_eq!(changed, [Some("a"), Some("made.txt")]);
    project.ok(&["land", "latest", "--into", "release"]);
    assert_eq!(git(&project, &["show", "release:a"]), "small\nmore");
    assert_eq!(git(&project, &["show", "release:A"]), "large");
    unchanged(&before, &belongings(project.path(), &ASKED), "at the end");

    // What an agent plants so that it is another file elsewhere does not get through.
    let script = "echo other > readme\necho first > README\necho made > made.txt\necho done\n";
    fs::write(project.home().join("builder.sh"), script).expect("a program");
    let result = project.run(&["execute", "--workflow", "flow", "--json"]).expect(1).last();
    let said = result["failure"]["message"].as_str().expect("text").to_owned();
    assert!(said.contains("where case does not count"), "{said}");
    unchanged(&before, &belongings(project.path(), &ASKED), "afterwards");
}

#[test]
fn submodules_of_submodules_are_there_for_agents_and_checks() {
    let project = Project::new();
    let home = project.home().to_owned();
    let text = |path: &Path| path.display().to_string();
    let within = |directory: &Path, arguments: &[&str]| {
        let allowed = ["-c", "protocol.file.allow=always"];
        git_in(&project, directory, &[&allowed[..], arguments].concat())
    };
    fs::write(home.join(".gitconfig"), "[user]\nname = A Person\nemail = person@example.org\n")
        .expect("a file");
    for name in ["inner", "lib"] {
        let directory = home.join(name);
        within(&home, &["init", "-q", "-b", "main", name]);
        fs::write(directory.join("file"), format!("{name}\n")).expect("a file");
        within(&directory, &["add", "-A"]);
        within(&directory, &["commit", "-q", "-m", "first"]);
    }
    let script = "cat vendor/lib/file vendor/lib/deep/inner/file\necho made > made.txt\n";
    let checks =
        "checks: [\"grep -q made made.txt\", \"grep -q inner vendor/lib/deep/inner/file\"]";
    let flow = BUILD.replace("checks: [\"grep -q made made.txt\"]", checks);
    project.write("one.txt", "one\n");
    commit_first(&project, &[("builder", script)], &flow);
    // The one by an address that is relative to where the other comes from, that by a path.
    within(&home.join("lib"), &["remote", "add", "origin", &text(&home.join("lib"))]);
    within(&home.join("lib"), &["submodule", "--quiet", "add", "../inner", "deep/inner"]);
    within(&home.join("lib"), &["commit", "-q", "-m", "inner"]);
    within(
        project.path(),
        &["submodule", "--quiet", "add", &text(&home.join("lib")), "vendor/lib"],
    );
    within(project.path(), &["commit", "-q", "-m", "lib"]);
    within(project.path(), &["submodule", "--quiet", "update", "--init", "--recursive"]);
    git(&project, &["branch", "release"]);
    let before = belongings(project.path(), &ASKED);
    // Nothing is fetched: that from which they came may be gone.
    for name in ["inner", "lib"] {
        fs::remove_dir_all(home.join(name)).expect("it can be removed");
    }
    let result = project.run(&["execute", "--workflow", "flow", "--json"]).expect(0).last();
    assert_eq!(result["items"][0]["verified"], true);
    assert_eq!(project.json(&["task-details", "build"])["output"], "lib\ninner");
    project.ok(&["land", "latest", "--into", "release"]);
    project.ok(&["rollback", "latest", "--target", "release", "--yes"]);
    unchanged(&before, &belongings(project.path(), &ASKED), "at the end");

    // What an agent changes in one is another commit of it, which does not get through unseen.
    let script = "echo changed > vendor/lib/deep/inner/file\necho made > made.txt\necho done\n";
    fs::write(home.join("builder.sh"), script).expect("a program");
    let result = project.run(&["execute", "--workflow", "flow", "--json"]).expect(1).last();
    assert_eq!(result["items"][0]["verified"], false);
    let listed = project.json(&["diff", "build", "--stat"]);
    let paths: Vec<_> =
        listed["files"].as_array().expect("files").iter().map(|f| &f["path"]).collect();
    assert_eq!(paths, ["made.txt", "vendor/lib"]);
    unchanged(&before, &belongings(project.path(), &ASKED), "afterwards");
}
