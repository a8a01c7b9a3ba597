//! `cargo xtask prove flip`: every byte of the log's rows, and many bits anywhere.

#[path = "../tests/flip/stores.rs"]
mod stores;

use anyhow::{Context as _, Result, anyhow, bail};
use orchestrator_testkit::flip::{Plan, prove};
use std::io::Write as _;

fn main() -> Result<()> {
    let (mut flips, mut seed, mut from, mut most, mut json) = (5_000, 1, 0, u64::MAX, false);
    let mut which = None;
    let mut words = std::env::args().skip(1).filter(|word| word != "flip");
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("`{word}` needs a value"));
        match word.as_str() {
            "--flips" => flips = value()?.parse()?,
            "--seed" => seed = value()?.parse()?,
            "--from" => from = value()?.parse()?,
            "--most" => most = value()?.parse()?,
            "--store" => which = Some(value()?),
            "--json" => json = true,
            _ => bail!("there is no argument `{word}`"),
        }
    }
    let place = tempfile::tempdir()?;
    let of_store = |error: Box<dyn std::error::Error>| anyhow!("{error}");
    let (closed, open) = stores::make(place.path()).map_err(of_store)?;
    let mut out = std::io::stdout();
    let mut failures = 0;
    for (name, store) in [("closed", closed), ("open", open)] {
        if which.as_ref().is_some_and(|which| which != name) {
            continue;
        }
        let parts = match name {
            "closed" => stores::rows(&store).map_err(of_store)?,
            _ => Vec::new(),
        };
        let plan = Plan { store, parts, step: 1, anywhere: flips, seed, from, most };
        let (figures, unnoticed) = prove(&plan, stores::open).map_err(|error| anyhow!(error))?;
        for found in &unnoticed {
            writeln!(
                out,
                "FAILED `{}` byte {} bit {}: {}\n  again: cargo xtask prove flip --store {name} \
                 --flips {flips} --seed {seed} --from {} --most 1",
                found.file.display(),
                found.at,
                found.bit,
                found.what,
                found.number
            )?;
        }
        failures += unnoticed.len();
        let line = if json { serde_json::to_string(&figures)? } else { figures.line() };
        writeln!(out, "{name} store: {line}")?;
    }
    if failures > 0 {
        bail!("flip: {failures} flips went unnoticed or were taken badly");
    }
    Ok(())
}
