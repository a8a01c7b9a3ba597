//! What the failures mean that programs tell of in their own words.

use super::{
    Exit, Step,
    event::{Event, Outcome},
};
use orchestrator_core::error::{ErrorClass, Failure};
use orchestrator_gateway::class_of;
use serde_json::Value;

/// How much of a text a failure repeats, in characters.
const LONGEST: usize = 500;

/// How much of a line that cannot be read is shown, in characters.
const GARBAGE: usize = 120;

/// The failure of a program whose call of a model was answered with `status`.
pub(super) fn by_status(program: &str, status: u16, told: &str) -> Failure {
    let class = class_of(status, told);
    // What providers send is JSON, with the words for people inside.
    let json: Option<Value> = serde_json::from_str(told).ok();
    let words = json.as_ref().and_then(|json| text(json, "/error/message")).unwrap_or(told);
    Failure::new(class, format!("{program} was answered with status {status}: {}", brief(words)))
}

/// The failure of a program that tells of one without a status.
pub(super) fn by_words(program: &str, told: &str) -> Failure {
    let lower = told.to_lowercase();
    let mentions = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let class = if mentions(&["rate limit", "too many requests"]) {
        ErrorClass::RateLimited
    } else if mentions(&["overloaded"]) {
        ErrorClass::Overloaded
    } else if mentions(&["unauthorized", "unauthenticated", "authentication", "not logged in"]) {
        ErrorClass::Auth
    } else if mentions(&["not found", "invalid argument", "bad request"]) {
        ErrorClass::InvalidRequest
    } else {
        // A connection that broke, a server that did not answer.
        ErrorClass::Transient
    };
    Failure::new(class, format!("{program} failed: {}", brief(told)))
}

/// The beginning of `text`, in one line.
pub(super) fn brief(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// The object that a line holds. Otherwise what follows from the line: nothing where it is empty, and
/// else that it cannot be read.
pub(super) fn object(line: &str) -> Result<Value, Vec<Step>> {
    match serde_json::from_str(line) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ if line.trim().is_empty() => Err(Vec::new()),
        _ => Err(vec![Step::Said(garbage(line))]),
    }
}

/// A line that cannot be read.
pub(super) fn garbage(line: &str) -> Event {
    Event::Garbage { line: line.chars().take(GARBAGE).collect() }
}

/// The text at `pointer`, when there is one that is not empty.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The number at `pointer`, or 0.
pub(super) fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// The first version in what a program prints, such as `2.1.329` in `2.1.329 (Claude Code)`.
pub(super) fn version(printed: &str) -> Option<String> {
    let words = printed.split_whitespace().map(|word| word.trim_start_matches('v'));
    let mut versions = words.filter(|word| {
        word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit())
    });
    versions.next().map(str::to_owned)
}

/// The host of an address, with its port where it names one.
pub(super) fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let place = rest.split(['/', '?', '#']).next()?;
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    (!host.is_empty()).then(|| host.to_lowercase())
}

/// The failure of a program that said that it was done and did not end so.
pub(super) fn disagrees(program: &str, exit: Exit) -> Failure {
    let message = format!("{program} said that it was done, and ended with {exit}");
    Failure::new(ErrorClass::Crashed, message)
}

/// How a tool ended that succeeded or did not.
pub(super) fn outcome(succeeded: bool) -> Outcome {
    if succeeded { Outcome::Done } else { Outcome::Failed }
}
