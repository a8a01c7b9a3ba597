//! Lines of code and settings that switch a protection off, or hand input to an interpreter.
//!
//! Only what is nearly always meant as it reads: each rule is a shape of one line, in the
//! languages where it has that meaning, outside tests and comments.

use super::secret::is_docstring;
use crate::builtin::finding::{Finding, Severity};
use aho_corasick::AhoCorasick;
use regex::{Regex, RegexSet};
use std::sync::{LazyLock, OnceLock};

/// One shape.
#[derive(Debug)]
struct Rule {
    id: &'static str,
    severity: Severity,
    /// The extensions, or whole names, of the files that it is looked for in.
    files: &'static [&'static str],
    /// What a line must hold before its shape is looked at.
    keyword: &'static str,
    shape: &'static str,
    message: &'static str,
    advice: &'static str,
}

const PYTHON: &[&str] = &["py", "pyw"];
const SCRIPT: &[&str] = &["js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx", "vue", "svelte"];
const SHELL: &[&str] = &[
    "sh",
    "bash",
    "zsh",
    "yml",
    "yaml",
    "mk",
    "dockerfile",
    "makefile",
    "justfile",
    "jenkinsfile",
];

const TLS: &str = "security/tls-verification-off";
const TLS_ADVICE: &str =
    "Leave verification on, and trust the one certificate or authority that you mean";
const LOAD: &str = "security/unsafe-deserialisation";
const SHELL_CALL: &str = "security/shell-injection";
const SHELL_ADVICE: &str = "Pass the program and its arguments as a list, without a shell";

const fn rule(
    id: &'static str,
    severity: Severity,
    files: &'static [&'static str],
    keyword: &'static str,
    shape: &'static str,
    message: &'static str,
    advice: &'static str,
) -> Rule {
    Rule { id, severity, files, keyword, shape, message, advice }
}

use Severity::{Critical, High, Low, Medium};

#[rustfmt::skip]
const RULES: &[Rule] = &[
    rule(TLS, Medium, PYTHON, "verify", r"\bverify\s*=\s*False\b", "TLS certificates are not verified", TLS_ADVICE),
    rule(TLS, Medium, PYTHON, "_create_unverified_context", r"\bssl\._create_unverified_context\b", "TLS certificates are not verified", TLS_ADVICE),
    rule(TLS, Medium, PYTHON, "CERT_NONE", r"verify_mode\s*=\s*(?:ssl\.)?CERT_NONE\b|cert_reqs\s*=\s*(?:ssl\.CERT_NONE|['\x22]CERT_NONE)", "TLS certificates are not verified", TLS_ADVICE),
    rule(TLS, Medium, &["go"], "InsecureSkipVerify", r"InsecureSkipVerify\s*[:=]\s*true\b", "TLS certificates are not verified", TLS_ADVICE),
    rule(TLS, Medium, SCRIPT, "rejectUnauthorized", r"\brejectUnauthorized['\x22]?\s*[:=]\s*false\b", "TLS certificates are not verified", TLS_ADVICE),
    rule(TLS, Medium, SCRIPT, "NODE_TLS_REJECT_UNAUTHORIZED", r"NODE_TLS_REJECT_UNAUTHORIZED['\x22]?\]?\s*=\s*['\x22]?0", "TLS certificates are not verified", TLS_ADVICE),
    rule(TLS, Medium, &["rs"], "danger_accept_invalid", r"danger_accept_invalid_(?:certs|hostnames)\(\s*true\s*\)", "TLS certificates are not verified", TLS_ADVICE),
    rule(TLS, Medium, &["php"], "CURLOPT_SSL_VERIFY", r"CURLOPT_SSL_VERIFY(?:PEER|HOST)\s*(?:,|=>)\s*(?:false|0)\b", "TLS certificates are not verified", TLS_ADVICE),
    rule(TLS, Medium, &["rb", "rake"], "VERIFY_NONE", r"\bOpenSSL::SSL::VERIFY_NONE\b", "TLS certificates are not verified", TLS_ADVICE),
    rule(TLS, Medium, &["cs"], "ValidationCallback", r"Certificate(?:Custom)?ValidationCallback\s*\+?=\s*(?:delegate\s*\{\s*return true|\([^)]*\)\s*=>\s*true)", "TLS certificates are not verified", TLS_ADVICE),
    rule(TLS, Low, SHELL, "curl", r"\bcurl\s+(?:[^|;&#]*\s)?(?:--insecure|-[a-zA-Z]*k[a-zA-Z]*)\s", "curl does not verify TLS certificates", TLS_ADVICE),
    rule(LOAD, Medium, PYTHON, "yaml.load", r"\byaml\.load\(\s*(?:[^,()]|\([^()]*\))*\)", "`yaml.load` without a loader can build any object", "Load only what cannot run code: `yaml.safe_load`, JSON, or a format with a schema"),
    rule(LOAD, Low, PYTHON, "pickle.load", r"\bc?[pP]ickle\.loads?\(", "pickle runs code that the data names", "Load only what cannot run code: `yaml.safe_load`, JSON, or a format with a schema"),
    rule(LOAD, High, &["php"], "unserialize", r"\bunserialize\s*\(\s*\$_(?:GET|POST|REQUEST|COOKIE)\b", "a request's input is unserialised", "Load only what cannot run code: `yaml.safe_load`, JSON, or a format with a schema"),
    rule(LOAD, Low, &["rb", "rake"], "Marshal.load", r"\bMarshal\.load\(", "Marshal builds any object that the data names", "Load only what cannot run code: `yaml.safe_load`, JSON, or a format with a schema"),
    rule(SHELL_CALL, Medium, PYTHON, "shell", r#"\bsubprocess\.\w+\(\s*(?:f['"]|['"][^'"]*['"]\s*(?:%|\+|\.format)).*\bshell\s*=\s*True\b"#, "a command made from values goes to a shell", SHELL_ADVICE),
    rule(SHELL_CALL, Medium, PYTHON, "os.system", r#"\bos\.system\(\s*(?:f['"][^'"]*\{|['"][^'"]*['"]\s*(?:%|\+|\.format))"#, "a command made from values goes to a shell", SHELL_ADVICE),
    rule(SHELL_CALL, Medium, SCRIPT, "exec", r"\b(?:child_process\.exec|execSync|cp\.exec)\(\s*`[^`]*\$\{", "a command made from values goes to a shell", SHELL_ADVICE),
    rule("security/code-injection", Critical, &["php"], "$_", r"\b(?:eval|assert|system|passthru|shell_exec|popen|proc_open)\s*\(\s*\$_(?:GET|POST|REQUEST|COOKIE)\b", "a request's input is run", "Never run input; map it to one of the things that you allow"),
    rule("security/weak-password-hash", Medium, &["py", "php", "rb", "js", "ts", "go", "java", "cs"], "asswo", r"(?i)\b(?:md5|sha1)(?:\.new|\.Sum|\.hexdigest)?\(\s*[\w$.>\[\]'-]*passw(?:or)?d", "a password is hashed with a fast, broken function", "Use a password hash: argon2id, scrypt or bcrypt"),
    rule("security/weak-password-hash", Medium, SCRIPT, "createHash", r"(?i)createHash\(\s*['\x22](?:md5|sha1)['\x22]\s*\)\.update\(\s*[\w.]*passw(?:or)?d", "a password is hashed with a fast, broken function", "Use a password hash: argon2id, scrypt or bcrypt"),
    rule("security/debug-server", Medium, PYTHON, "debug", r"\b(?:app|application|server)\.run\([^)]*\bdebug\s*=\s*True\b", "the debugger of the server lets a visitor run code", "Switch debugging on from the environment, and only on this machine"),
    rule("security/unverified-token", High, PYTHON, "verify_signature", r#"['"]?verify_signature['"]?\s*[:=]\s*False\b"#, "the signature of a token is not verified", "Verify the signature with a fixed list of algorithms"),
    rule("security/unverified-token", High, SCRIPT, "none", r#"\balgorithms?['"]?\s*:\s*\[?\s*['"]none['"]"#, "tokens without a signature are accepted", "Verify the signature with a fixed list of algorithms"),
    rule("security/pipe-to-shell", Low, SHELL, "sh", r"\b(?:curl|wget)\s[^|#;]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:/bin/)?(?:ba|z|da|k)?sh\b", "a script from the network runs unseen", "Fetch a pinned version, compare its checksum, then run it"),
    rule("security/open-permissions", Low, SHELL, "chmod", r"\bchmod\s+(?:-[a-zA-Z]+\s+)*(?:0?777|a\+rwx|o\+w)\s", "everyone may write the file", "Give the owner or the group what they need, and nobody else"),
    rule("security/host-key-unchecked", Low, SHELL, "StrictHostKeyChecking", r"StrictHostKeyChecking[= ]no\b", "the other machine's key is not checked", "Put the host's key into known_hosts"),
    rule("security/privileged-container", Medium, &["yml", "yaml"], "privileged", r"^\s*-?\s*privileged:\s*true\b", "the container is as powerful as its host", "Grant the capabilities that it needs one by one"),
];

static KEYWORDS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(RULES.iter().map(|rule| rule.keyword)).ok());

static SHAPES: [OnceLock<Option<Regex>>; RULES.len()] = [const { OnceLock::new() }; RULES.len()];

/// What begins a line that is only a comment.
static COMMENT: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new([r"^\s*(?://|#|\*|/\*|--|<!--|;)"]).ok());

fn shape(at: usize) -> Option<&'static Regex> {
    SHAPES.get(at)?.get_or_init(|| Regex::new(RULES.get(at)?.shape).ok()).as_ref()
}

/// Which rules are for files of this name, as one bit each; 0 for most files.
fn rules_for(name: &str) -> u64 {
    let lower = name.to_ascii_lowercase();
    let extension = lower.rsplit_once('.').map_or("", |(_, extension)| extension);
    let stem = lower.split('.').next().unwrap_or_default();
    RULES
        .iter()
        .enumerate()
        .filter(|(_, rule)| {
            rule.files.contains(&extension)
                || (extension.is_empty() || stem == "dockerfile") && rule.files.contains(&stem)
        })
        .fold(0, |bits, (at, _)| bits | 1 << at)
}

/// What the rules find in the file `path` with these contents. Nothing for a test: the caller
/// leaves those out.
pub(super) fn scan(path: &str, text: &str) -> Vec<Finding> {
    let wanted = rules_for(path.rsplit('/').next().unwrap_or(path));
    let Some(keywords) = KEYWORDS.as_ref().filter(|_| wanted != 0) else { return Vec::new() };
    let bytes = text.as_bytes();
    // Rust keeps its tests at the end of the file that they test.
    let tests = if path.ends_with(".rs") { text.find("#[cfg(test)]") } else { None };
    let mut found = Vec::new();
    for hit in keywords.find_overlapping_iter(text) {
        let at = hit.pattern().as_usize();
        if wanted & (1 << at) == 0 || tests.is_some_and(|tests| hit.start() > tests) {
            continue;
        }
        let start = memchr::memrchr(b'\n', &bytes[..hit.start()]).map_or(0, |at| at + 1);
        let end =
            memchr::memchr(b'\n', &bytes[hit.end()..]).map_or(bytes.len(), |at| hit.end() + at);
        // The end of the line counts as a space, so that a flag may stand last.
        let (Some(line), Some(rule), Some(shape)) =
            (text.get(start..end), RULES.get(at), shape(at))
        else {
            continue;
        };
        let is_comment = COMMENT.as_ref().is_some_and(|comment| comment.is_match(line));
        // `jwt.decode(token, verify=False)` has another meaning than TLS's.
        let is_other = rule.id == TLS && line.contains("decode(");
        if line.len() <= 1000
            && !is_comment
            && !is_other
            && !is_docstring(text, start)
            && shape.is_match(&format!("{} ", line.trim_end()))
        {
            let number = memchr::memchr_iter(b'\n', &bytes[..start]).count() + 1;
            let line = u32::try_from(number).unwrap_or(u32::MAX);
            found.push(
                Finding::new(rule.id, rule.severity, rule.message, rule.advice)
                    .at(path)
                    .on_line(line),
            );
        }
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, line: &str, expected: Option<&str>) {
        let found = scan(path, &format!("first\n  {line}\nlast"));
        let rules: Vec<_> =
            found.iter().map(|f| (f.rule.trim_start_matches("security/"), f.line)).collect();
        assert_eq!(
            rules,
            expected.map(|rule| (rule, Some(2))).into_iter().collect::<Vec<_>>(),
            "{path}: {line}"
        );
    }

    #[test]
    fn every_shape_compiles_within_the_bits() {
        assert!(RULES.len() <= 64);
        for (at, rule) in RULES.iter().enumerate() {
            assert!(shape(at).is_some(), "{}", rule.shape);
        }
        assert!(KEYWORDS.is_some() && COMMENT.is_some());
    }

    #[test]
    fn protections_that_are_off_are_found() {
        for (path, line, rule) in [
            ("a.py", "requests.get(url, verify=False)", "tls-verification-off"),
            ("a.py", "ctx.verify_mode = ssl.CERT_NONE", "tls-verification-off"),
            ("a.py", "c = ssl._create_unverified_context()", "tls-verification-off"),
            (
                "a.go",
                "TLSClientConfig: &tls.Config{InsecureSkipVerify: true},",
                "tls-verification-off",
            ),
            ("a.ts", "rejectUnauthorized: false,", "tls-verification-off"),
            ("a.js", "process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'", "tls-verification-off"),
            ("a.rs", ".danger_accept_invalid_certs(true)", "tls-verification-off"),
            ("a.php", "curl_setopt($c, CURLOPT_SSL_VERIFYPEER, false);", "tls-verification-off"),
            ("a.rb", "http.verify_mode = OpenSSL::SSL::VERIFY_NONE", "tls-verification-off"),
            (
                "a.cs",
                "handler.ServerCertificateCustomValidationCallback = (a, b, c, d) => true;",
                "tls-verification-off",
            ),
            ("a.sh", "curl -sk https://a.b", "tls-verification-off"),
            ("a.py", "data = yaml.load(open(path))", "unsafe-deserialisation"),
            ("a.py", "x = pickle.loads(blob)", "unsafe-deserialisation"),
            ("a.php", "$x = unserialize($_COOKIE['s']);", "unsafe-deserialisation"),
            ("a.rb", "Marshal.load(data)", "unsafe-deserialisation"),
            ("a.py", "subprocess.run(f\"ls {d}\", shell=True)", "shell-injection"),
            ("a.py", "os.system(\"rm %s\" % path)", "shell-injection"),
            ("a.js", "execSync(`git log ${ref}`)", "shell-injection"),
            ("a.php", "eval($_GET['c']);", "code-injection"),
            ("a.py", "h = hashlib.md5(password.encode())", "weak-password-hash"),
            ("a.php", "$h = md5($password);", "weak-password-hash"),
            ("a.js", "crypto.createHash('md5').update(user.password)", "weak-password-hash"),
            ("a.py", "app.run(host='0.0.0.0', debug=True)", "debug-server"),
            ("a.py", "jwt.decode(t, options={'verify_signature': False})", "unverified-token"),
            ("a.js", "jwt.verify(t, k, { algorithms: ['none'] })", "unverified-token"),
            ("Dockerfile", "RUN curl -sSf https://a.b/i | sh", "pipe-to-shell"),
            ("Makefile", "wget -qO- https://a.b | sudo -E bash", "pipe-to-shell"),
            ("a.sh", "chmod -R 777 /srv", "open-permissions"),
            ("a.yml", "ssh -o StrictHostKeyChecking=no host", "host-key-unchecked"),
            ("a.yaml", "privileged: true", "privileged-container"),
        ] {
            check(path, line, Some(rule));
        }
    }

    #[test]
    fn look_alikes_are_not() {
        for (path, line) in [
            ("a.py", "requests.get(url, verify=False_positive)"),
            ("a.py", "# requests.get(url, verify=False)"),
            ("a.py", "requests.get(url, verify=path)"),
            ("a.py", "\"\"\"Call\n get(url, verify=False)\n\"\"\""),
            ("a.py", "jwt.decode(token, verify=False)"),
            ("a.js", "verify=False"),
            ("a.py", "yaml.load(f, Loader=SafeLoader)"),
            ("a.py", "yaml.load("),
            ("a.py", "subprocess.run(['ls', d], shell=True)"),
            ("a.py", "os.system('clear')"),
            ("a.py", "hashlib.md5(data)"),
            ("a.go", "InsecureSkipVerify: cfg.Insecure,"),
            ("a.ts", "rejectUnauthorized: true,"),
            ("a.sh", "curl -fsSL https://a.b -o kit.sh"),
            ("a.sh", "curl https://a.b | jq .sh"),
            ("README.md", "curl https://a.b | sh"),
            ("a.rs", "#[cfg(test)]\nmod tests { fn f() { b.danger_accept_invalid_certs(true) } }"),
            ("a.sh", "chmod 0755 run"),
            ("a.yaml", "privileged: false"),
            ("a.js", "display: 'none'"),
        ] {
            check(path, line, None);
        }
    }
}
