use super::*;
use crate::config::edit::set;
use std::fs;
use tempfile::TempDir;

struct Fixture {
    folder: TempDir,
    environment: Environment,
}

impl Fixture {
    fn new(project: &str, user: &str, dot_env: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("p/.orchestrator")).unwrap();
        fs::create_dir_all(root.join("x/orchestrator")).unwrap();
        fs::write(root.join("p/.orchestrator/config.toml"), project).unwrap();
        fs::write(root.join("x/orchestrator/config.toml"), user).unwrap();
        fs::write(root.join("p/.env"), dot_env).unwrap();
        let home = ("XDG_CONFIG_HOME".to_owned(), root.join("x").display().to_string());
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let environment = Environment::new(variables.chain([home]), root.to_owned());
        Self { folder, environment }
    }

    fn files(&self) -> ConfigFiles {
        ConfigFiles::of(&self.folder.path().join("p"), &self.environment)
    }

    fn load(&self, flags: &[(&str, &str)]) -> Result<Config, ServiceError> {
        let flags: Vec<_> = flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Config::load(&self.files(), &self.environment, &flags)
    }
}

#[test]
fn a_stronger_layer_wins_setting_by_setting() {
    let user = "[defaults]\nmax-parallel = 1\ntimeout = '1m'\n[budget]\nusd-per-run = 5.00\n";
    let project = "[defaults]\nmax-parallel = 2\n";
    let dot_env = "# note\nexport ORCHESTRATOR_DEFAULTS__MAX_PARALLEL=3\nOTHER='a b'\n";
    let variables = [("ORCHESTRATOR_DEFAULTS__MAX_PARALLEL", "5"), ("ORCHESTRATOR_RUN", "r_1")];
    let check = |fixture: &Fixture, flags: &[(&str, &str)], expected: u32, layer: &str| {
        let config = fixture.load(flags).unwrap();
        assert_eq!(config.settings().defaults.max_parallel, Some(expected));
        let shown = config.get("defaults.max-parallel").unwrap();
        assert_eq!(shown.items[0].layer, layer);
    };
    check(&Fixture::new("", "", "", &[]), &[], 4, "default");
    check(&Fixture::new("", user, "", &[]), &[], 1, "user");
    check(&Fixture::new(project, user, "", &[]), &[], 2, "project");
    check(&Fixture::new(project, user, dot_env, &[]), &[], 3, ".env");
    let all = Fixture::new(project, user, dot_env, &variables);
    check(&all, &[], 5, "environment");
    check(&all, &[("defaults.max-parallel", "6")], 6, "flag");
    let config = all.load(&[]).unwrap();
    assert_eq!(config.settings().budget.usd_per_run, Some("5".parse().unwrap()));
    assert_eq!(config.settings().defaults.timeout, Some(std::time::Duration::from_secs(60)));
    assert_eq!(config.variable("OTHER"), Some("a b"));
    let origin = &config.get("budget").unwrap().items[0].origin;
    assert!(origin.ends_with("x/orchestrator/config.toml:5"), "{origin}");
}

#[test]
fn what_is_wrong_has_a_code_a_place_and_a_hint() {
    let check = |project: &str, code: &str, place: (usize, usize), hint: &str| {
        let error = Fixture::new(project, "", "", &[]).load(&[]).unwrap_err();
        let found = &error.diagnostics()[0];
        assert_eq!(
            (found.code, found.line, found.column),
            (code, Some(place.0), Some(place.1)),
            "{found}"
        );
        let text = format!("{found} {}", found.suggestion.clone().unwrap_or_default());
        assert!(text.contains(hint), "{text}");
    };
    check("[defaults]\nmax-paralel = 4", "ORC-0103", (2, 1), "did you mean `max-parallel`?");
    check("[default]\nmax-parallel = 4", "ORC-0103", (2, 1), "did you mean `defaults`?");
    check("[defaults]\n  max-parallel = 'x'", "ORC-0104", (2, 3), "whole number");
    check("[defaults]\nmax-parallel = 0", "ORC-0104", (2, 1), "from 1");
    check("[defaults]\ntimeout = 5", "ORC-0104", (2, 1), "duration");
    check("defaults = 5", "ORC-0104", (1, 1), "section");
    check("[budget]\nusd-per-run = -1", "ORC-0104", (2, 1), "dollars");
    check("[budget]\nusd-per-run = 0.0000001", "ORC-0104", (2, 1), "dollars");
    check("[providers.x]\nkind = 'antropic'", "ORC-0104", (2, 1), "did you mean `anthropic`?");
    check("[providers.x]\nkey = 'sk-123'", "ORC-0104", (2, 1), "never hold it");
    check("[providers.x]\nkey = { env = 'A', secret = 'B' }", "ORC-0104", (2, 20), "two places");
    check("[agents.\"a b\"]\nrole = 'dev'", "ORC-0104", (2, 1), "letters");
    check("[agents.a]\nfall-back = 3", "ORC-0104", (2, 1), "list");
    check("[prices.m]\ninput = 1", "ORC-0104", (2, 1), "output");
    check("x = [", "ORC-0102", (1, 6), "TOML");
    check("a = 1\na = 2", "ORC-0102", (2, 1), "duplicate");
}

#[test]
fn a_misplaced_key_is_never_shown() {
    let fixture = Fixture::new("[providers.x]\nkey = 'sk-very-secret'", "", "", &[]);
    let error = fixture.load(&[]).unwrap_err();
    assert!(!error.to_string().contains("sk-very-secret"));
    let fixture = Fixture::new("", "", "sk-very-secret\n", &[]);
    let error = fixture.load(&[]).unwrap_err();
    assert_eq!(error.code(), "ORC-0703");
    assert!(!format!("{error} {error:?}").contains("sk-very-secret"));
}

#[test]
fn every_problem_of_every_layer_is_told() {
    let variables = [("ORCHESTRATOR_DEFAULTS__NOPE", "5")];
    let fixture = Fixture::new("[a]\nb = 1\n[c]\nd = 1", "e = 1", "x", &variables);
    assert_eq!(fixture.load(&[]).unwrap_err().diagnostics().len(), 5);
}

#[test]
fn a_key_has_one_place_and_the_stronger_layer_says_which() {
    let user = "[providers.own]\nkind = 'openai-chat'\nkey = { secret = 'a' }";
    let project = "[providers.own]\nkey.env = 'B'";
    let config = Fixture::new(project, user, "", &[]).load(&[]).unwrap();
    assert_eq!(config.settings().providers["own"].key, Some(KeySource::Env("B".into())));
    let variables = [("ORCHESTRATOR_PROVIDERS__OWN__KEY__SECRET", "c")];
    let config = Fixture::new(project, user, "", &variables).load(&[]).unwrap();
    assert_eq!(config.settings().providers["own"].key, Some(KeySource::Secret("c".into())));
}

#[test]
fn a_variable_finds_the_entry_that_it_cannot_spell() {
    let project = "[agents.My_Dev]\nrole = 'dev'\n[prices.\"gpt-4.1\"]\ninput = 1\noutput = 1\n";
    let variables = [
        ("ORCHESTRATOR_AGENTS__MY_DEV__MODEL", "m"),
        ("ORCHESTRATOR_PRICES__GPT_4_1__OUTPUT", "2"),
    ];
    let config = Fixture::new(project, "", "", &variables).load(&[]).unwrap();
    assert_eq!(config.settings().agents["My_Dev"].model.as_deref(), Some("m"));
    assert_eq!(config.settings().prices["gpt-4.1"].output, Some("2".parse().unwrap()));
}

#[test]
fn setting_a_value_keeps_the_rest_of_the_file() {
    let before =
        "# mine\n[defaults]\nmax-parallel = 2 # few\n\n[providers.own] # local\nkind = 'ollama'\n";
    let check = |key: &str, value: &str, expected: &str| {
        let fixture = Fixture::new(before, "", "", &[]);
        let file = set(&fixture.files(), ConfigScope::Project, key, value).unwrap();
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains(expected), "{text}");
        assert!(text.starts_with("# mine\n[defaults]\n") && text.contains("# local"), "{text}");
        fixture.load(&[]).unwrap();
    };
    check("defaults.max-parallel", "8", "max-parallel = 8 # few\n");
    check("budget.usd-per-run", "2.50", "[budget]\nusd-per-run = 2.5\n");
    check("budget.usd-per-run", "3", "[budget]\nusd-per-run = 3\n");
    check("agents.dev.fall-back", "a, b", "[agents.dev]\nfall-back = [\"a\", \"b\"]\n");
    check("providers.own.key.env", "K", "kind = 'ollama'\nkey = { env = \"K\" }\n");
    check("telemetry.otlp-endpoint", "http://x", "[telemetry]\notlp-endpoint = \"http://x\"\n");
}

#[test]
fn a_value_that_does_not_fit_leaves_the_file_alone() {
    let fixture = Fixture::new("# mine\n", "", "", &[]);
    let check = |key: &str, value: &str, code: &str| {
        let error = set(&fixture.files(), ConfigScope::Project, key, value).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let text = fs::read_to_string(&fixture.files().project).unwrap();
        assert_eq!(text, "# mine\n");
    };
    check("defaults.max-parallel", "many", "ORC-0104");
    check("defaults.nope", "1", "ORC-0103");
    check("defaults", "1", "ORC-0104");
    check("provders.x.kind", "anthropic", "ORC-0103");
    check("not a key", "1", "ORC-0103");
    check("providers.x.key", "sk-1", "ORC-0104");
    let user = set(&fixture.files(), ConfigScope::User, "defaults.max-parallel", "3").unwrap();
    assert_eq!(Some(user), fixture.files().user);
}

#[test]
fn quotes_in_dot_env_are_read() {
    let text = "A=plain # note\nB=\"x\\ny # no\" # note\nC='it # is'\nD=\nE=a#b\n";
    let config = Fixture::new("", "", text, &[]).load(&[]).unwrap();
    let check = |name: &str, expected: Option<&str>| {
        assert_eq!(config.variable(name), expected, "{name}");
    };
    check("A", Some("plain"));
    check("B", Some("x\ny # no"));
    check("C", Some("it # is"));
    check("D", None);
    check("E", Some("a#b"));
    for bad in ["novalue", "1A=x", "A B=x", "A='x", "A=\"x", "A='x' y"] {
        let error = Fixture::new("", "", bad, &[]).load(&[]).unwrap_err();
        assert_eq!(error.code(), "ORC-0703", "{bad}");
    }
}
