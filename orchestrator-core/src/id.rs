//! Identifiers, each a type of its own so that one can never stand in for another.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, sync::Arc};

/// An identifier or key that breaks its type's rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{value}` is not valid: {rule}")]
pub struct InvalidId {
    /// What was being named, such as `task name`.
    pub kind: &'static str,
    /// The rejected text, cut to 64 characters.
    pub value: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

/// Names: 1 to 64 characters, letters, digits, `-` and `_`, starting with a letter or digit.
const NAME_RULE: &str =
    "use 1 to 64 letters, digits, `-` or `_`, starting with a letter or a digit";

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

const PROVIDER_RULE: &str = "use 1 to 64 letters, digits, `-` or `_`, starting with a letter or a digit; of an account, two such names with a dot between them";

fn is_provider(text: &str) -> bool {
    match text.split_once('.') {
        Some((provider, account)) => is_name(provider) && is_name(account),
        None => is_name(text),
    }
}

const TASK_RULE: &str = "use 1 to 64 letters, digits, `-` or `_`, starting with a letter or a digit; suffixes such as `:3` are the engine's";

fn is_task_name(text: &str) -> bool {
    let mut parts = text.split(':');
    parts.next().is_some_and(is_name)
        && parts.clone().count() <= 2
        && parts.all(|part| {
            part == UNDO
                || (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        })
}

/// The suffix of a task that undoes another.
const UNDO: &str = "undo";

/// Opaque ids: 1 to 128 printable ASCII characters without spaces, slashes or quotes.
const OPAQUE_RULE: &str = "use 1 to 128 letters, digits, `-`, `_`, `.`, `:` or `@`";

fn is_opaque(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'@'))
}

const OBJECT_RULE: &str = "use 40 or 64 lower-case hexadecimal digits";

fn is_object(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:ident, $rule:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and wraps it.
            ///
            /// # Errors
            /// [`InvalidId`] when the text breaks the rule of this type.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                if $check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId {
                        kind: $kind,
                        value: text.chars().take(64).collect(),
                        rule: $rule,
                    })
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.to_string()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// One execution of a workflow: `r_` and a time-ordered suffix.
    RunId, "run id", is_opaque, OPAQUE_RULE
);
text_id!(
    /// The key of a task in its workflow, such as `build`; of a task that the engine makes of it,
    /// with a suffix: `build:3` is an item of a `for-each`, `build:undo` its compensation.
    TaskName, "task name", is_task_name, TASK_RULE
);
text_id!(
    /// A task of one run, unique across runs: `<run>.<task name>`.
    TaskId, "task id", is_opaque, OPAQUE_RULE
);
text_id!(
    /// The name of an agent, such as `dev`.
    AgentName, "agent name", is_name, NAME_RULE
);
text_id!(
    /// The name of a provider: a `[providers]` entry or a built-in kind. Of one of several accounts
    /// of a provider, both names: `lab.first`.
    ProviderName, "provider name", is_provider, PROVIDER_RULE
);
text_id!(
    /// The name of a workflow or template.
    WorkflowName, "workflow name", is_name, NAME_RULE
);
text_id!(
    /// The name of a secret in the credential store, such as `ANTHROPIC_API_KEY`.
    SecretName, "name of a secret", is_name, NAME_RULE
);
text_id!(
    /// Whose data a row is. A laptop has one: `default`.
    TenantId, "tenant", is_opaque, OPAQUE_RULE
);
text_id!(
    /// A directory with its settings, runs and history.
    ProjectId, "project", is_opaque, OPAQUE_RULE
);
text_id!(
    /// Bytes by content: `sha256:` and 64 lower-case hexadecimal digits.
    BlobId, "blob id", is_opaque, OPAQUE_RULE
);
text_id!(
    /// A process that drives runs; leases name it.
    OwnerId, "owner", is_opaque, OPAQUE_RULE
);

text_id!(
    /// A commit or a tree by its content: 40 or 64 lower-case hexadecimal digits.
    CommitId, "commit id", is_object, OBJECT_RULE
);

text_id!(
    /// A piece of work in the queue of a branch.
    LandingId, "landing id", is_opaque, OPAQUE_RULE
);

text_id!(
    /// What a cached result is found by: `sha256:` and 64 lower-case hexadecimal digits.
    CacheKey, "cache key", is_opaque, OPAQUE_RULE
);

impl AgentName {
    /// A name that is known to be valid.
    pub(crate) fn fixed(name: &'static str) -> Self {
        Self(name.into())
    }
}

impl ProviderName {
    /// The provider that is named like an agent: for agents of which nothing else is known.
    pub(crate) fn of(agent: &AgentName) -> Self {
        Self(agent.0.clone())
    }

    /// The provider whose account this is, `lab` of `lab.first`; `None` of a name without a dot.
    pub fn parent(&self) -> Option<Self> {
        let (provider, _) = self.0.split_once('.')?;
        Some(Self(provider.into()))
    }

    /// Whether calls for `wanted` may go to this account: it is the one, or one of that provider's.
    pub fn serves(&self, wanted: &Self) -> bool {
        let below = self.0.strip_prefix(&*wanted.0);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl TaskName {
    /// Whether it is the key of a task in a file, without a suffix of the engine's.
    pub fn is_plain(&self) -> bool {
        !self.0.contains(':')
    }

    /// The task of the file that it was made of: itself when it is plain.
    pub fn base(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(base, _)| base)
    }

    /// The name of item `index` of this `for-each` task.
    #[must_use]
    pub fn item(&self, index: u32) -> Self {
        Self(format!("{}:{index}", self.0).into())
    }

    /// The group and the place in it, when this is the name of an item.
    pub fn as_item(&self) -> Option<(&str, u32)> {
        let (group, index) = self.0.rsplit_once(':')?;
        Some((group, index.parse().ok()?))
    }

    /// The name of the task that undoes this one.
    #[must_use]
    pub fn undo(&self) -> Self {
        Self(format!("{}:{UNDO}", self.0).into())
    }
}

/// Crockford's base 32, lower case: no letters that are taken for digits.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl RunId {
    /// `r_`, ten digits of time, six of chance: ids sort by creation.
    pub fn of(now: Timestamp, chance: u64) -> Self {
        let mut text = String::with_capacity(18);
        text.push_str("r_");
        for place in (0..10).rev() {
            text.push(char::from(DIGITS[(now.0 >> (5 * place)) as usize & 31]));
        }
        for place in 0..6 {
            text.push(char::from(DIGITS[(chance >> (5 * place)) as usize & 31]));
        }
        Self(text.into())
    }
}

impl TaskId {
    /// The id of the task called `name` in `run`.
    pub fn of(run: &RunId, name: &TaskName) -> Self {
        Self(format!("{run}.{name}").into())
    }

    /// The run and the task name that this id is made of.
    pub fn parts(&self) -> Option<(RunId, TaskName)> {
        let (run, name) = self.0.split_once('.')?;
        Some((RunId::new(run).ok()?, TaskName::new(name).ok()?))
    }
}

impl Default for TenantId {
    fn default() -> Self {
        Self("default".into())
    }
}

impl Default for ProjectId {
    fn default() -> Self {
        Self("default".into())
    }
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl $name {
            /// The next value.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(
    /// Which try of a task, from 1.
    AttemptNumber, u32
);
counter!(
    /// The place of a turn in the journal of an attempt, from 1.
    TurnNumber, u32
);
counter!(
    /// Tells what an attempt asks people from all else that its task has asked, from 1.
    QuestionNumber, u32
);
counter!(
    /// The place of a message among those that were sent to the agents of one task, from 1.
    MessageNumber, u32
);
counter!(
    /// A fencing token: it only grows, and a write that names an older one is refused.
    Epoch, u64
);
counter!(
    /// The place of an event in its run's log, from 1; 0 is the empty log.
    Sequence, u64
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rule() {
        for good in ["a", "build-2", "Review_all", "9lives"] {
            assert!(TaskName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a b", "a/b", "é", &"x".repeat(65), "a.b"] {
            assert!(TaskName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn accounts_have_the_name_of_their_provider_and_one_of_their_own() {
        let name = |text: &str| ProviderName::new(text).unwrap();
        let (lab, first) = (name("lab"), name("lab.first"));
        assert_eq!((lab.parent(), first.parent()), (None, Some(lab.clone())));
        for (account, wanted, expected) in [
            (&first, &lab, true),
            (&first, &first, true),
            (&lab, &lab, true),
            (&lab, &first, false),
            (&name("lab2.first"), &lab, false),
            (&name("labs"), &lab, false),
        ] {
            assert_eq!(account.serves(wanted), expected, "{account} {wanted}");
        }
        for bad in ["lab.", ".first", "a.b.c", "lab..first", "lab.-x", &"x".repeat(65)] {
            assert!(ProviderName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_task_id_gives_back_its_parts() {
        let (run, task) = (RunId::new("r_1").unwrap(), TaskName::new("plan").unwrap());
        let id = TaskId::of(&run, &task);
        assert_eq!(id.as_str(), "r_1.plan");
        assert_eq!(id.parts(), Some((run, task)));
    }

    #[test]
    fn an_invalid_id_in_stored_json_is_an_error() {
        assert!(serde_json::from_str::<TaskName>("\"../etc\"").is_err());
    }
}
