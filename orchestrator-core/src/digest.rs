//! Keys that are made of all that something depends on.

use crate::id::CacheKey;
use serde_json::Value;
use sha2::{Digest, Sha256};

impl CacheKey {
    /// The key of `value`: `sha256:` and 64 hexadecimal digits. The same value gives the same key,
    /// in whichever order its objects hold their keys.
    pub fn of(value: &Value) -> Self {
        let mut digest = Sha256::new();
        canonical_json(value, &mut |bytes| digest.update(bytes));
        let mut text = String::from("sha256:");
        for byte in digest.finalize() {
            text.push_str(&format!("{byte:02x}"));
        }
        Self::new(text).unwrap_or_else(|_| unreachable!("hexadecimal digits make a valid key"))
    }
}

/// Writes `value` as JSON with the keys of its objects in order, so that the same value gives the same
/// bytes. Lists and objects have a comma behind each of their items; it is for digests, not for readers.
pub fn canonical_json(value: &Value, write: &mut dyn FnMut(&[u8])) {
    match value {
        Value::Array(items) => {
            write(b"[");
            for item in items {
                canonical_json(item, write);
                write(b",");
            }
            write(b"]");
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            write(b"{");
            for key in keys {
                write(Value::String(key.clone()).to_string().as_bytes());
                write(b":");
                canonical_json(&map[key], write);
                write(b",");
            }
            write(b"}");
        }
        plain => write(plain.to_string().as_bytes()),
    }
}
