//! A scripted model server to try things by hand: Anthropic Messages, both formats of OpenAI, Gemini.
//!
//! Usage: cargo run -p orchestrator-testkit --example model-server -- SCRIPT
//!
//! SCRIPT has one JSON object a line. `{"when": TEXT, …}` answers whenever the last message of the user
//! holds TEXT, the first that fits; a line without `when` answers whatever is left. The answer is
//! `"text": TEXT`, `"tool": NAME` with `"arguments": {…}`, once in a conversation, or `"status": NUMBER`. The address is printed,
//! and then a line for each request; the server ends with its standard input.

#![expect(clippy::print_stdout, reason = "what it hears is what it is for")]

use anyhow::{Context as _, Result, bail};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::Value;
use std::{io::Read as _, thread, time::Duration};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: model-server SCRIPT")?;
    let script = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    let server = ModelServer::start().context("cannot listen")?;
    for (index, line) in script.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let rule: Value =
            serde_json::from_str(line).with_context(|| format!("{path}:{}", index + 1))?;
        let reply = reply(index, &rule).with_context(|| format!("{path}:{}", index + 1))?;
        match rule.get("when").and_then(Value::as_str) {
            Some(text) => {
                // A tool is called once in a conversation: then its result is there.
                let (text, id) = (text.to_owned(), call(index));
                server.when_request(
                    move |request| {
                        let body = request.body.to_string();
                        let is_done = body.contains(&id) || body.contains("functionResponse");
                        request.last_user_message().contains(&text) && !is_done
                    },
                    reply,
                );
            }
            None => server.otherwise(reply),
        }
    }
    println!("{}", server.url());
    thread::scope(|scope| {
        let server = &server;
        let ends = scope.spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
        let mut told = 0;
        while !ends.is_finished() {
            let requests = server.requests();
            for request in requests.iter().skip(told) {
                let asked: String = request.last_user_message().chars().take(100).collect();
                println!("{:?} {:?}", request.api, asked.replace('\n', " "));
            }
            told = requests.len();
            thread::sleep(Duration::from_millis(50));
        }
    });
    Ok(())
}

/// The name of the call that a line makes.
fn call(index: usize) -> String {
    format!("call_of_line_{index}")
}

fn reply(index: usize, rule: &Value) -> Result<Reply> {
    let text = |key: &str| rule.get(key).and_then(Value::as_str);
    let usage = Usage { input: TokenCount(1_200), output: TokenCount(34), ..Usage::default() };
    if let Some(status) = rule.get("status").and_then(Value::as_u64) {
        return Ok(Reply::error(u16::try_from(status)?, "scripted", "as the script says"));
    }
    if let Some(tool) = text("tool") {
        let arguments = rule.get("arguments").cloned().unwrap_or_default();
        return Ok(Reply::tool_call(&call(index), tool, &arguments).usage(usage));
    }
    match text("text") {
        Some(text) => Ok(Reply::text(text).usage(usage)),
        None => bail!("it has neither `text`, `tool` nor `status`"),
    }
}
