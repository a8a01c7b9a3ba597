//! Credentials in text: keywords point at candidates, a rule's pattern decides the shape, and
//! entropy and a list of stand-ins decide whether the value is real.
//!
//! A secret never leaves this module whole: what comes out is a [`Hit`] with a redacted form and
//! a fingerprint that is only comparable within one process.

mod assignment;
mod entropy;
mod placeholder;
mod rules;
mod scanner;
mod url;

pub(crate) use scanner::{Context, Hit, Scan, Scanner, is_docstring, scrub};

/// The comment that marks a line, or the line below a comment of its own, as reviewed.
pub(crate) const ALLOW: &str = "orchestrator:allow-secret";

/// What a report may show of a secret: at most its first four characters, and never more than an
/// eighth of it, and its length.
fn redact(secret: &str) -> String {
    let length = secret.chars().count();
    let shown: String = secret.chars().take((length / 8).min(4)).collect();
    format!("`{shown}…` ({length} characters)")
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn a_redacted_secret_shows_little() {
        for (secret, shown) in [
            ("", "`…` (0 characters)"),
            ("hunter2", "`…` (7 characters)"),
            ("abcdefghijklmnop", "`ab…` (16 characters)"),
            (&"x".repeat(400), "`xxxx…` (400 characters)"),
            ("pässwörd", "`p…` (8 characters)"),
        ] {
            assert_eq!(redact(secret), shown);
        }
    }
}
