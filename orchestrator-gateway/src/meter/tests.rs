//! Answers of every format, however they are cut.

use super::*;
use proptest::prelude::*;

fn read(format: Format, text: &str, size: usize) -> Reading {
    let mut meter = Meter::new(format);
    text.as_bytes().chunks(size).for_each(|bytes| meter.feed(bytes));
    meter.reading().clone()
}

/// Input, cache read, cache write, output and reasoning.
fn tokens(usage: &Usage) -> [u64; 5] {
    [usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning]
        .map(|count| count.0)
}

#[track_caller]
fn check(format: Format, text: &str, expected: [u64; 5], is_final: bool) {
    for size in [1, 2, 3, 7, 64, text.len()] {
        let reading = read(format, text, size);
        assert_eq!(tokens(&reading.usage), expected, "in pieces of {size}: {text}");
        assert_eq!(reading.is_final, is_final, "in pieces of {size}: {text}");
    }
}

fn events(data: &[&str]) -> String {
    data.iter().map(|data| format!("event: x\ndata: {data}\n\n")).collect()
}

const START: &str = r#"{"type":"message_start","message":{"model":"m-1","usage":{"input_tokens":1200,"cache_creation_input_tokens":50,"cache_read_input_tokens":200,"output_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":30}}}}"#;
const TEXT: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\"usage\":{\"output_tokens\":9} é🦀"}}"#;
const DELTA: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":34}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

#[test]
fn messages_count_at_their_start_and_end() {
    use Format::Messages;
    let used = [1_200, 200, 50, 34, 0];
    check(Messages, &events(&[START, TEXT, DELTA, STOP]), used, true);
    check(Messages, &events(&[START, TEXT, DELTA]), used, true);
    check(Messages, &events(&[START, START, DELTA, DELTA, STOP]), used, true);
    check(Messages, &events(&[START, TEXT]), [1_200, 200, 50, 1, 0], false);
    // What the start counts of the output is not all of it.
    check(Messages, &events(&[START, STOP]), [1_200, 200, 50, 1, 0], false);
    check(Messages, &events(&[TEXT]), [0; 5], false);
    let reading = read(Messages, &events(&[START, DELTA]), 9);
    assert_eq!(reading.hour_writes, TokenCount(30));
    assert_eq!(reading.served_model.as_deref(), Some("m-1"));
    // A later count of the input, as after a tool of the server, replaces the first.
    let again = DELTA.replace(r#"{"output"#, r#"{"input_tokens":7,"output"#);
    check(Messages, &events(&[START, &again]), [7, 200, 50, 34, 0], true);
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"usage"}}"#;
    check(Messages, &events(&[START, error]), [1_200, 200, 50, 1, 0], false);
    let whole = r#"{"type":"message","model":"m","content":[{"text":"{\"usage\":1}"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":4}}"#;
    check(Messages, whole, [3, 0, 0, 4, 0], true);
    check(Messages, &whole[..whole.len() - 1], [0; 5], false);
}

#[test]
fn chat_counts_in_its_last_chunk() {
    use Format::Chat;
    let text =
        r#"{"model":"m","choices":[{"delta":{"content":"x"},"finish_reason":null}],"usage":null}"#;
    let end = r#"{"model":"m","choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":1400,"completion_tokens":34,"prompt_tokens_details":{"cached_tokens":200},"completion_tokens_details":{"reasoning_tokens":9}}}"#;
    let used = [1_200, 200, 0, 34, 9];
    check(Chat, &events(&[text, end, usage, "[DONE]"]), used, true);
    check(Chat, &events(&[text, end, usage]), used, true);
    check(Chat, &events(&[text, end, "[DONE]"]), [0; 5], false);
    // Counts so far in every chunk: the last before the end is the usage.
    let so_far =
        r#"{"choices":[{"finish_reason":null}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#;
    check(Chat, &events(&[so_far]), [5, 0, 0, 1, 0], false);
    check(Chat, &events(&[so_far, "[DONE]"]), [5, 0, 0, 1, 0], true);
    let whole = r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"prompt_cache_hit_tokens":4}}"#;
    check(Chat, whole, [1, 4, 0, 1, 0], true);
    check(Chat, r#"{"choices":[{"finish_reason":"stop"}]}"#, [0; 5], false);
}

#[test]
fn responses_count_where_they_end() {
    use Format::Responses;
    let usage = r#""usage":{"input_tokens":1450,"input_tokens_details":{"cached_tokens":200,"cache_write_tokens":50},"output_tokens":34,"output_tokens_details":{"reasoning_tokens":9}}"#;
    let created = r#"{"type":"response.created","response":{"status":"in_progress","usage":null}}"#;
    let used = [1_200, 200, 50, 34, 9];
    for end in ["completed", "incomplete", "failed"] {
        let last =
            format!(r#"{{"type":"response.{end}","response":{{"status":"{end}",{usage}}}}}"#);
        check(Responses, &events(&[created, &last]), used, true);
        check(Responses, &events(&[created, &last, &last]), used, true);
        check(Responses, &format!(r#"{{"status":"{end}",{usage}}}"#), used, true);
    }
    let failed = r#"{"type":"response.failed","response":{"status":"failed","usage":null}}"#;
    check(Responses, &events(&[created, failed]), [0; 5], false);
    check(Responses, r#"{"status":"queued","usage":null}"#, [0; 5], false);
    let quoted = r#"{"type":"response.output_text.delta","delta":"response.completed"}"#;
    check(Responses, &events(&[created, quoted]), [0; 5], false);
}

#[test]
fn of_gemini_the_last_count_holds() {
    use Format::Gemini;
    let first = r#"{"candidates":[{"content":{"parts":[{"text":"]}"}]}}],"usageMetadata":{"promptTokenCount":1400,"cachedContentTokenCount":200,"thoughtsTokenCount":9},"modelVersion":"g"}"#;
    let last = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1400,"cachedContentTokenCount":200,"candidatesTokenCount":25,"thoughtsTokenCount":9}}"#;
    let used = [1_200, 200, 0, 34, 9];
    check(Gemini, &events(&[first, last]), used, true);
    check(Gemini, &format!("[{first},\r\n{last}\r\n]"), used, true);
    check(Gemini, last, used, true);
    check(Gemini, &events(&[first]), [1_200, 200, 0, 9, 9], false);
    let blocked =
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":7}}"#;
    check(Gemini, blocked, [7, 0, 0, 0, 0], true);
    let tools = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"toolUsePromptTokenCount":3,"candidatesTokenCount":1}}"#;
    check(Gemini, tools, [10, 0, 0, 1, 0], true);
}

#[test]
fn wrong_numbers_are_no_counts() {
    for wrong in ["-1", "1.5", "\"7\"", "null", "[]", "99999999999999999999999"] {
        let text = format!(
            r#"{{"choices":[],"usage":{{"prompt_tokens":{wrong},"completion_tokens":1}}}}"#
        );
        check(Format::Chat, &events(&[&text]), [0, 0, 0, 1, 0], false);
    }
    // Parts beyond the whole do not make it less.
    let parts = r#"{"usage":{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":50,"cache_write_tokens":3}}}"#;
    check(Format::Chat, parts, [0, 5, 0, 1, 0], true);
}

#[test]
fn what_cannot_be_read_is_not_final_and_takes_nothing_back() {
    let mut meter = Meter::new(Format::Messages);
    meter.feed(events(&[START, DELTA]).as_bytes());
    meter.feed(b"data: \xff\n\n");
    meter.feed(events(&[START]).as_bytes());
    assert!(meter.reading().is_final);
    assert_eq!(meter.reading().usage.output, TokenCount(34));

    let mut large = Meter::new(Format::Chat);
    large.feed(b"{\"x\":\"");
    (0..9).for_each(|_| large.feed(&vec![b'x'; 1 << 20]));
    large.feed(br#"","usage":{"prompt_tokens":5,"completion_tokens":1}}"#);
    assert!(!large.reading().is_final);

    let mut blind = Meter::blind(Format::Messages);
    blind.feed(events(&[START, DELTA]).as_bytes());
    assert_eq!(*blind.reading(), Reading::default());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, head in "(\\{|\\[|data: |data: \\{)?") {
        for format in [Format::Messages, Format::Chat, Format::Responses, Format::Gemini] {
            let mut meter = Meter::new(format);
            meter.feed(head.as_bytes());
            meter.feed(&bytes);
        }
    }

    #[test]
    fn any_cut_gives_the_same(size in 1_usize..400) {
        let text = events(&[START, TEXT, DELTA, STOP]);
        prop_assert_eq!(read(Format::Messages, &text, size), read(Format::Messages, &text, text.len()));
    }
}
