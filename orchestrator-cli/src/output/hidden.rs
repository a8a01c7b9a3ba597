//! Asking at the terminal for what must not be seen.

use orchestrator_service::SecretString;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::{
    fs::File,
    io::{self, IsTerminal, Write},
};

/// What was typed.
#[derive(Debug)]
pub(crate) enum Typed {
    /// A line; perhaps an empty one.
    Line(SecretString),
    /// The end of the input.
    End,
    /// Ctrl-C.
    Interrupted,
}

/// How often somebody may fail to type the same twice.
const TRIES: usize = 3;
/// The most bytes of a line.
const LONGEST: usize = 64 << 10;

/// Whether there is somebody to ask. Standard input may be a pipe that the answer does not come
/// from; standard error is where a person is talked to.
pub(crate) fn can_ask() -> bool {
    io::stderr().is_terminal() && File::open("/dev/tty").is_ok()
}

/// Asks for a line that is not shown while it is typed.
///
/// # Errors
/// No terminal, or one that does not do as it is told.
pub(crate) fn ask(prompt: &str) -> io::Result<Typed> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let quiet = Quiet::new(terminal.try_clone()?)?;
    terminal.write_all(prompt.as_bytes())?;
    let typed = line(&terminal);
    // The end of the line that was not shown.
    let _ = terminal.write_all(b"\n");
    drop(quiet);
    typed
}

/// Asks twice for the same; none when nobody answers.
///
/// # Errors
/// As for [`ask`].
pub(crate) fn ask_twice(prompt: &str) -> io::Result<Typed> {
    for _ in 0..TRIES {
        let first = match ask(&format!("{prompt}: "))? {
            Typed::Line(line) => line,
            other => return Ok(other),
        };
        match ask("the same again: ")? {
            Typed::Line(line) if line == first => return Ok(Typed::Line(first)),
            Typed::Line(_) => {
                let _ = io::stderr().write_all(b"these are not the same\n");
            }
            other => return Ok(other),
        }
    }
    Ok(Typed::End)
}

/// Reads bytes up to the end of a line, as the terminal would if it still edited lines.
fn line(terminal: &File) -> io::Result<Typed> {
    let mut line: Vec<u8> = Vec::new();
    let mut byte = [0];
    loop {
        if rustix::io::retry_on_intr(|| rustix::io::read(terminal, &mut byte))? == 0 {
            return Ok(Typed::End);
        }
        match byte[0] {
            b'\n' | b'\r' => break,
            0x03 => return Ok(Typed::Interrupted),
            0x04 if line.is_empty() => return Ok(Typed::End),
            // Back over one character, however many bytes it has.
            0x08 | 0x7f => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            0x15 => line.clear(),
            byte if byte < 0x20 => {}
            byte if line.len() < LONGEST => line.push(byte),
            _ => return Err(io::Error::other("the line is too long")),
        }
    }
    let text = String::from_utf8(line).map_err(|_| io::Error::other("the line is not UTF-8"))?;
    Ok(Typed::Line(SecretString::new(text)))
}

/// A terminal that shows nothing of what is typed and turns no key into a signal, so that Ctrl-C
/// comes here as a character and cannot end the process before the terminal is as it was.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&terminal, OptionalActions::Drain, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}
