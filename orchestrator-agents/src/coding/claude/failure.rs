//! What went wrong, by what Claude Code says of it.

use super::super::{Exit, told};
use super::NAME;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    time::Timestamp,
};
use orchestrator_gateway::class_of;
use serde_json::Value;

/// What was heard before a result.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// Its name for the last error of a call.
    pub(super) error: Option<String>,
    /// When the window of the subscription that is used up begins anew.
    pub(super) resets: Option<Timestamp>,
    /// Whether it works with a login of its own.
    pub(super) own_login: bool,
}

/// The failure that a result tells of.
pub(super) fn of_result(result: &Value, heard: &Heard) -> Failure {
    let said = said(result);
    let code = told::text(result, "/api_error").or(heard.error.as_deref());
    let status = result.get("api_error_status").and_then(Value::as_u64);
    let status = status.and_then(|status| u16::try_from(status).ok());
    let told = match told::text(result, "/api_error_type") {
        Some(kind) => format!("{kind}: {said}"),
        None => said.clone(),
    };
    let class = by_subtype(told::text(result, "/subtype").unwrap_or_default())
        .or_else(|| told::text(result, "/terminal_reason").and_then(by_reason))
        .or_else(|| is_used_up(&said, code).then_some(ErrorClass::QuotaExhausted))
        .or_else(|| status.map(|status| class_of(status, &told)))
        .or_else(|| code.and_then(by_code))
        .or_else(|| by_words(&said))
        .unwrap_or(ErrorClass::Crashed);
    failure(class, &said, heard)
}

/// The failure that a call tells of which is about to be made again, where that is in vain.
/// `again` says how often it was refused before for the same reason.
pub(super) fn of_retry(
    status: Option<u16>,
    code: Option<&str>,
    again: u32,
    heard: &Heard,
) -> Option<Failure> {
    let class = match (status, code) {
        // A login of its own may have been renewed meanwhile.
        (Some(401), _) if heard.own_login && again == 0 => return None,
        (Some(408 | 409 | 425 | 429 | 499 | 500..), _) => return None,
        (Some(status @ 400..), code) => class_of(status, code.unwrap_or_default()),
        (_, code) => code.and_then(by_code)?,
    };
    let lasts = matches!(
        class,
        ErrorClass::Auth
            | ErrorClass::Billing
            | ErrorClass::InvalidRequest
            | ErrorClass::ContextOverflow
    );
    let said = match (status, code) {
        (Some(status), Some(code)) => format!("status {status} ({code})"),
        (Some(status), None) => format!("status {status}"),
        (None, code) => code.unwrap_or_default().to_owned(),
    };
    lasts.then(|| failure(class, &said, heard))
}

/// The failure that the exit and standard error tell of.
pub(super) fn diagnose(exit: Exit, stderr: &str) -> Option<Failure> {
    let line = |text: &str| stderr.lines().find(|line| line.contains(text));
    let failed = |class, line: &str, advice: &str| {
        Some(Failure::new(class, format!("{NAME} failed: {}{advice}", told::brief(line))))
    };
    if let Some(line) = line("No conversation found") {
        return failed(ErrorClass::InvalidRequest, line, "");
    }
    if let Some(line) = line("is already in use") {
        return failed(ErrorClass::InvalidRequest, line, "");
    }
    if let Some(line) = line("unknown option") {
        let advice = "; check its version and the agent's `arguments`";
        return failed(ErrorClass::Incompatible, line, advice);
    }
    if let Some(line) = line("root/sudo privileges") {
        let advice = "; take that flag out of the agent's `arguments`";
        return failed(ErrorClass::InvalidRequest, line, advice);
    }
    if let Some(line) = ["Not logged in", "/login"].into_iter().find_map(line) {
        return failed(ErrorClass::Auth, line, "; log in with `claude`");
    }
    match exit {
        Exit::Code(code) if code != 0 => {
            let line = stderr.lines().find(|line| line.to_lowercase().starts_with("error"))?;
            failed(ErrorClass::Crashed, line, "")
        }
        Exit::Code(_) | Exit::Signal(_) | Exit::Stopped => None,
    }
}

fn failure(class: ErrorClass, said: &str, heard: &Heard) -> Failure {
    let class = match class {
        // Which is what a subscription's limit looks like from inside.
        ErrorClass::RateLimited if heard.resets.is_some() => ErrorClass::QuotaExhausted,
        class => class,
    };
    let advice = match class {
        ErrorClass::Auth if heard.own_login => "; log in with `claude`",
        _ => "",
    };
    let said = if said.is_empty() { "it does not say why" } else { said };
    let failure = Failure::new(class, format!("{NAME} failed: {}{advice}", told::brief(said)));
    let at = match class {
        ErrorClass::QuotaExhausted => epoch(said).or(heard.resets),
        _ => None,
    };
    match at {
        Some(at) => failure.retry_at(at),
        None => failure,
    }
}

/// What a result says of itself.
fn said(result: &Value) -> String {
    if let Some(text) = told::text(result, "/result") {
        return text.to_owned();
    }
    let errors = result.get("errors").and_then(Value::as_array).into_iter().flatten();
    let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
    match (errors.is_empty(), told::text(result, "/terminal_reason")) {
        (true, reason) => reason.unwrap_or_default().to_owned(),
        (false, _) => errors.join("; "),
    }
}

fn by_subtype(subtype: &str) -> Option<ErrorClass> {
    match subtype {
        // Limits that the agent's arguments set.
        "error_max_turns" | "error_max_budget_usd" => Some(ErrorClass::OverBudget),
        "error_max_structured_output_retries" => Some(ErrorClass::BadOutput),
        _ => None,
    }
}

fn by_reason(reason: &str) -> Option<ErrorClass> {
    match reason {
        "max_turns" | "budget_exhausted" => Some(ErrorClass::OverBudget),
        "structured_output_retry_exhausted" | "malformed_tool_use_exhausted" => {
            Some(ErrorClass::BadOutput)
        }
        "prompt_too_long" | "blocking_limit" | "rapid_refill_breaker" => {
            Some(ErrorClass::ContextOverflow)
        }
        "image_error" => Some(ErrorClass::InvalidRequest),
        "model_error" => Some(ErrorClass::Transient),
        "hook_stopped" | "stop_hook_prevented" => Some(ErrorClass::ToolFailed),
        // Somebody sent it a signal.
        "aborted_streaming" | "aborted_tools" => Some(ErrorClass::Crashed),
        _ => None,
    }
}

fn by_code(code: &str) -> Option<ErrorClass> {
    match code {
        "authentication_failed"
        | "oauth_org_not_allowed"
        | "account_on_hold"
        | "verification_required"
        | "cloud_credential_error" => Some(ErrorClass::Auth),
        "billing_error" => Some(ErrorClass::Billing),
        "rate_limit" => Some(ErrorClass::RateLimited),
        "overloaded" => Some(ErrorClass::Overloaded),
        "invalid_request" | "model_not_found" => Some(ErrorClass::InvalidRequest),
        "max_output_tokens" => Some(ErrorClass::BadOutput),
        "message_over_context_limit" => Some(ErrorClass::ContextOverflow),
        "claude_code_version_too_old" => Some(ErrorClass::Incompatible),
        // A connection that broke or was refused.
        "server_error" | "connection_failed" | "stream_idle_timeout" | "no_response" => {
            Some(ErrorClass::Transient)
        }
        _ => None,
    }
}

fn by_words(said: &str) -> Option<ErrorClass> {
    let says = |text: &str| said.contains(text);
    if says("No conversation found") {
        Some(ErrorClass::InvalidRequest)
    } else if says("Not logged in") || says("/login") {
        Some(ErrorClass::Auth)
    } else if says("Prompt is too long") {
        Some(ErrorClass::ContextOverflow)
    } else if says("API Error") {
        Some(ErrorClass::Transient)
    } else {
        None
    }
}

/// Whether a window of the subscription is used up.
fn is_used_up(said: &str, code: Option<&str>) -> bool {
    let said = said.to_lowercase();
    code == Some("usage_limit_reached")
        || said.contains("usage limit reached")
        || ((said.contains("hit your") || said.contains("reached your")) && said.contains("limit"))
}

/// The time in `… limit reached|1767225600`: seconds since 1970.
fn epoch(said: &str) -> Option<Timestamp> {
    let (_, rest) = said.rsplit_once('|')?;
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    let seconds: u64 = digits.parse().ok()?;
    // Not before 2001 and not after 2286: else it is no such time.
    (1_000_000_000..10_000_000_000).contains(&seconds).then(|| Timestamp(seconds * 1_000))
}
