//! GitHub workflows: what a stranger's pull request could make them run.

use crate::builtin::finding::{Finding, Severity};
use regex::Regex;
use std::{collections::BTreeSet, sync::LazyLock};

/// Parts of an event that whoever opens an issue or a pull request writes.
static WRITTEN_BY_STRANGERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\$\{\{[^}]*\bgithub\.(?:head_ref\b|event\.(?:(?:issue|pull_request|discussion)\.(?:title|body)|(?:comment|review|review_comment)\.body|pull_request\.head\.(?:ref|label|repo\.default_branch)|(?:head_commit|commits\[?[^}\]]*\]?)\.(?:message|author\.(?:name|email))|workflow_run\.head_(?:branch|commit\.message)|pages[^}]*\.page_name)\b)",
    )
    .ok()
});

/// Whether `path` is a workflow or an action of GitHub's.
pub(super) fn is_workflow(path: &str) -> bool {
    let is_yaml = path.ends_with(".yml") || path.ends_with(".yaml");
    let name = path.rsplit('/').next().unwrap_or(path);
    is_yaml
        && (path.starts_with(".github/workflows/")
            || path.contains("/.github/workflows/")
            || matches!(name, "action.yml" | "action.yaml"))
}

/// What is wrong with the workflow `path`.
pub(super) fn scan(path: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let has_target = text.lines().any(|line| without_comment(line).contains("pull_request_target"));
    // The indentation of the key whose block is a script, while inside it.
    let mut script: Option<usize> = None;
    // An action that is used many times is one thing to mend.
    let mut loose = BTreeSet::new();
    for (number, raw) in (1..).zip(text.lines()) {
        let mut report = |rule: &str, severity, message: String, advice: &str| {
            found.push(Finding::new(rule, severity, message, advice).at(path).on_line(number));
        };
        let indent = raw.len() - raw.trim_start().len();
        let trimmed = raw.trim();
        if script.is_some_and(|outer| indent <= outer && !trimmed.is_empty()) {
            script = None;
        }
        let (item, extra) = match trimmed.strip_prefix("- ") {
            Some(item) => (item.trim_start(), trimmed.len() - item.trim_start().len()),
            None => (trimmed, 0),
        };
        let is_script_key = item.starts_with("run:") || item.starts_with("script:");
        if script.is_none() && is_script_key {
            script = Some(indent + extra);
        }
        if script.is_some() {
            let is_injected =
                WRITTEN_BY_STRANGERS.as_ref().is_some_and(|shape| shape.is_match(raw));
            if is_injected {
                report(
                    "security/workflow-script-injection",
                    Severity::High,
                    "text that a stranger writes becomes part of a script".to_owned(),
                    "Put it into `env:` and use the variable in quotes: \
                     the runner pastes `${{ }}` in before the shell reads the script",
                );
            }
            continue;
        }
        let line = without_comment(item).trim();
        if let Some(action) =
            line.strip_prefix("uses:").map(|value| value.trim().trim_matches(['"', '\'']))
        {
            if let Some(problem) = unpinned(action)
                && loose.insert(action)
            {
                report(
                    "security/unpinned-action",
                    Severity::Low,
                    format!("the action `{action}` {problem}"),
                    "Name the commit by its full id, with the version in a comment: its owner can \
                     move a tag at any time",
                );
            }
        } else if has_target && line.starts_with("ref:") && takes_head(line) {
            report(
                "security/workflow-runs-strangers-code",
                Severity::High,
                "`pull_request_target` checks out the pull request's own code, with this \
                 repository's secrets at hand"
                    .to_owned(),
                "Use `pull_request`, or split into one workflow that builds without secrets and one \
                 that uses what it made",
            );
        } else if line == "permissions: write-all" {
            report(
                "security/workflow-permissions",
                Severity::Low,
                "the workflow's token may write everything".to_owned(),
                "Grant each job the permissions that it uses",
            );
        }
    }
    found
}

fn takes_head(line: &str) -> bool {
    line.contains("github.event.pull_request.head.")
        || line.contains("github.head_ref")
        || line.contains("refs/pull/")
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    line.split_once(" #").map_or(line, |(before, _)| before)
}

/// What is loose about the name of an action.
fn unpinned(action: &str) -> Option<&'static str> {
    if action.starts_with("./") || action.contains("${{") || action.is_empty() {
        return None;
    }
    if let Some(image) = action.strip_prefix("docker://") {
        return (!image.contains("@sha256:")).then_some("is an image without a digest");
    }
    let (name, version) = action.split_once('@').unwrap_or((action, ""));
    let owner = name.split('/').next().unwrap_or_default();
    // GitHub's own actions are as trusted as the runner that runs them.
    if matches!(owner, "actions" | "github") {
        return None;
    }
    let is_commit = version.len() == 40 && version.bytes().all(|b| b.is_ascii_hexdigit());
    (!is_commit).then_some("is named by a tag or branch, not by a commit")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, u32)]) {
        let found = scan(".github/workflows/ci.yml", text);
        let found: Vec<_> = found
            .iter()
            .map(|f| (f.rule.trim_start_matches("security/"), f.line.unwrap()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn strangers_text_in_scripts() {
        check(
            "    steps:\n      - run: echo ${{ github.event.issue.title }}\n",
            &[("workflow-script-injection", 2)],
        );
        check(
            "      - name: x\n        run: |\n          echo hi\n\n          echo \"${{ github.head_ref }}\"\n        env:\n          T: ${{ github.event.issue.title }}\n",
            &[("workflow-script-injection", 5)],
        );
        check(
            "      - run: |\n          x\n        env:\n          B: ${{ github.event.comment.body }}\n",
            &[],
        );
        check("      - run: echo ${{ github.event.number }} ${{ github.sha }}\n", &[]);
        check(
            "        with:\n          script: |\n            f('${{ github.event.comment.body }}')\n",
            &[("workflow-script-injection", 3)],
        );
    }

    #[test]
    fn strangers_code_with_secrets() {
        let checkout = "      - uses: actions/checkout@v4\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}\n";
        check(
            &format!("on: pull_request_target\n{checkout}"),
            &[("workflow-runs-strangers-code", 4)],
        );
        check(&format!("on: pull_request\n{checkout}"), &[]);
        check(&format!("# pull_request_target\non: push\n{checkout}"), &[]);
    }

    #[test]
    fn actions_are_pinned() {
        for (action, loose) in [
            ("actions/checkout@v4", false),
            ("./local", false),
            ("some/action@v1", true),
            ("some/action/sub@main # v1", true),
            ("some/action@0123456789abcdef0123456789abcdef01234567", false),
            ("docker://alpine:3", true),
            ("docker://alpine@sha256:00", false),
        ] {
            let expected: &[(&str, u32)] = if loose { &[("unpinned-action", 1)] } else { &[] };
            check(&format!("    - uses: {action}\n"), expected);
        }
        check(
            "    - uses: a/b@v1\n    - uses: a/b@v1\n    - uses: a/c@v1\n",
            &[("unpinned-action", 1), ("unpinned-action", 3)],
        );
        check("permissions: write-all\n", &[("workflow-permissions", 1)]);
    }

    #[test]
    fn names_of_workflows() {
        for (path, is) in [
            (".github/workflows/ci.yml", true),
            ("sub/.github/workflows/ci.yaml", true),
            ("tool/action.yml", true),
            (".github/dependabot.yml", false),
            (".github/workflows/readme.md", false),
        ] {
            assert_eq!(is_workflow(path), is, "{path}");
        }
    }
}
