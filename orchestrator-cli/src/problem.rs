//! Errors as a person or a script sees them: code, cause, place, next step.

use crate::{
    context::Context,
    exit::Exit,
    output::{Console, terminal, text::harmless},
};
use clap::error::ErrorKind;
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
    SourceSpan,
};
use orchestrator_service::{KnownSecrets, ServiceError, document};
use serde_json::{Map, Value, json};
use std::{ffi::OsString, fmt, io};

/// The command line cannot be understood.
const BAD_USAGE: &str = "ORC-0801";
/// What was to be written cannot be written.
const NO_OUTPUT: &str = "ORC-0802";
/// The system refuses what the process needs.
const BAD_ENVIRONMENT: &str = "ORC-0803";

/// Why a command ends without doing what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody reads the output any more.
    Gone,
    /// The service refused or could not.
    Service(Box<ServiceError>),
    /// The command line's own: writing, signals.
    Own(Box<Problem>),
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::Service(Box::new(error))
    }
}

impl Failure {
    /// Standard output, or the file in its place, cannot be written.
    pub(crate) fn output(error: &io::Error) -> Self {
        let mut problem = Problem::new(NO_OUTPUT, format!("cannot write the output: {error}"));
        problem.help = Some("free some space, or write to another place".into());
        Self::Own(Box::new(problem))
    }

    /// A file that was asked for cannot be written.
    pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        let message = format!("cannot write `{}`: {error}", path.display());
        let mut problem = Problem::new(NO_OUTPUT, message);
        problem.help = Some("name a file in a directory that exists and may be written".into());
        Self::Own(Box::new(problem))
    }

    /// The system refuses something that the process needs.
    pub(crate) fn environment(error: &io::Error) -> Self {
        let message = format!("cannot start: the system refused ({error})");
        let mut problem = Problem::new(BAD_ENVIRONMENT, message);
        problem.help = Some("check the limits of the shell with `ulimit -a`".into());
        Self::Own(Box::new(problem))
    }

    /// Tells it on standard error, and says how to end.
    pub(crate) fn report(self, context: &Context) -> Exit {
        let console = &context.console;
        let (problem, exit) = match self {
            Self::Gone => return Exit::Done,
            Self::Service(error) => (Problem::of(&error, &context.known), Exit::from(error.exit())),
            Self::Own(problem) => (*problem, Exit::Failed),
        };
        console.insist(problem.text(console, exit).trim_end());
        exit
    }
}

/// Reports what clap found wrong, or prints the help that was asked for.
pub(crate) fn usage(error: &clap::Error, words: &[OsString]) -> Exit {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !asked && words.iter().any(|word| word == "--json") {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default();
        let problem = Problem::new(BAD_USAGE, message.trim_start_matches("error: "));
        let help = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
        let help = help.unwrap_or("see `orchestrator --help`").to_owned();
        let problem = Problem { help: Some(help), ..problem };
        let _ = io::Write::write_all(&mut io::stderr(), problem.json(Exit::Usage).as_bytes());
        let _ = io::Write::write_all(&mut io::stderr(), b"\n");
        return Exit::Usage;
    }
    // Nobody reading the help is no error.
    let _ = error.print();
    if asked {
        return Exit::Done;
    }
    // Called without a word: the help is the answer.
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Exit::Usage;
    }
    let see = format!("{BAD_USAGE}: see {}\n", page(BAD_USAGE));
    let _ = io::Write::write_all(&mut io::stderr(), see.as_bytes());
    Exit::Usage
}

/// An error in full.
#[derive(Debug)]
pub(crate) struct Problem {
    code: &'static str,
    /// All of it in a line.
    title: String,
    /// The same without what the places tell.
    message: String,
    help: Option<String>,
    causes: Vec<String>,
    places: Vec<Place>,
}

impl Problem {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code,
            title: message.clone(),
            message,
            help: None,
            causes: Vec::new(),
            places: Vec::new(),
        }
    }

    /// What went wrong, without secrets: hidden here, before the text is folded or painted.
    fn of(error: &ServiceError, known: &KnownSecrets) -> Self {
        let hide = |text: &str| known.hide(text).into_owned();
        let mut causes = Vec::new();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            causes.push(hide(&cause.to_string()));
            source = cause.source();
        }
        let places: Vec<Place> = error
            .diagnostics()
            .iter()
            .cloned()
            .map(|found| document::Diagnostic {
                message: hide(&found.message),
                suggestion: found.suggestion.as_deref().map(hide),
                source: found.source.as_deref().map(|text| hide(text).into()),
                ..found
            })
            .map(Place::new)
            .collect();
        let title = hide(&error.to_string());
        // Where there are places, what is wrong and what would be right is told at each of them.
        let (message, help) = match error {
            ServiceError::Invalid { what, .. } if !places.is_empty() => (what.clone(), None),
            other => (title.clone(), other.help().as_deref().map(hide)),
        };
        Self { code: error.code(), title, message, help, causes, places }
    }

    /// As text for standard error: one JSON line with `--json`, else a report with its places.
    fn text(&self, console: &Console, exit: Exit) -> String {
        if console.json {
            return self.json(exit);
        }
        let mut theme = if console.err.unicode && console.err.terminal {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::ascii()
        };
        if !console.err.color {
            theme.styles = miette::ThemeStyles::none();
        }
        // Lines are only folded for people; a search through a log finds the whole message.
        let width = if console.err.terminal { terminal::size().0.max(40) } else { 100_000 };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false);
        let mut text = String::new();
        let shown = self.harmless();
        match handler.render_report(&mut text, &shown) {
            Ok(()) => text,
            Err(fmt::Error) => format!("error {}: {}", shown.code, shown.title),
        }
    }

    /// The same without anything that could steer a terminal: a message may quote a file, an
    /// argument or what a program wrote. JSON needs none of this, it escapes by itself.
    fn harmless(&self) -> Self {
        let clean = |text: &str| harmless(text, true).into_owned();
        Self {
            code: self.code,
            title: clean(&self.title),
            message: clean(&self.message),
            help: self.help.as_deref().map(clean),
            causes: self.causes.iter().map(|cause| clean(cause)).collect(),
            places: self.places.iter().map(Place::harmless).collect(),
        }
    }

    /// As problem details (RFC 9457), with the code and the places beside.
    fn json(&self, exit: Exit) -> String {
        let mut problem = Map::new();
        problem.insert("schema".into(), json!("orchestrator.problem/v1"));
        problem.insert("type".into(), json!(page(self.code)));
        problem.insert("code".into(), json!(self.code));
        problem.insert("title".into(), json!(self.title));
        problem.insert("exit".into(), json!(exit.code()));
        problem.insert(
            "help".into(),
            json!(
                self.help
                    .as_ref()
                    .or_else(|| self.places.iter().find_map(|p| p.found.suggestion.as_ref()))
            ),
        );
        problem.insert("causes".into(), json!(self.causes));
        problem.insert("places".into(), self.places.iter().map(Place::json).collect());
        Value::Object(problem).to_string()
    }
}

/// The page that explains a code, from the root of the repository.
fn page(code: &str) -> String {
    format!("docs/errors/{code}.md")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for cause in self.causes.iter().filter(|cause| !self.message.contains(cause.as_str())) {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let see = format!("see {}", page(self.code));
        Some(Box::new(match &self.help {
            Some(help) => format!("{help}\n{see}"),
            None => see,
        }))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.places.is_empty() {
            return None;
        }
        Some(Box::new(self.places.iter().map(|place| place as &dyn Diagnostic)))
    }
}

/// One thing that is wrong, at its place.
#[derive(Debug)]
struct Place {
    found: document::Diagnostic,
    source: Option<NamedSource<String>>,
    span: Option<SourceSpan>,
}

impl Place {
    fn new(found: document::Diagnostic) -> Self {
        // A file under inspection may hold anything; what is shown of it must not steer a terminal.
        let text = found.source.as_deref().map(|text| harmless(text, true).into_owned());
        let (mut source, mut span) = (None, None);
        if let (Some(text), Some(line)) = (text, found.line) {
            let at = offset(&text, line, found.column.unwrap_or(1));
            let length = text[at..].lines().next().map_or(0, |rest| word(rest).len());
            span = Some(SourceSpan::new(at.into(), length));
            let name =
                found.file.as_ref().map_or("input".into(), |file| file.display().to_string());
            let name = harmless(&name, false).into_owned();
            source = Some(NamedSource::new(name, text));
        }
        Self { found, source, span }
    }

    fn harmless(&self) -> Self {
        let clean = |text: &str| harmless(text, true).into_owned();
        let mut found = self.found.clone();
        found.message = clean(&found.message);
        found.suggestion = found.suggestion.as_deref().map(clean);
        found.file = found.file.map(|file| clean(&file.display().to_string()).into());
        Self { found, source: self.source.clone(), span: self.span }
    }

    fn json(&self) -> Value {
        let mut place = Map::new();
        place.insert("code".into(), json!(self.found.code));
        place.insert("message".into(), json!(self.found.message));
        let file = self.found.file.as_ref().map(|file| file.display().to_string());
        place.insert("file".into(), json!(file));
        place.insert("line".into(), json!(self.found.line));
        place.insert("column".into(), json!(self.found.column));
        place.insert("suggestion".into(), json!(self.found.suggestion));
        Value::Object(place)
    }
}

/// The byte of `text` at `line` and `column`, both from 1; the nearest there is when they lie outside.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text[start..].lines().next().unwrap_or_default();
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    start + within
}

/// What to underline: the word or the quoted text that `rest` begins with.
fn word(rest: &str) -> &str {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let end = match quote {
        Some(quote) => rest[1..].find(quote).map(|at| at + 2),
        None => rest.find(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | ']' | '}' | '=')),
    };
    let end = end.unwrap_or(rest.len());
    // An empty underline shows nothing at all.
    if end == 0 { rest.get(..1).unwrap_or(rest) } else { &rest[..end] }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source.is_some() { f.write_str(&self.found.message) } else { self.found.fmt(f) }
    }
}

impl std::error::Error for Place {}

impl Diagnostic for Place {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.found.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.found.suggestion.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".into()), span))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_outside_the_text_is_brought_inside() {
        for (line, column, expected) in [(1, 1, 0), (2, 3, 6), (2, 99, 7), (9, 1, 7), (1, 3, 3)] {
            assert_eq!(offset("aé\nxyz", line, column), expected, "{line}:{column}");
        }
    }

    #[test]
    fn what_a_message_quotes_cannot_steer_the_terminal() {
        let mut problem = Problem::new("ORC-0200", "no \x1b[2J here");
        problem.help = Some("nor \x1b]0;t\x07 here".into());
        problem.causes.push("\x1b[31m".into());
        let found = document::Diagnostic {
            code: "ORC-0204",
            message: "task `a\x1b[2J`".into(),
            file: Some("f\x1b[2J.yaml".into()),
            line: Some(1),
            column: Some(1),
            source: Some("a\x1b[2J: 1\n".into()),
            suggestion: Some("write `a\x1b[2J`".into()),
        };
        problem.places.push(Place::new(found));
        let console =
            Console::new(false, false, 0, terminal::ColorWhen::Never, &terminal::Wishes::default());
        let text = problem.text(&console, Exit::Usage);
        assert!(text.contains("ORC-0204") && text.contains("here"), "{text}");
        assert!(!text.contains(['\x1b', '\x07']), "{text:?}");
    }

    #[test]
    fn the_underline_covers_a_word() {
        for (rest, expected) in [
            ("plann, build]", "plann"),
            ("\"a b\": 1", "\"a b\""),
            ("key: value", "key"),
            ("]", "]"),
            ("'open", "'open"),
            ("", ""),
        ] {
            assert_eq!(word(rest), expected, "{rest}");
        }
    }

    #[test]
    fn problem_details_carry_code_exit_and_place() {
        let found = document::Diagnostic {
            code: "ORC-0203",
            message: "task `build` needs `plann`".into(),
            file: Some("flow.yaml".into()),
            line: Some(3),
            column: Some(12),
            source: Some("a\nb\n  needs: [plann]\n".into()),
            suggestion: Some("did you mean `plan`?".into()),
        };
        let mut problem = Problem::new("ORC-0200", "the workflow is not valid");
        problem.places.push(Place::new(found));
        let json: Value = serde_json::from_str(&problem.json(Exit::Usage)).unwrap();
        assert_eq!(json["code"], "ORC-0200");
        assert_eq!(json["exit"], 2);
        assert_eq!(json["places"][0]["line"], 3);
        assert_eq!(json["places"][0]["suggestion"], "did you mean `plan`?");
    }
}
