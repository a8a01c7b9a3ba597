//! `orchestrator gateway`

use crate::{
    context::Context, exit::Exit, interrupt::Interrupts, output::text, problem::Failure, runtime,
};
use clap::Args;
use orchestrator_core::money::MicroUsd;
use orchestrator_service::{GatewayRequest, Tape, gateway_variables};
use serde_json::json;
use std::{net::SocketAddr, path::PathBuf};

/// Pass other programs' model calls on: metered, within a budget, with a token in place of your keys
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator gateway --budget 2.50
  orchestrator gateway --listen 127.0.0.1:4000 --model 'claude-*' --json
  orchestrator gateway --record session.cassette
  orchestrator gateway --replay session.cassette")]
pub(crate) struct Gateway {
    /// Where it listens; port 0 is any that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// The most that all calls through it may cost, besides the limits of the settings
    #[arg(long, value_name = "USD")]
    budget: Option<MicroUsd>,

    /// A model that may be called, `*` standing for any text; may be given again. Without it, all
    #[arg(long = "model", value_name = "PATTERN")]
    models: Vec<String>,

    /// Write every exchange that passes into this file, which must not exist
    #[arg(long, value_name = "CASSETTE", conflicts_with = "replay")]
    record: Option<PathBuf>,

    /// Pass nothing on: answer from what was recorded into this file, without any key
    #[arg(long, value_name = "CASSETTE")]
    replay: Option<PathBuf>,

    /// Let other machines reach it; nothing that passes is encrypted, so put TLS before it
    #[arg(long)]
    anywhere: bool,
}

impl Gateway {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.serving_service()?;
        let Self { listen, budget, models, record, replay, anywhere } = self;
        let replays = replay.is_some();
        let tape = record.map(Tape::Record).or(replay.map(Tape::Replay));
        let request = GatewayRequest { listen, budget, models, anywhere, tape };
        runtime::drive(async {
            let mut interrupts = Interrupts::listen()?;
            let gateway = service.gateway(&request).await?;
            let (url, token) = (gateway.url(), gateway.token().expose());
            if console.json {
                console.document_line(&json!({
                    "schema": "orchestrator.listening/v1", "url": url, "token": token, "login": null,
                }))?;
            } else {
                console.data(&variables(&url, token))?;
            }
            gateway.note().into_iter().for_each(|note| console.say(note));
            let named: Vec<String> = gateway.providers().iter().map(ToString::to_string).collect();
            console.say(&match replays {
                true => "answering from the cassette; nothing is passed on; Ctrl-C ends it".into(),
                false => format!("passing calls on to {}; Ctrl-C ends it", named.join(", ")),
            });
            let passed = gateway.serve(async move { interrupts.next().await }).await?;
            if replays {
                let answers = text::counted(passed.replayed, "answer");
                console.say(&format!("{answers} replayed; nothing was spent"));
                return Ok(Exit::Done);
            }
            let calls = text::counted(passed.calls, "call");
            console.say(&format!("{calls} passed, ${}", passed.usd));
            Ok(Exit::Done)
        })
    }
}

/// What a shell sets so that the usual programs call through the gateway.
fn variables(url: &str, token: &str) -> String {
    let lines = gateway_variables(url, token);
    lines.iter().map(|(name, value)| format!("export {name}={value}\n")).collect()
}
