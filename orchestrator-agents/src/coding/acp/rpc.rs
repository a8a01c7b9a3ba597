//! The frame of the protocol: one JSON-RPC 2.0 message a line.

use serde::Serialize;
use serde_json::{Value, json};

/// What a line holds.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// It wants something, and an answer.
    Request {
        /// The request, which the answer names.
        id: Value,
        method: String,
        params: Value,
    },
    /// It says something.
    Notification { method: String, params: Value },
    /// The answer to a request of ours.
    Response {
        /// Which one.
        id: u64,
        result: Result<Value, Problem>,
    },
}

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Value,
}

/// Reads a line; nothing when it is no message.
pub(super) fn read(line: &str) -> Option<Message> {
    let mut value: Value = serde_json::from_str(line).ok()?;
    let object = value.as_object_mut()?;
    let (method, id) = (object.remove("method"), object.remove("id"));
    let params = object.remove("params").unwrap_or_default();
    match (method, id) {
        (Some(Value::String(method)), Some(id)) => Some(Message::Request { id, method, params }),
        (Some(Value::String(method)), None) => Some(Message::Notification { method, params }),
        (None, Some(id)) => {
            let id = id.as_u64()?;
            let result = match object.remove("error") {
                Some(error) => Err(problem(&error)),
                None => Ok(object.remove("result")?),
            };
            Some(Message::Response { id, result })
        }
        _ => None,
    }
}

fn problem(error: &Value) -> Problem {
    let message = error.get("message").and_then(Value::as_str).unwrap_or("it does not say why");
    Problem {
        code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
        message: message.to_owned(),
        data: error.get("data").cloned().unwrap_or_default(),
    }
}

pub(super) fn request(id: u64, method: &str, params: &impl Serialize) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

pub(super) fn notification(method: &str, params: &impl Serialize) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

pub(super) fn response(id: &Value, result: &impl Serialize) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

/// That there is no such method here.
pub(super) fn unknown_method(id: &Value, method: &str) -> String {
    let error = json!({ "code": -32601, "message": format!("`{method}` is not offered") });
    json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_request_a_notification_or_an_answer() {
        let request = read(r#"{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}}"#);
        let expected =
            Message::Request { id: "a".into(), method: "m".into(), params: json!({ "x": 1 }) };
        assert_eq!(request, Some(expected));
        let note = read(r#"{"method":"m"}"#);
        let expected = Message::Notification { method: "m".into(), params: Value::Null };
        assert_eq!(note, Some(expected));
        let answer = read(r#"{"id":3,"result":{}}"#);
        assert_eq!(answer, Some(Message::Response { id: 3, result: Ok(json!({})) }));
        let failed = read(r#"{"id":3,"error":{"code":-32000,"message":"no"}}"#);
        let problem = Problem { code: -32000, message: "no".into(), data: Value::Null };
        assert_eq!(failed, Some(Message::Response { id: 3, result: Err(problem) }));
    }

    #[test]
    fn what_is_no_message_is_none() {
        for line in ["", "text", "[]", "3", "{}", r#"{"id":"x","result":1}"#, r#"{"id":1}"#] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
