//! Measuring in a process of its own: a benchmark starts itself again in another role, and the child
//! says on its standard output when it is where it has to be.
#![expect(clippy::print_stdout, reason = "a child speaks to its parent on standard output")]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// The variable that names the role of a child.
const ROLE: &str = "ORCHESTRATOR_BENCH_ROLE";

/// The role of this process, and the directory it was given; `None` for the benchmark itself.
pub fn role() -> Option<(String, std::path::PathBuf)> {
    let role = std::env::var(ROLE).ok()?;
    let (role, directory) = role.split_once('|')?;
    Some((role.to_owned(), directory.into()))
}

/// Says a word to the parent.
pub fn say(word: &str) {
    println!("{word}");
    let _ = std::io::stdout().flush();
}

/// A process in another role.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    says: BufReader<ChildStdout>,
    began: Instant,
}

impl Child {
    /// Starts this program in the role of that name, with a directory to work in.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(role: &str, directory: &Path) -> Self {
        let program = std::env::current_exe().expect("a program has a name");
        let began = Instant::now();
        let mut process = Command::new(program)
            .env(ROLE, format!("{role}|{}", directory.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let says = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, says, began }
    }

    /// Its memory.
    pub fn memory(&self) -> Memory {
        Memory::of(self.process.id())
    }

    /// Waits for the next line; what it says, and how long after the start of the process.
    ///
    /// # Panics
    /// When the child has ended.
    pub fn hear(&mut self) -> (String, Duration) {
        let mut line = String::new();
        let read = self.says.read_line(&mut line).expect("it can be read");
        let took = self.began.elapsed();
        assert!(read > 0, "the child ended without a word");
        (line.trim().to_owned(), took)
    }

    /// Kills it as a crash would.
    ///
    /// # Panics
    /// When that is impossible.
    pub fn kill(mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it failed.
    pub fn finish(mut self) {
        assert!(self.process.wait().expect("it ends").success(), "the child failed");
    }
}

/// The memory of a process, in MB (10^6 bytes).
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// What it has now.
    pub resident: f64,
    /// Of that, what is not the pages of a file.
    pub anonymous: f64,
    /// The most it ever had.
    pub peak: f64,
}

impl Memory {
    /// As the system tells it.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    pub fn now() -> Self {
        Self::of(std::process::id())
    }

    /// The same of another process.
    ///
    /// # Panics
    /// Where there is no `/proc`, or no such process.
    pub fn of(process: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"));
        let status = status.expect("a Linux system, and a process");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kilobytes.map_or(0.0, |kilobytes: f64| kilobytes * 1_024.0 / 1e6)
        };
        Self { resident: field("VmRSS:"), anonymous: field("RssAnon:"), peak: field("VmHWM:") }
    }
}
