//! Reading secrets: for the providers that need them, and to know what must not be shown.

use crate::{OrchestratorService, ServiceError, document::Diagnostic};
use orchestrator_core::{
    id::{AgentName, SecretName},
    port::Secrets,
    secret::SecretString,
};
use orchestrator_store::vault::KeyPlace;
use std::collections::{BTreeMap, BTreeSet};

impl OrchestratorService {
    /// The keys that are in the credential store, of the providers that `agents` run on, by the
    /// names of the providers.
    ///
    /// # Errors
    /// A secret that is not there, a credential file or key that cannot be used.
    pub(crate) async fn keys_of(
        &self,
        agents: &BTreeSet<AgentName>,
    ) -> Result<BTreeMap<String, SecretString>, ServiceError> {
        self.read_keys(self.roster()?.secrets_of(agents)).await
    }

    /// The same for every provider.
    ///
    /// # Errors
    /// As for [`OrchestratorService::keys_of`].
    pub(crate) async fn every_key(&self) -> Result<BTreeMap<String, SecretString>, ServiceError> {
        let providers = self.roster()?.providers();
        let kept = providers.filter_map(|(name, provider)| Some((name, provider.secret.as_ref()?)));
        self.read_keys(kept).await
    }

    async fn read_keys(
        &self,
        kept: impl Iterator<Item = (&str, &SecretName)>,
    ) -> Result<BTreeMap<String, SecretString>, ServiceError> {
        let mut keys = BTreeMap::new();
        for (provider, secret) in kept {
            let Some(key) = self.read_secret(secret).await? else {
                let message = format!(
                    "the key of provider `{provider}` is looked for in the secret `{secret}`, which \
                     is not in the credential store"
                );
                let mend = format!("orchestrator secrets set {secret}");
                let found = Diagnostic::new("ORC-0517", message).suggest(Some(mend));
                return Err(ServiceError::invalid("cannot use the providers", found));
            };
            self.known().learn([key.clone()]);
            keys.insert(provider.to_owned(), key);
        }
        Ok(keys)
    }

    /// The value of one secret; none when it is not there.
    ///
    /// # Errors
    /// A credential file or key that cannot be used.
    pub(crate) async fn read_secret(
        &self,
        name: &SecretName,
    ) -> Result<Option<SecretString>, ServiceError> {
        Ok(self.vault()?.get(name).await?)
    }

    /// Whether a key that is kept there is at hand without asking anybody.
    pub(crate) fn can_open_unasked(&self, place: &KeyPlace) -> bool {
        match place {
            // A keyring is opened by signing in; where it is not, its system asks, and we are not there.
            KeyPlace::KeyFile(_) | KeyPlace::Keyring => true,
            _ => self.environment().get(super::place::PASSPHRASE).is_some(),
        }
    }

    /// Learns every secret that can be read without asking anybody, so that none of them is shown,
    /// whoever says it. With `opened` somebody was asked already.
    ///
    /// What cannot be read is none that this process could show: it is told in the log alone.
    pub(crate) async fn learn_secrets(&self, opened: bool) {
        let Some(vault) = self.vault_if_any() else { return };
        let at_hand = match vault.key_place() {
            Ok(None) => return,
            Ok(Some(place)) => opened || self.can_open_unasked(&place),
            Err(error) => return tracing::warn!(%error, "secrets are not known"),
        };
        if !at_hand {
            return tracing::debug!("the secrets of the credential store are not known");
        }
        let read = async {
            let mut values = Vec::new();
            for secret in vault.names().await? {
                values.extend(vault.get(&secret.name).await?);
            }
            Ok::<_, orchestrator_core::port::SecretsError>(values)
        };
        match read.await {
            Ok(values) => self.known().learn(values),
            Err(error) => tracing::warn!(%error, "secrets are not known"),
        }
    }
}
