//! Asking before something is done. Only ever on a terminal: nothing else can answer.

use crate::output::{Console, text};
use std::io::{BufRead, IsTerminal, Write};

/// Whether there is somebody to ask.
pub(super) fn can_ask(console: &Console) -> bool {
    console.err.terminal && !console.json && std::io::stdin().is_terminal()
}

/// Asks before something that cannot be taken back; anything but a yes is a no.
pub(super) fn ask(question: &str) -> bool {
    answer(&format!("{question} [y/N] ")).is_some_and(|answer| is_yes(&answer))
}

/// Asks before something harmless: an empty answer is a yes, the end of the input is a no.
pub(super) fn ask_unless_no(question: &str) -> bool {
    answer(&format!("{question} [Y/n] ")).is_some_and(|answer| answer.is_empty() || is_yes(&answer))
}

/// Asks for one of `names`, again until the answer is one; an empty answer is `usual`, the end of
/// the input is none.
pub(super) fn choose(question: &str, names: &[&str], usual: &str) -> Option<String> {
    loop {
        let given = answer(&format!("{question} [{usual}] "))?;
        if given.is_empty() {
            return Some(usual.to_owned());
        }
        if let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(&given)) {
            return Some((*name).to_owned());
        }
        // The question comes again, so this needs no more than the choices.
        let _ = writeln!(std::io::stderr(), "answer one of: {}", names.join(", "));
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes")
}

/// One line from the person, without the space around it; none at the end of the input.
fn answer(prompt: &str) -> Option<String> {
    let mut err = std::io::stderr().lock();
    write!(err, "{}", text::presentable(prompt, false)).and_then(|()| err.flush()).ok()?;
    let mut answer = String::new();
    match std::io::stdin().lock().read_line(&mut answer) {
        Ok(0) | Err(_) => {
            // Nobody ended the line of the question.
            let _ = writeln!(err);
            None
        }
        Ok(_) => Some(answer.trim().to_owned()),
    }
}
