//! Assignments of a literal to a name that says "password", "token" or the like.

use super::{
    entropy::{changes, shannon},
    placeholder::{is_stand_in, is_weak},
};
use std::ops::Range;

/// The ends of names that hold secrets; compared without case, `-` and `_` alike.
pub(super) const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "_pass",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "access-key",
    "secret_key",
    "secretkey",
    "secret-key",
    "private_key",
    "privatekey",
    "auth_key",
    "authkey",
    "encryption_key",
    "encryptionkey",
    "signing_key",
    "signingkey",
    "secret_key_base",
    "credential",
    "credentials",
];

/// Parts of names whose value is meant to be seen, or is not a secret at all.
const OPEN_NAMES: [&str; 19] = [
    "public",
    "publishable",
    "csrf",
    "xsrf",
    "next",
    "page",
    "continuation",
    "cursor",
    "max",
    "hash",
    "sha1",
    "sha256",
    "checksum",
    "digest",
    "fingerprint",
    "integrity",
    "invalid",
    "expected",
    "label",
];

/// How a file writes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A program: values are string literals.
    Code,
    /// Settings: values may stand without quotes up to the end of the line.
    Settings,
    /// Text for people.
    Prose,
}

/// The value that is assigned to the name ending at `name.end`, when it looks like a secret.
///
/// `line` is the range of the line that holds `name`, which is where a keyword stands.
pub(super) fn secret_value(
    text: &str,
    name: Range<usize>,
    line: Range<usize>,
    style: Style,
) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if bytes.get(name.end).is_some_and(|b| is_name(*b) && *b != b'.') {
        return None;
    }
    let mut start = name.start;
    while start > line.start && name.start - start < 64 && is_name(*bytes.get(start - 1)?) {
        start -= 1;
    }
    let full_name = text.get(start..name.end)?.to_ascii_lowercase();
    if OPEN_NAMES.iter().any(|open| full_name.contains(open)) {
        return None;
    }
    let rest = text.get(name.end..line.end)?;
    let value = match after_operator(rest) {
        Some(offset) => {
            let value_start = name.end + offset;
            quoted(text, value_start..line.end).or_else(|| {
                (style == Style::Settings && begins_line(text.get(line.start..start)?))
                    .then(|| bare(text, value_start..line.end))
                    .flatten()
            })?
        }
        None => return None,
    };
    let literal = text.get(value.clone())?;
    is_plausible(&full_name, literal).then_some(value)
}

/// Where the value begins, in what follows a name: behind a closing quote or bracket, a type and
/// one of `=`, `:`, `:=`, `=>`.
fn after_operator(rest: &str) -> Option<usize> {
    let mut at = 0;
    let skip_spaces = |at: &mut usize| {
        while rest.as_bytes().get(*at).is_some_and(|b| matches!(b, b' ' | b'\t')) {
            *at += 1;
        }
    };
    while rest.as_bytes().get(at).is_some_and(|b| matches!(b, b'"' | b'\'' | b'`' | b']' | b')')) {
        at += 1;
    }
    skip_spaces(&mut at);
    match rest.as_bytes().get(at)? {
        b'=' => {
            at += 1;
            match rest.as_bytes().get(at) {
                Some(b'=' | b'~') => return None,
                Some(b'>') => at += 1,
                _ => {}
            }
        }
        b':' => {
            at += 1;
            if rest.as_bytes().get(at) == Some(&b'=') {
                at += 1;
            } else if let Some(end) = annotation(rest.get(at..)?) {
                at += end;
            }
        }
        _ => return None,
    }
    skip_spaces(&mut at);
    Some(at)
}

/// The length of a type annotation with the `=` behind it, such as ` &'static str =`.
fn annotation(rest: &str) -> Option<usize> {
    let end = rest.bytes().take(48).position(|b| b == b'=')?;
    let kind = rest.get(..end)?;
    let is_type = kind.bytes().all(|b| {
        b.is_ascii_alphanumeric()
            || matches!(
                b,
                b' ' | b'_' | b'&' | b'\'' | b'<' | b'>' | b'|' | b'?' | b'[' | b']' | b'.'
            )
    });
    let follows = rest.as_bytes().get(end + 1);
    (is_type && !kind.trim().is_empty() && !matches!(follows, Some(b'=' | b'>' | b'~')))
        .then_some(end + 1)
}

/// What stands between quotes at the start of `range`; a literal that goes on (`"a" + b`) is not
/// taken, because it is not the whole value.
fn quoted(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let source = text.get(range.clone())?;
    let prefix =
        source.bytes().take_while(|b| matches!(b, b'r' | b'b' | b'u' | b'L' | b'@')).count();
    let quote = *source.as_bytes().get(prefix)?;
    if prefix > 2 || !matches!(quote, b'"' | b'\'' | b'`') {
        return None;
    }
    let body = source.get(prefix + 1..)?;
    let end = body.bytes().take(512).position(|b| b == quote)?;
    let next = body.get(end + 1..)?.trim_start().bytes().next();
    if matches!(next, Some(b'+' | b'%')) {
        return None;
    }
    let start = range.start + prefix + 1;
    Some(start..start + end)
}

/// A value without quotes: up to a space or the end of the line.
fn bare(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let source = text.get(range.clone())?;
    let end = source.find(char::is_whitespace).unwrap_or(source.len());
    let rest = source.get(end..)?.trim();
    // More words make it a sentence or a command, unless a comment follows.
    (rest.is_empty() || rest.starts_with('#')).then_some(range.start..range.start + end)
}

/// Whether only what may come before a setting stands before it.
fn begins_line(before: &str) -> bool {
    let before = before.trim_start().trim_start_matches(['-', '"', '\'', '/', ':']).trim();
    matches!(before, "" | "export" | "set" | "ENV" | "ARG")
}

fn is_plausible(name: &str, value: &str) -> bool {
    let is_visible = value.bytes().all(|b| b.is_ascii_graphic());
    let has_digit = value.bytes().any(|b| b.is_ascii_digit());
    let has_letter = value.bytes().any(|b| b.is_ascii_alphabetic());
    if !(8..=256).contains(&value.len())
        || !is_visible
        || is_stand_in(value)
        || is_weak(value)
        || is_address(value)
        || is_hashed(value)
        || is_wordlike(value)
    {
        return false;
    }
    let is_password =
        ["password", "passwd", "passphrase", "pwd", "pass"].iter().any(|end| name.ends_with(end));
    if is_password {
        let has_symbol = value.bytes().any(|b| {
            b.is_ascii_punctuation() && !matches!(b, b'_' | b'-' | b'.' | b':' | b'/' | b',')
        });
        has_letter
            && (has_digit || has_symbol)
            && shannon(value) >= 2.5
            && changes(value) >= 2
            && !is_code(value)
    } else {
        let is_uuid = value.len() == 36 && value.bytes().filter(|b| *b == b'-').count() == 4;
        has_letter
            && has_digit
            && value.len() >= 16
            && shannon(value) >= 3.3
            && changes(value) >= 4
            && !is_code(value)
            && !(is_uuid && name.ends_with("token"))
    }
}

/// A path or an address.
fn is_address(value: &str) -> bool {
    const STARTS: [&str; 7] = ["/", "./", "../", "~", "\\", "C:", "--"];
    value.contains("://")
        || STARTS.iter().any(|start| value.starts_with(start))
        || (value.contains('/') && shannon(value) < 4.0)
}

/// A password's hash, or a checksum: of no use to a finder, mostly.
fn is_hashed(value: &str) -> bool {
    const STARTS: [&str; 9] = [
        "sha1-", "sha256-", "sha384-", "sha512-", "sha256:", "pbkdf2", "scrypt:", "argon2",
        "{SSHA}",
    ];
    STARTS.iter().any(|start| value.starts_with(start))
}

/// An expression rather than a literal: a call, an index, a pipe, markup.
fn is_code(value: &str) -> bool {
    value.contains(['(', ')', '[', ']', '|', ';', '"', '\\', '`', '*', '^']) || value.contains("::")
}

/// An identifier or a phrase: every part is made of words of some length with few digits, such as
/// `oauth2_token` or `getAccessKey2`.
fn is_wordlike(value: &str) -> bool {
    value.split(['_', '-', '.', ':', '/', ',']).all(|part| {
        let bytes = part.as_bytes();
        let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
        // A word ends where a digit meets a letter, or a capital follows a small letter.
        let ends = bytes
            .windows(2)
            .filter(|pair| {
                pair[0].is_ascii_digit() != pair[1].is_ascii_digit()
                    || (pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
            })
            .count();
        bytes.iter().all(u8::is_ascii_alphanumeric)
            && digits <= 4
            && (part.len() <= 3
                || part.len() >= 3 * (ends + 1)
                || digits == 0 && part.len() >= 3 * ends)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value found behind the first name in `line`, if any.
    fn check(style: Style, line: &str, expected: Option<&str>) {
        let lower = line.to_ascii_lowercase();
        let found = NAMES.iter().find_map(|name| {
            lower
                .match_indices(name)
                .find_map(|(at, _)| secret_value(line, at..at + name.len(), 0..line.len(), style))
        });
        assert_eq!(found.and_then(|range| line.get(range)), expected, "{line}");
    }

    #[test]
    fn literals_that_look_like_secrets_are_found() {
        let key = concat!("q7Rz0pLmK2", "vW9sXeB4nT");
        let word = concat!("Tr0ub4", "dor&3x");
        for line in [
            format!("api_key = \"{key}\""),
            format!("const API_KEY: &str = \"{key}\";"),
            format!("  \"clientSecret\": \"{key}\","),
            format!("apiKey := `{key}`"),
            format!("config['secret_key'] = '{key}'"),
            format!(":secret_token => '{key}',"),
            format!("private apiToken: string = '{key}';"),
        ] {
            check(Style::Code, &line, Some(key));
        }
        for line in [format!("db_password = '{word}'"), format!("{{ password: \"{word}\" }}")] {
            check(Style::Code, &line, Some(word));
        }
        for line in [
            format!("API_KEY={key}"),
            format!("export API_TOKEN={key}"),
            format!("api-key: {key}  # rotate in May"),
            format!("  - SECRET_KEY_BASE={key}"),
        ] {
            check(Style::Settings, &line, Some(key));
        }
    }

    #[test]
    fn look_alikes_are_not() {
        for line in [
            "password = \"password\"",
            "password = \"postgres123\"",
            "password: \"Please enter 1 password\"",
            "password = os.environ[\"DB_PASSWORD\"]",
            "token = \"oauth2_access_token\"",
            "token: \"IDENTIFIER\"",
            "const TOKEN_URL = \"https://a.b/c1d2e3f4g5h6\"",
            "api_key = \"your-api-key-0123\"",
            "api_key = \"${API_KEY_1234567890}\"",
            "secret = \"sha256-q7Rz0pLmK2vW9sXeB4nT\"",
            "csrf_token = \"q7Rz0pLmK2vW9sXeB4nT\"",
            "max_tokens = 4096",
            "token: \"550e8400-e29b-41d4-a716-446655440000\"",
            "if password == \"Tr0ub4dor&3x\" {",
            "secretName: \"prod-db-credentials-v2\"",
            "token = \"q7Rz0pLmK2vW9sXe\" + suffix",
            "password = \"/run/secrets/db_password1\"",
            "tokenizer = \"q7Rz0pLmK2vW9sXeB4nT\"",
            "accessKey: \"getAccessKeyFromStore2\"",
            "password = get_password1()",
        ] {
            check(Style::Code, line, None);
        }
        for line in [
            "password: *default_password1",
            "token: ${{ secrets.GITHUB_TOKEN }}",
            "the password: q7Rz0pLm and more words",
            "api_key=",
            "SECRET={{ vault_secret_1 }}",
        ] {
            check(Style::Settings, line, None);
        }
    }
}
