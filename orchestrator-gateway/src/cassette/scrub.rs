//! What is written is rid of known secrets first.

use super::{
    exchange::{Exchange, Outcome, Piece},
    http::{self, Extent},
};
use orchestrator_core::secret::Redactor;
use serde_json::Value;
use std::{borrow::Cow, sync::Arc};

/// Gives what hides the secrets that are known when it is asked.
pub type Known = Arc<dyn Fn() -> Redactor + Send + Sync>;

/// `exchange` as it may be written.
///
/// # Errors
/// What keeps it from having a form in JSON.
pub(super) fn scrubbed(
    exchange: &Exchange,
    redactor: &Redactor,
) -> Result<Value, serde_json::Error> {
    let mut exchange = Cow::Borrowed(exchange);
    if !redactor.is_empty() {
        match &mut exchange.to_mut().outcome {
            Outcome::Answer(answer) => hide(&mut answer.pieces, Extent::Whole, redactor),
            Outcome::Failure(failed) => hide(&mut failed.pieces, Extent::CutOff, redactor),
            Outcome::Response(response) => {
                http::hide(&mut response.body, Extent::Whole, redactor);
            }
            Outcome::Stopped(stopped) => {
                hide(&mut stopped.pieces, Extent::CutOff, redactor);
                if let Some(response) = &mut stopped.response {
                    http::hide(&mut response.body, Extent::CutOff, redactor);
                }
            }
            Outcome::Count(_) => {}
        }
    }
    let mut value = serde_json::to_value(&*exchange)?;
    redactor.value(&mut value);
    Ok(value)
}

/// Which text a piece belongs to, and its part of it.
fn stream(piece: &mut Piece) -> Option<(Stream, &mut String)> {
    match piece {
        Piece::Text(text) => Some((Stream::Text, text)),
        Piece::Reasoning(text) => Some((Stream::Reasoning, text)),
        Piece::Arguments { index, text } => Some((Stream::Arguments(*index), text)),
        Piece::ToolCall { .. } | Piece::Usage(_) => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    Text,
    Reasoning,
    Arguments(usize),
}

/// Hides secrets that come in several pieces: a text that holds one is told in one piece.
fn hide(pieces: &mut Vec<Piece>, extent: Extent, redactor: &Redactor) {
    let mut whole = std::collections::BTreeMap::<Stream, String>::new();
    for piece in pieces.iter_mut() {
        if let Some((stream, text)) = stream(piece) {
            whole.entry(stream).or_default().push_str(text);
        }
    }
    let mut hidden: std::collections::BTreeMap<Stream, Option<String>> = whole
        .into_iter()
        .filter_map(|(stream, text)| match http::hidden(&text, extent, redactor) {
            Cow::Borrowed(_) => None,
            Cow::Owned(hidden) => Some((stream, Some(hidden))),
        })
        .collect();
    pieces.retain_mut(|piece| {
        let Some((stream, text)) = stream(piece) else { return true };
        match hidden.get_mut(&stream) {
            None => true,
            // The first piece tells all of it, the others nothing.
            Some(whole) => whole.take().map(|whole| *text = whole).is_some(),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::secret::SecretString;

    #[test]
    fn a_secret_in_pieces_is_hidden_and_what_is_none_stays_in_pieces() {
        let redactor = Redactor::new([SecretString::new("sk-12345")]);
        let text = |text: &str| Piece::Text(text.into());
        let arguments = |index, text: &str| Piece::Arguments { index, text: text.into() };
        let thought = Piece::Reasoning("sk-".into());
        let mut pieces = vec![
            text("it is sk"),
            thought.clone(),
            arguments(0, "{\"a\":\"sk-1"),
            arguments(1, "{}"),
            text("-12345, "),
            arguments(0, "2345\"}"),
            text("yes"),
        ];
        hide(&mut pieces, Extent::Whole, &redactor);
        let expected = [
            text("it is [redacted], yes"),
            thought,
            arguments(0, "{\"a\":\"[redacted]\"}"),
            arguments(1, "{}"),
        ];
        assert_eq!(pieces, expected);
        let redactor = Redactor::new([SecretString::new("sk-0123456789")]);
        let mut pieces = vec![text("it is sk-0"), text("1234")];
        hide(&mut pieces, Extent::CutOff, &redactor);
        assert_eq!(pieces, [text("it is [redacted]")], "cut off in the middle");
    }
}
