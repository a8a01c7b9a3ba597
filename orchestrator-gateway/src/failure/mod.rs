//! From what a server says went wrong to an error class, a message and a time to try again.

mod body;
mod reset;

pub(crate) use body::{ErrorBody, scrub};
pub(crate) use reset::{duration, from_date, from_epoch};

use crate::provider::Endpoint;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    time::Timestamp,
};
use reqwest::header::HeaderMap;

/// The failure that an answer of `status` means.
pub(crate) fn from_answer(
    endpoint: &Endpoint,
    model: &str,
    status: u16,
    headers: &HeaderMap,
    body: &ErrorBody,
    now: Timestamp,
) -> Failure {
    let (class, retry_at) = judge(status, headers, body, now);
    let mut failure = Failure::new(class, message(endpoint, model, status, class, body, retry_at));
    failure.retry_at = retry_at;
    failure
}

/// What an answer of `status` means, and from when on another try makes sense.
pub(crate) fn judge(
    status: u16,
    headers: &HeaderMap,
    body: &ErrorBody,
    now: Timestamp,
) -> (ErrorClass, Option<Timestamp>) {
    let class = classify(status, body);
    let retry_at = match class {
        ErrorClass::RateLimited | ErrorClass::QuotaExhausted => {
            reset::after_limit(headers, body, now)
        }
        ErrorClass::Overloaded | ErrorClass::Transient => reset::after_outage(headers, body, now),
        _ => None,
    };
    (class, retry_at)
}

/// The failure that an error in the middle of a stream, or in an answer of status 200, means.
pub(crate) fn from_stream(
    endpoint: &Endpoint,
    model: &str,
    body: &ErrorBody,
    now: Timestamp,
) -> Failure {
    let name = match body.kind.as_str() {
        "" | "error" => body.code.as_str(),
        kind => kind,
    };
    let status = match name {
        "overloaded_error" => 529,
        "rate_limit_error" => 429,
        "authentication_error" => 401,
        "permission_error" => 403,
        "billing_error" => 402,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "invalid_request_error" => 400,
        "timeout_error" => 504,
        "server_error" => 500,
        "vector_store_timeout" => 504,
        "rate_limit_exceeded" | "insufficient_quota" => 429,
        // The other codes of the Responses API speak of what was sent.
        _ if RESPONSES_INVALID.iter().any(|part| body.code.contains(part)) => 400,
        // Routers and Google put the status of the server behind them into `code`.
        _ => body.code.parse().ok().filter(|code| (400..600).contains(code)).unwrap_or(500),
    };
    from_answer(endpoint, model, status, &HeaderMap::new(), body, now)
}

/// What the codes of a failed response hold that blame the request.
const RESPONSES_INVALID: [&str; 8] = [
    "invalid",
    "image",
    "policy",
    "data_residency",
    "context_length",
    "model_not_found",
    "unsupported",
    "string_above_max_length",
];

/// The class of an answer with `status`, by what its body says: JSON as providers send it, or text.
/// Programs that call models tell of their failures with no more than that.
pub fn class_of(status: u16, body: &str) -> ErrorClass {
    classify(status, &ErrorBody::read(body.as_bytes()))
}

fn classify(status: u16, body: &ErrorBody) -> ErrorClass {
    let mentions = |words: &[&str]| words.iter().any(|word| body.mentions(word));
    let out_of_credit = || {
        mentions(&[
            "insufficient_quota",
            "insufficient balance",
            "credit balance",
            "credit_balance",
            "billing_hard_limit",
            "billing_error",
            "spend limit",
            "spend_limit",
            "credits are depleted",
        ])
    };
    match status {
        402 => ErrorClass::Billing,
        400 | 403 | 422 | 429 if out_of_credit() => ErrorClass::Billing,
        401 | 403 => ErrorClass::Auth,
        // Google answers 400 to a key that it does not know.
        400 if mentions(&["api_key_invalid", "api key not valid", "api key expired"]) => {
            ErrorClass::Auth
        }
        400 | 413 | 422 if status == 413 || mentions(&OVERFLOW) => ErrorClass::ContextOverflow,
        // Google speaks of a quota whatever the limit is; only the quota's name tells a day's.
        429 if mentions(&["resource_exhausted"]) => {
            if mentions(&["perday", "per day", "per_day"]) {
                ErrorClass::QuotaExhausted
            } else {
                ErrorClass::RateLimited
            }
        }
        429 if mentions(&[
            "usage_limit",
            "usage limit",
            "quota",
            "per day",
            "per_day",
            "daily",
        ]) =>
        {
            ErrorClass::QuotaExhausted
        }
        429 => ErrorClass::RateLimited,
        408 | 409 | 425 | 499 => ErrorClass::Transient,
        529 => ErrorClass::Overloaded,
        500..=599 if mentions(&["overloaded"]) => ErrorClass::Overloaded,
        500..=599 => ErrorClass::Transient,
        _ => ErrorClass::InvalidRequest,
    }
}

/// What the message of a failure holds when the server has no such model.
const UNKNOWN_MODEL: &str = "; check the agent's `model`";

/// Whether `failure`, which this module made, says that the server has no such model.
pub(crate) fn is_unknown_model(failure: &Failure) -> bool {
    failure.class == ErrorClass::InvalidRequest && failure.message.contains(UNKNOWN_MODEL)
}

/// Whether an answer of `status` and class `class` says that the server has no such model.
pub(crate) fn tells_of_no_model(status: u16, class: ErrorClass, body: &ErrorBody) -> bool {
    class == ErrorClass::InvalidRequest && (status == 404 || names_no_model(body))
}

/// How servers say that they have no such model, besides status 404.
const NO_SUCH_MODEL: [&str; 4] =
    ["model_not_found", "model not found", "unknown model", "invalid model name"];

/// How servers say that a prompt does not fit.
const OVERFLOW: [&str; 10] = [
    "context_length_exceeded",
    "context length",
    "context window",
    "context limit",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "exceeds the available context",
    "exceeds the maximum number of tokens",
    "request payload size exceeds the limit",
];

fn names_no_model(body: &ErrorBody) -> bool {
    NO_SUCH_MODEL.iter().any(|text| body.mentions(text))
}

fn message(
    endpoint: &Endpoint,
    model: &str,
    status: u16,
    class: ErrorClass,
    body: &ErrorBody,
    retry_at: Option<Timestamp>,
) -> String {
    let name = &endpoint.name;
    let told = match (body.label(), body.message.as_str()) {
        ("", "") => String::new(),
        ("", message) => format!(": {message}"),
        (label, "") => format!(" ({label})"),
        (label, message) => format!(" ({label}): {message}"),
    };
    let told = scrub(&told, endpoint.key.as_ref());
    let advice = match class {
        ErrorClass::Auth if endpoint.key.is_none() => {
            format!("; no key is configured: set `key` of [providers.{name}]")
        }
        ErrorClass::Auth => format!("; check the key of [providers.{name}]"),
        ErrorClass::Billing => "; add credit to the account or use another provider".into(),
        ErrorClass::ContextOverflow => {
            "; shorten the prompt or use a model with a larger context".into()
        }
        ErrorClass::RateLimited | ErrorClass::QuotaExhausted => match retry_at {
            Some(at) => format!("; try again from {at}"),
            None => "; try again later or lower the limits of the provider".into(),
        },
        ErrorClass::InvalidRequest if status == 404 || names_no_model(body) => {
            format!("{UNKNOWN_MODEL} and the `base-url` of [providers.{name}] ({})", endpoint.host)
        }
        ErrorClass::InvalidRequest if (300..400).contains(&status) => {
            format!("; redirects are not followed: check the `base-url` of [providers.{name}]")
        }
        _ => String::new(),
    };
    format!("provider `{name}` answered {status} for model `{model}`{told}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, json: &str, expected: ErrorClass) {
        assert_eq!(
            classify(status, &ErrorBody::read(json.as_bytes())),
            expected,
            "{status} {json}"
        );
    }

    #[test]
    fn statuses_and_bodies_have_classes() {
        use ErrorClass::*;
        let anthropic = |kind: &str, message: &str| {
            format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#)
        };
        let openai = |kind: &str, code: &str, message: &str| {
            format!(
                r#"{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":"{code}"}}}}"#
            )
        };
        let invalid = "invalid_request_error";
        check(400, &anthropic(invalid, "max_tokens: must be positive"), InvalidRequest);
        check(400, &anthropic(invalid, "prompt is too long: 210000 tokens"), ContextOverflow);
        check(400, &anthropic(invalid, "Your credit balance is too low"), Billing);
        check(400, &openai(invalid, "context_length_exceeded", "Too long"), ContextOverflow);
        check(401, &anthropic("authentication_error", "invalid x-api-key"), Auth);
        check(402, &openai("unknown", "", "Insufficient Balance"), Billing);
        check(403, &anthropic("permission_error", "no"), Auth);
        check(404, &anthropic("not_found_error", "model: x"), InvalidRequest);
        check(413, &anthropic("request_too_large", "too large"), ContextOverflow);
        check(422, r#"{"detail":"bad field"}"#, InvalidRequest);
        check(429, &anthropic("rate_limit_error", "slow down"), RateLimited);
        check(429, &openai("requests", "rate_limit_exceeded", "Rate limit"), RateLimited);
        check(429, &openai("insufficient_quota", "insufficient_quota", "quota"), Billing);
        check(429, r#"{"error":{"type":"usage_limit_reached"}}"#, QuotaExhausted);
        let google = |status: &str, message: &str, details: &str| {
            format!(
                r#"{{"error":{{"code":0,"message":"{message}","status":"{status}","details":[{details}]}}}}"#
            )
        };
        let quota = |id: &str| format!(r#"{{"violations":[{{"quotaId":"{id}"}}]}}"#);
        let used_up = "You exceeded your current quota, please check your plan and billing details";
        let exhausted = "RESOURCE_EXHAUSTED";
        check(429, &google(exhausted, used_up, &quota("RequestsPerMinutePerProject")), RateLimited);
        check(429, &google(exhausted, used_up, &quota("RequestsPerDayPerProject")), QuotaExhausted);
        check(429, &google(exhausted, "Resource has been exhausted", ""), RateLimited);
        check(429, &google(exhausted, "Your prepayment credits are depleted.", ""), Billing);
        check(400, &google("INVALID_ARGUMENT", "API key not valid.", ""), Auth);
        check(400, &google("INVALID_ARGUMENT", "no", r#"{"reason":"API_KEY_INVALID"}"#), Auth);
        let too_long =
            "The input token count (9) exceeds the maximum number of tokens allowed (8).";
        check(400, &google("INVALID_ARGUMENT", too_long, ""), ContextOverflow);
        check(400, &google("FAILED_PRECONDITION", "location not supported", ""), InvalidRequest);
        check(403, &google("PERMISSION_DENIED", "no", ""), Auth);
        check(404, &google("NOT_FOUND", "models/x is not found", ""), InvalidRequest);
        check(499, &google("CANCELLED", "", ""), Transient);
        check(503, &google("UNAVAILABLE", "The model is overloaded.", ""), Overloaded);
        check(503, &google("UNAVAILABLE", "", ""), Transient);
        check(504, &google("DEADLINE_EXCEEDED", "", ""), Transient);
        check(500, &anthropic("api_error", "oops"), Transient);
        check(502, "<html>Bad Gateway</html>", Transient);
        check(503, "", Transient);
        check(503, r#"{"error":"the engine is overloaded"}"#, Overloaded);
        check(504, "", Transient);
        check(529, &anthropic("overloaded_error", "Overloaded"), Overloaded);
        check(408, "", Transient);
        check(409, "", Transient);
        check(302, "", InvalidRequest);
        check(418, "", InvalidRequest);
    }
}
