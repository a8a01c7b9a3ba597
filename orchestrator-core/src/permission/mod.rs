//! What agents may do by themselves, what they have to ask a person for, and what they may not do.
//!
//! An agent with tools of its own says what it is about to do as an [`Action`]; its [`Permissions`]
//! decide. All of it is pure: paths are taken as they are written, commands as a shell would read
//! them, and nothing is looked up. A denial by a pattern is a hint to a well-meaning agent; what
//! keeps any other one in is the sandbox.

mod action;
mod command;
mod glob;
mod judge;
mod rule;
#[cfg(test)]
mod tests;

pub use action::{Action, ActionKind};
pub use rule::{PermissionRule, RuleError};

use command::CommandLine;
use glob::Places;
use judge::Case;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What is decided of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It may be done.
    Allow,
    /// A person is asked.
    #[default]
    Ask,
    /// It may not be done.
    Deny,
}

impl Decision {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// What an agent may do with its tools. A denial wins over a question, and a question over what is
/// allowed. Default: everything is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Permissions {
    /// What it may do by itself. `edit` alone means edits in its workspace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<PermissionRule>,
    /// What a person is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<PermissionRule>,
    /// What it may not do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<PermissionRule>,
    /// What is decided where no rule says anything. Default: a person is asked.
    #[serde(default)]
    pub otherwise: Decision,
    /// What `~` stands for: an absolute path. Without it no rule with `~` means anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

/// A decision, and why it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The decision.
    pub decision: Decision,
    /// The rule that led to it, if one did.
    pub rule: Option<PermissionRule>,
    /// Why, as the rest of a sentence that begins with what is decided.
    pub why: String,
}

impl Permissions {
    /// Permissions of rules as their texts.
    ///
    /// # Errors
    /// The first text that is no rule.
    pub fn of(allow: &[&str], ask: &[&str], deny: &[&str]) -> Result<Self, RuleError> {
        let read = |texts: &[&str]| -> Result<Vec<PermissionRule>, RuleError> {
            texts.iter().map(|text| text.parse()).collect()
        };
        Ok(Self { allow: read(allow)?, ask: read(ask)?, deny: read(deny)?, ..Self::default() })
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty()
            && self.ask.is_empty()
            && self.deny.is_empty()
            && self.otherwise == Decision::default()
    }

    /// What is decided of `action` of an agent that works in `workspace`, where a person has allowed
    /// `standing` besides: that is not asked any more, but what is denied stays denied.
    pub fn decide(&self, action: &Action, workspace: &Path, standing: &[PermissionRule]) -> Ruling {
        let at = Grounds::new(workspace, self.home.as_deref());
        let case = Case::new(action, at.places());
        let ruling = |decision, rule: Option<&PermissionRule>, why: String| {
            let rule = rule.cloned();
            Ruling { decision, rule, why }
        };
        if let Some(rule) = self.deny.iter().find(|rule| case.touches(rule)) {
            return ruling(Decision::Deny, Some(rule), format!("the rule `{rule}` denies it"));
        }
        let picky = |rules: &[PermissionRule]| {
            rules.iter().any(|rule| rule.picks_commands() || rule.picks_paths())
        };
        if !standing.is_empty() && case.is_covered(standing, picky(&self.deny)) {
            let why = "a person has allowed it for the rest of the run".to_owned();
            return ruling(Decision::Allow, None, why);
        }
        if let Some(rule) = self.ask.iter().find(|rule| case.touches(rule)) {
            return ruling(Decision::Ask, Some(rule), format!("the rule `{rule}` asks for it"));
        }
        if case.is_covered(&self.allow, picky(&self.deny) || picky(&self.ask)) {
            let why = "rules allow all of it".to_owned();
            return ruling(Decision::Allow, None, why);
        }
        let why = match (self.otherwise, case.is_certain()) {
            // That nothing else is said does not make certain what a shell would do.
            (Decision::Allow, false) if picky(&self.deny) || picky(&self.ask) => {
                let why = "what the command does cannot be told from its text".to_owned();
                return ruling(Decision::Ask, None, why);
            }
            (_, true) => "no rule allows all of it".to_owned(),
            (_, false) => {
                "no rule allows it, and what the command does cannot be told from its text"
                    .to_owned()
            }
        };
        ruling(self.otherwise, None, why)
    }

    /// The rules that mean exactly `action` of an agent that works in `workspace`, and nothing else:
    /// what is remembered when a person allows it for good. None when no rules can say that: of a
    /// command whose doing cannot be told from its text, or of nothing in particular.
    pub fn exactly(&self, action: &Action, workspace: &Path) -> Option<Vec<PermissionRule>> {
        let at = Grounds::new(workspace, self.home.as_deref());
        let case = Case::new(action, at.places());
        let rules = case.exact_rules()?;
        case.is_covered(&rules, false).then_some(rules)
    }
}

/// Where an agent works, in parts.
struct Grounds {
    workspace: Vec<String>,
    home: Option<Vec<String>>,
}

impl Grounds {
    fn new(workspace: &Path, home: Option<&str>) -> Self {
        let nowhere = Places { workspace: &[], home: None };
        let parts = |path: &str| glob::segments(path, &nowhere).unwrap_or_default();
        Self { workspace: parts(&workspace.to_string_lossy()), home: home.map(parts) }
    }

    fn places(&self) -> Places<'_> {
        Places { workspace: &self.workspace, home: self.home.as_deref() }
    }
}
