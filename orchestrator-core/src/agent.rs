//! Agents as data: who they are, what they can be asked, how one is chosen.

use crate::{
    id::{AgentName, ProviderName},
    permission::Permissions,
    route::Route,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

/// What an agent is for. Five roles are known; any other name is a role of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Role {
    /// Plans, orders and sums up.
    Pm,
    /// Builds.
    Dev,
    /// Tests and reviews.
    Qa,
    /// Looks for what could be abused.
    Security,
    /// Writes for readers.
    Docs,
    /// A role of the user's own.
    Own(String),
}

impl Role {
    /// The five known roles.
    pub const KNOWN: [Self; 5] = [Self::Pm, Self::Dev, Self::Qa, Self::Security, Self::Docs];

    /// The name as in a workflow file.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pm => "pm",
            Self::Dev => "dev",
            Self::Qa => "qa",
            Self::Security => "security",
            Self::Docs => "docs",
            Self::Own(name) => name,
        }
    }

    /// What a model is told about its part, before the task itself.
    pub fn instructions(&self) -> &'static str {
        match self {
            Self::Pm => {
                "You plan and coordinate software work. Break goals into small, verifiable steps, \
                 name risks and dependencies, and keep to what was asked."
            }
            Self::Dev => {
                "You are a senior software engineer. Make the smallest complete change that solves \
                 the task, in the style of the project, with its tests."
            }
            Self::Qa => {
                "You review and test software. Judge only what you can see, name each defect with \
                 its place and a way to show it, and say plainly when nothing is wrong."
            }
            Self::Security => {
                "You review software for security. Report real, reachable weaknesses with severity, \
                 place and mending; do not pad the list."
            }
            Self::Docs => {
                "You write documentation for people who use the software: correct, short, with \
                 examples that run."
            }
            Self::Own(_) => "You carry out the task that you are given, completely and honestly.",
        }
    }
}

impl From<String> for Role {
    fn from(name: String) -> Self {
        Self::KNOWN.into_iter().find(|role| role.as_str() == name).unwrap_or(Self::Own(name))
    }
}

impl From<Role> for String {
    fn from(role: Role) -> String {
        role.as_str().to_owned()
    }
}

impl FromStr for Role {
    type Err = std::convert::Infallible;
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(name.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A named worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AgentSpec {
    /// Its name.
    pub name: AgentName,
    /// What it is for.
    pub role: Role,
    /// What it runs on.
    pub provider: ProviderName,
    /// The model, where the provider has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Who takes over when it cannot work, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fall_back: Vec<AgentName>,
    /// What it is told before each task, in place of its role's instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The most tokens that one answer may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The most attempts that it works on at once, over all runs of an engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// The models that it may ask, where a rule names them. `provider` and `model` are then those of
    /// the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<Route>>,
    /// Which version of its program it is, where that can be told: the files that it begins with, by
    /// their hashes. As it was when the run began; nothing is decided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether a call of it may be answered by an identical one that is under way. Default: it may.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub join: bool,
    /// What it may do with tools of its own. Without it a person is asked about everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Arc<Permissions>>,
    /// Whether it takes messages while it works; the engine asks
    /// [`Agent::steerable`](crate::port::Agent::steerable) when it is given the agent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub steerable: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(join: &bool) -> bool {
    *join
}

impl AgentSpec {
    /// An agent with nothing but a name, a role and a provider.
    pub fn new(name: AgentName, role: Role, provider: ProviderName) -> Self {
        Self {
            name,
            role,
            provider,
            model: None,
            fall_back: Vec::new(),
            instructions: None,
            max_tokens: None,
            max_parallel: None,
            route: None,
            version: None,
            join: true,
            permissions: None,
            steerable: false,
        }
    }

    /// What a model is told before the task.
    pub fn instructions(&self) -> &str {
        self.instructions.as_deref().unwrap_or_else(|| self.role.instructions())
    }

    /// The default agents: one for each of the five roles, named like it, on `provider`.
    pub fn defaults(provider: &ProviderName) -> Vec<Self> {
        Role::KNOWN
            .into_iter()
            .filter_map(|role| {
                let name = AgentName::new(role.as_str()).ok()?;
                Some(Self::new(name, role, provider.clone()))
            })
            .collect()
    }
}

/// Who may do what a task asks of `wanted`, a name or else a role, best first: the agent of that
/// name, or every agent of that role in the order of their names, each followed by its fall-backs.
///
/// Empty when nobody fits.
pub fn select(wanted: &str, agents: &BTreeMap<AgentName, AgentSpec>) -> Vec<AgentName> {
    let mut chosen: Vec<AgentName> = Vec::new();
    let mut add = |name: &AgentName| {
        if agents.contains_key(name) && !chosen.contains(name) {
            chosen.push(name.clone());
        }
    };
    let first: Vec<&AgentSpec> = match agents.get(wanted) {
        Some(agent) => vec![agent],
        None => agents.values().filter(|agent| agent.role.as_str() == wanted).collect(),
    };
    for agent in first {
        add(&agent.name);
        agent.fall_back.iter().for_each(&mut add);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(agents: &[(&str, &str, &[&str])]) -> BTreeMap<AgentName, AgentSpec> {
        agents
            .iter()
            .map(|(name, role, fall_back)| {
                let name = AgentName::new(name).unwrap();
                let mut spec = AgentSpec::new(
                    name.clone(),
                    Role::from((*role).to_owned()),
                    ProviderName::new("builtin").unwrap(),
                );
                spec.fall_back = fall_back.iter().map(|n| AgentName::new(n).unwrap()).collect();
                (name, spec)
            })
            .collect()
    }

    #[test]
    fn a_name_wins_over_a_role_and_fall_backs_follow() {
        let agents =
            roster(&[("ann", "dev", &["cy"]), ("bob", "dev", &[]), ("cy", "qa", &["ghost"])]);
        let check = |wanted, expected: &[&str]| {
            let names: Vec<String> =
                select(wanted, &agents).into_iter().map(String::from).collect();
            assert_eq!(names, expected, "{wanted}");
        };
        check("ann", &["ann", "cy"]);
        check("dev", &["ann", "cy", "bob"]);
        check("qa", &["cy"]);
        check("docs", &[]);
    }

    #[test]
    fn the_defaults_are_one_agent_a_role() {
        let agents = AgentSpec::defaults(&ProviderName::new("builtin").unwrap());
        assert_eq!(agents.len(), 5);
        assert!(agents.iter().all(|a| a.name.as_str() == a.role.as_str()));
        assert_eq!(Role::from("artist".to_owned()), Role::Own("artist".into()));
    }
}
