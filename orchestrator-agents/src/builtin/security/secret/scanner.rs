//! One pass over a text: keywords, then rules on the lines that hold one.

use super::{
    ALLOW,
    assignment::{self, Style},
    entropy::shannon,
    placeholder::is_stand_in,
    redact,
    rules::{Proof, RULES, Rule},
    url::{self, Target},
};
use crate::builtin::{
    finding::Severity,
    index::{Class, classify},
};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    ops::Range,
    sync::{LazyLock, OnceLock},
};

/// How far a pattern may look back from its keyword, and ahead of it.
const BEHIND: usize = 160;
const AHEAD: usize = 4096;

/// A line longer than this is data or minified code, where names and values mean little.
const LONG_LINE: usize = 1000;

/// What the place of a text says about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    class: Class,
    style: Style,
}

impl Context {
    /// From the path of the file that holds the text.
    pub(crate) fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let style = match extension {
            "md" | "mdx" | "markdown" | "rst" | "txt" | "adoc" | "html" | "htm" | "tex" | "org" => {
                Style::Prose
            }
            "env" | "ini" | "cfg" | "conf" | "properties" | "yml" | "yaml" | "sh" | "bash"
            | "zsh" | "toml" | "npmrc" | "pypirc" | "netrc" => Style::Settings,
            _ if name.starts_with(".env") || name.starts_with("dockerfile") || name == ".npmrc" => {
                Style::Settings
            }
            _ => Style::Code,
        };
        Self { class: classify(path), style }
    }

    /// What a real secret of this severity amounts to here. Tests, examples and copies of other
    /// people's code mostly hold made-up ones.
    fn lower(self, severity: Severity) -> Severity {
        match self.class {
            Class::Vendored => Severity::Info,
            Class::Test | Class::Fixture | Class::Example => match severity {
                Severity::Critical => Severity::Medium,
                Severity::High => Severity::Low,
                Severity::Medium | Severity::Low | Severity::Info => Severity::Info,
            },
            _ => severity,
        }
    }
}

/// One secret in a text.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// The rule's id, with its `security/`.
    pub(crate) rule: String,
    /// What it is called.
    pub(crate) name: &'static str,
    /// How much it matters here.
    pub(crate) severity: Severity,
    /// The line, from 1.
    pub(crate) line: u32,
    /// What may be shown of it.
    pub(crate) shown: String,
    /// How to withdraw it.
    pub(crate) revoke: &'static str,
    /// The same for the same secret, within this process only.
    pub(crate) fingerprint: u64,
    span: Range<usize>,
    rank: usize,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The secrets, in the order of their places.
    pub(crate) hits: Vec<Hit>,
    /// How many more a comment allows.
    pub(crate) allowed: usize,
}

/// What a keyword leads to.
#[derive(Debug, Clone, Copy)]
enum Lead {
    Rule(usize),
    Name,
    Address,
}

/// The compiled rules; made once a process.
#[derive(Debug)]
pub(crate) struct Scanner {
    keywords: Option<AhoCorasick>,
    leads: Vec<(Lead, &'static str)>,
    patterns: Vec<OnceLock<Option<Regex>>>,
    seed: RandomState,
}

static SHARED: LazyLock<Scanner> = LazyLock::new(Scanner::build);

impl Scanner {
    /// The scanner of this process.
    pub(crate) fn shared() -> &'static Self {
        &SHARED
    }

    fn build() -> Self {
        let rules = RULES
            .iter()
            .enumerate()
            .flat_map(|(at, rule)| rule.keywords.iter().map(move |word| (Lead::Rule(at), *word)));
        let names = assignment::NAMES.iter().map(|name| (Lead::Name, *name));
        let leads: Vec<_> = rules.chain(names).chain([(Lead::Address, "://")]).collect();
        let keywords = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(leads.iter().map(|(_, word)| word))
            .ok();
        debug_assert!(keywords.is_some(), "the keywords do not compile");
        Self {
            keywords,
            leads,
            patterns: RULES.iter().map(|_| OnceLock::new()).collect(),
            seed: RandomState::new(),
        }
    }

    /// Whether every rule can work; when not, the report must say that secrets were not looked for.
    pub(crate) fn is_ready(&self) -> bool {
        self.keywords.is_some()
    }

    fn pattern(&self, at: usize) -> Option<&Regex> {
        let rule = RULES.get(at)?;
        let compiled = self
            .patterns
            .get(at)?
            .get_or_init(|| RegexBuilder::new(rule.pattern).unicode(false).build().ok());
        debug_assert!(compiled.is_some(), "the pattern of {} does not compile", rule.id);
        compiled.as_ref()
    }

    /// The secrets in `text`.
    pub(crate) fn scan(&self, text: &str, context: Context) -> Scan {
        let mut search = Search {
            scanner: self,
            text,
            context,
            done: [0; RULES.len()],
            named: 0,
            hits: Vec::new(),
        };
        let Some(keywords) = &self.keywords else { return Scan::default() };
        let bytes = text.as_bytes();
        for found in keywords.find_overlapping_iter(text) {
            let Some((lead, word)) = self.leads.get(found.pattern().as_usize()) else { continue };
            match lead {
                Lead::Rule(at) => {
                    if bytes.get(found.range()) == Some(word.as_bytes()) {
                        search.rule(*at, found.range());
                    }
                }
                Lead::Name => search.name(found.range()),
                Lead::Address => search.address(found.start()),
            }
        }
        search.finish()
    }
}

/// One pass over one text.
struct Search<'a> {
    scanner: &'a Scanner,
    text: &'a str,
    context: Context,
    /// Up to where each rule has looked already.
    done: [usize; RULES.len()],
    /// Up to where names have been judged: two keywords may end in the same name.
    named: usize,
    hits: Vec<Hit>,
}

impl Search<'_> {
    /// The line around `place`, at most `behind` bytes before it and `ahead` after it.
    fn line(&self, place: &Range<usize>, behind: usize, ahead: usize) -> Range<usize> {
        let bytes = self.text.as_bytes();
        let from = place.start.saturating_sub(behind);
        let to = bytes.len().min(place.end + ahead);
        let start =
            memchr::memrchr(b'\n', &bytes[from..place.start]).map_or(from, |at| from + at + 1);
        let end = memchr::memchr(b'\n', &bytes[place.end..to]).map_or(to, |at| place.end + at);
        start..end
    }

    fn rule(&mut self, at: usize, keyword: Range<usize>) {
        let (Some(rule), Some(done)) = (RULES.get(at), self.done.get(at)) else { return };
        if keyword.start < *done {
            return;
        }
        let window = self.line(&keyword, BEHIND, AHEAD);
        let Some(pattern) = self.scanner.pattern(at) else { return };
        let bytes = &self.text.as_bytes()[window.clone()];
        for found in pattern.captures_iter(bytes) {
            let Some(secret) = found.name("s").or_else(|| found.get(0)) else { continue };
            let span = window.start + secret.start()..window.start + secret.end();
            self.judge(at, rule, span);
        }
        if let Some(done) = self.done.get_mut(at) {
            *done = window.end;
        }
    }

    fn judge(&mut self, rank: usize, rule: &'static Rule, mut span: Range<usize>) {
        let Some(secret) = self.text.get(span.clone()) else { return };
        let mut severity = rule.severity;
        let holds = match rule.proof {
            Proof::Format => !is_stand_in(secret),
            Proof::Entropy(least) => shannon(secret) >= least && !is_stand_in(secret),
            Proof::Jwt => is_token(secret),
            Proof::KeyBody => match key_body(self.text, span.end) {
                Some(body) => {
                    if secret.contains("ENCRYPTED") {
                        severity = Severity::Medium;
                    }
                    span.end = body;
                    true
                }
                None => false,
            },
        };
        if holds {
            let shown = match rule.proof {
                Proof::KeyBody => format!("`{secret}`"),
                _ => redact(secret),
            };
            self.keep(rank, rule.id, rule.name, severity, shown, rule.revoke, span);
        }
    }

    fn name(&mut self, keyword: Range<usize>) {
        // Lock files, generated code and copies hold hashes by the thousand under such names.
        if matches!(self.context.class, Class::Lock | Class::Generated | Class::Vendored)
            || keyword.end <= self.named
        {
            return;
        }
        let line = self.line(&keyword, LONG_LINE, LONG_LINE);
        if line.len() > LONG_LINE {
            return;
        }
        let Some(value) =
            assignment::secret_value(self.text, keyword.clone(), line, self.context.style)
        else {
            return;
        };
        self.named = keyword.end;
        let Some(secret) = self.text.get(value.clone()) else { return };
        let shown = redact(secret);
        // Pages and comments mostly show made-up values.
        let severity = match self.context.style {
            Style::Prose => Severity::Low,
            Style::Code | Style::Settings if self.is_comment(keyword.start) => Severity::Low,
            Style::Code | Style::Settings => Severity::High,
        };
        let revoke = "change it where it is used";
        self.keep(
            RULES.len() + 1,
            "hard-coded-credential",
            "hard-coded credential",
            severity,
            shown,
            revoke,
            value,
        );
    }

    fn address(&mut self, at: usize) {
        let Some((span, target)) = url::password(self.text, at) else { return };
        let Some(secret) = self.text.get(span.clone()) else { return };
        let shown = redact(secret);
        let (rule, name, severity) = match target {
            Target::RemoteService => {
                ("database-url-password", "password in a database address", Severity::High)
            }
            Target::LocalService => {
                ("database-url-password", "password in a local database address", Severity::Low)
            }
            Target::Other => ("url-password", "password in an address", Severity::Medium),
        };
        self.keep(RULES.len(), rule, name, severity, shown, "change the password", span);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one hit, from three callers in this file"
    )]
    fn keep(
        &mut self,
        rank: usize,
        rule: &str,
        name: &'static str,
        severity: Severity,
        shown: String,
        revoke: &'static str,
        span: Range<usize>,
    ) {
        let secret = self.text.as_bytes().get(span.clone()).unwrap_or_default();
        self.hits.push(Hit {
            rule: format!("security/{rule}"),
            name,
            severity: self.context.lower(severity),
            line: 0,
            shown,
            revoke,
            fingerprint: self.scanner.seed.hash_one(secret),
            span,
            rank,
        });
    }

    /// Whether `at` stands in a line that is only a comment, or in a Python docstring.
    fn is_comment(&self, at: usize) -> bool {
        let start = self.line(&(at..at), LONG_LINE, 0).start;
        let head = self.text.get(start..at).unwrap_or_default().trim_start();
        ["//", "#", "*", "/*", "<!--", ";", ">>>", "..."].iter().any(|mark| head.starts_with(mark))
            || is_docstring(self.text, start)
    }

    /// Drops what another hit covers and what a comment allows, and numbers the lines.
    fn finish(mut self) -> Scan {
        if self.hits.is_empty() {
            return Scan::default();
        }
        self.hits.sort_by_key(|hit| (hit.rank, hit.span.start));
        let mut kept: Vec<Hit> = Vec::new();
        for hit in std::mem::take(&mut self.hits) {
            let overlaps =
                |other: &Hit| other.span.start < hit.span.end && hit.span.start < other.span.end;
            if !kept.iter().any(overlaps) {
                kept.push(hit);
            }
        }
        kept.sort_by_key(|hit| hit.span.start);
        let before = kept.len();
        kept.retain(|hit| !self.is_allowed(hit.span.start));
        let allowed = before - kept.len();
        let bytes = self.text.as_bytes();
        let (mut line, mut counted) = (1, 0);
        for hit in &mut kept {
            line += memchr::memchr_iter(b'\n', &bytes[counted..hit.span.start]).count();
            counted = hit.span.start;
            hit.line = u32::try_from(line).unwrap_or(u32::MAX);
        }
        Scan { hits: kept, allowed }
    }

    /// Whether the line at `at`, or a line above it that is only a comment, allows the secret.
    fn is_allowed(&self, at: usize) -> bool {
        let line = self.line(&(at..at), AHEAD, AHEAD);
        let own = self.text.as_bytes().get(line.clone()).unwrap_or_default();
        if memchr::memmem::find(own, ALLOW.as_bytes()).is_some() {
            return true;
        }
        let Some(end) = line.start.checked_sub(1) else { return false };
        let above = self.line(&(end..end), AHEAD, 0);
        let above = self.text.get(above).unwrap_or_default().trim_start();
        let is_comment = ["//", "#", "--", "/*", "<!--", ";", "*", "%"]
            .iter()
            .any(|mark| above.starts_with(mark));
        is_comment && above.contains(ALLOW)
    }
}

/// Whether the line that starts at `at` lies inside a string of three quotes.
pub(crate) fn is_docstring(text: &str, at: usize) -> bool {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let odd = |quotes: &[u8]| memchr::memmem::find_iter(before, quotes).count() % 2 == 1;
    odd(b"\"\"\"") || odd(b"'''")
}

/// Where the body of a key ends that begins at `from`, behind its header: at least 64 characters
/// of base64 within the next lines, which may be escaped (`\n`) or quoted.
fn key_body(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes().get(from..)?;
    let mut body = 0;
    let mut at = 0;
    while at < bytes.len().min(2048) && body < 200 {
        match bytes[at] {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => body += 1,
            b'\\' if matches!(bytes.get(at + 1), Some(b'n' | b'r')) => at += 1,
            b'\r' | b'\n' | b' ' | b'\t' | b'"' | b'\'' | b',' | b':' | b'\\' | b'|' | b'>'
            | b'#' => {}
            // `Proc-Type: 4,ENCRYPTED`, `DEK-Info:` and the end line hold hyphens.
            b'-' if body < 64 && bytes.get(at + 1) != Some(&b'-') => {}
            _ => break,
        }
        at += 1;
    }
    let sample = text.get(from..from + at)?;
    (body >= 64 && shannon(sample) >= 4.0).then_some(from + at)
}

/// Whether `token` has a header that names an algorithm, and claims that are no textbook's.
fn is_token(token: &str) -> bool {
    let mut parts = token.split('.');
    let header = parts.next().map(decode).unwrap_or_default();
    let claims = parts.next().map(decode).unwrap_or_default();
    let has = |part: &[u8], word: &str| memchr::memmem::find(part, word.as_bytes()).is_some();
    has(&header, "\"alg\"")
        && !has(&claims, "1234567890")
        && !has(&claims, "John Doe")
        && !has(&claims, "example")
}

/// Base64, either alphabet, as far as it goes.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => break,
        };
        held = (held << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).unwrap_or(0));
        }
    }
    bytes
}

/// `text` with every secret in it replaced by its redacted form.
pub(crate) fn scrub(text: &str) -> String {
    let scan = Scanner::shared().scan(text, Context { class: Class::Own, style: Style::Settings });
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    for hit in scan.hits {
        clean.push_str(text.get(from..hit.span.start).unwrap_or_default());
        clean.push_str("[redacted]");
        from = hit.span.end;
    }
    clean.push_str(text.get(from..).unwrap_or_default());
    clean
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
