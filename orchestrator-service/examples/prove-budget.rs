//! `cargo xtask prove budget`: the long form of the proof that nothing is overspent.

#[path = "../tests/overspend/proof/mod.rs"]
mod proof;

use anyhow::{Context as _, Result, bail};
use proof::{Plan, prove, serve};
use std::io::Write as _;

fn main() -> Result<()> {
    if serve()? {
        return Ok(());
    }
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("budget") => {}
        _ => bail!("there is one proof: budget"),
    }
    let worker = vec!["budget".to_owned()];
    let mut plan = Plan { seed: 1, calls: 10_000, processes: 4, worker, talks: true };
    let mut json = false;
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("`{word}` needs a value"));
        match word.as_str() {
            "--calls" => plan.calls = value()?.parse()?,
            "--seed" => plan.seed = value()?.parse()?,
            "--processes" => plan.processes = value()?.parse()?,
            "--json" => json = true,
            _ => bail!("there is no argument `{word}`"),
        }
    }
    if plan.calls == 0 || plan.processes == 0 {
        bail!("there must be calls, and processes to make them");
    }
    let (figures, failures) = prove(&plan)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", if json { figures.json()? } else { figures.line() })?;
    if failures.is_empty() {
        return Ok(());
    }
    for failure in &failures {
        writeln!(out, "FAILED {failure}")?;
    }
    let Plan { seed, calls, processes, .. } = plan;
    bail!(
        "budget: {} failures; again: cargo xtask prove budget --seed {seed} --calls {calls} \
         --processes {processes}",
        failures.len()
    )
}
