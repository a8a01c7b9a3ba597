//! The document that an exported run is: `orchestrator.export/v2`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use orchestrator_core::{
    event::{Content, Event, OLDEST_VERSION, Recorded, VERSION},
    id::{BlobId, RunId, Sequence},
    time::Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, de::IgnoredAny};
use serde_json::Value;

/// The schema of the document.
pub(super) const SCHEMA: &str = "orchestrator.export/v2";

/// How much deeper than its deepest value an event may be: the levels of the event around it.
const AROUND: usize = 8;

/// What is written. What people look at comes first; only `logs` and `blobs` are read again.
#[derive(Debug, Serialize)]
pub(super) struct Written<R, A> {
    pub(super) schema: &'static str,
    /// The version of the program that wrote it.
    pub(super) program: &'static str,
    pub(super) run: R,
    pub(super) attempts: A,
    /// The run's log, then those of its children.
    pub(super) logs: Vec<Log>,
    pub(super) blobs: Vec<Blob>,
}

/// What is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bundle {
    pub(super) schema: String,
    #[serde(rename = "program")]
    _program: String,
    #[serde(rename = "run")]
    _run: IgnoredAny,
    #[serde(rename = "attempts")]
    _attempts: IgnoredAny,
    pub(super) logs: Vec<Log>,
    pub(super) blobs: Vec<Blob>,
    #[serde(rename = "checksum")]
    _checksum: String,
}

/// The log of one run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) run: RunId,
    #[serde(serialize_with = "write_events", deserialize_with = "read_events")]
    pub(super) events: Vec<Recorded>,
}

/// One event with the version of its form.
#[derive(Serialize)]
struct WrittenEvent<'a> {
    version: u32,
    seq: Sequence,
    at: Timestamp,
    event: &'a Event,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadEvent {
    version: u32,
    seq: Sequence,
    at: Timestamp,
    event: Value,
}

fn write_events<S: Serializer>(events: &[Recorded], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(events.iter().map(|recorded| WrittenEvent {
        version: VERSION,
        seq: recorded.seq,
        at: recorded.at,
        event: &recorded.event,
    }))
}

fn read_events<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Recorded>, D::Error> {
    struct One(Recorded);

    impl<'de> Deserialize<'de> for One {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            // One value at a time, judged before it is taken for an event.
            let ReadEvent { version, seq, at, event } = ReadEvent::deserialize(from)?;
            if !(OLDEST_VERSION..=VERSION).contains(&version) {
                return Err(D::Error::custom(format_args!(
                    "event {seq} has version {version}, and this program reads {OLDEST_VERSION} to \
                     {VERSION}; use a newer version of orchestrator"
                )));
            }
            if !is_within(&event, Content::MAX_DEPTH + AROUND) {
                return Err(D::Error::custom(format_args!("event {seq} is nested too deeply")));
            }
            let event = Event::deserialize(event)
                .map_err(|error| D::Error::custom(format_args!("event {seq}: {error}")))?;
            Ok(Self(Recorded { seq, at, event }))
        }
    }

    Ok(Vec::<One>::deserialize(from)?.into_iter().map(|One(recorded)| recorded).collect())
}

/// Whether `value` has at most `left` levels.
fn is_within(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left > 0 && items.iter().all(|item| is_within(item, left - 1)),
        Value::Object(map) => left > 0 && map.values().all(|item| is_within(item, left - 1)),
        _ => true,
    }
}

/// One blob with its bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blob {
    pub(super) id: BlobId,
    #[serde(rename = "base64", serialize_with = "encode", deserialize_with = "decode")]
    pub(super) bytes: Vec<u8>,
}

fn encode<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

fn decode<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
    STANDARD
        .decode(text.as_bytes())
        .map_err(|error| D::Error::custom(format_args!("a blob is not base64: {error}")))
}
