//! Every secret below is made of pieces at run time, so that this file holds none.

use super::*;

/// Characters that look random, the same ones each time.
fn random(length: usize, alphabet: &str) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            letters[usize::try_from(state % letters.len() as u64).unwrap()]
        })
        .collect()
}

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DIGITS: &str = "0123456789";

fn alnum(length: usize) -> String {
    random(length, ALNUM)
}

fn hex(length: usize) -> String {
    random(length, HEX)
}

fn key(kind: &str) -> String {
    let header = format!("-----BEGIN {kind}PRIVATE {}-----", "KEY");
    let body: Vec<String> = (0..4).map(|_| alnum(64)).collect();
    format!("{header}\n{}\n-----END {kind}PRIVATE {}-----\n", body.join("\n"), "KEY")
}

fn rules(path: &str, text: &str) -> Vec<String> {
    Scanner::shared()
        .scan(text, Context::of(path))
        .hits
        .into_iter()
        .map(|hit| hit.rule.trim_start_matches("security/").to_owned())
        .collect()
}

#[test]
fn every_rule_compiles_and_holds_its_keywords() {
    let scanner = Scanner::build();
    assert!(scanner.is_ready());
    for (at, rule) in RULES.iter().enumerate() {
        assert!(scanner.pattern(at).is_some(), "{}", rule.id);
        assert!(!rule.keywords.is_empty(), "{}", rule.id);
    }
}

#[test]
fn every_provider_format_is_found() {
    let jwt = {
        // {"alg":"HS256","typ":"JWT"} and {"sub":"u-77","aud":"prod"}
        let header = concat!("eyJ", "hbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");
        let claims = concat!("eyJ", "zdWIiOiJ1LTc3IiwiYXVkIjoicHJvZCJ9");
        format!("{header}.{claims}.{}", alnum(43))
    };
    let escaped = alnum(300);
    let cases: Vec<(&str, String)> = vec![
        ("private-key", key("RSA ")),
        ("private-key", key("OPENSSH ")),
        ("private-key", key("ENCRYPTED ")),
        ("private-key", format!("KEY = \"{}\"", key("EC ").replace('\n', "\\n"))),
        (
            "gcp-service-account",
            format!("  \"private_key\": \"-----BEGIN PRIVATE {}-----\\n{escaped}\\n\",", "KEY"),
        ),
        (
            "age-key",
            format!("AGE-SECRET-{}-1{}", "KEY", random(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L")),
        ),
        ("aws-access-key", format!("id = '{}{}'", "AKIA", random(16, UPPER))),
        ("aws-secret-key", format!("aws_secret_access_key = {}", alnum(40))),
        ("aws-secret-key", format!("\"secretAccessKey\": \"{}\"", alnum(40))),
        ("azure-storage-key", format!("AccountName=a;AccountKey={}==;", alnum(86))),
        ("azure-shared-access-key", format!("SharedAccessKey={}=", alnum(43))),
        ("github-token", format!("{}_{}", "ghp", alnum(36))),
        ("github-token", format!("{}_{}", "ghs", alnum(36))),
        ("github-fine-grained-token", format!("{}_pat_{}_{}", "github", alnum(22), alnum(59))),
        ("gitlab-token", format!("{}-{}", "glpat", alnum(20))),
        (
            "slack-token",
            format!("{}-{}-{}-{}", "xoxb", random(12, DIGITS), random(12, DIGITS), alnum(24)),
        ),
        (
            "slack-webhook",
            format!(
                "https://hooks.slack.com/services/T{}/B{}/{}",
                random(9, UPPER),
                random(9, UPPER),
                alnum(24)
            ),
        ),
        (
            "discord-webhook",
            format!("https://discord.com/api/webhooks/{}/{}", random(18, DIGITS), alnum(68)),
        ),
        ("telegram-bot-token", format!("{}:{}{}", random(9, DIGITS), "AA", alnum(33))),
        ("stripe-live-key", format!("{}_live_{}", "sk", alnum(24))),
        ("stripe-test-key", format!("{}_test_{}", "sk", alnum(24))),
        ("stripe-webhook-secret", format!("{}_{}", "whsec", alnum(32))),
        ("twilio-auth-token", format!("TWILIO_AUTH_TOKEN={}", hex(32))),
        ("sendgrid-key", format!("{}.{}.{}", "SG", alnum(22), alnum(43))),
        ("mailgun-key", format!("{}-{}", "key", hex(32))),
        ("mailchimp-key", format!("{}-us12", hex(32))),
        ("npm-token", format!("{}_{}", "npm", alnum(36))),
        ("npm-auth-token", format!("//registry.example.io/:_authToken={}", alnum(32))),
        ("pypi-token", format!("{}-AgEIcHlwaS5vcmc{}", "pypi", alnum(90))),
        ("rubygems-key", format!("{}_{}", "rubygems", hex(48))),
        ("cargo-registry-token", format!("{}{}", "cio", alnum(32))),
        ("nuget-key", format!("{}{}", "oy2", random(43, "abcdefghijklmnopqrstuvwxyz0123456789"))),
        ("docker-hub-token", format!("{}_pat_{}", "dckr", alnum(27))),
        ("anthropic-key", format!("{}-ant-api03-{}", "sk", alnum(93))),
        ("openai-key", format!("{}-proj-{}", "sk", alnum(60))),
        ("openai-key", format!("{}-{}T3Blbk{}{}", "sk", alnum(20), "FJ", alnum(20))),
        ("groq-key", format!("{}_{}", "gsk", alnum(52))),
        ("hugging-face-token", format!("{}_{}", "hf", random(34, &ALNUM[..52]))),
        ("google-api-key", format!("key={}{}&x=1", "AIza", alnum(35))),
        ("google-oauth-secret", format!("{}-{}", "GOCSPX", alnum(28))),
        ("digitalocean-token", format!("{}_v1_{}", "dop", hex(64))),
        ("vault-token", format!("{}.{}", "hvs", alnum(90))),
        ("terraform-cloud-token", format!("{}.atlas{}.{}", alnum(14), "v1", alnum(67))),
        ("databricks-token", format!("{}{}", "dapi", hex(32))),
        ("shopify-token", format!("{}_{}", "shpat", hex(32))),
        ("new-relic-key", format!("{}-{}", "NRAK", random(27, UPPER))),
        ("grafana-token", format!("{}_{}_{}", "glsa", alnum(32), hex(8))),
        ("sentry-token", format!("{}_{}", "sntrys", alnum(100))),
        ("linear-key", format!("{}_api_{}", "lin", alnum(40))),
        ("postman-key", format!("{}-{}-{}", "PMAK", hex(24), hex(34))),
        ("atlassian-token", format!("{}{}", "ATATT3x", alnum(180))),
        ("supabase-token", format!("{}_{}", "sbp", hex(40))),
        ("jwt", format!("bearer {jwt}")),
        ("database-url-password", format!("postgres://app:{}@db.acme.io/app", alnum(12))),
        ("url-password", format!("https://ci:{}@git.acme.io/a.git", alnum(12))),
        ("hard-coded-credential", format!("const api_key = \"{}\"", alnum(24))),
    ];
    for (rule, text) in &cases {
        assert_eq!(rules("src/settings.py", text), [*rule], "{rule}");
        // In the middle of a long line of other things, as in minified code.
        if !matches!(*rule, "hard-coded-credential" | "private-key" | "gcp-service-account")
            && !text.contains('\n')
        {
            let long = format!("{} {text} {}", "var a=1;".repeat(900), "b(2);".repeat(900));
            assert_eq!(rules("src/app.js", &long), [*rule], "{rule} in a long line");
        }
    }
    for rule in RULES {
        assert!(cases.iter().any(|(id, _)| *id == rule.id), "no case for {}", rule.id);
    }
}

#[test]
fn look_alikes_are_not_found() {
    let base64 = random(40_000, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    let textbook = format!(
        "{}.{}.{}",
        concat!("eyJ", "hbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"),
        concat!("eyJ", "zdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0"),
        alnum(43)
    );
    let locks: String = (0..50)
        .map(|_| {
            format!("\"integrity\": \"sha512-{}==\",\n\"token\": \"{}\",\n", alnum(86), hex(40))
        })
        .collect();
    let cases: Vec<(&str, String)> = vec![
        ("a.py", format!("{}IOSFODNN7{}", "AKIA", "EXAMPLE")),
        ("a.py", format!("{}{}", "AKIA", "A".repeat(16))),
        ("a.py", format!("x{}{}", "AKIA", random(16, UPPER))),
        ("a.md", format!("{}_{}", "ghp", "x".repeat(36))),
        ("a.md", format!("{}-ant-api03-your-key-here{}", "sk", "0".repeat(70))),
        ("a.js", format!("data:image/png;base64,{base64}")),
        ("a.js", textbook),
        ("a.rs", format!("-----BEGIN PRIVATE {}-----", "KEY")),
        (
            "a.rs",
            format!(
                "if line == \"-----BEGIN RSA PRIVATE {}-----\" {{ return parse(line, options); }}",
                "KEY"
            ),
        ),
        ("a.pem", format!("-----BEGIN PUBLIC KEY-----\n{}\n", alnum(200))),
        ("package-lock.json", locks.clone()),
        ("yarn.lock", locks),
        ("a.ts", format!("const commit = \"{}\";", hex(40))),
        ("a.ts", "const id = \"550e8400-e29b-41d4-a716-446655440000\";".to_owned()),
        ("a.ts", format!("{}_{}", "hf", "transformers_with_some_long_name_x")),
        (".npmrc", "//packages.test/:_authToken=${NPM_TOKEN}".to_owned()),
        ("a.c", "#define monkey-0123456789abcdef0123456789abcdef".to_owned()),
        ("tz.js", "\"ASIA/TOKYO\", \"Asia/Kolkata2222222222\"".to_owned()),
    ];
    for (path, text) in cases {
        assert_eq!(rules(path, &text), [""; 0], "{path}: {}", &text[..text.len().min(60)]);
    }
}

#[test]
fn the_place_lowers_the_severity() {
    let text = format!("t = \"{}_{}\"", "ghp", alnum(36));
    for (path, severity) in [
        ("src/a.py", Severity::Critical),
        ("tests/a.py", Severity::Medium),
        ("examples/a.py", Severity::Medium),
        ("vendor/a.py", Severity::Info),
    ] {
        let scan = Scanner::shared().scan(&text, Context::of(path));
        assert_eq!(scan.hits.first().map(|hit| hit.severity), Some(severity), "{path}");
    }
}

#[test]
fn comments_and_pages_lower_a_plain_credential() {
    let line = format!("api_key = '{}'", alnum(24));
    for (path, text, severity) in [
        ("a.py", line.clone(), Severity::High),
        ("a.py", format!("# {line}"), Severity::Low),
        ("a.py", format!("\"\"\"Use it so:\n    {line}\n\"\"\""), Severity::Low),
        ("a.py", format!("\"\"\"Use it.\"\"\"\n{line}"), Severity::High),
        ("a.md", line, Severity::Low),
    ] {
        let scan = Scanner::shared().scan(&text, Context::of(path));
        assert_eq!(scan.hits.first().map(|hit| hit.severity), Some(severity), "{text}");
    }
}

#[test]
fn a_comment_allows_a_secret() {
    let token = format!("{}_{}", "ghp", alnum(36));
    for (text, hits, allowed) in [
        (format!("t = '{token}' # {ALLOW}"), 0, 1),
        (format!("// {ALLOW}: a fixture\nt = '{token}'"), 0, 1),
        (format!("{ALLOW}\nt = '{token}'"), 1, 0),
        (format!("t = '{token}'\n// {ALLOW}"), 1, 0),
    ] {
        let scan = Scanner::shared().scan(&text, Context::of("a.js"));
        assert_eq!((scan.hits.len(), scan.allowed), (hits, allowed), "{text}");
    }
}

#[test]
fn a_hit_says_where_and_shows_little() {
    let token = format!("{}_{}", "ghp", alnum(36));
    let text = format!(
        "one\r\ntwo\nthree = '{token}', '{token}'\nfour = '{}{}'\n",
        "AKIA",
        random(16, UPPER)
    );
    let scan = Scanner::shared().scan(&text, Context::of("a.js"));
    let lines: Vec<u32> = scan.hits.iter().map(|hit| hit.line).collect();
    assert_eq!(lines, [3, 3, 4]);
    assert_eq!(scan.hits[0].fingerprint, scan.hits[1].fingerprint);
    assert_ne!(scan.hits[0].fingerprint, scan.hits[2].fingerprint);
    assert_eq!(scan.hits[0].shown, "`ghp_…` (40 characters)");
    assert_eq!(scan.hits[2].shown, "`AK…` (20 characters)");
}

#[test]
fn scrubbing_leaves_no_secret() {
    let token = format!("{}_{}", "ghp", alnum(36));
    assert_eq!(scrub(&format!("use {token} here")), "use [redacted] here");
    assert_eq!(scrub("nothing to hide"), "nothing to hide");
}
