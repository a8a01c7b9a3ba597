//! The recorded request that is most like one that was not recorded, and how they differ.

use super::exchange::{Exchange, Place};
use orchestrator_core::id::ProviderName;
use serde_json::Value;

/// The most text of recorded requests that one miss is compared with, in bytes.
const MOST_TEXT: usize = 32 << 20;

/// How much of a line that differs is shown, in characters, and how many of these come before the
/// first difference.
const SHOWN: usize = 100;
const BEFORE: usize = 30;

/// What is looked for.
pub(super) struct Wanted<'w> {
    /// The account, where it counts.
    pub(super) account: Option<&'w ProviderName>,
    pub(super) model: &'w str,
    pub(super) place: &'w Place,
}

/// The nearest request.
pub(super) struct Nearest<'c> {
    found: Option<(usize, &'c Exchange)>,
    asked: Vec<Line>,
}

/// A line of a request, with where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    of: String,
    number: usize,
    text: String,
}

impl<'c> Nearest<'c> {
    /// The one among `candidates` that is most like `asked`: of the same account and model if there
    /// is one, and of those the one with which it shares most.
    pub(super) fn among(
        candidates: impl Iterator<Item = (usize, &'c Exchange)>,
        of: &Wanted<'_>,
        asked: &Value,
    ) -> Self {
        let asked = lines(asked);
        let rank = |exchange: &Exchange| {
            let account = of.account.is_none_or(|account| exchange.account == *account);
            let model = exchange.model == of.model;
            (account && model, model, exchange.task == of.place.task)
        };
        let mut candidates: Vec<_> = candidates.collect();
        candidates.sort_by_key(|(_, exchange)| std::cmp::Reverse(rank(exchange)));
        let (mut best, mut read) = (None, 0);
        for (at, exchange) in candidates {
            let (kin, _, same_task) = rank(exchange);
            let recorded = lines(&exchange.request);
            let score = (kin, shared(&recorded, &asked), same_task);
            if best.as_ref().is_none_or(|(most, _)| score > *most) {
                best = Some((score, (at, exchange)));
            }
            read += recorded.iter().map(|line| line.text.len()).sum::<usize>();
            if read > MOST_TEXT {
                break;
            }
        }
        Self { found: best.map(|(_, found)| found), asked }
    }

    /// The miss in words; `equal` records of the same request have been given out.
    pub(super) fn told(&self, of: &Wanted<'_>, equal: usize) -> String {
        let account = of.account.map(|account| format!(" of `{account}`")).unwrap_or_default();
        let task = of.place.task.as_ref().map(|task| format!(" by task `{task}`"));
        let task = task.unwrap_or_default();
        let what = format!(
            "the cassette holds no answer to this request to model `{}`{account}{task}",
            of.model
        );
        let told = match &self.found {
            _ if equal > 0 => {
                let times = if equal == 1 { "once".to_owned() } else { format!("{equal} times") };
                format!("it was asked {times} when this was recorded, and is asked once more now")
            }
            None => "it holds no request that could be compared".to_owned(),
            Some((at, exchange)) => {
                let task = exchange.task.as_ref().map(|task| format!(" (task `{task}`)"));
                let task = task.unwrap_or_default();
                let nearest = format!("the nearest is in line {}{task}", at + 2);
                format!("{nearest}: {}", self.difference(of, exchange))
            }
        };
        format!("{what}; {told}; if the work has changed, record it anew (ORC-0551)")
    }

    fn difference(&self, of: &Wanted<'_>, exchange: &Exchange) -> String {
        if let Some(asked) = of.account.filter(|account| exchange.account != **account) {
            return format!("provider: recorded `{}`, asked `{asked}`", exchange.account);
        }
        if exchange.model != of.model {
            return format!("model: recorded `{}`, asked `{}`", exchange.model, of.model);
        }
        let recorded = lines(&exchange.request);
        let (start, end) = common(&recorded, &self.asked);
        let recorded = &recorded[start..recorded.len() - end];
        let asked = &self.asked[start..self.asked.len() - end];
        let (old, new) = (recorded.first(), asked.first());
        let Some(at) = new.or(old) else { return "they differ in what has no lines".into() };
        let text = |line: Option<&Line>| line.map_or("", |line| &*line.text).to_owned();
        let (was, is) = (text(old), text(new));
        let from = was.chars().zip(is.chars()).take_while(|(a, b)| a == b).count();
        let shown = |line: Option<&Line>| match line {
            Some(line) => format!("`{}`", excerpt(&line.text, from)),
            None => "nothing".to_owned(),
        };
        let more = recorded.len().max(asked.len()) - 1;
        let more = match more {
            0 => String::new(),
            1 => " (and 1 more line)".to_owned(),
            more => format!(" (and {more} more lines)"),
        };
        let (old, new) = (shown(old), shown(new));
        format!("{}, line {}: recorded {old}, asked {new}{more}", at.of, at.number)
    }
}

/// The part of `text` around its character `from`.
fn excerpt(text: &str, from: usize) -> String {
    let start = from.saturating_sub(BEFORE);
    let start = if text.chars().count() <= SHOWN { 0 } else { start };
    let shown: String = text.chars().skip(start).take(SHOWN).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if text.chars().count() > start + SHOWN { "…" } else { "" };
    format!("{before}{shown}{after}")
}

/// How many lines at the start and at the end are the same.
fn common(one: &[Line], other: &[Line]) -> (usize, usize) {
    let same = |(a, b): &(&Line, &Line)| a.text == b.text && a.of == b.of;
    let start = one.iter().zip(other).take_while(same).count();
    let end = one[start..].iter().rev().zip(other[start..].iter().rev()).take_while(same).count();
    (start, end)
}

/// How much of both is the same, in thousandths.
fn shared(one: &[Line], other: &[Line]) -> usize {
    let size = |lines: &[Line]| lines.iter().map(|line| line.text.len() + 1).sum::<usize>();
    let (start, end) = common(one, other);
    let mut same = size(&one[..start]) + size(&one[one.len() - end..]);
    // The line that differs first counts as far as it is the same.
    if let (Some(a), Some(b)) = (one.get(start), other.get(start)) {
        same += a.text.bytes().zip(b.text.bytes()).take_while(|(a, b)| a == b).count();
    }
    2 * same * 1_000 / (size(one) + size(other)).max(1)
}

/// A request as lines.
fn lines(request: &Value) -> Vec<Line> {
    let mut all = Vec::new();
    let mut add = |of: &str, text: &str| {
        let lines = text.lines().enumerate();
        all.extend(lines.map(|(number, text)| Line {
            of: of.to_owned(),
            number: number + 1,
            text: text.to_owned(),
        }));
    };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => format!("{other:#}"),
    };
    for (name, value) in request.as_object().into_iter().flatten() {
        let Some(messages) = value.as_array().filter(|_| name == "messages") else {
            add(name, &text(value));
            continue;
        };
        for (place, message) in messages.iter().enumerate() {
            let author = message["author"].as_str().unwrap_or("nobody");
            let of = format!("message {} ({author})", place + 1);
            let parts = message["parts"].as_array().into_iter().flatten();
            let said = parts.map(|part| text(part.get("text").unwrap_or(part)));
            add(&of, &said.collect::<Vec<_>>().join("\n"));
        }
    }
    all
}
