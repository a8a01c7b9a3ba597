//! What is recorded of every turn, and going back to it.

use crate::support::{Host, Project, files, git, worktree, write};
use orchestrator_core::{
    error::ErrorClass,
    id::TurnNumber,
    port::{WorkspaceOrder, Workspaces},
    workspace::Opened,
};
use orchestrator_workspace::GitWorkspaces;
use proptest::prelude::*;
use std::{
    ffi::OsString,
    fs,
    os::unix::{ffi::OsStringExt, fs::symlink},
    path::{Path, PathBuf},
};

async fn opened(project: &Project) -> (GitWorkspaces, WorkspaceOrder, Opened) {
    let workspaces = project.workspaces().await;
    let order = project.order("build", worktree());
    let opened = workspaces.open(&order, &Host::default()).await.unwrap();
    (workspaces, order, opened)
}

#[tokio::test]
async fn what_is_behind_a_link_in_place_of_a_directory_is_not_recorded() {
    let project = Project::new();
    let (workspaces, order, opened) = opened(&project).await;
    let outside = project.root().join("outside");
    write(&outside, "lib.rs", "of somebody else\n");
    write(&outside, "main.rs", "of somebody else\n");
    fs::remove_dir_all(opened.directory.join("src")).unwrap();
    symlink(&outside, opened.directory.join("src")).unwrap();
    let point = workspaces.checkpoint(&order, &opened, None).await.unwrap().unwrap();
    let recorded = project.git(&["ls-tree", "-r", "--name-only", point.commit.as_ref()]);
    assert_eq!(recorded, ".gitignore\nREADME.md\nsrc\n");
    let link = project.git(&["cat-file", "-p", &format!("{}:src", point.commit)]);
    assert_eq!(Path::new(&link), outside);
}

#[tokio::test]
async fn turns_are_recorded_listed_compared_and_restored() {
    let project = Project::new();
    let before = project.belongings();
    let (workspaces, order, opened) = opened(&project).await;
    write(&opened.directory, "a", "1\n");
    let first = workspaces.checkpoint(&order, &opened, Some(TurnNumber(1))).await.unwrap().unwrap();
    assert_eq!((first.files, first.turn), (1, Some(TurnNumber(1))));
    assert_eq!(workspaces.checkpoint(&order, &opened, Some(TurnNumber(2))).await.unwrap(), None);
    write(&opened.directory, "a", "2\n");
    fs::remove_dir_all(opened.directory.join("src")).unwrap();
    let third = workspaces.checkpoint(&order, &opened, Some(TurnNumber(3))).await.unwrap().unwrap();
    assert_eq!(third.files, 3);

    let (run, task, attempt) = (&order.run, &order.task, order.attempt);
    let dir = &project.directory;
    let listed = workspaces.checkpoints(dir, run, task, attempt).await.unwrap();
    let turns: Vec<_> = listed.iter().map(|point| point.turn.unwrap().0).collect();
    assert_eq!(turns, [3, 1]);
    assert_eq!(listed[0].before.as_ref(), Some(&first.commit));
    assert_eq!(listed[1].before, opened.base);
    let diff = workspaces.diff(dir, &first.commit, &third.commit, 1 << 20).await.unwrap();
    assert!(diff.text.contains("-1\n+2\n"), "{}", diff.text);

    write(&opened.directory, "a", "3\n");
    write(&opened.directory, "unsaved", "x");
    write(&opened.directory, "target/ignored", "stays");
    let diff = workspaces.diff_files(&order, &opened, &first.commit, 1 << 20).await.unwrap();
    assert!(diff.text.contains("-1\n+3\n"), "{}", diff.text);
    // As a person would who knows only the name.
    let (found_order, found) = workspaces.find(run, task, attempt).unwrap();
    let saved = workspaces.restore(&found_order, &found, &first.commit).await.unwrap().unwrap();
    assert_eq!(fs::read_to_string(opened.directory.join("a")).unwrap(), "1\n");
    assert!(opened.directory.join("src/lib.rs").exists());
    assert!(!opened.directory.join("unsaved").exists());
    assert!(opened.directory.join("target/ignored").exists());
    assert_eq!(project.git(&["cat-file", "-p", &format!("{}:unsaved", saved.commit)]), "x");
    // Going back is no end: the next is recorded on what is there.
    let next = workspaces.checkpoint(&order, &opened, Some(TurnNumber(4))).await.unwrap().unwrap();
    assert_eq!(
        project.id(&format!("{}^{{tree}}", next.commit)),
        project.id(&format!("{}^{{tree}}", first.commit))
    );
    let unknown = orchestrator_core::id::CommitId::new("1".repeat(40)).unwrap();
    let failure = workspaces.restore(&order, &opened, &unknown).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidRequest);
    assert_eq!(project.belongings(), before);
}

#[tokio::test]
async fn nothing_that_an_agent_does_with_git_hides_its_files() {
    let project = Project::new();
    let (workspaces, order, opened) = opened(&project).await;
    let dir = &opened.directory;
    let of_agent = |arguments: &[&str]| git(&project.home(), dir, arguments);
    of_agent(&["update-index", "--assume-unchanged", "README.md"]);
    of_agent(&["update-index", "--skip-worktree", "src/lib.rs"]);
    write(dir, "README.md", "hidden\n");
    write(dir, "src/lib.rs", "hidden\n");
    write(dir, "excluded", "hidden\n");
    let exclude = project.directory.join(".git/info/exclude");
    fs::create_dir_all(exclude.parent().unwrap()).unwrap();
    fs::write(exclude, "*\n").unwrap();
    write(dir, "forced.log", "ignored, but the agent's index has it\n");
    of_agent(&["add", "-f", "forced.log"]);
    of_agent(&["checkout", "-q", "--detach"]);
    of_agent(&["rm", "-q", "--cached", "src/main.rs"]);
    fs::remove_file(dir.join(".git")).unwrap();
    git(&project.home(), dir, &["init", "-q"]);
    let point = workspaces.checkpoint(&order, &opened, None).await.unwrap().unwrap();
    let names = project.git(&[
        "diff",
        "--name-only",
        opened.base.as_ref().unwrap().as_ref(),
        point.commit.as_ref(),
    ]);
    assert_eq!(names, "README.md\nexcluded\nsrc/lib.rs\n");
    let snapshot = workspaces.snapshot(&order, &opened, "x").await.unwrap().unwrap();
    assert_eq!(snapshot.files.len(), 3);
    workspaces.close(&order, &opened, false).await.unwrap();
    assert!(!dir.exists());
}

#[tokio::test]
async fn what_is_too_large_or_too_much_is_named() {
    let project = Project::new();
    let workspaces = project.workspaces().await.bounds(1_000, 5);
    let order = project.order("build", worktree());
    let opened = workspaces.open(&order, &Host::default()).await.unwrap();
    write(&opened.directory, "large", vec![0; 1_000]);
    write(&opened.directory, "README.md", vec![b'x'; 2_000]);
    let (point, base) =
        (workspaces.checkpoint(&order, &opened, None).await.unwrap(), opened.base.clone());
    assert_eq!(point, None, "nothing that can be recorded has changed");
    for number in 0..7 {
        write(&opened.directory, &format!("many/{number}"), "x");
    }
    let point = workspaces.checkpoint(&order, &opened, None).await.unwrap().unwrap();
    let left_out = ["README.md", "large", "many/5", "many/6"].map(PathBuf::from);
    assert_eq!((point.files, &point.left_out[..]), (5, &left_out[..]));
    let snapshot = workspaces.snapshot(&order, &opened, "x").await.unwrap().unwrap();
    assert_eq!(Some(snapshot.base), base);
    // What was too much at once is recorded the next time.
    assert_eq!(snapshot.left_out, ["README.md", "large"].map(Path::new));
}

#[tokio::test]
async fn excludes_of_the_user_are_kept() {
    let project = Project::new();
    write(&project.home(), ".config/git/ignore", "*.swp\n");
    write(&project.directory, ".git/info/exclude", "/notes\n");
    let (workspaces, order, opened) = opened(&project).await;
    write(&opened.directory, "x.swp", "1");
    write(&opened.directory, "notes", "1");
    assert_eq!(workspaces.checkpoint(&order, &opened, None).await.unwrap(), None);
}

#[derive(Debug, Clone)]
enum Made {
    File(Vec<u8>, bool),
    Link(Vec<u8>),
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop_oneof![
        Just(b"-rf".to_vec()),
        Just(b"two\nlines".to_vec()),
        Just(b"\"quoted\" 'name'".to_vec()),
        Just(b"\xff\xfe".to_vec()),
        Just(b" ".to_vec()),
        Just(b"*".to_vec()),
        Just(b"a".to_vec()),
        Just(b"b".to_vec()),
        Just(b":(top)".to_vec()),
        Just(b"tab\there".to_vec()),
    ];
    prop_oneof![3 => odd, 1 => prop::collection::vec(1u8..=255, 1..12)].prop_filter(
        "a name",
        |name| {
            let lower = name.to_ascii_lowercase();
            !name.contains(&b'/') && !lower.starts_with(b".") && !lower.starts_with(b"git~")
        },
    )
}

fn tree() -> impl Strategy<Value = Vec<(Vec<Vec<u8>>, Made)>> {
    let content = prop::collection::vec(any::<u8>(), 0..40);
    let made = prop_oneof![
        4 => (content, any::<bool>()).prop_map(|(content, runs)| Made::File(content, runs)),
        1 => prop::collection::vec(1u8..=255, 1..20).prop_map(Made::Link),
    ];
    prop::collection::vec((prop::collection::vec(part(), 1..4), made), 0..12)
}

/// Makes what can be made of it; what is in the way of another stays.
fn make(directory: &Path, tree: &[(Vec<Vec<u8>>, Made)]) {
    for (parts, made) in tree {
        let path: PathBuf = parts.iter().map(|part| OsString::from_vec(part.clone())).collect();
        let path = directory.join(path);
        if fs::create_dir_all(path.parent().unwrap()).is_err() || path.symlink_metadata().is_ok() {
            continue;
        }
        match made {
            Made::File(content, runs) => {
                fs::write(&path, content).unwrap();
                if *runs {
                    crate::support::executable(&path);
                }
            }
            Made::Link(target) => symlink(OsString::from_vec(target.clone()), &path).unwrap(),
        }
    }
}

fn empty(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() == ".git" {
            continue;
        }
        match path.symlink_metadata().unwrap().is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_tree_is_the_one_that_was_recorded(one in tree(), other in tree()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let project = Project::unborn();
            project.write("a/first", "1");
            project.commit("first");
            let (workspaces, order, opened) = opened(&project).await;
            let mut recorded = Vec::new();
            for tree in [&one, &other] {
                empty(&opened.directory);
                make(&opened.directory, tree);
                let there = files(&opened.directory);
                let point = workspaces.checkpoint(&order, &opened, None).await.unwrap();
                let commit = match point {
                    Some(point) => point.commit,
                    None => recorded.last().map_or(opened.base.clone().unwrap(), |(last, _): &(_, _)| Clone::clone(last)),
                };
                recorded.push((commit, there));
            }
            for (commit, there) in recorded.iter().chain(recorded.iter().rev()) {
                workspaces.restore(&order, &opened, commit).await.unwrap();
                prop_assert_eq!(&files(&opened.directory), there);
            }
            Ok(())
        })?;
    }
}
