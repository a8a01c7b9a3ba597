//! Reasons as documents.

use orchestrator_core::{run::Reason, time::Timestamp};
use serde_json::{Map, Value};

/// The keys that hold instants.
const INSTANTS: [&str; 3] = ["until", "since", "expires"];

/// A reason as documents have it: keys with `_`, instants as RFC 3339 text.
pub(super) fn document(reason: &Reason) -> Value {
    match serde_json::to_value(reason) {
        Ok(value) => convert(value),
        // Only a value that JSON cannot hold could lead here, and a reason has none.
        Err(error) => {
            tracing::error!(%error, "a reason has no JSON form");
            Value::Null
        }
    }
}

fn convert(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let entry = |(key, value): (String, Value)| {
                let value = match value.as_u64() {
                    Some(ms) if INSTANTS.contains(&key.as_str()) => {
                        Timestamp(ms).to_string().into()
                    }
                    _ => convert(value),
                };
                (key.replace('-', "_"), value)
            };
            Value::Object(map.into_iter().map(entry).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(convert).collect(),
        other => other,
    }
}

/// Whether nothing comes of the reason while nobody drives the run. What waits for a person, a time
/// or another run waits for that first.
pub(super) fn needs_a_driver(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::Attempt { .. }
            | Reason::Stopping { .. }
            | Reason::Turn {}
            | Reason::HeldUp { .. }
            | Reason::Evaluating { .. }
            | Reason::Cancelling { .. }
            | Reason::Compensating { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::{event::AskKind, schedule::HeldUp};
    use serde_json::json;

    #[test]
    fn documents_have_dates_and_plain_keys() {
        let person = Reason::Person {
            ask: AskKind::Approval,
            message: "Land it?".into(),
            since: Some(Timestamp(0)),
            expires: None,
            questions: Vec::new(),
            action: None,
        };
        assert_eq!(
            document(&person),
            json!({ "kind": "person", "ask": "approval", "message": "Land it?",
                    "since": "1970-01-01T00:00:00.000Z", "expires": null })
        );
        let held = Reason::HeldUp { held_up: HeldUp::Parallel { most: 2 } };
        let expected = json!({ "kind": "held-up", "held_up": { "by": "parallel", "most": 2 } });
        assert_eq!(document(&held), expected);
    }
}
