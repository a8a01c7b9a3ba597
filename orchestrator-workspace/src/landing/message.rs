//! Messages of commits: the words, and the trailers below them.

use orchestrator_core::workspace::LandingRow;

/// The message of landed work: its own words, and whose it is.
pub(super) fn landed(message: &str, row: &LandingRow) -> String {
    let trailers = [
        ("Orchestrator-Run", row.run.to_string()),
        ("Orchestrator-Task", row.task.to_string()),
        ("Orchestrator-Attempt", row.attempt.to_string()),
    ];
    with_trailers(message, &trailers)
}

/// The message of a commit that undoes `commit`, whose message is `message`.
pub(super) fn reverting(message: &str, row: &LandingRow, commit: &str) -> String {
    let words = format!("Revert \"{}\"\n\nThis reverts commit {commit}.\n", subject(message));
    with_trailers(
        &words,
        &[
            ("Orchestrator-Reverts-Run", row.run.to_string()),
            ("Orchestrator-Reverts-Task", row.task.to_string()),
        ],
    )
}

/// The first line.
pub(super) fn subject(message: &str) -> &str {
    message.lines().find(|line| !line.trim().is_empty()).unwrap_or("(no message)").trim()
}

/// What follows the first line.
pub(super) fn body(message: &str) -> &str {
    message.trim_start().split_once('\n').map_or("", |(_, rest)| rest.trim())
}

/// `message` with the trailers that it does not have yet, in its last paragraph when that is made of
/// trailers, else in one of their own.
fn with_trailers(message: &str, trailers: &[(&str, String)]) -> String {
    let message = message.trim_end();
    let last = message.rsplit("\n\n").next().unwrap_or_default();
    let has_block = message.contains("\n\n") && last.lines().all(is_trailer);
    let missing: Vec<String> = trailers
        .iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .filter(|line| !(has_block && last.lines().any(|there| there == line)))
        .collect();
    let mut text = if message.is_empty() { "(no message)".to_owned() } else { message.to_owned() };
    if !missing.is_empty() {
        text.push_str(if has_block { "\n" } else { "\n\n" });
        text.push_str(&missing.join("\n"));
    }
    text.push('\n');
    text
}

fn is_trailer(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(key, value)| {
        !key.is_empty()
            && !value.trim().is_empty()
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_added_once_and_in_their_paragraph() {
        let check = |message: &str, expected: &str| {
            let trailers = [("A", "1".to_owned()), ("B", "2".to_owned())];
            assert_eq!(with_trailers(message, &trailers), expected, "{message:?}");
        };
        check("do it\n", "do it\n\nA: 1\nB: 2\n");
        check("", "(no message)\n\nA: 1\nB: 2\n");
        check("do it\n\nwhy: because\nof that\n", "do it\n\nwhy: because\nof that\n\nA: 1\nB: 2\n");
        check("do it\n\nA: 1\n", "do it\n\nA: 1\nB: 2\n");
        check("do it\n\nA: 1\nB: 2", "do it\n\nA: 1\nB: 2\n");
        check("fix: this", "fix: this\n\nA: 1\nB: 2\n");
    }

    #[test]
    fn the_first_line_is_the_subject() {
        assert_eq!((subject("\n a b \n\nc\n"), body(" a\n\nc\n")), ("a b", "c"));
        assert_eq!((subject(""), body("")), ("(no message)", ""));
    }
}
