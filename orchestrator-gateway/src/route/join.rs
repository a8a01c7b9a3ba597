//! Identical requests that are under way at the same time: one call is made, and its answer is
//! everybody's.

use super::kept::nothing;
use crate::{Completion, Delta, Sink};
use orchestrator_core::{
    id::{CacheKey, ProviderName},
    ledger::Payer,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Mutex as Turns, OwnedMutexGuard, watch};

/// The requests that are under way. Cheap to clone; clones are one.
#[derive(Debug, Clone, Default)]
pub struct Joins {
    flights: Arc<Mutex<HashMap<Name, Arc<Flight>>>>,
}

/// An account, and all that the answer depends on.
type Name = (ProviderName, CacheKey);

/// One request, and all who wait for its answer.
///
/// Whoever has the turn makes the call. The others wait for the turn in the order in which they
/// came; when it falls to one of them and there is no answer, the call failed or was dropped, and it
/// is theirs to make. A turn is given back however its holder ends, so that none is lost.
#[derive(Debug)]
struct Flight {
    turns: Arc<Turns<()>>,
    told: Mutex<Told>,
    /// Grows with each piece that is told.
    news: watch::Sender<u64>,
}

/// What the answer is so far.
#[derive(Debug, Default)]
struct Told {
    /// How often it began.
    began: u64,
    pieces: Vec<Delta>,
    answer: Option<Completion>,
}

impl Flight {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Joins {
    fn flights(&self) -> MutexGuard<'_, HashMap<Name, Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat among those who wait for the answer to this request.
    pub(super) fn take(&self, payer: &Payer, key: CacheKey) -> Seat<'_> {
        let name = (payer.account.clone(), key);
        let mut flights = self.flights();
        let flight = flights.entry(name.clone()).or_insert_with(|| {
            let (turns, told) = (Arc::default(), Mutex::default());
            Arc::new(Flight { turns, told, news: watch::Sender::new(0) })
        });
        let flight = flight.clone();
        drop(flights);
        Seat { flight, joins: self, name, spends: nothing(payer) }
    }

    /// How many requests are under way.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.flights().len()
    }
}

/// One who waits for an answer, or makes the call.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    flight: Arc<Flight>,
    joins: &'a Joins,
    name: Name,
    spends: orchestrator_core::usage::Spend,
}

/// What a seat comes to.
pub(super) enum Turn<'a> {
    /// Somebody else's call has answered.
    Answered(Box<Completion>),
    /// The call is to be made.
    Lead(Lead<'a>),
}

impl<'a> Seat<'a> {
    /// Waits for the answer of a call that is under way, its pieces told to `sink`, or for the turn
    /// to make it.
    pub(super) async fn turn(self, sink: &mut Sink<'_>) -> Turn<'a> {
        let mut heard = Heard::default();
        let turn = match self.flight.turns.clone().try_lock_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let text = "an identical request is under way: its answer is waited for";
                sink(Delta::Warning(text.into()));
                sink(Delta::Waiting("the answer to an identical request".into()));
                let mut news = self.flight.news.subscribe();
                let turn = self.flight.turns.clone().lock_owned();
                tokio::pin!(turn);
                loop {
                    heard.listen(&self.flight, sink);
                    tokio::select! {
                        biased;
                        turn = &mut turn => break turn,
                        // The sender lives in the flight, which is held here.
                        _ = news.changed() => {}
                    }
                }
            }
        };
        heard.listen(&self.flight, sink);
        let mut told = self.flight.told();
        if let Some(answer) = &told.answer {
            let (usage, spend) = (None, self.spends.clone());
            return Turn::Answered(Box::new(Completion { usage, spend, ..answer.clone() }));
        }
        told.began += 1;
        told.pieces.clear();
        drop(told);
        if heard.count > 0 {
            sink(Delta::StartOver);
        }
        Turn::Lead(Lead { seat: self, _turn: turn })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut flights = self.joins.flights();
        // Seats are taken under the same lock: when the map and this seat are the only ones that
        // have the flight, nobody can be waiting.
        let is_mine = |found: &Arc<Flight>| Arc::ptr_eq(found, &self.flight);
        if Arc::strong_count(&self.flight) == 2 && flights.get(&self.name).is_some_and(is_mine) {
            flights.remove(&self.name);
        }
    }
}

/// What one seat has passed on.
#[derive(Debug, Default)]
struct Heard {
    began: u64,
    count: usize,
}

impl Heard {
    fn listen(&mut self, flight: &Flight, sink: &mut Sink<'_>) {
        let (over, new) = {
            let told = flight.told();
            let over = told.began != self.began && self.count > 0;
            if told.began != self.began {
                (self.began, self.count) = (told.began, 0);
            }
            let new = told.pieces.get(self.count..).unwrap_or_default().to_vec();
            self.count += new.len();
            (over, new)
        };
        if over {
            sink(Delta::StartOver);
        }
        new.into_iter().for_each(sink);
    }
}

/// Whose turn it is to make the call. Dropped without an answer, it falls to the next.
pub(super) struct Lead<'a> {
    seat: Seat<'a>,
    _turn: OwnedMutexGuard<()>,
}

impl Lead<'_> {
    /// Passes a piece of the answer on to those who wait.
    pub(super) fn tell(&self, delta: &Delta) {
        if delta.is_answer() {
            self.seat.flight.told().pieces.push(delta.clone());
            self.seat.flight.news.send_modify(|news| *news += 1);
        }
    }

    /// The answer is whole. Whoever asks from now on makes a call of their own.
    pub(super) fn done(self, answer: &Completion) {
        self.seat.flight.told().answer = Some(answer.clone());
        let mut flights = self.seat.joins.flights();
        let is_mine = |found: &Arc<Flight>| Arc::ptr_eq(found, &self.seat.flight);
        if flights.get(&self.seat.name).is_some_and(is_mine) {
            flights.remove(&self.seat.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Stop};
    use serde_json::json;

    fn answer(payer: &Payer) -> Completion {
        Completion {
            text: "yes".into(),
            tool_calls: Vec::new(),
            message: Message::assistant("yes"),
            stop: Stop::End,
            usage: None,
            served_model: None,
            spend: nothing(payer),
        }
    }

    async fn lead(seat: Seat<'_>) -> Lead<'_> {
        match seat.turn(&mut |_| {}).await {
            Turn::Lead(lead) => lead,
            Turn::Answered(answer) => panic!("{answer:?}"),
        }
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_request_when_all_have_gone() {
        let payer = Payer::new(ProviderName::new("p").unwrap(), "m");
        let joins = Joins::default();
        let take = || joins.take(&payer, CacheKey::of(&json!("asked")));

        drop(take());
        assert_eq!(joins.len(), 0, "nobody made the call");

        let (first, second) = (take(), take());
        let first = lead(first).await;
        drop(first);
        assert_eq!(joins.len(), 1, "one still waits, and has the turn now");
        let second = lead(second).await;
        drop(second);
        assert_eq!(joins.len(), 0);

        let (first, second) = (take(), take());
        lead(first).await.done(&answer(&payer));
        assert_eq!(joins.len(), 0, "whoever asks now makes a call of their own");
        let third = take();
        let Turn::Answered(found) = second.turn(&mut |_| {}).await else { panic!("a call") };
        assert_eq!(*found, answer(&payer));
        assert_eq!(joins.len(), 1, "the later request is another one");
        drop(lead(third).await);
        assert_eq!(joins.len(), 0);
    }
}
