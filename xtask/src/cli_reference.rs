//! `cargo xtask cli-reference`: writes `docs/cli.md` from the command line's own help.

use crate::tree::Tree;
use anyhow::{Context as _, Result, bail};
use std::{fs, process::Stdio};

/// The page that is written.
const PAGE: &str = "docs/cli.md";
/// The package of the `orchestrator` program, and its hidden command that prints the page.
const PROGRAM: [&str; 6] =
    ["run", "--quiet", "--package", "orchestrator-cli", "--", "markdown-help"];

/// Runs the chore; with `--check` the page is compared, not written.
///
/// # Errors
/// When the program cannot be built or run, or the page differs from what it prints.
pub(crate) fn run(tree: &Tree, arguments: &[String]) -> Result<()> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        [other, ..] => bail!("`cargo xtask cli-reference` takes `--check`, not `{other}`"),
    };
    let wanted = printed(tree)?;
    if !check {
        fs::write(tree.path(PAGE), &wanted).with_context(|| format!("cannot write {PAGE}"))?;
        println!("cli-reference: wrote {PAGE}");
        return Ok(());
    }
    match first_difference(&tree.read(PAGE)?, &wanted) {
        None => {
            println!("cli-reference: {PAGE} is what the program says");
            Ok(())
        }
        Some((line, page, program)) => bail!(
            "{PAGE}:{line} is out of date; run `cargo xtask cli-reference`\n  page:    {page}\n  \
             program: {program}"
        ),
    }
}

/// What the program prints, with exactly one line feed at the end.
fn printed(tree: &Tree) -> Result<String> {
    let output = tree
        .command("cargo")
        .args(PROGRAM)
        // The page must not depend on the terminal that it is made on.
        .env("NO_COLOR", "1")
        .env("TERM", "dumb")
        .env("COLUMNS", "100")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`orchestrator markdown-help` ended with {}", output.status);
    }
    let text = String::from_utf8(output.stdout).context("the help is not UTF-8")?;
    if text.trim().is_empty() {
        bail!("`orchestrator markdown-help` printed nothing");
    }
    Ok(normal(&text))
}

/// The text without white space at the ends of lines, which terminals' help is full of.
fn normal(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim_end())
}

/// The first line that differs, from 1, as it is in each text.
fn first_difference<'a>(page: &'a str, program: &'a str) -> Option<(usize, &'a str, &'a str)> {
    const END: &str = "(the end)";
    let (mut left, mut right) = (page.lines(), program.lines());
    for number in 1.. {
        match (left.next(), right.next()) {
            (None, None) => return None,
            (page, program) if page == program => {}
            (page, program) => {
                return Some((number, page.unwrap_or(END), program.unwrap_or(END)));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_by_line() {
        let check = |page, program, expected| {
            assert_eq!(first_difference(page, program), expected);
        };
        check("a\nb\n", "a\nb\n", None);
        check("a\nb\n", "a\nc\n", Some((2, "b", "c")));
        check("a\n", "a\nb\n", Some((2, "(the end)", "b")));
        check("a\nb\n", "a\n", Some((2, "b", "(the end)")));
    }

    #[test]
    fn white_space_at_the_ends_is_dropped() {
        assert_eq!(normal("a  \n\n b\n\n\n"), "a\n\n b\n");
    }
}
