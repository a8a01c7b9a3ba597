//! Dockerfiles: who the process runs as, and what the image is made from.

use crate::builtin::finding::{Finding, Severity};

/// Whether a file of this name is a Dockerfile.
pub(super) fn is_dockerfile(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    matches!(lower.as_str(), "dockerfile" | "containerfile")
        || lower.starts_with("dockerfile.")
        || lower.ends_with(".dockerfile")
}

/// What is wrong with the Dockerfile `path`.
pub(super) fn scan(path: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut stages: Vec<String> = Vec::new();
    // Of the last stage: where it begins, and who it runs as.
    let mut last: Option<(u32, Option<String>)> = None;
    for (line, instruction) in instructions(text) {
        let mut words = instruction.split_whitespace();
        let Some(keyword) = words.next().map(str::to_ascii_uppercase) else { continue };
        let words: Vec<&str> = words.filter(|word| !word.starts_with("--")).collect();
        match (keyword.as_str(), words.as_slice()) {
            ("FROM", [image, rest @ ..]) => {
                let inherited = stages.iter().any(|stage| stage.eq_ignore_ascii_case(image));
                if !inherited && let Some(problem) = unpinned(image) {
                    found.push(
                        Finding::new(
                            "security/unpinned-image",
                            Severity::Low,
                            format!("the base image `{image}` {problem}"),
                            "Name a version, best with its digest, so that a build today and one \
                             tomorrow are the same",
                        )
                        .at(path)
                        .on_line(line),
                    );
                }
                if let [as_word, name] = rest
                    && as_word.eq_ignore_ascii_case("as")
                {
                    stages.push((*name).to_owned());
                }
                last = Some((line, None));
            }
            ("USER", [user, ..]) => {
                if let Some((_, runs_as)) = &mut last {
                    *runs_as = Some((*user).to_owned());
                }
            }
            ("ADD", [source, ..])
                if source.starts_with("http://") || source.starts_with("https://") =>
            {
                let has_checksum = instruction.contains("--checksum=");
                if !has_checksum {
                    found.push(
                        Finding::new(
                            "security/add-from-network",
                            Severity::Low,
                            "`ADD` takes a file from the network without a checksum",
                            "Give `ADD --checksum=sha256:...`, or fetch and compare in one `RUN`",
                        )
                        .at(path)
                        .on_line(line),
                    );
                }
            }
            _ => {}
        }
    }
    if let Some((line, user)) = last {
        let name = user.as_deref().map(|user| user.split(':').next().unwrap_or(user));
        if matches!(name, None | Some("root" | "0")) {
            found.push(
                Finding::new(
                    "security/container-as-root",
                    Severity::Low,
                    "the container runs as root, unless its base image says otherwise",
                    "End the last stage with `USER` and an account of its own",
                )
                .at(path)
                .on_line(line),
            );
        }
    }
    found
}

/// The instructions with the line each begins on; continued lines are joined, comments left out.
fn instructions(text: &str) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    let mut open: Option<(u32, String)> = None;
    for (line, raw) in (1..).zip(text.lines()) {
        let trimmed = raw.trim();
        if trimmed.starts_with('#') || (trimmed.is_empty() && open.is_none()) {
            continue;
        }
        let (first, mut joined) = open.take().unwrap_or((line, String::new()));
        let part = trimmed.strip_suffix('\\');
        joined.push_str(part.unwrap_or(trimmed));
        joined.push(' ');
        if part.is_some() {
            open = Some((first, joined));
        } else {
            all.push((first, joined));
        }
    }
    all.extend(open);
    all
}

/// What makes an image a different one tomorrow.
fn unpinned(image: &str) -> Option<&'static str> {
    if image == "scratch" || image.contains('$') || image.contains("@sha256:") {
        return None;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once(':') {
        None => Some("has no version"),
        Some((_, "latest")) => Some("is whatever `latest` is at the time"),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, u32)]) {
        let found = scan("Dockerfile", text);
        let found: Vec<_> = found
            .iter()
            .map(|f| (f.rule.trim_start_matches("security/"), f.line.unwrap()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn images_and_users_are_judged() {
        check("FROM rust:1.95 AS build\nRUN make\nFROM scratch\nUSER 1000:1000\n", &[]);
        check("# x\nFROM --platform=linux/amd64 node\nUSER node", &[("unpinned-image", 2)]);
        check("FROM reg.io:5000/a/b:latest\nUSER app", &[("unpinned-image", 1)]);
        check("FROM a:1 AS base\nFROM base\nUSER app", &[]);
        check("FROM ${BASE}\nUSER app", &[]);
        check("FROM a:1\nUSER app\nUSER root", &[("container-as-root", 1)]);
        check("FROM a:1\nUSER app\nFROM b:2", &[("container-as-root", 3)]);
        check("FROM a:1\nADD \\\n  https://a.b/c /c\nUSER app", &[("add-from-network", 2)]);
        check("FROM a:1\nADD --checksum=sha256:aa https://a.b/c /c\nUSER app", &[]);
        check("", &[]);
        check("RUN \\", &[]);
    }

    #[test]
    fn names_of_dockerfiles() {
        for (name, is) in [
            ("Dockerfile", true),
            ("Dockerfile.prod", true),
            ("api.Dockerfile", true),
            ("Containerfile", true),
            ("Dockerfiles", false),
        ] {
            assert_eq!(is_dockerfile(name), is, "{name}");
        }
    }
}
