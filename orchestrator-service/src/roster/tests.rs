use super::*;
use crate::{Environment, config::ConfigFiles};
use orchestrator_core::{schedule::LimitPolicy, time::Timestamp};

pub(super) fn roster(settings: &str, variables: &[(&str, &str)]) -> Roster {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join(".orchestrator");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), settings).unwrap();
    let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    let environment = Environment::new(variables, folder.path().to_owned());
    let files = ConfigFiles::of(folder.path(), &environment);
    Roster::new(&Config::load(&files, &environment, &[]).unwrap(), &|| Ok(Vec::new()))
}

/// Who calls a model and can work: name, provider and model.
fn models(roster: &Roster) -> Vec<String> {
    let members = roster.members.values().filter(|m| m.calls_model() && m.unusable.is_none());
    members
        .map(|member| {
            let spec = &member.spec;
            format!("{} {} {}", spec.name, spec.provider, spec.model.as_deref().unwrap_or("-"))
        })
        .collect()
}

#[test]
fn keys_that_are_found_make_the_five_roles() {
    let check = |settings: &str, variables: &[(&str, &str)], expected: &[&str]| {
        assert_eq!(models(&roster(settings, variables)), expected, "{settings} {variables:?}");
    };
    check("", &[], &[]);
    let all = |provider: &str, model: &str| {
        ["dev", "docs", "pm", "qa", "security"].map(|role| format!("{role} {provider} {model}"))
    };
    for usual in &USUAL {
        let expected = all(usual.name, usual.model);
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check("", &[(usual.variable, "k")], &expected);
    }
    let both = [("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")];
    assert_eq!(models(&roster("", &both)).len(), 5);
    assert!(models(&roster("", &both))[0].starts_with("dev anthropic "));
    // A provider that was chosen keeps the found keys out.
    check("[providers.x]\nkind = 'ollama'", &both, &[]);
}

/// A provider without a `key` takes that which is usual for its kind.
#[test]
fn kinds_find_their_usual_key() {
    for (kind, variable, model) in [
        ("openai-responses", "OPENAI_API_KEY", "gpt-5.4-mini"),
        ("gemini", "GEMINI_API_KEY", "gemini-3.5-flash"),
        ("gemini", "GOOGLE_API_KEY", "gemini-3.5-flash"),
    ] {
        let settings = format!("[providers.x]\nkind = '{kind}'");
        assert_eq!(models(&roster(&settings, &[])), [""; 0], "{kind}");
        let found = models(&roster(&settings, &[(variable, "k")]));
        assert_eq!(found.first(), Some(&format!("dev x {model}")), "{kind} {variable}");
        let elsewhere = format!("{settings}\nbase-url = 'http://127.0.0.1:1'");
        assert_eq!(models(&roster(&elsewhere, &[])), [""; 0], "another server has other models");
    }
    let both = [("GOOGLE_API_KEY", "k"), ("GEMINI_API_KEY", "k")];
    assert!(models(&roster("", &both))[0].starts_with("dev gemini "));
}

#[test]
fn one_agent_is_enough_for_every_role() {
    let settings = "[providers.x]\nkind = 'ollama'\n[agents.reviewer]\nrole = 'qa'\nmodel = 'm'\n";
    let roster = roster(settings, &[]);
    assert_eq!(models(&roster), ["dev x m", "docs x m", "pm x m", "reviewer x m", "security x m"]);
}

#[test]
fn the_analysts_are_always_there() {
    for settings in ["", "[agents.x]\nprovider = 'nope'"] {
        let roster = roster(settings, &[]);
        for role in Role::KNOWN {
            let member = roster.get(&format!("builtin-{role}")).unwrap();
            assert!(member.unusable.is_none() && !member.calls_model());
        }
        assert!(!roster.has_model());
    }
}

#[test]
fn the_usual_models_have_a_price_and_own_prices_win() {
    for usual in &USUAL {
        let roster = roster("", &[(usual.variable, "k")]);
        let spec = &roster.get("dev").unwrap().spec;
        assert!(roster.price(spec).is_some(), "{}", usual.model);
    }
    let own = "[prices.claude-sonnet-4-5]\ninput = 1\noutput = 0.000001\n";
    let roster = roster(own, &[("ANTHROPIC_API_KEY", "k")]);
    let price = roster.price(&roster.get("dev").unwrap().spec).unwrap();
    let usage = orchestrator_core::usage::Usage {
        input: orchestrator_core::usage::TokenCount(1_000_000),
        output: orchestrator_core::usage::TokenCount(1_000_000),
        ..Default::default()
    };
    assert_eq!(price.cost(&usage, Timestamp(0)).unwrap().to_string(), "1.000001");
}

fn limits(settings: &str) -> LimitPolicy {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join(".orchestrator");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), settings).unwrap();
    let environment = Environment::new([], folder.path().to_owned());
    let files = ConfigFiles::of(folder.path(), &environment);
    let config = Config::load(&files, &environment, &[]).unwrap();
    Roster::new(&config, &|| Ok(Vec::new())).limits(config.settings())
}

fn shown(limits: &LimitPolicy) -> Vec<(&str, u32)> {
    limits.providers.iter().map(|(name, most)| (name.as_str(), *most)).collect()
}

#[test]
fn limits_are_those_of_the_settings() {
    let settings = "[limits]\nconcurrent = 9\nper-project = 5\n[providers.x]\nkind = 'ollama'\n\
                    limits = { concurrent = 3 }\n[providers.y]\nkind = 'ollama'\n\
                    [agents.dev]\nprovider = 'x'\nmodel = 'm'\nmax-parallel = 2\n";
    let limits = limits(settings);
    assert_eq!((limits.global, limits.per_project), (Some(9), Some(5)));
    assert_eq!(shown(&limits), [("x", 3)]);
    let agents: Vec<_> = limits.agents.iter().map(|(n, most)| (n.as_str(), *most)).collect();
    assert_eq!(agents, [("dev", 2)]);
}

#[test]
fn a_provider_takes_as_many_as_its_accounts_together() {
    let lab = "[providers.x]\nkind = 'ollama'\n[providers.x.accounts.a]\n\
               limits = { concurrent = 3 }\n[providers.x.accounts.b]\n\
               base-url = 'http://127.0.0.1:1'\n";
    assert_eq!(shown(&limits(lab)), [("x.a", 3)], "the other has no bound");
    let both = format!("{lab}[providers.x.limits]\nconcurrent = 2\n");
    assert_eq!(shown(&limits(&both)), [("x", 5), ("x.a", 3), ("x.b", 2)]);
}

#[test]
fn accounts_have_from_their_provider_what_they_do_not_set() {
    let settings = "[providers.lab]\nkind = 'anthropic'\nbase-url = 'http://127.0.0.1:1'\n\
                    key = { env = 'COMMON' }\n\
                    limits = { requests-per-minute = 5, input-tokens-per-minute = 7 }\n\
                    [providers.lab.accounts.a]\nkey = { env = 'OWN' }\n\
                    [providers.lab.accounts.b]\nbase-url = 'http://127.0.0.1:2'\n\
                    limits = { requests-per-minute = 6 }\n[agents.dev]\nmodel = 'm'\n";
    let roster = roster(settings, &[("COMMON", "common"), ("OWN", "own")]);
    let shown: Vec<_> = roster
        .usable(&BTreeMap::new())
        .map(|it| {
            let key = it.key.as_ref().map(|key| key.expose().to_owned());
            let most = it.limits.requests_per_minute.map(u32::from);
            let input = it.limits.input_tokens_per_minute.map(u32::from);
            (it.name.to_string(), it.base_url.clone(), key, most, input)
        })
        .collect();
    let account = |name: &str, port, key: &str, most| {
        let place = format!("http://127.0.0.1:{port}");
        (name.to_owned(), Some(place), Some(key.to_owned()), Some(most), Some(7))
    };
    assert_eq!(shown, [account("lab.a", 1, "own", 5), account("lab.b", 2, "common", 6)]);
    // The provider is the only one there is, and its accounts are no providers of their own.
    assert_eq!(models(&roster).first().map(String::as_str), Some("dev lab m"));
    let one = settings.replace("[agents.dev]\n", "[agents.dev]\nprovider = 'lab.b'\n");
    let roster = self::roster(&one, &[("COMMON", "common")]);
    assert_eq!(models(&roster).first().map(String::as_str), Some("dev lab.b m"));
    let lost = one.replace("lab.b'", "lab.c'");
    assert_eq!(models(&self::roster(&lost, &[("COMMON", "common")])), [""; 0]);
}
