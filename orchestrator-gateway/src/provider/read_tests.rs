//! Whole streams through the reader of each protocol: however they are cut, they mean the same.

use super::*;
use crate::{
    Client, ProviderConfig, ProviderKind,
    provider::{
        Anthropic, Arguments, Delta, Gemini, OpenAiChat, OpenAiResponses, Part, Stop,
        caller::Protocol, quirks::Quirks,
    },
};
use orchestrator_core::{id::ProviderName, usage::Usage};
use proptest::prelude::*;
use serde_json::json;

/// One recorded stream of each protocol, all with the same content: reasoning, text that is not
/// ASCII, a call in pieces, usage with a cache, and parts that nobody knows.
const STREAMS: [(&str, &str); 4] = [
    ("anthropic", include_str!("../../tests/streams/anthropic.sse")),
    ("openai-chat", include_str!("../../tests/streams/openai-chat.sse")),
    ("openai-responses", include_str!("../../tests/streams/openai-responses.sse")),
    ("gemini", include_str!("../../tests/streams/gemini.sse")),
];

fn dialect(kind: &str) -> Box<dyn Dialect> {
    match kind {
        "anthropic" => Anthropic.dialect(),
        "openai-chat" => OpenAiChat.dialect(),
        "openai-responses" => OpenAiResponses.dialect(),
        _ => Gemini.dialect(),
    }
}

/// What comes of a stream: the answer or the fault, and the text of all pieces.
fn read<'b>(
    kind: &str,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> (Result<Response, Fault>, String) {
    let mut text = String::new();
    let mut sink = |delta| {
        if let Delta::Text(piece) = delta {
            text.push_str(&piece);
        }
    };
    let mut so_far = Assembly::new(&mut sink);
    let mut dialect = dialect(kind);
    let mut reader = Reader::new(dialect.as_mut());
    let mut result = Ok(());
    for piece in pieces {
        result = result.and_then(|()| reader.feed(piece, &mut so_far));
    }
    let result = result.and_then(|()| reader.finish(&mut so_far));
    let result = result.map(|()| so_far.into_response());
    (result, text)
}

#[test]
fn every_protocol_says_the_same_of_the_same_answer() {
    for (kind, stream) in STREAMS {
        let (answer, text) = read(kind, [stream.as_bytes()]);
        let answer = answer.unwrap_or_else(|fault| panic!("{kind}: {fault:?}"));
        assert_eq!(answer.text, "Grüße, 世界 🦀", "{kind}");
        assert_eq!(text, answer.text, "{kind}");
        assert_eq!(answer.stop, Stop::ToolCalls, "{kind}");
        let [call] = answer.tool_calls().try_into().unwrap();
        assert_eq!(call.name, "look", "{kind}");
        assert_eq!(call.arguments, Arguments::Object(json!({ "ort": "Zürich" })), "{kind}");
        let Usage { input, cache_read, output, reasoning, .. } = answer.usage.unwrap();
        assert_eq!((input.0, cache_read.0, output.0, reasoning.0), (40, 60, 25, 10), "{kind}");
        let sealed = answer.message.parts.iter().any(|part| matches!(part, Part::Opaque(_)));
        assert!(sealed, "{kind} wants something back");
    }
}

#[test]
fn every_split_in_two_gives_the_same_answer() {
    for (kind, stream) in STREAMS {
        let whole = read(kind, [stream.as_bytes()]).0.unwrap();
        for at in 0..=stream.len() {
            let (left, right) = stream.as_bytes().split_at(at);
            assert_eq!(read(kind, [left, right]).0.unwrap(), whole, "{kind} at {at}");
        }
        let bytes = stream.as_bytes().chunks(1);
        assert_eq!(read(kind, bytes).0.unwrap(), whole, "{kind} byte by byte");
    }
}

/// A stream that is cut anywhere is either said to be cut, or was complete but for what has no
/// meaning. It is never half an answer that passes for a whole one.
#[test]
fn every_cut_is_a_fault_or_behind_the_end() {
    for (kind, stream) in STREAMS {
        let whole = read(kind, [stream.as_bytes()]).0.unwrap();
        let mut faults = 0;
        for end in 0..stream.len() {
            match read(kind, [&stream.as_bytes()[..end]]).0 {
                Err(_) => faults += 1,
                Ok(answer) => {
                    let same = (&answer.message, &answer.stop) == (&whole.message, &whole.stop);
                    assert!(same, "{kind} cut at {end}: {answer:?}");
                    // Chat Completions count after the reason for the end; some servers never do.
                    let counted = answer.usage == whole.usage;
                    assert!(counted || kind == "openai-chat" && answer.usage.is_none());
                }
            }
        }
        assert!(faults > stream.len() / 2, "{kind}: {faults} of {}", stream.len());
    }
}

fn any_stream() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(STREAMS.to_vec())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_answer(
        (kind, stream) in any_stream(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = stream.as_bytes();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.sort_unstable();
        let mut from = 0;
        let mut pieces = Vec::new();
        for end in at.into_iter().chain([bytes.len()]) {
            pieces.push(&bytes[from..end]);
            from = end;
        }
        prop_assert_eq!(read(kind, pieces).0.unwrap(), read(kind, [bytes]).0.unwrap());
    }

    /// Damage at any place: a byte that is another, then the rest of the stream, then a cut.
    #[test]
    fn no_damage_makes_it_panic(
        (kind, stream) in any_stream(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = stream.as_bytes().to_vec();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let end = end.index(bytes.len() + 1);
        let _ = read(kind, [&bytes[..end]]);
    }

    /// Events of any shape: what is not known is passed over, whatever stands in its fields.
    #[test]
    fn no_event_makes_it_panic(
        (kind, stream) in any_stream(),
        which in any::<prop::sample::Index>(),
        field in any::<prop::sample::Index>(),
        value in prop::sample::select(vec!["null", "7", "\"x\"", "[]", "{}", "[[]]", "true", "-1"]),
    ) {
        let events: Vec<&str> = stream.split("\n\n").collect();
        let which = which.index(events.len());
        let mut bent = String::new();
        for (index, event) in events.iter().enumerate() {
            let Some((head, data)) = event.split_once("data: ") else { continue };
            let mut json: Value = serde_json::from_str(data).unwrap_or(Value::Null);
            if index == which {
                let places = places(&json);
                let place = &places[field.index(places.len())];
                if let Some(slot) = json.pointer_mut(place) {
                    *slot = serde_json::from_str(value).unwrap_or_default();
                }
            }
            bent.push_str(&format!("{head}data: {json}\n\n"));
        }
        let _ = read(kind, [bent.as_bytes()]);
    }
}

/// Every place in `json`, as a JSON pointer.
fn places(json: &Value) -> Vec<String> {
    let mut places = vec![String::new()];
    let mut open = vec![(String::new(), json)];
    while let Some((path, value)) = open.pop() {
        let inner: Vec<(String, &Value)> = match value {
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (format!("{path}/{name}"), value)).collect()
            }
            Value::Array(items) => {
                items.iter().enumerate().map(|(n, value)| (format!("{path}/{n}"), value)).collect()
            }
            _ => Vec::new(),
        };
        places.extend(inner.iter().map(|(path, _)| path.clone()));
        open.extend(inner);
    }
    places
}

/// What one protocol has said can be told to each of the others: nobody is sent the seals of
/// somebody else, and nothing else is lost.
#[test]
fn a_conversation_moves_from_one_protocol_to_another() {
    for (from, stream) in STREAMS {
        let answer = read(from, [stream.as_bytes()]).0.unwrap();
        let [call] = answer.tool_calls().try_into().unwrap();
        let request = crate::Request::new("m", "p")
            .with_message(answer.message)
            .with_message(crate::Message::results([call.result("sunny")]));
        for kind in [
            ProviderKind::Anthropic,
            ProviderKind::OpenAiChat,
            ProviderKind::OpenAiResponses,
            ProviderKind::Gemini,
        ] {
            let name = ProviderName::new("p").unwrap();
            let config = ProviderConfig::new(name, kind);
            let quirks = Quirks::expected(&Endpoint::new(&config, Client::new()).unwrap());
            let body = match kind {
                ProviderKind::Anthropic => Anthropic.body(&request, quirks),
                ProviderKind::OpenAiChat => OpenAiChat.body(&request, quirks),
                ProviderKind::OpenAiResponses => OpenAiResponses.body(&request, quirks),
                _ => Gemini.body(&request, quirks),
            };
            let body = body.to_string();
            for part in ["Grüße, 世界 🦀", "look", "Zürich", "sunny"] {
                assert!(body.contains(part), "{from} to {kind}: no {part} in {body}");
            }
            assert_eq!(body.contains("seal"), from == kind.as_str(), "{from} to {kind}: {body}");
        }
    }
}
