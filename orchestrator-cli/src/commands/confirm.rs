//! Asking before something cannot be taken back. Only ever on a terminal: nothing else can answer.

use crate::output::Console;
use std::io::{BufRead, IsTerminal, Write};

/// Whether there is somebody to ask.
pub(super) fn can_ask(console: &Console) -> bool {
    console.err.terminal && !console.json && std::io::stdin().is_terminal()
}

/// Asks; anything but a yes is a no.
pub(super) fn ask(question: &str) -> bool {
    let mut err = std::io::stderr().lock();
    if write!(err, "{question} [y/N] ").and_then(|()| err.flush()).is_err() {
        return false;
    }
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
