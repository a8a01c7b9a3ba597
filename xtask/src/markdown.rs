//! What the chores read from Markdown: tables, links, headings, code.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::collections::{BTreeMap, BTreeSet};

/// One cell of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cell {
    /// All of its text, code included.
    pub(crate) text: String,
    /// The code spans in it, in order.
    pub(crate) code: Vec<String>,
}

/// A table: its header and its rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Table {
    /// The texts of the header's cells.
    pub(crate) header: Vec<String>,
    /// The rows, each as long as the header.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A link to somewhere, with the line that it stands on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Where it leads, as written.
    pub(crate) to: String,
    /// Its line.
    pub(crate) line: usize,
}

fn parse(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES)
}

/// The tables of a page whose header begins with `header`.
pub(crate) fn tables(text: &str, header: &[&str]) -> Vec<Table> {
    let mut all = Vec::new();
    let mut table: Option<Table> = None;
    let mut cells: Vec<Cell> = Vec::new();
    for event in parse(text) {
        match event {
            Event::Start(Tag::Table(_)) => table = Some(Table::default()),
            Event::Start(Tag::TableCell) => cells.push(Cell::default()),
            Event::End(TagEnd::TableHead) => {
                if let Some(table) = &mut table {
                    table.header = cells.drain(..).map(|cell| cell.text).collect();
                }
            }
            Event::End(TagEnd::TableRow) => {
                if let Some(table) = &mut table {
                    table.rows.push(std::mem::take(&mut cells));
                }
            }
            Event::End(TagEnd::Table) => all.extend(table.take()),
            Event::Text(text) => {
                if let Some(cell) = cells.last_mut() {
                    cell.text.push_str(&text);
                }
            }
            Event::Code(code) => {
                if let Some(cell) = cells.last_mut() {
                    cell.text.push_str(&code);
                    cell.code.push(code.into_string());
                }
            }
            _ => {}
        }
    }
    all.retain(|table| table.header.iter().take(header.len()).eq(header));
    all
}

/// The code spans of the paragraph that follows the comment `<!-- MARKER -->`; `None` without it.
pub(crate) fn code_after(text: &str, marker: &str) -> Option<Vec<String>> {
    let marker = format!("<!-- {marker} -->");
    let mut events = parse(text);
    events.find(|event| matches!(event, Event::Html(html) if html.trim() == marker))?;
    let code = events
        .take_while(|event| !matches!(event, Event::End(TagEnd::Paragraph)))
        .filter_map(|event| match event {
            Event::Code(code) => Some(code.into_string()),
            _ => None,
        });
    Some(code.collect())
}

/// The code blocks that follow a comment at once, each with what the comment says.
pub(crate) fn marked_blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut comment: Option<String> = None;
    let mut block: Option<(String, String)> = None;
    for event in parse(text) {
        match event {
            Event::Html(html) => {
                let said = html.trim().strip_prefix("<!--").and_then(|s| s.strip_suffix("-->"));
                comment = said.map(|said| said.trim().to_owned());
            }
            Event::Start(Tag::CodeBlock(_)) => {
                block = comment.take().map(|comment| (comment, String::new()));
            }
            Event::Text(text) => {
                if let Some((_, code)) = &mut block {
                    code.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(block.take()),
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            _ => comment = None,
        }
    }
    blocks
}

/// The links and images of a page. Text in code is not a link.
pub(crate) fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for (event, range) in parse(text).into_offset_iter() {
        if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event {
            let line = text[..range.start].matches('\n').count() + 1;
            links.push(Link { to: dest_url.into_string(), line });
        }
    }
    links
}

/// What `#…` may name on a page: its headings, as mdBook and forges turn them into anchors.
pub(crate) fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for heading in headings(text) {
        let slug = slug(&heading.1);
        let count = seen.entry(slug.clone()).or_default();
        anchors.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

/// The headings of a page with their levels, from 1.
pub(crate) fn headings(text: &str) -> Vec<(u8, String)> {
    let mut headings: Vec<(u8, String)> = Vec::new();
    let mut inside = false;
    for event in parse(text) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                inside = true;
                headings.push((level as u8, String::new()));
            }
            Event::End(TagEnd::Heading(_)) => inside = false,
            Event::Text(text) | Event::Code(text) if inside => {
                if let Some((_, heading)) = headings.last_mut() {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    headings
}

fn slug(heading: &str) -> String {
    heading
        .trim()
        .chars()
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            other if other.is_alphanumeric() => Some(other),
            _ => None,
        })
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whether a piece of documentation holds an example that is compiled and run.
pub(crate) fn has_running_example(text: &str) -> bool {
    const NOT_RUN: [&str; 4] = ["ignore", "no_run", "compile_fail", "text"];
    parse(text).any(|event| {
        let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) = event else {
            return false;
        };
        let words: Vec<&str> = info.split([',', ' ']).filter(|word| !word.is_empty()).collect();
        let is_rust = words.is_empty()
            || words.iter().any(|word| matches!(*word, "rust" | "should_panic"))
            || words.iter().all(|word| word.starts_with("edition"));
        is_rust && !words.iter().any(|word| NOT_RUN.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\n\
        | Other | Table |\n|---|---|\n| `x` | y |\n\n\
        | Crate | May use | In tests |\n|---|---|---|\n| `a` | `b`, `c` | – |\n| `b` | | |\n\n\
        ## The `b` part: what's in it\n\n[one](a.md#x) and `[two](no.md)`\n\n\
        ```text\n[three](no.md)\n# no heading\n```\n\n![four](p.png)\n\n## A page\n\n\
        <!-- banned -->\n\nNone of `tokio`, `mio`.\n\nOr `other`.\n";

    #[test]
    fn a_table_is_found_by_its_header() {
        let found = tables(PAGE, &["Crate", "May use"]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].header, ["Crate", "May use", "In tests"]);
        assert_eq!(found[0].rows.len(), 2);
        assert_eq!(found[0].rows[0][1].code, ["b", "c"]);
        assert_eq!(found[0].rows[0][1].text, "b, c");
        assert_eq!(found[0].rows[1][2], Cell::default());
        assert!(tables(PAGE, &["May use"]).is_empty());
    }

    #[test]
    fn links_are_found_outside_code_with_their_lines() {
        let links = links(PAGE);
        let found: Vec<(&str, usize)> = links.iter().map(|l| (l.to.as_str(), l.line)).collect();
        assert_eq!(found, [("a.md#x", 14), ("p.png", 21)]);
    }

    #[test]
    fn headings_become_anchors_and_repeats_are_numbered() {
        let anchors = anchors(PAGE);
        let anchors: Vec<&str> = anchors.iter().map(String::as_str).collect();
        assert_eq!(anchors, ["a-page", "a-page-1", "the-b-part-whats-in-it"]);
        assert_eq!(headings(PAGE)[0], (1, "A page".to_owned()));
    }

    #[test]
    fn code_is_read_from_one_marked_paragraph() {
        let check = |marker, expected: Option<Vec<String>>| {
            assert_eq!(code_after(PAGE, marker), expected, "{marker}");
        };
        check("banned", Some(vec!["tokio".to_owned(), "mio".to_owned()]));
        check("absent", None);
    }

    #[test]
    fn a_comment_marks_the_block_that_follows_it_at_once() {
        let page = "<!-- one -->\n```sh\na\nb\n```\n\n```sh\nc\n```\n\n<!-- two -->\n\nText.\n\n\
                    ```sh\nd\n```\n\n<!-- three -->\n\n```sh\ne\n```\n";
        let blocks = marked_blocks(page);
        let found: Vec<_> =
            blocks.iter().map(|(said, code)| (said.as_str(), code.as_str())).collect();
        assert_eq!(found, [("one", "a\nb\n"), ("three", "e\n")]);
    }

    #[test]
    fn only_examples_that_run_count() {
        let check = |info: &str, expected| {
            let text = format!("Text.\n\n```{info}\nlet x = 1;\n```\n");
            assert_eq!(has_running_example(&text), expected, "{info}");
        };
        check("", true);
        check("rust", true);
        check("should_panic", true);
        check("rust,no_run", false);
        check("ignore", false);
        check("text", false);
        check("toml", false);
        assert!(!has_running_example("no code at all"));
    }
}
