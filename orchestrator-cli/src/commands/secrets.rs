//! `orchestrator secrets`

use super::listing;
use crate::{
    context::Context,
    exit::Exit,
    output::{
        Console,
        hidden::{self, Typed},
        table::{Align, Table},
        text,
    },
    problem::Failure,
    runtime,
};
use clap::{Args, Subcommand};
use orchestrator_service::{
    KeyChange, SecretString, ServiceError,
    views::{List, SecretView, SecretsChangeView},
};
use std::{
    io::{self, IsTerminal, Read},
    path::PathBuf,
};

/// More than any secret may have, to be refused with the reason.
const MOST: u64 = (64 << 10) + 1;

/// Keep keys in the credential store, for `key = { secret = "NAME" }` of a provider
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator secrets set ANTHROPIC_API_KEY
  orchestrator secrets list
  orchestrator config set providers.anthropic.key.secret ANTHROPIC_API_KEY")]
pub(crate) struct Secrets {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Keep a value, asked for or read from standard input; never an argument
    #[command(after_help = "Examples:
  orchestrator secrets set ANTHROPIC_API_KEY
  orchestrator secrets set ANTHROPIC_API_KEY < key.txt")]
    Set {
        /// The name to keep it under
        #[arg(value_name = "NAME")]
        name: String,
        /// Taken only to be refused, without repeating it
        #[arg(hide = true)]
        value: Vec<String>,
    },
    /// The names of what is kept, and what uses each; never a value
    #[command(after_help = "Examples:
  orchestrator secrets list
  orchestrator secrets list --json | jq -r '.items[].name'")]
    List {},
    /// Forget a secret
    #[command(after_help = "Examples:
  orchestrator secrets remove OLD_KEY")]
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Seal all secrets anew, opened as before or by a new passphrase, keyring or key file
    #[command(after_help = "Examples:
  orchestrator secrets rotate
  orchestrator secrets rotate --passphrase
  orchestrator secrets rotate --keyring
  orchestrator secrets rotate --key-file ~/keys/orchestrator.key")]
    Rotate {
        /// From now on a new passphrase opens them: asked for, or ORCHESTRATOR_NEW_PASSPHRASE
        #[arg(long, conflicts_with_all = ["key_file", "keyring"])]
        passphrase: bool,
        /// From now on a key in the keyring of the operating system opens them
        #[arg(long, conflicts_with = "key_file")]
        keyring: bool,
        /// From now on this key file opens them, which is made when it is missing; without a name
        /// the usual one
        #[arg(long, value_name = "FILE", num_args = 0..=1)]
        key_file: Option<Option<PathBuf>>,
    },
}

impl Secrets {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        match self.what {
            What::Set { name, value } => {
                if !value.is_empty() {
                    return Err(no_argument().into());
                }
                let Some(value) = read_value(&name)? else { return Ok(Exit::Interrupted) };
                let done = runtime::ask(async { Ok(service.secrets_set(&name, value).await?) })?;
                told(console, &done, &format!("kept {name} in {}", opened(&done)))?;
            }
            What::List {} => {
                let list = runtime::ask(async { Ok(service.secrets().await?) })?;
                show(console, &list)?;
            }
            What::Remove { name } => {
                let done = runtime::ask(async { Ok(service.secrets_remove(&name).await?) })?;
                told(console, &done, &format!("removed {name} from {}", done.kept_in))?;
            }
            What::Rotate { passphrase, keyring, key_file } => {
                let change = match key_file {
                    Some(file) => KeyChange::KeyFile(file),
                    None if passphrase => KeyChange::Passphrase,
                    None if keyring => KeyChange::Keyring,
                    None => KeyChange::Same,
                };
                let done = runtime::ask(async { Ok(service.secrets_rotate(change).await?) })?;
                let count = text::counted(done.names.len() as u64, "secret");
                told(console, &done, &format!("sealed {count} anew in {}", opened(&done)))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// A value from a pipe or a file, or from a person; none when the person thought better of it.
fn read_value(name: &str) -> Result<Option<SecretString>, Failure> {
    let failed = |error: &io::Error| ServiceError::Argument {
        what: "the value of the secret",
        given: "what was read".into(),
        expected: error.to_string(),
    };
    if io::stdin().is_terminal() {
        let typed = hidden::ask(&format!("value of {}: ", text::first_line(name)));
        return match typed.map_err(|error| failed(&error))? {
            Typed::Line(line) => Ok(Some(line)),
            Typed::End | Typed::Interrupted => Ok(None),
        };
    }
    let mut value = String::new();
    let read = io::stdin().lock().take(MOST).read_to_string(&mut value);
    read.map_err(|error| failed(&error))?;
    Ok(Some(SecretString::new(value)))
}

fn no_argument() -> ServiceError {
    ServiceError::Argument {
        what: "the value of a secret",
        given: "an argument".into(),
        expected: "the shell would remember it, and every process could see it; leave it out and \
                   type it when asked, or give it on standard input, as in `orchestrator secrets set \
                   NAME < key.txt`"
            .into(),
    }
}

fn opened(done: &SecretsChangeView) -> String {
    match &done.key_file {
        Some(file) => format!("{}, opened by the key file {file}", done.kept_in),
        None => format!("{}, opened by the {}", done.kept_in, done.key),
    }
}

fn told(console: &Console, done: &SecretsChangeView, said: &str) -> Result<(), Failure> {
    if console.json {
        return console.document(done);
    }
    console.say(said);
    Ok(())
}

fn show(console: &Console, list: &List<SecretView>) -> Result<(), Failure> {
    if console.json {
        return console.document(list);
    }
    let mut table = Table::new(&[
        ("SECRET", Align::Left),
        ("SET (UTC)", Align::Left),
        ("USED BY", Align::Left),
        ("KEPT IN", Align::Left),
    ]);
    for secret in &list.items {
        table.row(vec![
            secret.name.as_str().into(),
            secret.set_at.as_deref().map(listing::minute).unwrap_or_default().into(),
            secret.used_by.join(", ").into(),
            secret.kept_in.as_str().into(),
        ]);
    }
    if !list.items.is_empty() {
        console.table(&table)?;
    }
    listing::tail(console, "secrets", list.items.is_empty(), list.next.as_deref());
    Ok(())
}
