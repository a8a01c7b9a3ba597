//! `orchestrator export`

use crate::{context::Context, exit::Exit, output::text, problem::Failure, runtime};
use clap::{Args, ValueEnum};
use orchestrator_service::ExportFormat;
use std::{io::Write, path::PathBuf};

/// One run as one file: everything as JSON for `import`, its tasks as CSV, a page as HTML, or a signed
/// receipt
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator export latest --output run.json
  orchestrator export latest --children --output run.json
  orchestrator export latest --format html --output run.html
  orchestrator export latest --format receipt --output receipt.json
  orchestrator export r_01 --format csv | column -s, -t")]
pub(crate) struct Export {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// The form
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: Format,

    /// The runs that it started and waited for as well; with JSON only
    #[arg(long)]
    children: bool,

    /// Write to this file in place of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Everything, to be read by programs and by `import`
    Json,
    /// Its tasks, one a line
    Csv,
    /// One page for people
    Html,
    /// What a run that has ended did, signed: for `verify`
    Receipt,
}

impl Export {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let format = match self.format {
            Format::Json => ExportFormat::Json { children: self.children },
            Format::Csv => ExportFormat::Csv,
            Format::Html => ExportFormat::Html,
            Format::Receipt => ExportFormat::Receipt,
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
