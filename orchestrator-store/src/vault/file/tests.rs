use super::*;
use crate::vault::{Ask, Keyring};
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};
use tempfile::TempDir;

struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With the keyring `keyring`.
    fn with_keyring(&self, keyring: &Arc<Ring>) -> FileVault {
        let keys = self.keys(KeyPlace::Keyring, None, None);
        FileVault::new(self.file(), Keys { keyring: keyring.clone(), ..keys })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("config/credentials.json")
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("data/credentials.key")
    }

    fn keys(&self, for_new: KeyPlace, open: Option<&str>, new: Option<&str>) -> Keys {
        let secret = |text: Option<&str>| text.map(SecretString::new);
        let (open, new) = (secret(open), secret(new));
        Keys {
            usual_key_file: Some(self.key_file()),
            named_key_file: None,
            passphrase: Arc::new(move |ask| match ask {
                Ask::Open => open.clone(),
                Ask::New => new.clone(),
            }),
            keyring: Arc::new(Ring { reason: Some("there is none"), ..Ring::default() }),
            for_new,
        }
    }

    /// With a key file.
    fn vault(&self) -> FileVault {
        FileVault::new(self.file(), self.keys(KeyPlace::KeyFile(None), None, None))
    }

    /// With a passphrase.
    fn locked(&self, passphrase: Option<&str>) -> FileVault {
        FileVault::new(self.file(), self.keys(KeyPlace::Passphrase, passphrase, passphrase))
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    /// Changes the text of the file.
    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.contains(from), "no {from} in {text}");
        fs::write(self.file(), text.replacen(from, to, 1)).unwrap();
    }
}

/// A keyring in memory.
#[derive(Default)]
struct Ring {
    entries: Mutex<BTreeMap<String, String>>,
    /// Why it cannot be used.
    reason: Option<&'static str>,
    forgets: bool,
}

impl Keyring for Ring {
    fn read(&self, entry: &str) -> Result<Option<SecretString>, String> {
        match self.reason {
            Some(reason) => Err(reason.into()),
            None => Ok(self.entries.lock().unwrap().get(entry).map(SecretString::new)),
        }
    }

    fn keep(&self, entry: &str, value: &SecretString) -> Result<(), String> {
        if !self.forgets {
            self.entries.lock().unwrap().insert(entry.into(), value.expose().into());
        }
        self.reason.map_or(Ok(()), |reason| Err(reason.into()))
    }
}

fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

fn put(vault: &FileVault, key: &str, value: &str) {
    vault.put(&name(key), &SecretString::new(value), Timestamp(7)).unwrap();
}

fn value(vault: &FileVault, key: &str) -> Option<String> {
    vault.value(&name(key)).unwrap().map(|secret| secret.expose().to_owned())
}

fn names(vault: &FileVault) -> Vec<String> {
    vault.list().unwrap().iter().map(|secret| secret.name.to_string()).collect()
}

#[test]
fn what_is_kept_is_given_back_and_shown_nowhere() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    assert!(names(&vault).is_empty() && value(&vault, "A").is_none());
    assert!(!vault.forget(&name("A")).unwrap() && vault.rotate(None).unwrap().is_none());
    assert!(!fixture.file().exists() && !fixture.key_file().exists(), "looking makes nothing");
    put(&vault, "B", "value-of-b\n");
    put(&vault, "A", "value-of-a");
    put(&vault, "B", "another-b");
    let anew = fixture.vault();
    assert_eq!(names(&anew), ["A", "B"]);
    assert_eq!(value(&anew, "A").as_deref(), Some("value-of-a"));
    assert_eq!(value(&anew, "B").as_deref(), Some("another-b"));
    let text = String::from_utf8(fixture.bytes()).unwrap();
    assert!(!text.contains("value-of") && !text.contains("another-b"), "{text}");
    let shown = format!("{anew:?}");
    assert!(!shown.contains("another"), "{shown}");
    assert!(anew.forget(&name("A")).unwrap() && !anew.forget(&name("A")).unwrap());
    assert_eq!(names(&vault), ["B"]);
    for path in [fixture.file(), fixture.key_file()] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn only_the_passphrase_opens_it_and_a_wrong_one_changes_nothing() {
    let fixture = Fixture::new();
    put(&fixture.locked(Some("correct horse")), "A", "value-of-a");
    assert!(!fixture.key_file().exists());
    let before = fixture.bytes();
    assert_eq!(names(&fixture.locked(None)), ["A"], "names need no key");
    let wrong = fixture.locked(Some("wrong horse"));
    for error in [
        wrong.value(&name("A")).unwrap_err(),
        wrong.put(&name("B"), &SecretString::new("value-of-b"), Timestamp(8)).unwrap_err(),
        wrong.rotate(None).unwrap_err(),
        wrong.rotate(Some(KeyPlace::KeyFile(None))).unwrap_err(),
    ] {
        assert!(matches!(error, SecretsError::WrongKey { key: "passphrase", .. }), "{error}");
    }
    let error = fixture.locked(None).value(&name("A")).unwrap_err();
    assert!(matches!(error, SecretsError::NoKey { .. }), "{error}");
    assert_eq!(fixture.bytes(), before);
    assert!(!fixture.key_file().exists(), "a key that nothing is sealed with was not made");
    assert_eq!(value(&fixture.locked(Some("correct horse")), "A").as_deref(), Some("value-of-a"));
}

#[test]
fn a_short_passphrase_is_not_set() {
    let fixture = Fixture::new();
    let vault = fixture.locked(Some("seven77"));
    let error = vault.put(&name("A"), &SecretString::new("value"), Timestamp(1)).unwrap_err();
    assert!(matches!(error, SecretsError::UnsafeKey { .. }), "{error}");
    assert!(!fixture.file().exists());
}

#[test]
fn rotation_seals_all_of_it_anew_wherever_the_key_goes() {
    let fixture = Fixture::new();
    put(&fixture.vault(), "A", "value-of-a");
    put(&fixture.vault(), "B", "value-of-b");
    let values = |vault: &FileVault| [value(vault, "A"), value(vault, "B")].map(Option::unwrap);
    let check = |vault: &FileVault| assert_eq!(values(vault), ["value-of-a", "value-of-b"]);
    let before = fixture.bytes();
    // Another process that has the old data key notices that it does not hold any more.
    let other = fixture.vault();
    check(&other);
    let done = fixture.vault().rotate(None).unwrap();
    assert_eq!(done, Some((KeyPlace::KeyFile(None), 2)));
    check(&other);
    let sealed = |bytes: &[u8]| -> Vec<String> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.lines().filter(|line| line.contains("\"sealed\"")).map(str::to_owned).collect()
    };
    let (old, new) = (sealed(&before), sealed(&fixture.bytes()));
    assert_eq!((old.len(), new.len()), (3, 3));
    assert!(old.iter().all(|line| !new.contains(line)), "everything is sealed anew");
    // To another file, which the credential file names; to a passphrase; to another one; and back.
    let elsewhere = fixture.folder.path().join("elsewhere.key");
    let to = KeyPlace::KeyFile(Some(elsewhere.clone()));
    assert_eq!(fixture.vault().rotate(Some(to.clone())).unwrap(), Some((to, 2)));
    fs::remove_file(fixture.key_file()).unwrap();
    check(&fixture.vault());
    let keys = fixture.keys(KeyPlace::Passphrase, Some("first horse"), Some("first horse"));
    FileVault::new(fixture.file(), keys).rotate(Some(KeyPlace::Passphrase)).unwrap();
    fs::remove_file(elsewhere).unwrap();
    check(&fixture.locked(Some("first horse")));
    let keys = fixture.keys(KeyPlace::Passphrase, Some("first horse"), Some("second horse"));
    FileVault::new(fixture.file(), keys).rotate(Some(KeyPlace::Passphrase)).unwrap();
    check(&fixture.locked(Some("second horse")));
    assert!(fixture.locked(Some("first horse")).value(&name("A")).is_err());
    let vault = fixture.locked(Some("second horse"));
    vault.rotate(Some(KeyPlace::KeyFile(None))).unwrap();
    check(&fixture.vault());
}

#[test]
fn what_is_damaged_is_told_and_left_as_it_is() {
    let check = |break_it: &dyn Fn(&Fixture), part: &str| {
        let fixture = Fixture::new();
        put(&fixture.locked(Some("correct horse")), "A", "value-of-a");
        break_it(&fixture);
        let before = fixture.bytes();
        let vault = fixture.locked(Some("correct horse"));
        for error in [vault.value(&name("A")).unwrap_err(), vault.rotate(None).unwrap_err()] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(fixture.bytes(), before);
    };
    check(&|f| fs::write(f.file(), "").unwrap(), "damaged");
    check(&|f| fs::write(f.file(), "A=sk-1234").unwrap(), "line 1");
    check(&|f| f.edit("credentials/v1", "credentials/v2"), "credentials/v2");
    check(&|f| f.edit("orchestrator.credentials/v1", "mine"), "not a credential file");
    check(&|f| f.edit("\"generation\"", "\"more\": 1, \"generation\""), "damaged");
    check(&|f| f.edit("\"memory_kib\": 65536", "\"memory_kib\": 8"), "not within bounds");
    check(&|f| f.edit("\"passes\": 3", "\"passes\": 4000000000"), "not within bounds");
    // A cost within bounds that is not the one that was sealed along makes another key.
    check(&|f| f.edit("\"passes\": 3", "\"passes\": 2"), "does not open");
    check(&|f| f.edit("\"generation\": 1", "\"generation\": 2"), "does not open");
    // A secret under another name, or of another time, is not the one that was sealed.
    let renamed = |f: &Fixture| f.edit("\"A\": {", "\"B\": {");
    let fixture = Fixture::new();
    put(&fixture.locked(Some("correct horse")), "A", "value-of-a");
    renamed(&fixture);
    let error = fixture.locked(Some("correct horse")).value(&name("B")).unwrap_err();
    assert!(matches!(error, SecretsError::Damaged { .. }), "{error}");
    check(&|f| f.edit("\"set_at_ms\": 7", "\"set_at_ms\": 8"), "does not open");
    let long = |f: &Fixture| File::create(f.file()).unwrap().set_len(LONGEST + 1).unwrap();
    check(&long, "too large");
}

#[test]
fn a_key_file_that_is_gone_is_not_made_anew() {
    let fixture = Fixture::new();
    put(&fixture.vault(), "A", "value-of-a");
    let before = fixture.bytes();
    fs::remove_file(fixture.key_file()).unwrap();
    let vault = fixture.vault();
    let error = vault.put(&name("B"), &SecretString::new("value"), Timestamp(1)).unwrap_err();
    assert!(matches!(error, SecretsError::NoKey { .. }), "{error}");
    assert!(error.to_string().contains("credentials.key"), "{error}");
    assert!(!fixture.key_file().exists());
    assert_eq!(fixture.bytes(), before);
}

#[test]
fn a_keyring_opens_it_and_nothing_is_lost_with_one_that_does_not() {
    let fixture = Fixture::new();
    put(&fixture.vault(), "A", "value-of-a");
    let ring = Arc::new(Ring::default());
    let done = fixture.with_keyring(&ring).rotate(Some(KeyPlace::Keyring)).unwrap();
    assert_eq!(done, Some((KeyPlace::Keyring, 1)));
    fs::remove_file(fixture.key_file()).unwrap();
    let old = fixture.bytes();
    assert_eq!(value(&fixture.with_keyring(&ring), "A").as_deref(), Some("value-of-a"));
    put(&fixture.with_keyring(&ring), "B", "value-of-b");
    fixture.with_keyring(&ring).rotate(None).unwrap();
    assert_eq!(value(&fixture.with_keyring(&ring), "B").as_deref(), Some("value-of-b"));
    // Another key has an entry of its own, and a copy of the file from before still opens.
    fixture.with_keyring(&ring).rotate(Some(KeyPlace::Keyring)).unwrap();
    assert_eq!(ring.entries.lock().unwrap().len(), 2);
    let new = fixture.bytes();
    fs::write(fixture.file(), old).unwrap();
    assert_eq!(value(&fixture.with_keyring(&ring), "A").as_deref(), Some("value-of-a"));
    fs::write(fixture.file(), &new).unwrap();

    let check = |ring: Ring, part: &str| {
        let vault = fixture.with_keyring(&Arc::new(ring));
        for error in [
            vault.value(&name("A")).unwrap_err(),
            vault.put(&name("C"), &SecretString::new("value"), Timestamp(1)).unwrap_err(),
            vault.rotate(Some(KeyPlace::Keyring)).unwrap_err(),
        ] {
            assert!(matches!(error, SecretsError::NoKey { key: "keyring", .. }), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(fixture.bytes(), new);
    };
    check(Ring { reason: Some("it is locked"), ..Ring::default() }, "it is locked");
    check(Ring::default(), "or is locked");
    let entries: BTreeMap<_, _> = ring.entries.lock().unwrap().clone();
    for damaged in ["", "bm8ga2V5", "not base64!"] {
        let entries = entries.keys().map(|entry| (entry.clone(), damaged.to_owned())).collect();
        check(Ring { entries: Mutex::new(entries), ..Ring::default() }, "is no key");
    }
    // One that keeps nothing is noticed before anything is sealed for it.
    let other = Fixture::new();
    put(&other.vault(), "A", "value-of-a");
    let forgets = Arc::new(Ring { forgets: true, ..Ring::default() });
    let error = other.with_keyring(&forgets).rotate(Some(KeyPlace::Keyring)).unwrap_err();
    assert!(error.to_string().contains("does not keep"), "{error}");
    assert_eq!(value(&other.vault(), "A").as_deref(), Some("value-of-a"));
}

#[test]
fn a_named_key_file_comes_before_the_usual_one() {
    let fixture = Fixture::new();
    let named = fixture.folder.path().join("named.key");
    let keys = Keys {
        named_key_file: Some(named.clone()),
        ..fixture.keys(KeyPlace::KeyFile(None), None, None)
    };
    put(&FileVault::new(fixture.file(), keys), "A", "value-of-a");
    assert!(named.exists() && !fixture.key_file().exists());
    // The file names it, so it is found without being named again.
    assert_eq!(value(&fixture.vault(), "A").as_deref(), Some("value-of-a"));
}

#[test]
fn values_have_bounds() {
    let fixture = Fixture::new();
    for (bad, why) in [("  \n".to_owned(), "empty"), ("x".repeat(LONGEST_VALUE + 1), "64 KiB")] {
        let result = fixture.vault().put(&name("A"), &SecretString::new(bad), Timestamp(1));
        assert!(result.unwrap_err().to_string().contains(why));
    }
    put(&fixture.vault(), "A", &"x".repeat(LONGEST_VALUE));
}

#[test]
fn what_a_dead_writer_left_is_removed_by_the_next() {
    let fixture = Fixture::new();
    put(&fixture.vault(), "A", "value-of-a");
    let left = fixture.file().with_file_name(".credentials-dead");
    fs::write(&left, "half").unwrap();
    put(&fixture.vault(), "B", "value-of-b");
    assert!(!left.exists());
}

#[test]
fn a_link_stays_one() {
    let fixture = Fixture::new();
    let real = fixture.folder.path().join("dotfiles/credentials.json");
    fs::create_dir_all(real.parent().unwrap()).unwrap();
    fs::create_dir_all(fixture.file().parent().unwrap()).unwrap();
    put(&fixture.vault(), "A", "value-of-a");
    fs::rename(fixture.file(), &real).unwrap();
    std::os::unix::fs::symlink(&real, fixture.file()).unwrap();
    put(&fixture.vault(), "B", "value-of-b");
    assert!(fixture.file().is_symlink());
    assert_eq!(names(&fixture.vault()), ["A", "B"]);
}

#[test]
fn writers_at_once_lose_nothing() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let vault = fixture.vault();
            scope.spawn(move || {
                for index in 0..4 {
                    put(&vault, &format!("K{worker}-{index}"), "some-value");
                }
            });
        }
    });
    assert_eq!(names(&fixture.vault()).len(), 32);
    assert_eq!(value(&fixture.vault(), "K7-3").as_deref(), Some("some-value"));
}

#[tokio::test]
async fn the_port_does_the_same() {
    let fixture = Fixture::new();
    let vault: Arc<dyn Secrets> = Arc::new(fixture.vault());
    let kept = vault.set(&name("A"), SecretString::new("value-of-a"), Timestamp(3)).await.unwrap();
    assert_eq!(kept.kept_in, fixture.file().display().to_string());
    assert_eq!(vault.names().await.unwrap(), [kept]);
    let read = vault.get(&name("A")).await.unwrap().unwrap();
    assert_eq!(read.expose(), "value-of-a");
    assert!(vault.remove(&name("A")).await.unwrap());
    assert_eq!(vault.get(&name("A")).await.unwrap(), None);
}
