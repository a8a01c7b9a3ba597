//! From a request to its answer.

use super::{
    Api, FrontEvent, FrontLimits, Grant, TokenHash,
    admit::Admission,
    answer::{Answer, Passing},
    asked::Asked,
    bound::worst,
    call::{Call, Context},
    config::FrontConfig,
    credential, grant,
    header::{self, RUN_HEADER},
    refuse::Refused,
    route::{Route, RouteKind, Routed, route},
    upstream::Upstream,
};
use crate::{
    budget::BudgetError,
    failure,
    meter::{Format, Meter},
    transport::{Outgoing, PassError, pass},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, header as names, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use orchestrator_core::ledger::{Amounts, Payer, Rule};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::timeout;
use tracing::{Instrument, field::Empty};

/// The most bytes of a model's name.
const MAX_MODEL: usize = 200;

/// The most bytes of an error's body. Errors are kept until they are whole, to see that they do not
/// repeat the key.
const MAX_ERROR: usize = 1 << 20;

/// How long, and how many times the largest body, a refused client may go on sending, so that it
/// reads why instead of a broken connection.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BODIES: usize = 2;

/// What all connections share.
pub(super) struct Shared {
    pub(super) config: FrontConfig,
    pub(super) upstreams: Vec<Arc<Upstream>>,
    pub(super) admission: Arc<Admission>,
}

/// Answers one request. It always has an answer.
pub(super) async fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let (parts, mut body) = request.into_parts();
    let (api, found) = match route(&parts.method, parts.uri.path()) {
        Routed::Known(route) => (route.api, Ok(route)),
        Routed::Unknown(api) => (api, Err(Refused::NoRoute)),
    };
    let mut payer = None;
    let answered = match found {
        Ok(route) => shared.answer(&route, &parts, &mut body, &mut payer).await,
        Err(refused) => Err(refused),
    };
    let refused = match answered {
        Ok(answer) => return Ok(answer),
        Err(refused) => refused,
    };
    let most = shared.config.limits.body.saturating_mul(LINGER_BODIES);
    let _ = timeout(LINGER, discard(&mut body, most)).await;
    let answer = refused.answer(api);
    tracing::info!(
        path = parts.uri.path(),
        status = answer.status().as_u16(),
        code = refused.code(),
        reason = refused.reason(),
        "refused a request"
    );
    shared.config.observer.told(FrontEvent::Refused {
        payer,
        path: parts.uri.path().to_owned(),
        status: answer.status().as_u16(),
        code: refused.code(),
        reason: refused.reason(),
        limit: refused.into_limit(),
    });
    Ok(answer.map(|bytes| Answer::Whole(Some(bytes))))
}

impl Shared {
    async fn answer(
        &self,
        route: &Route,
        parts: &Parts,
        body: &mut Incoming,
        payer: &mut Option<Payer>,
    ) -> Result<Response<Answer>, Refused> {
        let (token, grant) = self.grant(parts).await?;
        *payer = Some(grant.payer.clone());
        check_run(&grant, &parts.headers)?;
        let upstream = self.upstream(route.api, &grant)?;
        let body = read(&parts.headers, body, &self.config.limits).await?;
        let (format, asked, model) = match &route.kind {
            RouteKind::List(model) => {
                if let Some(model) = model {
                    check_model(&grant, model)?;
                }
                return self.pass_free(&upstream, route, parts, body, &grant.payer).await;
            }
            RouteKind::Call(format, model) => (Some(*format), Asked::read(&body), model),
            RouteKind::Ask(model) => (None, Asked::read(&body), model),
        };
        let asked = asked.map_err(Refused::BadBody)?;
        let model = model.as_ref().or(asked.model.as_ref());
        let model = model.ok_or_else(|| Refused::BadBody("it names no `model`".into()))?;
        check_model(&grant, model)?;
        let mut of = grant.payer.clone();
        (of.account, of.model) = (upstream.name.clone(), model.clone());
        *payer = Some(of.clone());
        let Some(format) = format else {
            return self.pass_free(&upstream, route, parts, body, &of).await;
        };
        let asking = (format, &asked, &body[..], &parts.headers);
        let config = &self.config;
        let worst = worst(asking, (&upstream, model), &config.prices, &config.limits);
        let rules = grant.rules.clone();
        let observer = &config.observer;
        let held = self.admission.admit(of.clone(), worst, rules, observer).await;
        let hold = held.map_err(|error| match error {
            BudgetError::Refused(limit) => Refused::Limit(limit),
            BudgetError::Ledger(error) => Refused::Ledger(error),
        })?;
        let context = self.context(&upstream, of, worst, asked.is_priced_otherwise());
        let payer = context.payer.clone();
        let call = Call::new(hold, Meter::new(format), context);
        // It may have waited. Whoever ends a token and then counts its calls finds either this one
        // or none: it is told of before the token is looked up again.
        if self.config.grants.find(&token).await.is_none() {
            return Err(Refused::UnknownToken);
        }
        let of = (&payer, &grant.rules[..]);
        self.pass(&upstream, route, parts, body, (call, format), of).await
    }

    /// The grant of the request's token.
    async fn grant(&self, parts: &Parts) -> Result<(TokenHash, Arc<Grant>), Refused> {
        let token = credential::token(&parts.headers, parts.uri.query());
        let hash = TokenHash::of(token.ok_or(Refused::NoToken)?);
        let grant = self.config.grants.find(&hash).await.ok_or(Refused::UnknownToken)?;
        if grant.expires <= self.config.clock.now() {
            return Err(Refused::Expired);
        }
        Ok((hash, grant))
    }

    /// The first account of the grant that speaks `api`.
    fn upstream(&self, api: Api, grant: &Grant) -> Result<Arc<Upstream>, Refused> {
        let named = grant.accounts.iter().find_map(|account| {
            self.upstreams.iter().find(|upstream| upstream.api == api && upstream.name == *account)
        });
        named.cloned().ok_or_else(|| Refused::NotGranted(grant::no_account(api)))
    }

    fn context(
        &self,
        upstream: &Arc<Upstream>,
        payer: Payer,
        worst: Amounts,
        is_priced_otherwise: bool,
    ) -> Context {
        // Names: OpenTelemetry semantic conventions for generative AI.
        let span = tracing::info_span!(
            "chat",
            otel.kind = "client",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = upstream.api.as_str(),
            gen_ai.request.model = payer.model,
            gen_ai.response.model = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            http.response.status_code = Empty,
            server.address = upstream.host,
            error.type = Empty,
        );
        Context {
            payer,
            worst,
            started: self.config.clock.now(),
            is_priced_otherwise,
            upstream: upstream.clone(),
            prices: self.config.prices.clone(),
            observer: self.config.observer.clone(),
            span,
        }
    }

    /// Passes a call on. Dropping the future drops the request and settles the call.
    async fn pass(
        &self,
        upstream: &Upstream,
        route: &Route,
        parts: &Parts,
        body: Bytes,
        (mut call, format): (Call, Format),
        (payer, rules): (&Payer, &[Rule]),
    ) -> Result<Response<Answer>, Refused> {
        call.sent();
        let sending = pass(&self.config.client, outgoing(upstream, route, parts, body));
        let response = match sending.instrument(call.span().clone()).await {
            Ok(response) => response,
            Err(error) => {
                call.span().record("error.type", "transient");
                if matches!(error, PassError::NotSent(_)) {
                    call.not_sent();
                }
                return Err(unanswered(upstream, error));
            }
        };
        call.answered(response.status());
        let encoding = response.headers().get(names::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            call.is_blind(Meter::blind(format));
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = hand_back(upstream, response, Some(call)).await?;
        if let Answer::Whole(Some(whole)) = answer.body()
            && let now = self.config.clock.now()
            && let Some(at) = failure::quota_resets(status, &headers, whole, now)
        {
            self.admission.restart_window(payer, rules, at).await;
        }
        Ok(answer)
    }

    /// Passes a request on that costs nothing.
    async fn pass_free(
        &self,
        upstream: &Upstream,
        route: &Route,
        parts: &Parts,
        body: Bytes,
        payer: &Payer,
    ) -> Result<Response<Answer>, Refused> {
        let sent = pass(&self.config.client, outgoing(upstream, route, parts, body)).await;
        let response = sent.map_err(|error| unanswered(upstream, error))?;
        let mut payer = payer.clone();
        payer.account = upstream.name.clone();
        self.config.observer.told(FrontEvent::Passed {
            payer,
            path: parts.uri.path().to_owned(),
            status: response.status().as_u16(),
        });
        hand_back(upstream, response, None).await
    }
}

/// The answer as the client gets it.
async fn hand_back(
    upstream: &Upstream,
    response: Response<reqwest::Body>,
    call: Option<Call>,
) -> Result<Response<Answer>, Refused> {
    let (head, body) = response.into_parts();
    let idle = upstream.timeouts.idle;
    let body = if head.status.is_success() {
        Answer::Passing(Box::new(Passing::new(body, call, idle)))
    } else {
        drop(call);
        let whole = timeout(idle, Limited::new(body, MAX_ERROR).collect()).await;
        let whole = match whole {
            Ok(Ok(whole)) => whole.to_bytes(),
            _ => return Err(Refused::Unreachable("its error was cut off".into())),
        };
        let holds = |key: &str| memchr::memmem::find(&whole, key.as_bytes()).is_some();
        if upstream.key().is_some_and(holds) {
            return Err(Refused::Leak);
        }
        Answer::Whole(Some(whole))
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = head.status;
    *answer.headers_mut() = header::to_client(&head.headers, upstream.key());
    Ok(answer)
}

fn outgoing(upstream: &Upstream, route: &Route, parts: &Parts, body: Bytes) -> Outgoing {
    let mut headers = header::to_upstream(&parts.headers);
    upstream.sign(&mut headers);
    let query = credential::without_credentials(parts.uri.query());
    Outgoing {
        method: parts.method.clone(),
        url: upstream.url(route.version, &route.path, query.as_deref()),
        headers,
        body,
        patience: upstream.timeouts.answer,
    }
}

fn unanswered(upstream: &Upstream, error: PassError) -> Refused {
    let (name, host) = (&upstream.name, &upstream.host);
    let whom = |what: String| format!("`{name}` at `{host}`: {what}");
    match error {
        PassError::NotSent(what) | PassError::Broken(what) => Refused::Unreachable(whom(what)),
        PassError::Silent(what) => Refused::Silent(whom(what)),
    }
}

fn check_run(grant: &Grant, headers: &HeaderMap) -> Result<(), Refused> {
    let own = grant.payer.run.as_ref().map(|run| run.as_str().as_bytes());
    match headers.get(RUN_HEADER) {
        Some(run) if Some(run.as_bytes()) != own => {
            Err(Refused::NotGranted("this token is for another run".into()))
        }
        _ => Ok(()),
    }
}

fn check_model(grant: &Grant, model: &str) -> Result<(), Refused> {
    if model.is_empty() || model.len() > MAX_MODEL || model.chars().any(char::is_control) {
        return Err(Refused::BadBody(format!(
            "`model` must have 1 to {MAX_MODEL} bytes and no control characters"
        )));
    }
    if grant.allows(model) {
        return Ok(());
    }
    let allowed = grant.models.join("`, `");
    Err(Refused::NotGranted(format!(
        "this token may not use model `{model}`; it may use `{allowed}`"
    )))
}

/// The whole body, as it is.
async fn read(
    headers: &HeaderMap,
    body: &mut Incoming,
    limits: &FrontLimits,
) -> Result<Bytes, Refused> {
    if headers.get(names::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Refused::Encoded);
    }
    let declared = headers.get(names::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared = declared.and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    if declared > limits.body {
        return Err(Refused::TooLarge(limits.body));
    }
    let mut whole = BytesMut::new();
    loop {
        let frame = match timeout(limits.request, body.frame()).await {
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Refused::BadBody("it was cut off".into())),
            Err(_) => return Err(Refused::BadBody("it took too long to arrive".into())),
        };
        let Ok(bytes) = frame.into_data() else { continue };
        if whole.len() + bytes.len() > limits.body {
            return Err(Refused::TooLarge(limits.body));
        }
        if bytes.len() == declared {
            // All of it in one piece: nothing is copied.
            return Ok(bytes);
        }
        if whole.is_empty() {
            // What a client announces is believed up to a megabyte.
            whole.reserve(declared.min(1 << 20).max(bytes.len()));
        }
        whole.extend_from_slice(&bytes);
    }
}

/// Takes up to `most` bytes of a body for nothing.
async fn discard(body: &mut Incoming, most: usize) {
    let mut left = most;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.into_data().map_or(0, |bytes| bytes.len());
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}
