//! A real file system that is too small, where one can be mounted.

use super::{
    Broken, Flow, Product, Project, failed,
    fault::{Kind, expect_clear},
    journal::Journal,
    orphans,
    outcome::{self, EXECUTE, Outcome, WAITS},
    rules,
};
use std::{path::Path, process::Command};

/// The size at which every workflow here has room, in pages of 4 KiB.
const ENOUGH: u64 = 4_096;

/// Runs `flow` on file systems in memory of `pages` sizes, from one page up by `step`, each full at
/// another moment; gives each room and sees its run through. Returns how many were full, or why no
/// file system could be mounted.
///
/// # Errors
/// A rule that does not hold.
pub fn small_disk(
    product: &Product,
    flow: &Flow,
    pages: u64,
    step: u64,
) -> Result<Result<u64, String>, Broken> {
    let (expected, _) = outcome::reference(product, flow)?;
    let mut full = 0;
    for size in (1..=pages).step_by(usize::try_from(step.max(1)).unwrap_or(1)) {
        let kept = tempfile::tempdir().map_err(failed("make a directory"))?;
        let place = kept.path().join("project");
        let project = Project::within(product, flow, &place)?;
        let state = project.state();
        std::fs::create_dir_all(&state).map_err(failed("make the state directory"))?;
        let disk = match Disk::mount(&state, size) {
            Ok(disk) => disk,
            Err(why) => return Ok(Err(why)),
        };
        let result = fill(&project, flow, &disk, &expected);
        full += u64::from(result.map_err(|b| b.during(format_args!("a disk of {size} pages")))?);
    }
    Ok(Ok(full))
}

/// Whether the disk was full.
fn fill(
    project: &Project,
    flow: &Flow,
    disk: &Disk<'_>,
    expected: &Outcome,
) -> Result<bool, Broken> {
    let ran = project.run(&EXECUTE)?;
    let ended_well = ran.code() == Some(flow.code) || ran.code() == Some(WAITS);
    if !ended_well {
        expect_clear(&ran.clone().expect(&[7])?, Kind::Room)?;
        if !ran.stderr.contains("space") {
            return Err(ran.broken("does not say that the disk is full"));
        }
    }
    orphans::expect_none(project, "on a full disk")?;
    disk.resize(ENOUGH)?;
    let printed = Journal::printed(&ran)?;
    Journal::stored(project)?.expect_all_of(&printed, "was printed")?;
    outcome::see_through(project, flow, |_| Ok(()))?;
    let stored = Journal::stored(project)?;
    stored.expect_all_of(&printed, "was printed")?;
    rules::check(project, &stored)?;
    expected.expect(&Outcome::of(project, &stored)?)?;
    Ok(!ended_well)
}

/// A mounted file system; it is unmounted when this is dropped.
struct Disk<'a> {
    place: &'a Path,
}

impl<'a> Disk<'a> {
    fn mount(place: &'a Path, pages: u64) -> Result<Self, String> {
        let options = format!("size={}k,mode=0700", pages * 4);
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place))?;
        Ok(Self { place })
    }

    fn resize(&self, pages: u64) -> Result<(), Broken> {
        let options = format!("remount,size={}k", pages * 4);
        run(Command::new("mount").args(["-o", &options]).arg(self.place)).map_err(Broken::new)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Lazily: it goes when the last who uses it has gone.
        let _ = run(Command::new("umount").arg("-l").arg(self.place));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let ran = command.output().map_err(|error| format!("cannot run `mount`: {error}"))?;
    if ran.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&ran.stderr).trim().to_owned())
}
