//! Narrow terminals: everything is there, or is visibly cut.

use crate::{
    harness::Project,
    repository::{commit_first, git},
    terminal::Terminal,
};

const FLOW: &str = "name: flow
tasks:
  a-task-with-quite-a-long-name:
    agent: builder
    prompt: \"Build something, and say at length what it is that you have built there.\"
    workspace: worktree
    checks: [\"grep -q made a/directory/with/a/file.txt\"]
  fails:
    agent: builder
    needs: [a-task-with-quite-a-long-name]
    prompt: \"Build.\"
    workspace: worktree
    checks: [\"echo a long line that a check prints before it says that it has failed; false\"]
    retry: { max-attempts: 1 }
";
const BUILDER: &str = "mkdir -p a/directory/with/a\necho made >> a/directory/with/a/file.txt\n\
                       echo 'ein schöner 日本語 text that is longer than the terminal is wide' >> ümläut.txt\necho done\n";

/// What a command shows on a terminal of that width, without blanks, and with each number as one sign:
/// times go on.
fn shown(project: &Project, columns: u16, arguments: &[&str]) -> (Option<i32>, String) {
    let (code, text, _) = Terminal::open(project, (columns, 50), arguments).end();
    let mut plain = String::new();
    // Problems are drawn with a line at their side, of which a narrow terminal has more.
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != '│') {
        match c.is_ascii_digit() {
            true if plain.ends_with('#') => {}
            true => plain.push('#'),
            false => plain.push(c),
        }
    }
    (code, plain)
}

/// Whether `narrow` is `wide` with parts cut off where `…` stands.
fn is_cut_of(narrow: &str, wide: &str) -> bool {
    let mut pieces = narrow.split('…');
    let Some(mut rest) = pieces.next().and_then(|first| wide.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn everything_is_there_or_visibly_cut() {
    let project = Project::new();
    project.write("one.txt", "one\n");
    commit_first(&project, &[("builder", BUILDER)], FLOW);
    git(&project, &["branch", "a/branch/with/a/long/name"]);
    let result = project.run(&["execute", "--workflow", "flow", "--json"]).expect(1).last();
    let run = result["run"].as_str().expect("a run").to_owned();
    let task = "a-task-with-quite-a-long-name";
    project.ok(&["land", &run, "--into", "a/branch/with/a/long/name"]);
    for arguments in [
        &["diff", &*run, "--color", "always"][..],
        &["diff", task, "--stat"],
        &["worktrees", "list"],
        &["queue"],
        &["land", &run, "--into", "a/branch/with/a/long/name"],
        &["land", &run, "--into", "no/such/branch/anywhere"],
        &["status"],
        &["status", &run],
        &["run-details", &run],
        &["list-tasks", "--run", &run],
        &["task-details", task],
        &["task-details", "fails"],
        &["checkpoints", task],
        &["checkpoints", "fails"],
        &["why", "fails"],
    ] {
        let (expected, wide) = shown(&project, 900, arguments);
        assert!(!wide.is_empty(), "{arguments:?} shows nothing");
        for columns in [40, 20] {
            let (code, narrow) = shown(&project, columns, arguments);
            assert_eq!(code, expected, "{arguments:?} at {columns}: {narrow}");
            assert!(!narrow.contains("becauseofabug"), "{arguments:?} at {columns}: {narrow}");
            assert!(
                is_cut_of(&narrow, &wide),
                "{arguments:?} at {columns} columns:\n{narrow}\nand not\n{wide}"
            );
        }
    }
}
