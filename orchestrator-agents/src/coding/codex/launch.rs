//! How Codex is started.

use super::super::{Format, Input, Launch, Order, Start};
use super::{NAME, config};
use orchestrator_core::error::{ErrorClass, Failure};
use std::path::{Path, PathBuf};

/// Its own directory in its home.
const DIRECTORY: &str = ".codex";
/// Where the schema of its answer lies.
const SCHEMA: &str = ".codex/answer.schema.json";

/// Variables that would lead it elsewhere, or show keys that are not its own.
const OTHER_WAYS: [&str; 5] = [
    "CODEX_ACCESS_TOKEN",
    "CODEX_API_KEY",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "AZURE_OPENAI_API_KEY",
];

pub(super) fn launch(order: &Order) -> Result<Launch, Failure> {
    if order.endpoint.as_ref().is_some_and(|it| !it.formats.contains(&Format::Responses)) {
        let message = format!("{NAME} calls models by OpenAI Responses only");
        return Err(Failure::new(ErrorClass::InvalidRequest, message));
    }
    let config = toml::to_string(&config::config(order)).map_err(|error| {
        let message = format!("cannot write the settings of {NAME}: {error}");
        Failure::new(ErrorClass::InvalidRequest, message)
    })?;
    let mut files: Vec<(PathBuf, Vec<u8>)> =
        vec![(Path::new(DIRECTORY).join("config.toml"), config.into_bytes())];
    let arguments = match order.live {
        true => {
            let more = order.arguments.iter().cloned();
            std::iter::once("app-server".to_owned()).chain(more).collect()
        }
        false => exec(order, &mut files)?,
    };
    let mut variables =
        vec![("CODEX_HOME".to_owned(), text(&order.home.join(DIRECTORY))?.to_owned())];
    let mut without = vec!["CODEX_SQLITE_HOME", "CODEX_THREAD_ID"];
    if let Some(endpoint) = &order.endpoint {
        variables.push((config::KEY.to_owned(), endpoint.token.expose().to_owned()));
        without.extend(OTHER_WAYS);
    }
    Ok(Launch { arguments, variables, without, files, input: Input::Dialogue, report: None })
}

/// The line of `codex exec`. Its form for resuming takes fewer arguments than that for beginning.
fn exec(order: &Order, files: &mut Vec<(PathBuf, Vec<u8>)>) -> Result<Vec<String>, Failure> {
    let mut arguments: Vec<String> = vec!["exec".into()];
    match &order.start {
        Start::New(_) => {}
        Start::Resume(_) => arguments.push("resume".into()),
        Start::Fork { .. } => arguments.push("fork".into()),
    }
    arguments.extend(["--json".to_owned(), "--skip-git-repo-check".to_owned()]);
    if let Some(model) = &order.model {
        // A session that is resumed keeps the model that it had, unless it is told.
        arguments.extend(["--model".to_owned(), model.clone()]);
    }
    if let Some(schema) = &order.schema {
        files.push((SCHEMA.into(), schema.to_string().into_bytes()));
        let path = order.home.join(SCHEMA);
        arguments.extend(["--output-schema".to_owned(), text(&path)?.to_owned()]);
    }
    if let Start::New(_) = &order.start {
        arguments.extend(["--cd".to_owned(), text(&order.directory)?.to_owned()]);
    }
    arguments.extend(order.arguments.iter().cloned());
    match &order.start {
        Start::New(_) => {}
        Start::Resume(id) | Start::Fork { of: id, .. } => arguments.push(id.clone()),
    }
    // The prompt, from its standard input.
    arguments.push("-".into());
    Ok(arguments)
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| {
        let message = format!("the path `{}` is no UTF-8, which {NAME} needs", path.display());
        Failure::new(ErrorClass::InvalidRequest, message)
    })
}
