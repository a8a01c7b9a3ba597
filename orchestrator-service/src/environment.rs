//! What surrounds the process, handed in as a value: nothing below reads it by itself.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// The environment that a front-end was started in.
#[derive(Clone, Default)]
pub struct Environment {
    /// The environment variables whose name and value are UTF-8.
    pub variables: BTreeMap<String, String>,
    /// The directory that relative paths start from.
    pub directory: PathBuf,
}

impl fmt::Debug for Environment {
    /// The names alone: a value may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("directory", &self.directory)
            .finish()
    }
}

impl Environment {
    /// An environment of these variables in this directory.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>, directory: PathBuf) -> Self {
        Self { variables: variables.into_iter().collect(), directory }
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The programs called `name` on `PATH`, first to last, that may be executed.
    pub fn programs(&self, name: &str) -> Vec<PathBuf> {
        std::env::split_paths(self.get("PATH").unwrap_or_default())
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(name))
            .filter(|program| is_executable(program))
            .collect()
    }

    /// Where the user's settings lie: `$XDG_CONFIG_HOME/orchestrator`, else `$HOME/.config/orchestrator`.
    pub fn user_directory(&self) -> Option<PathBuf> {
        let base = match self.get("XDG_CONFIG_HOME").map(PathBuf::from) {
            Some(path) if path.is_absolute() => path,
            _ => PathBuf::from(self.get("HOME")?).join(".config"),
        };
        Some(base.join("orchestrator"))
    }

    /// Where the user's data lies: `$XDG_DATA_HOME/orchestrator`, else
    /// `$HOME/.local/share/orchestrator`.
    pub fn data_directory(&self) -> Option<PathBuf> {
        let base = match self.get("XDG_DATA_HOME").map(PathBuf::from) {
            Some(path) if path.is_absolute() => path,
            _ => PathBuf::from(self.get("HOME")?).join(".local/share"),
        };
        Some(base.join("orchestrator"))
    }
}

#[cfg(unix)]
fn is_executable(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &std::path::Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Environment::new(variables, PathBuf::from("/x"))
    }

    #[test]
    fn values_are_never_shown() {
        let shown = format!("{:?}", environment(&[("KEY", "sk-secret")]));
        assert!(shown.contains("KEY") && !shown.contains("sk-secret"), "{shown}");
    }

    #[test]
    fn the_users_settings_lie_where_the_base_directory_specification_says() {
        let check = |variables: &[(&str, &str)], expected: Option<&str>| {
            assert_eq!(environment(variables).user_directory(), expected.map(PathBuf::from));
        };
        check(&[("HOME", "/h")], Some("/h/.config/orchestrator"));
        check(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")], Some("/c/orchestrator"));
        check(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "relative")], Some("/h/.config/orchestrator"));
        check(&[("HOME", "")], None);
        let data = |variables| environment(variables).data_directory();
        assert_eq!(data(&[("HOME", "/h")]), Some("/h/.local/share/orchestrator".into()));
        let named = [("HOME", "/h"), ("XDG_DATA_HOME", "/d")];
        assert_eq!(data(&named), Some("/d/orchestrator".into()));
    }

    #[test]
    fn programs_are_looked_for_in_absolute_directories_only() {
        assert!(environment(&[("PATH", "bin:.")]).programs("sh").is_empty());
        assert!(environment(&[]).programs("sh").is_empty());
        assert!(!environment(&[("PATH", "/nowhere:/bin:/usr/bin")]).programs("sh").is_empty());
    }
}
