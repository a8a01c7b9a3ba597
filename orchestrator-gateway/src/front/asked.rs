//! What a request asks for, read from its body without changing it.

use crate::meter::Format;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use std::fmt;

/// What matters of a body. All else is passed over, but the body must be one JSON object in which
/// none of these is said twice: two readers could take different ones.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) model: Option<String>,
    max_tokens: Number,
    max_completion_tokens: Number,
    max_output_tokens: Number,
    n: Number,
    #[serde(alias = "generation_config", rename = "generationConfig")]
    generation: Option<Generation>,
    service_tier: Value,
    #[serde(rename = "serviceTier")]
    service_tier_of_gemini: Value,
    speed: Value,
    inference_geo: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Generation {
    #[serde(alias = "max_output_tokens", rename = "maxOutputTokens")]
    max_output_tokens: Number,
    #[serde(alias = "candidate_count", rename = "candidateCount")]
    candidate_count: Number,
}

impl Asked {
    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        // A list would be read as the fields in their order.
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => serde_json::from_slice(body).map_err(|error| error.to_string()),
            _ => Err("it is not a JSON object".to_owned()),
        }
    }

    /// The most tokens that the answer may have: `most_by_default` when the request does not say,
    /// times the answers that it asks for.
    pub(super) fn most_output(&self, format: Format, most_by_default: u64) -> u64 {
        let (each, answers) = self.bounds(format);
        each.unwrap_or(most_by_default).saturating_mul(answers)
    }

    /// The same, when the request says it.
    pub(super) fn bound(&self, format: Format) -> Option<u64> {
        let (each, answers) = self.bounds(format);
        each.map(|each| each.saturating_mul(answers))
    }

    /// The most tokens of one answer, and how many answers there are.
    fn bounds(&self, format: Format) -> (Option<u64>, u64) {
        let generation = self.generation.as_ref();
        let (limits, answers) = match format {
            Format::Messages => ([self.max_tokens.0, None], None),
            Format::Chat => ([self.max_tokens.0, self.max_completion_tokens.0], self.n.0),
            Format::Responses => ([self.max_output_tokens.0, None], None),
            Format::Gemini => (
                [generation.and_then(|of| of.max_output_tokens.0), None],
                generation.and_then(|of| of.candidate_count.0),
            ),
        };
        (limits.into_iter().flatten().max(), answers.unwrap_or(1).max(1))
    }

    /// Whether it asks for terms under which the price table does not hold: another service tier
    /// than the standard one, a faster model, a region.
    pub(super) fn is_priced_otherwise(&self) -> bool {
        let other = |value: &Value, usual: &[&str]| match value {
            Value::Null => false,
            Value::String(text) => !usual.contains(&text.to_ascii_lowercase().as_str()),
            _ => true,
        };
        // A cheaper tier is fine: the bound holds, and what it then costs is not more.
        let tiers = ["auto", "default", "standard", "standard_only", "flex", "unspecified"];
        other(&self.service_tier, &tiers)
            || other(&self.service_tier_of_gemini, &tiers)
            || other(&self.speed, &["standard", "normal"])
            || other(&self.inference_geo, &["global", "not_available"])
    }
}

/// A number as lenient servers read it: an integer, a float, or text. Anything else is none, since
/// the server will refuse it.
#[derive(Debug, Default, Clone, Copy)]
struct Number(Option<u64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberVisitor).map(Self)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<u64>, E> {
        Ok(Some(number))
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<u64>, E> {
        Ok(None)
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<u64>, E> {
        // The text of a float without a fraction is that of an integer; beyond 64 bits it is none,
        // and no server takes it.
        Ok((number >= 0.0).then(|| format!("{:.0}", number.ceil()).parse().unwrap_or(u64::MAX)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Option<u64>, E> {
        Ok(text.trim().parse().ok())
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<u64>, E> {
        Ok(None)
    }
    fn visit_unit<E: Error>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<u64>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<u64>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_the_output_by_table() {
        let check = |format: Format, body: &str, expected: u64| {
            let asked = Asked::read(body.as_bytes()).unwrap();
            assert_eq!(asked.most_output(format, 100), expected, "{format:?} {body}");
        };
        use Format::{Chat, Gemini, Messages, Responses};
        check(Messages, r#"{"max_tokens":7}"#, 7);
        check(Messages, r#"{"max_tokens":7,"n":3}"#, 7);
        check(Messages, "{}", 100);
        check(Messages, r#"{"max_tokens":null}"#, 100);
        check(Messages, r#"{"max_tokens":-5}"#, 100);
        check(Messages, r#"{"max_tokens":"12"}"#, 12);
        check(Messages, r#"{"max_tokens":7.5}"#, 8);
        check(Messages, r#"{"max_tokens":1e30}"#, u64::MAX);
        check(Messages, r#"{"max_tokens":{"a":[1]}}"#, 100);
        check(Chat, r#"{"max_tokens":7,"max_completion_tokens":9,"n":2}"#, 18);
        check(Chat, r#"{"n":3}"#, 300);
        check(Chat, r#"{"max_tokens":7,"n":0}"#, 7);
        check(Chat, r#"{"max_tokens":18446744073709551615,"n":9}"#, u64::MAX);
        check(Responses, r#"{"max_output_tokens":7,"max_tokens":9}"#, 7);
        check(Gemini, r#"{"generationConfig":{"maxOutputTokens":7,"candidateCount":2}}"#, 14);
        check(Gemini, r#"{"generation_config":{"max_output_tokens":"7"}}"#, 7);
        check(Gemini, r#"{"contents":[{"maxOutputTokens":9}]}"#, 100);
    }

    #[test]
    fn terms_that_the_prices_do_not_know() {
        let check = |body: &str, expected: bool| {
            assert_eq!(
                Asked::read(body.as_bytes()).unwrap().is_priced_otherwise(),
                expected,
                "{body}"
            );
        };
        check("{}", false);
        check(r#"{"service_tier":"auto","speed":null,"inference_geo":"global"}"#, false);
        check(r#"{"service_tier":"flex"}"#, false);
        check(r#"{"service_tier":"priority"}"#, true);
        check(r#"{"serviceTier":"PRIORITY"}"#, true);
        check(r#"{"service_tier":3}"#, true);
        check(r#"{"speed":"fast"}"#, true);
        check(r#"{"inference_geo":"us"}"#, true);
    }

    #[test]
    fn what_is_no_object_or_says_something_twice_is_refused() {
        for bad in [
            "",
            "[]",
            "null",
            "{",
            r#"{"model":"a"} x"#,
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a","mod\u0065l":"b"}"#,
            r#"{"max_tokens":1,"max_tokens":2}"#,
            r#"{"generationConfig":{},"generation_config":{}}"#,
            r#"{"model":7}"#,
            "{\"model\":\"\u{0}\"}",
        ] {
            assert!(Asked::read(bad.as_bytes()).is_err(), "{bad}");
        }
        let asked = Asked::read(br#" {"messages":[{"model":"x"}],"model":"a\u0062"} "#).unwrap();
        assert_eq!(asked.model.as_deref(), Some("ab"));
    }
}
