//! Asking providers whether they take their keys.

use super::doctor::{bad, good, note};
use crate::{
    OrchestratorService,
    views::{CheckState, CheckView},
};
use orchestrator_core::{error::Failure, id::ProviderName, secret::SecretString};
use orchestrator_gateway::KeyCheck;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// How far `doctor` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inquiry {
    /// This machine alone.
    #[default]
    Local,
    /// Each provider is asked whether it takes its key: one request that costs nothing.
    Online,
}

/// How long a provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl OrchestratorService {
    /// What each provider says of its key, by name; what cannot be asked is missing.
    pub(super) async fn ask_providers(&self) -> BTreeMap<String, CheckView> {
        let Ok(roster) = self.roster() else { return BTreeMap::new() };
        let (mut keys, mut checks) = (BTreeMap::new(), BTreeMap::new());
        for (name, provider) in roster.providers() {
            let Some(secret) = &provider.secret else { continue };
            match self.read_secret(secret).await {
                Ok(Some(key)) => drop(keys.insert(name.to_owned(), key)),
                Ok(None) => {}
                Err(error) => {
                    checks
                        .insert(name.to_owned(), super::doctor::failed(&called(name), &error, ""));
                }
            }
        }
        self.known().learn(keys.values().cloned().collect::<Vec<SecretString>>());
        let Ok(gateway) = roster.gateway(roster.usable(&keys)) else { return checks };
        let gateway = Arc::new(gateway);
        let mut asked = JoinSet::new();
        for name in gateway.providers().cloned().collect::<Vec<ProviderName>>() {
            let gateway = gateway.clone();
            asked.spawn(async move {
                let said = gateway.check_key(&name, PATIENCE).await;
                (name, said)
            });
        }
        while let Some(answer) = asked.join_next().await {
            let Ok((name, said)) = answer else { continue };
            let place = self.place_of_key(name.as_str());
            checks.insert(name.to_string(), judge(name.as_str(), place, said));
        }
        checks
    }

    /// Where the key of a provider is, in words, and the command that sets it.
    fn place_of_key(&self, name: &str) -> (String, String) {
        use crate::config::KeySource::{Env, Secret};
        let accounts = self.settings().map(|c| c.settings().accounts()).unwrap_or_default();
        let settings = accounts.iter().find(|(account, _)| account == name);
        match settings.and_then(|(_, settings)| settings.key.as_ref()) {
            Some(Secret(secret)) => {
                (format!("secret {secret}"), format!("orchestrator secrets set {secret}"))
            }
            Some(Env(variable)) => (variable.clone(), format!("export {variable}=...")),
            None => {
                let usual = crate::roster::USUAL.iter().find(|usual| usual.name == name);
                let variable = usual.map_or("its variable", |usual| usual.variable);
                (variable.to_owned(), format!("export {variable}=..."))
            }
        }
    }
}

fn called(name: &str) -> String {
    format!("provider {name}")
}

fn judge(name: &str, place: (String, String), said: Result<KeyCheck, Failure>) -> CheckView {
    let (check, (place, mend)) = (called(name), place);
    match said {
        Ok(KeyCheck::Accepted) => good(&check, format!("takes the key in {place}")),
        Ok(KeyCheck::Refused(status)) => CheckView {
            code: Some("ORC-0539"),
            ..bad(&check, &format!("refuses the key in {place} (HTTP {status})"), &mend)
        },
        Ok(KeyCheck::Unclear(status)) => {
            let found =
                format!("answers with HTTP {status} and does not say whether it takes the key");
            CheckView { state: CheckState::Note, ..good(&check, found) }
        }
        Ok(_) => good(&check, "answers"),
        Err(failure) => note(&check, &failure.message, "check the network, and try again"),
    }
}
