//! Receipts: what a run did, signed, so that it can be checked without the orchestrator that did it.
//!
//! A [`Receipt`] is JSON. Its entries form a chain of hashes, so that none can be changed, taken out,
//! put in or moved without being noticed, and all of it is signed with Ed25519. It names the log of
//! the run by the head of a chain over its events, the evidence by the hashes of its bytes, and
//! commits and trees by theirs. [`verify`] needs none of these, and checks those that it is given.
//!
//! ```
//! use orchestrator_core::id::RunId;
//! use orchestrator_workspace::receipt::{LogHead, ReceiptEntry, SigningKey, Trust, issue, verify};
//!
//! let key = SigningKey::generate()?;
//! let entries = vec![ReceiptEntry::Cost {
//!     usd: "0.42".parse()?,
//!     calls: 3,
//!     input_tokens: 1200,
//!     output_tokens: 300,
//! }];
//! let receipt = issue(RunId::new("r_1")?, LogHead::of([]), entries, &key);
//! let bytes = receipt.to_bytes();
//! assert!(verify(&bytes, &Trust::default()).problems.is_empty());
//!
//! let altered = String::from_utf8(bytes)?.replace("0.42", "0.02");
//! assert!(!verify(altered.as_bytes(), &Trust::default()).problems.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod content;
mod key;
mod verify;

pub use content::{BlobDigest, Chained, Checked, LogHead, Receipt, ReceiptEntry, SCHEMA};
pub use key::{KeyError, PublicKey, SigningKey};
pub use verify::{Problem, Trust, Verification, verify};

use orchestrator_core::id::RunId;

/// The receipt of `run` that tells `entries`, signed with `key`.
pub fn issue(run: RunId, log: LogHead, entries: Vec<ReceiptEntry>, key: &SigningKey) -> Receipt {
    let mut hash = Receipt::begin(&run, &log);
    let entries = entries
        .into_iter()
        .map(|entry| {
            let value = serde_json::to_value(&entry).unwrap_or_default();
            hash = content::link(&hash, &value);
            Chained { entry, hash: hash.clone() }
        })
        .collect();
    let mut receipt = Receipt {
        schema: SCHEMA.to_owned(),
        run,
        log,
        entries,
        key: key.public().to_string(),
        signature: String::new(),
    };
    receipt.signature = key.sign(&receipt.message());
    receipt
}

#[cfg(test)]
mod tests;
