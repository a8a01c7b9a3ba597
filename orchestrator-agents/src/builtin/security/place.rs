//! Files that tell by their name, mode or target that they should not be there.

use crate::builtin::{
    finding::{Finding, Severity},
    index::{Class, FileEntry, Index, Kind},
};
use std::{
    fs,
    path::{Component, Path},
    sync::atomic::{AtomicBool, Ordering},
};

/// A file whose name says that it holds what should not be shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Risky {
    rule: &'static str,
    severity: Severity,
    what: &'static str,
    advice: &'static str,
}

const REMOVE: &str = "Remove it from the repository, name it in `.gitignore`, and replace what it \
                      holds if it was ever pushed";

use Severity::{High, Low, Medium};

fn risky(rule: &'static str, severity: Severity, what: &'static str) -> Option<Risky> {
    Some(Risky { rule, severity, what, advice: REMOVE })
}

/// What the name of the file `path` says; `size` in bytes.
pub(super) fn by_name(path: &str, size: u64, kind: Kind) -> Option<Risky> {
    let lower = path.to_ascii_lowercase();
    let (dirs, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let dir = dirs.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if size == 0 {
        return None;
    }
    match name {
        ".env" => return risky("security/environment-file", Medium, "an environment file"),
        "id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519" => {
            return risky("security/key-file", High, "a private SSH key");
        }
        ".netrc" | "_netrc" | ".git-credentials" | ".pgpass" | ".dockercfg" => {
            return risky("security/credential-file", High, "a file of stored passwords");
        }
        ".htpasswd" => {
            return risky("security/credential-file", Medium, "a file of password hashes");
        }
        ".bash_history" | ".zsh_history" | ".mysql_history" | ".psql_history"
        | ".python_history" => {
            return risky("security/shell-history", Medium, "a history of typed commands");
        }
        "terraform.tfstate" | "terraform.tfstate.backup" => {
            return risky(
                "security/state-file",
                High,
                "Terraform state, which holds secrets as plain text",
            );
        }
        "credentials" if dir == ".aws" => {
            return risky("security/credential-file", High, "an AWS credentials file");
        }
        "config" if dir == ".kube" => {
            return risky("security/credential-file", Medium, "a Kubernetes configuration");
        }
        "core" if kind != Kind::Text => {
            return risky(
                "security/memory-dump",
                Medium,
                "a core dump, which holds what the program knew",
            );
        }
        _ => {}
    }
    if let Some(which) = name.strip_prefix(".env.") {
        const SAMPLES: [&str; 12] = [
            "example", "sample", "template", "dist", "defaults", "default", "test", "testing",
            "ci", "tpl", "schema", "vault",
        ];
        let is_sample = which.split('.').any(|part| SAMPLES.contains(&part));
        return if is_sample {
            None
        } else {
            risky("security/environment-file", Medium, "an environment file")
        };
    }
    match extension {
        "p12" | "pfx" | "jks" | "keystore" | "ppk" if kind != Kind::Text || extension == "ppk" => {
            risky("security/key-file", Medium, "a store of private keys")
        }
        "kdbx" | "kdb" | "agilekeychain" => {
            risky("security/credential-file", High, "a password safe")
        }
        "hprof" | "dmp" | "mdmp" if kind != Kind::Text => risky(
            "security/memory-dump",
            Medium,
            "a memory dump, which holds what the program knew",
        ),
        "dump" | "bak" if kind != Kind::Text && size > 4096 => {
            risky("security/database-dump", Low, "what looks like a backup or a dump of a database")
        }
        "sql"
            if size > 64 << 10
                && ["dump", "backup", "export", "prod"].iter().any(|word| name.contains(word)) =>
        {
            risky("security/database-dump", Medium, "what looks like a dump of a database")
        }
        "gz" | "zip" | "bz2" | "xz" if name.contains(".sql.") => {
            risky("security/database-dump", Medium, "a packed dump of a database")
        }
        digits
            if name.starts_with("core.")
                && kind != Kind::Text
                && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            risky("security/memory-dump", Medium, "a core dump, which holds what the program knew")
        }
        _ => None,
    }
}

/// Whether git has the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tracking {
    /// Git tracks it.
    Tracked,
    /// Git neither tracks nor ignores it.
    Loose,
    /// There is no repository to ask.
    Unknown,
}

impl Risky {
    /// The finding for the file `path`.
    pub(super) fn finding(&self, path: &str, class: Class, tracking: Tracking) -> Finding {
        let (severity, state) = match tracking {
            Tracking::Tracked => (self.severity, "is under version control"),
            Tracking::Loose => {
                (self.severity.min(Low), "is not ignored: one `git add .` would commit it")
            }
            Tracking::Unknown => (self.severity, "is among the project's files"),
        };
        let severity = match class {
            Class::Test | Class::Fixture | Class::Example | Class::Vendored => {
                severity.min(Severity::Info)
            }
            _ => severity,
        };
        Finding::new(self.rule, severity, format!("{} {state}", self.what), self.advice).at(path)
    }
}

/// The links of the project that lead out of it, and its files that anyone may write or that run
/// with their owner's rights.
pub(super) fn links_and_modes(
    index: &Index,
    cancelled: &AtomicBool,
) -> (Vec<Finding>, Option<String>) {
    let mut found = Vec::new();
    let mut open = Vec::new();
    let mut seen = 0_usize;
    for file in index.files() {
        if cancelled.load(Ordering::Relaxed) {
            break;
        }
        if file.class == Class::Vendored {
            continue;
        }
        if file.kind == Kind::Link {
            found.extend(outward(index.root(), file));
            continue;
        }
        seen += 1;
        let mode = mode(&file.abs);
        if mode & 0o6000 != 0 {
            found.push(
                Finding::new(
                    "security/setuid-file",
                    High,
                    "the file runs with the rights of its owner or group, whoever starts it",
                    "Take the bit away: `chmod u-s,g-s`",
                )
                .at(&file.path),
            );
        }
        if mode & 0o002 != 0 {
            open.push(&file.path);
        }
    }
    // Some mounts (Windows shares, containers) show every file so: then it says nothing about them.
    if open.len() > 50 && open.len() * 2 > seen {
        let note = format!(
            "{} of {seen} files may be written by everyone, which the file system rather than the \
             project seems to decide; they are not listed",
            open.len()
        );
        return (found, Some(note));
    }
    found.extend(open.into_iter().map(|path| {
        Finding::new(
            "security/world-writable-file",
            Low,
            "everyone on this machine may write the file",
            "Take the right away: `chmod o-w`",
        )
        .at(path)
    }));
    (found, None)
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).map_or(0, |meta| meta.mode())
}

#[cfg(not(unix))]
fn mode(_: &Path) -> u32 {
    0
}

/// What to say of a link that leads out of `root`.
fn outward(root: &Path, link: &FileEntry) -> Option<Finding> {
    let target = fs::read_link(&link.abs).ok()?;
    let advice = "Keep a copy in the project, or leave the link out: elsewhere it leads to another \
                  file or to none, and tools that follow it read or write there";
    let report = |severity, message: String| {
        Some(Finding::new("security/link-out-of-project", severity, message, advice).at(&link.path))
    };
    let shown = target.to_string_lossy();
    if target.is_absolute() {
        let severity = if target.starts_with(root) { Low } else { Medium };
        return report(severity, format!("the link leads to the absolute path `{shown}`"));
    }
    let mut depth = link.dir().split('/').filter(|part| !part.is_empty()).count();
    for part in target.components() {
        match part {
            Component::ParentDir if depth == 0 => {
                return report(Medium, format!("the link leads out of the project, to `{shown}`"));
            }
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    // Through another link it may leave all the same.
    let end = fs::canonicalize(&link.abs).ok()?;
    if end.starts_with(root) {
        return None;
    }
    report(Medium, format!("the link leads out of the project, by way of `{shown}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        for (path, size, kind, rule) in [
            (".env", 9, Kind::Text, Some("environment-file")),
            ("api/.env.production", 9, Kind::Text, Some("environment-file")),
            (".env.example", 9, Kind::Text, None),
            (".env.local.sample", 9, Kind::Text, None),
            (".env", 0, Kind::Text, None),
            ("src/environment.ts", 9, Kind::Text, None),
            ("deploy/id_rsa", 9, Kind::Text, Some("key-file")),
            ("deploy/id_rsa.pub", 9, Kind::Text, None),
            ("a/store.p12", 9, Kind::Binary, Some("key-file")),
            ("slides.key", 9, Kind::Binary, None),
            ("team.kdbx", 9, Kind::Binary, Some("credential-file")),
            (".netrc", 9, Kind::Text, Some("credential-file")),
            ("home/.aws/credentials", 9, Kind::Text, Some("credential-file")),
            ("docs/credentials", 9, Kind::Text, None),
            ("core", 9, Kind::Binary, Some("memory-dump")),
            ("core.1234", 9, Kind::Huge, Some("memory-dump")),
            ("core.js", 9, Kind::Text, None),
            ("core", 9, Kind::Text, None),
            ("db/prod-dump.sql", 1 << 20, Kind::Text, Some("database-dump")),
            ("db/0001_dump.sql", 900, Kind::Text, None),
            ("x/all.sql.gz", 9, Kind::Binary, Some("database-dump")),
            ("terraform.tfstate", 9, Kind::Text, Some("state-file")),
            (".bash_history", 9, Kind::Text, Some("shell-history")),
        ] {
            let found =
                by_name(path, size, kind).map(|risky| risky.rule.trim_start_matches("security/"));
            assert_eq!(found, rule, "{path}");
        }
    }

    #[test]
    fn what_git_knows_decides_how_bad_it_is() {
        let env = by_name(".env", 1, Kind::Text).unwrap();
        for (class, tracking, severity) in [
            (Class::Own, Tracking::Tracked, Medium),
            (Class::Own, Tracking::Loose, Low),
            (Class::Own, Tracking::Unknown, Medium),
            (Class::Fixture, Tracking::Tracked, Severity::Info),
        ] {
            assert_eq!(env.finding(".env", class, tracking).severity, severity);
        }
    }
}
