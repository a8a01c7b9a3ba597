//! Coding CLIs as agents, through the real binary: a program that speaks as Claude Code does, and
//! calls the scripted model server through the gateway.

mod bounds;
mod crowd;
mod live;
mod recovery;
mod registry;
mod work;

use crate::harness::{Project, Ran};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::Value;

const MODEL: &str = "claude-sonnet-4-5";
const KEY: &str = "sk-test-0123456789";

/// An answer that costs $0.0045.
fn answer(text: &str) -> Reply {
    let usage = Usage { input: TokenCount(1_000), output: TokenCount(100), ..Usage::default() };
    Reply::text(text).usage(usage)
}

/// A project whose agent `dev` is the stand-in, with `more` settings of it.
fn project(server: &ModelServer, more: &str) -> Project {
    let project = Project::new().with("SOME_KEY", KEY);
    let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/coding/stand_in.py");
    let config = format!(
        "[providers.scripted]\nkind = \"anthropic\"\nbase-url = \"{}\"\nkey = {{ env = \"SOME_KEY\" }}\n\n\
         [agents.dev]\nprovider = \"claude-code\"\ncommand = [\"python3\", \"{stand_in}\"]\n\
         model = \"{MODEL}\"\n{more}\n",
        server.url()
    );
    project.write(".orchestrator/config.toml", &config);
    project
}

/// Has `dev` do `prompt` in the task `a` of the workflow `flow`, with `options`.
fn execute(project: &Project, prompt: &str, options: &[&str]) -> Ran {
    flow(project, prompt, "");
    let arguments = [&["execute", "--workflow", "flow", "--json"], options].concat();
    project.run(&arguments)
}

/// Writes the workflow `flow` with one task, which has `more`.
fn flow(project: &Project, prompt: &str, more: &str) {
    let prompt = Value::from(prompt);
    let flow = format!("name: flow\ntasks:\n  a:\n    agent: dev\n    prompt: {prompt}\n{more}");
    project.write(".orchestrator/workflows/flow.yaml", &flow);
}

/// What the task left.
fn output(project: &Project) -> String {
    let task = project.json(&["task-details", "a"]);
    task["output"].as_str().unwrap_or_else(|| panic!("no text: {task}")).to_owned()
}

/// The lines of the task's log.
fn log(project: &Project) -> String {
    project.ok(&["logs", "a"]).stdout
}

/// The homes of coding CLIs that are there.
fn homes(project: &Project) -> Vec<String> {
    let homes = std::fs::read_dir(project.path().join(".orchestrator/state/homes"));
    let homes = homes.into_iter().flatten().map(|home| home.expect("a home").file_name());
    homes.map(|name| name.to_string_lossy().into_owned()).collect()
}
