//! What a call holds before it goes out, and how that ends.

use super::{Account, Ended, Gateway};
use crate::{
    Counted, Delta, Request,
    budget::{BudgetError, Hold},
    prices::CacheWrites,
    provider::{Billing, CallFailure, DEFAULT_MAX_TOKENS, Response, Sink},
};
use orchestrator_core::{
    ledger::{Amounts, Payer, RefusalKind, ScopeKind, Unit},
    money::MicroUsd,
    port::Settlement,
    time::Timestamp,
    usage::{TokenCount, Usage},
};
use std::borrow::Cow;

/// An answer that must be shorter than that is not worth its prompt; the call is refused instead.
const LEAST_OUTPUT: u64 = 256;

/// A count may be off by a little: a twentieth and twenty tokens are held besides.
const COUNT_SLACK: u64 = 20;

impl Gateway {
    /// Holds the most that `request` can cost. Returns the request as it is to be sent, its answer
    /// bound where a limit holds, and the time whose prices hold.
    pub(super) async fn reserve<'r>(
        &self,
        account: &Account,
        payer: &Payer,
        request: &'r Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<(Option<Hold>, Cow<'r, Request>, Timestamp), Ended> {
        let Some(budget) = &self.budget else { return Ok((None, Cow::Borrowed(request), now())) };
        let payer = Payer { model: request.model.clone(), ..payer.clone() };
        let mut input = request.most_input_tokens().0;
        let mut is_counted = false;
        let mut output = u64::from(request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS));
        loop {
            let started = now();
            let worst = self.worst(account, &payer, input, output);
            let mut waits = |refusal: &_| sink(Delta::Waiting(format!("a budget: {refusal}")));
            match budget.reserve_patiently(&payer, worst, &mut waits).await {
                Ok(hold) => {
                    let mut request = Cow::Borrowed(request);
                    if request.max_tokens.is_none() && hold.is_limited() {
                        let bound = u32::try_from(output).unwrap_or(u32::MAX);
                        request.to_mut().max_tokens = Some(bound);
                    }
                    return Ok((Some(hold), request, started));
                }
                // The bytes of a prompt are a bound far above its tokens: before the call is refused,
                // the provider counts, where it does, or the model's tokenizer. That costs nothing.
                Err(BudgetError::Refused(refusal))
                    if !is_counted
                        && refusal.kind != RefusalKind::Busy
                        && self.entry(account, &payer.account, &payer.model).is_some() =>
                {
                    is_counted = true;
                    let ours = self.count_here(account.kind, request).await;
                    let most = match ours {
                        Some((Counted::Exact(exact), _)) => Some(exact),
                        _ => match account.provider.count(request, now).await {
                            Ok(Some(exact)) => Some(exact),
                            _ => ours.map(|(_, most)| most),
                        },
                    };
                    if let Some(most) = most {
                        input = input.min(most.0 + most.0 / COUNT_SLACK + COUNT_SLACK);
                    }
                }
                Err(BudgetError::Refused(refusal))
                    if request.max_tokens.is_none() && refusal.kind == RefusalKind::Over =>
                {
                    // The default is more than is left: ask for what is.
                    let left = refusal.standing.limit.most.saturating_sub(refusal.standing.spent());
                    let fits = match refusal.standing.limit.unit {
                        Unit::Usd => self.affordable(account, &payer, input, left),
                        Unit::Tokens => left.checked_sub(input),
                        _ => None,
                    };
                    match fits.filter(|fits| (LEAST_OUTPUT..output).contains(fits)) {
                        Some(fits) => output = fits,
                        None => return Err(refused(BudgetError::Refused(refusal), &payer)),
                    }
                }
                Err(error) => return Err(refused(error, &payer)),
            }
        }
    }

    /// The most that so many tokens cost.
    fn worst(&self, account: &Account, payer: &Payer, input: u64, output: u64) -> Amounts {
        let usd = match self.free(account, &payer.account, &payer.model) {
            Some(free) => Some(free),
            None => {
                let entry = self.entry(account, &payer.account, &payer.model);
                let (input, output) = (TokenCount(input), TokenCount(output));
                entry.and_then(|entry| entry.worst(input, output, CacheWrites::Usual))
            }
        };
        Amounts::call(usd, input + output)
    }

    /// How many tokens of output `usd` buys beside the prompt.
    fn affordable(&self, account: &Account, payer: &Payer, input: u64, usd: u64) -> Option<u64> {
        let entry = self.entry(account, &payer.account, &payer.model)?;
        entry.affordable_output(TokenCount(input), MicroUsd(usd))
    }

    /// How a call that ended so is settled, of which `worst` was held.
    pub(super) fn settlement(
        &self,
        account: &Account,
        payer: &Payer,
        model: &str,
        result: &Result<Response, CallFailure>,
        started: Timestamp,
        worst: Amounts,
    ) -> Settlement {
        let metered = |usage: &Usage| {
            // A server may count a longer prompt than any that has a price. What has none counts as
            // what was held, never as nothing.
            let cost = self.price(account, &payer.account, model, usage, started).or(worst.usd);
            let spent = Amounts::call(cost, usage.total().0);
            Settlement::Metered { spent, usage: *usage }
        };
        match result {
            Ok(Response { usage: Some(usage), .. }) => metered(usage),
            Ok(_) => Settlement::Assumed,
            Err(CallFailure { used: Some(used), .. }) if used.is_final => metered(&used.usage),
            Err(CallFailure { billing: Billing::Possible, .. }) => Settlement::Assumed,
            Err(CallFailure { billing: Billing::None, .. }) => Settlement::Released,
        }
    }
}

/// Another account may do what the budget of this one does not allow.
fn refused(error: BudgetError, payer: &Payer) -> Ended {
    let may_move = match &error {
        BudgetError::Refused(refusal) => {
            refusal.standing.limit.scope.kind() == ScopeKind::Account
                && refusal.kind == RefusalKind::Over
        }
        BudgetError::Ledger(_) => false,
    };
    Ended { failure: error.into_failure(&payer.model), may_move }
}
