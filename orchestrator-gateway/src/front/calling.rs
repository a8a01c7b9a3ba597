//! One call from admission to answer, at the account that is best for it, or the next one when that
//! one refuses it at no cost.

use super::{
    FrontEvent, Grant, TokenHash,
    answer::Answer,
    asked::Asked,
    bound::worst,
    call::Call,
    handle::{Handed, Shared, hand_back, outgoing, unanswered},
    refuse::Refused,
    route::Route,
    rule::{Candidate, Plan, rewritten},
    tape::{Tap, kept},
    upstream::Upstream,
    weight,
};
use crate::{
    balance::{Conversation, hope, may_move},
    budget::BudgetError,
    limits::{Ask, Denied, Leave, PATIENCE, Patience},
    meter::{Format, Meter},
    route::{Failed, Next, Passed, next},
    transport::{PassError, pass},
};
use bytes::Bytes;
use http::{HeaderMap, Response, header as names, request::Parts};
use orchestrator_core::{
    error::ErrorClass,
    ledger::{Payer, RefusalKind, ScopeKind},
    time::format_duration,
};
use std::sync::Arc;
use tracing::Instrument;

/// A call that somebody may make.
pub(super) struct Asking<'a> {
    pub(super) route: &'a Route,
    pub(super) parts: &'a Parts,
    pub(super) token: TokenHash,
    pub(super) grant: &'a Grant,
    pub(super) format: Format,
    pub(super) asked: &'a Asked,
    pub(super) model: &'a str,
    pub(super) body: Bytes,
    /// What the client is told besides.
    pub(super) told: HeaderMap,
}

/// What became of a call at one account, or of one model.
struct Tried {
    answer: Result<Handed, Refused>,
    /// Why another account may do better, when nothing was billed.
    moves: Option<ErrorClass>,
    /// Why another model may do better.
    failed: Option<Failed>,
}

impl From<Refused> for Tried {
    fn from(refused: Refused) -> Self {
        Self { answer: Err(refused), moves: None, failed: None }
    }
}

impl Shared {
    /// Makes a call of the first model of `plan`, and of the next where one fails before anything of
    /// its answer has passed. `payer` becomes whoever pays at last.
    pub(super) async fn call(
        &self,
        plan: &Plan,
        asking: &Asking<'_>,
        payer: &mut Option<Payer>,
    ) -> Result<Response<Answer>, Refused> {
        let mut of = asking.grant.payer.clone();
        asking.model.clone_into(&mut of.model);
        let mut tap = self.tap(&of, asking.parts, &asking.body).await;
        let answer = self.call_by(plan, asking, payer, &mut tap).await;
        kept(answer, tap, asking.route.api)
    }

    async fn call_by(
        &self,
        plan: &Plan,
        asking: &Asking<'_>,
        payer: &mut Option<Payer>,
        tap: &mut Option<Tap>,
    ) -> Result<Response<Answer>, Refused> {
        let models = plan.models();
        let mut failures: Vec<Passed> = Vec::new();
        let mut best: Option<(u8, Result<Handed, Refused>)> = None;
        let (mut place, mut answered) = (0, None);
        let answer = loop {
            let Some(candidate) = plan.candidates.get(place) else {
                // There is one, or the plan would have been refused.
                break Err(Refused::NoRoute);
            };
            let model = &candidate.model;
            let told = plan.told(Some(model), &failures);
            tap.iter_mut().for_each(|tap| tap.routed(plan.routing(Some(model), &failures)));
            let tried = match (&plan.rule, model.model == asking.model) {
                (None, true) => {
                    let asking = Asking { told, body: asking.body.clone(), ..*asking };
                    self.call_model(candidate, &asking, payer, tap).await
                }
                _ => match rewritten(asking.route, &asking.body, asking.model, &model.model) {
                    Some((route, body)) => {
                        let name = &model.model;
                        let asking = Asking { route: &route, model: name, body, told, ..*asking };
                        self.call_model(candidate, &asking, payer, tap).await
                    }
                    None => break Err(Refused::BadBody("its `model` cannot be replaced".into())),
                },
            };
            let Tried { answer, failed, .. } = tried;
            let Some(failed) = failed else {
                answered = answer.is_ok().then_some(model);
                break answer;
            };
            let (class, message) = (failed.class, failed.message.clone());
            let next = next(&failed, &models, place, self.config.clock.now());
            failures.push(Passed { model: model.clone(), class, message });
            match next {
                Next::Place(following) => {
                    let to = &models[following];
                    tracing::warn!(%model, %class, %to, "the call goes to another model");
                    let rank = hope(class);
                    if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                        best = Some((rank, answer));
                    }
                    place = following;
                }
                Next::None { is_last: false } => break answer,
                Next::None { is_last: true } => {
                    let rank = hope(class);
                    break match best {
                        Some((least, earlier)) if least <= rank => earlier,
                        _ => answer,
                    };
                }
            }
        };
        if let Some(model) = answered.filter(|_| !failures.is_empty()) {
            self.goes_on(plan, model);
        }
        let routing = plan.routing(answered, &failures);
        if answered.is_none() {
            tap.iter_mut().for_each(|tap| tap.routed(routing.clone()));
        }
        if let Some((routing, payer)) = routing.map(Box::new).zip(payer.clone()) {
            let path = asking.parts.uri.path().to_owned();
            self.config.observer.told(FrontEvent::Routed { payer, path, routing });
        }
        let mut answer = answer?.answer;
        if answered.is_none() && failures.len() > 1 {
            answer.headers_mut().extend(plan.told(None, &failures));
        }
        Ok(answer)
    }

    /// Makes a call of one model, at one of its accounts.
    async fn call_model(
        &self,
        candidate: &Candidate,
        asking: &Asking<'_>,
        payer: &mut Option<Payer>,
        tap: &mut Option<Tap>,
    ) -> Tried {
        let ask = weight::ask(asking.model, asking.format, asking.asked, &asking.body);
        let mut left = candidate.upstreams.clone();
        let mut of = asking.grant.payer.clone();
        asking.model.clone_into(&mut of.model);
        let conversation = match left.len() {
            0 | 1 => None,
            _ => Conversation::of_body(&of, &asking.body),
        };
        let mut best: Option<(u8, Tried)> = None;
        while let Some(upstream) = self.choose(&mut left, &ask, conversation) {
            of.account = upstream.name.clone();
            *payer = Some(of.clone());
            let tried = self.call_at(&upstream, asking, &ask, of.clone(), tap).await;
            let Some(class) = tried.moves else { return tried };
            if !left.is_empty() {
                tracing::warn!(account = %upstream.name, %class, "the call goes to another account");
            }
            let rank = hope(class);
            if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                best = Some((rank, tried));
            }
        }
        // There is an account, or the grant would have been refused.
        best.map_or(Refused::NoRoute.into(), |(_, tried)| tried)
    }

    /// The account of `left` that is best for a call, taken out of it.
    pub(super) fn choose(
        &self,
        left: &mut Vec<Arc<Upstream>>,
        ask: &Ask<'_>,
        conversation: Option<Conversation>,
    ) -> Option<Arc<Upstream>> {
        let states = left.iter().map(|upstream| (&upstream.name, &upstream.state));
        let at = self.balance.choose(states, ask, conversation, self.config.clock.now())?;
        Some(left.remove(at))
    }

    async fn call_at(
        &self,
        upstream: &Arc<Upstream>,
        asking: &Asking<'_>,
        ask: &Ask<'_>,
        of: Payer,
        tap: &mut Option<Tap>,
    ) -> Tried {
        let mut leave = match self.admit(upstream, ask).await {
            Ok(leave) => leave,
            Err(tried) => return tried,
        };
        let Asking { route, parts, token, grant, format, asked, model, body, told } = asking;
        let config = &self.config;
        let from = (*format, *asked, &body[..], &parts.headers);
        let worst = worst(from, (upstream, model), &config.prices, &config.limits);
        let rules = grant.rules.clone();
        let held = self.admission.admit(of.clone(), worst, rules, &config.observer).await;
        let hold = match held {
            Ok(hold) => hold,
            Err(error) => {
                leave.not_made();
                return over_budget(error);
            }
        };
        let context = self.context(upstream, of.clone(), worst, asked.is_priced_otherwise());
        let mut call = Call::new((leave, hold), Meter::new(*format), context);
        // It may have waited. Whoever ends a token and then counts its calls finds either this one
        // or none: it is told of before the token is looked up again.
        if config.grants.find(token).await.is_none() {
            return Refused::UnknownToken.into();
        }
        call.sent();
        tap.iter_mut().for_each(|tap| tap.sent(&upstream.name));
        let sending = pass(&config.client, outgoing(upstream, route, parts, body.clone()));
        let response = match sending.instrument(call.span().clone()).await {
            Ok(response) => response,
            Err(error) => {
                call.span().record("error.type", "transient");
                call.broke(config.clock.now());
                let was_sent = !matches!(error, PassError::NotSent(_));
                if !was_sent {
                    call.not_sent();
                }
                let moves = (!was_sent).then_some(ErrorClass::Transient);
                let refused = unanswered(upstream, error);
                let failed = Some(Failed::of(ErrorClass::Transient, None, refused.reason()));
                return Tried { answer: Err(refused), moves, failed };
            }
        };
        upstream.state.heard(model, response.headers(), config.clock.now());
        call.answered(response.status());
        let encoding = response.headers().get(names::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            call.is_blind(Meter::blind(*format));
        }
        match hand_back((upstream, told), response, Some(call), tap, &config.clock).await {
            Ok(handed) => {
                if let Some(at) = handed.renews {
                    self.admission.restart_window(&of, &grant.rules, at).await;
                }
                let failed = handed.failed.clone();
                let class = failed.as_ref().map(|failed| failed.class);
                let moves = class.filter(|class| may_move(*class));
                Tried { answer: Ok(handed), moves, failed }
            }
            Err(refused) => refused.into(),
        }
    }

    /// Waits until the account may be called, for as long as the front waits at all.
    async fn admit(&self, upstream: &Upstream, ask: &Ask<'_>) -> Result<Leave, Tried> {
        let wait = self.config.limits.wait;
        let patience = Patience { own: Some(wait), told: wait.min(PATIENCE) };
        let clock = || self.config.clock.now();
        let denied = match upstream.state.admit(ask, patience, &clock, &mut || {}).await {
            Ok(leave) => return Ok(leave),
            Err(denied) => denied,
        };
        let (name, now) = (&upstream.name, clock());
        let (refused, class) = match denied {
            Denied::Open(until) => {
                let wait = until.since(now);
                let what = format!(
                    "provider `{name}` at `{}` failed several times in a row and is not called \
                     again for {}",
                    upstream.host,
                    format_duration(wait)
                );
                (Refused::Resting(what, wait), ErrorClass::Transient)
            }
            Denied::Told(at) => {
                let wait = at.since(now);
                let (model, rest) = (ask.model, format_duration(wait));
                let what = format!(
                    "provider `{name}` takes no call of model `{model}` for {rest}, by its own word"
                );
                (Refused::Throttled(what, wait), ErrorClass::RateLimited)
            }
            Denied::Own(wait) => {
                let what = format!(
                    "the limits of provider `{name}` leave no room now; ask again, or raise them \
                     under [providers.{name}.limits]"
                );
                (Refused::Throttled(what, wait), ErrorClass::RateLimited)
            }
        };
        let retry_at = refused.wait().map(|wait| now.after(wait));
        let failed = Some(Failed::of(class, retry_at, refused.reason()));
        Err(Tried { answer: Err(refused), moves: Some(class), failed })
    }
}

/// Another account may do what the budget of this one does not allow.
fn over_budget(error: BudgetError) -> Tried {
    match error {
        BudgetError::Refused(limit) => {
            let is_accounts = limit.standing.limit.scope.kind() == ScopeKind::Account;
            let moves = is_accounts && limit.kind == RefusalKind::Over;
            let moves = moves.then_some(ErrorClass::OverBudget);
            Tried { answer: Err(Refused::Limit(limit)), moves, failed: None }
        }
        BudgetError::Ledger(error) => Refused::Ledger(error).into(),
    }
}
