//! What the program sees of the disk: mounts of its own, over what it must not see or change.

use super::{During, Step};
use crate::sandbox::{order::Order, scratch};
use rustix::{
    fs::{CWD, StatVfsMountFlags, statvfs},
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind,
        mount_bind_recursive, mount_change, mount_remount, move_mount, open_tree,
    },
};
use std::{
    ffi::{CString, OsString},
    fs,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::{Path, PathBuf},
};

/// Puts something else in the place of what is hidden, read-only mounts over what is protected, and
/// empty places for temporary files.
pub(super) fn veil(order: &Order, kept: &[PathBuf]) -> Step {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .during("keep mounts apart")?;
    if order.within.processes {
        // Some containers do not let a new one be made. Landlock keeps the processes of others
        // closed in the old one as well; what is left to see is their names.
        let _ = mount("proc", "/proc", "proc", flags() | MountFlags::NOEXEC, None);
    }
    let confinement = &order.confinement;
    let most = scratch::bytes(order);
    for place in scratch::emptied(order) {
        cover_directory(place, kept, &format!("size={most},nr_inodes=200k,mode=1777"))?;
    }
    for place in scratch::writable(order, kept).iter().filter(|place| !place.exists()) {
        fs::create_dir(place).during("make a place for temporary files")?;
    }
    // Sorted, so what lies above comes first.
    for path in &confinement.hidden {
        match path.symlink_metadata() {
            Ok(kind) if kind.is_dir() => cover_directory(path, kept, "size=64k,mode=0755")?,
            Ok(_) => mount_bind("/dev/null", path.as_path())
                .during(&format!("hide {}", path.display()))?,
            // It is not there, or not for this user.
            Err(_) => {}
        }
    }
    // What is writable becomes a mount of its own, and every other one read-only: so the attributes
    // of files, of which Landlock knows nothing, stay as they are, too.
    for path in &confinement.writable {
        mount_bind_recursive(path.as_path(), path.as_path())
            .during(&format!("keep {} writable", path.display()))?;
    }
    let is_writable = |place: &Path| {
        scratch::emptied(order).contains(&place)
            || confinement.writable.iter().any(|path| place.starts_with(path))
    };
    for place in mounted()?.iter().filter(|place| !is_writable(place)) {
        match read_only(place) {
            // It is hidden below another one, or not for this user.
            Ok(()) | Err(Errno::NOENT | Errno::INVAL | Errno::ACCESS | Errno::NOTDIR) => {}
            Err(error) => return Err(format!("cannot protect {}: {error}", place.display())),
        }
    }
    for path in confinement.protected.iter().filter(|path| path.exists()) {
        mount_bind_recursive(path.as_path(), path.as_path())
            .and_then(|()| read_only(path))
            .during(&format!("protect {}", path.display()))?;
    }
    Ok(())
}

/// Where something is mounted.
fn mounted() -> Step<Vec<PathBuf>> {
    let table = fs::read("/proc/self/mountinfo").during("see what is mounted")?;
    let lines = table.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let places = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    Ok(places.map(|place| PathBuf::from(OsString::from_vec(unescaped(place)))).collect())
}

/// In the table blanks and the like are written as a backslash and three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).filter(|_| *first == b'\\');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(3..).unwrap_or_default() } else { tail };
    }
    plain
}

fn flags() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV
}

/// Mounts an empty directory over `place`, in which what is `kept` below it appears again.
fn cover_directory(place: &Path, kept: &[PathBuf], options: &str) -> Step {
    let below = |path: &&PathBuf| path.starts_with(place) && path.as_path() != place;
    let mut saved: Vec<(&PathBuf, bool, OwnedFd)> = Vec::new();
    for path in kept.iter().filter(below).filter(|path| path.exists()) {
        // It comes back with what is above it.
        if saved.iter().any(|(above, ..)| path.starts_with(above)) {
            continue;
        }
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        let tree =
            open_tree(CWD, path.as_path(), flags).during(&format!("take up {}", path.display()))?;
        saved.push((path, path.is_dir(), tree));
    }
    let options = CString::new(options).during("name options of a mount")?;
    mount("tmpfs", place, "tmpfs", flags(), options.as_c_str())
        .during(&format!("empty {}", place.display()))?;
    for (path, is_dir, tree) in saved {
        let made = if is_dir {
            fs::create_dir_all(path)
        } else {
            let parent = path.parent().unwrap_or(place);
            fs::create_dir_all(parent).and_then(|()| fs::File::create(path).map(drop))
        };
        made.during(&format!("make a place for {}", path.display()))?;
        move_mount(tree, "", CWD, path.as_path(), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .during(&format!("put {} back", path.display()))?;
    }
    Ok(())
}

/// Makes the mount at `path` read-only here.
fn read_only(path: &Path) -> rustix::io::Result<()> {
    // What an outer user set may not be lifted, so it is said again.
    let now = statvfs(path)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    for (is_set, flag) in [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        flags.set(flag, now.contains(is_set));
    }
    mount_remount(path, flags, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_table_of_mounts_are_read_back() {
        assert_eq!(unescaped(br"/a\040b\134c"), br"/a b\c");
        assert_eq!(unescaped(br"/plain\"), br"/plain\");
    }
}
