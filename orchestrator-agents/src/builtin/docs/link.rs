//! Links between the project's own pages.

use crate::builtin::{
    Finding, Report, Severity,
    index::{Class, FileEntry, Index, Kind},
};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    sync::atomic::AtomicBool,
};

/// What was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Links {
    pub(super) files: usize,
    pub(super) checked: usize,
    pub(super) dead: usize,
}

/// A link as it is written.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    line: u32,
    target: String,
}

/// One page.
#[derive(Debug, Default)]
struct Page {
    links: Vec<Link>,
    anchors: HashSet<String>,
}

pub(super) fn check(index: &Index, cancelled: &AtomicBool, report: &mut Report) -> Links {
    let pages = index.scan(cancelled, is_page, |_, text| read(text));
    let anchors: BTreeMap<&str, &HashSet<String>> =
        pages.iter().map(|(file, page)| (&*file.path, &page.anchors)).collect();
    let mut links = Links { files: pages.len(), ..Links::default() };
    let mut outside = 0;
    for (file, page) in &pages {
        for link in &page.links {
            let verdict = judge(index, file, &link.target, &anchors);
            match verdict {
                Verdict::NotOurs => continue,
                Verdict::Outside => {
                    outside += 1;
                    continue;
                }
                Verdict::Alive => links.checked += 1,
                Verdict::Dead | Verdict::NoAnchor => {
                    links.checked += 1;
                    links.dead += 1;
                    report.push(finding(file, link, &verdict));
                }
            }
        }
    }
    report.fact(
        "links",
        serde_json::json!({ "pages": links.files, "followed": links.checked, "dead": links.dead }),
    );
    if outside > 0 {
        report.note(format!("{outside} links lead out of the project and were not followed"));
    }
    links
}

fn is_page(file: &FileEntry) -> bool {
    matches!(file.extension().to_ascii_lowercase().as_str(), "md" | "markdown" | "mdown")
        && matches!(file.class, Class::Own | Class::Example)
}

fn finding(file: &FileEntry, link: &Link, verdict: &Verdict) -> Finding {
    let shown: String = link.target.chars().take(120).filter(|c| *c != '`').collect();
    let (rule, severity, message, advice) = match verdict {
        Verdict::NoAnchor => (
            "docs/dead-anchor",
            Severity::Low,
            format!("`{shown}` names a heading that is not there"),
            "Name a heading that is there: the link opens the page at its top instead",
        ),
        // What a reader's browser takes for a file of that name beside the page.
        _ if is_mail(&shown) => (
            "docs/dead-link",
            Severity::Low,
            format!("`{shown}` is a mail address without `mailto:`, and leads nowhere"),
            "Put `mailto:` before it",
        ),
        _ if is_host(&shown) => (
            "docs/dead-link",
            Severity::Low,
            format!("`{shown}` is a web address without `https://`, and leads nowhere"),
            "Put `https://` before it",
        ),
        _ => (
            "docs/dead-link",
            Severity::Medium,
            format!("`{shown}` leads nowhere"),
            "Correct the path or remove the link; it is relative to the file that holds it",
        ),
    };
    Finding::new(rule, severity, message, advice).at(&*file.path).on_line(link.line)
}

/// Whether a target that is no file reads like `name@host.tld`.
fn is_mail(target: &str) -> bool {
    target.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && !target.contains(['/', ' '])
            && host.contains('.')
            && !host.contains('@')
    })
}

/// Whether a target that is no file reads like `host.tld` or `www.host.tld/page`.
fn is_host(target: &str) -> bool {
    const ENDS: [&str; 8] = [".com", ".org", ".net", ".io", ".dev", ".edu", ".gov", ".app"];
    let host = target.split('/').next().unwrap_or_default();
    host.starts_with("www.") || ENDS.iter().any(|end| host.ends_with(end))
}

/// The links of a page and what can be linked to in it.
fn read(text: &str) -> Page {
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    let mut lines = Lines::new(text);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links
                    .push(Link { line: lines.of(range.start), target: dest_url.into_string() });
            }
            Event::Start(Tag::Heading { id, .. }) => {
                page.anchors.extend(id.as_deref().map(loose));
                heading = Some(String::new());
            }
            Event::End(TagEnd::Heading(_)) => {
                page.anchors.extend(heading.take().as_deref().map(loose));
            }
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            Event::Html(html) | Event::InlineHtml(html) => html_anchors(&html, &mut page.anchors),
            _ => {}
        }
    }
    page
}

/// The values of `id` and `name` in a piece of HTML.
fn html_anchors(html: &str, anchors: &mut HashSet<String>) {
    for key in ["id=", "name="] {
        for (at, _) in html.match_indices(key) {
            let value = html.get(at + key.len()..).unwrap_or_default();
            let value = value.trim_start_matches(['"', '\'']);
            let end = value.find(['"', '\'', ' ', '>']).unwrap_or(value.len());
            anchors.insert(loose(value.get(..end).unwrap_or_default()));
        }
    }
}

/// An anchor without what renderers treat each in its own way: case, and all but letters and
/// digits.
fn loose(anchor: &str) -> String {
    anchor.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Line numbers for offsets that only grow, or nearly so.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    fn of(&mut self, offset: usize) -> u32 {
        if offset < self.at {
            (self.at, self.line) = (0, 1);
        }
        let between = self.text.as_bytes().get(self.at..offset).unwrap_or_default();
        let count = memchr::memchr_iter(b'\n', between).count();
        self.line = self.line.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.at = offset;
        self.line
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Alive,
    /// The file is not there.
    Dead,
    /// The file is there and has no such heading.
    NoAnchor,
    /// It leaves the project, as `../../issues` does on a code hosting service.
    Outside,
    /// An address elsewhere, or something that a site generator fills in.
    NotOurs,
}

fn judge(
    index: &Index,
    file: &FileEntry,
    target: &str,
    anchors: &BTreeMap<&str, &HashSet<String>>,
) -> Verdict {
    let target = target.trim();
    let filled_in = ["{{", "{%", "${", "<%", "{@"].iter().any(|mark| target.contains(mark));
    let has_scheme = target.split(['/', '#', '?']).next().is_some_and(|start| start.contains(':'));
    // A leading slash is relative to a site whose root is not known here.
    if target.is_empty() || filled_in || has_scheme || target.starts_with(['/', '@', '\\']) {
        return Verdict::NotOurs;
    }
    let (place, fragment) = target.split_once('#').unwrap_or((target, ""));
    let place = place.split('?').next().unwrap_or_default();
    let place = percent_decode(place);
    if place.is_empty() {
        return anchor(&file.path, fragment, anchors);
    }
    let Some(path) = join(file.dir(), &place) else {
        return Verdict::Outside;
    };
    if index.file(&path).is_some() {
        return anchor(&path, fragment, anchors);
    }
    if exists(index, &path) { Verdict::Alive } else { Verdict::Dead }
}

fn anchor(path: &str, fragment: &str, anchors: &BTreeMap<&str, &HashSet<String>>) -> Verdict {
    let Some(known) = anchors.get(path) else {
        return Verdict::Alive;
    };
    let fragment = percent_decode(fragment);
    let wanted = loose(&fragment);
    // Browsers know `#top` and `#:~:text=`; services know lines, `#L10`, and footnotes.
    let is_known = wanted.is_empty()
        || wanted == "top"
        || fragment.starts_with(":~:")
        || wanted.starts_with("fn")
        || fragment
            .strip_prefix('L')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        || known.contains(&wanted)
        || known.contains(wanted.trim_start_matches("usercontent"));
    // The second heading of the same text gets a number behind it.
    let unnumbered = wanted.trim_end_matches(|c: char| c.is_ascii_digit());
    if is_known || (unnumbered != wanted && known.contains(unnumbered)) {
        Verdict::Alive
    } else {
        Verdict::NoAnchor
    }
}

/// Whether there is something at `path`: a file or directory, ignored or not, or the source of
/// the page that a site generator would put there.
fn exists(index: &Index, path: &str) -> bool {
    if index.has_dir(path) || fs::symlink_metadata(index.root().join(path)).is_ok() {
        return true;
    }
    let stem = path.strip_suffix(".html").or_else(|| path.strip_suffix(".htm")).unwrap_or(path);
    let is_page = stem != path || !path.rsplit('/').next().unwrap_or(path).contains('.');
    is_page
        && [".md", ".mdx", ".rst", ".markdown", "/index.md", "/README.md", "/_index.md"]
            .iter()
            .any(|end| index.file(&format!("{stem}{end}")).is_some_and(|f| f.kind != Kind::Link))
}

/// `relative` from `dir`, without `.` and `..`; nothing when it leaves the project.
fn join(dir: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// `%XX` as bytes; what is no such escape, or not UTF-8 in the end, stays as it is.
fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(escaped) => {
                decoded.push(escaped);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::fixture::Tree;

    fn verdict(target: &str) -> Vec<String> {
        let page = format!("# Page\n\ntext\n\n[x]({target})\n");
        let tree = Tree::new(&[
            ("docs/page.md", &page),
            ("docs/other.md", "# Some *Title* & `more`\n## Twice\n## Twice\n<a id=\"own\"></a>\n"),
            ("docs/a b.png", "x"),
            ("src/lib.rs", "//! Lib.\n"),
            (".gitignore", "/built/\n"),
            ("built/x.html", "x"),
        ]);
        let mut report = Report::new("docs");
        check(&tree.index(), &AtomicBool::new(false), &mut report);
        for finding in &report.findings {
            assert_eq!((finding.path.as_deref(), finding.line), (Some("docs/page.md"), Some(5)));
        }
        report.findings.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn only_a_link_that_leads_nowhere_is_dead() {
        for target in [
            "other.md",
            "./other.md",
            "other",
            "other.html",
            "../src/lib.rs",
            "../src",
            "../src/",
            "../built/x.html",
            "a%20b.png",
            "<a b.png>",
            "#page",
            "other.md#some-title--more",
            "other.md#twice-1",
            "other.md#own",
            "../src/lib.rs#L1",
            "https://example.com/missing",
            "mailto:a@example.com",
            "/site/root",
            "../../issues",
            "{{ site.url }}",
            "",
        ] {
            assert_eq!(verdict(target), Vec::<String>::new(), "{target}");
        }
        for target in ["missing.md", "../lib.rs", "other.md/x", "missing.md#page", "nothing.html"] {
            assert_eq!(verdict(target), ["docs/dead-link"], "{target}");
        }
        for target in ["#missing", "other.md#missing", "other.md#page"] {
            assert_eq!(verdict(target), ["docs/dead-anchor"], "{target}");
        }
    }

    #[test]
    fn addresses_that_lack_their_scheme_are_told_from_files() {
        for (target, mail, host) in [
            ("ann@example.com", true, false),
            ("example.com", false, true),
            ("www.example.cc/page", false, true),
            ("docs/ann@example.com", false, false),
            ("guide.md", false, false),
            ("@scope/name", false, false),
            ("a/example.com", false, false),
        ] {
            assert_eq!(
                (is_mail(target), !is_mail(target) && is_host(target)),
                (mail, host),
                "{target}"
            );
        }
    }

    #[test]
    fn code_and_plain_text_hold_no_links() {
        let page =
            read("`[a](b.md)`\n\n```\n[a](b.md)\n```\n\n    [a](b.md)\n\n[a]\n\n![i](c.png)\n");
        assert_eq!(page.links, [Link { line: 11, target: "c.png".to_owned() }]);
    }

    #[test]
    fn odd_escapes_stay_as_they_are() {
        for (text, decoded) in
            [("a%20b", "a b"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%ff", "%ff")]
        {
            assert_eq!(percent_decode(text), decoded);
        }
    }
}
