//! What confinement costs: the time of `true`, started with nothing around it and confined.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use orchestrator_workspace::sandbox::{Confinement, Network, auto, launch_if_asked};
use std::{
    error::Error,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const TIMES: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    launch_if_asked();
    let launcher =
        std::env::args_os().nth(1).map_or_else(std::env::current_exe, |path| Ok(path.into()))?;
    let sandbox = auto(&launcher, None)?;
    let gateway = Confinement { network: Network::Gateway(65_000), ..Confinement::default() };
    let credentials = Confinement::default().without_credentials(Path::new("/root"));
    let confined = |confinement: &Confinement| {
        sandbox.command("true".as_ref(), &[], Path::new("/"), confinement).map_err(Box::new)
    };
    for (name, mut command) in [
        ("unconfined", Command::new("true")),
        ("confined, no network", confined(&Confinement::default())?),
        ("confined, credentials hidden", confined(&credentials)?),
        ("confined, gateway alone", confined(&gateway)?),
    ] {
        println!("{name}: {:?}", median(&mut command)?);
    }
    Ok(())
}

fn median(command: &mut Command) -> Result<Duration, Box<dyn Error>> {
    let mut all = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let begun = Instant::now();
        if !command.status()?.success() {
            return Err("the program was not run".into());
        }
        all.push(begun.elapsed());
    }
    all.sort();
    Ok(all.get(TIMES / 2).copied().unwrap_or_default())
}
