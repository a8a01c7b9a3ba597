//! One member of a JSON object, found in its bytes, so that all others stay as they are.

use bytes::Bytes;
use std::ops::Range;

/// Where the value of member `name` of the object `json` is; `None` without it. `json` is known to be
/// JSON.
pub(super) fn place(json: &[u8], name: &str) -> Option<Range<usize>> {
    let mut at = space(json, 0);
    if json.get(at) != Some(&b'{') {
        return None;
    }
    loop {
        let key = space(json, at + 1);
        let colon = space(json, value_end(json, key)?);
        if json.get(key) != Some(&b'"') || json.get(colon) != Some(&b':') {
            return None;
        }
        let value = space(json, colon + 1);
        let end = value_end(json, value)?;
        let found: Option<String> = serde_json::from_slice(json.get(key..colon)?).ok();
        if found.as_deref() == Some(name) {
            return Some(value..end);
        }
        at = space(json, end);
        if json.get(at) != Some(&b',') {
            return None;
        }
    }
}

/// `json` with `value`, which is JSON, in the place of what stands at `place`.
pub(super) fn replaced(json: &[u8], place: Range<usize>, value: &str) -> Option<Bytes> {
    let (before, after) = (json.get(..place.start)?, json.get(place.end..)?);
    Some([before, value.as_bytes(), after].concat().into())
}

fn space(json: &[u8], from: usize) -> usize {
    let rest = json.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Where the value ends that begins at `from`.
fn value_end(json: &[u8], from: usize) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, from);
    loop {
        match json.get(at)? {
            b'"' => at = text_end(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            _ if depth > 0 => at += 1,
            // A number, `true`, `false` or `null`.
            _ => {
                let rest = json.get(at..)?.iter();
                let plain =
                    rest.take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
                return Some(at + plain.count()).filter(|end| *end > at);
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

fn text_end(json: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn a_member_is_found_where_it_stands() {
        let check = |text: &str, expected: Option<&str>| {
            let found = place(text.as_bytes(), "model").map(|place| &text[place]);
            assert_eq!(found, expected, "{text}");
        };
        check(r#"{"model":"a"}"#, Some(r#""a""#));
        check(
            r#" { "x" : [1,{"model":2}, "}"] , "mod\u0065l" : "a\"b" , "y":null }"#,
            Some(r#""a\"b""#),
        );
        check(
            r#"{"messages":[{"model":"x"}],"n":-1.5e3,"t":true,"model":{"a":[]}}"#,
            Some(r#"{"a":[]}"#),
        );
        check(r#"{"n":1,"model":12}"#, Some("12"));
        for none in ["{}", "[]", "", r#"{"x":{"model":1}}"#, r#"{"x":"#, r#"{"x":"\"#, "{]"] {
            check(none, None);
        }
        let text = r#"{"model" : "a",  "b":1}"#;
        let changed =
            replaced(text.as_bytes(), place(text.as_bytes(), "model").unwrap(), "\"long\"");
        assert_eq!(changed.unwrap(), r#"{"model" : "long",  "b":1}"#);
    }

    proptest! {
        #[test]
        fn whatever_stands_around_it_stays(before in "\\PC{0,9}", value in "\\PC{0,9}", after in "\\PC{0,9}", deep in 0..4_usize) {
            let mut nested = json!({ "model": before });
            for _ in 0..deep {
                nested = json!([nested, "]}\\"]);
            }
            let object = json!({ &format!("a{before}"): nested, "model": value, &format!("z{after}"): after });
            for text in [object.to_string(), format!("{object:#}")] {
                let found = place(text.as_bytes(), "model").unwrap();
                prop_assert_eq!(serde_json::from_str::<Value>(&text[found.clone()]).unwrap(), json!(value));
                let changed = replaced(text.as_bytes(), found, "\"other\"").unwrap();
                let mut expected = object.clone();
                expected["model"] = json!("other");
                prop_assert_eq!(serde_json::from_slice::<Value>(&changed).unwrap(), expected);
            }
        }

        #[test]
        fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = place(&bytes, "model");
            let _ = place(&[b"{\"a\":", &bytes[..]].concat(), "model");
        }
    }
}
