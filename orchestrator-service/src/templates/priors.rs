//! What the tasks of the built-in templates are assumed to use until there is history.

use orchestrator_core::{estimate::Prior, task::TaskSpec, workflow::Workflow};

/// Template, task, and the tokens of one attempt: input beside the text that is known beforehand, and
/// output. Nobody has measured these. They are what the prompts ask for, in round numbers: an analysis of
/// the project is some 2,000 tokens, a patch some 3,000, a verdict a few hundred, and a task that quotes
/// others reads what these have written.
const ASSUMED: [(&str, &str, u64, u64); 14] = [
    ("quick-implementation", "implement", 2_000, 3_000),
    ("quick-implementation", "review", 3_500, 250),
    ("full-development", "plan", 2_000, 500),
    ("full-development", "implement", 2_500, 4_000),
    ("full-development", "review", 4_500, 250),
    ("full-development", "security", 4_000, 800),
    ("full-development", "docs", 4_000, 1_000),
    ("full-development", "summary", 6_000, 4_500),
    ("code-review", "defects", 5_000, 900),
    ("code-review", "security", 5_000, 700),
    ("code-review", "verdict", 1_600, 900),
    ("documentation", "draft", 6_000, 3_000),
    ("security-audit", "triage", 4_000, 1_500),
    ("commit-message", "message", 2_000, 150),
];

/// What is assumed of a task of a template; `None` where its role tells.
pub(crate) fn prior(workflow: &Workflow, task: &TaskSpec) -> Option<Prior> {
    let (workflow, task) = (workflow.name.as_str(), task.name.as_str());
    let found = ASSUMED.iter().find(|(of, named, ..)| *of == workflow && *named == task)?;
    Some(Prior { input: found.2, output: found.3 })
}
