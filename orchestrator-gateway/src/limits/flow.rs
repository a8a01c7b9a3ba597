//! What an account lets pass now: its own limits, and what the provider has said.

use super::{
    said::{self, Counter, Said},
    window::{Place, Window},
};
use crate::Limits;
use http::HeaderMap;
use orchestrator_core::time::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU32,
    time::Duration,
};
use tokio::time::Instant;

/// How long a counter of an answer is believed at most; then a call finds out.
const MOST_COUNTED: Duration = Duration::from_secs(3_600);

/// How long a refusal is believed at most. Plans that renew by the day and week tell such times.
const MOST_REFUSED: Duration = Duration::from_secs(24 * 3_600);

/// Of how many models an account remembers something.
const MODELS: usize = 256;

/// How many answers of a model say what the next one may use.
const ANSWERS: usize = 16;

/// What the first answer of a model is taken to use, unless it is bound to less.
const FIRST_ANSWER: u64 = 1_024;

/// What a call is taken to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Tokens of the prompt.
    pub(crate) input: u64,
    /// Tokens of the answer.
    pub(crate) output: u64,
}

/// A call that asks to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) model: &'a str,
    /// About how many tokens the prompt has.
    pub(crate) input: u64,
    /// The most tokens that the answer may have; 0 for a question that is answered without any.
    pub(crate) most_output: Option<u64>,
}

/// What a call has used, as limits count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Tokens in and out.
    pub(crate) all: u64,
    /// Those of the prompt that no cache served.
    pub(crate) input: u64,
    pub(crate) output: u64,
}

/// Why a call has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// The account's own limits have no room before then.
    Own(Instant),
    /// The provider said so.
    Told(Instant, Timestamp),
}

impl Pause {
    pub(crate) fn until(self) -> Instant {
        match self {
            Self::Own(until) | Self::Told(until, _) => until,
        }
    }
}

/// Where a call was counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    requests: Option<Place>,
    tokens: Option<Place>,
    input: Option<Place>,
    output: Option<Place>,
}

/// A counter of the provider's.
#[derive(Debug, Clone, Copy)]
struct Known {
    remaining: u64,
    limit: Option<u64>,
    until: (Instant, Timestamp),
}

/// What is known of one model: providers limit each by itself.
#[derive(Debug, Default)]
struct Model {
    counters: [Option<Known>; Counter::COUNT],
    refused: Option<(Instant, Timestamp)>,
    answers: VecDeque<u64>,
}

/// All of it, for one account.
#[derive(Debug)]
pub(crate) struct Flow {
    start: Instant,
    requests: Option<Window>,
    tokens: Option<Window>,
    input: Option<Window>,
    output: Option<Window>,
    models: HashMap<Box<str>, Model>,
}

impl Flow {
    pub(crate) fn new(limits: Limits) -> Self {
        let window = |most: Option<NonZeroU32>| most.map(|most| Window::new(u64::from(most.get())));
        Self {
            start: Instant::now(),
            requests: window(limits.requests_per_minute),
            tokens: window(limits.tokens_per_minute),
            input: window(limits.input_tokens_per_minute),
            output: window(limits.output_tokens_per_minute),
            models: HashMap::new(),
        }
    }

    /// What `ask` will use: its prompt, and as much as the longest of the last answers of the model,
    /// within its bound. The bound alone would be far too much: it is mostly ample.
    pub(crate) fn weigh(&self, ask: &Ask<'_>) -> Weight {
        let seen = self.models.get(ask.model).and_then(|model| model.answers.iter().max());
        let likely = seen.copied().unwrap_or(FIRST_ANSWER);
        Weight { input: ask.input, output: ask.most_output.map_or(likely, |most| most.min(likely)) }
    }

    /// Why a call of `weight` cannot be made now, if it cannot.
    pub(crate) fn pause(&mut self, model: &str, weight: Weight, now: Instant) -> Option<Pause> {
        let told = self.models.get(model).and_then(|known| known.pause(weight, now));
        if let Some((until, at)) = told {
            return Some(Pause::Told(until, at));
        }
        let ms = self.ms(now);
        let all = weight.input.saturating_add(weight.output);
        let fits = [
            (&mut self.requests, 1),
            (&mut self.tokens, all),
            (&mut self.input, weight.input),
            (&mut self.output, weight.output),
        ];
        let at = fits
            .into_iter()
            .filter_map(|(window, amount)| window.as_mut()?.fits_at(amount, ms))
            .max()?;
        Some(Pause::Own(self.start + Duration::from_millis(at)))
    }

    /// Counts a call that is made now.
    pub(crate) fn take(&mut self, model: &str, weight: Weight, now: Instant) -> Taken {
        if let Some(known) = self.models.get_mut(model) {
            known.take(weight);
        }
        let ms = self.ms(now);
        let take = |window: &mut Option<Window>, amount| {
            window.as_mut().map(|window| window.take(amount, ms))
        };
        Taken {
            requests: take(&mut self.requests, 1),
            tokens: take(&mut self.tokens, weight.input.saturating_add(weight.output)),
            input: take(&mut self.input, weight.input),
            output: take(&mut self.output, weight.output),
        }
    }

    /// Corrects what a call was counted with: it has used `really`.
    pub(crate) fn correct(&mut self, taken: Taken, really: Counted, now: Instant) {
        let ms = self.ms(now);
        let corrections = [
            (&mut self.tokens, taken.tokens, really.all),
            (&mut self.input, taken.input, really.input),
            (&mut self.output, taken.output, really.output),
        ];
        for (window, place, really) in corrections {
            if let (Some(window), Some(place)) = (window, place) {
                window.correct(place, really, ms);
            }
        }
    }

    /// The call was not made: it counts as no request either.
    pub(crate) fn undo(&mut self, taken: Taken, now: Instant) {
        self.correct(taken, Counted { all: 0, input: 0, output: 0 }, now);
        let ms = self.ms(now);
        if let (Some(window), Some(place)) = (&mut self.requests, taken.requests) {
            window.correct(place, 0, ms);
        }
    }

    /// Remembers how long an answer was.
    pub(crate) fn answered(&mut self, model: &str, output: u64, now: Instant) {
        let Some(known) = self.model(model, now) else { return };
        if known.answers.len() == ANSWERS {
            known.answers.pop_front();
        }
        known.answers.push_back(output);
    }

    /// Takes note of the counters of an answer. Returns whether there were any.
    pub(crate) fn heard(
        &mut self,
        model: &str,
        headers: &HeaderMap,
        (now, clock): (Instant, Timestamp),
    ) -> bool {
        let mut any = false;
        for said in said::read(headers, clock) {
            let Some(known) = self.model(model, now) else { return any };
            let Said { counter, remaining, limit, wait } = said;
            let wait = wait.min(MOST_COUNTED);
            let until = (now + wait, clock.after(wait));
            known.counters[counter as usize] = Some(Known { remaining, limit, until });
            any = true;
        }
        any
    }

    /// Takes note that the provider takes no call of `model` before `at`.
    pub(crate) fn refused(
        &mut self,
        model: &str,
        at: Timestamp,
        (now, clock): (Instant, Timestamp),
    ) {
        let wait = at.since(clock).min(MOST_REFUSED);
        if wait.is_zero() {
            return;
        }
        if let Some(known) = self.model(model, now) {
            known.refused = Some((now + wait, clock.after(wait)));
        }
    }

    /// What is known of `model`. A name that was never seen may push out one of which nothing holds
    /// any more; else it is not remembered.
    fn model(&mut self, model: &str, now: Instant) -> Option<&mut Model> {
        if !self.models.contains_key(model) {
            if self.models.len() >= MODELS {
                self.models.retain(|_, known| known.holds(now));
            }
            if self.models.len() >= MODELS {
                return None;
            }
            self.models.insert(model.into(), Model::default());
        }
        self.models.get_mut(model)
    }

    fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Model {
    fn pause(&self, weight: Weight, now: Instant) -> Option<(Instant, Timestamp)> {
        let needs = weight.needs();
        let counters = self.counters.iter().zip(needs).filter_map(|(known, need)| {
            let known = known.as_ref()?;
            // What needs more than there ever is would wait for nothing.
            let need = known.limit.map_or(need, |limit| need.min(limit)).max(1);
            (known.remaining < need).then_some(known.until)
        });
        counters.chain(self.refused).filter(|(until, _)| *until > now).max()
    }

    /// Calls under way are not in what the provider has counted.
    fn take(&mut self, weight: Weight) {
        for (known, need) in self.counters.iter_mut().zip(weight.needs()) {
            if let Some(known) = known {
                known.remaining = known.remaining.saturating_sub(need);
            }
        }
    }

    fn holds(&self, now: Instant) -> bool {
        let counters = self.counters.iter().flatten().map(|known| known.until);
        counters.chain(self.refused).any(|(until, _)| until > now)
    }
}

impl Weight {
    /// What it takes of each counter, in their order.
    fn needs(self) -> [u64; Counter::COUNT] {
        [1, self.input.saturating_add(self.output), self.input, self.output]
    }
}
