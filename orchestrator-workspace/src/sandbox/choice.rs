//! The strongest sandbox that proves itself here.

use super::{Confinement, Landlock, Network, Sandbox, SandboxError};
use std::path::{Path, PathBuf};

/// The strongest sandbox of this system that holds, as it is tried with a private network and with
/// one that has a gateway: Landlock in namespaces of its own, else in those of the `bubblewrap` given.
///
/// `launcher` is a program that calls [`launch_if_asked`](super::launch_if_asked) first.
///
/// # Errors
/// [`SandboxError`] of the first of them when none holds: nothing is run unconfined instead, nor
/// [without namespaces](Landlock::without_namespaces).
pub fn auto(
    launcher: &Path,
    bubblewrap: Option<PathBuf>,
) -> Result<Box<dyn Sandbox>, SandboxError> {
    let native = Landlock::new(launcher);
    let first = match holds(&native) {
        Ok(()) => return Ok(Box::new(native)),
        Err(error) => error,
    };
    let wrapped = bubblewrap.map(|program| Landlock::new(launcher).in_bubblewrap(program));
    match wrapped.filter(|wrapped| holds(wrapped).is_ok()) {
        Some(wrapped) => Ok(Box::new(wrapped)),
        None => Err(first),
    }
}

fn holds(sandbox: &Landlock) -> Result<(), SandboxError> {
    for network in [Network::None, Network::Gateway(65_000)] {
        sandbox.prove(&Confinement { network, ..Confinement::default() })?;
    }
    Ok(())
}
