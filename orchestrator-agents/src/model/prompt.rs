//! What the model is told.

use orchestrator_core::port::Assignment;
use orchestrator_gateway::Request;
use std::fmt::Write;

/// What is asked for, with why earlier answers were not accepted and what the answer must fit.
pub(crate) fn text(assignment: &Assignment) -> String {
    let mut prompt = assignment.prompt().to_owned();
    if !assignment.feedback.is_empty() {
        prompt.push_str("\n\nEarlier answers to this task were not accepted:\n");
        for feedback in &assignment.feedback {
            // Writing to a string cannot fail.
            let _ = writeln!(prompt, "\n- {}: {}", feedback.from, feedback.message.trim());
        }
        prompt.push_str("\nTake all of this into account.");
    }
    if let Some(schema) = &assignment.output_schema {
        let _ = write!(
            prompt,
            "\n\nAnswer with JSON only, without any text around it. It must fit this JSON Schema:\n\
             \n```json\n{schema:#}\n```"
        );
    }
    prompt
}

/// The first question of the conversation.
pub(super) fn request(assignment: &Assignment, model: &str) -> Request {
    let mut request =
        Request::new(model, text(assignment)).with_system(assignment.agent.instructions());
    request.max_tokens = assignment.agent.max_tokens;
    request.output_schema.clone_from(&assignment.output_schema);
    request
}

/// What is said about an answer that does not fit.
pub(crate) fn repair(violations: &[String], cut_off: bool) -> String {
    let mut text = String::new();
    if cut_off {
        text.push_str("Your answer was cut off because it was too long; be much briefer. ");
    }
    text.push_str("Your answer does not fit the JSON Schema:\n");
    for violation in violations {
        let _ = write!(text, "\n- {violation}");
    }
    text.push_str(
        "\n\nAnswer again with the whole corrected JSON only, without any text around it.",
    );
    text
}

/// The start of `text` on one line, for messages.
pub(crate) fn brief(text: &str) -> String {
    const MOST: usize = 500;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::{
        agent::{AgentSpec, Role},
        id::{AgentName, ProviderName, RunId, TaskName},
        port::{Feedback, Work},
    };
    use serde_json::json;
    use std::sync::Arc;

    fn assignment() -> Assignment {
        let agent = AgentSpec::new(
            AgentName::new("qa").unwrap(),
            Role::Qa,
            ProviderName::new("p").unwrap(),
        );
        Assignment::new(
            RunId::new("r_1").unwrap(),
            TaskName::new("review").unwrap(),
            Arc::new(agent),
            Work::Prompt("Review it.".into()),
        )
    }

    #[test]
    fn a_plain_task_is_asked_as_it_is() {
        let request = request(&assignment(), "m");
        assert_eq!(request.messages[0].text(), "Review it.");
        assert_eq!(request.system.as_deref(), Some(Role::Qa.instructions()));
        assert_eq!((request.max_tokens, request.output_schema), (None, None));
    }

    #[test]
    fn feedback_and_schema_are_told() {
        let mut assignment = assignment();
        assignment.feedback.push(Feedback { from: "qa".into(), message: "no tests\n".into() });
        assignment.output_schema = Some(Arc::new(json!({ "type": "object" })));
        let asked = request(&assignment, "m");
        let text = asked.messages[0].text();
        for part in ["Review it.", "- qa: no tests\n", "JSON only", "\"type\": \"object\""] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(asked.output_schema, assignment.output_schema);
    }

    #[test]
    fn brief_text_is_one_short_line() {
        assert_eq!(brief(" a\n\tb "), "a b");
        assert_eq!(brief(&"é".repeat(900)).chars().count(), 501);
    }
}
