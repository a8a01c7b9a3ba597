//! Which version of its program an agent runs, as the bytes of its files tell it.

use super::Roster;
use crate::{Environment, OrchestratorService, ServiceError};
use orchestrator_core::id::AgentName;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// The largest file that is read for it, in bytes.
const LARGEST: u64 = 512 << 20;
/// The digits of a hash that are told: enough to tell files apart by accident, and few enough to read.
const DIGITS: usize = 16;

impl OrchestratorService {
    /// The versions of the programs of `agents`, of those that are programs. Nothing is run for it, since
    /// what a program says of itself is not better than what it is.
    ///
    /// # Errors
    /// Invalid settings.
    pub(crate) async fn versions(
        &self,
        agents: &BTreeSet<AgentName>,
    ) -> Result<BTreeMap<AgentName, String>, ServiceError> {
        let commands = self.roster()?.commands(agents);
        if commands.is_empty() {
            return Ok(BTreeMap::new());
        }
        let this = self.clone();
        // Programs may be large.
        let told = tokio::task::spawn_blocking(move || {
            let told = commands.into_iter().filter_map(|(name, command)| {
                Some((name, version(&command, this.environment(), this.project())?))
            });
            told.collect()
        });
        told.await.map_err(|error| ServiceError::Internal(error.to_string()))
    }
}

impl Roster {
    /// The programs and arguments of those of `agents` that are programs.
    fn commands(&self, agents: &BTreeSet<AgentName>) -> Vec<(AgentName, Vec<String>)> {
        let of = |name: &AgentName| {
            let program = self.get(name.as_str()).ok()?.program.as_ref()?;
            Some((name.clone(), program.command.clone()))
        };
        agents.iter().filter_map(of).collect()
    }
}

/// The program, and the files among its arguments, each with the start of its hash: such as
/// `sh sha256:0123456789abcdef, agent.sh sha256:fedcba9876543210`. `None` when the program is not found.
fn version(command: &[String], environment: &Environment, project: &Path) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let found: PathBuf = match program.contains(std::path::MAIN_SEPARATOR) {
        true => project.join(program),
        false => environment.programs(program).into_iter().next()?,
    };
    let mut told = vec![named(&found)?];
    // What an interpreter runs says more than the interpreter.
    let files = arguments.iter().map(|argument| project.join(argument));
    told.extend(files.filter(|file| file.is_file()).filter_map(|file| named(&file)));
    Some(told.join(", "))
}

fn named(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_string_lossy().into_owned();
    let hash = hash(file).ok()?;
    Some(format!("{name} sha256:{}", &hash[..DIGITS]))
}

fn hash(file: &Path) -> io::Result<String> {
    let file = File::open(file)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let (mut file, mut hash) = (file.take(LARGEST), Sha256::new());
    let mut part = vec![0; 1 << 16];
    loop {
        match file.read(&mut part)? {
            0 => break,
            read => hash.update(&part[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_changes_with_the_files_that_a_program_begins_with() {
        let place = tempfile::tempdir().expect("a directory");
        let path = std::env::var("PATH").expect("a path");
        let environment = Environment::new([("PATH".to_owned(), path)], place.path().to_owned());
        let told = |command: &[&str]| {
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            version(&command, &environment, place.path())
        };
        std::fs::write(place.path().join("agent.sh"), "echo one\n").expect("written");
        let first = told(&["sh", "agent.sh", "--flag"]).expect("a version");
        assert!(first.starts_with("sh sha256:"), "{first}");
        assert!(first.contains(", agent.sh sha256:") && !first.contains("flag"), "{first}");
        assert_eq!(told(&["sh", "agent.sh"]), Some(first.clone()));
        std::fs::write(place.path().join("agent.sh"), "echo two\n").expect("written");
        let second = told(&["sh", "agent.sh"]).expect("a version");
        assert_ne!(first, second);
        assert_eq!(first.split(',').next(), second.split(',').next(), "the shell is the same");
        assert_eq!(told(&["./agent.sh"]), Some(second.split(", ").nth(1).expect("two").to_owned()));
        assert_eq!(told(&["no-such-program-anywhere"]), None);
        assert_eq!(told(&[]), None);
    }
}
