//! Steps of Dagger, by the session that its command opens.
//!
//! `dagger session` prints a port and a token and serves GraphQL there until its standard input is
//! closed. The directory is copied into the engine, the program runs there in a container, and what
//! is writable is copied back. A step that was run before with the same inputs is answered from the
//! engine's cache: a program that ends well need not run twice.

use super::{
    Confinement, Enforced, Network, Reads, Sandbox, SandboxError,
    launch::{self, During, Step},
    order,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader, Read, Write, stderr, stdout},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The most that an answer may hold: what a program prints is part of one.
const MOST: u64 = 256 << 20;

/// Confines programs in containers of Dagger.
///
/// What it enforces is what the engine does: the program sees its image and the directories that
/// are copied in. It has a network, so nothing but [`Network::All`] is accepted; bounds of memory,
/// processes and time are not known to it and refused as well.
#[derive(Debug, Clone)]
pub struct Dagger {
    launcher: PathBuf,
    program: PathBuf,
    image: String,
    setup: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    program: PathBuf,
    image: String,
    setup: Vec<String>,
    /// What is copied in, and whether it is copied back.
    directories: Vec<(PathBuf, bool)>,
    /// What is left out of the copies.
    hidden: Vec<PathBuf>,
    directory: PathBuf,
}

impl Dagger {
    /// Containers of `image` in the engine that the `dagger` command `program` opens a session of.
    /// `launcher` is a program that calls [`launch_if_asked`](super::launch_if_asked) first of all.
    pub fn new(
        launcher: impl Into<PathBuf>,
        program: impl Into<PathBuf>,
        image: impl Into<String>,
    ) -> Self {
        Self {
            launcher: launcher.into(),
            program: program.into(),
            image: image.into(),
            setup: Vec::new(),
        }
    }

    /// The same with commands that are run before, each a step that the engine remembers.
    #[must_use]
    pub fn prepared_by(mut self, commands: Vec<String>) -> Self {
        self.setup = commands;
        self
    }
}

impl Sandbox for Dagger {
    fn name(&self) -> &str {
        "dagger"
    }

    fn command(
        &self,
        program: &OsStr,
        arguments: &[OsString],
        directory: &Path,
        confinement: &Confinement,
    ) -> Result<Command, SandboxError> {
        order::check(directory, confinement)?;
        self.prove(confinement)?;
        let mut directories: Vec<_> =
            confinement.writable.iter().map(|path| (path.clone(), true)).collect();
        let mut readable = vec![directory.to_owned()];
        if let Reads::Only(paths) = &confinement.reads {
            readable.extend(paths.iter().filter(|path| path.is_dir()).cloned());
        }
        for path in readable {
            if !directories.iter().any(|(above, _)| path.starts_with(above)) {
                directories.push((path, false));
            }
        }
        directories.sort();
        let order = Order {
            program: self.program.clone(),
            image: self.image.clone(),
            setup: self.setup.clone(),
            directories,
            hidden: [confinement.hidden.clone(), order::gits(confinement)].concat(),
            directory: directory.to_owned(),
        };
        let mut command = Command::new(&self.launcher);
        command.args(order::arguments(launch::DAGGER, &order, program, arguments)?);
        command.current_dir(directory);
        Ok(command)
    }

    /// What Dagger does not know is refused; what it does is not tried: it holds by what is copied.
    fn prove(&self, confinement: &Confinement) -> Result<Vec<Enforced>, SandboxError> {
        if confinement.network != Network::All {
            return Err(SandboxError::Unavailable(
                "a step of Dagger has a network, and it cannot be taken from it".into(),
            ));
        }
        if confinement.limits != super::Limits::default() {
            return Err(SandboxError::Unavailable("a step of Dagger cannot be bounded".into()));
        }
        if !confinement.protected.is_empty() {
            return Err(SandboxError::Unavailable(
                "what is copied back cannot be protected in part".into(),
            ));
        }
        Ok(Vec::new())
    }
}

/// Runs a program as a step of Dagger and answers its code.
pub(super) fn run(words: &mut dyn Iterator<Item = OsString>) -> Step<i32> {
    let (order, program, arguments): (Order, _, _) = order::read(words)?;
    let mut words = vec![text(&program)?];
    for argument in &arguments {
        words.push(text(argument)?);
    }
    let mut session = Session::open(&order.program)?;
    launch::let_signals_pass()?;
    let mut ids = Vec::new();
    for (path, _) in &order.directories {
        ids.push(session.take_in(path, &order.hidden)?);
    }
    let mut steps = vec![Field::new("from", json!({ "address": order.image }))];
    for command in &order.setup {
        steps.push(Field::new("withExec", json!({ "args": ["/bin/sh", "-c", command] })));
    }
    for ((path, _), id) in order.directories.iter().zip(&ids) {
        let place = text(path.as_os_str())?;
        steps.push(Field::new("withMountedDirectory", json!({ "path": place, "source": id })));
    }
    let place = text(order.directory.as_os_str())?;
    steps.push(Field::new("withWorkdir", json!({ "path": place })));
    for (name, value) in variables() {
        steps.push(Field::new("withEnvVariable", json!({ "name": name, "value": value })));
    }
    // Any end is an answer, not a failure of the query.
    let exec = Field { fixed: "expect: ANY", ..Field::new("withExec", json!({ "args": words })) };
    steps.push(exec);
    let ran = session.ask("container", &steps, "exitCode stdout stderr id")?;
    let said = |name: &str| ran.get(name).and_then(Value::as_str).unwrap_or_default();
    stdout().write_all(said("stdout").as_bytes()).during("print what was printed")?;
    stderr().write_all(said("stderr").as_bytes()).during("print what was printed")?;
    for (path, _) in order.directories.iter().filter(|(_, is_back)| *is_back) {
        let place = text(path.as_os_str())?;
        let mut back = vec![
            Field::new("loadContainerFromID", json!({ "id": said("id") })),
            Field::new("directory", json!({ "path": place })),
        ];
        // What was not copied in is not let out in its place either.
        let kept = order.hidden.iter().filter_map(|hidden| hidden.strip_prefix(path).ok());
        for kept in kept.chain([Path::new(".git")]) {
            let kept = text(kept.as_os_str())?;
            back.push(Field::new("withoutDirectory", json!({ "path": kept })));
        }
        back.push(Field::new("export", json!({ "path": place })));
        session.ask_of(&back, "")?;
    }
    let code = ran.get("exitCode").and_then(Value::as_i64).ok_or("the engine names no end")?;
    i32::try_from(code).during("read the code of the program")
}

fn text(word: &OsStr) -> Step<String> {
    let word = word.to_str().ok_or("Dagger takes words of UTF-8 alone")?;
    Ok(word.to_owned())
}

/// The environment of the program, without what belongs to this machine.
fn variables() -> Vec<(String, String)> {
    let ours = ["PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "TMPDIR", "SHELL", "_"];
    std::env::vars()
        .filter(|(name, _)| {
            !ours.contains(&name.as_str())
                && !["DAGGER_", "_DAGGER", "_EXPERIMENTAL_DAGGER", "DOCKER_", "ORCHESTRATOR_"]
                    .iter()
                    .any(|prefix| name.starts_with(prefix))
        })
        .collect()
}

/// A field of a query with its arguments.
#[derive(Clone)]
struct Field {
    name: &'static str,
    arguments: Value,
    /// An argument that is no text, as it stands in the query.
    fixed: &'static str,
}

impl Field {
    fn new(name: &'static str, arguments: Value) -> Self {
        Self { name, arguments, fixed: "" }
    }

    fn write(&self) -> String {
        let named = self.arguments.as_object().into_iter().flatten();
        // Texts and lists of texts are written alike in both languages.
        let mut all: Vec<String> = named.map(|(name, value)| format!("{name}: {value}")).collect();
        if !self.fixed.is_empty() {
            all.push(self.fixed.to_owned());
        }
        if all.is_empty() { self.name.into() } else { format!("{}({})", self.name, all.join(", ")) }
    }
}

/// A session; dropping it ends it.
struct Session {
    child: Child,
    port: u16,
    authorization: String,
}

#[derive(Deserialize)]
struct Opened {
    port: u16,
    session_token: String,
}

impl Session {
    fn open(program: &Path) -> Step<Self> {
        let mut command = Command::new(program);
        command.args(["session", "--label", "dagger.io/sdk.name:orchestrator"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().during("start a session of Dagger")?;
        let mut line = String::new();
        if let Some(printed) = child.stdout.take() {
            let read = BufReader::new(printed.take(64 * 1024)).read_line(&mut line);
            read.during("hear of the session of Dagger")?;
        }
        let Ok(opened) = serde_json::from_str::<Opened>(&line) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err("the session of Dagger does not say where it is".into());
        };
        // The token is the user; there is no password.
        let authorization = STANDARD.encode(format!("{}:", opened.session_token));
        Ok(Self { child, port: opened.port, authorization })
    }

    /// Copies a directory of this machine in, without what is hidden, and answers its id.
    fn take_in(&mut self, path: &Path, hidden: &[PathBuf]) -> Step<String> {
        let mut left_out = Vec::new();
        for path in hidden.iter().filter_map(|hidden| hidden.strip_prefix(path).ok()) {
            left_out.push(text(path.as_os_str())?);
        }
        let place = text(path.as_os_str())?;
        let arguments = json!({ "path": place, "exclude": left_out });
        let taken = self.ask("host", &[Field::new("directory", arguments)], "id")?;
        let id = taken.get("id").and_then(Value::as_str);
        Ok(id.ok_or("the engine gives a directory no id")?.to_owned())
    }

    fn ask(&mut self, root: &'static str, fields: &[Field], wanted: &str) -> Step<Value> {
        let root = [Field::new(root, json!({}))];
        self.ask_of(&[&root[..], fields].concat(), wanted)
    }

    /// Asks for `wanted` of what the fields lead to, each in the one before.
    fn ask_of(&mut self, fields: &[Field], wanted: &str) -> Step<Value> {
        let mut query = if wanted.is_empty() { String::new() } else { format!("{{ {wanted} }}") };
        for (number, field) in fields.iter().enumerate().rev() {
            query = format!("{} {query}", field.write()).trim_end().to_owned();
            if number > 0 {
                query = format!("{{ {query} }}");
            }
        }
        let body = json!({ "query": format!("query {{ {query} }}") }).to_string();
        let answer = self.post(&body).during("ask the session of Dagger")?;
        if let Some(error) = answer.pointer("/errors/0/message") {
            return Err(format!("Dagger says: {}", error.as_str().unwrap_or("it has failed")));
        }
        let mut value = answer.get("data").ok_or("the engine answers nothing")?;
        for field in fields {
            value = value.get(field.name).ok_or("the engine answers something else")?;
        }
        Ok(value.clone())
    }

    /// One request a connection, in the version of HTTP whose answers end with it.
    fn post(&self, body: &str) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        let head = format!(
            "POST /query HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            self.authorization,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(MOST).read_to_end(&mut answer)?;
        let wrong = |what: &str| std::io::Error::other(what.to_owned());
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = answer.split_at(end.ok_or_else(|| wrong("it does not answer"))? + 4);
        let status = String::from_utf8_lossy(head);
        match status.split(' ').nth(1) {
            // An error of a query comes with its own status in some versions, and with a reason.
            Some("200" | "422") => Ok(serde_json::from_slice(body)?),
            Some(code) => Err(wrong(&format!("it answers {code}"))),
            None => Err(wrong("it does not speak HTTP")),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It ends when nothing can be said to it any more.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
