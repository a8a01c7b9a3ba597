//! `orchestrator agents`

use crate::{context::Context, exit::Exit, problem::Failure};
use clap::{Args, Subcommand};
use orchestrator_service::AgentOrder;

/// Add agents to the project's settings, and remove them; `list-agents` shows them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator agents add dev --provider claude-code --model claude-sonnet-4-5
  orchestrator agents add reviewer --provider codex --role qa --mode own-login
  orchestrator agents add open --provider acp --command opencode acp
  orchestrator agents remove reviewer")]
pub(crate) struct Agents {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add an agent; it is judged before anything is written, and the rest of the file stays as it is
    #[command(after_help = "Examples:
  orchestrator agents add dev --provider claude-code --model claude-sonnet-4-5
  orchestrator agents add open --provider acp --command opencode acp")]
    Add {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// What it runs on: a provider of the settings, a coding CLI such as `claude-code`, or `command`
        #[arg(long, value_name = "NAME")]
        provider: String,
        /// Its model, or a rule that names models
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        /// Its role; without it, what its name says
        #[arg(long, value_name = "ROLE")]
        role: Option<String>,
        /// How a coding CLI reaches its models: `metered` or `own-login`
        #[arg(long, value_name = "MODE")]
        mode: Option<String>,
        /// Its program with its arguments; all that follows is of it
        #[arg(long, value_name = "WORD", num_args = 1.., allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Remove an agent; one that others fall back to stays
    #[command(after_help = "Examples:
  orchestrator agents remove reviewer")]
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

impl Agents {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let (done, verb) = match self.what {
            What::Add { name, provider, model, role, mode, command } => {
                let order = AgentOrder { name, provider, model, role, mode, command };
                (service.agents_add(&order)?, "added")
            }
            What::Remove { name } => (service.agents_remove(&name)?, "removed"),
        };
        if console.json {
            console.document(&done)?;
            return Ok(Exit::Done);
        }
        console.say(&format!("{verb} agent {} in {}", done.agent, done.file));
        if let Some(note) = &done.note {
            console.hint(&format!("it cannot work yet: {note}"));
        }
        Ok(Exit::Done)
    }
}
