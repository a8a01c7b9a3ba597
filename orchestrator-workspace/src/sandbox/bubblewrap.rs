//! The namespaces and mounts of a confined program as bubblewrap is told to make them.

use super::{Network, order::Order, scratch};
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// What `bwrap` is told before the program that it starts. Paths are those of the kernel.
pub(super) fn arguments(order: &Order, program: &OsStr) -> Vec<OsString> {
    let confinement = &order.confinement;
    let mut told = Told::default();
    for flag in ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--die-with-parent"] {
        told.0.push(flag.into());
    }
    if confinement.network != Network::All {
        told.0.push("--unshare-net".into());
    }
    told.bind("--ro-bind", Path::new("/"));
    told.0.extend(["--dev", "/dev", "--proc", "/proc"].map(OsString::from));
    let kept = scratch::kept(order, program);
    let places = scratch::emptied(order);
    for place in &places {
        told.0.extend(["--size".into(), scratch::bytes(order).to_string().into()]);
        told.0.extend(["--perms".into(), "1777".into()]);
        told.mask(place);
    }
    for place in scratch::writable(order, &kept) {
        told.0.extend(["--dir".into(), place.into()]);
    }
    confinement.hidden.iter().for_each(|path| told.mask(path));
    let below = |path: &Path, place: &Path| path.starts_with(place) && path != place;
    let is_covered = |path: &&PathBuf| {
        places.iter().any(|place| below(path, place))
            || confinement.hidden.iter().any(|hidden| below(path, hidden))
    };
    let readable: Vec<_> = kept.iter().filter(is_covered).collect();
    readable.iter().filter(|path| path.exists()).for_each(|path| told.bind("--ro-bind", path));
    confinement.writable.iter().for_each(|path| told.bind("--bind", path));
    // What was put back may hold something hidden again, and in that something writable.
    let back: Vec<_> = readable.iter().copied().chain(&confinement.writable).collect();
    for path in &confinement.hidden {
        if back.iter().any(|back| path.starts_with(back)) {
            told.mask(path);
            let inner = confinement.writable.iter().filter(|inner| inner.starts_with(path));
            inner.for_each(|path| told.bind("--bind", path));
        }
    }
    for path in confinement.hidden.iter().filter(|path| path.is_dir()) {
        told.0.extend(["--remount-ro".into(), path.into()]);
    }
    for path in confinement.protected.iter().filter(|path| path.exists()) {
        told.bind("--ro-bind", path);
    }
    told.0.push("--".into());
    told.0
}

#[derive(Default)]
struct Told(Vec<OsString>);

impl Told {
    fn bind(&mut self, how: &str, path: &Path) {
        self.0.extend([how.into(), path.into(), path.into()]);
    }

    /// Something empty in the place of what is there.
    fn mask(&mut self, path: &Path) {
        match path.symlink_metadata() {
            Ok(kind) if kind.is_dir() => self.0.extend(["--tmpfs".into(), path.into()]),
            Ok(_) => self.0.extend(["--ro-bind".into(), "/dev/null".into(), path.into()]),
            Err(_) => {}
        }
    }
}
