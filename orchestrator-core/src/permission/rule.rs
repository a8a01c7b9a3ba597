//! One rule: what it says as text, and what it means.

use super::{
    action::{Action, ActionKind},
    command::{Simple, Word, base},
    glob::{self, Glob, PathPattern, Places},
};
use crate::workflow::did_you_mean;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The names with which a rule begins.
const NAMES: [&str; 6] = ["read", "edit", "run", "network", "tool", "*"];

/// The longest text of a rule, in bytes.
const MOST_BYTES: usize = 4 * 1024;

/// One rule, such as `run(git *)`. Displays as its text.
///
/// | text | means |
/// |---|---|
/// | `read`, `edit`, `run`, `network` | everything of that kind |
/// | `*` | everything |
/// | `read(PATHS)`, `edit(PATHS)` | files: `src/**` in the workspace, `/etc/**`, `~/.ssh/**` |
/// | `run(WORDS)` | a command: `git *` with any arguments, `git status` with none |
/// | `network(HOST)` | a machine: `*.crates.io` |
/// | `tool(NAME)` | what the agent's tool of that name does |
///
/// `*` stands for any characters within a word or a part of a path; `**` for any number of words or
/// directories, as a last word `*` does, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PermissionRule {
    text: String,
    means: Means,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Means {
    Everything,
    Kind(ActionKind),
    Paths(ActionKind, PathPattern),
    Words(Vec<Glob>),
    Host(Glob),
    Tool(Glob),
}

/// A rule that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{rule}` is no permission: {reason}")]
pub struct RuleError {
    /// What was given.
    pub rule: String,
    /// What is wrong with it.
    pub reason: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl PermissionRule {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn means(&self) -> &Means {
        &self.means
    }

    /// Whether it says more of commands than that they are commands.
    pub(super) fn picks_commands(&self) -> bool {
        matches!(&self.means, Means::Words(_))
    }

    /// Whether it says more of files than that they are read or edited.
    pub(super) fn picks_paths(&self) -> bool {
        matches!(&self.means, Means::Paths(..))
    }

    /// Whether it means everything that the tool of `action` does, or everything at all.
    pub(super) fn is_of_tool(&self, action: &Action) -> bool {
        match &self.means {
            Means::Everything => true,
            Means::Tool(name) => name.matches(&action.tool),
            Means::Kind(_) | Means::Paths(..) | Means::Words(_) | Means::Host(_) => false,
        }
    }

    /// Whether it means everything of `kind`.
    pub(super) fn is_of_kind(&self, kind: ActionKind) -> bool {
        match &self.means {
            Means::Everything => true,
            Means::Kind(own) => *own == kind,
            Means::Paths(..) | Means::Words(_) | Means::Host(_) | Means::Tool(_) => false,
        }
    }

    /// Whether it names `path`, which is read or edited.
    pub(super) fn is_of_path(&self, kind: ActionKind, path: &[String], at: &Places<'_>) -> bool {
        matches!(&self.means, Means::Paths(own, pattern) if *own == kind && pattern.matches(path, at))
    }

    /// Whether it names `host`.
    pub(super) fn is_of_host(&self, host: &str) -> bool {
        let Means::Host(pattern) = &self.means else { return false };
        let host = host.trim_end_matches('.').to_lowercase();
        let (name, port) = match host.rsplit_once(':') {
            // The colons of an address that is not in brackets are no port.
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
            _ => (host.as_str(), None),
        };
        pattern.matches(&host) || port.is_some() && pattern.matches(name)
    }

    /// Whether it allows the words of a command, as they are written.
    pub(super) fn allows_words(&self, words: &[Word]) -> bool {
        let Means::Words(pattern) = &self.means else { return false };
        words_match(pattern, words, |glob, word| !word.expands && glob.matches(&word.text))
    }

    /// Whether it means the command in whichever way it is written: by another path of its program,
    /// behind an assignment or a program that runs others.
    pub(super) fn means_command(&self, command: &Simple) -> bool {
        let Means::Words(pattern) = &self.means else { return false };
        command.tails().into_iter().any(|words| {
            let Some((program, arguments)) = words.split_first() else { return false };
            let named = Word { text: base(&program.text).to_owned(), expands: program.expands };
            let by_name: Vec<Word> =
                std::iter::once(named).chain(arguments.iter().cloned()).collect();
            // What a shell makes of a word could be anything.
            let fits = |glob: &Glob, word: &Word| word.expands || glob.matches(&word.text);
            words_match(pattern, words, fits) || words_match(pattern, &by_name, fits)
        })
    }
}

fn words_match(pattern: &[Glob], words: &[Word], fits: impl Fn(&Glob, &Word) -> bool) -> bool {
    match pattern.split_last() {
        Some((last, before)) if last.is_any() && !before.is_empty() => {
            let mut whole = before.to_vec();
            whole.push(Glob::read("**"));
            glob::matches(&whole, words, Glob::is_any_number, fits)
        }
        _ => glob::matches(pattern, words, Glob::is_any_number, fits),
    }
}

impl FromStr for PermissionRule {
    type Err = RuleError;

    fn from_str(given: &str) -> Result<Self, RuleError> {
        let text = given.trim();
        let wrong = |reason: String, suggestion: Option<String>| {
            let rule = text.chars().take(200).collect();
            RuleError { rule, reason, suggestion }
        };
        if text.len() > MOST_BYTES {
            return Err(wrong(format!("it is longer than {MOST_BYTES} bytes"), None));
        }
        if text.chars().any(char::is_control) {
            return Err(wrong("it has a control character".into(), None));
        }
        let Some((name, rest)) = text.split_once('(') else {
            let means = match text {
                "*" => Means::Everything,
                "read" => Means::Kind(ActionKind::Read),
                "edit" => Means::Kind(ActionKind::Edit),
                "run" => Means::Kind(ActionKind::Run),
                "network" => Means::Kind(ActionKind::Network),
                "tool" => {
                    let reason = "`tool` needs the name of a tool".to_owned();
                    return Err(wrong(reason, Some("tool(NAME)".into())));
                }
                _ => return Err(unknown(text, &wrong)),
            };
            return Ok(Self { text: text.to_owned(), means });
        };
        let name = name.trim_end();
        let Some(pattern) = rest.strip_suffix(')') else {
            return Err(wrong("its `(` is not closed".into(), Some(format!("{text})"))));
        };
        let pattern = pattern.trim();
        if pattern.is_empty() {
            let meant = (name != "tool").then(|| name.to_owned());
            return Err(wrong("there is nothing between its brackets".into(), meant));
        }
        let put = |(reason, meant): (String, Option<String>)| {
            wrong(reason, meant.map(|meant| format!("{name}({meant})")))
        };
        let means = match name {
            "read" => Means::Paths(ActionKind::Read, PathPattern::read(pattern).map_err(put)?),
            "edit" => Means::Paths(ActionKind::Edit, PathPattern::read(pattern).map_err(put)?),
            "run" => Means::Words(words(pattern).map_err(put)?),
            "network" => Means::Host(host(pattern).map_err(put)?),
            "tool" => Means::Tool(Glob::read(pattern)),
            "*" => return Err(wrong("`*` takes no pattern".into(), Some("*".into()))),
            _ => return Err(unknown(name, &wrong)),
        };
        Ok(Self { text: text.to_owned(), means })
    }
}

/// What is said of a name that begins no rule.
fn unknown(name: &str, wrong: &dyn Fn(String, Option<String>) -> RuleError) -> RuleError {
    let known = "it begins with none of `read`, `edit`, `run`, `network`, `tool` and `*`";
    let meant = match name.to_lowercase().as_str() {
        "write" | "create" | "delete" | "multiedit" | "files" => Some("edit"),
        "bash" | "shell" | "exec" | "execute" | "command" | "terminal" => Some("run"),
        "web" | "fetch" | "webfetch" | "internet" | "net" | "http" => Some("network"),
        "grep" | "glob" | "search" | "list" | "view" => Some("read"),
        "all" | "any" | "everything" => Some("*"),
        lower => NAMES.into_iter().find(|known| *known == lower),
    };
    let meant = match meant {
        Some(meant) => Some(format!("write `{meant}`")),
        None if name.is_empty() => None,
        None => did_you_mean(name, NAMES),
    };
    wrong(known.to_owned(), meant)
}

/// The words of a pattern of commands, where quotes take the meaning from `*` and blanks.
fn words(pattern: &str) -> Result<Vec<Glob>, (String, Option<String>)> {
    if let Some(command) = pattern.strip_suffix(":*").filter(|command| !command.is_empty()) {
        let reason = "`:*` means nothing here: words are parted by blanks".to_owned();
        return Err((reason, Some(format!("{command} *"))));
    }
    let mut words = Vec::new();
    let mut word: Option<Glob> = None;
    let mut rest = pattern.chars();
    while let Some(next) = rest.next() {
        let begun = word.take();
        match next {
            ' ' => words.extend(begun),
            '\'' | '"' => {
                let mut quoted = String::new();
                loop {
                    match rest.next() {
                        Some(c) if c == next => break,
                        Some(c) => quoted.push(c),
                        None => {
                            let reason = format!("its {next} is not closed");
                            return Err((reason, Some(format!("{pattern}{next}"))));
                        }
                    }
                }
                let piece = Glob::exactly(&quoted);
                word = Some(begun.unwrap_or(Glob::exactly("")).then(piece));
            }
            ';' | '&' | '|' | '<' | '>' | '`' | '$' => {
                let reason = format!(
                    "`{next}` parts commands or sends them elsewhere: a pattern is of one command, \
                     and each command of a line is matched by itself"
                );
                let first = pattern.split([';', '&', '|', '<', '>', '`', '$']).next();
                let first = first.map(str::trim).filter(|first| !first.is_empty());
                return Err((reason, first.map(str::to_owned)));
            }
            c => {
                let mut text = String::from(c);
                if c == '\\' {
                    text.extend(rest.next());
                }
                word = Some(begun.unwrap_or(Glob::exactly("")).then(Glob::read(&text)));
            }
        }
    }
    words.extend(word);
    match words.first() {
        None => Err(("it names no program".to_owned(), None)),
        Some(first) if first.is_any() || first.is_any_number() => {
            let reason = "its program is every program: that is `run` without a pattern".to_owned();
            Err((reason, None))
        }
        Some(first) if first.is_empty() => Err(("its program has no name".to_owned(), None)),
        Some(_) => Ok(words),
    }
}

fn host(pattern: &str) -> Result<Glob, (String, Option<String>)> {
    let bare = pattern.split_once("://").map(|(_, rest)| rest);
    if bare.is_some() || pattern.contains('/') {
        let name = bare.unwrap_or(pattern).split('/').next().unwrap_or_default();
        let reason = "it is of machines, not of addresses on them".to_owned();
        return Err((reason, (!name.is_empty()).then(|| name.to_owned())));
    }
    if pattern.contains(char::is_whitespace) {
        let first = pattern.split_whitespace().next().map(str::to_owned);
        return Err(("it names more than one machine; give each a rule".to_owned(), first));
    }
    Ok(Glob::read(&pattern.trim_end_matches('.').to_lowercase()))
}

impl TryFrom<String> for PermissionRule {
    type Error = RuleError;
    fn try_from(text: String) -> Result<Self, RuleError> {
        text.parse()
    }
}

impl From<PermissionRule> for String {
    fn from(rule: PermissionRule) -> Self {
        rule.text
    }
}

impl fmt::Display for PermissionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
