//! `orchestrator init`

use super::confirm;
use crate::{context::Context, exit::Exit, output::Console, problem::Failure};
use clap::Args;
use orchestrator_service::{InitOptions, NO_PROVIDER, SetupChoices};

/// Set a project up: find keys and programs, write a commented configuration
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator init
  orchestrator init --provider anthropic --yes
  orchestrator init --path ../other --force")]
pub(crate) struct Init {
    /// Replace a configuration that is there
    #[arg(long)]
    force: bool,

    /// What the agents run on: `anthropic`, `openai`, `deepseek`, or `builtin` for no model
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,

    /// Do not ask: take what was found
    #[arg(short, long)]
    yes: bool,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let mut options = InitOptions { force: self.force, provider: self.provider };
        if !self.yes && confirm::can_ask(console) {
            let choices = service.setup_choices();
            // A refusal comes before questions whose answers would be for nothing.
            if (!choices.is_set_up || options.force) && !agreed(console, &choices, &mut options) {
                console.say("nothing was written");
                return Ok(Exit::Cancelled);
            }
        }
        let done = service.init(&options)?;
        if console.json {
            console.document(&done)?;
            return Ok(Exit::Done);
        }
        console
            .lines(&done.written.iter().map(|file| format!("wrote {file}")).collect::<Vec<_>>())?;
        for found in &done.found {
            console.say(&format!("found {found}"));
        }
        for next in &done.next {
            console.hint(&format!("next: {next}"));
        }
        Ok(Exit::Done)
    }
}

/// Asks what the agents run on, unless that was said, and whether to write.
fn agreed(console: &Console, choices: &SetupChoices, options: &mut InitOptions) -> bool {
    if options.provider.is_none() {
        let names: Vec<&str> =
            choices.providers.iter().map(|choice| choice.name).chain([NO_PROVIDER]).collect();
        for choice in &choices.providers {
            let key = if choice.found { "is set" } else { "is not set" };
            console.say(&format!(
                "  {:<10} {} by default; {} {key}",
                choice.name, choice.model, choice.variable
            ));
        }
        console.say(&format!("  {NO_PROVIDER:<10} no model: the analysts that need none"));
        let first = choices.providers.first().filter(|choice| choice.found);
        let usual = first.map_or(NO_PROVIDER, |choice| choice.name);
        match confirm::choose("What do the agents run on?", &names, usual) {
            Some(name) => options.provider = Some(name),
            None => return false,
        }
    }
    let verb = if choices.is_set_up { "Replace" } else { "Write" };
    confirm::ask_unless_no(&format!("{verb} `{}`?", choices.file.display()))
}
