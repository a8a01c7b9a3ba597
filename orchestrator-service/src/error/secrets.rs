//! Codes and help for a credential store that failed.

use super::Exit;
use orchestrator_core::port::SecretsError;

/// Those of a store that cannot be read, whatever its key.
pub(super) const CODES: [&str; 3] = ["ORC-0531", "ORC-0532", "ORC-0533"];

pub(crate) fn code(error: &SecretsError) -> &'static str {
    match error {
        SecretsError::Damaged { .. } => "ORC-0532",
        SecretsError::TooNew { .. } => "ORC-0533",
        SecretsError::WrongKey { .. } => "ORC-0534",
        SecretsError::NoKey { .. } => "ORC-0535",
        SecretsError::UnsafeKey { .. } => "ORC-0536",
        SecretsError::Unfit { .. } => "ORC-0538",
        _ => "ORC-0531",
    }
}

pub(crate) fn help(error: &SecretsError) -> String {
    match error {
        SecretsError::Damaged { place, .. } => format!(
            "nothing was written; restore `{place}` from a copy, or move it away and set each secret \
             again with `orchestrator secrets set NAME`"
        ),
        SecretsError::TooNew { .. } => {
            "nothing was written; use a newer version of orchestrator".into()
        }
        SecretsError::WrongKey { key: "passphrase", .. } => {
            "nothing was written; type the passphrase again, or set ORCHESTRATOR_PASSPHRASE to it"
                .into()
        }
        SecretsError::WrongKey { .. } => {
            "nothing was written; name the key file that belongs to it: ORCHESTRATOR_KEY_FILE=FILE"
                .into()
        }
        SecretsError::NoKey { key: "key file", .. } => {
            "bring the key file back, or name it: ORCHESTRATOR_KEY_FILE=FILE; without it the secrets \
             are lost, and have to be set again in a new file"
                .into()
        }
        SecretsError::NoKey { key: "keyring", .. } => {
            "nothing was written; sign in so that the keyring is open, and see that `secret-tool` of \
             libsecret finds it"
                .into()
        }
        SecretsError::NoKey { key: "new passphrase", .. } => {
            "type it on a terminal, or set ORCHESTRATOR_NEW_PASSPHRASE".into()
        }
        SecretsError::NoKey { .. } => {
            "type it on a terminal, or set ORCHESTRATOR_PASSPHRASE".into()
        }
        SecretsError::UnsafeKey { .. } => "nothing was written; mend what is named".into(),
        SecretsError::Unfit { .. } => {
            "give its value on standard input: `printf %s \"$KEY\" | orchestrator secrets set NAME`"
                .into()
        }
        _ => "check the permissions of the file and of its directory".into(),
    }
}

/// A key that does not fit is a question of accounts, like one of a provider.
pub(super) fn exit(error: &SecretsError) -> Exit {
    match error {
        SecretsError::WrongKey { .. }
        | SecretsError::NoKey { .. }
        | SecretsError::UnsafeKey { .. } => Exit::Auth,
        SecretsError::Unfit { .. } => Exit::Usage,
        _ => Exit::Unreachable,
    }
}
