//! `cargo xtask prove landing`: the long form of the proof that what lands keeps a branch green.

#[path = "../tests/landing/proof/mod.rs"]
mod proof;

use anyhow::{Context as _, Result, bail};
use proof::{Plan, prove, serve};
use std::io::Write as _;

fn main() -> Result<()> {
    if serve()? {
        return Ok(());
    }
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() != Some("landing") {
        bail!("there is one proof: landing");
    }
    let worker = vec!["landing".to_owned()];
    let mut plan =
        Plan { seed: 1, rounds: 20, tasks: 20, processes: 4, kills: 6, worker, talks: true };
    let mut json = false;
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("`{word}` needs a value"));
        match word.as_str() {
            "--rounds" => plan.rounds = value()?.parse()?,
            "--seed" => plan.seed = value()?.parse()?,
            "--tasks" => plan.tasks = value()?.parse()?,
            "--processes" => plan.processes = value()?.parse()?,
            "--kills" => plan.kills = value()?.parse()?,
            "--json" => json = true,
            _ => bail!("there is no argument `{word}`"),
        }
    }
    if plan.rounds == 0 || plan.tasks == 0 || plan.processes == 0 {
        bail!("there must be rounds, tasks, and processes to do them");
    }
    let (figures, failures) = prove(&plan)?;
    let mut out = std::io::stdout();
    let told = if json { serde_json::to_string(&figures)? } else { figures.line() };
    writeln!(out, "{told}")?;
    if failures.is_empty() {
        return Ok(());
    }
    for failure in &failures {
        writeln!(out, "FAILED {failure}")?;
    }
    bail!("landing: {} failures", failures.len())
}
