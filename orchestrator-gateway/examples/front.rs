//! A front before providers of your own, for trying clients out:
//! `front anthropic=URL openai=URL gemini=URL`.
//!
//! Takes the key of all of them from `FRONT_KEY`, models and a budget in USD from `FRONT_MODELS`
//! (default `*`) and `FRONT_BUDGET` (default 1), more prices as TOML from `FRONT_PRICES`, and prints one line of JSON with its address and a
//! token. It ends when its standard input does, and then prints what was spent and how
//! many requests were refused.
#![expect(clippy::print_stdout, reason = "an example tells what it does")]

use orchestrator_core::{
    engine::SystemClock,
    id::{OwnerId, ProviderName, RunId},
    ledger::{Payer, Rule, Scope, ScopeKind, Unit, Window},
    memory::MemoryStore,
    money::MicroUsd,
    port::Ledger,
    time::Timestamp,
};
use orchestrator_gateway::{
    SecretString,
    front::{Api, Front, FrontConfig, FrontEvent, FrontObserver, Grant, Tokens, Upstream},
    prices::PriceTable,
};
use std::{
    env,
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counts what is refused.
#[derive(Default)]
struct Refusals(AtomicU64);

impl FrontObserver for Refusals {
    fn told(&self, event: FrontEvent) {
        if matches!(event, FrontEvent::Refused { .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str, default: &str| env::var(name).unwrap_or(default.to_owned());
    let budget: MicroUsd = variable("FRONT_BUDGET", "1").parse()?;
    let run = RunId::new("example")?;
    let (ledger, tokens) = (Arc::new(MemoryStore::default()), Arc::new(Tokens::new()));
    let (owner, refusals) = (OwnerId::new("example")?, Arc::new(Refusals::default()));
    let mut config = FrontConfig::new(owner, ledger.clone(), tokens.clone(), Arc::new(SystemClock))
        .with_observer(refusals.clone())
        .with_prices(PriceTable::built_in().with_overrides(&variable("FRONT_PRICES", ""))?);
    let mut payer = Payer::new(ProviderName::new("none")?, "");
    payer.run = Some(run.clone());
    let mut grant = Grant::new(payer, Timestamp(u64::MAX))
        .with_models(variable("FRONT_MODELS", "*").split(','))
        .with_rules([Rule::hard(ScopeKind::Run, Window::Total, Unit::Usd, budget.0)]);
    for argument in env::args().skip(1) {
        let (api, url) = argument.split_once('=').ok_or("write API=URL")?;
        let apis = [Api::Anthropic, Api::OpenAi, Api::Gemini];
        let api = apis.into_iter().find(|known| known.as_str() == api).ok_or("no such API")?;
        let account = ProviderName::new(api.as_str())?;
        let key = SecretString::new(variable("FRONT_KEY", ""));
        config = config.with_upstream(Upstream::new(account.clone(), api, url)?.with_key(key)?);
        grant = grant.with_accounts([account]);
    }
    let token = tokens.issue(grant)?;
    let front = Front::bind(([127, 0, 0, 1], 0).into(), config).await?;
    println!(r#"{{"url":"http://{}","token":"{}"}}"#, front.address(), token.expose());
    let until = async {
        let _ = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await;
    };
    front.serve(until).await;
    let (used, held) = ledger.sums(&Scope::Run(run), Timestamp(0)).await?;
    println!(
        r#"{{"usd":"{}","tokens":{},"requests":{},"held":"{}","refused":{}}}"#,
        MicroUsd(used.usd),
        used.tokens,
        used.requests,
        MicroUsd(held.usd),
        refusals.0.load(Ordering::Relaxed)
    );
    Ok(())
}
