//! Which headers pass.

use super::{TOKEN_PREFIX, credential::CREDENTIAL_HEADERS};
use crate::route::Passed;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use orchestrator_core::route::RouteModel;

/// The run that a client says it works for; it must be the token's. It is not passed on.
pub(super) const RUN_HEADER: HeaderName = HeaderName::from_static("x-orchestrator-run");

/// The rule that a client's request named.
const RULE: HeaderName = HeaderName::from_static("x-orchestrator-rule");
/// The model whose answer or refusal it is, as `PROVIDER/MODEL`.
const MODEL: HeaderName = HeaderName::from_static("x-orchestrator-model");
/// The models that failed, each with the class of its failure: those that were asked before, or all
/// where none answers.
const FAILED: HeaderName = HeaderName::from_static("x-orchestrator-failed");

/// What a client is told of the model that was chosen for it.
pub(super) static TOLD: [HeaderName; 3] = [RULE, MODEL, FAILED];

/// What a client is told whose request by `rule` is answered by `model`, if by any, after others
/// `failed`.
pub(super) fn told(rule: Option<&str>, model: Option<&RouteModel>, failed: &[Passed]) -> HeaderMap {
    let failed: Vec<String> =
        failed.iter().map(|each| format!("{} {}", each.model, each.class)).collect();
    let lines = [
        (RULE, rule.map(str::to_owned)),
        (MODEL, model.map(ToString::to_string)),
        (FAILED, Some(failed.join(", ")).filter(|text| !text.is_empty())),
    ];
    let value = |text: Option<String>| HeaderValue::from_str(&text?).ok();
    lines.into_iter().filter_map(|(name, text)| Some((name, value(text)?))).collect()
}

/// What tells in which trace a request is made: of the client and of this program, and no business
/// of a provider's.
static TRACE: [HeaderName; 3] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
];

/// What concerns one connection alone: RFC 9110, section 7.6.1.
static HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The headers of a request as they are passed on: without credentials, without what concerns the
/// connection, without the client's trace, and asking for an answer that is not compressed, since the meter reads it.
pub(super) fn to_upstream(headers: &HeaderMap) -> HeaderMap {
    let own =
        [header::HOST, header::CONTENT_LENGTH, header::ACCEPT_ENCODING, header::EXPECT, RUN_HEADER];
    let named = named_by_connection(headers);
    let mut passed = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers {
        let is_kept = !own.contains(name)
            && !HOP_BY_HOP.contains(name)
            && !TRACE.contains(name)
            && !CREDENTIAL_HEADERS.contains(name)
            && !named.iter().any(|other| name == other.as_str())
            && !holds(value, TOKEN_PREFIX.as_bytes());
        if is_kept {
            passed.append(name, value.clone());
        }
    }
    passed.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    passed
}

/// The headers of an answer as they are passed back: without what concerns the connection, and
/// without any that repeats the key.
pub(super) fn to_client(headers: &HeaderMap, key: Option<&str>) -> HeaderMap {
    let named = named_by_connection(headers);
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let is_kept = !HOP_BY_HOP.contains(name)
            && !named.iter().any(|other| name == other.as_str())
            && !key.is_some_and(|key| holds(value, key.as_bytes()));
        if is_kept {
            passed.append(name, value.clone());
        }
    }
    passed
}

fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).into_iter();
    let lists = values.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    lists.map(|name| name.trim().to_ascii_lowercase()).filter(|name| name != "close").collect()
}

fn holds(value: &HeaderValue, text: &[u8]) -> bool {
    memchr::memmem::find(value.as_bytes(), text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn requests_lose_credentials_and_what_is_the_connections() {
        let sent = headers(&[
            ("host", "127.0.0.1"),
            ("x-api-key", "k"),
            ("authorization", "Bearer k"),
            ("x-goog-api-key", "k"),
            ("cookie", "session"),
            ("x-debug", "my token is orc-attempt-1"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("accept-encoding", "gzip, br"),
            ("x-orchestrator-run", "r_1"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "vendor=1"),
            ("baggage", "user=me"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("content-type", "application/json"),
        ]);
        let expected = headers(&[
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("content-type", "application/json"),
            ("accept-encoding", "identity"),
        ]);
        assert_eq!(to_upstream(&sent), expected);
    }

    #[test]
    fn answers_lose_what_is_the_connections_and_what_repeats_the_key() {
        let sent = headers(&[
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("retry-after", "7"),
            ("anthropic-ratelimit-requests-remaining", "3"),
            ("x-echo", "Bearer the-key"),
            ("content-length", "2"),
        ]);
        let expected = headers(&[
            ("retry-after", "7"),
            ("anthropic-ratelimit-requests-remaining", "3"),
            ("content-length", "2"),
        ]);
        assert_eq!(to_client(&sent, Some("the-key")), expected);
    }
}
