//! The token of a request: where clients put it, and how it is taken away again.

use super::TOKEN_PREFIX;
use http::{HeaderMap, HeaderName, header};

/// The headers in which clients send what they hold for a key, or what else names them.
pub(super) static CREDENTIAL_HEADERS: [HeaderName; 6] = [
    HeaderName::from_static("x-api-key"),
    header::AUTHORIZATION,
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
];

/// The parameters in which clients send it.
const CREDENTIAL_PARAMETERS: [&str; 2] = ["key", "access_token"];

/// The token that a request carries: in `x-api-key`, `Authorization: Bearer`, `x-goog-api-key` or
/// `?key=`. Anything there that does not look like one is passed over.
pub(super) fn token<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a str> {
    let held = CREDENTIAL_HEADERS.iter().flat_map(|name| headers.get_all(name));
    let held = held.filter_map(|value| value.to_str().ok()).map(|value| {
        // The scheme's name has no case: RFC 9110, section 11.1.
        match value.split_once(' ') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
            _ => value.trim(),
        }
    });
    let asked = parameters(query)
        .filter(|(name, _)| CREDENTIAL_PARAMETERS.contains(name))
        .map(|(_, value)| value);
    held.chain(asked).find(|text| text.starts_with(TOKEN_PREFIX))
}

/// The query without credentials, all else as it was; `None` when nothing is left.
pub(super) fn without_credentials(query: Option<&str>) -> Option<String> {
    let kept: Vec<&str> = query?
        .split('&')
        .filter(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            !CREDENTIAL_PARAMETERS.contains(&name) && !value.contains(TOKEN_PREFIX)
        })
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

fn parameters(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    query.unwrap_or_default().split('&').filter_map(|part| part.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_wherever_a_client_puts_it() {
        let check = |name: &'static str, value: &str, query: Option<&str>, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(token(&headers, query), expected, "{name} {value} {query:?}");
        };
        let own = Some("orc-attempt-1");
        check("x-api-key", "orc-attempt-1", None, own);
        check("authorization", "Bearer orc-attempt-1", None, own);
        check("authorization", "bearer  orc-attempt-1", None, own);
        check("x-goog-api-key", "orc-attempt-1", None, own);
        check("accept", "x", Some("alt=sse&key=orc-attempt-1"), own);
        // A client that is signed in elsewhere too.
        check("x-api-key", "sk-other", Some("key=orc-attempt-1"), own);
        check("x-api-key", "sk-other", None, None);
        check("authorization", "Basic orc-attempt-1", None, None);
        check("x-other", "orc-attempt-1", Some("q=orc-attempt-1"), None);
    }

    #[test]
    fn a_query_loses_its_credentials_alone() {
        let check = |query: Option<&str>, expected: Option<&str>| {
            assert_eq!(without_credentials(query).as_deref(), expected, "{query:?}");
        };
        check(None, None);
        check(Some("alt=sse"), Some("alt=sse"));
        check(Some("key=x"), None);
        check(Some("alt=sse&key=x&beta=%20true&&y"), Some("alt=sse&beta=%20true&&y"));
        check(Some("a=orc-attempt-1&b"), Some("b"));
    }
}
