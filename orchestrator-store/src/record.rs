//! Events as they are stored: a version, JSON, and a checksum that binds both to their place.

use orchestrator_core::{
    event::{Event, OLDEST_VERSION, Recorded, VERSION},
    id::{RunId, Sequence},
    port::StoreError,
    time::Timestamp,
};
use std::fmt::{self, Write as _};

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

/// The most bytes of JSON in a row of the log that holds more than one event: such a row stays
/// within a page of the database.
const TOGETHER: usize = 3_500;

/// A row of the log, ready to be written: events that were appended together.
///
/// Its body is a list of `[at, event]`; `seq` and `at` are the last one's. Schema 1 wrote one event
/// a row, the body being its object.
#[derive(Debug)]
pub(crate) struct StoredEvents {
    pub(crate) seq: u64,
    pub(crate) version: u32,
    pub(crate) at: u64,
    pub(crate) crc: u32,
    pub(crate) body: String,
}

impl StoredEvents {
    /// The stored form of `events`, which follow each other in the log of `run`. `measured` is told
    /// how long each is as JSON.
    pub(crate) fn encode<'e>(
        run: &RunId,
        events: &'e [Recorded],
        mut measured: impl FnMut(&'e Recorded, usize),
    ) -> Result<Vec<Self>, StoreError> {
        let mut rows = Vec::with_capacity(1);
        let mut body = String::new();
        let mut last: Option<&Recorded> = None;
        for recorded in events {
            let what = format_args!("event {} of run `{run}`", recorded.seq);
            let text = to_json(&recorded.event, what)?;
            measured(recorded, text.len());
            if body.len() + text.len() > TOGETHER
                && let Some(last) = last.take()
            {
                rows.push(Self::of(run, last, std::mem::take(&mut body)));
            }
            let before = if last.is_some() { ',' } else { '[' };
            // Writing to a string cannot fail.
            let _ = write!(body, "{before}[{},{text}]", recorded.at.0);
            last = Some(recorded);
        }
        if let Some(last) = last {
            rows.push(Self::of(run, last, body));
        }
        Ok(rows)
    }

    fn of(run: &RunId, last: &Recorded, mut body: String) -> Self {
        body.push(']');
        let (seq, at) = (last.seq.0, last.at.0);
        Self { seq, version: VERSION, at, crc: checksum(run, seq, VERSION, at, &body), body }
    }

    /// The events again, if they are what was written.
    pub(crate) fn decode(self, run: &RunId) -> Result<Vec<Recorded>, StoreError> {
        let damaged =
            |what: String| StoreError::Damaged(format!("event {} of run `{run}` {what}", self.seq));
        if checksum(run, self.seq, self.version, self.at, &self.body) != self.crc {
            return Err(damaged("does not match its checksum; restore a copy of the store".into()));
        }
        if !(OLDEST_VERSION..=VERSION).contains(&self.version) {
            return Err(damaged(format!(
                "has version {}, and this program reads versions {OLDEST_VERSION} to {VERSION}; use the version that wrote it",
                self.version
            )));
        }
        let unreadable = |error: serde_json::Error| damaged(format!("cannot be read: {error}"));
        let events: Vec<(u64, Event)> = if self.body.starts_with('[') {
            serde_json::from_str(&self.body).map_err(unreadable)?
        } else {
            vec![(self.at, serde_json::from_str(&self.body).map_err(unreadable)?)]
        };
        let before = (self.seq).checked_sub(events.len() as u64);
        let first = before.ok_or_else(|| damaged("stands too early for what it holds".into()))? + 1;
        let recorded =
            |(seq, (at, event))| Recorded { seq: Sequence(seq), at: Timestamp(at), event };
        Ok((first..).zip(events).map(recorded).collect())
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

/// What tells a kept answer from one that was damaged.
pub(crate) fn response_checksum(key: &str, body: &str) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key.as_bytes());
    crc.update(b"\n");
    crc.update(body.as_bytes());
    crc.finalize()
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

    fn ended(seq: u64) -> Recorded {
        let event = Event::RunEnded { status: RunStatus::Succeeded };
        Recorded { seq: Sequence(seq), at: Timestamp(5 + seq), event }
    }

    fn logged(seq: u64, bytes: usize) -> Recorded {
        let event = Event::CancelRequested { reason: "x".repeat(bytes) };
        Recorded { event, ..ended(seq) }
    }

    fn stored() -> (RunId, StoredEvents) {
        let run = RunId::new("r_1").unwrap();
        let mut rows = StoredEvents::encode(&run, &[ended(6), ended(7)], |_, _| {}).unwrap();
        (run, rows.remove(0))
    }

    #[test]
    fn events_come_back_from_as_many_rows_as_they_need() {
        let run = RunId::new("r_1").unwrap();
        let check = |events: &[Recorded], expected: usize| {
            let mut lengths = 0;
            let rows = StoredEvents::encode(&run, events, |_, _| lengths += 1).unwrap();
            assert_eq!((rows.len(), lengths), (expected, events.len()));
            let found: Vec<_> = rows.into_iter().flat_map(|r| r.decode(&run).unwrap()).collect();
            assert_eq!(found, events);
        };
        check(&[], 0);
        check(&[ended(1)], 1);
        check(&[ended(1), ended(2), ended(3)], 1);
        check(&[logged(1, 9_000)], 1);
        check(&[ended(1), logged(2, 9_000), ended(3)], 3);
        check(&(1..=100).map(|seq| logged(seq, 300)).collect::<Vec<_>>(), 10);
    }

    #[test]
    fn the_form_of_the_first_schema_is_read() {
        let (run, mut row) = stored();
        for version in [1, VERSION] {
            row = StoredEvents {
                version,
                body: serde_json::to_string(&ended(0).event).unwrap(),
                ..row
            };
            row.crc = checksum(&run, row.seq, row.version, row.at, &row.body);
            let again = StoredEvents { body: row.body.clone(), ..row };
            assert_eq!(
                again.decode(&run).unwrap(),
                [Recorded { at: Timestamp(row.at), ..ended(7) }]
            );
        }
    }

    #[test]
    fn any_change_to_a_stored_event_is_found_and_named() {
        let check = |change: fn(&mut StoredEvents)| {
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
    fn what_cannot_be_there_is_refused_by_name_and_not_a_panic() {
        let check = |change: fn(&mut StoredEvents), says: &str| {
            let (run, mut event) = stored();
            change(&mut event);
            event.crc = checksum(&run, event.seq, event.version, event.at, &event.body);
            let error = event.decode(&run).unwrap_err();
            assert!(matches!(&error, StoreError::Damaged(text) if text.contains(says)), "{error}");
        };
        check(|e| e.version = VERSION + 1, &format!("version {}", VERSION + 1));
        check(|e| e.version = 0, "version 0");
        check(|e| e.body = r#"{"type":"never-heard-of"}"#.into(), "event 7");
        check(|e| e.body = r#"[[1,{"type":"never-heard-of"}]]"#.into(), "event 7");
        check(|e| e.body = "[".into(), "event 7");
        check(|e| e.seq = 1, "too early");
    }

    #[test]
    fn places_keep_runs_apart() {
        assert_eq!(number_of(place(5, 9)), 9);
        assert!(place(5, LAST_SEQ) < place(6, 0));
    }
}
