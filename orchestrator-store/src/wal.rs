//! Damage in the write-ahead log, told apart from its torn end.
//!
//! After a crash the last frames of the log may be there in part; SQLite reads up to the first frame
//! that does not fit its checksum and takes the rest for that torn end. A bit that is flipped in the
//! middle would then take every later commit with it, without a word. What was torn and what was
//! damaged can be told apart, because each frame's checksum goes on from the one before:
//!
//! - a frame that one flipped bit explains was whole once;
//! - so was a frame when, after a commit at or behind it, another frame goes on from that commit:
//!   nothing is written behind a commit before that commit is durable.
//!
//! The format is that of SQLite's documentation (<https://www.sqlite.org/fileformat2.html>, section
//! 4): a header of 32 bytes, then frames of 24 bytes and a page.

use std::{fs, io, path::Path};

pub(crate) const HEADER: usize = 32;
pub(crate) const FRAME: usize = 24;

/// The page size of the databases here, SQLite's own choice.
pub(crate) const PAGE: usize = 4_096;

/// The two magic numbers differ in this bit: it says how the words of the checksums are read.
const MAGIC: u32 = 0x377f_0682;

/// How often a log is read again that somebody else is writing to.
const LOOKS: u32 = 4;

/// Looks for damage in the write-ahead log of the database `file`; says which frame has it.
pub(crate) fn damage(file: &Path) -> io::Result<Option<String>> {
    let path = file.with_extension("db-wal");
    let mut last = None;
    for _ in 0..LOOKS {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = Log { bytes: &bytes }.damage();
        // Another process may have been writing what was being read: then the next look differs.
        if found.is_none() || found == last {
            return Ok(found.map(|what| format!("`{}`: {what}", path.display())));
        }
        last = found;
    }
    Ok(None)
}

/// The two running sums of SQLite's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sums(u32, u32);

impl Sums {
    /// The sums after `bytes`, whose words are read as `is_big` says.
    fn after(self, bytes: &[u8], is_big: bool) -> Self {
        bytes.chunks_exact(8).fold(self, |Self(a, b), pair| {
            let a = a.wrapping_add(word(pair, 0, is_big)).wrapping_add(b);
            Self(a, b.wrapping_add(word(pair, 4, is_big)).wrapping_add(a))
        })
    }

    /// In how many bits the two differ.
    fn bits_to(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones() + (self.1 ^ other.1).count_ones()
    }
}

/// The word at `at`; 0 behind the end.
fn word(bytes: &[u8], at: usize, is_big: bool) -> u32 {
    let Some(four) = bytes.get(at..at + 4).and_then(|four| four.try_into().ok()) else { return 0 };
    if is_big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
}

/// The bytes of a write-ahead log.
struct Log<'a> {
    bytes: &'a [u8],
}

impl<'a> Log<'a> {
    fn frame(&self, number: usize) -> Option<&'a [u8]> {
        let begin = HEADER + number * (FRAME + PAGE);
        self.bytes.get(begin..begin + FRAME + PAGE)
    }

    fn damage(&self) -> Option<String> {
        let first = self.frame(0)?;
        let magic = word(self.bytes, 0, true);
        let stored = Sums(word(self.bytes, 24, true), word(self.bytes, 28, true));
        let is_big = magic & 1 == 1;
        let computed = Sums::default().after(&self.bytes[..24], is_big);
        let has_header = magic & !1 == MAGIC && stored == computed;
        if !has_header {
            // The first frame goes on from the header as it was when that was whole.
            let goes_on = [true, false].into_iter().any(|is_big| {
                let computed = Sums::default().after(&self.bytes[..24], is_big);
                let of_frame = sums_of(first);
                [stored, computed].into_iter().any(|from| after(from, first, is_big) == of_frame)
            });
            return goes_on.then(|| "its header is damaged".to_owned());
        }
        if word(self.bytes, 8, true) as usize != PAGE {
            // A log of another form than is written here; SQLite judges it alone.
            return None;
        }
        let salts = &self.bytes[16..24];
        let mut before = stored;
        let mut number = 0;
        while let Some(frame) = self.frame(number) {
            let found = after(before, frame, is_big);
            let is_whole = found == sums_of(frame);
            if is_whole && frame[8..16] == *salts {
                before = found;
                number += 1;
                continue;
            }
            let damaged = format!("frame {} is damaged", number + 1);
            // What an earlier use of the file left behind goes on from something else.
            if is_whole
                || (frame[8..16] == *salts && is_explained(frame, found, is_big))
                || self.is_followed(number, found, salts, is_big)
            {
                return Some(damaged);
            }
            return None;
        }
        None
    }

    /// Whether a frame goes on from a commit at or behind the frame `bad`, whose checksum would be
    /// `found`: then that commit was durable, and all before it.
    fn is_followed(&self, bad: usize, found: Sums, salts: &[u8], is_big: bool) -> bool {
        let mut number = bad;
        while let (Some(commit), Some(next)) = (self.frame(number), self.frame(number + 1)) {
            let is_commit = word(commit, 4, true) != 0;
            let from = [Some(sums_of(commit)), (number == bad).then_some(found)];
            let goes_on = |from: Sums| after(from, next, is_big) == sums_of(next);
            if is_commit && next[8..16] == *salts && from.into_iter().flatten().any(goes_on) {
                return true;
            }
            number += 1;
        }
        false
    }
}

/// The checksum that a frame says it has.
fn sums_of(frame: &[u8]) -> Sums {
    Sums(word(frame, 16, true), word(frame, 20, true))
}

/// The checksum of a frame that follows one with the checksum `before`: over the first eight bytes
/// of its header, and the page.
fn after(before: Sums, frame: &[u8], is_big: bool) -> Sums {
    before.after(&frame[..8], is_big).after(&frame[FRAME..], is_big)
}

/// Whether a single flipped bit, in what is summed or in the stored sums, explains that a frame has
/// the checksum `found` and not the one that it says.
///
/// The sums are linear: a word that is larger by `d` makes them larger by `d` times a factor that
/// depends on its place alone. The factors are found from the end on.
fn is_explained(frame: &[u8], found: Sums, is_big: bool) -> bool {
    let says = sums_of(frame);
    if says.bits_to(found) == 1 {
        return true;
    }
    let more = (found.0.wrapping_sub(says.0), found.1.wrapping_sub(says.1));
    // What one more in the first and in the second sum of a step makes of the sums in the end.
    let (mut first, mut second) = ((1_u32, 0_u32), (0_u32, 1_u32));
    let sum = |a: (u32, u32), b: (u32, u32)| (a.0.wrapping_add(b.0), a.1.wrapping_add(b.1));
    let is_flip = |factor: (u32, u32), word: u32| {
        (0..32).any(|bit| {
            // A bit that is set now was flipped up.
            let by =
                if word >> bit & 1 == 1 { 1_u32 << bit } else { (1_u32 << bit).wrapping_neg() };
            more == (factor.0.wrapping_mul(by), factor.1.wrapping_mul(by))
        })
    };
    let pairs = frame[FRAME..].chunks_exact(8).rev().chain(frame[..8].chunks_exact(8));
    for pair in pairs {
        // The second word adds to the second sum alone; the first to the first sum, and with it to
        // the second.
        let of_first_word = sum(first, second);
        if is_flip(second, word(pair, 4, is_big)) || is_flip(of_first_word, word(pair, 0, is_big)) {
            return true;
        }
        // One step earlier: `a' = a + x + b`, `b' = b + y + a'`.
        (first, second) = (of_first_word, sum(of_first_word, second));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// The write-ahead log of a database with `commits` small transactions, as a crash leaves it.
    fn log_of(commits: u32) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("events.db");
        let conn = Connection::open(&file).unwrap();
        conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
        conn.execute_batch("CREATE TABLE t (n INTEGER, x TEXT)").unwrap();
        for n in 0..commits {
            conn.execute("INSERT INTO t VALUES (?1, ?2)", (n, "text ".repeat(40))).unwrap();
        }
        fs::read(file.with_extension("db-wal")).unwrap()
    }

    fn damage_of(bytes: &[u8]) -> Option<String> {
        Log { bytes }.damage()
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let mut log = log_of(6);
        assert_eq!(damage_of(&log), None);
        let mut bit = 0;
        let ends = (0..HEADER + FRAME + 16).chain(log.len() - 40..log.len());
        for at in ends.chain((0..log.len()).step_by(41)) {
            bit = (bit + 3) % 8;
            log[at] ^= 1 << bit;
            assert!(damage_of(&log).is_some(), "byte {at}, bit {bit}");
            log[at] ^= 1 << bit;
        }
    }

    #[test]
    fn a_torn_end_is_no_damage() {
        let log = log_of(6);
        for length in (0..log.len()).step_by(61) {
            assert_eq!(damage_of(&log[..length]), None, "{length} bytes");
        }
        // The last frame came in part: the rest is what was there before, or nothing.
        let last = log.len() - PAGE - FRAME;
        for kept in (0..PAGE).step_by(512) {
            for rest in [0, 0xa5] {
                let mut torn = log.clone();
                torn[last + FRAME + kept..].fill(rest);
                let is_whole = torn == log;
                assert!(is_whole || damage_of(&torn).is_none(), "{kept} bytes, then {rest:#x}");
            }
        }
    }

    #[test]
    fn what_earlier_uses_of_the_file_left_is_no_damage() {
        let (long, short) = (log_of(12), log_of(4));
        // The header and its salts are new, and so are the first frames.
        let mut reused = long;
        reused[..short.len()].copy_from_slice(&short);
        assert_eq!(damage_of(&reused), None);
    }

    #[test]
    fn more_than_a_bit_is_found_when_commits_follow() {
        let mut log = log_of(8);
        log[HEADER + FRAME + 100..HEADER + FRAME + 140].fill(0x5a);
        assert_eq!(damage_of(&log).unwrap(), "frame 1 is damaged");
    }
}
