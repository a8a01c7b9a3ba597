use crate::roster::{Member, Roster, tests::roster};
use orchestrator_core::route::RouteOrder;

const KEYS: [(&str, &str); 2] = [("ANTHROPIC_API_KEY", "k"), ("OPENAI_API_KEY", "k")];

/// Servers of one's own with models that are known by their names, and one that is not.
const SERVERS: &str = "[providers.a]\nkind = 'openai-chat'\nbase-url = 'http://127.0.0.1:1'\n\
    [providers.b]\nkind = 'anthropic'\nbase-url = 'http://127.0.0.1:2'\n\
    [agents.x]\nprovider = 'a'\nmodel = 'gpt-6-luna'\n\
    [agents.y]\nprovider = 'b'\nmodel = 'claude-opus-5-5'\n\
    [agents.z]\nprovider = 'a'\nmodel = 'home-made'\n";

fn member(roster: &Roster, name: &str) -> Member {
    roster.get(name).unwrap().clone()
}

/// The models that agent `dev` may ask.
fn models(settings: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let dev = member(&roster(settings, variables), "dev");
    assert!(dev.unusable.is_none(), "{settings}: {:?}", dev.unusable);
    let route = dev.spec.route.expect("a rule");
    assert_eq!(dev.spec.provider, route.models[0].provider);
    assert_eq!(dev.spec.model.as_deref(), Some(route.models[0].model.as_str()));
    route.models.iter().map(ToString::to_string).collect()
}

/// The code and the hint of what is wrong with agent `dev`.
fn refused(settings: &str, variables: &[(&str, &str)]) -> (String, String) {
    let wrong = member(&roster(settings, variables), "dev").unusable.expect(settings);
    let hint = wrong.suggestion.clone().unwrap_or_default();
    (wrong.code.to_string(), format!("{wrong} {hint}"))
}

#[test]
fn built_in_rules_find_models_by_what_is_known_of_them() {
    let check = |rule: &str, variables: &[(&str, &str)], expected: &[&str]| {
        let settings = format!("[agents.dev]\nmodel = '{rule}'\n");
        assert_eq!(models(&settings, variables), expected, "{rule}");
    };
    check(
        "cheap",
        &KEYS[..1],
        &[
            "anthropic/claude-haiku-4-5",
            "anthropic/claude-sonnet-5-5",
            "anthropic/claude-opus-5-5",
            "anthropic/claude-fable-5-1",
        ],
    );
    check(
        "cheap",
        &KEYS[1..],
        &["openai/gpt-6-luna", "openai/gpt-6.1-terra", "openai/gpt-6.1-sol", "openai/gpt-6-astra"],
    );
    check(
        "fast",
        &KEYS,
        &[
            "openai/gpt-6-luna",
            "anthropic/claude-haiku-4-5",
            "openai/gpt-6.1-terra",
            "anthropic/claude-sonnet-5-5",
        ],
    );
    check(
        "strong",
        &KEYS,
        &[
            "anthropic/claude-fable-5-1",
            "anthropic/claude-opus-5-5",
            "openai/gpt-6-astra",
            "openai/gpt-6.1-sol",
        ],
    );
    check("code", &KEYS[..1], &["anthropic/claude-opus-5-5", "anthropic/claude-sonnet-5-5"]);
    check("code", &[("GEMINI_API_KEY", "k")], &["gemini/gemini-3.5-flash"]);
}

#[test]
fn a_server_of_ones_own_has_the_models_that_the_settings_name() {
    let check = |rule: &str, expected: &[&str]| {
        let settings = format!("{SERVERS}[agents.dev]\nmodel = '{rule}'\n");
        assert_eq!(models(&settings, &[]), expected, "{rule}");
    };
    check("cheap", &["a/gpt-6-luna", "b/claude-opus-5-5"]);
    check("strong", &["b/claude-opus-5-5", "a/gpt-6-luna"]);
    check("fast", &["a/gpt-6-luna"]);
    // What is free is cheapest.
    let local = "[providers.mine]\nkind = 'ollama'\n[agents.x]\nmodel = 'm'\nprovider = 'mine'\n\
                 [agents.dev]\nmodel = 'cheap'\n";
    assert_eq!(models(local, &[]), ["mine/m"]);
}

#[test]
fn auto_leaves_the_order_to_the_work() {
    let roster = roster("[agents.dev]\nmodel = 'auto'\n", &KEYS);
    let route = member(&roster, "dev").spec.route.unwrap();
    assert_eq!(route.order, RouteOrder::ByWork);
    assert!(route.models.len() > 4 && route.models.iter().all(|model| model.class.is_some()));
    let own = format!(
        "{SERVERS}[models.auto]\nuse = ['a/home-made', 'b/claude-opus-5-5']\n\
                       [agents.dev]\nmodel = 'auto'\n"
    );
    let route = member(&super::super::tests::roster(&own, &[]), "dev").spec.route.unwrap();
    assert_eq!(route.order, RouteOrder::ByWork);
    assert!(route.models.iter().all(|model| model.class.is_none()), "their places count");
}

#[test]
fn rules_of_the_settings_are_lists_of_models_and_go_first() {
    let check = |rules: &str, agent: &str, expected: &[&str]| {
        let settings = format!("{SERVERS}{rules}\n[agents.dev]\n{agent}\n");
        assert_eq!(models(&settings, &[]), expected, "{rules} {agent}");
    };
    let two = "[models.house]\nuse = ['a/home-made', 'b/claude-opus-5-5', 'a/org/with/slashes']";
    check(two, "model = 'house'", &["a/home-made", "b/claude-opus-5-5", "a/org/with/slashes"]);
    check(two, "model = 'house'\nprovider = 'b'", &["b/claude-opus-5-5"]);
    // A model that is called like a rule is reached by a rule, even of that very name.
    check("[models.fast]\nuse = ['a/fast']", "model = 'fast'", &["a/fast"]);
    check("[models.mine]\nuse = ['a/cheap']", "model = 'mine'", &["a/cheap"]);
}

#[test]
fn a_provider_that_is_called_like_a_rule_is_a_provider() {
    let settings = "[providers.fast]\nkind = 'openai-chat'\nbase-url = 'http://127.0.0.1:1'\n\
                    [agents.dev]\nprovider = 'fast'\nmodel = 'm'\n\
                    [agents.qa]\nmodel = 'house'\n[models.house]\nuse = ['fast/fast']\n";
    let roster = roster(settings, &[]);
    let dev = member(&roster, "dev").spec;
    assert_eq!((dev.provider.as_str(), dev.model.as_deref()), ("fast", Some("m")));
    assert!(dev.route.is_none());
    let qa = member(&roster, "qa").spec;
    assert_eq!((qa.provider.as_str(), qa.model.as_deref()), ("fast", Some("fast")));
}

#[test]
fn what_cannot_be_a_rule_says_so() {
    let check = |settings: &str, variables: &[(&str, &str)], code: &str, told: &str| {
        let (found, words) = refused(settings, variables);
        assert_eq!(found, code, "{words}");
        assert!(words.contains(told), "no `{told}` in {words}");
    };
    check("[agents.dev]\nmodel = 'chep'", &KEYS, "ORC-0566", "did you mean `cheap`?");
    let own = "[models.house]\nuse = ['anthropic/x']\n[agents.dev]\nmodel = 'hause'";
    check(own, &KEYS, "ORC-0566", "did you mean `house`?");
    check("[agents.dev]\nmodel = 'code'", &[], "ORC-0567", "[models.code]");
    let only = format!("{SERVERS}[agents.dev]\nmodel = 'fast'\nprovider = 'b'");
    check(&only, &[], "ORC-0567", "provider `b`");
    let listed =
        |list: &str| format!("{SERVERS}[models.m]\nuse = [{list}]\n[agents.dev]\nmodel = 'm'");
    check(&listed(""), &[], "ORC-0568", "lists no model");
    check(&listed("'gpt-5'"), &[], "ORC-0568", "`a/gpt-5`");
    check(&listed("'c/gpt-5'"), &[], "ORC-0568", "no such provider");
    let broken =
        "[providers.p]\nkind = 'anthropic'\n[models.m]\nuse = ['p/x']\n[agents.dev]\nmodel = 'm'";
    check(broken, &[], "ORC-0516", "ANTHROPIC_API_KEY");
}

#[test]
fn names_of_models_are_left_as_they_are() {
    let check = |settings: &str, variables: &[(&str, &str)], model: &str| {
        let dev = member(&roster(settings, variables), "dev");
        assert!(dev.unusable.is_none() && dev.spec.route.is_none(), "{:?}", dev.unusable);
        assert_eq!(dev.spec.model.as_deref(), Some(model));
    };
    check("[agents.dev]\nmodel = 'claude-haiku-4-5'", &KEYS, "claude-haiku-4-5");
    check("[agents.dev]\nmodel = 'brand-new-model'", &KEYS, "brand-new-model");
    // Another server may call its models as it likes.
    check(&format!("{SERVERS}[agents.dev]\nprovider = 'a'\nmodel = 'chep'"), &[], "chep");
}

#[test]
fn rules_for_programs_have_models_of_every_form_of_requests() {
    let keys = [KEYS[0], KEYS[1], ("GEMINI_API_KEY", "k"), ("DEEPSEEK_API_KEY", "k")];
    let roster = roster("", &keys);
    let route = |rule: &str| roster.routes().iter().find(|route| route.rule == rule).expect(rule);
    let of = |rule: &str, provider: &str| {
        let models = route(rule).models.iter();
        models.filter(|model| model.provider.as_str() == provider).count()
    };
    for (provider, most) in [("anthropic", 4), ("openai", 4), ("gemini", 4), ("deepseek", 4)] {
        assert!((1..=most).contains(&of("cheap", provider)), "{provider}");
    }
    assert_eq!((of("cheap", "anthropic"), of("cheap", "openai")), (4, 4));
    let prices: Vec<_> = route("cheap").models.iter().map(|model| model.price).collect();
    assert!(prices.is_sorted(), "{prices:?}");
    assert_eq!(route("auto").order, RouteOrder::ByWork);
    assert_eq!(roster.routes().len(), 5);
}

#[test]
fn a_program_whose_model_is_a_rule_may_call_what_that_comes_to() {
    let settings = "[models.wrong]\nuse = ['nowhere/m']\n\
        [agents.p]\nprovider = 'command'\ncommand = ['x']\nmodel = 'cheap'\n\
        [agents.q]\nprovider = 'command'\ncommand = ['x']\nmodel = 'cheap'\nmodels = ['a-*']\n\
        [agents.r]\nprovider = 'command'\ncommand = ['x']\nmodel = 'm'\n";
    let roster = roster(settings, &KEYS[..1]);
    let program = |name: &str| member(&roster, name).program.expect("a program");
    let (p, q, r) = (program("p"), program("q"), program("r"));
    assert_eq!(p.rule.as_deref(), Some("cheap"));
    assert!(["cheap", "claude-haiku-4-5"].iter().all(|it| p.models.iter().any(|has| has == it)));
    assert_eq!((q.rule.as_deref(), q.models), (Some("cheap"), vec!["a-*".to_owned()]));
    assert_eq!((r.rule, r.models), (None, vec!["m".to_owned()]));
    assert_eq!(member(&roster, "p").spec.model.as_deref(), Some("cheap"), "what it is told");
    let wrong = roster.routes().iter().find(|route| route.rule == "wrong").expect("a rule");
    assert!(wrong.models.is_empty() && wrong.why.contains("no such provider"), "{}", wrong.why);
}
