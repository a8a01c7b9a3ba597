//! One bit of a store is flipped: then it says that it is damaged, or reads as before.
//!
//! [`fill`] puts into a store what a store can hold: an event of every kind, runs that an engine
//! drove to their end, blobs and rows. [`prove`] copies the closed store again and again, flips one
//! bit of one file, and reads it as a program would that opens it: verify, every event, replay,
//! every blob, every list. Whoever keeps the store gives the function that opens it.

mod content;
mod reading;

pub use content::fill;
pub use reading::Reading;

use fastrand::Rng;
use serde::Serialize;
use std::{
    fs, io,
    ops::Range,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// Which bits are flipped.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The closed store; it is not changed.
    pub store: PathBuf,
    /// A file of it and parts of which every `step`-th byte has one bit flipped.
    pub parts: Vec<(PathBuf, Range<usize>)>,
    /// 1 for every byte of the parts.
    pub step: usize,
    /// How many more are flipped anywhere in the files.
    pub anywhere: u64,
    /// Places and bits are drawn from it.
    pub seed: u64,
    /// The place of the first flip that counts; the ones before are passed over.
    pub from: u64,
    /// The most flips.
    pub most: u64,
}

/// What came of the flips.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// How many bits were flipped, one at a time.
    pub flips: u64,
    /// How often the store said that it is damaged.
    pub detected: u64,
    /// How often everything read as before.
    pub harmless: u64,
    /// How often the log and the blobs read as before and a row, which is made from the log and
    /// can be made again, did not.
    pub rows: u64,
    /// How long it took.
    pub seconds: f64,
}

/// A flip that was not noticed, or was taken badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnoticed {
    /// Which flip of the plan it was.
    pub number: u64,
    /// The file.
    pub file: PathBuf,
    /// The byte.
    pub at: usize,
    /// The bit.
    pub bit: u8,
    /// What came of it.
    pub what: String,
}

/// Flips the bits of `plan`. `open` opens the store in a directory and reads it; what it answers
/// in words counts as noticed.
///
/// # Errors
/// When the store cannot be read undamaged, or files cannot be copied.
pub fn prove(
    plan: &Plan,
    open: impl Fn(&Path) -> Result<Reading, String>,
) -> Result<(Figures, Vec<Unnoticed>), String> {
    let begin = Instant::now();
    let failed = |error: io::Error| format!("cannot copy the store: {error}");
    let files = load(&plan.store, Path::new("")).map_err(failed)?;
    let work = tempfile::tempdir().map_err(failed)?;
    let place = work.path().join("store");
    write(&place, &files).map_err(failed)?;
    let expected = open(&place)?;
    let mut rng = Rng::with_seed(plan.seed);
    let mut flips: Vec<(usize, usize, u8)> = Vec::new();
    for (name, part) in &plan.parts {
        let file = files.iter().position(|(path, _)| path == name);
        let file = file.ok_or_else(|| format!("there is no file `{}`", name.display()))?;
        flips.extend(part.clone().step_by(plan.step.max(1)).map(|at| (file, at, rng.u8(..8))));
    }
    let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    for _ in 0..plan.anywhere {
        let mut at = rng.usize(..total.max(1));
        let file = files.iter().position(|(_, bytes)| {
            let is_here = at < bytes.len();
            at -= if is_here { 0 } else { bytes.len() };
            is_here
        });
        flips.extend(file.map(|file| (file, at, rng.u8(..8))));
    }
    let panics = Panics::watch();
    let (mut figures, mut unnoticed) = (Figures::default(), Vec::new());
    for (number, (file, at, bit)) in (0..).zip(flips) {
        if number < plan.from || figures.flips >= plan.most {
            continue;
        }
        let mut harmed = files.clone();
        harmed[file].1[at] ^= 1 << bit;
        fs::remove_dir_all(&place).map_err(failed)?;
        write(&place, &harmed).map_err(failed)?;
        figures.flips += 1;
        let before = panics.count();
        let read = panic::catch_unwind(AssertUnwindSafe(|| open(&place)));
        let what = match read {
            _ if panics.count() > before => Some("a panic".to_owned()),
            Err(_) => Some("a panic".to_owned()),
            Ok(Err(said)) => {
                figures.detected += 1;
                (!is_clear(&said)).then(|| format!("it only said: {said}"))
            }
            Ok(Ok(found)) => match expected.differs(&found) {
                None if expected.rows == found.rows => {
                    figures.harmless += 1;
                    None
                }
                None => {
                    figures.rows += 1;
                    None
                }
                what => what,
            },
        };
        if let Some(what) = what {
            let file = files[file].0.clone();
            unnoticed.push(Unnoticed { number, file, at, bit, what });
        }
    }
    figures.seconds = begin.elapsed().as_secs_f64();
    Ok((figures, unnoticed))
}

/// Whether words tell a person that what is stored is not what was written.
fn is_clear(said: &str) -> bool {
    let said = said.to_lowercase();
    [
        "damage",
        "newer version",
        "another program",
        "not a readable",
        "checksum",
        "missing",
        "cannot replay",
    ]
    .iter()
    .any(|word| said.contains(word))
}

/// Counts panics on every thread as long as it lives.
struct Panics(Arc<AtomicU64>);

impl Panics {
    fn watch() -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        panic::set_hook(Box::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        Self(count)
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(panic::take_hook());
        }
    }
}

type Files = Vec<(PathBuf, Vec<u8>)>;

/// Every file below `dir`, by its path within it, in order. What only one process shares with
/// itself is left out: nobody copies it.
fn load(dir: &Path, within: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = within.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            files.extend(load(&entry.path(), &name)?);
        } else if !name.to_string_lossy().ends_with("-shm") {
            files.push((name, fs::read(entry.path())?));
        }
    }
    Ok(files)
}

fn write(dir: &Path, files: &Files) -> io::Result<()> {
    for (name, bytes) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        fs::write(path, bytes)?;
    }
    Ok(())
}

impl Figures {
    /// All of it in a line.
    pub fn line(&self) -> String {
        format!(
            "flip: {} bits flipped: {} detected, {} harmless, {} changed only a row that the log \
             makes again, in {:.1} s",
            self.flips, self.detected, self.harmless, self.rows, self.seconds
        )
    }
}
