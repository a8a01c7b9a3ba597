//! The forms in which a secret is looked for as it stands: itself, in base64, in hexadecimal
//! digits. Escapes of JSON and of URLs are undone before the search instead: see `view`.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use std::fmt::Write as _;

/// One form of a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    /// What is looked for.
    pub(super) bytes: Vec<u8>,
    /// Whether the character before it holds bits of the secret too.
    pub(super) before: bool,
    /// Whether the character after it does.
    pub(super) after: bool,
}

impl Form {
    fn whole(bytes: Vec<u8>) -> Self {
        Self { bytes, before: false, after: false }
    }
}

/// Every form of `secret`, each once.
pub(super) fn forms(secret: &[u8]) -> Vec<Form> {
    let mut forms = vec![Form::whole(secret.to_vec())];
    let mut hex = String::with_capacity(secret.len() * 2);
    for byte in secret {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    forms.push(Form::whole(hex.to_uppercase().into_bytes()));
    forms.push(Form::whole(hex.into_bytes()));
    for shift in 0..3 {
        // What stands before a secret shifts it against the groups of three bytes that base64 is
        // made of, so it has three looks, whatever is around it.
        let mut bytes = vec![0; shift];
        bytes.extend_from_slice(secret);
        let (first, end) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
        let (before, after) = (shift != 0, !(bytes.len() * 8).is_multiple_of(6));
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            let inner = text.as_bytes().get(first..end).unwrap_or_default();
            forms.push(Form { bytes: inner.to_vec(), before, after });
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Whether `byte` is one of those that base64 is written with, in either alphabet.
pub(super) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}
