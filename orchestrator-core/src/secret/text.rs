//! A string that is never shown.

use std::fmt;
use zeroize::Zeroize;

/// A key or token. Neither `Debug` nor `Display` shows it, and it cannot be serialized;
/// [`SecretString::expose`] is the one way to read it. Its memory is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretString(String);

impl SecretString {
    /// Wraps `text`, without the white space around it: a key that is read from a file or a
    /// variable often ends with a line feed, and no key contains any.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        let kept = text.trim().to_owned();
        text.zeroize();
        Self(kept)
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for SecretString {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretString([redacted])")
    }
}

impl fmt::Display for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_shown() {
        let secret = SecretString::new(" key-1234\n");
        assert_eq!(secret.expose(), "key-1234");
        for shown in [format!("{secret}"), format!("{secret:?}"), format!("{:#?}", Some(&secret))] {
            assert!(!shown.contains("1234"), "{shown}");
        }
    }
}
