//! `cargo xtask prove properties`: the properties over random histories with more cases than the
//! tests have, from a seed of their own each time.
//!
//! `cargo xtask test` draws the same cases each time, so that a change fails for what it changes;
//! this is the command that looks for new ones.

use crate::tree::Tree;
use anyhow::{Context as _, Result, bail};
use std::time::{SystemTime, UNIX_EPOCH};

/// The variable from which the property tests take their seed.
pub(crate) const SEED: &str = "PROPTEST_RNG_SEED";

/// The variable from which they take how many cases to draw; each test has its own default.
const CASES: &str = "PROPTEST_CASES";

/// The crates that have properties.
const PACKAGES: &[&str] = &["orchestrator-core", "orchestrator-gateway"];

/// How many cases each property is tried with, and from which seed.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    cases: u32,
    seed: Option<u64>,
}

impl Asked {
    fn of(arguments: &[String]) -> Result<Self> {
        let mut asked = Self { cases: 10_000, seed: None };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let text =
                    arguments.next().with_context(|| format!("`{argument}` needs a number"))?;
                text.parse::<u64>().with_context(|| format!("`{text}` is no number"))
            };
            match argument.as_str() {
                "--cases" => asked.cases = number()?.try_into().context("too many cases")?,
                "--seed" => asked.seed = Some(number()?),
                other => bail!("`properties` takes [--cases N] [--seed S], not `{other}`"),
            }
        }
        Ok(asked)
    }
}

/// Runs the proof.
///
/// # Errors
/// When a property does not hold; the command that shows it again is printed.
pub(crate) fn run(tree: &Tree, arguments: &[String]) -> Result<()> {
    let Asked { cases, seed } = Asked::of(arguments)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = seed.unwrap_or_else(|| u64::from(now.subsec_nanos()) ^ now.as_secs());
    println!("properties with {cases} cases each, seed {seed}");
    let mut tests = tree.command("cargo");
    tests.args(["test", "--quiet", "--release", "--lib"]);
    tests.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    tests.env(SEED, seed.to_string()).env(CASES, cases.to_string());
    let status = tests.status().context("cannot start cargo test")?;
    if !status.success() {
        bail!("again with: cargo xtask prove properties --cases {cases} --seed {seed}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_and_seed_are_read_and_all_else_is_refused() {
        let asked = |words: &[&str]| {
            Asked::of(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(asked(&[]).unwrap(), Asked { cases: 10_000, seed: None });
        let both = asked(&["--cases", "5", "--seed", "7"]).unwrap();
        assert_eq!(both, Asked { cases: 5, seed: Some(7) });
        for wrong in [&["--cases"][..], &["--cases", "many"], &["--sede", "1"]] {
            assert!(asked(wrong).is_err(), "{wrong:?}");
        }
    }
}
