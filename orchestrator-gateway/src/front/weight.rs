//! About how many tokens a request has, for limits on tokens in a minute.

use super::{asked::Asked, bound};
use crate::{limits::Ask, meter::Format};

/// What a picture is taken to have.
const PICTURE_TOKENS: u64 = 1_500;

/// A text without a space that is longer is data.
const LONGEST_WORD: usize = 4 << 10;

/// What a call of `model` asks of its account: a token for four bytes of the body and 1,500 for a
/// picture, whose data do not count; and an answer within the bound that the request sets.
pub(super) fn ask<'a>(model: &'a str, format: Format, asked: &Asked, body: &[u8]) -> Ask<'a> {
    let pictures = bound::pictures(body);
    let data = if pictures > 0 { data(body) } else { 0 };
    let text = u64::try_from(body.len() - data).unwrap_or(u64::MAX);
    let input = (text / 4).saturating_add(pictures * PICTURE_TOKENS);
    Ask { model, input, most_output: asked.bound(format) }
}

/// How many bytes stand in texts that only data can be.
fn data(body: &[u8]) -> usize {
    let (mut start, mut sum) = (0, 0);
    for end in memchr::memchr_iter(b'"', body).chain([body.len()]) {
        let text = &body[start..end];
        if text.len() > LONGEST_WORD && memchr::memchr(b' ', text).is_none() {
            sum += text.len();
        }
        start = end + 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_counts_by_its_length_and_pictures_by_their_number() {
        let check = |body: &str, input: u64, output: Option<u64>| {
            let asked = Asked::read(body.as_bytes()).unwrap();
            let found = ask("m", Format::Messages, &asked, body.as_bytes());
            assert_eq!((found.input, found.most_output), (input, output), "{body:.60}");
        };
        check("{}", 0, None);
        check(
            &format!(r#"{{"max_tokens":7,"text":"{}"}}"#, "words ".repeat(1_000)),
            1_506,
            Some(7),
        );
        let data = "A".repeat(100_000);
        check(&format!(r#"{{"a":{{"type":"image","data":"{data}"}}}}"#), 1_500 + 8, None);
        check(&format!(r#"{{"not":"{data}"}}"#), 25_002, None);
    }
}
