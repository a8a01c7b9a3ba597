//! A log file that several processes write, and that is begun anew when it has grown.
//!
//! Each line is one write at the end of the file, so lines of several processes do not mix. Whoever
//! finds the file too large renames it, under a lock beside it, and so do its elders move on; the
//! others see that the name leads elsewhere before their next line and follow. A line that is
//! written in that very moment is in the renamed file: none is lost but with the oldest file.

use super::Notice;
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// A log file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    rotate_size: u64,
    keep: u32,
    notice: Notice,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    /// Whether it was told that lines are lost.
    told: bool,
    /// Whether the last line was not written to its end.
    is_torn: bool,
}

impl LogFile {
    /// The log file at `path`; it is made with its first line. Of those that were full the last
    /// `keep` stay, as `path.1` to `path.N`.
    pub fn new(path: PathBuf, rotate_size: u64, keep: u32, notice: Notice) -> Self {
        Self { path, rotate_size, keep, notice, state: Mutex::default() }
    }

    /// Adds a line, which holds its own end. What cannot be written is told once and then lost.
    pub fn write(&self, line: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match self.add(&mut state, line) {
            Ok(()) => state.told = false,
            Err(error) => {
                state.file = None;
                if !std::mem::replace(&mut state.told, true) {
                    let path = self.path.display();
                    let what = format!("the log is not written to `{path}`: {error}");
                    self.notice.tell(&what);
                }
            }
        }
    }

    fn add(&self, state: &mut State, line: &[u8]) -> io::Result<()> {
        if state.file.as_ref().is_some_and(|file| !is_at(file, &self.path)) {
            state.file = None;
        }
        if let Some(file) = &state.file
            && file.metadata()?.len().saturating_add(line.len() as u64) > self.rotate_size
            && file.metadata()?.len() > 0
        {
            self.rotate(file)?;
            state.file = None;
        }
        let file = match state.file.take() {
            Some(file) => file,
            None => open(&self.path)?,
        };
        let mut whole = Vec::with_capacity(line.len() + 1);
        if state.is_torn {
            whole.push(b'\n');
        }
        whole.extend_from_slice(line);
        state.is_torn = true;
        // One call: what is appended at once stays together.
        let written = (&file).write(&whole)?;
        if written < whole.len() {
            (&file).write_all(&whole[written..])?;
        }
        state.is_torn = false;
        state.file = Some(file);
        Ok(())
    }

    /// Moves the full `file` and its elders on, unless somebody is at it or has done so already.
    fn rotate(&self, file: &File) -> io::Result<()> {
        let lock = open(&self.named("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            // Whoever has it renames the file, and this line may still go to the old one.
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !is_at(file, &self.path) {
            return Ok(());
        }
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        let aged = |age: u32| self.named(&age.to_string());
        // Up to the first gap: what lies beyond it is not in the way.
        let last = (1..self.keep).take_while(|age| aged(*age).exists()).last().unwrap_or(0);
        for age in (1..=last).rev() {
            fs::rename(aged(age), aged(age + 1))?;
        }
        fs::rename(&self.path, self.named("1"))
    }

    fn named(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(self.path.as_os_str());
        name.push(".");
        name.push(suffix);
        name.into()
    }
}

/// The file at `path`, made with its directory when it is not there.
fn open(path: &Path) -> io::Result<File> {
    match append_to(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            append_to(path)
        }
        opened => opened,
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Whether `path` leads to `file`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(own), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

/// Elsewhere an open file is not renamed, so the name leads to it.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    fn lines(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_full_file_makes_room_and_the_oldest_goes() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        let file = LogFile::new(path.clone(), 10, 2, Notice::default());
        for line in ["one 1\n", "two 2\n", "three\n", "four4\n"] {
            file.write(line.as_bytes());
        }
        assert_eq!(lines(&path), ["four4"]);
        assert_eq!(lines(&place.path().join("log.1")), ["three"]);
        assert_eq!(lines(&place.path().join("log.2")), ["two 2"]);
        assert!(!place.path().join("log.3").exists());
    }

    #[test]
    fn writers_at_once_lose_and_tear_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = path.clone();
                scope.spawn(move || {
                    // Each has a file of its own, as processes do.
                    let file = LogFile::new(path, 2_000, 1_000, Notice::default());
                    for number in 0..250 {
                        file.write(format!("{writer} {number} end\n").as_bytes());
                    }
                });
            }
        });
        assert!(place.path().join("log.1").exists(), "it was begun anew");
        let mut found: Vec<String> = Vec::new();
        for entry in fs::read_dir(place.path()).unwrap() {
            found.extend(lines(&entry.unwrap().path()));
        }
        found.sort();
        let mut expected: Vec<String> = (0..4)
            .flat_map(|writer| (0..250).map(move |number| format!("{writer} {number} end")))
            .collect();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_cannot_be_written_is_told_once_and_again_after_it_could() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("directory");
        fs::write(&directory, "in the way").unwrap();
        let told = Arc::new(AtomicU32::new(0));
        let count = told.clone();
        let notice = Notice::new(move |what| {
            assert!(what.contains("the log is not written to"), "{what}");
            count.fetch_add(1, Ordering::Relaxed);
        });
        let file = LogFile::new(directory.join("log"), 1_000, 1, notice);
        file.write(b"lost\n");
        file.write(b"lost\n");
        assert_eq!(told.load(Ordering::Relaxed), 1);
        fs::remove_file(&directory).unwrap();
        file.write(b"kept\n");
        assert_eq!(lines(&directory.join("log")), ["kept"]);
        fs::remove_dir_all(&directory).unwrap();
        fs::write(&directory, "in the way again").unwrap();
        file.write(b"lost\n");
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }
}
