//! The seal of an exported file: a digest over all that stands before it.
//!
//! It finds what was cut off or changed on the way. It is no signature: whoever forges a file can
//! seal it again, so nothing is trusted because of it.

use orchestrator_core::id::BlobId;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What stands between the document and the digest.
const SEAL: &str = ",\n  \"checksum\": \"sha256:";
/// What stands after it.
const END: &str = "\"\n}";
/// How long a digest is in hexadecimal digits.
const DIGITS: usize = 64;

/// `sha256:` and the digest of `bytes` in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    let mut text = String::with_capacity("sha256:".len() + DIGITS);
    text.push_str("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether `id` has the form of a blob's id: `sha256:` and 64 lower-case hexadecimal digits.
pub(super) fn is_blob_id(id: &BlobId) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = id.as_str().strip_prefix("sha256:");
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(hex))
}

/// `document`, the text of a JSON object over several lines, with its seal as its last member.
pub(super) fn seal(mut document: String) -> String {
    let end = document.trim_end().strip_suffix('}').map_or(0, |rest| rest.trim_end().len());
    document.truncate(end);
    let digest = digest(document.as_bytes());
    document.push_str(SEAL);
    document.push_str(digest.trim_start_matches("sha256:"));
    document.push_str(END);
    document
}

/// Whether the text of a file is what was sealed.
///
/// # Errors
/// In words, what is wrong.
pub(super) fn verify(text: &[u8]) -> Result<(), &'static str> {
    const CUT_OFF: &str = "it is incomplete: its checksum is missing at the end";
    let text = text.trim_ascii_end();
    let rest = text.strip_suffix(END.as_bytes()).ok_or(CUT_OFF)?;
    let (rest, stated) = rest.split_at(rest.len().checked_sub(DIGITS).ok_or(CUT_OFF)?);
    let document = rest.strip_suffix(SEAL.as_bytes()).ok_or(CUT_OFF)?;
    let found = digest(document);
    match found.strip_prefix("sha256:").map(str::as_bytes) == Some(stated) {
        true => Ok(()),
        false => Err("it was changed after it was exported: its checksum does not match"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_holds_until_something_changes() {
        let sealed = seal("{\n  \"a\": 1\n}".into());
        let value: serde_json::Value = serde_json::from_str(&sealed).unwrap();
        assert_eq!(value["a"], 1);
        assert_eq!(verify(sealed.as_bytes()), Ok(()));
        assert_eq!(verify(format!("{sealed}\n").as_bytes()), Ok(()));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] ^= 1;
            assert!(verify(&changed).is_err(), "a bit flipped at {at} goes unnoticed");
            assert!(verify(&sealed.as_bytes()[..at]).is_err(), "cut at {at} goes unnoticed");
        }
    }

    #[test]
    fn only_digests_name_blobs() {
        let good = digest(b"abc");
        assert_eq!(good, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        for (text, expected) in [
            (good.as_str(), true),
            ("sha256:..", false),
            ("sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", false),
            ("ba7816", false),
        ] {
            assert_eq!(is_blob_id(&BlobId::new(text).unwrap()), expected, "{text}");
        }
    }
}
