//! What a program sees of the environment: an allow-list, so that a secret in it stays here.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

/// Variables that say where and who, never what is secret.
const PASSED: [&str; 8] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"];

/// The environment of programs.
///
/// Of the variables that are offered it keeps `PATH`, `HOME`, `LANG`, `LC_*`, `TZ`, `TMPDIR`,
/// `USER`, `LOGNAME`, `SHELL` and those that are named; `TERM` is always `dumb`.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// Keeps of `offered`, usually [`std::env::vars_os`], what is on the list or in `named`.
    pub fn from_vars<V>(offered: V, named: &[String]) -> Self
    where
        V: IntoIterator<Item = (OsString, OsString)>,
    {
        let passes = |name: &OsStr| {
            name.to_str().is_some_and(|name| {
                PASSED.contains(&name)
                    || name.starts_with("LC_")
                    || named.iter().any(|other| other == name)
            })
        };
        let mut variables: BTreeMap<_, _> =
            offered.into_iter().filter(|(name, _)| passes(name)).collect();
        variables.insert("TERM".into(), "dumb".into());
        Self { variables }
    }

    /// The same with one more variable, in place of one of that name.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The value of `name`, when it is passed on.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// All that is passed on.
    pub fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.variables.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_or_named_passes() {
        let offered = ["PATH", "LC_ALL", "TERM", "API_KEY", "LCX", "MINE", "path"]
            .map(|name| (OsString::from(name), OsString::from("v")));
        let environment = Environment::from_vars(offered, &["MINE".into()]);
        let names: Vec<_> = environment.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["LC_ALL", "MINE", "PATH", "TERM"]);
        assert_eq!(environment.get("TERM"), Some(OsStr::new("dumb")));
        assert_eq!(environment.get("API_KEY"), None);
    }
}
