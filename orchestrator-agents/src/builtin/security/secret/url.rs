//! Passwords inside addresses: `scheme://user:password@host`.

use super::placeholder::{is_stand_in, is_weak};
use std::ops::Range;

/// What an address with a password leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A database or a queue on another machine.
    RemoteService,
    /// A database or a queue on this machine or in a container beside it.
    LocalService,
    /// Anything else.
    Other,
}

const SERVICES: [&str; 15] = [
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "mongodb+srv",
    "redis",
    "rediss",
    "amqp",
    "amqps",
    "mssql",
    "sqlserver",
    "clickhouse",
    "nats",
    "cockroachdb",
];

/// The password in the address whose `://` stands at `at`, and where it leads, when it looks real.
pub(super) fn password(text: &str, at: usize) -> Option<(Range<usize>, Target)> {
    let bytes = text.as_bytes();
    let after = at + 3;
    let window = bytes.get(after..bytes.len().min(after + 256))?;
    let ends = |b: &u8| {
        b.is_ascii_whitespace()
            || matches!(
                b,
                b'/' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b',' | b';' | b')' | b'?'
            )
    };
    let authority = &window[..window.iter().position(ends).unwrap_or(window.len())];
    let sign = memchr::memrchr(b'@', authority)?;
    let colon = memchr::memchr(b':', &authority[..sign])?;
    let user = text.get(after..after + colon)?;
    let range = after + colon + 1..after + sign;
    let secret = text.get(range.clone())?;
    let host = text.get(after + sign + 1..after + authority.len())?;
    let mut start = at;
    while start > 0
        && at - start < 24
        && matches!(bytes.get(start - 1)?, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'.' | b'-')
    {
        start -= 1;
    }
    let scheme = text.get(start..at)?.to_ascii_lowercase();
    // `postgresql+asyncpg` and `jdbc:postgresql` name the same services.
    let base = if scheme == "mongodb+srv" { "mongodb" } else { scheme.split('+').next()? };
    let host_name = host.split(':').next()?.to_ascii_lowercase();
    let lower = secret.to_ascii_lowercase();
    if secret.len() < 4
        || host_name.is_empty()
        || is_example_host(&host_name)
        || is_stand_in(secret)
        || is_stand_in(user)
        || host_name.contains(['<', '{', '$', '%', '*'])
        || lower.contains("pass")
        || lower.contains("secret")
        || lower == "token"
        || lower == user.to_ascii_lowercase()
        || !secret.bytes().all(|b| b.is_ascii_graphic())
    {
        return None;
    }
    let is_service = SERVICES.contains(&base);
    let is_local = !host_name.contains('.')
        || host_name.starts_with("127.")
        || host_name == "0.0.0.0"
        || host_name.ends_with(".local")
        || host_name.ends_with(".internal");
    let target = match (is_service, is_local) {
        (true, false) => Target::RemoteService,
        (true, true) => Target::LocalService,
        (false, _) => Target::Other,
    };
    let counts = match target {
        Target::RemoteService => true,
        Target::LocalService => !is_weak(secret) && secret.len() >= 6,
        Target::Other => !is_local && !is_weak(secret) && secret.len() >= 6 && scheme.len() >= 2,
    };
    counts.then_some((range, target))
}

fn is_example_host(host: &str) -> bool {
    const NAMES: [&str; 12] = [
        "example.com",
        "example.org",
        "example.net",
        "domain.com",
        "host.com",
        "server.com",
        "mysite.com",
        "foo.com",
        "bar.com",
        "acme.com",
        "website.com",
        "hostname.com",
    ];
    const ENDS: [&str; 4] = [".example", ".test", ".invalid", ".localhost"];
    NAMES.iter().any(|name| {
        host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }) || ENDS.iter().any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, Target)>) {
        let found = text.find("://").and_then(|at| password(text, at));
        let shown = found.and_then(|(range, target)| Some((text.get(range)?, target)));
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn passwords_in_addresses_are_found() {
        let secret = concat!("k2Vw", "9sXe");
        for (address, target) in [
            ("postgres://app:§@db.prod.acme.io:5432/app", Target::RemoteService),
            ("DATABASE_URL=postgresql+asyncpg://app:§@10.0.0.7/app", Target::RemoteService),
            ("mongodb+srv://app:§@c0.mongodb.net/x", Target::RemoteService),
            ("redis://:§@cache:6379", Target::LocalService),
            ("url = \"https://ci:§@git.acme.io/a.git\"", Target::Other),
        ] {
            check(&address.replace('§', secret), Some((secret, target)));
        }
    }

    #[test]
    fn look_alikes_are_not() {
        for address in [
            "https://github.com/a/b",
            "https://example.com:8080/@scope",
            "postgres://postgres:postgres@localhost/test",
            "postgres://user:password@db.acme.io/x",
            "postgres://app:${DB_PASSWORD}@db.acme.io/x",
            "mysql://root:root@127.0.0.1:3306",
            "https://user:hunter22@example.com",
            "redis://cache:6379/0",
            "http://localhost:3000/@vite/client",
            "https://<user>:<token>@github.com",
            "https://cdn.io/npm:pkg@1.2.3/file",
        ] {
            check(address, None);
        }
    }
}
