//! `orchestrator export`

use crate::{context::Context, exit::Exit, output::text, problem::Failure, runtime};
use clap::{Args, ValueEnum};
use orchestrator_service::ExportFormat;
use std::{io::Write, path::PathBuf};

/// One run as one file: everything as JSON, or its tasks as CSV
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator export latest --output run.json
  orchestrator export r_01 --format csv | column -s, -t")]
pub(crate) struct Export {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// The form
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: Format,

    /// Write to this file in place of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Everything: rows, events and the text of blobs
    Json,
    /// Its tasks, one a line
    Csv,
}

impl Export {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let format = match self.format {
            Format::Json => ExportFormat::Json,
            Format::Csv => ExportFormat::Csv,
        };
        let exported = runtime::ask(async { Ok(service.export(&self.run, format).await?) })?;
        let Some(path) = &self.output else {
            console.data(&exported)?;
            return Ok(Exit::Done);
        };
        let write = || {
            let mut file = std::fs::File::create(path)?;
            file.write_all(exported.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| Failure::file(path, &error))?;
        let size = text::bytes(exported.len() as u64);
        console.say(&format!("wrote {} ({size})", path.display()));
        Ok(Exit::Done)
    }
}
