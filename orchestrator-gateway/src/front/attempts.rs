//! Tokens for attempts: each is worth what one attempt may spend, and what its calls come to is kept
//! until the attempt ends and takes it.

use super::{FrontEvent, FrontObserver, Grant, Routing, SettledAs, TokenError, Tokens};
use crate::{SecretString, budget::Alert};
use orchestrator_core::{
    id::{AttemptNumber, RunId, TaskName},
    ledger::{Amounts, Payer, Refusal, RefusalKind},
    port::HoldId,
    usage::{Cost, Spend, Usage},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};

/// The attempt that pays.
type Key = (Option<RunId>, Option<TaskName>, Option<AttemptNumber>);

fn key(payer: &Payer) -> Key {
    (payer.run.clone(), payer.task.clone(), payer.attempt)
}

/// The attempts that may call through a front. It is the front's observer, and its tokens are in the
/// [`Tokens`] that the front looks them up in.
#[derive(Debug)]
pub struct Attempts {
    tokens: Arc<Tokens>,
    accounts: Mutex<HashMap<Key, Arc<Account>>>,
}

/// What an attempt has spent so far.
#[derive(Debug, Default)]
struct Account {
    books: Mutex<Books>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Books {
    spend: Vec<Spend>,
    /// Calls that are not in the ledger's books yet, with what those hold that have not ended.
    open: BTreeMap<HoldId, Option<Spend>>,
    refusal: Option<Refusal>,
    alerts: Vec<Alert>,
    routed: Vec<Routing>,
}

/// What an attempt has spent through a front, in the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Passed {
    /// The lines for the books, one for each account and model. A call that had not ended counts as
    /// all that it held.
    pub spend: Vec<Spend>,
    /// Why the last call was refused that a budget had refused, if one was.
    pub refusal: Option<Refusal>,
    /// Parts of limits that were reached, of which nobody was told yet.
    pub alerts: Vec<Alert>,
    /// How requests got to their models of which [`Pass::routed`] has not told.
    pub routed: Vec<Routing>,
}

/// The right of one attempt to call. Dropping it ends its token.
#[derive(Debug)]
pub struct Pass {
    attempts: Arc<Attempts>,
    key: Key,
    token: SecretString,
    account: Arc<Account>,
}

impl Attempts {
    /// Nobody yet. `tokens` are those of the front.
    pub fn new(tokens: Arc<Tokens>) -> Arc<Self> {
        Arc::new(Self { tokens, accounts: Mutex::default() })
    }

    /// Makes a token for the attempt that is `grant`'s payer. What another token of the same attempt
    /// spends from now on is this one's.
    ///
    /// # Errors
    /// As [`Tokens::issue`].
    pub fn open(self: &Arc<Self>, grant: Grant) -> Result<Pass, TokenError> {
        let (key, account) = (key(&grant.payer), Arc::new(Account::default()));
        let token = self.tokens.issue(grant)?;
        self.accounts().insert(key.clone(), account.clone());
        Ok(Pass { attempts: self.clone(), key, token, account })
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Key, Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `change` write to the books of `payer`, if they are kept here.
    fn write(&self, payer: &Payer, change: impl FnOnce(&mut Books)) {
        let account = self.accounts().get(&key(payer)).cloned();
        if let Some(account) = account {
            change(&mut account.books());
            account.changed.notify_waiters();
        }
    }
}

impl FrontObserver for Attempts {
    fn told(&self, event: FrontEvent) {
        match event {
            FrontEvent::Admitted { call, payer, worst } => {
                let held = assumed(&payer, worst);
                self.write(&payer, |books| drop(books.open.insert(call, Some(held))));
            }
            FrontEvent::Settled { call, payer, spend, end, .. } => self.write(&payer, |books| {
                if let Some(held) = books.open.get_mut(&call) {
                    *held = None;
                }
                if end != SettledAs::Released {
                    add(&mut books.spend, spend);
                }
            }),
            FrontEvent::Booked { call, payer, alerts } => self.write(&payer, |books| {
                books.open.remove(&call);
                books.alerts.extend(alerts);
            }),
            FrontEvent::Refused { payer: Some(payer), limit: Some(limit), .. }
                if limit.kind != RefusalKind::Busy =>
            {
                self.write(&payer, |books| books.refusal = Some(*limit));
            }
            FrontEvent::Routed { payer, routing, .. } => {
                self.write(&payer, |books| books.routed.push(*routing));
            }
            FrontEvent::Refused { .. } | FrontEvent::Passed { .. } => {}
        }
    }
}

impl Account {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// What the attempt's program sends in place of a key.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// How requests got to their models that were answered by rules, or not by the first: those since
    /// this was asked last.
    pub fn routed(&self) -> Vec<Routing> {
        std::mem::take(&mut self.account.books().routed)
    }

    /// Resolves when something was spent, or is about to be.
    pub async fn changed(&self) {
        self.account.changed.notified().await;
    }

    /// What has been spent by now.
    pub fn so_far(&self) -> (Usage, Cost) {
        let books = self.account.books();
        (books.spend.iter().map(|line| line.usage).sum(), Cost::from_iter(&books.spend))
    }

    /// Ends the token, and returns what was spent with it. No call begins after this; those under
    /// way have `patience` to end, and count as what they hold when they have not.
    pub async fn close(self, patience: Duration) -> Passed {
        self.attempts.tokens.revoke(&self.token);
        let ended = async {
            loop {
                let changed = self.account.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.account.books().open.is_empty() {
                    return;
                }
                changed.await;
            }
        };
        let _ = timeout(patience, ended).await;
        // From here on nothing is written to these books.
        self.attempts.accounts().remove(&self.key);
        let mut books = std::mem::take(&mut *self.account.books());
        for held in std::mem::take(&mut books.open).into_values().flatten() {
            add(&mut books.spend, held);
        }
        let Books { spend, refusal, alerts, routed, open: _ } = books;
        Passed { spend, refusal, alerts, routed }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.attempts.tokens.revoke(&self.token);
        let mut accounts = self.attempts.accounts();
        if accounts.get(&self.key).is_some_and(|kept| Arc::ptr_eq(kept, &self.account)) {
            accounts.remove(&self.key);
        }
    }
}

/// The line of a call of which nobody knows what it used.
fn assumed(payer: &Payer, worst: Amounts) -> Spend {
    Spend {
        provider: payer.account.clone(),
        model: payer.model.clone(),
        requests: 1,
        usage: Usage::default(),
        cost: worst.usd,
    }
}

/// Adds a line to those of the same account and model whose cost is known, or is not, as well.
fn add(lines: &mut Vec<Spend>, line: Spend) {
    let same = lines.iter_mut().find(|known| {
        (&known.provider, &known.model) == (&line.provider, &line.model)
            && known.cost.is_some() == line.cost.is_some()
    });
    match same {
        Some(known) => {
            known.requests = known.requests.saturating_add(line.requests);
            known.usage += line.usage;
            known.cost = known.cost.zip(line.cost).map(|(a, b)| a + b);
        }
        None => lines.push(line),
    }
}
