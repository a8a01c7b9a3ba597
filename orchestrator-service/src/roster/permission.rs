//! What agents may do with their tools, as the settings say.

use super::CODING;
use crate::config::{Config, PermissionSettings};
use orchestrator_core::permission::{Decision, PermissionRule, Permissions, RuleError};

/// A rule of the settings that is none, and under which key it stands.
pub(super) struct WrongRule {
    /// Whether it stands under `defaults`.
    pub(super) in_defaults: bool,
    /// `allow`, `ask` or `deny`.
    pub(super) list: &'static str,
    pub(super) error: RuleError,
}

/// Whether agents on `provider` have tools of their own, which rules can be about.
pub(super) fn has_tools(provider: &str) -> bool {
    CODING.contains(&provider)
}

/// What an agent may do: what every agent may, and what its own settings say besides. None when
/// nobody says anything.
pub(super) fn read(
    own: &PermissionSettings,
    config: &Config,
) -> Result<Option<Permissions>, WrongRule> {
    let all = &config.settings().defaults.permissions;
    let unset = PermissionSettings::default();
    if *own == unset && *all == unset {
        return Ok(None);
    }
    let list = |name: &'static str, pick: fn(&PermissionSettings) -> &[String]| {
        let from = |settings: &PermissionSettings, in_defaults| {
            let parse = |text: &String| text.parse::<PermissionRule>();
            let rules: Result<Vec<PermissionRule>, RuleError> =
                pick(settings).iter().map(parse).collect();
            rules.map_err(|error| WrongRule { in_defaults, list: name, error })
        };
        let mut rules = from(own, false)?;
        rules.extend(from(all, true)?);
        Ok(rules)
    };
    let otherwise = own.otherwise.as_deref().or(all.otherwise.as_deref());
    Ok(Some(Permissions {
        allow: list("allow", |settings| &settings.allow)?,
        ask: list("ask", |settings| &settings.ask)?,
        deny: list("deny", |settings| &settings.deny)?,
        // The settings take nothing else.
        otherwise: match otherwise {
            Some("allow") => Decision::Allow,
            Some("deny") => Decision::Deny,
            _ => Decision::Ask,
        },
        home: config.variable("HOME").map(str::to_owned),
    }))
}
