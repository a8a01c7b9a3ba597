//! The source tree that the chores work on.

use anyhow::{Context as _, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use std::{fs, path::PathBuf, process::Command};

/// The root of the source tree, and what can be asked about it.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The tree that this program was built in.
    ///
    /// # Errors
    /// When the package's directory has no parent.
    pub(crate) fn find() -> Result<Self> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.parent().context("the package xtask lies in no workspace")?;
        Ok(Self { root: root.to_owned() })
    }

    /// A tree rooted at `root`.
    #[cfg(test)]
    pub(crate) fn at(root: &std::path::Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The path of something in the tree.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The text of a file in the tree.
    ///
    /// # Errors
    /// When it cannot be read, with its path.
    pub(crate) fn read(&self, relative: &str) -> Result<String> {
        let path = self.path(relative);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// A command that runs in the root, with the cargo that called us where `program` is cargo.
    pub(crate) fn command(&self, program: &str) -> Command {
        let program = match (program, std::env::var_os("CARGO")) {
            ("cargo", Some(cargo)) => cargo,
            (other, _) => other.into(),
        };
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_about_this_package) {
                command.env_remove(name);
            }
        }
        command
    }

    /// What a command prints, when it succeeds.
    ///
    /// # Errors
    /// When it cannot start, fails, or prints something other than UTF-8.
    pub(crate) fn output(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let shown = format!("{program} {}", arguments.join(" "));
        let output = self
            .command(program)
            .args(arguments)
            .output()
            .with_context(|| format!("cannot start `{shown}`"))?;
        if !output.status.success() {
            bail!(
                "`{shown}` ended with {}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed no UTF-8"))
    }

    /// What cargo knows about the workspace's own packages.
    ///
    /// # Errors
    /// When a manifest is invalid.
    pub(crate) fn members(&self) -> Result<Metadata> {
        MetadataCommand::new()
            .current_dir(&self.root)
            .no_deps()
            .exec()
            .context("cannot read the workspace's manifests")
    }

    /// Every file that is in version control or would be added to it, relative to the root,
    /// with `/` between the parts, in order. Files that were deleted are left out.
    ///
    /// # Errors
    /// When git is missing or the tree is no repository.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let listed = self
            .output("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .context("the files of the tree are listed with git")?;
        let mut files: Vec<String> = listed
            .split('\0')
            .filter(|file| !file.is_empty() && self.path(file).is_file())
            .map(ToOwned::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// Whether a variable was set by the `cargo run` that started this program and describes it.
///
/// Build scripts of some dependencies are run again when such a variable changes, so that passing
/// them on would build those dependencies anew at each turn between a chore and a plain cargo.
fn is_about_this_package(name: &str) -> bool {
    const NAMES: [&str; 5] = [
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
    ];
    NAMES.contains(&name) || name.starts_with("CARGO_PKG_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_describes_this_package_is_not_passed_on() {
        for (name, expected) in [
            ("CARGO_PKG_VERSION_MAJOR", true),
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_TARGET_DIR", false),
            ("CARGO_HOME", false),
            ("PATH", false),
        ] {
            assert_eq!(is_about_this_package(name), expected, "{name}");
        }
        let tree = Tree::find().unwrap();
        let command = tree.command("cargo");
        let removed = command.get_envs().any(|(n, v)| n == "CARGO_MANIFEST_DIR" && v.is_none());
        assert!(removed);
    }

    #[test]
    fn files_are_those_of_version_control_and_new_ones() {
        let directory = tempfile::tempdir().unwrap();
        let tree = Tree::at(directory.path());
        assert!(tree.files().is_err(), "no repository");
        tree.output("git", &["init", "--quiet"]).unwrap();
        for (name, text) in [(".gitignore", "built\n"), ("b", ""), ("a", ""), ("built", "")] {
            fs::write(tree.path(name), text).unwrap();
        }
        tree.output("git", &["add", "b"]).unwrap();
        assert_eq!(tree.files().unwrap(), [".gitignore", "a", "b"]);
        fs::remove_file(tree.path("b")).unwrap();
        assert_eq!(tree.files().unwrap(), [".gitignore", "a"]);
    }
}
