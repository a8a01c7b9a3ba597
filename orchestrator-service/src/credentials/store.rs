//! The use cases of the credential store: set, list, remove, rotate.

use super::place::{keys, vault};
use crate::{
    OrchestratorService, ServiceError,
    clock::now,
    config::KeySource,
    views::{List, SecretView, SecretsChangeView},
};
use orchestrator_core::{
    id::SecretName,
    port::{ManagedSecret, Secrets},
    secret::SecretString,
    workflow::did_you_mean,
};
use orchestrator_store::vault::{FileVault, KeyPlace};
use std::path::PathBuf;

/// With what the credential file is opened after a rotation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeyChange {
    /// As before.
    #[default]
    Same,
    /// A new passphrase.
    Passphrase,
    /// A key file, made when it is missing; `None` is the usual one.
    KeyFile(Option<PathBuf>),
    /// A new key in the keyring of the operating system.
    Keyring,
}

impl OrchestratorService {
    /// The credential store.
    ///
    /// # Errors
    /// No place for it: neither `XDG_CONFIG_HOME` nor `HOME` is set.
    pub(crate) fn vault(&self) -> Result<&FileVault, ServiceError> {
        self.vault_if_any().ok_or_else(|| ServiceError::Argument {
            what: "the credential store",
            given: "credentials.json".into(),
            expected: "neither XDG_CONFIG_HOME nor HOME says where your settings lie".into(),
        })
    }

    pub(crate) fn make_vault(&self) -> Option<FileVault> {
        vault(self.environment(), &self.options().passphrase, self.known())
    }

    /// Keeps `value` under `name`, in the place of what was there.
    ///
    /// # Errors
    /// A name or value that does not fit, a credential file or key that cannot be used; nothing is
    /// written then.
    pub async fn secrets_set(
        &self,
        name: &str,
        value: SecretString,
    ) -> Result<SecretsChangeView, ServiceError> {
        let name = secret_name(name)?;
        self.known().learn([value.clone()]);
        let vault = self.vault()?;
        Secrets::set(vault, &name, value, now()).await?;
        self.change("set", vec![name], vault)
    }

    /// The names of all secrets, with when each was set and which providers use it. Shows no value
    /// and needs no key.
    ///
    /// # Errors
    /// A credential file that cannot be read, invalid settings.
    pub async fn secrets(&self) -> Result<List<SecretView>, ServiceError> {
        let kept = match self.vault_if_any() {
            Some(vault) => vault.names().await?,
            None => Vec::new(),
        };
        let accounts = self.settings()?.settings().accounts();
        let users = |secret: &ManagedSecret| {
            let uses = |source: &KeySource| matches!(source, KeySource::Secret(name) if name == secret.name.as_str());
            let using = accounts.iter().filter(|(_, p)| p.key.as_ref().is_some_and(uses));
            using
                .map(|(name, _)| format!("providers.{}", name.replace('.', ".accounts.")))
                .collect()
        };
        let items = kept.iter().map(|secret| SecretView {
            name: secret.name.to_string(),
            set_at: secret.set_at.map(|at| at.to_string()),
            kept_in: secret.kept_in.clone(),
            used_by: users(secret),
        });
        Ok(List { schema: "orchestrator.secrets/v1", items: items.collect(), next: None })
    }

    /// Forgets the secret `name`. Needs no key.
    ///
    /// # Errors
    /// A name that nothing has, a credential file that cannot be used.
    pub async fn secrets_remove(&self, name: &str) -> Result<SecretsChangeView, ServiceError> {
        let wanted = secret_name(name)?;
        let vault = self.vault()?;
        if !vault.remove(&wanted).await? {
            let known = vault.names().await?;
            let names = known.iter().map(|secret| secret.name.as_str());
            return Err(ServiceError::NoSuchSecret {
                name: wanted.to_string(),
                suggestion: did_you_mean(wanted.as_str(), names),
            });
        }
        self.change("remove", vec![wanted], vault)
    }

    /// Seals all secrets anew under a new data key, which the key that `change` names opens from
    /// now on: all of them, or none when something fails.
    ///
    /// # Errors
    /// No secrets, a credential file or key that cannot be used, a passphrase that is too short.
    pub async fn secrets_rotate(
        &self,
        change: KeyChange,
    ) -> Result<SecretsChangeView, ServiceError> {
        let vault = self.vault()?.clone();
        let to = match change {
            KeyChange::Same => None,
            KeyChange::Passphrase => Some(KeyPlace::Passphrase),
            KeyChange::Keyring => Some(KeyPlace::Keyring),
            KeyChange::KeyFile(path) => {
                Some(KeyPlace::KeyFile(path.map(|path| self.environment().directory.join(path))))
            }
        };
        let mut vault = vault;
        if to == Some(KeyPlace::Passphrase) && vault.key_place()? == Some(KeyPlace::Passphrase) {
            let (asker, known) = (&self.options().passphrase, self.known());
            let keys = keys(self.environment(), asker, known, true);
            vault = FileVault::new(vault.path().to_owned(), keys);
        }
        let rotating = vault.clone();
        let rotated = tokio::task::spawn_blocking(move || rotating.rotate(to)).await;
        let rotated = rotated.map_err(|error| ServiceError::Internal(error.to_string()))??;
        if rotated.is_none() {
            return Err(ServiceError::NoSecrets);
        }
        let names = vault.names().await?.into_iter().map(|secret| secret.name).collect();
        self.change("rotate", names, &vault)
    }

    fn change(
        &self,
        action: &'static str,
        names: Vec<SecretName>,
        vault: &FileVault,
    ) -> Result<SecretsChangeView, ServiceError> {
        let key = vault.key_place()?;
        let key_file = match &key {
            Some(KeyPlace::KeyFile(_)) => vault.key_file_path().map(|at| at.display().to_string()),
            _ => None,
        };
        Ok(SecretsChangeView {
            schema: "orchestrator.secrets-change/v1",
            action,
            names: names.iter().map(ToString::to_string).collect(),
            kept_in: vault.path().display().to_string(),
            key: key.as_ref().map_or("none", |place| place.as_str()).to_owned(),
            key_file,
        })
    }
}

fn secret_name(name: &str) -> Result<SecretName, ServiceError> {
    SecretName::new(name).map_err(|error| ServiceError::Argument {
        what: "the name of a secret",
        // Somebody may have typed the value in its place.
        given: "what was given".into(),
        expected: error.rule.into(),
    })
}
