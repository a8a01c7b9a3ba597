//! From a request to its answer.

use super::{
    Api, FrontEvent, FrontLimits, Grant, Reach, TokenHash,
    admit::Admission,
    answer::{Answer, Passing},
    asked::Asked,
    call::{Call, Context},
    calling::Asking,
    config::FrontConfig,
    credential, grant,
    header::{self, RUN_HEADER},
    page,
    refuse::Refused,
    route::{Route, RouteKind, Routed, route},
    rule::{self, Candidate, Plan, WentOn, rewritten},
    tape::{self, Tap, Tape, kept},
    upstream::Upstream,
};
use crate::{
    balance::Balance,
    failure::{ErrorBody, judge, tells_of_no_model},
    limits::Ask,
    route::Failed,
    transport::{Outgoing, PassError, pass},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, header as names, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use orchestrator_core::{
    error::ErrorClass,
    id::ProviderName,
    ledger::{Amounts, Payer},
    port::Clock,
    time::Timestamp,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::timeout;
use tracing::{Instrument, Span, field::Empty};

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
    pub(super) balance: Balance,
    pub(super) went_on: WentOn,
}

/// Answers one request. It always has an answer.
pub(super) async fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let (parts, mut body) = request.into_parts();
    if let (Some(page), "/metrics") = (&shared.config.metrics, parts.uri.path()) {
        let reach = shared.config.limits.reach;
        let may = match reach {
            Reach::Loopback => page::may(reach, &parts.headers),
            Reach::Anywhere => shared.grant(&parts).await.is_ok(),
        };
        return Ok(page::answer(&**page, &parts.method, may).await);
    }
    let (api, found) = match route(&parts.method, parts.uri.path()) {
        Routed::Known(route) => (route.api, Ok(route)),
        Routed::Unknown(api) => (api, Err(Refused::NoRoute)),
    };
    let mut payer = None;
    let span = request_span(api, &parts);
    let answered = match found {
        Ok(route) => {
            let answering = shared.answer(&route, &parts, &mut body, &mut payer);
            answering.instrument(span.clone()).await
        }
        Err(refused) => Err(refused),
    };
    let refused = match answered {
        Ok(answer) => {
            span.record("http.response.status_code", answer.status().as_u16());
            return Ok(answer);
        }
        Err(refused) => refused,
    };
    span.record("error.type", refused.code());
    let most = shared.config.limits.body.saturating_mul(LINGER_BODIES);
    let _ = timeout(LINGER, discard(&mut body, most)).await;
    let answer = refused.answer(api);
    span.record("http.response.status_code", answer.status().as_u16());
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

/// The span of a request: a part of what its client does, when that says so.
fn request_span(api: Api, parts: &Parts) -> Span {
    let caller = parts.headers.get("traceparent").and_then(|value| value.to_str().ok());
    // Names: OpenTelemetry semantic conventions for HTTP.
    tracing::info_span!(
        "request",
        otel.kind = "server",
        otel.name = %format_args!("{} /{api}", parts.method),
        http.request.method = %parts.method,
        url.path = parts.uri.path(),
        http.response.status_code = Empty,
        error.type = Empty,
        traceparent = caller,
    )
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
        let upstreams = match &self.config.tape {
            Some(Tape::Player(_)) => None,
            _ => Some(self.upstreams(route.api, &grant)?),
        };
        let body = read(&parts.headers, body, &self.config.limits).await?;
        let (format, asked, model) = match &route.kind {
            RouteKind::List(model) => {
                if let Some(model) = model {
                    if grant.route(model).is_some() {
                        return self.rule_as_model(route, &grant, model);
                    }
                    check_model(&grant, model)?;
                }
                let model = model.as_deref().unwrap_or_default();
                let mut of = grant.payer.clone();
                let Some(mut upstreams) = upstreams else {
                    return self.replay(parts, &body, &of).await;
                };
                let rules = match model {
                    "" => self.rules(route, &grant),
                    _ => Vec::new(),
                };
                let passing = (route, parts, body);
                return self.pass_free(&mut upstreams, passing, model, &mut of, &rules).await;
            }
            RouteKind::Call(format, model) => (Some(*format), Asked::read(&body), model),
            RouteKind::Ask(model) => (None, Asked::read(&body), model),
        };
        let asked = asked.map_err(Refused::BadBody)?;
        let model = model.as_ref().or(asked.model.as_ref());
        let model = model.ok_or_else(|| Refused::BadBody("it names no `model`".into()))?;
        check_name(model)?;
        // What a rule comes to is judged model by model.
        if grant.route(model).is_none() {
            check_model(&grant, model)?;
        }
        let mut of = grant.payer.clone();
        of.model.clone_from(model);
        if upstreams.is_none() {
            *payer = Some(of.clone());
            return self.replay(parts, &body, &of).await;
        }
        let plan = self.plan(route, &grant, model, &body)?;
        let Some(format) = format else {
            let passed = self.ask_of(plan, (route, parts, body), model, &mut of).await;
            *payer = Some(of);
            return passed;
        };
        let (grant, asked, told) = (&*grant, &asked, HeaderMap::new());
        let asking = Asking { route, parts, token, grant, format, asked, model, body, told };
        self.call(&plan, &asking, payer).await
    }

    /// Passes a question about a model on that costs nothing: to the first of `plan`.
    async fn ask_of(
        &self,
        mut plan: Plan,
        (route, parts, body): (&Route, &Parts, Bytes),
        model: &str,
        payer: &mut Payer,
    ) -> Result<Response<Answer>, Refused> {
        let Candidate { model: first, mut upstreams } = plan.candidates.swap_remove(0);
        if plan.rule.is_none() && first.model == model {
            return self.pass_free(&mut upstreams, (route, parts, body), model, payer, &[]).await;
        }
        let changed = rewritten(route, &body, model, &first.model);
        let (route, body) =
            changed.ok_or_else(|| Refused::BadBody("its `model` cannot be replaced".into()))?;
        payer.model.clone_from(&first.model);
        let told = plan.told(Some(&first), &[]);
        let passing = (&route, parts, body);
        let answer = self.pass_free(&mut upstreams, passing, &first.model, payer, &[]).await;
        answer.map(|mut answer| {
            answer.headers_mut().extend(told);
            answer
        })
    }

    /// The answer to a question for the model that is called like a rule.
    fn rule_as_model(
        &self,
        route: &Route,
        grant: &Grant,
        rule: &str,
    ) -> Result<Response<Answer>, Refused> {
        if !matches!(self.config.tape, Some(Tape::Player(_))) {
            self.plan(route, grant, rule, b"")?;
        }
        let mut answer =
            Response::new(Answer::Whole(Some(rule::as_model(rule).to_string().into())));
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(names::CONTENT_TYPE, json);
        Ok(answer)
    }

    /// Answers from the cassette.
    async fn replay(
        &self,
        parts: &Parts,
        body: &[u8],
        payer: &Payer,
    ) -> Result<Response<Answer>, Refused> {
        let Some(Tape::Player(player)) = &self.config.tape else {
            return Err(Refused::NotRecorded("there is no cassette".into()));
        };
        let (answer, routing) = tape::replay(player, payer, parts, body).await?;
        if let Some(routing) = routing.map(Box::new) {
            let (payer, path) = (payer.clone(), parts.uri.path().to_owned());
            self.config.observer.told(FrontEvent::Routed { payer, path, routing });
        }
        self.config.observer.told(FrontEvent::Passed {
            payer: payer.clone(),
            path: parts.uri.path().to_owned(),
            status: answer.status().as_u16(),
        });
        Ok(answer)
    }

    /// What records the exchange, if it is to be.
    pub(super) async fn tap(&self, payer: &Payer, parts: &Parts, body: &[u8]) -> Option<Tap> {
        match &self.config.tape {
            Some(Tape::Recorder(recorder)) => Some(Tap::begin(recorder, payer, parts, body).await),
            _ => None,
        }
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

    /// The accounts of the grant for `api`: the first that speaks it, with the others of the same
    /// provider.
    pub(super) fn upstreams(&self, api: Api, grant: &Grant) -> Result<Vec<Arc<Upstream>>, Refused> {
        let of_api = || self.upstreams.iter().filter(|upstream| upstream.api == api);
        let named = grant
            .accounts
            .iter()
            .find_map(|account| of_api().find(|upstream| upstream.name.serves(account)));
        let Some(first) = named else {
            return Err(Refused::NotGranted(grant::no_account(api)));
        };
        let provider = first.name.parent();
        let is_granted = |name: &ProviderName| grant.accounts.iter().any(|it| name.serves(it));
        let others = of_api().filter(|upstream| {
            upstream.name != first.name
                && provider.is_some()
                && upstream.name.parent() == provider
                && is_granted(&upstream.name)
        });
        Ok([first].into_iter().chain(others).cloned().collect())
    }

    pub(super) fn context(
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
            gen_ai.provider.name = upstream.api.semantic_name(),
            gen_ai.request.model = payer.model,
            gen_ai.response.model = Empty,
            gen_ai.response.time_to_first_chunk = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            http.response.status_code = Empty,
            server.address = upstream.host,
            error.type = Empty,
            orchestrator.account = %payer.account,
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

    /// Passes a request on that costs nothing, to one of `upstreams`. A list of models that comes back
    /// has `rules` at its end.
    async fn pass_free(
        &self,
        upstreams: &mut Vec<Arc<Upstream>>,
        (route, parts, body): (&Route, &Parts, Bytes),
        model: &str,
        payer: &mut Payer,
        rules: &[&str],
    ) -> Result<Response<Answer>, Refused> {
        let ask = Ask { model, input: 0, most_output: Some(0) };
        let Some(upstream) = self.choose(upstreams, &ask, None) else {
            return Err(Refused::NotGranted(grant::no_account(route.api)));
        };
        payer.account = upstream.name.clone();
        let mut tap = self.tap(payer, parts, &body).await;
        tap.iter_mut().for_each(|tap| tap.sent(&upstream.name));
        let passing = (route, parts, body);
        let answer = self.pass_free_to(&upstream, passing, payer, &mut tap, rules).await;
        kept(answer, tap, route.api)
    }

    async fn pass_free_to(
        &self,
        upstream: &Upstream,
        (route, parts, body): (&Route, &Parts, Bytes),
        payer: &Payer,
        tap: &mut Option<Tap>,
        rules: &[&str],
    ) -> Result<Response<Answer>, Refused> {
        let sent = pass(&self.config.client, outgoing(upstream, route, parts, body)).await;
        let response = sent.map_err(|error| unanswered(upstream, error))?;
        self.config.observer.told(FrontEvent::Passed {
            payer: payer.clone(),
            path: parts.uri.path().to_owned(),
            status: response.status().as_u16(),
        });
        let is_list = !rules.is_empty() && response.status().is_success();
        if is_list {
            return list(upstream, response, rules).await;
        }
        let told = HeaderMap::new();
        let handed = hand_back((upstream, &told), response, None, tap, &self.config.clock).await?;
        Ok(handed.answer)
    }
}

/// An answer for the client.
pub(super) struct Handed {
    pub(super) answer: Response<Answer>,
    /// The failure that it is.
    pub(super) failed: Option<Failed>,
    /// When the quota renews that it says is used up.
    pub(super) renews: Option<Timestamp>,
}

/// The answer as the client gets it, with what it is `told` besides. One that passes takes `tap` along.
pub(super) async fn hand_back(
    (upstream, told): (&Upstream, &HeaderMap),
    response: Response<reqwest::Body>,
    call: Option<Call>,
    tap: &mut Option<Tap>,
    clock: &Arc<dyn Clock>,
) -> Result<Handed, Refused> {
    let (head, body) = response.into_parts();
    let idle = upstream.timeouts.idle;
    let mut headers = header::to_client(&head.headers, upstream.key());
    headers.extend(told.clone());
    let (mut failed, mut renews) = (None, None);
    let body = if head.status.is_success() {
        tap.iter_mut().for_each(|tap| tap.answered(head.status, &headers));
        let passing = Passing::new(body, call, tap.take(), idle, clock.clone());
        Answer::Passing(Box::new(passing))
    } else {
        let whole = whole(body, idle).await;
        let whole = whole.ok_or_else(|| Refused::Unreachable("its error was cut off".into()))?;
        if let Some(mut call) = call {
            let (error, now) = (ErrorBody::read(&whole), clock.now());
            let status = head.status.as_u16();
            let (class, retry_at) = judge(status, &head.headers, &error, now);
            call.refused(class, retry_at, now);
            let message = format!("provider `{}` answered {status}", upstream.name);
            failed = Some(Failed {
                is_unknown_model: tells_of_no_model(status, class, &error),
                ..Failed::of(class, retry_at, message)
            });
            renews = retry_at.filter(|_| class == ErrorClass::QuotaExhausted);
        }
        let holds = |key: &str| memchr::memmem::find(&whole, key.as_bytes()).is_some();
        if upstream.key().is_some_and(holds) {
            return Err(Refused::Leak);
        }
        Answer::Whole(Some(whole))
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = head.status;
    *answer.headers_mut() = headers;
    Ok(Handed { answer, failed, renews })
}

/// All of a body that is an error or a list; `None` when it breaks off or is too long.
async fn whole(body: reqwest::Body, idle: Duration) -> Option<Bytes> {
    let whole = timeout(idle, Limited::new(body, MAX_ERROR).collect()).await;
    Some(whole.ok()?.ok()?.to_bytes())
}

/// A list of models as the client gets it, with `rules` at its end.
async fn list(
    upstream: &Upstream,
    response: Response<reqwest::Body>,
    rules: &[&str],
) -> Result<Response<Answer>, Refused> {
    let (head, body) = response.into_parts();
    let whole = whole(body, upstream.timeouts.idle).await;
    let whole = whole.ok_or_else(|| Refused::Unreachable("its list was cut off".into()))?;
    let mut headers = header::to_client(&head.headers, upstream.key());
    let whole = match rule::listed(&whole, rules) {
        Some(longer) => {
            headers.remove(names::CONTENT_LENGTH);
            longer
        }
        None => whole,
    };
    let mut answer = Response::new(Answer::Whole(Some(whole)));
    *answer.status_mut() = head.status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

pub(super) fn outgoing(upstream: &Upstream, route: &Route, parts: &Parts, body: Bytes) -> Outgoing {
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

pub(super) fn unanswered(upstream: &Upstream, error: PassError) -> Refused {
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

fn check_name(model: &str) -> Result<(), Refused> {
    if model.is_empty() || model.len() > MAX_MODEL || model.chars().any(char::is_control) {
        return Err(Refused::BadBody(format!(
            "`model` must have 1 to {MAX_MODEL} bytes and no control characters"
        )));
    }
    Ok(())
}

fn check_model(grant: &Grant, model: &str) -> Result<(), Refused> {
    check_name(model)?;
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
