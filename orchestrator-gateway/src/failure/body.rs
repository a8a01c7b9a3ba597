//! The body of an error, in the shapes that servers give it.

use crate::SecretString;
use serde_json::Value;

/// What an error body says. All fields are empty when it says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ErrorBody {
    pub(crate) kind: String,
    pub(crate) code: String,
    pub(crate) param: String,
    pub(crate) message: String,
    /// What else it says of the cause, by name: Google's reasons and the quotas that are used up.
    pub(crate) causes: String,
    /// When the limit is lifted: seconds since 1970.
    pub(crate) resets_at: Option<f64>,
    /// In how many seconds the limit is lifted.
    pub(crate) resets_in: Option<f64>,
}

impl ErrorBody {
    /// Reads `{"error":{…}}`, alone or in a list, `{"error":"text"}`, `{"message":…}`,
    /// `{"detail":…}`, or plain text.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(bytes) {
            Ok(json) => Self::from_json(&json),
            Err(_) => Self { message: plain(&String::from_utf8_lossy(bytes)), ..Self::default() },
        }
    }

    pub(crate) fn from_json(json: &Value) -> Self {
        let json = match json.as_array().map(Vec::as_slice) {
            Some([first, ..]) => first,
            _ => json,
        };
        let error = match json.get("error") {
            Some(Value::String(message)) => {
                return Self { message: plain(message), ..Self::default() };
            }
            Some(error @ Value::Object(_)) => error,
            _ => json,
        };
        let text = |key: &str| match error.get(key) {
            Some(Value::String(text)) => plain(text),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let number = |key: &str| error.get(key).and_then(Value::as_f64);
        let message = match text("message") {
            message if message.is_empty() => match error.get("detail") {
                Some(Value::String(detail)) => plain(detail),
                Some(detail) => plain(&detail.to_string()),
                None => String::new(),
            },
            message => message,
        };
        let kind = match text("type") {
            kind if kind.is_empty() => text("status"),
            kind => kind,
        };
        let details = error.get("details").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let resets_in = number("resets_in_seconds")
            .or_else(|| number("retry_after"))
            .or_else(|| details.iter().find_map(retry_delay));
        Self {
            kind,
            code: text("code"),
            param: text("param"),
            message,
            causes: causes(details),
            resets_at: number("resets_at"),
            resets_in,
        }
    }

    /// Whether any part of it holds `word`, without regard to case. `word` is in lower case.
    pub(crate) fn mentions(&self, word: &str) -> bool {
        [&self.kind, &self.code, &self.param, &self.message, &self.causes]
            .into_iter()
            .any(|part| part.to_lowercase().contains(word))
    }

    /// The shortest name that it gives the error. A number only repeats the status.
    pub(crate) fn label(&self) -> &str {
        let is_number = self.code.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && !self.kind.is_empty() { &self.kind } else { &self.code }
    }
}

/// The seconds of a `google.rpc.RetryInfo`, such as `"36.4s"`.
fn retry_delay(detail: &Value) -> Option<f64> {
    detail.get("retryDelay")?.as_str()?.strip_suffix('s')?.parse().ok()
}

/// The reasons of `google.rpc.ErrorInfo` and the quotas of `google.rpc.QuotaFailure`.
fn causes(details: &[Value]) -> String {
    let mut causes: Vec<&str> = Vec::new();
    for detail in details {
        causes.extend(detail["reason"].as_str());
        causes.extend(detail["metadata"]["quota_limit"].as_str());
        for violation in detail["violations"].as_array().into_iter().flatten() {
            causes.extend(violation["quotaId"].as_str());
        }
    }
    plain(&causes.join(" "))
}

/// The most characters of a server's text that are passed on.
const MAX_TEXT: usize = 400;

/// One line of at most [`MAX_TEXT`] characters: server text can hold anything.
fn plain(text: &str) -> String {
    let mut words = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > 8 * MAX_TEXT {
            break;
        }
    }
    match words.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

/// `text` without `key`, and without anything that looks like a key of some other account:
/// servers like to quote what they refuse.
pub(crate) fn scrub(text: &str, key: Option<&SecretString>) -> String {
    const REDACTED: &str = "[redacted]";
    let text = match key {
        Some(key) if !key.is_empty() => text.replace(key.expose(), REDACTED),
        _ => text.to_owned(),
    };
    let in_token = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '*' | '.');
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = ["sk-", "AIza"].iter().filter_map(|mark| rest.find(mark)).min() {
        let (before, token) = rest.split_at(start);
        let end = token.find(|c| !in_token(c)).unwrap_or(token.len());
        let inside_a_word = before.chars().next_back().is_some_and(in_token);
        clean.push_str(before);
        clean.push_str(if end >= 12 && !inside_a_word { REDACTED } else { &token[..end] });
        rest = &token[end..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_read() {
        let check = |text: &str, kind: &str, code: &str, message: &str| {
            let body = ErrorBody::read(text.as_bytes());
            let read = (body.kind.as_str(), body.code.as_str(), body.message.as_str());
            assert_eq!(read, (kind, code, message), "{text}");
        };
        check(r#"{"type":"error","error":{"type":"a","message":"m"}}"#, "a", "", "m");
        check(r#"{"error":{"message":"m","type":"a","code":"c"}}"#, "a", "c", "m");
        check(r#"{"error":{"message":"m","code":502}}"#, "", "502", "m");
        let google = r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#;
        check(google, "RESOURCE_EXHAUSTED", "429", "m");
        check(&format!("[{google}]"), "RESOURCE_EXHAUSTED", "429", "m");
        check("[]", "", "", "");
        check(r#"{"error":"m\n\tn"}"#, "", "", "m n");
        check(r#"{"detail":[{"loc":1}]}"#, "", "", r#"[{"loc":1}]"#);
        check("<html>  no\r\n</html>", "", "", "<html> no </html>");
        check("", "", "", "");
        check("null", "", "", "");
        assert_eq!(ErrorBody::read(&vec![b'x'; 9_000]).message.chars().count(), 401);
    }

    #[test]
    fn details_of_google_are_read() {
        let body = ErrorBody::read(
            br#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
                {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[
                    {"quotaId":"GenerateRequestsPerDayPerProject"},{"quotaId":7}]},
                {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED",
                    "metadata":{"quota_limit":"PerMinute"}},
                {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"36.5s"}, 9]}}"#,
        );
        assert_eq!(body.causes, "GenerateRequestsPerDayPerProject RATE_LIMIT_EXCEEDED PerMinute");
        assert!(body.mentions("perday"));
        assert_eq!((body.resets_in, body.label()), (Some(36.5), "RESOURCE_EXHAUSTED"));
        let routed = ErrorBody::read(br#"{"error":{"message":"m","code":502}}"#);
        assert_eq!(routed.label(), "502");
    }

    #[test]
    fn keys_are_scrubbed() {
        let key = SecretString::new("very-own-key");
        let check = |text: &str, expected: &str| {
            assert_eq!(scrub(text, Some(&key)), expected);
        };
        check("bad very-own-key!", "bad [redacted]!");
        check("key sk-abcdef0123456789, no", "key [redacted], no");
        check("sk-proj-****************6789", "[redacted]");
        check("the task-oriented disk-usage-report", "the task-oriented disk-usage-report");
        check("sk-short", "sk-short");
        check("key AIzaSy0123456789abcdef or sk-abcdef0123456789.", "key [redacted] or [redacted]");
    }
}
