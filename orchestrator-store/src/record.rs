//! Events as they are stored: a version, JSON, and a checksum that binds both to their place.

use orchestrator_core::{
    event::{Event, Recorded, VERSION},
    id::{RunId, Sequence},
    port::StoreError,
    time::Timestamp,
};
use std::fmt;

/// The largest sequence number that a place has room for.
pub(crate) const LAST_SEQ: u64 = u32::MAX as u64;

/// The key of item `number` of the run with number `n`: see `migrations/0001-log-and-rows.sql`.
pub(crate) fn place(n: i64, number: u64) -> i64 {
    (n << 32) | i64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The item's number within its run.
pub(crate) fn number_of(place: i64) -> u64 {
    u64::from((place & 0xffff_ffff) as u32)
}

/// An instant as a column that is sorted by: past the year 292,000,000 all are one.
pub(crate) fn instant(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// One event, ready to be written.
#[derive(Debug)]
pub(crate) struct StoredEvent {
    pub(crate) seq: u64,
    pub(crate) version: u32,
    pub(crate) at: u64,
    pub(crate) crc: u32,
    pub(crate) body: String,
}

impl StoredEvent {
    /// The stored form of `recorded` in the log of `run`.
    pub(crate) fn encode(run: &RunId, recorded: &Recorded) -> Result<Self, StoreError> {
        let body = to_json(&recorded.event, format_args!("event {} of run `{run}`", recorded.seq))?;
        let (seq, at) = (recorded.seq.0, recorded.at.0);
        Ok(Self { seq, version: VERSION, at, crc: checksum(run, seq, VERSION, at, &body), body })
    }

    /// The event again, if it is what was written.
    pub(crate) fn decode(self, run: &RunId) -> Result<Recorded, StoreError> {
        let damaged =
            |what: String| StoreError::Damaged(format!("event {} of run `{run}` {what}", self.seq));
        if checksum(run, self.seq, self.version, self.at, &self.body) != self.crc {
            return Err(damaged("does not match its checksum; restore a copy of the store".into()));
        }
        if self.version != VERSION {
            return Err(damaged(format!(
                "has version {}, and this program reads version {VERSION}; use the version that wrote it",
                self.version
            )));
        }
        let event: Event = serde_json::from_str(&self.body)
            .map_err(|error| damaged(format!("cannot be read: {error}")))?;
        Ok(Recorded { seq: Sequence(self.seq), at: Timestamp(self.at), event })
    }
}

/// A checksum over all that an event's row says, and where it stands.
fn checksum(run: &RunId, seq: u64, version: u32, at: u64, body: &str) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(run.as_str().as_bytes());
    hash.update(&[0]);
    hash.update(&seq.to_le_bytes());
    hash.update(&version.to_le_bytes());
    hash.update(&at.to_le_bytes());
    hash.update(body.as_bytes());
    hash.finalize()
}

/// The JSON text of `value`, which is `what`.
pub(crate) fn to_json(
    value: &impl serde::Serialize,
    what: impl fmt::Display,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unavailable {
        action: format!("write {what}"),
        reason: format!("it has no JSON form: {error}"),
    })
}

/// The value of the JSON text `body`, which is `what`.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    body: &str,
    what: impl fmt::Display,
) -> Result<T, StoreError> {
    serde_json::from_str(body)
        .map_err(|error| StoreError::Damaged(format!("{what} cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::run::RunStatus;

    fn stored() -> (RunId, StoredEvent) {
        let run = RunId::new("r_1").unwrap();
        let event = Event::RunEnded { status: RunStatus::Succeeded };
        let recorded = Recorded { seq: Sequence(7), at: Timestamp(12), event };
        let stored = StoredEvent::encode(&run, &recorded).unwrap();
        (run, stored)
    }

    #[test]
    fn any_change_to_a_stored_event_is_found_and_named() {
        let check = |change: fn(&mut StoredEvent)| {
            let (run, mut event) = stored();
            change(&mut event);
            let text = event.decode(&run).unwrap_err().to_string();
            assert!(text.contains("event") && text.contains("`r_1`"), "{text}");
        };
        check(|e| e.body = e.body.replace("succeeded", "cancelled"));
        check(|e| e.at ^= 1);
        check(|e| e.seq += 1);
        check(|e| e.version += 1);
        check(|e| e.crc ^= 1 << 31);
    }

    #[test]
    fn a_version_from_the_future_is_refused_by_name() {
        let (run, mut event) = stored();
        event.version = VERSION + 1;
        event.crc = checksum(&run, event.seq, event.version, event.at, &event.body);
        let text = event.decode(&run).unwrap_err().to_string();
        assert!(text.contains(&format!("version {}", VERSION + 1)), "{text}");
    }

    #[test]
    fn an_unknown_kind_is_refused_and_not_a_panic() {
        let (run, mut event) = stored();
        event.body = r#"{"type":"never-heard-of"}"#.into();
        event.crc = checksum(&run, event.seq, event.version, event.at, &event.body);
        assert!(
            matches!(event.decode(&run), Err(StoreError::Damaged(text)) if text.contains("event 7"))
        );
    }

    #[test]
    fn places_keep_runs_apart() {
        assert_eq!(number_of(place(5, 9)), 9);
        assert!(place(5, LAST_SEQ) < place(6, 0));
    }
}
