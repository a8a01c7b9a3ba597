//! Answering from a cassette.

use super::{
    Cassette, Known, Places,
    exchange::{Kind, Outcome, Piece, Place, Stopped, digest},
    http::HttpResponse,
    nearest::{Nearest, Wanted},
    recorder::place,
    request,
};
use crate::{Completion, Counted, Delta, Request, provider::Sink};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    ledger::Payer,
    secret::MASK,
    time::Timestamp,
};
use serde_json::Value;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Gives out the answers of a cassette, each once.
pub struct Player {
    cassette: Arc<Cassette>,
    used: Mutex<Vec<bool>>,
    known: Known,
    places: Option<Arc<dyn Places>>,
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("exchanges", &self.cassette.len()).finish_non_exhaustive()
    }
}

impl Player {
    /// A player of `cassette` that has given out nothing yet. Requests are compared without the
    /// secrets that `known` hides.
    pub fn new(cassette: Arc<Cassette>, known: Known) -> Self {
        let used = Mutex::new(vec![false; cassette.len()]);
        Self { cassette, used, known, places: None }
    }

    /// The same where `places` says which tasks runs belong to.
    #[must_use]
    pub fn with_places(mut self, places: Arc<dyn Places>) -> Self {
        self.places = Some(places);
        self
    }

    /// What it plays.
    pub fn cassette(&self) -> &Cassette {
        &self.cassette
    }

    /// The recorded answer, piece by piece.
    ///
    /// # Errors
    /// The recorded failure; [`ErrorClass::InvalidRequest`] for what was not recorded.
    pub(crate) async fn complete(
        &self,
        payer: &Payer,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Failure> {
        let mut tell = |pieces: &[Piece]| pieces.iter().for_each(|piece| sink(piece.to_delta()));
        let payer = &Payer { model: request.model.clone(), ..payer.clone() };
        match self.take(Kind::Complete, payer, request::canonical(request)).await? {
            Outcome::Answer(answer) => {
                tell(&answer.pieces);
                Ok(answer.to_completion())
            }
            Outcome::Failure(failed) => {
                tell(&failed.pieces);
                Err(failed.to_failure(now()))
            }
            Outcome::Stopped(stopped) => {
                if stopped.sent {
                    sink(Delta::Sent);
                }
                stopped.pieces.iter().for_each(|piece| sink(piece.to_delta()));
                sink(Delta::Waiting("the call to be stopped as it was recorded".into()));
                tokio::time::sleep(stopped.patience()).await;
                Err(Failure::new(ErrorClass::InvalidRequest, unstopped()))
            }
            Outcome::Count(_) | Outcome::Response(_) => Err(mixed()),
        }
    }

    /// The recorded number of tokens.
    ///
    /// # Errors
    /// As for [`Player::complete`].
    pub(crate) async fn count(
        &self,
        payer: &Payer,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Counted, Failure> {
        match self.take(Kind::Count, payer, request::canonical(request)).await? {
            Outcome::Count(count) => Ok(count.to_counted()),
            Outcome::Failure(failed) => Err(failed.to_failure(now())),
            Outcome::Answer(_) | Outcome::Response(_) | Outcome::Stopped(_) => Err(mixed()),
        }
    }

    /// The recorded answer to a request over HTTP.
    ///
    /// # Errors
    /// In words, that it was not recorded.
    pub(crate) async fn http(
        &self,
        payer: &Payer,
        request: Value,
    ) -> Result<HttpPlayed<'_>, String> {
        match self.take(Kind::Http, payer, request).await.map_err(|miss| miss.message)? {
            Outcome::Response(response) => Ok(HttpPlayed::Whole(response)),
            Outcome::Stopped(stopped) => Ok(HttpPlayed::Stopped(stopped)),
            Outcome::Answer(_) | Outcome::Count(_) | Outcome::Failure(_) => Err(mixed().message),
        }
    }

    /// How many answers it has given out.
    pub fn given(&self) -> usize {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.iter().filter(|used| **used).count()
    }

    async fn take(&self, kind: Kind, payer: &Payer, mut asked: Value) -> Result<&Outcome, Failure> {
        let place = place(self.places.as_deref(), payer).await;
        (self.known)().value(&mut asked);
        let equal = self.cassette.by_digest.get(&digest(kind, &payer.account, &asked));
        let equal = equal.map(Vec::as_slice).unwrap_or_default();
        if let Some(found) = self.give(kind, payer, &asked, equal, &place) {
            return Ok(&self.cassette.exchanges[found].outcome);
        }
        let candidates = self.cassette.exchanges.iter().enumerate();
        let candidates = candidates.filter(|(_, exchange)| exchange.kind == kind);
        let account = (kind != Kind::Http).then_some(&payer.account);
        let of = Wanted { account, model: &payer.model, place: &place };
        let message = Nearest::among(candidates, &of, &asked).told(&of, equal.len());
        Err(Failure::new(ErrorClass::InvalidRequest, message))
    }

    /// Gives out the record of a request, of which there are `equal` ones.
    fn give(
        &self,
        kind: Kind,
        payer: &Payer,
        asked: &Value,
        equal: &[usize],
        place: &Place,
    ) -> Option<usize> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self
            .best(equal, &used, place)
            .or_else(|| self.hidden(kind, payer, asked, &used, place))?;
        used[found] = true;
        Some(found)
    }

    /// The one of `places` that is given out for a call at `place`.
    fn best(&self, places: &[usize], used: &[bool], place: &Place) -> Option<usize> {
        let free = || places.iter().copied().filter(|at| !used[*at]);
        let of = |at: usize| &self.cassette.exchanges[at];
        let same_task = |at: &usize| of(*at).task == place.task;
        free()
            .find(|at| same_task(at) && of(*at).attempt == place.attempt)
            .or_else(|| free().find(same_task))
            .or_else(|| free().next())
    }

    /// The same among records in which something is hidden that is not known here.
    fn hidden(
        &self,
        kind: Kind,
        payer: &Payer,
        asked: &Value,
        used: &[bool],
        place: &Place,
    ) -> Option<usize> {
        let all = self.cassette.exchanges.iter().enumerate();
        let fits = all.filter(|(at, exchange)| {
            !used[*at]
                && exchange.kind == kind
                && (kind == Kind::Http || exchange.account == payer.account)
                && fits(&exchange.request, asked)
        });
        let fits: Vec<usize> = fits.map(|(at, _)| at).collect();
        self.best(&fits, used, place)
    }
}

/// What was recorded of an exchange over HTTP.
pub(crate) enum HttpPlayed<'c> {
    /// All of it.
    Whole(&'c HttpResponse),
    /// What had come of it when it was stopped.
    Stopped(&'c Stopped),
}

/// How much longer than when it was recorded a call waits to be stopped.
const PATIENCE: Duration = Duration::from_secs(60);

impl Stopped {
    /// How long a call waits to be stopped again.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(self.after_ms).saturating_add(PATIENCE)
    }
}

/// That a call which was stopped when it was recorded is not stopped now.
pub(crate) fn unstopped() -> String {
    "this call was stopped when it was recorded, before its answer had ended, and nobody has stopped \
     it now; stop it as then, or record the work anew (ORC-0559)"
        .to_owned()
}

fn mixed() -> Failure {
    let message = "the cassette holds an answer of another kind for this request; record it anew";
    Failure::new(ErrorClass::InvalidRequest, message)
}

/// Whether `asked` is what was `recorded`, where each hidden place stands for any text.
fn fits(recorded: &Value, asked: &Value) -> bool {
    match (recorded, asked) {
        (Value::String(recorded), Value::String(asked)) => text_fits(recorded, asked),
        (Value::Array(recorded), Value::Array(asked)) => {
            recorded.len() == asked.len() && recorded.iter().zip(asked).all(|(r, a)| fits(r, a))
        }
        (Value::Object(recorded), Value::Object(asked)) => {
            recorded.len() == asked.len()
                && recorded.iter().all(|(name, r)| asked.get(name).is_some_and(|a| fits(r, a)))
        }
        (recorded, asked) => recorded == asked,
    }
}

fn text_fits(recorded: &str, asked: &str) -> bool {
    let parts: Vec<&str> = recorded.split(MASK).collect();
    let Some((first, parts)) = parts.split_first() else { return asked.is_empty() };
    let Some(mut rest) = asked.strip_prefix(first) else { return false };
    let Some((last, parts)) = parts.split_last() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hidden_place_stands_for_any_text_and_nothing_else_does() {
        for (recorded, asked, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a", "ab", false),
            ("[redacted]", "anything", true),
            ("key [redacted].", "key sk-1.", true),
            ("key [redacted].", "key sk-1", false),
            ("key [redacted] and [redacted].", "key x and y.", true),
            ("key [redacted] and [redacted].", "key x or y.", false),
            ("[redacted]a", "a", true),
            ("aa[redacted]aa", "aaa", false),
        ] {
            assert_eq!(text_fits(recorded, asked), expected, "{recorded} {asked}");
        }
        let recorded = json!({ "a": ["x [redacted]", 1] });
        assert!(fits(&recorded, &json!({ "a": ["x y", 1] })));
        assert!(!fits(&recorded, &json!({ "a": ["x y", 2] })));
        assert!(!fits(&recorded, &json!({ "a": ["x y", 1], "b": null })));
    }
}
