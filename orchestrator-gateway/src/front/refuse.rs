//! Saying no in the words of each provider.
//!
//! The statuses are chosen so that the official clients stop: they try 408, 409, 429 and all from
//! 500 again unless `x-should-retry: false` says not to. Over budget is 402 `billing_error` for
//! Anthropic, and 400 for the others, since their clients try 429 again and Codex also 402.

use super::Api;
use crate::cassette::unstopped;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use orchestrator_core::{
    ledger::{Refusal as Limit, RefusalKind},
    port::StoreError,
};
use serde_json::json;
use std::time::Duration;

/// In how many seconds to ask again, where nobody knows better.
const RETRY_AFTER: u64 = 5;

/// Why a request is not passed on.
#[derive(Debug)]
pub(super) enum Refused {
    NoRoute,
    NoToken,
    UnknownToken,
    Expired,
    NotGranted(String),
    TooLarge(usize),
    Encoded,
    BadBody(String),
    Limit(Box<Limit>),
    Ledger(StoreError),
    /// The limits of the account, or of the provider, leave no room.
    Throttled(String, Duration),
    /// The account's breaker is open.
    Resting(String, Duration),
    Unreachable(String),
    Silent(String),
    /// The answer holds the key.
    Leak,
    /// The rule that it names has no model for it.
    NoModel(String),
    /// It is not in the cassette.
    NotRecorded(String),
    /// It was stopped when it was recorded, and is not now.
    Unstopped,
    /// The cassette cannot be written.
    Unwritten(String),
}

/// What a class of refusals is called by each provider: the status, Anthropic's type, OpenAI's type
/// and code, Gemini's status.
struct Words {
    status: u16,
    anthropic: &'static str,
    openai: (&'static str, &'static str),
    gemini: &'static str,
}

const fn words(
    status: u16,
    anthropic: &'static str,
    openai: (&'static str, &'static str),
    gemini: &'static str,
) -> Words {
    Words { status, anthropic, openai, gemini }
}

impl Refused {
    /// The stable code.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NoRoute => "ORC-0541",
            Self::NoToken | Self::UnknownToken | Self::Expired => "ORC-0542",
            Self::NotGranted(_) => "ORC-0543",
            Self::TooLarge(_) | Self::Encoded | Self::BadBody(_) => "ORC-0544",
            Self::Limit(_) => "ORC-0545",
            Self::Ledger(_) => "ORC-0546",
            Self::Throttled(..) => "ORC-0561",
            Self::Resting(..) => "ORC-0562",
            Self::Unreachable(_) | Self::Silent(_) | Self::Leak => "ORC-0547",
            Self::NoModel(_) => "ORC-0563",
            Self::NotRecorded(_) => "ORC-0551",
            Self::Unstopped => "ORC-0559",
            Self::Unwritten(_) => "ORC-0557",
        }
    }

    /// The limit, if it was one.
    pub(super) fn into_limit(self) -> Option<Box<Limit>> {
        match self {
            Self::Limit(limit) => Some(limit),
            Self::NoRoute
            | Self::NoToken
            | Self::UnknownToken
            | Self::Expired
            | Self::NotGranted(_)
            | Self::TooLarge(_)
            | Self::Encoded
            | Self::BadBody(_)
            | Self::Ledger(_)
            | Self::Unreachable(_)
            | Self::Silent(_)
            | Self::Throttled(..)
            | Self::Resting(..)
            | Self::NoModel(_)
            | Self::NotRecorded(_)
            | Self::Unstopped
            | Self::Unwritten(_)
            | Self::Leak => None,
        }
    }

    /// Why, and what to do.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::NoRoute => "the gateway has no such path; it passes on /anthropic/v1/messages, \
                              /openai/v1/chat/completions, /openai/v1/responses and \
                              /gemini/v1beta/models/{model}:generateContent"
                .into(),
            Self::NoToken => {
                "the request carries no token of the gateway; send one as the API key".into()
            }
            Self::UnknownToken => "the token is not known or was revoked; ask for a new one".into(),
            Self::Expired => "the token has expired; ask for a new one".into(),
            Self::NotGranted(what) => what.clone(),
            Self::TooLarge(most) => {
                format!("the body of the request has more than {most} bytes; send less")
            }
            Self::Encoded => "the body of the request is compressed; send it as it is".into(),
            Self::BadBody(what) => format!("the body of the request cannot be read: {what}"),
            Self::Limit(limit) => match limit.kind {
                RefusalKind::Busy => format!("the budget is held by other calls: {limit}"),
                RefusalKind::UnknownPrice => format!(
                    "the budget cannot be kept: {limit}; set the model's price in the settings"
                ),
                _ => format!("the budget is used up: {limit}"),
            },
            Self::Ledger(error) => format!("the ledger does not answer: {error}"),
            Self::Throttled(what, _) | Self::Resting(what, _) => what.clone(),
            Self::Unreachable(what) => format!("the provider cannot be reached: {what}"),
            Self::Silent(what) => format!("the provider does not answer: {what}"),
            // It ends with its code, as every message does.
            Self::NotRecorded(what) => what.trim_end_matches(" (ORC-0551)").to_owned(),
            Self::NoModel(what) => what.clone(),
            Self::Unstopped => unstopped().trim_end_matches(" (ORC-0559)").to_owned(),
            Self::Unwritten(what) => what.clone(),
            Self::Leak => {
                "the provider's answer holds the key of the account and is withheld".into()
            }
        }
    }

    fn words(&self) -> Words {
        let invalid = "invalid_request_error";
        match self {
            Self::NoRoute => words(404, "not_found_error", (invalid, "not_found"), "NOT_FOUND"),
            Self::NoToken | Self::UnknownToken | Self::Expired => {
                words(401, "authentication_error", (invalid, "invalid_api_key"), "UNAUTHENTICATED")
            }
            Self::NotGranted(_) => {
                words(403, "permission_error", (invalid, "not_allowed"), "PERMISSION_DENIED")
            }
            Self::TooLarge(_) => {
                words(413, "request_too_large", (invalid, "request_too_large"), "INVALID_ARGUMENT")
            }
            Self::Encoded => words(415, invalid, (invalid, "encoded_body"), "INVALID_ARGUMENT"),
            Self::BadBody(_) => words(400, invalid, (invalid, "invalid_body"), "INVALID_ARGUMENT"),
            Self::Throttled(..) => words(
                429,
                "rate_limit_error",
                ("rate_limit_error", "rate_limit_exceeded"),
                "RESOURCE_EXHAUSTED",
            ),
            Self::Resting(..) => {
                words(503, "overloaded_error", ("server_error", "upstream_resting"), "UNAVAILABLE")
            }
            Self::Limit(limit) if limit.kind == RefusalKind::Busy => words(
                429,
                "rate_limit_error",
                ("rate_limit_error", "rate_limit_exceeded"),
                "RESOURCE_EXHAUSTED",
            ),
            Self::Limit(_) => words(
                400,
                "billing_error",
                ("insufficient_quota", "insufficient_quota"),
                "FAILED_PRECONDITION",
            ),
            Self::Ledger(_) => {
                words(503, "api_error", ("server_error", "ledger_unavailable"), "UNAVAILABLE")
            }
            Self::Unreachable(_) | Self::Leak => {
                words(502, "api_error", ("server_error", "upstream_unreachable"), "UNAVAILABLE")
            }
            Self::NoModel(_) => {
                words(404, "not_found_error", (invalid, "model_not_found"), "NOT_FOUND")
            }
            Self::NotRecorded(_) | Self::Unstopped => {
                words(400, invalid, (invalid, "not_recorded"), "INVALID_ARGUMENT")
            }
            Self::Unwritten(_) => {
                words(500, "api_error", ("server_error", "not_recorded"), "INTERNAL")
            }
            Self::Silent(_) => words(
                504,
                "timeout_error",
                ("server_error", "upstream_timeout"),
                "DEADLINE_EXCEEDED",
            ),
        }
    }

    /// Whether it is how a call ended that had gone out to a provider, or tried to.
    pub(super) fn is_of_a_call(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Silent(_) | Self::Leak)
    }

    /// Whether it makes sense to ask again.
    fn may_retry(&self) -> bool {
        match self {
            Self::Limit(limit) => limit.kind == RefusalKind::Busy,
            Self::Ledger(_) | Self::Unreachable(_) | Self::Silent(_) => true,
            Self::Throttled(..) | Self::Resting(..) => true,
            _ => false,
        }
    }

    /// After how long it makes sense to ask again, where that is known.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Throttled(_, wait) | Self::Resting(_, wait) => Some(*wait),
            _ => None,
        }
    }

    /// In how many seconds it makes sense to ask again; at least 1.
    fn retry_after(&self) -> u64 {
        match self {
            Self::Throttled(_, wait) | Self::Resting(_, wait) => {
                (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
            }
            _ => RETRY_AFTER,
        }
    }

    /// The answer, in the form of `api`.
    pub(super) fn answer(&self, api: Api) -> Response<Bytes> {
        let words = self.words();
        let (reason, code) = (self.reason(), self.code());
        let message = format!("{reason} ({code})");
        let status = match (self, api) {
            (Self::Limit(limit), Api::Anthropic) if limit.kind != RefusalKind::Busy => 402,
            _ => words.status,
        };
        let body = match api {
            Api::Anthropic => json!({
                "type": "error",
                "error": { "type": words.anthropic, "message": message },
            }),
            Api::OpenAi => json!({ "error": {
                "message": message, "type": words.openai.0, "param": null, "code": words.openai.1,
            }}),
            Api::Gemini => json!({ "error": {
                "code": status, "message": message, "status": words.gemini,
            }}),
        };
        let mut answer = Response::new(Bytes::from(body.to_string()));
        *answer.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.may_retry() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.retry_after()));
        } else {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::{
        id::RunId,
        ledger::{Limit as Of, Scope, Standing, Sums, Unit, Window},
    };

    fn over(kind: RefusalKind) -> Refused {
        let scope = Scope::Run(RunId::new("r_1").unwrap());
        let limit =
            Of { scope, window: Window::Total, unit: Unit::Usd, most: 500_000, is_hard: true };
        let used = Sums { usd: 400_000, ..Sums::default() };
        let standing = Standing { limit, used, held: Sums::default() };
        Refused::Limit(Box::new(Limit { standing, needs: 200_000, kind, renews: None }))
    }

    #[test]
    fn each_provider_says_no_in_its_own_words() {
        let check = |refused: &Refused, api: Api, status: u16, retry: bool, body: &str| {
            let answer = refused.answer(api);
            assert_eq!(answer.status(), status, "{refused:?} {api}");
            assert_eq!(answer.headers().contains_key("retry-after"), retry);
            assert_eq!(answer.headers().contains_key("x-should-retry"), !retry);
            assert_eq!(answer.body(), body);
        };
        let refused = over(RefusalKind::Over);
        let told = "the budget is used up: run `r_1` may spend $0.5 in all: $0.4 spent, and the \
                    call may take $0.2 (ORC-0545)";
        check(
            &refused,
            Api::Anthropic,
            402,
            false,
            &format!(r#"{{"type":"error","error":{{"type":"billing_error","message":"{told}"}}}}"#),
        );
        check(
            &refused,
            Api::OpenAi,
            400,
            false,
            &format!(
                r#"{{"error":{{"message":"{told}","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}}}"#
            ),
        );
        check(
            &refused,
            Api::Gemini,
            400,
            false,
            &format!(
                r#"{{"error":{{"code":400,"message":"{told}","status":"FAILED_PRECONDITION"}}}}"#
            ),
        );
        let wait = Duration::from_millis(2_001);
        for (refused, status) in [
            (Refused::Throttled("no room".into(), wait), 429),
            (Refused::Resting("it rests".into(), wait), 503),
        ] {
            for api in [Api::Anthropic, Api::OpenAi, Api::Gemini] {
                let answer = refused.answer(api);
                assert_eq!(
                    (answer.status().as_u16(), &answer.headers()["retry-after"]),
                    (status, &HeaderValue::from(3))
                );
            }
        }
        let none = Refused::Throttled("no room".into(), Duration::ZERO).answer(Api::OpenAi);
        assert_eq!(none.headers()["retry-after"], "1");
        for api in [Api::Anthropic, Api::OpenAi, Api::Gemini] {
            assert_eq!(over(RefusalKind::Busy).answer(api).status(), 429);
            let unknown = over(RefusalKind::UnknownPrice).answer(api);
            assert!(unknown.headers().contains_key("x-should-retry"));
        }
    }
}
