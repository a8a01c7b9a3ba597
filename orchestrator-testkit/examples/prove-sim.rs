//! `cargo xtask prove sim|crash|faults`: the long forms of the proofs in the simulator.

use anyhow::{Context as _, Result, bail};
use orchestrator_testkit::{
    sim::{Construct, Proof, Simulation, Times, campaign, every_crash, every_fault},
    workflows::{self, Reference},
};
use std::{io::Write as _, sync::Mutex};

/// What the command line says.
#[derive(Debug)]
struct Arguments {
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    trace: bool,
    alone: bool,
    json: bool,
    without: Vec<Construct>,
    flows: Vec<String>,
    at: Option<u64>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut parsed = Self {
            seeds: 20_000,
            from: 0,
            seed: None,
            trace: false,
            alone: false,
            json: false,
            without: Vec::new(),
            flows: Vec::new(),
            at: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--seeds" => parsed.seeds = value()?.parse()?,
                "--from" => parsed.from = value()?.parse()?,
                "--seed" => parsed.seed = Some(value()?.parse()?),
                "--at" => parsed.at = Some(value()?.parse()?),
                "--trace" => parsed.trace = true,
                "--alone" => parsed.alone = true,
                "--json" => parsed.json = true,
                "--flows" => parsed.flows = value()?.split(',').map(str::to_owned).collect(),
                "--without" => {
                    for name in value()?.split(',') {
                        let construct = Construct::from_name(name);
                        parsed.without.push(construct.with_context(|| {
                            let all = Construct::ALL.map(Construct::as_str).join(", ");
                            format!("`{name}` is none of {all}")
                        })?);
                    }
                }
                _ => bail!("there is no argument `{word}`"),
            }
        }
        Ok(parsed)
    }

    fn simulation(&self, seed: u64) -> Simulation {
        self.without.iter().fold(Simulation::new(seed), |all, &construct| all.without(construct))
    }
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let what = words.next().context("which proof: sim, crash or faults?")?;
    let arguments = Arguments::parse(words)?;
    match what.as_str() {
        "sim" => match arguments.seed {
            Some(seed) => replay(&arguments, seed),
            None => simulate(&arguments),
        },
        "crash" => each(&arguments, "crash", every_crash),
        "faults" => each(&arguments, "faults", every_fault),
        _ => bail!("there is no proof `{what}`; there are sim, crash and faults"),
    }
}

/// One seed, with all that happened in it.
fn replay(arguments: &Arguments, seed: u64) -> Result<()> {
    let simulation = arguments.simulation(seed);
    let outcome = if arguments.alone { simulation.run_alone() } else { simulation.run() };
    if arguments.trace {
        say(outcome.trace.as_str())?;
    }
    for violation in &outcome.violations {
        say(&format!("BROKEN {violation}"))?;
    }
    if !outcome.violations.is_empty() {
        bail!("seed {seed}: {} promises broken", outcome.violations.len());
    }
    let (runs, crashes, lines) = (outcome.runs, outcome.crashes, outcome.trace.lines());
    say(&format!("seed {seed}: {runs} runs, {crashes} crashes, {lines} lines, nothing broken"))
}

fn simulate(arguments: &Arguments) -> Result<()> {
    let make = |seed| arguments.simulation(seed);
    let figures = campaign(arguments.from, arguments.seeds, Times::Once, make);
    if arguments.json {
        say(&serde_json::json!({
            "schema": "orchestrator.proof/v1", "proof": "sim", "seeds": figures.seeds,
            "runs": figures.runs, "crashes": figures.crashes, "calls": figures.calls,
            "performed": figures.performed, "recorded": figures.recorded,
            "virtual_seconds": figures.took.as_secs(), "failed": figures.failed.len(),
        })
        .to_string())?;
    } else {
        say(&format!("sim: {figures}"))?;
    }
    let without: Vec<&str> = arguments.without.iter().map(|construct| construct.as_str()).collect();
    let without = match without[..] {
        [] => String::new(),
        _ => format!(" --without {}", without.join(",")),
    };
    for (seed, what) in &figures.failed {
        let again = format!("cargo xtask prove sim --seed {seed} --trace{without}");
        say(&format!("FAILED {what}\n  again: {again}"))?;
    }
    if !figures.failed.is_empty() {
        bail!("sim: {} seeds failed", figures.failed.len());
    }
    Ok(())
}

/// A proof over the reference workflows, several at once.
fn each(
    arguments: &Arguments,
    what: &str,
    prove: fn(&orchestrator_testkit::sim::Job) -> Proof,
) -> Result<()> {
    let mut references = workflows::all();
    if !arguments.flows.is_empty() {
        references.retain(|reference| arguments.flows.iter().any(|name| name == reference.name));
    }
    if references.is_empty() {
        bail!("no reference workflow has that name");
    }
    let queue = Mutex::new(references.into_iter());
    let proofs: Mutex<Vec<(Reference, Proof)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(reference) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                    let proof = prove(&reference.job);
                    if let Ok(mut proofs) = proofs.lock() {
                        proofs.push((reference, proof));
                    }
                }
            });
        }
    });
    let mut proofs = proofs.into_inner().unwrap_or_default();
    proofs.sort_by_key(|(reference, _)| reference.name);
    let (mut points, mut tried, mut failed) = (0, 0, 0);
    for (reference, proof) in &proofs {
        points += proof.points;
        tried += proof.tried;
        failed += proof.failed.len();
        if !arguments.json {
            let (name, at, runs) = (reference.name, proof.points, proof.tried);
            say(&format!(
                "{what}: {name}: {at} points, {runs} runs, {} failed",
                proof.failed.len()
            ))?;
        }
        for point in &proof.failed {
            if arguments.at.is_some_and(|at| at != point.number) {
                continue;
            }
            if arguments.trace {
                say(point.replay(&reference.job).trace.as_str())?;
            }
            let at = format!("--flows {} --at {} --trace", reference.name, point.number);
            let again = format!("cargo xtask prove {what} {at}");
            let first = point.violations.first().map_or("", String::as_str);
            let (number, fate) = (point.number, point.fate);
            say(&format!("FAILED at point {number}, {fate:?}: {first}\n  again: {again}"))?;
        }
    }
    if arguments.json {
        say(&serde_json::json!({
            "schema": "orchestrator.proof/v1", "proof": what, "workflows": proofs.len(),
            "points": points, "runs": tried, "failed": failed,
        })
        .to_string())?;
    } else {
        let workflows = proofs.len();
        say(&format!(
            "{what}: {workflows} workflows, {points} points, {tried} runs, {failed} failed"
        ))?;
    }
    if failed > 0 {
        bail!("{what}: {failed} points failed");
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
