//! Large files that a repository has only pointers to (Git LFS): the user's own filter turns them into
//! content that is on this machine, and nothing is ever downloaded.

use crate::{
    harness::Project,
    repository::{BUILD, belongings, commit_first, git, unchanged},
};
use serde_json::Value;
use std::{fs, net::TcpListener};

/// Says what it sees of the file, and puts something else there if that is its content.
const BUILDER: &str = "cat big.bin\nif grep -q first big.bin; then echo 'second content' > big.bin; fi\necho made > made.txt\n";
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n";

/// What stands for `git-lfs` here: contents are files of `store`, and what it is asked is in `log`.
const FILTER: &str = r#"
home=$(dirname "$0")
file=$(mktemp)
cat > "$file"
echo "$1" >> "$home/log"
if [ "$1" = clean ]; then
  if grep -q '^version https://git-lfs' "$file"; then cat "$file"; exit 0; fi
  oid=$(sha256sum < "$file" | cut -d' ' -f1)
  mkdir -p "$home/store"
  cp "$file" "$home/store/$oid"
  printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %s\n' "$oid" "$(wc -c < "$file")"
  exit 0
fi
oid=$(sed -n 's/^oid sha256://p' "$file")
if [ -e "$home/store/$oid" ]; then cat "$home/store/$oid"; exit 0; fi
if [ "$GIT_LFS_SKIP_SMUDGE" = 1 ]; then cat "$file"; exit 0; fi
echo "download" >> "$home/log"
exit 1
"#;

/// A project with a large file; `config` is the user's own configuration of git.
fn project(config: &str) -> Project {
    let project = Project::new();
    fs::write(project.home().join("filter.sh"), FILTER).expect("a program");
    fs::write(project.home().join(".gitconfig"), config).expect("a file");
    project.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    project.write("big.bin", "first content\n");
    commit_first(&project, &[("builder", BUILDER)], BUILD);
    project
}

/// The section of the filter, with the one of this file.
fn faked(home: &std::path::Path) -> String {
    let program = home.join("filter.sh").display().to_string();
    format!(
        "[filter \"lfs\"]\n\tclean = sh {program} clean\n\tsmudge = sh {program} smudge\n\trequired = true\n"
    )
}

/// Runs the flow: what the agent saw, and the file as it is on the result branch.
fn ran(project: &Project) -> (String, String) {
    let before = belongings(project.path(), &[]);
    let result = project.run(&["execute", "--workflow", "flow", "--json"]).expect(0).last();
    assert_eq!(result["items"][0]["verified"], Value::Bool(true));
    let branch = result["landed"][0]["branch"].as_str().expect("a branch").to_owned();
    let details = project.json(&["task-details", "build"]);
    unchanged(&before, &belongings(project.path(), &[]), "after the run");
    let said = details["output"].as_str().expect("text").to_owned();
    (said, git(project, &["cat-file", "-p", &format!("{branch}:big.bin")]))
}

fn asked(project: &Project) -> String {
    fs::read_to_string(project.home().join("log")).unwrap_or_default()
}

#[test]
fn the_users_filter_gives_the_content_that_is_here_and_records_pointers() {
    let project = project("");
    // No files of an attempt are handed on: what the filter gives is looked at, each time.
    project.ok(&["config", "set", "workspaces.pool", "0"]);
    fs::write(project.home().join(".gitconfig"), faked(project.home())).expect("a file");
    git(&project, &["add", "--renormalize", "big.bin"]);
    git(&project, &["commit", "-q", "-m", "a pointer"]);
    let pointer = git(&project, &["cat-file", "-p", "HEAD:big.bin"]);
    assert!(pointer.starts_with(POINTER), "{pointer}");
    let (said, landed) = ran(&project);
    assert_eq!(said, "first content");
    assert!(landed.starts_with(POINTER) && landed != pointer, "{landed}");
    let oid = landed.lines().find_map(|line| line.strip_prefix("oid sha256:")).expect("an id");
    let kept = fs::read_to_string(project.home().join("store").join(oid));
    assert_eq!(kept.expect("the new content"), "second content\n");
    let diff = project.ok(&["diff", "build"]).stdout;
    assert!(
        diff.contains("-oid sha256:") && diff.contains(&format!("+oid sha256:{oid}")),
        "{diff}"
    );
    assert!(!asked(&project).contains("download"));
    // Given back it is the content again, and landed it is a pointer.
    let out = project.home().join("out");
    project.ok(&["restore", "build", "--to", &out.display().to_string()]);
    assert_eq!(fs::read_to_string(out.join("big.bin")).expect("a file"), "second content\n");

    // Without the content on this machine there is the pointer, and nothing is downloaded.
    fs::remove_dir_all(project.home().join("store")).expect("it can be removed");
    let (said, landed) = ran(&project);
    assert!(said.starts_with(POINTER.trim_end()), "{said}");
    assert_eq!(landed, pointer);
    assert!(!asked(&project).contains("download"));
}

#[test]
fn without_a_filter_of_the_users_pointers_are_files_as_any_other() {
    let project = project("");
    let pointer = format!("{POINTER}oid sha256:{}\nsize 14\n", "0".repeat(64));
    project.write("big.bin", &pointer);
    git(&project, &["commit", "-q", "-a", "-m", "a pointer"]);
    // What only the repository says is not run.
    for (key, value) in [("clean", "clean"), ("smudge", "smudge"), ("process", "process")] {
        let program = format!("sh {} {value}", project.home().join("filter.sh").display());
        git(&project, &["config", &format!("filter.lfs.{key}"), &program]);
    }
    git(&project, &["config", "filter.lfs.required", "true"]);
    let _ = fs::remove_file(project.home().join("log"));
    let (said, landed) = ran(&project);
    assert_eq!((said.as_str(), landed.as_str()), (pointer.trim_end(), pointer.trim_end()));
    assert_eq!(asked(&project), "", "the filter of the repository was run");
}

#[test]
fn the_real_program_downloads_nothing_either() {
    // Where its server would be, nobody is ever asked.
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    server.set_nonblocking(true).expect("it can be");
    let port = server.local_addr().expect("an address").port();
    let config = format!(
        "[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n\t\
         process = git-lfs filter-process\n\trequired = true\n[lfs]\n\turl = http://127.0.0.1:{port}\n"
    );
    let there = std::process::Command::new("git-lfs").arg("version").output();
    assert!(
        there.is_ok_and(|ran| ran.status.success()),
        "git-lfs is not here: run scripts/git-lfs"
    );
    let project = project(&config);
    let pointer = git(&project, &["cat-file", "-p", "HEAD:big.bin"]);
    assert!(pointer.starts_with(POINTER), "{pointer}");
    // Without leave to download it gives no content, not even one that is here.
    let (said, landed) = ran(&project);
    assert!(said.starts_with(POINTER.trim_end()), "{said}");
    assert_eq!(landed, pointer);
    // What was copied from the checkout is the content; what replaces it is recorded as a pointer.
    let copies =
        BUILD.replace("workspace: worktree", "workspace: { kind: worktree, copy: [big.bin] }");
    project.write(".orchestrator/workflows/flow.yaml", &copies);
    let (said, landed) = ran(&project);
    assert_eq!(said, "first content");
    assert!(landed.starts_with(POINTER) && landed != pointer, "{landed}");
    let oid = landed.lines().find_map(|line| line.strip_prefix("oid sha256:")).expect("an id");
    let kept = project.read(&format!(".git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]));
    assert_eq!(kept, "second content\n");
    assert!(server.accept().is_err(), "somebody asked the server");
}
