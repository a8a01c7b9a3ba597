//! What an agent wants to do.

use crate::port::Call;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many characters of what is touched or run stand in a headline.
const MOST_SHOWN: usize = 200;

/// What kind of thing an agent wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Look at files.
    Read,
    /// Write, move or remove files.
    Edit,
    /// Run a command.
    Run,
    /// Reach another machine.
    Network,
    /// Anything else that a tool does.
    Other,
}

impl ActionKind {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Edit => "edit",
            Self::Run => "run",
            Self::Network => "network",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that an agent wants to do with one of its tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Action {
    /// The tool, as the agent calls it: `Bash`, `write_file`, `mcp__tickets__close`.
    pub tool: String,
    /// What kind of thing it is.
    pub kind: ActionKind,
    /// The files that it touches: absolute, or relative to the agent's workspace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// The command, as a shell that stands in the workspace is given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The machines that it reaches: names or addresses, with or without a port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// What it is for, in the agent's words; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
}

impl Action {
    /// What `tool` wants to do, without anything that it touches.
    pub fn new(tool: impl Into<String>, kind: ActionKind) -> Self {
        Self {
            tool: tool.into(),
            kind,
            paths: Vec::new(),
            command: None,
            hosts: Vec::new(),
            summary: String::new(),
        }
    }

    /// `tool` wants to run `command`.
    pub fn run(tool: impl Into<String>, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..Self::new(tool, ActionKind::Run) }
    }

    /// The same with the files that it touches.
    #[must_use]
    pub fn on(mut self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.paths = paths.into_iter().map(Into::into).collect();
        self
    }

    /// The same with the machines that it reaches.
    #[must_use]
    pub fn reaching(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// The same with what it is for.
    #[must_use]
    pub fn because(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// The turn that it is where a person is asked about it: the same for the same doing, whatever it
    /// is said to be for.
    pub fn call(&self) -> Call {
        let Self { tool, kind, paths, command, hosts, summary: _ } = self;
        let touched = serde_json::json!([tool, kind, paths, command, hosts]);
        Call::new("permission", tool, touched.to_string())
    }

    /// What people are asked, in one line: the kind, and what is touched or run, before the tool.
    pub fn headline(&self) -> String {
        let what = match &self.command {
            Some(command) => command.split_whitespace().collect::<Vec<_>>().join(" "),
            None if !self.paths.is_empty() => self.paths.join(", "),
            None if !self.hosts.is_empty() => self.hosts.join(", "),
            None => self.summary.clone(),
        };
        let what = match what.char_indices().nth(MOST_SHOWN) {
            Some((end, _)) => format!("{}…", &what[..end]),
            None => what,
        };
        match what.is_empty() {
            true => format!("{} with {}", self.kind, self.tool),
            false => format!("{} `{what}` with {}", self.kind, self.tool),
        }
    }
}
