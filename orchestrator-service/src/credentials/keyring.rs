//! The keyring of the operating system, through the program that comes with it.
//!
//! On Linux and its like that is `secret-tool` of libsecret, which speaks to whatever serves
//! `org.freedesktop.secrets` on the session bus: the GNOME keyring, KeePassXC, KWallet. On macOS it is
//! `security`. A client library would bring a D-Bus stack to every program that has no use for it.

use orchestrator_core::secret::SecretString;
use orchestrator_store::vault::Keyring;
use std::{
    io::{self, Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What entries are told apart from those of others by.
const SERVICE: &str = "orchestrator";
/// What a person sees beside an entry.
const LABEL: &str = "orchestrator credentials";
/// How long somebody may take to unlock it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether the program has ended.
const PAUSE: Duration = Duration::from_millis(5);
/// The most that is read of what it says.
const LONGEST: u64 = 4_096;

/// The keyring of whoever runs this process.
#[derive(Debug)]
pub(super) struct SystemKeyring;

#[cfg(not(target_os = "macos"))]
impl Keyring for SystemKeyring {
    fn read(&self, entry: &str) -> Result<Option<SecretString>, String> {
        let mut tool = Command::new("secret-tool");
        tool.args(["lookup", "service", SERVICE, "key", entry]);
        let said = run(tool, "")?;
        match (said.status.success(), said.error.is_empty()) {
            (true, _) => Ok(Some(said.output)),
            // What is not there is no error to it, and nothing is said.
            (false, true) => Ok(None),
            (false, false) => Err(said.error),
        }
    }

    fn keep(&self, entry: &str, value: &SecretString) -> Result<(), String> {
        let mut tool = Command::new("secret-tool");
        tool.args(["store", "--label", LABEL, "service", SERVICE, "key", entry]);
        done(run(tool, value.expose())?)
    }
}

#[cfg(target_os = "macos")]
impl Keyring for SystemKeyring {
    fn read(&self, entry: &str) -> Result<Option<SecretString>, String> {
        /// `errSecItemNotFound`, as an exit code.
        const NOT_FOUND: i32 = 44;
        let mut tool = Command::new("security");
        tool.args(["find-generic-password", "-s", SERVICE, "-a", entry, "-w"]);
        let said = run(tool, "")?;
        match said.status.code() {
            Some(0) => Ok(Some(said.output)),
            Some(NOT_FOUND) => Ok(None),
            _ => Err(said.error),
        }
    }

    fn keep(&self, entry: &str, value: &SecretString) -> Result<(), String> {
        // Commands come from its standard input, so that the value is no argument that others see.
        // Entry and value are letters and digits of their encodings; nothing needs quotes.
        let mut tool = Command::new("security");
        tool.arg("-i");
        let value = value.expose();
        let line =
            format!("add-generic-password -U -s {SERVICE} -a {entry} -l '{LABEL}' -w {value}\n");
        done(run(tool, &line)?)
    }
}

/// What a program said.
struct Said {
    status: ExitStatus,
    output: SecretString,
    error: String,
}

fn done(said: Said) -> Result<(), String> {
    match said.status.success() {
        true => Ok(()),
        false if said.error.is_empty() => Err("it refuses to keep it".into()),
        false => Err(said.error),
    }
}

/// Runs `tool` with `input`, and ends it when it takes too long.
fn run(mut tool: Command, input: &str) -> Result<Said, String> {
    let name = tool.get_program().to_string_lossy().into_owned();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "`{name}` is not installed{}",
            if name == "secret-tool" {
                "; on Debian it is in the package libsecret-tools"
            } else {
                ""
            }
        ),
        _ => format!("`{name}`: {error}"),
    };
    tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tool.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may have ended before it read anything; how it ended says more.
        let _ = stdin.write_all(input.as_bytes());
    }
    let (output, error) = (read(child.stdout.take()), read(child.stderr.take()));
    let status = wait(&mut child).map_err(failed)?;
    let Some(status) = status else {
        return Err(format!("nobody unlocked it within {} seconds", PATIENCE.as_secs()));
    };
    let text = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ok(Said {
        status,
        output: SecretString::new(text(output)),
        error: text(error).lines().next().unwrap_or_default().trim().to_owned(),
    })
}

/// Reads a pipe to its end, beside others.
fn read(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        if let Some(pipe) = pipe {
            // What is not text is no key, and no reason either.
            let _ = pipe.take(LONGEST).read_to_string(&mut text);
        }
        text
    })
}

/// Waits for the end of `child`; none when that took too long, and it was killed.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}
