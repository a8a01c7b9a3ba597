//! `orchestrator config`

use crate::{
    context::Context,
    exit::Exit,
    output::{
        Console,
        paint::Tone,
        table::{Align, Cell, Table},
    },
    problem::Failure,
};
use clap::{Args, Subcommand};
use orchestrator_service::{ConfigScope, views::ConfigView};
use serde_json::Value;

/// Show, read and write settings
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator config show --origin
  orchestrator config get defaults.max-parallel
  orchestrator config set budget.usd-per-run 2.50")]
pub(crate) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All settings in force
    #[command(after_help = "Examples:
  orchestrator config show --origin")]
    Show {
        /// Also show where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// The value of one setting, or of all below a section
    #[command(after_help = "Examples:
  orchestrator config get defaults.max-parallel
  orchestrator config get agents")]
    Get {
        /// Its key, such as `defaults.max-parallel`
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Write one setting; the rest of the file stays as it is
    #[command(after_help = "Examples:
  orchestrator config set agents.dev.model claude-sonnet-4-5
  orchestrator config set --user defaults.max-parallel 8")]
    Set {
        /// Its key, such as `defaults.max-parallel`
        #[arg(value_name = "KEY")]
        key: String,
        /// Its value; read as the type that the setting has
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
        /// Write to the user's file in place of the project's
        #[arg(long)]
        user: bool,
    },
}

impl Config {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        match self.what {
            What::Show { origin } => show(console, &service.config()?, origin)?,
            What::Get { key } => get(console, &key, &service.config_get(&key)?)?,
            What::Set { key, value, user } => {
                let scope = if user { ConfigScope::User } else { ConfigScope::Project };
                let file = service.config_set(&key, &value, scope)?;
                if console.json {
                    console.document(&service.config_get(&key)?)?;
                }
                console.say(&format!("wrote {key} to {}", file.display()));
            }
        }
        Ok(Exit::Done)
    }
}

fn show(console: &Console, config: &ConfigView, origin: bool) -> Result<(), Failure> {
    if console.json {
        return console.document(config);
    }
    if !origin {
        return console.lines(&config.items.iter().map(line).collect::<Vec<_>>());
    }
    let mut table = Table::new(&[
        ("KEY", Align::Left),
        ("VALUE", Align::Left),
        ("LAYER", Align::Left),
        ("ORIGIN", Align::Left),
    ]);
    for setting in &config.items {
        let tone = if setting.layer == "default" { Tone::Faint } else { Tone::Plain };
        table.row(vec![
            Cell::toned(tone, setting.key.as_str()),
            Cell::toned(tone, setting.value.to_string()),
            Cell::toned(tone, setting.layer),
            Cell::toned(tone, setting.origin.as_str()),
        ]);
    }
    console.table(&table)
}

/// One setting alone is printed bare, for scripts; a section with its keys.
fn get(console: &Console, key: &str, config: &ConfigView) -> Result<(), Failure> {
    if console.json {
        return console.document(config);
    }
    match config.items.as_slice() {
        [one] if one.key == key => console.data(&match &one.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
        several => console.lines(&several.iter().map(line).collect::<Vec<_>>()),
    }
}

fn line(setting: &orchestrator_service::views::SettingView) -> String {
    format!("{} = {}", setting.key, setting.value)
}
