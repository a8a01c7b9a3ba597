//! What programs count, as what was used since they last said it.
//!
//! Some count since their last word, some since they were started, some since their session began,
//! whichever process it was in, and some since the first of the sessions that this one was copied
//! from. What was last said of each session is kept beside its home, so that a process that goes on
//! in it is not charged for what earlier ones have used.

use super::super::{Counted, ModelUsage, Scope, Start};
use orchestrator_core::{
    money::MicroUsd,
    usage::{TokenCount, Usage},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, io, path::PathBuf};

/// What a session was said to have used, by model; the model is empty where it is not named.
type Totals = BTreeMap<String, Total>;

/// What one model was said to have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Total {
    requests: Option<u32>,
    usage: Usage,
    cost: Option<MicroUsd>,
}

/// The counters of a home's sessions.
#[derive(Debug, Default)]
pub(super) struct Counters {
    file: Option<PathBuf>,
    sessions: BTreeMap<String, Totals>,
    /// Of the present process.
    process: Totals,
    /// The session that it works in.
    session: String,
}

impl Counters {
    /// What `file` holds; nothing when it is not there or cannot be read.
    pub(super) fn open(file: PathBuf) -> Self {
        let sessions = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { file: Some(file), sessions: sessions.unwrap_or_default(), ..Self::default() }
    }

    /// A process begins.
    pub(super) fn begin(&mut self, start: &Start) {
        self.process = Totals::new();
        self.session = match start {
            Start::New(id) | Start::Resume(id) => id.clone(),
            Start::Fork { of, id } => {
                // What is counted with those it comes from is known from there.
                let of = self.sessions.get(of).cloned().unwrap_or_default();
                self.sessions.entry(id.clone()).or_insert(of);
                id.clone()
            }
        };
    }

    /// The process works in the session `id`, which may be another than was asked for.
    pub(super) fn works_in(&mut self, id: &str) {
        if self.session != id {
            let known = self.sessions.remove(&self.session).unwrap_or_default();
            self.sessions.entry(id.to_owned()).or_insert(known);
            id.clone_into(&mut self.session);
        }
    }

    /// What was used since the last word.
    pub(super) fn since(&mut self, counted: Counted) -> Vec<ModelUsage> {
        let totals = match counted.scope {
            Scope::Since => return counted.models.into_iter().filter(is_something).collect(),
            Scope::Process => &mut self.process,
            Scope::Session | Scope::Lineage => {
                self.sessions.entry(self.session.clone()).or_default()
            }
        };
        let each = counted.models.into_iter().map(|said| {
            let now = Total { requests: said.requests, usage: said.usage, cost: said.cost };
            let key = said.model.clone().unwrap_or_default();
            let before = totals.insert(key, now).unwrap_or_default();
            // A counter that went back began anew.
            let before = if is_less(&now, &before) { Total::default() } else { before };
            ModelUsage {
                requests: said.requests.map(|now| now - before.requests.unwrap_or_default()),
                usage: minus(now.usage, before.usage),
                cost: said.cost.map(|now| MicroUsd(now.0 - before.cost.unwrap_or_default().0)),
                ..said
            }
        });
        each.filter(is_something).collect()
    }

    /// Keeps what was said. Called once it is in the books: a crash in between counts it twice, never
    /// not at all.
    pub(super) fn keep(&self) {
        let Some(file) = &self.file else { return };
        let written = serde_json::to_vec(&self.sessions).map_err(io::Error::other);
        let written = written.and_then(|bytes| {
            let fresh = file.with_extension("new");
            fs::write(&fresh, bytes)?;
            fs::rename(&fresh, file)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "what a session has used is not kept; it may be counted twice");
        }
    }
}

fn is_something(used: &ModelUsage) -> bool {
    !used.usage.is_zero()
        || used.requests.is_some_and(|requests| requests > 0)
        || used.cost.is_some_and(|cost| cost > MicroUsd::ZERO)
}

fn is_less(now: &Total, before: &Total) -> bool {
    let parts = |of: &Usage| [of.input, of.cache_read, of.cache_write, of.output, of.reasoning];
    parts(&now.usage).into_iter().zip(parts(&before.usage)).any(|(now, before)| now < before)
        || now.requests.is_some_and(|now| now < before.requests.unwrap_or_default())
        || now.cost.is_some_and(|now| now < before.cost.unwrap_or_default())
}

fn minus(now: Usage, before: Usage) -> Usage {
    let less = |now: TokenCount, before: TokenCount| TokenCount(now.0.saturating_sub(before.0));
    Usage {
        input: less(now.input, before.input),
        cache_read: less(now.cache_read, before.cache_read),
        cache_write: less(now.cache_write, before.cache_write),
        output: less(now.output, before.output),
        reasoning: less(now.reasoning, before.reasoning),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(scope: Scope, input: u64, cost: u64) -> Counted {
        let usage = Usage { input: TokenCount(input), ..Usage::default() };
        let (model, cost) = (Some("m".to_owned()), Some(MicroUsd(cost)));
        Counted { scope, models: vec![ModelUsage { model, requests: None, usage, cost }] }
    }

    /// The tokens and the money of each word.
    fn check(counters: &mut Counters, words: &[(Scope, u64, u64)], expected: &[(u64, u64)]) {
        let found: Vec<_> = words
            .iter()
            .flat_map(|(scope, input, cost)| counters.since(said(*scope, *input, *cost)))
            .map(|used| (used.usage.input.0, used.cost.map_or(0, |cost| cost.0)))
            .collect();
        assert_eq!(found, expected, "{words:?}");
    }

    #[test]
    fn each_scope_is_counted_from_its_own_beginning() {
        let mut counters = Counters::default();
        counters.begin(&Start::New("s".into()));
        check(&mut counters, &[(Scope::Since, 5, 1), (Scope::Since, 5, 1)], &[(5, 1), (5, 1)]);
        check(&mut counters, &[(Scope::Process, 5, 1), (Scope::Process, 9, 3)], &[(5, 1), (4, 2)]);
        check(&mut counters, &[(Scope::Session, 7, 2), (Scope::Session, 7, 2)], &[(7, 2)]);
        counters.begin(&Start::Resume("s".into()));
        check(&mut counters, &[(Scope::Process, 6, 1)], &[(6, 1)]);
        check(&mut counters, &[(Scope::Session, 10, 4)], &[(3, 2)]);
        counters.begin(&Start::New("t".into()));
        check(&mut counters, &[(Scope::Session, 10, 4)], &[(10, 4)]);
    }

    #[test]
    fn a_fork_is_not_charged_for_what_it_comes_from() {
        let mut counters = Counters::default();
        counters.begin(&Start::New("first".into()));
        // The program names its session itself.
        counters.works_in("thread-1");
        check(&mut counters, &[(Scope::Lineage, 1_400, 10)], &[(1_400, 10)]);
        counters.begin(&Start::Fork { of: "thread-1".into(), id: "second".into() });
        counters.works_in("thread-2");
        check(&mut counters, &[(Scope::Lineage, 2_800, 25)], &[(1_400, 15)]);
        counters.begin(&Start::Resume("thread-1".into()));
        check(&mut counters, &[(Scope::Lineage, 2_000, 12)], &[(600, 2)]);
    }

    #[test]
    fn what_was_counted_is_known_to_the_next_process_of_ours() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("counted.json");
        let mut counters = Counters::open(file.clone());
        counters.begin(&Start::New("s".into()));
        check(&mut counters, &[(Scope::Session, 100, 7)], &[(100, 7)]);
        counters.keep();
        let mut counters = Counters::open(file);
        counters.begin(&Start::Resume("s".into()));
        check(&mut counters, &[(Scope::Session, 130, 9)], &[(30, 2)]);
    }

    #[test]
    fn a_counter_that_went_back_counts_anew() {
        let mut counters = Counters::default();
        counters.begin(&Start::New("s".into()));
        let words = [(Scope::Session, 100, 7), (Scope::Session, 40, 3), (Scope::Session, 60, 5)];
        check(&mut counters, &words, &[(100, 7), (40, 3), (20, 2)]);
    }
}
