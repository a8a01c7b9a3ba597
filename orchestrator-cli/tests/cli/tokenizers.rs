//! Prompts that are counted by the tokenizer of their model, which the settings name.

use crate::{harness::Project, models, schemas};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::{Map, Value, json};

/// A tokenizer whose tokens are bytes, but for `a`: 16 of them are one.
fn tokenizer() -> Value {
    let prints = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let bytes = (0..256).filter(prints).chain(256..256 + 68);
    let mut tokens: Vec<String> =
        bytes.filter_map(char::from_u32).map(|character| character.to_string()).collect();
    let mut merges = Vec::new();
    for length in [1, 2, 4, 8] {
        let half = "a".repeat(length);
        merges.push(format!("{half} {half}"));
        tokens.push(half.repeat(2));
    }
    let vocab: Map<String, Value> =
        tokens.into_iter().zip(0_u32..).map(|(token, id)| (token, id.into())).collect();
    json!({
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "use_regex": true },
        "model": { "type": "BPE", "vocab": vocab, "merges": merges },
    })
}

/// A project whose agent `dev` answers at most 200 tokens on a model without a count of its own, and is
/// asked with 40,000 bytes.
fn project(server: &ModelServer, settings: &str) -> Project {
    let project = models::project(server, "openai-chat", "open/model-1");
    let config = project.read(".orchestrator/config.toml").replace(
        "role = \"dev\"\n",
        "role = \"dev\"\nmax-tokens = 200\ninstructions = \"Be brief.\"\n",
    );
    project.write(".orchestrator/config.toml", &format!("{config}\n{settings}"));
    project.write("tokenizers/open.json", &tokenizer().to_string());
    let prompt = "a".repeat(40_000);
    project
        .write("flow.yaml", &format!("name: f\ntasks:\n  a: {{ agent: dev, prompt: {prompt} }}\n"));
    project
}

const NAMED: &str = "[tokenizers.\"open/model-1\"]\nfile = \"tokenizers/open.json\"\n";

const PLAN: [&str; 4] = ["execute", "--workflow", "flow.yaml", "--dry-run"];

#[test]
fn a_dry_run_counts_by_the_tokenizer_and_says_so() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, NAMED);
    let plan = project.json(&PLAN);
    schemas::check(&plan);
    for estimate in [&plan["estimate"], &plan["items"][0]["estimate"]] {
        assert_eq!(estimate["input_tokens"], 40_000 / 16 + "Be brief.".len(), "{estimate}");
        assert_eq!(estimate["input_is_counted"], true);
    }
    let shown = project.ok(&PLAN).stdout;
    assert!(shown.contains("(from 2,509 input tokens that are known now, counted)"), "{shown}");

    let told = self::project(&server, "").json(&PLAN);
    assert_eq!(told["estimate"]["input_tokens"], 10_003, "{told}");
    assert_eq!(told["estimate"]["input_is_counted"], false);
}

/// A small model of SentencePiece, whose counts are known from its library.
#[test]
fn a_dry_run_counts_by_a_model_of_sentencepiece() {
    const MODEL: &[u8] =
        include_bytes!("../../../orchestrator-gateway/src/tokenizer/fixtures/bpe.model");
    const COUNTS: &str =
        include_str!("../../../orchestrator-gateway/src/tokenizer/fixtures/counts.json");
    let counts: Value = serde_json::from_str(COUNTS).expect("counts");
    let known = |text: &str| {
        let counts = counts["bpe.model"].as_array().expect("counts");
        let count = counts.iter().find(|count| count[0] == text).expect("a text");
        count[1].as_u64().expect("a number")
    };
    let server = ModelServer::start().expect("a server");
    let project = project(&server, NAMED);
    std::fs::write(project.path().join("tokenizers/open.json"), MODEL).expect("a model");
    let config = project.read(".orchestrator/config.toml").replace("Be brief.", "the the  the");
    project.write(".orchestrator/config.toml", &config);
    let text = "the quick brown fox";
    project
        .write("flow.yaml", &format!("name: f\ntasks:\n  a: {{ agent: dev, prompt: {text} }}\n"));
    let estimate = project.json(&PLAN)["estimate"].clone();
    assert_eq!(estimate["input_tokens"], known(text) + known("the the  the"), "{estimate}");
    assert_eq!(estimate["input_is_counted"], true);
}

#[test]
fn a_prompt_that_fits_the_budget_by_its_tokens_is_sent() {
    let budget = "[budget]\ntokens-per-run = 6000\n";
    for (tokenizers, code, calls) in [("", 5, 0), (NAMED, 0, 1)] {
        let server = ModelServer::start().expect("a server");
        server.otherwise(Reply::text("done"));
        let project = project(
            &server,
            &format!("{budget}{tokenizers}[prices.\"open/model-1\"]\ninput = 1\noutput = 1\n"),
        );
        let ran = project.run(&["execute", "--workflow", "flow.yaml"]).expect(code);
        assert_eq!(server.requests().len(), calls, "{ran:?}");
    }
}

#[test]
fn a_tokenizer_that_cannot_be_used_is_said_to_be_so() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, NAMED);
    let found = |project: &Project, doctor: i32| {
        let told: Value =
            serde_json::from_str(&project.run(&["doctor", "--json"]).expect(doctor).stdout)
                .expect("a document");
        schemas::check(&told);
        let items = told["items"].as_array().expect("items").clone();
        items.into_iter().find(|item| item["name"] == "tokenizers").expect("an item")
    };
    assert_eq!(found(&project, 0)["state"], "ok");

    let mut other = tokenizer();
    other["normalizer"] = json!({ "type": "StripAccents" });
    project.write("tokenizers/open.json", &other.to_string());
    let ran = project.run(&PLAN).expect(2);
    for said in ["ORC-0506", "tokenizers/open.json", "StripAccents"] {
        assert!(ran.stderr.contains(said), "no `{said}` in {}", ran.stderr);
    }
    let item = found(&project, 1);
    assert_eq!((&item["state"], &item["code"]), (&json!("failed"), &json!("ORC-0506")), "{item}");
}
