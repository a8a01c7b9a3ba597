//! What providers answer, in every format: 1,200 fresh tokens in, 200 from a cache, 34 out.

/// What these answers cost, in micro-dollars: 1,200 + 200 / 10 + 34 × 5.
pub(crate) const COST: u64 = 1_390;
pub(crate) const TOKENS: u64 = 1_434;

pub(crate) const MESSAGES: &str = "/anthropic/v1/messages";
pub(crate) const CHAT: &str = "/openai/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/openai/v1/responses";
pub(crate) const GEMINI: &str = "/gemini/v1beta/models/m:generateContent";
pub(crate) const GEMINI_STREAM: &str = "/gemini/v1beta/models/m:streamGenerateContent";

/// A path, a request and an answer of each format, whole.
pub(crate) const WHOLE: [(&str, &str, &str); 4] = [
    (
        MESSAGES,
        "{ \"model\" : \"m\",\r\n\"max_tokens\":100 , \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9llo 🦀\"}] }",
        "{\"type\":\"message\" ,\"content\":[{\"type\":\"text\",\"text\":\"\\u00fc 世\"}],\"usage\":{\"input_tokens\":1200,\"cache_read_input_tokens\":200,\"output_tokens\":34}}\n",
    ),
    (
        CHAT,
        r#"{"messages":[{"role":"user","content":"x"}],"model":"m","max_completion_tokens":100,"unknown":1e400}"#,
        r#"{"choices":[{"message":{"content":"ü"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1400,"completion_tokens":34,"prompt_tokens_details":{"cached_tokens":200}}}"#,
    ),
    (
        RESPONSES,
        r#"{"model":"m","input":"x","max_output_tokens":100}"#,
        r#"{"status":"completed","output":[],"usage":{"input_tokens":1400,"input_tokens_details":{"cached_tokens":200},"output_tokens":34}}"#,
    ),
    (
        GEMINI,
        r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":100}}"#,
        r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1400,"cachedContentTokenCount":200,"candidatesTokenCount":30,"thoughtsTokenCount":4}}"#,
    ),
];

/// The same as streams.
pub(crate) const STREAMS: [(&str, &str, &str); 4] = [
    (
        MESSAGES,
        r#"{"model":"m","max_tokens":100,"stream":true,"messages":[]}"#,
        "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1200,\"cache_read_input_tokens\":200,\"output_tokens\":1}}}\r\n\r\n: ping\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"é🦀\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":34}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ),
    (
        CHAT,
        r#"{"model":"m","max_tokens":100,"stream":true,"stream_options":{"include_usage":true},"messages":[]}"#,
        "data: {\"choices\":[{\"delta\":{\"content\":\"é🦀\"},\"finish_reason\":null}],\"usage\":null}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1400,\"completion_tokens\":34,\"prompt_tokens_details\":{\"cached_tokens\":200}}}\n\ndata: [DONE]\n\n",
    ),
    (
        RESPONSES,
        r#"{"model":"m","input":"x","max_output_tokens":100,"stream":true}"#,
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"usage\":null}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"usage\":{\"input_tokens\":1400,\"input_tokens_details\":{\"cached_tokens\":200},\"output_tokens\":34}}}\n\n",
    ),
    (
        GEMINI_STREAM,
        r#"{"contents":[],"generationConfig":{"maxOutputTokens":100}}"#,
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"é🦀\"}]}}],\"usageMetadata\":{\"promptTokenCount\":1400,\"cachedContentTokenCount\":200}}\r\n\r\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1400,\"cachedContentTokenCount\":200,\"candidatesTokenCount\":34}}\r\n\r\n",
    ),
];
