//! `requirements.txt`, and the requirements of PEP 508 that other Python formats use too.

use super::{Contents, Package, Source};

pub(super) fn manifest(text: &str) -> Result<Contents, String> {
    let mut contents = Contents::default();
    let mut carried = String::new();
    for line in text.lines() {
        // A backslash joins a line with the next: hashes are written so.
        if let Some(begun) = line.strip_suffix('\\') {
            carried.push_str(begun);
            continue;
        }
        let whole = std::mem::take(&mut carried) + line;
        let line = whole.split(" #").next().unwrap_or_default().trim();
        let place = line.strip_prefix("-e ").or_else(|| line.strip_prefix("--editable "));
        if let Some(place) = place {
            contents.packages.extend(editable(place.trim()));
        } else if !line.is_empty() && !line.starts_with(['#', '-']) {
            contents.packages.extend(requirement(line));
        }
    }
    Ok(contents)
}

/// Whether most lines of a text read like requirements rather than like prose.
pub(super) fn is_list(text: &str) -> bool {
    let (mut fit, mut other) = (0_usize, 0_usize);
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '-'])) {
        let line = line.split(" #").next().unwrap_or(line);
        let rest = line.trim_start_matches(|c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
        });
        let named = rest.len() < line.len();
        let rest = rest.trim_start();
        let fits = line.contains("://")
            || line.starts_with(['.', '/'])
            || named
                && (rest.is_empty()
                    || rest.starts_with([
                        '=', '<', '>', '!', '~', ';', '@', '[', '(', '\\', '-', '^', '*',
                    ]));
        if fits { fit += 1 } else { other += 1 }
    }
    other == 0 || fit > other
}

/// A place that is installed as it stands.
fn editable(place: &str) -> Option<Package> {
    if place.contains("://") {
        let name = place.split_once("#egg=").map_or(place, |(_, name)| name);
        return Some(Package::new(name, None).from(git_or_url(place)));
    }
    // The project itself is no dependency.
    let place = place.split_once('[').map_or(place, |(before, _)| before);
    (place != "." && !place.is_empty())
        .then(|| Package::new(place, None).from(Source::Path(place.to_owned())))
}

/// A requirement of PEP 508: a name, extras, a version specifier or an address, and a marker.
pub(super) fn requirement(text: &str) -> Option<Package> {
    let text = text.split(" --").next().unwrap_or(text).trim();
    if text.contains("://") && !text.contains(" @ ") && !text.split("://").next()?.contains('@') {
        let name = text.split_once("#egg=").map_or(text, |(_, name)| name);
        return Some(Package::new(name, None).from(git_or_url(text)));
    }
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, rest)| rest).trim_start(),
        None => rest,
    };
    let package = Package::new(normal(name), None);
    if let Some(address) = rest.strip_prefix('@') {
        return Some(package.from(git_or_url(address.trim())));
    }
    let specifier = rest.split(';').next().unwrap_or_default().trim();
    let specifier = specifier.trim_start_matches('(').trim_end_matches(')').trim();
    let version = (!specifier.is_empty()).then(|| specifier.to_owned());
    Some(Package { version, ..package })
}

/// A name as PyPI compares it (PEP 503).
pub(super) fn normal(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.push(c.to_ascii_lowercase());
        }
    }
    normal
}

fn git_or_url(address: &str) -> Source {
    let Some(repository) = address.strip_prefix("git+") else {
        return if address.starts_with("file:") {
            Source::Path(address.trim_start_matches("file:").to_owned())
        } else {
            Source::Url
        };
    };
    let repository = repository.split_once('#').map_or(repository, |(before, _)| before);
    let at = repository.rsplit_once('@').map_or("", |(_, at)| at);
    Source::Git { pinned: at.len() == 40 && at.bytes().all(|byte| byte.is_ascii_hexdigit()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_is_taken_apart() {
        for (text, name, version, source) in [
            ("requests", "requests", None, Source::Registry),
            ("Django>=4.2,<5", "django", Some(">=4.2,<5"), Source::Registry),
            ("a.b_c[x,y] == 1.0 ; python_version<'3'", "a-b-c", Some("== 1.0"), Source::Registry),
            ("x (>=1)", "x", Some(">=1"), Source::Registry),
            ("x==1 --hash=sha256:00", "x", Some("==1"), Source::Registry),
            ("x @ https://h/x.whl", "x", None, Source::Url),
            ("x @ git+https://h/x@main", "x", None, Source::Git { pinned: false }),
            (
                "x@ git+https://h/x@0123456789012345678901234567890123456789#egg=x",
                "x",
                None,
                Source::Git { pinned: true },
            ),
        ] {
            let package = requirement(text).unwrap();
            assert_eq!(package.name, name, "{text}");
            assert_eq!(package.version.as_deref(), version, "{text}");
            assert_eq!(package.source, source, "{text}");
        }
    }

    #[test]
    fn prose_is_no_list_of_requirements() {
        for (text, expected) in [
            ("", true),
            ("# nothing yet\n", true),
            ("flask\nnumpy==1\r\n-r base.txt\nx[y] >= 2 # why\n./near\n", true),
            ("flask==2\n{{ template }}\nnumpy\n", true),
            (
                "=====================\nConstraints reference\n=====================\n\nThe classes \
                 defined in this module create\ndatabase constraints.\n",
                false,
            ),
            ("You need a compiler and\nlots of memory.\n", false),
        ] {
            assert_eq!(is_list(text), expected, "{text}");
        }
    }

    #[test]
    fn a_file_has_comments_options_and_joined_lines() {
        let text = "# all\n-r base.txt\n--index-url https://x\nflask==2 # web\n\
                    numpy==1 \\\n    --hash=sha256:00\n-e .\n-e ./near\n\n";
        let names: Vec<_> = manifest(text).unwrap().packages.into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["flask", "numpy", "./near"]);
    }
}
