//! What can be typed: the global options; each command's own are in its file.

use crate::{commands::Command, output::terminal::ColorWhen};
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser};
use std::{ffi::OsString, path::PathBuf};

/// Run work over many AI agents, see it through, and see what it cost.
#[derive(Debug, Parser)]
#[command(
    name = "orchestrator",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Examples:
  orchestrator execute --task-type audit          look a project over; needs no model and no key
  orchestrator execute \"add a --json flag to ls\"  let a team of agents do it
  orchestrator status                             what runs now, and what ended last
  orchestrator doctor                             what is missing, and the command that mends it"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print JSON documents; `docs/schemas` describes each
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The project; without it, the one that holds the current directory
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,

    /// Say nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more; twice: say much more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// When to use colour: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub(crate) color: ColorWhen,
}

/// The whole command line as clap knows it.
pub(crate) fn definition() -> clap::Command {
    Arguments::command()
}

/// Reads the command line.
///
/// # Errors
/// A request for help or the version, or what is wrong with the words.
pub(crate) fn parse(words: &[OsString]) -> Result<Arguments, clap::Error> {
    let command = definition().color(wanted_color(words));
    let matches = command.clone().try_get_matches_from(words)?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command.clone()))
}

/// The colour of clap's own help and errors, which it prints before any option is known.
fn wanted_color(words: &[OsString]) -> ColorChoice {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let given = |when: &str| {
        words.contains(&format!("--color={when}").as_str())
            || words.windows(2).any(|pair| pair == ["--color", when])
    };
    if given("always") {
        ColorChoice::Always
    } else if given("never") {
        ColorChoice::Never
    } else {
        ColorChoice::Auto
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        for command in definition().get_subcommands().filter(|c| !c.is_hide_set()) {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("orchestrator {}", command.get_name());
            assert!(after.contains(&example), "{} shows no example", command.get_name());
            assert!(command.get_about().is_some(), "{} says nothing", command.get_name());
        }
    }
}
