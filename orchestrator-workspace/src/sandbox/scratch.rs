//! Places for temporary files, which are empty for each program, and what stays visible in them.

use super::{Reads, order::Order};
use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// Where programs put what they need for a while.
const PLACES: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
/// What a place that holds something else has for temporary files.
const INNER: &str = "orchestrator";
/// How much may lie in a place when nothing is said of the size of files.
const USUAL_BYTES: u64 = 1 << 30;

/// The places that are emptied. One that is a link leads to another of them, and who names one, or
/// what is above it, as writable wants it as it is.
pub(super) fn emptied(order: &Order) -> Vec<&'static Path> {
    let is_wanted = |place: &Path| {
        place.canonicalize().is_ok_and(|real| real == place && real.is_dir())
            && !order.confinement.writable.iter().any(|path| place.starts_with(path))
    };
    PLACES.iter().map(Path::new).filter(|place| is_wanted(place)).collect()
}

/// The directories for temporary files: the places themselves, or one in each in which something
/// that may only be read is visible. What is writable is so with all below it.
pub(super) fn writable(order: &Order, kept: &[PathBuf]) -> Vec<PathBuf> {
    let is_writable =
        |path: &Path| order.confinement.writable.iter().any(|above| path.starts_with(above));
    let inner = |place: &Path| {
        let shows = |path: &&PathBuf| path.starts_with(place) && path.as_path() != place;
        kept.iter().filter(shows).any(|path| path.is_dir() && !is_writable(path))
    };
    let places = emptied(order).into_iter();
    places.map(|place| if inner(place) { place.join(INNER) } else { place.to_owned() }).collect()
}

/// How much may lie in each place.
pub(super) fn bytes(order: &Order) -> u64 {
    order.confinement.limits.file_size.unwrap_or(USUAL_BYTES)
}

/// What stays visible when what is above it is emptied, from above to below.
pub(super) fn kept(order: &Order, program: &OsStr) -> Vec<PathBuf> {
    let confinement = &order.confinement;
    let mut all = confinement.writable.clone();
    all.push(order.directory.clone());
    let mut readable: Vec<PathBuf> = order.relay.clone().into_iter().collect();
    if let Reads::Only(paths) = &confinement.reads {
        readable.extend(paths.iter().cloned());
    } else {
        // Programs may be anywhere; they are for running, wherever they lie.
        readable.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        readable.push(program.into());
    }
    readable.extend(confinement.visible.iter().cloned());
    readable.extend(env::current_exe());
    let real =
        readable.iter().filter(|path| path.is_absolute()).flat_map(|path| path.canonicalize());
    all.extend(real.filter(|path| !confinement.hidden.iter().any(|hid| path.starts_with(hid))));
    all.sort();
    all.dedup();
    all
}
