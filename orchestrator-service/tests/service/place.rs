//! A project in a directory of its own, with nothing of the machine's environment but `PATH`.

use orchestrator_service::{
    Environment, ExecuteRequest, Execution, OpenOptions, OrchestratorService, ServiceError, What,
    views::{AskedView, ResultView},
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A project.
pub(crate) struct Place {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    /// An empty project, not a repository.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("project")).unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        let path = std::env::var("PATH").unwrap();
        let home = folder.path().join("home").display().to_string();
        Self { folder, variables: vec![("PATH".into(), path), ("HOME".into(), home)] }
    }

    /// The same with a variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The same with a file of the project.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        let file = self.root().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self
    }

    /// The project's directory.
    pub(crate) fn root(&self) -> PathBuf {
        std::fs::canonicalize(self.folder.path().join("project")).unwrap()
    }

    /// The service as a process of its own would open it.
    pub(crate) fn service(&self) -> OrchestratorService {
        let environment = Environment::new(self.variables.clone(), self.root());
        let options = OpenOptions { path: Some(self.root()), ..OpenOptions::default() };
        OrchestratorService::open(environment, options).unwrap()
    }

    /// Runs the workflow file `text` to its end.
    pub(crate) async fn run(&self, text: &str) -> ResultView {
        self.start(text).await.unwrap().wait().await.unwrap()
    }

    /// Starts the workflow file `text`.
    pub(crate) async fn start(&self, text: &str) -> Result<Execution, ServiceError> {
        self.service().execute(self.request(text)).await
    }

    /// A request for the workflow file `text`.
    pub(crate) fn request(&self, text: &str) -> ExecuteRequest {
        let file = self.root().join("workflow.yaml");
        std::fs::write(&file, text).unwrap();
        workflow(&file)
    }
}

/// A request for the workflow in `file`.
pub(crate) fn workflow(file: &Path) -> ExecuteRequest {
    let what = What::Workflow(file.display().to_string());
    ExecuteRequest { what, ..ExecuteRequest::default() }
}

/// A request for the template `name`.
pub(crate) fn template(name: &str) -> ExecuteRequest {
    ExecuteRequest { what: What::Template(name.into()), ..ExecuteRequest::default() }
}

/// Waits until nobody but people is waited for; what they are asked.
pub(crate) async fn until_asked(execution: &Execution) -> Vec<AskedView> {
    loop {
        let asks = execution.asked().await.unwrap();
        if !asks.is_empty() {
            return asks;
        }
        tokio::task::yield_now().await;
    }
}
