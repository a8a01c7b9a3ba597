//! Values that stand in for a secret: examples, templates, references and well-known defaults.

use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// Words that people write where a secret would go. Compared without case.
const STAND_INS: [&str; 46] = [
    "example",
    "changeme",
    "change-me",
    "change_me",
    "changeit",
    "placeholder",
    "your-",
    "your_",
    "yourkey",
    "yourtoken",
    "yoursecret",
    "yourpass",
    "insert",
    "replace",
    "redacted",
    "dummy",
    "sample",
    "fake",
    "xxxx",
    "****",
    "....",
    "todo",
    "fixme",
    "foobar",
    "notreal",
    "not-real",
    "not_real",
    "not-a-",
    "not_a_",
    "mock",
    "lorem",
    "<",
    ">",
    "{",
    "}",
    "$(",
    "${",
    "%(",
    "%s",
    "...",
    "deadbeef",
    "secretkey",
    "test-",
    "test_",
    "testing",
    "-test",
];

/// Runs that people type instead of a random value.
const SEQUENCES: [&str; 8] = [
    "12345678", "01234567", "abcdefgh", "87654321", "98765432", "qwertyui", "abcd1234", "asdfghjk",
];

/// Passwords that everyone tries first. As the password of a local development database they
/// protect nothing, and so are no secret.
const WEAK: [&str; 44] = [
    "password",
    "passw0rd",
    "password1",
    "password123",
    "pass",
    "passwd",
    "pwd",
    "secret",
    "secret123",
    "secrets",
    "admin",
    "admin123",
    "administrator",
    "root",
    "toor",
    "user",
    "guest",
    "test",
    "test123",
    "tests",
    "testpass",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongo",
    "mongodb",
    "redis",
    "rabbitmq",
    "sa",
    "dev",
    "develop",
    "development",
    "local",
    "localhost",
    "default",
    "demo",
    "qwerty",
    "letmein",
    "welcome",
    "foo",
    "bar",
    "baz",
    "hunter2",
];

static STAND_IN: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(STAND_INS.iter().chain(&SEQUENCES))
        .ok()
});

/// Whether `value` plainly stands in for something else.
pub(super) fn is_stand_in(value: &str) -> bool {
    STAND_IN.as_ref().is_some_and(|words| words.is_match(value))
        || is_repeated(value)
        || is_reference(value)
}

/// Whether `value` is one of the passwords that protect nothing.
pub(super) fn is_weak(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let bare = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c == '!');
    WEAK.contains(&lower.as_str()) || WEAK.contains(&bare)
}

/// A few characters again and again, such as `xxxxxxxx` or `abcabcabcabc`.
fn is_repeated(value: &str) -> bool {
    let bytes = value.as_bytes();
    let distinct = {
        let mut seen = [false; 256];
        for byte in bytes {
            seen[usize::from(*byte)] = true;
        }
        seen.iter().filter(|seen| **seen).count()
    };
    bytes.len() >= 8 && distinct <= 4
}

/// A name of where the secret is, instead of the secret.
fn is_reference(value: &str) -> bool {
    const STARTS: [&str; 17] = [
        "$",
        "%",
        "ENC[",
        "enc:",
        "vault:",
        "env:",
        "env.",
        "process.env",
        "os.environ",
        "secrets.",
        "arn:",
        "!Ref",
        "!Sub",
        "!GetAtt",
        "!vault",
        "!secret",
        "!reference",
    ];
    STARTS.iter().any(|start| value.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_known() {
        for value in [
            "AKIAIOSFODNN7EXAMPLE",
            "your-api-key-here",
            "${API_KEY}",
            "<token>",
            "$TOKEN",
            "xxxxxxxxxxxxxxxx",
            "00000000-0000-0000-0000-000000000000",
            "process.env.TOKEN",
            "sk_abcdefghijkl",
            "ChangeMe!",
        ] {
            assert!(is_stand_in(value), "{value}");
        }
        for value in ["q7Rz0pLmK2vW9sXe", "9f86d081884c7d65"] {
            assert!(!is_stand_in(value), "{value}");
        }
    }

    #[test]
    fn weak_passwords_are_known() {
        for (value, weak) in
            [("postgres", true), ("Admin123!", true), ("secret1", true), ("k2Vw9sXe", false)]
        {
            assert_eq!(is_weak(value), weak, "{value}");
        }
    }
}
