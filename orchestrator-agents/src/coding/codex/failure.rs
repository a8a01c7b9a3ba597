//! What went wrong, by what Codex says of it.

use super::super::{Exit, Retry, told};
use super::NAME;
use orchestrator_core::error::{ErrorClass, Failure};
use orchestrator_gateway::class_of;
use serde_json::Value;

/// The failure that `message` tells of. `info` is the app-server's name for it.
pub(super) fn of(message: &str, info: Option<&Value>) -> Failure {
    // A server's refusal of the request comes as its body, and without its status.
    let refusal = serde_json::from_str::<Value>(message).ok().filter(Value::is_object);
    let words = refusal.as_ref().and_then(|body| told::text(body, "/error/message"));
    let words = words.unwrap_or(message);
    let by_info = info.and_then(by_info);
    let (class, advice) = match (by_info, status(message, info), &refusal) {
        (Some(class), ..) => (class, ""),
        (None, Some(status), _) => (class_of(status, message), ""),
        (None, None, Some(_)) => (class_of(400, message), ""),
        // Before any call: it has no login.
        (None, None, None) => (by_words(message), advice(by_words(message))),
    };
    let words = if words.is_empty() { "it does not say why" } else { words };
    Failure::new(class, format!("{NAME} failed: {}{advice}", told::brief(words)))
}

/// The failure of a call that is about to be made again, where that is in vain.
pub(super) fn of_retry(message: &str, info: Option<&Value>) -> Option<Failure> {
    let status = status(message, info)?;
    // A server without the WebSocket that is tried first is asked by HTTP then.
    if message.contains("url: ws") && ![401, 403].contains(&status) {
        return None;
    }
    let lasts = (400..500).contains(&status) && ![408, 409, 425, 429, 499].contains(&status);
    lasts.then(|| of(message, info))
}

/// What a notice of another try says, such as
/// `Reconnecting... 2/5 (unexpected status 401 Unauthorized: …)`.
pub(super) fn retry(message: &str, info: Option<&Value>) -> Retry {
    let numbers = message.strip_prefix("Reconnecting...").unwrap_or_default().trim_start();
    let attempt = numbers.split('/').next().and_then(|number| number.trim().parse().ok());
    let why = message.split_once('(').map_or(message, |(_, why)| why.trim_end_matches(')'));
    Retry { attempt, status: status(message, info), wait: None, message: told::brief(why) }
}

/// The failure that the exit and standard error tell of.
pub(super) fn diagnose(exit: Exit, stderr: &str) -> Option<Failure> {
    let line = |text: &str| stderr.lines().find(|line| line.contains(text));
    let failed = |class, line: &str, advice: &str| {
        let line = line.strip_prefix("Error: ").unwrap_or(line);
        Some(Failure::new(class, format!("{NAME} failed: {}{advice}", told::brief(line))))
    };
    if let Some(line) = line("no rollout found").or_else(|| line("thread not found")) {
        return failed(ErrorClass::InvalidRequest, line, "");
    }
    if let Some(line) = line("unexpected argument").or_else(|| line("unrecognized subcommand")) {
        let advice = "; check its version and the agent's `arguments`";
        return failed(ErrorClass::Incompatible, line, advice);
    }
    if let Some(line) = line("rror loading config") {
        return failed(ErrorClass::InvalidRequest, line, "; check the agent's `arguments`");
    }
    if let Some(line) = line("Not logged in") {
        return failed(ErrorClass::Auth, line, advice(ErrorClass::Auth));
    }
    match exit {
        Exit::Code(code) if code != 0 => {
            let line = stderr.lines().find(|line| line.starts_with("Error:"))?;
            failed(ErrorClass::Crashed, line, "")
        }
        Exit::Code(_) | Exit::Signal(_) | Exit::Stopped => None,
    }
}

fn advice(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Auth => "; log in with `codex login`",
        _ => "",
    }
}

/// The HTTP status in what it says: `status 401`, `last status: 429`.
fn status(message: &str, info: Option<&Value>) -> Option<u16> {
    let known = info.and_then(Value::as_object).into_iter().flat_map(|info| info.values());
    let mut known = known.filter_map(|detail| detail.get("httpStatusCode")?.as_u64());
    if let Some(status) = known.next() {
        return u16::try_from(status).ok();
    }
    let (_, rest) = message.split_once("status ").or_else(|| message.split_once("status: "))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|status| (100..600).contains(status))
}

fn by_info(info: &Value) -> Option<ErrorClass> {
    match info.as_str()? {
        "contextWindowExceeded" => Some(ErrorClass::ContextOverflow),
        "sessionBudgetExceeded" => Some(ErrorClass::OverBudget),
        "usageLimitExceeded" => Some(ErrorClass::QuotaExhausted),
        "rateLimitExceeded" => Some(ErrorClass::RateLimited),
        "serverOverloaded" | "flexUnavailable" | "policyCapacityUnavailable" => {
            Some(ErrorClass::Overloaded)
        }
        "internalServerError" => Some(ErrorClass::Transient),
        "unauthorized" => Some(ErrorClass::Auth),
        "modelNotFound" => Some(ErrorClass::InvalidRequest),
        "cyberPolicy" | "misalignmentPolicyViolation" | "inferenceHookDenied" => {
            Some(ErrorClass::Refused)
        }
        "tooManyDenials" => Some(ErrorClass::NoProgress),
        "sandboxError" => Some(ErrorClass::ToolFailed),
        // What was wrong with the request is in the message.
        _ => None,
    }
}

fn by_words(message: &str) -> ErrorClass {
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["usage limit"]) {
        ErrorClass::QuotaExhausted
    } else if says(&["quota exceeded", "billing"]) {
        ErrorClass::Billing
    } else if says(&["missing environment variable", "sign in again", "log out and sign in"])
        || says(&["unauthorized", "not logged in"])
    {
        ErrorClass::Auth
    } else if says(&["context window", "context length"]) {
        ErrorClass::ContextOverflow
    } else if says(&["at capacity", "overloaded"]) {
        ErrorClass::Overloaded
    } else if says(&["does not exist", "not supported", "model not found"]) {
        ErrorClass::InvalidRequest
    } else {
        // A connection that broke, a server in trouble.
        ErrorClass::Transient
    }
}
