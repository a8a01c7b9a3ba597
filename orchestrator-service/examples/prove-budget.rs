//! `cargo xtask prove budget`: the long form of the proof that nothing is overspent, and
//! `cargo xtask prove load`: its calls against any gateway.

#[path = "../tests/overspend/proof/mod.rs"]
mod proof;

use anyhow::{Context as _, Result, bail};
use proof::{Load, Plan, Target, load, prove, serve};
use std::{env::Args, io::Write as _, iter::Skip};

fn main() -> Result<()> {
    if serve()? {
        return Ok(());
    }
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("budget") => budget(words),
        Some("load") => put_load(words),
        _ => bail!("there are two proofs: budget, load"),
    }
}

/// The value of a flag.
fn value(words: &mut Skip<Args>, flag: &str) -> Result<String> {
    words.next().with_context(|| format!("`{flag}` needs a value"))
}

fn budget(mut words: Skip<Args>) -> Result<()> {
    let worker = vec!["budget".to_owned()];
    let mut plan = Plan { seed: 1, calls: 10_000, processes: 4, worker, talks: true };
    let mut json = false;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--calls" => plan.calls = value(&mut words, &word)?.parse()?,
            "--seed" => plan.seed = value(&mut words, &word)?.parse()?,
            "--processes" => plan.processes = value(&mut words, &word)?.parse()?,
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

fn put_load(mut words: Skip<Args>) -> Result<()> {
    let (mut url, mut key, mut model) = (None, "key".to_owned(), None);
    let mut what = Load {
        seed: 1,
        calls: 5_000,
        at_once: 32,
        budget: "2".parse()?,
        upstream: ([127, 0, 0, 1], 0).into(),
        target: Target::Front,
    };
    let mut json = false;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--calls" => what.calls = value(&mut words, &word)?.parse()?,
            "--seed" => what.seed = value(&mut words, &word)?.parse()?,
            "--at-once" => what.at_once = value(&mut words, &word)?.parse()?,
            "--budget" => what.budget = value(&mut words, &word)?.parse()?,
            "--upstream" => what.upstream = value(&mut words, &word)?.parse()?,
            "--gateway" => url = Some(value(&mut words, &word)?),
            "--key" => key = value(&mut words, &word)?,
            "--model" => model = Some(value(&mut words, &word)?),
            "--no-gateway" => {
                what.target = Target::Other { url: None, key: key.clone(), model: None };
            }
            "--json" => json = true,
            _ => bail!("there is no argument `{word}`"),
        }
    }
    if let Some(url) = url {
        if what.upstream.port() == 0 {
            bail!(
                "`--gateway` needs `--upstream ADDRESS:PORT`, where that gateway finds its provider"
            );
        }
        what.target = Target::Other { url: Some(url), key, model };
    }
    let loaded = load(&what)?;
    let line = if json { serde_json::to_string(&loaded)? } else { loaded.line() };
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
