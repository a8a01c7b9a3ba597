//! `cargo xtask prove kill|disk|fsync|power`: the long forms of the proofs on the real program.

use anyhow::{Context as _, Result, bail};
use orchestrator_testkit::process::{
    Failure, Product, fault, fault::Kind, kill, select, small_disk,
};
use std::{io::Write as _, path::PathBuf};

/// What the command line says.
#[derive(Debug, Default)]
struct Arguments {
    binary: Option<PathBuf>,
    rounds: Option<u64>,
    places: Option<u64>,
    at: Option<u64>,
    lasts: Option<u64>,
    seed: u64,
    flows: Vec<String>,
    json: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut parsed = Self { seed: 1, ..Self::default() };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--binary" => parsed.binary = Some(value()?.into()),
                "--rounds" => parsed.rounds = Some(value()?.parse()?),
                "--places" => parsed.places = Some(value()?.parse()?),
                "--at" => parsed.at = Some(value()?.parse()?),
                "--lasts" => parsed.lasts = Some(value()?.parse()?),
                "--seed" => parsed.seed = value()?.parse()?,
                "--flows" => parsed.flows = value()?.split(',').map(str::to_owned).collect(),
                "--json" => parsed.json = true,
                _ => bail!("there is no argument `{word}`"),
            }
        }
        Ok(parsed)
    }
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let what = words.next().context("which proof: kill, disk, fsync or power?")?;
    let arguments = Arguments::parse(words)?;
    let binary = arguments.binary.clone().context("`--binary FILE` names the program")?;
    let product = Product::new(binary.canonicalize().context("the program is not there")?);
    let failures = match what.as_str() {
        "kill" => prove_kill(product, &arguments)?,
        "disk" => prove_fault(product, Kind::Room, &arguments)?,
        "fsync" => prove_fault(product, Kind::Sync, &arguments)?,
        "power" => prove_fault(product, Kind::Power, &arguments)?,
        _ => bail!("there is no proof `{what}`; there are kill, disk, fsync and power"),
    };
    if failures.is_empty() {
        return Ok(());
    }
    for failure in &failures {
        say(&format!("FAILED {}\n  again: cargo xtask prove {}", failure.broken, failure.again))?;
    }
    bail!("{what}: {} failures", failures.len())
}

fn prove_kill(product: Product, arguments: &Arguments) -> Result<Vec<Failure>> {
    let (figures, failures) = kill::prove(&kill::Plan {
        product,
        flows: select(&arguments.flows)?,
        rounds: arguments.rounds.unwrap_or(200),
        seed: arguments.seed,
        talks: true,
    })?;
    say(&if arguments.json { figures.json()?.to_string() } else { figures.line() })?;
    Ok(failures)
}

fn prove_fault(product: Product, kind: Kind, arguments: &Arguments) -> Result<Vec<Failure>> {
    let work = std::env::current_exe()?.parent().context("a directory")?.join("prove");
    let (figures, failures) = fault::prove(&fault::Plan {
        product: product.clone(),
        kind,
        flows: select(&arguments.flows)?,
        places: arguments.places,
        only: arguments.at,
        lasts: arguments.lasts,
        seed: arguments.seed,
        work,
        talks: true,
    })?;
    say(&if arguments.json { figures.json()?.to_string() } else { figures.line(kind) })?;
    if kind == Kind::Room && arguments.at.is_none() {
        let flow = select(&["chain".to_owned()])?[0];
        match small_disk(&product, flow, 64, 1)? {
            Ok(full) => say(&format!("disk: {full} real file systems were full"))?,
            Err(why) => say(&format!("disk: not run on a real file system: {why}"))?,
        }
    }
    Ok(failures)
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
