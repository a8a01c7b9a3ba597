//! Which of several accounts a call goes to.

use crate::limits::{AccountState, Ask, Standing};
use orchestrator_core::{error::ErrorClass, id::ProviderName, ledger::Payer, time::Timestamp};
use std::{
    collections::{HashMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How many conversations are remembered.
const CONVERSATIONS: usize = 4_096;

/// How long a conversation waits for its account rather than have another read all of it anew.
const WORTH_WAITING: Duration = Duration::from_secs(5);

/// How many calls more than the least loaded the account of a conversation may have.
const WORTH_SHARING: u32 = 4;

/// How much of a request's body tells its conversation. No provider caches less than 1,024 tokens,
/// which are about that many bytes: what is the same until here may have been read already.
const PREFIX: usize = 4 << 10;

/// A conversation: its calls are kept on one account, whose provider has read the beginning of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Conversation(u64);

impl Conversation {
    /// That of an attempt; `None` for a call that is of none.
    pub(crate) fn of_attempt(payer: &Payer) -> Option<Self> {
        let (run, task, attempt) =
            (payer.run.as_ref()?, payer.task.as_ref()?, payer.attempt.as_ref()?);
        let mut hasher = DefaultHasher::new();
        (run.as_str(), task.as_str(), attempt.0, &payer.model).hash(&mut hasher);
        Some(Self(hasher.finish()))
    }

    /// That of an attempt, or else the one that the body begins as; `None` for a body that is too
    /// short for a cache.
    pub(crate) fn of_body(payer: &Payer, body: &[u8]) -> Option<Self> {
        Self::of_attempt(payer).or_else(|| {
            let mut hasher = DefaultHasher::new();
            (body.get(..PREFIX)?, &payer.model).hash(&mut hasher);
            Some(Self(hasher.finish()))
        })
    }
}

/// Where conversations are, and who was chosen last.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: HashMap<Conversation, ProviderName>,
    /// The oldest first.
    order: VecDeque<Conversation>,
    /// When each account was chosen last, by a count of choices.
    chosen: HashMap<ProviderName, u64>,
    choices: u64,
}

impl Balance {
    /// The place in `accounts` of the one that is best for `ask`: that of its conversation if it can
    /// take the call soon, or else one that is well, waits least, and has the least to do. `None` when
    /// there are none.
    pub(crate) fn choose<'a>(
        &self,
        accounts: impl Iterator<Item = (&'a ProviderName, &'a AccountState)>,
        ask: &Ask<'_>,
        conversation: Option<Conversation>,
        now: Timestamp,
    ) -> Option<usize> {
        let accounts: Vec<_> = accounts.collect();
        if accounts.len() < 2 {
            return accounts.first().map(|_| 0);
        }
        let standings = accounts.iter().map(|(name, state)| (*name, state.standing(ask, now)));
        let standings: Vec<(&ProviderName, Standing)> = standings.collect();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let least = standings.iter().map(|(_, standing)| standing.load).min().unwrap_or(0);
        let kept = conversation.and_then(|conversation| inner.kept.get(&conversation));
        let stays = standings.iter().position(|(name, standing)| {
            kept == Some(*name)
                && !standing.is_open
                && !standing.is_shunned
                && !standing.is_full
                && standing.wait <= WORTH_WAITING
                && standing.load <= least.saturating_add(WORTH_SHARING)
        });
        let last = |name: &ProviderName| inner.chosen.get(name).copied().unwrap_or(0);
        let best = standings.iter().enumerate().min_by_key(|(_, (name, it))| {
            (it.is_open, it.is_shunned, it.is_full, it.wait, it.load, last(name))
        });
        let at = stays.or(best.map(|(at, _)| at))?;
        let name = standings[at].0.clone();
        inner.choices += 1;
        let choice = inner.choices;
        inner.chosen.insert(name.clone(), choice);
        if let Some(conversation) = conversation {
            inner.keep(conversation, name);
        }
        Some(at)
    }
}

impl Inner {
    fn keep(&mut self, conversation: Conversation, account: ProviderName) {
        if self.kept.insert(conversation, account).is_none() {
            self.order.push_back(conversation);
        }
        if self.order.len() > CONVERSATIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }
}

/// Whether another account may do what one refused or failed at, when nothing was billed.
pub(crate) fn may_move(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::RateLimited
            | ErrorClass::QuotaExhausted
            | ErrorClass::Overloaded
            | ErrorClass::Transient
            | ErrorClass::Auth
            | ErrorClass::Billing
    )
}

/// How much there is to hope for after a failure of `class`, the most first: of several accounts that
/// failed, the one that may work again soonest speaks for all.
pub(crate) fn hope(class: ErrorClass) -> u8 {
    match class {
        ErrorClass::RateLimited => 0,
        ErrorClass::Transient | ErrorClass::Overloaded => 1,
        ErrorClass::QuotaExhausted => 2,
        ErrorClass::OverBudget => 3,
        ErrorClass::Billing => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use orchestrator_core::id::{AttemptNumber, RunId, TaskName};

    const NOW: Timestamp = Timestamp(1_000_000);
    const ASK: Ask<'static> = Ask { model: "m", input: 1, most_output: Some(1) };

    struct Accounts(Vec<(ProviderName, AccountState)>, Balance);

    impl Accounts {
        fn new(count: usize) -> Self {
            let account = |number| {
                let name = ProviderName::new(format!("p.a{number}")).unwrap();
                (name, AccountState::new(Limits::default()))
            };
            Self((0..count).map(account).collect(), Balance::default())
        }

        fn choose(&self, conversation: Option<u64>) -> Option<usize> {
            let accounts = self.0.iter().map(|(name, state)| (name, state));
            self.1.choose(accounts, &ASK, conversation.map(Conversation), NOW)
        }

        fn refuse(&self, at: usize, class: ErrorClass, retry_at: Option<u64>) {
            self.0[at].1.refused("m", class, retry_at.map(|ms| Timestamp(NOW.0 + ms)), NOW);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_take_turns_and_conversations_stay() {
        let accounts = Accounts::new(3);
        let chosen: Vec<_> = (0..6).map(|_| accounts.choose(None).unwrap()).collect();
        assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
        let chosen: Vec<_> =
            (0..6).map(|number| accounts.choose(Some(number % 2)).unwrap()).collect();
        assert_eq!(chosen, [0, 1, 0, 1, 0, 1]);
        assert_eq!(Accounts::new(0).choose(None), None);
        assert_eq!(Accounts::new(1).choose(None), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_loaded_is_next_and_a_crowd_moves_a_conversation() {
        let accounts = Accounts::new(2);
        assert_eq!(accounts.choose(Some(1)), Some(0));
        let patience = crate::limits::Patience { own: None, told: Duration::ZERO };
        let mut leaves = Vec::new();
        for count in 1..=5 {
            let leave = accounts.0[0].1.admit(&ASK, patience, &|| NOW, &mut || {}).await;
            leaves.push(leave.unwrap());
            assert_eq!(accounts.choose(None), Some(1), "the other has less to do");
            assert_eq!(accounts.choose(Some(1)), Some(usize::from(count > 4)), "{count}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_take_the_call_is_passed_over() {
        let accounts = Accounts::new(2);
        assert_eq!(accounts.choose(Some(1)), Some(0));
        accounts.refuse(0, ErrorClass::RateLimited, Some(5_000));
        assert_eq!(accounts.choose(Some(1)), Some(0), "a short wait is worth it");
        accounts.refuse(0, ErrorClass::RateLimited, Some(5_001));
        assert_eq!(accounts.choose(Some(1)), Some(1));
        assert_eq!(accounts.choose(Some(1)), Some(1), "and there it stays");
        accounts.refuse(1, ErrorClass::RateLimited, Some(9_000));
        assert_eq!(accounts.choose(None), Some(0), "the shorter wait");
        let accounts = Accounts::new(2);
        accounts.refuse(0, ErrorClass::Auth, None);
        assert_eq!([accounts.choose(None), accounts.choose(None)], [Some(1); 2]);
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(accounts.choose(None), Some(0), "its key may have been mended");
        let accounts = Accounts::new(2);
        let patience = crate::limits::Patience { own: None, told: Duration::ZERO };
        for _ in 0..5 {
            let leave = accounts.0[0].1.admit(&ASK, patience, &|| NOW, &mut || {}).await;
            leave.unwrap().failed(NOW);
        }
        assert_eq!([accounts.choose(None), accounts.choose(None)], [Some(1); 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_without_a_place_is_passed_over_even_by_its_conversations() {
        let limits = Limits { concurrent: std::num::NonZeroU32::new(1), ..Limits::default() };
        let mut accounts = Accounts::new(2);
        accounts.0[0].1 = AccountState::new(limits);
        let patience = crate::limits::Patience { own: None, told: Duration::ZERO };
        let mut others = Vec::new();
        for at in [1, 1, 1, 0] {
            let leave = accounts.0[at].1.admit(&ASK, patience, &|| NOW, &mut || {}).await;
            others.push(leave.unwrap());
            if at == 1 {
                assert_eq!(accounts.choose(Some(1)), Some(0), "it has less to do");
            }
        }
        assert_eq!(accounts.choose(Some(1)), Some(1), "its one place is taken");
    }

    #[test]
    fn conversations_are_those_of_attempts_or_of_long_beginnings() {
        let mut payer = Payer::new(ProviderName::new("p").unwrap(), "m");
        assert_eq!(Conversation::of_body(&payer, &[b'x'; PREFIX - 1]), None);
        let long = Conversation::of_body(&payer, &[b'x'; PREFIX]);
        assert!(long.is_some() && long == Conversation::of_body(&payer, &[b'x'; PREFIX + 9]));
        assert_ne!(long, Conversation::of_body(&payer, &[b'y'; PREFIX]));
        payer.run = Some(RunId::new("r").unwrap());
        payer.task = Some(TaskName::new("t").unwrap());
        payer.attempt = Some(AttemptNumber(1));
        let first = Conversation::of_body(&payer, b"short");
        assert!(first.is_some() && first == Conversation::of_attempt(&payer));
        payer.attempt = Some(AttemptNumber(2));
        assert_ne!(first, Conversation::of_attempt(&payer));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let accounts = Accounts::new(2);
        for number in 0..10_000 {
            accounts.choose(Some(number));
        }
        let inner = accounts.1.inner.lock().unwrap();
        assert_eq!((inner.kept.len(), inner.order.len()), (CONVERSATIONS, CONVERSATIONS));
        assert_eq!(inner.chosen.len(), 2);
    }
}
