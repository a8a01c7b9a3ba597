//! What an adapter of a coding CLI is.

use super::{
    base::Told,
    event::{Decision, Event, RequestId},
};
use orchestrator_core::error::Failure;
use orchestrator_gateway::SecretString;
use serde::Serialize;
use serde_json::Value;
use std::{fmt, path::PathBuf, sync::Arc};

/// One coding CLI: how it is started and what it says. It holds no state of any session.
pub trait Adapter: Send + Sync + fmt::Debug {
    /// The name of its provider in the settings, such as `claude-code`.
    fn provider(&self) -> &'static str;

    /// The program's usual name on `PATH`, such as `claude`; none where the settings must name it.
    fn program(&self) -> Option<&'static str>;

    /// The version of the program that the adapter was last proved with.
    fn proved_with(&self) -> Option<&'static str>;

    /// The first version that it works with; older ones are refused.
    fn oldest(&self) -> Option<&'static str>;

    /// The arguments that make the program print its version.
    fn version_arguments(&self) -> &'static [&'static str] {
        &["--version"]
    }

    /// The version in what the program prints then.
    fn read_version(&self, printed: &str) -> Option<String>;

    /// What the program can do.
    fn capabilities(&self) -> Capabilities;

    /// The files of its login, by their paths in a home: what is copied from the user's own home where
    /// an agent works with the user's login.
    fn login(&self) -> &'static [&'static str] {
        &[]
    }

    /// The arguments that make the program say whether it is logged in, where that is free: no call
    /// of a model, and nothing leaves the machine.
    fn login_arguments(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Whether it is logged in, by what it says then; `None` when that tells nothing.
    fn read_login(&self, told: &Told) -> Option<bool> {
        let _ = told;
        None
    }

    /// How it is started for `order`. Starts nothing and reads nothing.
    ///
    /// # Errors
    /// `invalid_request` for what this program cannot be asked: it is not started then.
    fn launch(&self, order: &Order) -> Result<Launch, Failure>;

    /// What is said to it and by it, for the process that [`Adapter::launch`] described.
    fn dialogue(&self, order: &Order) -> Box<dyn Dialogue>;

    /// The failure that its exit code and standard error tell of, when the stream held no terminal
    /// event: a login that is missing, a session that it does not know, a version too old. `None`
    /// when they tell nothing.
    fn diagnose(&self, exit: Exit, stderr: &str) -> Option<Failure>;
}

/// Whether a program offers something, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Offer {
    /// It does.
    Yes,
    /// It does not, for this reason.
    No(&'static str),
}

impl Offer {
    /// Whether it does.
    pub fn is_offered(self) -> bool {
        self == Self::Yes
    }
}

/// What a program can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Capabilities {
    /// Works without a terminal.
    pub headless: Offer,
    /// Says what it does while it does it.
    pub streaming: Offer,
    /// Goes on in a session that it left.
    pub resume: Offer,
    /// Begins a session as a copy of another.
    pub fork: Offer,
    /// Asks before it does something, and can be answered.
    pub live_approval: Offer,
    /// Can be told something while it works.
    pub steering: Offer,
    /// Can be interrupted and go on.
    pub interrupt: Offer,
    /// Says how many tokens it used.
    pub usage: Offer,
    /// Says what that cost.
    pub cost: Offer,
    /// Answers by a schema.
    pub schema: Offer,
    /// Has a sandbox of its own.
    pub own_sandbox: Offer,
    /// Can be given MCP servers.
    pub mcp: Offer,
    /// Speaks the Agent Client Protocol.
    pub acp: Offer,
    /// Works through another endpoint, without a login of its own.
    pub metered: Offer,
}

impl Capabilities {
    /// Each by its name.
    pub fn each(&self) -> [(&'static str, Offer); 14] {
        [
            ("headless", self.headless),
            ("streaming", self.streaming),
            ("resume", self.resume),
            ("fork", self.fork),
            ("live-approval", self.live_approval),
            ("steering", self.steering),
            ("interrupt", self.interrupt),
            ("usage", self.usage),
            ("cost", self.cost),
            ("schema", self.schema),
            ("own-sandbox", self.own_sandbox),
            ("mcp", self.mcp),
            ("acp", self.acp),
            ("metered", self.metered),
        ]
    }
}

/// What one process of a program is to do.
#[derive(Debug, Clone)]
pub struct Order {
    /// What to do, with everything that it has to know.
    pub prompt: String,
    /// Who it is; told in the way of the program that is nearest to a system prompt, or before the
    /// prompt.
    pub instructions: String,
    /// The model; the program's own choice when none is named.
    pub model: Option<String>,
    /// Where it works: an absolute path.
    pub directory: PathBuf,
    /// Its home, which is its own: an absolute path.
    pub home: PathBuf,
    /// The session in which it works.
    pub start: Start,
    /// The schema of the answer.
    pub schema: Option<Arc<Value>>,
    /// Where it calls models; none with a login of its own.
    pub endpoint: Option<Endpoint>,
    /// What it may do without being asked about.
    pub reach: Reach,
    /// Whether it runs inside of a sandbox of ours, in which it can make none of its own.
    pub confined: bool,
    /// Whether it asks before it does anything else, and may be told something while it works. What
    /// is not in reach is denied otherwise.
    pub live: bool,
    /// MCP servers that it is given, by their names: each as `{"command", "args", "env"}`.
    pub mcp: Vec<(String, Value)>,
    /// More arguments, from the settings, before those that end the line.
    pub arguments: Vec<String>,
}

/// The session in which a process works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A new one. The program takes this name (a UUID) for it where it lets one choose.
    New(String),
    /// This one, as it was left.
    Resume(String),
    /// A new one that begins as a copy of `of`; `id` as for [`Start::New`].
    Fork {
        /// The one that is copied.
        of: String,
        /// The name of the new one.
        id: String,
    },
}

/// The gateway, as one attempt sees it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its address without a path, such as `http://127.0.0.1:4000`: the paths of the wire formats
    /// (`/anthropic`, `/openai/v1`, `/gemini`) follow it.
    pub url: String,
    /// What stands for a key.
    pub token: SecretString,
    /// The wire formats in which a model can be called there, best first. A program that speaks
    /// several takes the first of its own.
    pub formats: Vec<Format>,
}

/// A wire format of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Responses.
    Responses,
    /// OpenAI Chat Completions.
    Chat,
    /// Gemini `generateContent`.
    Gemini,
}

/// What a program may do unasked, by kind. It is the floor: single actions are judged by the rules
/// of the agent when the program asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// Change files in its directory.
    pub edit: bool,
    /// Run commands.
    pub run: bool,
    /// Talk to other hosts by its own tools.
    pub network: bool,
}

/// How a process is started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Launch {
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables that it sees besides those that everybody sees; `HOME` is set by the base.
    pub variables: Vec<(String, String)>,
    /// Variables that must not be there, though they were let through.
    pub without: Vec<&'static str>,
    /// Files that must be there before it starts, by their path in its home. They are written with
    /// access for their owner alone.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// What it finds at its standard input.
    pub input: Input,
    /// A file in its home that it writes at its end, which [`Dialogue::report`] reads.
    pub report: Option<PathBuf>,
}

/// What a process finds at its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Input {
    /// Its end, at once.
    #[default]
    Nothing,
    /// What the dialogue writes, until it closes it.
    Dialogue,
}

/// What is said between us and one process. Pure: it neither reads nor writes anything itself.
pub trait Dialogue: Send {
    /// What is to be done before anything was heard.
    fn start(&mut self) -> Vec<Step> {
        Vec::new()
    }

    /// What follows from a line of its standard output, which holds no line end. A line that was
    /// too long comes as what was kept of it.
    fn line(&mut self, line: &str) -> Vec<Step>;

    /// Answers a request of [`Event::Permission`].
    fn answer(&mut self, request: &RequestId, decision: &Decision) -> Vec<Step> {
        let _ = (request, decision);
        Vec::new()
    }

    /// Tells it something while it works. `None` when it cannot be told.
    fn say(&mut self, message: &str) -> Option<Vec<Step>> {
        let _ = message;
        None
    }

    /// Interrupts it, so that it takes the next message. `None` when it cannot be.
    fn interrupt(&mut self) -> Option<Vec<Step>> {
        None
    }

    /// What the file said that it left at its end: see [`Launch::report`].
    fn report(&mut self, file: &[u8]) -> Vec<Step> {
        let _ = file;
        Vec::new()
    }

    /// What came of it, once its output has ended. `exit` is how the process ended.
    fn verdict(&mut self, exit: Exit) -> Verdict;
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// This was said.
    Said(Event),
    /// Write this to its standard input; a line end follows.
    Write(String),
    /// Close its standard input: there is no more to be told.
    Close,
    /// Stop it: this failure will not pass, though the program would try for minutes.
    GiveUp(Failure),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// We stopped it. Where its terminal event was there before, it had only not gone by itself.
    Stopped,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Stopped => f.write_str("our order to stop"),
        }
    }
}

/// What came of a process. Success needs the terminal event and the exit code.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Both say so.
    Done(super::event::Finish),
    /// One of them says why not.
    Failed(Failure),
    /// There was no terminal event: [`Adapter::diagnose`] is asked, and it has crashed otherwise.
    Silent,
}
