//! Keys that are made of all that something depends on.

use crate::id::CacheKey;
use serde_json::Value;
use sha2::{Digest, Sha256};

impl CacheKey {
    /// The key of `value`: `sha256:` and 64 hexadecimal digits. The same value gives the same key,
    /// in whichever order its objects hold their keys.
    pub fn of(value: &Value) -> Self {
        let mut digest = Sha256::new();
        feed(&mut digest, value);
        let mut text = String::from("sha256:");
        for byte in digest.finalize() {
            text.push_str(&format!("{byte:02x}"));
        }
        Self::new(text).unwrap_or_else(|_| unreachable!("hexadecimal digits make a valid key"))
    }
}

/// Feeds `value` as JSON with its keys in order, so that the same value gives the same bytes.
fn feed(digest: &mut Sha256, value: &Value) {
    match value {
        Value::Array(items) => {
            digest.update(b"[");
            for item in items {
                feed(digest, item);
                digest.update(b",");
            }
            digest.update(b"]");
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            digest.update(b"{");
            for key in keys {
                digest.update(Value::String(key.clone()).to_string());
                digest.update(b":");
                feed(digest, &map[key]);
                digest.update(b",");
            }
            digest.update(b"}");
        }
        plain => digest.update(plain.to_string()),
    }
}
