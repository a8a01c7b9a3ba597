//! Exchanges of programs that call through the front: HTTP as it passed.

use crate::front::Routing;
use base64::{Engine, prelude::BASE64_STANDARD};
use orchestrator_core::{
    secret::{MASK, Redactor},
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{borrow::Cow, collections::BTreeMap};

/// What of a request's body tells whom it is for and not what is asked: it is neither kept nor
/// compared. Programs put an id of the session there, which is another each time.
const ABOUT_THE_CLIENT: [&str; 4] = ["metadata", "user", "safety_identifier", "prompt_cache_key"];

/// An answer as it passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    /// Names in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
    #[serde(flatten)]
    pub(crate) body: Body,
    /// What the answer itself says of its usage, when it was read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
    /// How its request got to its model, where that is not simply the one that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) routing: Option<Routing>,
}

/// Bytes: as text where they are, else in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Body {
    #[serde(rename = "body")]
    Text(String),
    #[serde(rename = "body-base64")]
    Bytes(#[serde(with = "as_base64")] Vec<u8>),
}

impl Body {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes(error.into_bytes()),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// A request as it is kept and compared. `query` has no credentials any more.
pub(crate) fn asked(method: &str, path: &str, query: Option<&str>, body: &[u8]) -> Value {
    let mut all = Map::new();
    all.insert("method".into(), json!(method));
    all.insert("path".into(), json!(path));
    if let Some(query) = query {
        all.insert("query".into(), json!(query));
    }
    match serde_json::from_slice::<Value>(body) {
        _ if body.is_empty() => None,
        Ok(mut body) => {
            if let Some(members) = body.as_object_mut() {
                members.retain(|name, _| !ABOUT_THE_CLIENT.contains(&name.as_str()));
            }
            all.insert("body".into(), body)
        }
        Err(_) => match std::str::from_utf8(body) {
            Ok(text) => all.insert("body-text".into(), json!(text)),
            Err(_) => all.insert("body-base64".into(), json!(BASE64_STANDARD.encode(body))),
        },
    };
    Value::Object(all)
}

/// Whether a text was received to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    CutOff,
}

/// `text` without known secrets; of one that was cut off, without the beginning of a secret at its end.
pub(super) fn hidden<'t>(text: &'t str, extent: Extent, redactor: &Redactor) -> Cow<'t, str> {
    let found = redactor.text(text);
    let begun = match extent {
        Extent::Whole => None,
        Extent::CutOff => redactor.cut_off(found.as_bytes()),
    };
    match begun.and_then(|at| found.get(..at)) {
        Some(before) => Cow::Owned(format!("{before}{MASK}")),
        None => found,
    }
}

/// Hides secrets that a stream of events brings in several pieces: a text that holds one is told in
/// its first event. Nothing else of the stream changes.
pub(super) fn hide(body: &mut Body, extent: Extent, redactor: &Redactor) {
    match body {
        Body::Text(text) => hide_in_text(text, extent, redactor),
        Body::Bytes(bytes) => {
            // What was cut off in the middle of a character is text before it.
            let text = std::str::from_utf8(bytes).err().map_or(bytes.len(), |it| it.valid_up_to());
            let rest = bytes.split_off(text);
            if let Ok(mut text) = String::from_utf8(std::mem::take(bytes)) {
                hide_in_text(&mut text, Extent::Whole, redactor);
                *bytes = text.into_bytes();
            }
            bytes.extend(rest);
            *bytes = redactor.bytes(bytes).into_owned();
        }
    }
}

fn hide_in_text(text: &mut String, extent: Extent, redactor: &Redactor) {
    let mut lines: Vec<Cow<'_, str>> = text.split_inclusive('\n').map(Cow::Borrowed).collect();
    let mut events: BTreeMap<usize, Value> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some(event) = line.strip_prefix("data:").and_then(|it| serde_json::from_str(it).ok())
        {
            events.insert(at, event);
        }
    }
    // The texts at the same place of events that are about the same part of the answer.
    let mut streams: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for (at, event) in &events {
        let part: Vec<&Value> = ["index", "output_index", "content_index"]
            .iter()
            .filter_map(|it| event.get(it))
            .collect();
        for pointer in texts(event) {
            streams.entry(format!("{pointer} {part:?}")).or_default().push((*at, pointer));
        }
    }
    let mut changed = Vec::new();
    for pieces in streams.values() {
        let read = |(at, pointer): &(usize, String)| {
            events.get(at).and_then(|event| event.pointer(pointer)).and_then(Value::as_str)
        };
        let whole: String = pieces.iter().filter_map(read).collect();
        let Cow::Owned(hidden) = hidden(&whole, extent, redactor) else { continue };
        let mut hidden = Some(hidden);
        for (at, pointer) in pieces {
            let place = events.get_mut(at).and_then(|event| event.pointer_mut(pointer));
            if let Some(place) = place {
                *place = Value::String(hidden.take().unwrap_or_default());
                changed.push(*at);
            }
        }
    }
    for at in changed {
        if let Some(event) = events.get(&at) {
            let end = if lines[at].ends_with("\r\n") { "\r\n" } else { "\n" };
            lines[at] = Cow::Owned(format!("data: {event}{end}"));
        }
    }
    *text = lines.concat();
    if let Cow::Owned(hidden) = hidden(text, extent, redactor) {
        *text = hidden;
    }
}

/// The places of all texts in `event`, as JSON pointers.
fn texts(event: &Value) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![(String::new(), event)]);
    while let Some((pointer, value)) = open.pop() {
        match value {
            Value::String(_) => found.push(pointer),
            Value::Array(items) => open.extend(
                items.iter().enumerate().map(|(at, item)| (format!("{pointer}/{at}"), item)),
            ),
            Value::Object(members) => open.extend(members.iter().map(|(name, member)| {
                let name = name.replace('~', "~0").replace('/', "~1");
                (format!("{pointer}/{name}"), member)
            })),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    found
}

/// Bytes as base64 text.
mod as_base64 {
    use super::{BASE64_STANDARD, Engine};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::secret::SecretString;

    #[test]
    fn bodies_are_read_as_they_were_written() {
        for bytes in [&b""[..], b"text \"\n", b"\xff\x00"] {
            let body = Body::of(bytes.to_vec());
            let (headers, usage, routing) = (Vec::new(), None, None);
            let response = HttpResponse { status: 200, headers, body, usage, routing };
            let line = serde_json::to_string(&response).unwrap();
            let read: HttpResponse = serde_json::from_str(&line).unwrap();
            assert_eq!((read.body.bytes(), &read), (bytes, &response), "{line}");
        }
    }

    #[test]
    fn what_is_about_the_client_does_not_count_and_all_else_does() {
        let of = |body: &str| asked("POST", "/x", Some("a=b"), body.as_bytes());
        assert_eq!(of(r#"{"model":"m","metadata":{"user_id":"1"}}"#), of(r#"{"model":"m"}"#));
        assert_ne!(of(r#"{"model":"m","messages":[]}"#), of(r#"{"model":"m"}"#));
        assert_eq!(of("not json")["body-text"], "not json");
        assert_eq!(asked("GET", "/x", None, b""), json!({ "method": "GET", "path": "/x" }));
    }

    #[test]
    fn a_secret_in_several_events_is_hidden_and_the_rest_stays_as_it_was() {
        let redactor = Redactor::new([SecretString::new("sk-12345")]);
        let event = |index: usize, text: &str| {
            format!(
                "event: content_block_delta\ndata: {}\n\n",
                json!({ "index": index, "delta": { "type": "text_delta", "text": text } })
            )
        };
        let stream = |texts: [&str; 3]| {
            event(0, texts[0]) + &event(1, "a") + &event(0, texts[1]) + &event(0, texts[2])
        };
        let mut body = Body::of(stream(["key sk-", "123", "45."]).into_bytes());
        hide(&mut body, Extent::Whole, &redactor);
        assert_eq!(body, Body::of(stream(["key [redacted].", "", ""]).into_bytes()));
        let plain = Body::of(b"data: {\"b\": 1,  \"a\": \"x\"}\n\ndata: [DONE]\n".to_vec());
        let mut kept = plain.clone();
        hide(&mut kept, Extent::Whole, &redactor);
        assert_eq!(kept, plain, "byte for byte");
        hide(&mut kept, Extent::CutOff, &redactor);
        assert_eq!(kept, plain, "byte for byte");
    }

    #[test]
    fn the_beginning_of_a_secret_at_a_cut_is_hidden() {
        let redactor = Redactor::new([SecretString::new("sk-0123456789")]);
        let event =
            |text: &str| format!("data: {}\n\n", json!({ "index": 0, "delta": { "text": text } }));
        let check = |stream: String, expected: &[u8]| {
            let mut body = Body::of(stream.into_bytes());
            hide(&mut body, Extent::CutOff, &redactor);
            assert_eq!(String::from_utf8_lossy(body.bytes()), String::from_utf8_lossy(expected));
        };
        check(
            event("key sk-0") + &event("1234"),
            (event("key [redacted]") + &event("")).as_bytes(),
        );
        check("data: {\"text\":\"sk-01234".into(), b"data: {\"text\":\"[redacted]");
        check(event("key sk-"), event("key sk-").as_bytes());
        let mut cut = event("key sk-012").into_bytes();
        cut.extend(event("3456789").bytes());
        cut.extend("data: {\"\u{1f980}".bytes());
        cut.truncate(cut.len() - 1);
        let mut body = Body::of(cut);
        hide(&mut body, Extent::CutOff, &redactor);
        let text = String::from_utf8_lossy(body.bytes()).into_owned();
        assert!(text.contains("key [redacted]") && !text.contains("3456789"), "{text}");
    }
}
