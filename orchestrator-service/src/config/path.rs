//! The key of a setting: names from the outermost section inwards.

use std::fmt;

/// The key of a setting, such as `providers.anthropic.base-url`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeyPath(pub(crate) Vec<String>);

impl KeyPath {
    /// Reads a dotted key as TOML writes it: a part with other characters stands in quotes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let keys = toml_edit::Key::parse(text).ok()?;
        Some(Self(keys.iter().map(|key| key.get().to_owned()).collect()))
    }

    pub(crate) fn child(&self, name: &str) -> Self {
        let mut parts = self.0.clone();
        parts.push(name.to_owned());
        Self(parts)
    }

    pub(crate) fn starts_with(&self, prefix: &[String]) -> bool {
        self.0.starts_with(prefix)
    }

    /// Whether it fits `pattern`, in which `*` stands for any one name.
    pub(crate) fn fits(&self, pattern: &str) -> bool {
        let mut parts = pattern.split('.');
        self.0.iter().all(|name| parts.next().is_some_and(|part| part == "*" || part == name))
            && parts.next().is_none()
    }

    /// Whether keys that fit `pattern` can lie below it.
    pub(crate) fn opens(&self, pattern: &str) -> bool {
        let mut parts = pattern.split('.');
        self.0.iter().all(|name| parts.next().is_some_and(|part| part == "*" || part == name))
            && parts.next().is_some()
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&toml_edit::Key::new(name).display_repr())?;
        }
        Ok(())
    }
}
