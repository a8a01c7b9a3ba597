//! `cargo xtask pages`: what the book's pages print is done as printed, by somebody new.
//!
//! A comment before a code block says what becomes of it:
//! - `<!-- file: NAME -->`: the block is written to the file NAME;
//! - `<!-- run -->`: the lines of the block that begin with `$ ` are run in order, in one shell.
//!   Each must succeed, and a block must print something.
//!
//! Each page has a project of its own, a git repository with one small file, an empty home, and the
//! program as it is built here. Nothing of the caller's environment but `PATH` gets there.

use crate::{markdown, takes_nothing, tree::Tree};
use anyhow::{Context as _, Result, bail};
use std::{fs, path::Path, process::Command};

/// The pages that have commands to run.
const PAGES: [&str; 4] =
    ["docs/quick-start.md", "docs/workflows.md", "docs/agents.md", "docs/configuration.md"];
/// What the project of each page holds beforehand.
const SOURCE: &str =
    "//! A small program.\n\nfn main() {\n    println!(\"hello\"); // TODO: a flag\n}\n";

/// Runs the chore.
///
/// # Errors
/// When the program cannot be built, a page has nothing to run, or something that it prints fails.
pub(crate) fn run(tree: &Tree, arguments: &[String]) -> Result<()> {
    takes_nothing("pages", arguments)?;
    let built = tree
        .command("cargo")
        .args(["build", "--quiet", "--package", "orchestrator-cli"])
        .status()
        .context("cannot start cargo")?;
    if !built.success() {
        bail!("the program cannot be built");
    }
    let programs = tree.members()?.target_directory.join("debug");
    let mut commands = 0;
    for page in PAGES {
        let steps = steps(&tree.read(page)?)?;
        if !steps.iter().any(|step| matches!(step, Step::Run(_))) {
            bail!("{page} has no block after `<!-- run -->`");
        }
        let scratch = tempfile::tempdir().context("cannot make a directory to work in")?;
        commands += follow(&steps, scratch.path(), programs.as_std_path())
            .with_context(|| format!("{page} does not work as printed"))?;
    }
    println!("pages: {commands} commands of {} pages work as printed", PAGES.len());
    Ok(())
}

/// What a page asks its reader to do.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Write this text to the file of that name.
    Write { file: String, text: String },
    /// Type these commands.
    Run(Vec<String>),
}

fn steps(page: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (comment, text) in markdown::marked_blocks(page) {
        if let Some(file) = comment.strip_prefix("file: ") {
            steps.push(Step::Write { file: file.to_owned(), text });
        } else if comment == "run" {
            let commands: Vec<String> = text
                .lines()
                .filter_map(|line| line.strip_prefix("$ "))
                .map(str::to_owned)
                .collect();
            if commands.is_empty() {
                bail!("no line of this block begins with `$ `:\n{text}");
            }
            steps.push(Step::Run(commands));
        }
    }
    Ok(steps)
}

/// Takes the steps in a new project below `scratch`, with the programs of `programs` in reach.
/// Returns how many commands were run.
fn follow(steps: &[Step], scratch: &Path, programs: &Path) -> Result<usize> {
    let (home, project) = (scratch.join("home"), scratch.join("project"));
    fs::create_dir_all(&home)?;
    fs::create_dir_all(project.join("src"))?;
    fs::write(project.join("src/main.rs"), SOURCE)?;
    let mut path = programs.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let shell = |script: &str| {
        Command::new("sh")
            .args(["-euc", script])
            .current_dir(&project)
            .env_clear()
            .envs([("PATH", path.as_os_str()), ("HOME", home.as_os_str())])
            .output()
            .context("cannot start sh")
    };
    if !shell("git init -q && git add .")?.status.success() {
        bail!("cannot make a git repository");
    }
    let mut commands = 0;
    for step in steps {
        match step {
            Step::Write { file, text } => {
                let file = project.join(file);
                fs::create_dir_all(file.parent().unwrap_or(&project))?;
                fs::write(&file, text)
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
            Step::Run(lines) => {
                let output = shell(&lines.join("\n"))?;
                let said = format!(
                    "{}{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                );
                let shown = lines.join("\n$ ");
                if !output.status.success() {
                    bail!("{}:\n$ {shown}\n{said}", output.status);
                }
                if said.trim().is_empty() {
                    bail!("these print nothing:\n$ {shown}");
                }
                commands += lines.len();
            }
        }
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_out(page: &str) -> Result<usize> {
        let scratch = tempfile::tempdir().unwrap();
        follow(&steps(page).unwrap(), scratch.path(), Path::new("/nowhere"))
    }

    #[test]
    fn marked_blocks_are_written_and_run_and_others_are_not() {
        let page = "<!-- file: a/b.txt -->\n```yaml\nbody\n```\n\n```console\n$ false\n```\n\n\
                    <!-- run -->\n```console\n$ X=1\n$ cat a/b.txt && echo $X\nbody\n```\n";
        assert_eq!(try_out(page).unwrap(), 2);
    }

    #[test]
    fn what_fails_or_says_nothing_is_told_with_its_commands() {
        let check = |commands: &str, expected: &str| {
            let page = format!("<!-- run -->\n```console\n{commands}\n```\n");
            let error = format!("{:#}", try_out(&page).unwrap_err());
            assert!(error.contains(expected), "{error}");
        };
        check(
            "$ echo before\n$ false\n$ echo after",
            "$ echo before\n$ false\n$ echo after\nbefore\n",
        );
        check("$ true", "print nothing");
        check("$ echo ${HOMELESS}", "HOMELESS");
        assert!(steps("<!-- run -->\n```console\necho\n```\n").is_err());
    }

    #[test]
    fn the_home_is_empty_and_the_callers_variables_stay_outside() {
        let page = "<!-- run -->\n```console\n$ ls -A \"$HOME\" | wc -l\n\
                    $ test -z \"${CARGO_MANIFEST_DIR-}\"\n```\n";
        assert_eq!(try_out(page).unwrap(), 2);
    }
}
