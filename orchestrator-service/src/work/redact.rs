//! Keeping secrets out of what is recorded of places, checks and landing.

use orchestrator_core::{
    error::Failure,
    secret::Redactor,
    workspace::{CheckRecord, Evidence, Landing, Snapshot},
};
use std::borrow::Cow;

pub(super) fn text(text: &mut String, redactor: &Redactor) {
    if let Cow::Owned(hidden) = redactor.text(text) {
        *text = hidden;
    }
}

fn texts(texts: &mut [String], redactor: &Redactor) {
    texts.iter_mut().for_each(|one| text(one, redactor));
}

pub(super) fn failure(mut failure: Failure, redactor: &Redactor) -> Failure {
    text(&mut failure.message, redactor);
    failure
}

pub(super) fn outputs(outputs: &mut [Vec<u8>], redactor: &Redactor) {
    for output in outputs {
        if let Cow::Owned(hidden) = redactor.bytes(output) {
            *output = hidden;
        }
    }
}

/// All that programs or people have written; commits and trees stay what they are.
pub(super) fn evidence(evidence: &mut Evidence, redactor: &Redactor) {
    let Evidence { environment, checks, findings, judgement, .. } = evidence;
    environment.values_mut().for_each(|value| text(value, redactor));
    for check in checks {
        let CheckRecord { name, command, new_failures, old_failures, flaky, excerpt, .. } = check;
        text(name, redactor);
        text(excerpt, redactor);
        for list in [command, new_failures, old_failures, flaky] {
            texts(list, redactor);
        }
    }
    for finding in findings {
        text(&mut finding.path, redactor);
        text(&mut finding.message, redactor);
    }
    if let Some(judgement) = judgement {
        text(&mut judgement.reason, redactor);
    }
}

/// What is shown and recorded of it; what is in the commit is in the commit.
pub(super) fn snapshot(snapshot: &mut Snapshot, redactor: &Redactor) {
    text(&mut snapshot.diff, redactor);
    for file in &mut snapshot.files {
        text(&mut file.path, redactor);
        if let Some(from) = &mut file.from {
            text(from, redactor);
        }
    }
}

pub(super) fn landing(landing: &mut Landing, redactor: &Redactor) {
    match landing {
        Landing::Landed(_) | Landing::Requested(_) => {}
        Landing::Conflict(conflict) => text(&mut conflict.message, redactor),
        Landing::Red { evidence: found, .. } => evidence(found, redactor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::{secret::SecretString, workspace::Conflict};
    use serde_json::{Value, json};

    const KEY: &str = "sk-hidden-12345";

    fn leaky() -> Evidence {
        let commit = "a".repeat(40);
        let said = |what: &str| format!("{what} {KEY}");
        let evidence = json!({
            "commit": commit, "base": commit, "tree": commit, "sandbox": "off",
            "environment": { "tool": said("version") },
            "checks": [{
                "name": said("check"), "command": ["sh", "-c", said("echo")],
                "outcome": "failed", "duration-ms": 1, "runs": 1,
                "new-failures": [said("new")], "old-failures": [said("old")],
                "flaky": [said("flaky")], "excerpt": said("printed"),
            }],
            "findings": [{
                "kind": "planted", "path": said("path"), "message": said("message"), "blocks": true,
            }],
            "judgement": { "agent": "qa", "accepted": false, "reason": said("because") },
            "verdict": "failed",
        });
        serde_json::from_value(evidence).unwrap()
    }

    #[test]
    fn nothing_of_evidence_or_of_a_landing_holds_a_secret() {
        let redactor = Redactor::new([SecretString::new(KEY)]);
        let mut found = leaky();
        evidence(&mut found, &redactor);
        let text = serde_json::to_string(&found).unwrap();
        assert!(!text.contains(KEY), "{text}");
        assert_eq!(text.matches("[redacted]").count(), 10, "{text}");

        let tip = found.commit.clone();
        let mut red =
            Landing::Red { target: "main".into(), tip: tip.clone(), evidence: Box::new(leaky()) };
        landing(&mut red, &redactor);
        assert!(!format!("{red:?}").contains(KEY));
        let (target, files, message) = ("main".into(), Vec::new(), format!("in {KEY}"));
        let mut conflict = Landing::Conflict(Conflict { target, tip, files, message });
        landing(&mut conflict, &redactor);
        assert!(!format!("{conflict:?}").contains(KEY));

        let mut printed = vec![KEY.as_bytes().to_vec(), b"plain".to_vec()];
        outputs(&mut printed, &redactor);
        assert_eq!(printed, [b"[redacted]".to_vec(), b"plain".to_vec()]);
        assert_eq!(json!(found)["verdict"], Value::from("failed"));
    }
}
