//! YAML documents, from the parser's events.

use super::{Fault, Place, Spans, spans::step};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};
use serde_json::{Map, Number, Value};
use std::collections::HashMap;

/// The deepest nesting.
const MAX_DEPTH: usize = 64;
/// The most nodes, counting an aliased part each time that it is used.
const MAX_NODES: usize = 100_000;
/// The most bytes of text in nodes, counted the same way.
const MAX_TEXT: usize = 8 * 1024 * 1024;

/// Reads one YAML document.
pub(super) fn read(text: &str) -> Result<(Value, Spans), Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        spans: Spans::default(),
        anchors: HashMap::new(),
        nodes: 0,
        text: 0,
        last: Place::START,
    };
    reader.document()
}

/// A part that aliases can name, with what using it once more costs.
struct Anchored {
    value: Value,
    nodes: usize,
    text: usize,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    spans: Spans,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    text: usize,
    last: Place,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Place), Fault> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.last = place(&span.start);
                Ok((event, self.last))
            }
            // The parser has a bound of its own on flow nesting.
            Some(Err(error)) if error.info().contains("recursion") => {
                Err(too_deep(place(error.marker())))
            }
            Some(Err(error)) => Err(Fault::new(
                "ORC-0281",
                place(error.marker()),
                format!("the file is not valid YAML: {}", error.info()),
            )
            .suggest(if error.info().contains("tab") {
                "indent with spaces, never with tabs"
            } else {
                "check the indentation, and quote text that holds `: `, ` #` or starts with `{`"
            })),
            None => Ok((Event::StreamEnd, self.last)),
        }
    }

    fn document(&mut self) -> Result<(Value, Spans), Fault> {
        loop {
            match self.next()? {
                (Event::DocumentStart(_), _) => break,
                (Event::StreamEnd, place) => {
                    return Err(Fault::new("ORC-0285", place, "the file holds no document"));
                }
                _ => {}
            }
        }
        let (event, place) = self.next()?;
        self.spans.insert(String::new(), place);
        let value = self.node(event, place, "", 0)?;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok((value, std::mem::take(&mut self.spans))),
                (Event::DocumentStart(_), place) => {
                    return Err(Fault::new(
                        "ORC-0285",
                        place,
                        "the file holds more than one document",
                    )
                    .suggest("put each document in a file of its own"));
                }
                _ => {}
            }
        }
    }

    fn count(&mut self, nodes: usize, text: usize, place: Place) -> Result<(), Fault> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.text = self.text.saturating_add(text);
        if self.nodes > MAX_NODES || self.text > MAX_TEXT {
            return Err(Fault::new(
                "ORC-0284",
                place,
                format!("the document has more than {MAX_NODES} parts or {MAX_TEXT} bytes of text"),
            )
            .suggest("use fewer aliases, or split the workflow"));
        }
        Ok(())
    }

    fn node(
        &mut self,
        event: Event<'a>,
        place: Place,
        at: &str,
        depth: usize,
    ) -> Result<Value, Fault> {
        if depth > MAX_DEPTH {
            return Err(too_deep(place));
        }
        let (before_nodes, before_text) = (self.nodes, self.text);
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                let Some(target) = self.anchors.get(&anchor) else {
                    return Err(Fault::new(
                        "ORC-0284",
                        place,
                        "the alias names a part that holds itself",
                    ));
                };
                let (value, nodes, text) = (target.value.clone(), target.nodes, target.text);
                self.count(nodes, text, place)?;
                return Ok(value);
            }
            Event::Scalar(text, style, anchor, tag) => {
                no_tag(tag.is_some(), place)?;
                self.count(1, text.len(), place)?;
                let value = if style == ScalarStyle::Plain {
                    plain(&text, place)?
                } else {
                    Value::String(text.into_owned())
                };
                (value, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                no_tag(tag.is_some(), place)?;
                self.count(1, 0, place)?;
                (self.sequence(at, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                no_tag(tag.is_some(), place)?;
                self.count(1, 0, place)?;
                (self.mapping(at, depth)?, anchor)
            }
            _ => return Err(Fault::new("ORC-0281", place, "the file is not valid YAML")),
        };
        if anchor != 0 {
            let (nodes, text) = (self.nodes - before_nodes, self.text - before_text);
            self.anchors.insert(anchor, Anchored { value: value.clone(), nodes, text });
        }
        Ok(value)
    }

    fn sequence(&mut self, at: &str, depth: usize) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::Array(items));
            }
            let pointer = step(at, &items.len().to_string());
            self.spans.insert(pointer.clone(), place);
            items.push(self.node(event, place, &pointer, depth + 1)?);
        }
    }

    fn mapping(&mut self, at: &str, depth: usize) -> Result<Value, Fault> {
        let mut members = Map::new();
        loop {
            let (key, place) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Object(members)),
                (Event::Scalar(text, ScalarStyle::Plain, _, None), place)
                    if matches!(&*text, "" | "~" | "null") =>
                {
                    return Err(Fault::new("ORC-0286", place, "a key of this mapping is empty"));
                }
                (Event::Scalar(text, _, _, None), place) => (text.into_owned(), place),
                (_, place) => {
                    return Err(Fault::new(
                        "ORC-0286",
                        place,
                        "a key of this mapping is not plain text",
                    )
                    .suggest("use text as the key"));
                }
            };
            self.count(1, key.len(), place)?;
            if members.contains_key(&key) {
                return Err(Fault::new(
                    "ORC-0283",
                    place,
                    format!("the key `{key}` is there twice"),
                )
                .suggest("remove or rename one of the two"));
            }
            let pointer = step(at, &key);
            self.spans.insert(pointer.clone(), place);
            let (event, value_place) = self.next()?;
            let value = self.node(event, value_place, &pointer, depth + 1)?;
            members.insert(key, value);
        }
    }
}

fn too_deep(place: Place) -> Fault {
    let message = format!("the document is nested deeper than {MAX_DEPTH} levels");
    Fault::new("ORC-0284", place, message)
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

fn no_tag(tagged: bool, place: Place) -> Result<(), Fault> {
    if tagged {
        return Err(Fault::new("ORC-0288", place, "tags such as `!!str` are not supported")
            .suggest("quote text instead of tagging it"));
    }
    Ok(())
}

/// A plain scalar by the core schema of YAML 1.2 (section 10.3.2).
fn plain(text: &str, place: Place) -> Result<Value, Fault> {
    let number = |message: &str| {
        Fault::new("ORC-0287", place, format!("`{text}` {message}"))
            .suggest("quote it if text is meant")
    };
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match scalar_kind(text) {
            Kind::Text => Value::String(text.to_owned()),
            Kind::NotFinite => return Err(number("is not a number that a document can hold")),
            Kind::Integer(digits, radix) => {
                let value = i64::from_str_radix(digits, radix)
                    .map(Number::from)
                    .or_else(|_| u64::from_str_radix(digits, radix).map(Number::from));
                Value::Number(value.map_err(|_| number("is too large a number"))?)
            }
            Kind::Float => {
                let value = text.parse().ok().and_then(Number::from_f64);
                Value::Number(value.ok_or_else(|| number("is too large a number"))?)
            }
        },
    })
}

enum Kind<'a> {
    Text,
    Integer(&'a str, u32),
    Float,
    NotFinite,
}

fn scalar_kind(text: &str) -> Kind<'_> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Kind::NotFinite;
    }
    let all = |digits: &str, test: fn(&u8) -> bool| {
        !digits.is_empty() && digits.bytes().all(|byte| test(&byte))
    };
    if let Some(digits) = text.strip_prefix("0o").filter(|d| all(d, |b| (b'0'..b'8').contains(b))) {
        return Kind::Integer(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x").filter(|d| all(d, u8::is_ascii_hexdigit)) {
        return Kind::Integer(digits, 16);
    }
    if all(unsigned, u8::is_ascii_digit) {
        return Kind::Integer(text, 10);
    }
    // [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        all(exponent.strip_prefix(['-', '+']).unwrap_or(exponent), u8::is_ascii_digit)
    });
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => {
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty())
        }
        None => all(mantissa, u8::is_ascii_digit),
    };
    if exponent_fits && mantissa_fits { Kind::Float } else { Kind::Text }
}
