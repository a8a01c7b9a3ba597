//! What tells the usual clients where the front is.

/// What a shell or a program is given so that the usual clients call through the front at `url`
/// with `token`: names and values of variables.
pub fn client_variables(url: &str, token: &str) -> [(&'static str, String); 6] {
    [
        ("ANTHROPIC_BASE_URL", format!("{url}/anthropic")),
        ("ANTHROPIC_API_KEY", token.to_owned()),
        ("OPENAI_BASE_URL", format!("{url}/openai/v1")),
        ("OPENAI_API_KEY", token.to_owned()),
        ("GOOGLE_GEMINI_BASE_URL", format!("{url}/gemini")),
        ("GEMINI_API_KEY", token.to_owned()),
    ]
}
