//! Whatever a program prints, its dialogue goes on.

use crate::told::order;
use orchestrator_agents::coding::{
    Adapter, ClaudeCode, Codex, Copilot, Decision, Dialogue, Event, Exit, Gemini, Order, RequestId,
    Step,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::{path::Path, sync::LazyLock};

const ADAPTERS: [&dyn Adapter; 4] = [&ClaudeCode, &Codex, &Copilot, &Gemini];

/// A dialogue with each program, asked and not asked.
fn dialogues() -> Vec<Box<dyn Dialogue>> {
    let orders = [order(), Order { live: true, ..order() }];
    let all = ADAPTERS.iter().flat_map(|adapter| orders.iter().map(|it| adapter.dialogue(it)));
    all.collect()
}

/// Says `lines` to every dialogue, answers what is asked, and asks for the verdict.
fn hear<'a>(lines: impl IntoIterator<Item = &'a str> + Clone) {
    for mut dialogue in dialogues() {
        dialogue.start();
        for line in lines.clone() {
            for step in dialogue.line(line) {
                if let Step::Said(Event::Permission { id, .. }) = step {
                    dialogue.answer(&id, &Decision::Deny("no".into()));
                }
            }
        }
        dialogue.answer(&RequestId(json!(1)), &Decision::Allow);
        dialogue.say("more");
        dialogue.interrupt();
        dialogue.report(lines.clone().into_iter().next().unwrap_or_default().as_bytes());
        dialogue.verdict(Exit::Code(0));
    }
}

/// All that was recorded, as it was said.
static RECORDED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let transcripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coding/transcripts");
    let mut lines = Vec::new();
    for folder in ["claude", "codex", "copilot", "gemini"] {
        for entry in std::fs::read_dir(transcripts.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "jsonl") {
                let text = std::fs::read_to_string(path).unwrap();
                lines.extend(text.lines().map(|line| match serde_json::from_str::<Value>(line) {
                    Ok(line) if line["msg"].is_object() => line["msg"].to_string(),
                    _ => line.to_owned(),
                }));
            }
        }
    }
    assert!(lines.len() > 500);
    lines
});

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![Just("system"), Just("result"), Just("assistant"), Just("item.completed")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop_oneof![
            Just("type".to_owned()),
            Just("subtype".to_owned()),
            Just("message".to_owned()),
            Just("method".to_owned()),
            Just("params".to_owned()),
            Just("item".to_owned()),
            Just("id".to_owned()),
            Just("content".to_owned()),
            "[a-z_]{0,8}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// `value` with what is at place `at` of all its places put in another shape.
fn confuse(value: &mut Value, at: &mut usize, other: &Value) {
    if *at == 0 {
        *value = other.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| confuse(value, at, other)),
        Value::Object(fields) => fields.values_mut().for_each(|value| confuse(value, at, other)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_line_is_heard(lines in prop::collection::vec(any::<String>(), 0..8)) {
        hear(lines.iter().map(String::as_str));
    }

    #[test]
    fn any_json_is_heard(values in prop::collection::vec(json_value(), 0..8)) {
        let lines: Vec<String> = values.iter().map(Value::to_string).collect();
        hear(lines.iter().map(String::as_str));
    }

    #[test]
    fn lines_that_break_off_are_heard(seed in any::<prop::sample::Selector>(), cut in 0.0..1.0f64) {
        let line = seed.select(RECORDED.iter());
        let place = (line.len() as f64 * cut) as usize;
        let place = (0..=place).rev().find(|place| line.is_char_boundary(*place)).unwrap_or(0);
        hear([line.as_str(), &line[..place], line.as_str()]);
    }

    #[test]
    fn fields_of_another_shape_are_heard(
        seed in any::<prop::sample::Selector>(), at in 0usize..60, other in json_value()
    ) {
        let line = seed.select(RECORDED.iter());
        if let Ok(mut value) = serde_json::from_str::<Value>(line) {
            confuse(&mut value, &mut at.clone(), &other);
            let line = value.to_string();
            hear([line.as_str(), line.as_str()]);
        }
    }
}
