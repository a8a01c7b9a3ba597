//! The key that signs receipts.

use crate::{OrchestratorService, ServiceError, views::ReceiptKeyView};
use base64::{Engine, engine::general_purpose::STANDARD};
use orchestrator_workspace::receipt::{PublicKey, SigningKey};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The name of the file in the directory of the user's settings.
const FILE: &str = "receipts.key";

impl OrchestratorService {
    /// The user's key that signs receipts: made when there is none yet, and kept beside the
    /// credentials, for the user alone to read.
    ///
    /// # Errors
    /// [`ServiceError::SigningKey`] when there is no place for it, it cannot be read or written, or
    /// others can read it.
    pub(crate) fn signing_key(&self) -> Result<SigningKey, ServiceError> {
        let path = self.signing_key_file()?;
        let failed = |reason: String| ServiceError::SigningKey { path: path.clone(), reason };
        match read(&path) {
            Ok(Some(key)) => return Ok(key),
            Ok(None) => {}
            Err(reason) => return Err(failed(reason)),
        }
        make(&path).map_err(|error| failed(error.to_string()))?;
        // Another process may have been first: its key is the one then.
        read(&path).map_err(&failed)?.ok_or_else(|| failed("it is gone again".into()))
    }

    /// What others verify receipts of this user with. The key is made when there is none yet.
    ///
    /// # Errors
    /// As for [`ServiceError::SigningKey`].
    pub fn receipt_key(&self) -> Result<ReceiptKeyView, ServiceError> {
        Ok(ReceiptKeyView {
            schema: "orchestrator.receipt-key/v1",
            key: self.signing_key()?.public().to_string(),
            file: self.signing_key_file()?.display().to_string(),
        })
    }

    /// The public key of the user, if there is one that can be read. None is made.
    pub(super) fn own_key(&self) -> Option<PublicKey> {
        let path = self.signing_key_file().ok()?;
        read(&path).ok()?.map(|key| key.public())
    }

    /// Where the key that signs receipts is or would be.
    ///
    /// # Errors
    /// [`ServiceError::SigningKey`] where nothing says which directory is the user's.
    pub(crate) fn signing_key_file(&self) -> Result<PathBuf, ServiceError> {
        let directory = self.environment().user_directory();
        Ok(directory
            .ok_or_else(|| ServiceError::SigningKey {
                path: FILE.into(),
                reason: "neither XDG_CONFIG_HOME nor HOME says where it belongs".into(),
            })?
            .join(FILE))
    }
}

fn read(path: &Path) -> Result<Option<SigningKey>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mode = fs::metadata(path).map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err("others can read it: make it yours alone with `chmod 600`".into());
    }
    let bytes = STANDARD.decode(text.trim()).map_err(|_| "it is damaged".to_owned())?;
    SigningKey::from_bytes(&bytes).map(Some).map_err(|error| error.to_string())
}

/// Makes a key, unless one is there by then. It is never there in part.
fn make(path: &Path) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let key = SigningKey::generate().map_err(io::Error::other)?;
    let new = directory.join(format!(".{FILE}.{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let linked = (|| {
        writeln!(file, "{}", STANDARD.encode(&*key.to_bytes()))?;
        file.sync_all()?;
        match fs::hard_link(&new, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    })();
    fs::remove_file(&new)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Environment, OpenOptions};

    fn service(home: &Path) -> OrchestratorService {
        let home = home.display().to_string();
        let environment = Environment::new([("HOME".to_owned(), home.clone())], home.into());
        OrchestratorService::open(environment, OpenOptions::default()).unwrap()
    }

    #[test]
    fn the_key_is_made_once_for_the_user_alone() {
        let home = tempfile::tempdir().unwrap();
        let first = service(home.path()).signing_key().unwrap();
        let path = home.path().join(".config/orchestrator").join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(service(home.path()).signing_key().unwrap().public(), first.public());
        let beside = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "nothing is left behind");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = service(home.path()).signing_key().unwrap_err();
        assert!(error.code() == "ORC-0641" && error.to_string().contains("chmod 600"), "{error}");
    }
}
