//! Which request is what.

use crate::{ProviderKind, meter::Format};
use http::Method;
use std::fmt;

/// A family of wire formats under one root of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// `/anthropic`: the Messages API.
    Anthropic,
    /// `/openai`: Chat Completions and Responses.
    OpenAi,
    /// `/gemini`: `generateContent`.
    Gemini,
}

impl Api {
    /// Its name in `gen_ai.provider.name`: OpenTelemetry semantic conventions for generative AI.
    pub(super) fn semantic_name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gcp.gemini",
        }
    }

    /// The API that providers of `kind` speak.
    pub fn of(kind: ProviderKind) -> Self {
        match kind {
            ProviderKind::Anthropic => Self::Anthropic,
            ProviderKind::Gemini => Self::Gemini,
            ProviderKind::OpenAiChat
            | ProviderKind::OpenAiResponses
            | ProviderKind::DeepSeek
            | ProviderKind::Ollama => Self::OpenAi,
        }
    }

    /// Its root in the front's paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A request that the front knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) api: Api,
    /// The version of the API that the client speaks.
    pub(super) version: &'static str,
    /// The path below that.
    pub(super) path: String,
    pub(super) kind: RouteKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RouteKind {
    /// A call that costs. The model, where the path names it.
    Call(Format, Option<String>),
    /// A question about a model that costs nothing.
    Ask(Option<String>),
    /// A list of models, or one model of it.
    List(Option<String>),
}

/// What a path asks for.
pub(super) enum Routed {
    Known(Route),
    /// Nothing that the front has; in whose form to say so.
    Unknown(Api),
}

/// Finds the route of a request.
pub(super) fn route(method: &Method, path: &str) -> Routed {
    let roots =
        [(Api::Anthropic, "v1"), (Api::OpenAi, "v1"), (Api::Gemini, "v1beta"), (Api::Gemini, "v1")];
    for (api, version) in roots {
        let below = path.strip_prefix('/').and_then(|path| path.strip_prefix(api.as_str()));
        let below = below.and_then(|path| path.strip_prefix('/')?.strip_prefix(version));
        let Some(rest) = below.and_then(|path| path.strip_prefix('/')) else { continue };
        let kind = match api {
            Api::Anthropic => anthropic(method, rest),
            Api::OpenAi => openai(method, rest),
            Api::Gemini => gemini(method, rest),
        };
        return match kind {
            Some(kind) => Routed::Known(Route { api, version, path: rest.to_owned(), kind }),
            None => Routed::Unknown(api),
        };
    }
    let is_under = |api: &Api| path.starts_with(&format!("/{api}"));
    // Of all clients those of OpenAI's form are the most.
    let near = [Api::Anthropic, Api::Gemini].into_iter().find(is_under);
    Routed::Unknown(near.unwrap_or(Api::OpenAi))
}

fn anthropic(method: &Method, rest: &str) -> Option<RouteKind> {
    match (method, rest) {
        (&Method::POST, "messages") => Some(RouteKind::Call(Format::Messages, None)),
        (&Method::POST, "messages/count_tokens") => Some(RouteKind::Ask(None)),
        _ => None,
    }
}

fn openai(method: &Method, rest: &str) -> Option<RouteKind> {
    match (method, rest) {
        (&Method::POST, "chat/completions") => Some(RouteKind::Call(Format::Chat, None)),
        (&Method::POST, "responses") => Some(RouteKind::Call(Format::Responses, None)),
        (&Method::GET, "models") => Some(RouteKind::List(None)),
        (&Method::GET, _) => {
            let model = rest.strip_prefix("models/").filter(|model| is_plain(model))?;
            Some(RouteKind::List(Some(model.to_owned())))
        }
        _ => None,
    }
}

fn gemini(method: &Method, rest: &str) -> Option<RouteKind> {
    let (model, verb) = rest.strip_prefix("models/")?.split_once(':')?;
    if method != Method::POST || !is_plain(model) {
        return None;
    }
    let model = Some(model.to_owned());
    match verb {
        "generateContent" | "streamGenerateContent" => Some(RouteKind::Call(Format::Gemini, model)),
        "countTokens" => Some(RouteKind::Ask(model)),
        _ => None,
    }
}

/// Whether a name is one part of a path that means the same to everybody: neither escaped nor a
/// way up.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_by_table() {
        let check = |method: &str, path: &str, expected: Result<RouteKind, Api>| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let found = match route(&method, path) {
                Routed::Known(route) => Ok(route.kind),
                Routed::Unknown(api) => Err(api),
            };
            assert_eq!(found, expected, "{method} {path}");
        };
        use RouteKind::{Ask, Call, List};
        let model = |name: &str| Some(name.to_owned());
        check("POST", "/anthropic/v1/messages", Ok(Call(Format::Messages, None)));
        check("POST", "/anthropic/v1/messages/count_tokens", Ok(Ask(None)));
        check("POST", "/openai/v1/chat/completions", Ok(Call(Format::Chat, None)));
        check("POST", "/openai/v1/responses", Ok(Call(Format::Responses, None)));
        check("GET", "/openai/v1/models", Ok(List(None)));
        check("GET", "/openai/v1/models/gpt-5", Ok(List(model("gpt-5"))));
        let gemini = |verb: &str| format!("/gemini/v1beta/models/gemini-2.5-pro:{verb}");
        let called = Call(Format::Gemini, model("gemini-2.5-pro"));
        check("POST", &gemini("generateContent"), Ok(called.clone()));
        check("POST", &gemini("streamGenerateContent"), Ok(called));
        check("POST", &gemini("countTokens"), Ok(Ask(model("gemini-2.5-pro"))));
        check("POST", &gemini("embedContent"), Err(Api::Gemini));
        check("GET", &gemini("generateContent"), Err(Api::Gemini));
        for bad in ["..", "a/b", "a%2fb", "", "a b", ".x"] {
            check("GET", &format!("/openai/v1/models/{bad}"), Err(Api::OpenAi));
            let path = format!("/gemini/v1beta/models/{bad}:generateContent");
            check("POST", &path, Err(Api::Gemini));
        }
        check("GET", "/anthropic/v1/messages", Err(Api::Anthropic));
        check("POST", "/anthropic/v1/messages/batches", Err(Api::Anthropic));
        check("POST", "/anthropic/v1/messages/", Err(Api::Anthropic));
        check("POST", "/openai/v1/responses/r_1/cancel", Err(Api::OpenAi));
        check("POST", "/gemini/v1/models/m:countTokens", Ok(Ask(model("m"))));
        check("POST", "/gemini/v2/models/m:countTokens", Err(Api::Gemini));
        check("POST", "/anthropic/v1beta/messages", Err(Api::Anthropic));
        check("POST", "/anthropicv1/messages", Err(Api::Anthropic));
        check("GET", "/", Err(Api::OpenAi));
    }
}
