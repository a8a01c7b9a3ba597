//! Every code that this crate reports, with its title.

use orchestrator_core::workflow::PROBLEM_CODES;

/// The codes of this crate, in their order. Those of workflows, templates and inputs are
/// [`PROBLEM_CODES`].
pub const SERVICE_CODES: &[(&str, &str)] = &[
    ("ORC-0101", "a settings file cannot be read"),
    ("ORC-0102", "a settings file is not valid TOML"),
    ("ORC-0103", "a setting is not known"),
    ("ORC-0104", "a setting has a value that does not fit"),
    ("ORC-0105", "a settings file cannot be written"),
    ("ORC-0106", "the project is set up already"),
    ("ORC-0280", "a workflow file cannot be read"),
    ("ORC-0281", "a workflow file is not valid YAML"),
    ("ORC-0282", "a workflow file is not valid JSON"),
    ("ORC-0283", "a key is there twice"),
    ("ORC-0284", "a document is too large"),
    ("ORC-0285", "a file does not hold exactly one document"),
    ("ORC-0286", "a key is not text"),
    ("ORC-0287", "a number cannot be held"),
    ("ORC-0288", "a tag is not supported"),
    ("ORC-0289", "a workflow file is not UTF-8"),
    ("ORC-0290", "no template or workflow has that name"),
    ("ORC-0291", "the name of a workflow is taken"),
    ("ORC-0401", "the store cannot be reached"),
    ("ORC-0402", "the store was made by a newer version"),
    ("ORC-0403", "the store is damaged"),
    ("ORC-0404", "the disk is full"),
    ("ORC-0405", "the store is locked"),
    ("ORC-0406", "the state directory cannot be made"),
    ("ORC-0407", "stored content is missing or damaged"),
    ("ORC-0501", "a kind of provider is not offered yet"),
    ("ORC-0502", "a kind of provider is not known"),
    ("ORC-0503", "a provider's address cannot be used"),
    ("ORC-0504", "a provider's key cannot be sent"),
    ("ORC-0505", "a provider is there twice"),
    ("ORC-0511", "no agent has that name"),
    ("ORC-0512", "no agent has that name or role"),
    ("ORC-0513", "a model is needed"),
    ("ORC-0514", "a kind of agent is not offered yet"),
    ("ORC-0515", "an agent's provider is not known"),
    ("ORC-0516", "a key is not in the environment"),
    ("ORC-0517", "the credential store is not offered yet"),
    ("ORC-0518", "an agent's settings are incomplete"),
    ("ORC-0519", "a setting of an agent is not offered yet"),
    ("ORC-0520", "something would go where you did not send it"),
    ("ORC-0601", "no run has that id"),
    ("ORC-0602", "the start of an id fits several runs"),
    ("ORC-0603", "there are no runs yet"),
    ("ORC-0604", "no task has that name"),
    ("ORC-0605", "the run is over"),
    ("ORC-0606", "another process drives the run"),
    ("ORC-0607", "another machine drives the run"),
    ("ORC-0608", "no artifact has that name"),
    ("ORC-0609", "the engine could not go on"),
    ("ORC-0701", "the project's directory cannot be used"),
    ("ORC-0702", "a path is not UTF-8"),
    ("ORC-0703", "the `.env` file is not valid"),
    ("ORC-0704", "git is missing"),
    ("ORC-0705", "telemetry cannot be set up"),
    ("ORC-0706", "the platform is not known"),
    ("ORC-0801", "an argument does not fit"),
    ("ORC-0802", "output cannot be written"),
    ("ORC-0803", "the process's surroundings cannot be used"),
    ("ORC-0901", "an internal error"),
];

/// Every code with its title, in order.
pub fn codes() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = SERVICE_CODES.iter().chain(PROBLEM_CODES).copied().collect();
    all.sort_unstable();
    all
}
