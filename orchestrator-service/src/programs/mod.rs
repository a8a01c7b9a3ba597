//! Programs that are agents and call models: each attempt has a token of its own for the gateway's
//! front, which this process runs as long as it lives.

mod access;
mod coding;
mod homes;
mod make;
mod metered;
mod own_login;
mod pass;
mod reckoner;
mod routed;

pub(crate) use access::Access;
pub(crate) use homes::Homes;
pub(crate) use make::{Surroundings, program};
pub(crate) use reckoner::LedgerReckoner;

/// What a shell or a program is given so that the usual clients call through the gateway at `url`
/// with `token`: names and values of variables.
pub fn gateway_variables(url: &str, token: &str) -> [(&'static str, String); 6] {
    [
        ("ANTHROPIC_BASE_URL", format!("{url}/anthropic")),
        ("ANTHROPIC_API_KEY", token.to_owned()),
        ("OPENAI_BASE_URL", format!("{url}/openai/v1")),
        ("OPENAI_API_KEY", token.to_owned()),
        ("GOOGLE_GEMINI_BASE_URL", format!("{url}/gemini")),
        ("GEMINI_API_KEY", token.to_owned()),
    ]
}
