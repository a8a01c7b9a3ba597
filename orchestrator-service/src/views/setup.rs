//! Templates, and what `doctor` and `init` say.

use serde::Serialize;

/// One template or workflow that can be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateView {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub description: String,
    /// `built-in`, `project` or `user`.
    pub source: &'static str,
    /// Its file, unless it is built in.
    pub file: Option<String>,
    /// The inputs that it takes; a required one ends in `*`.
    pub inputs: Vec<String>,
    /// The agents or roles that it asks for.
    pub agents: Vec<String>,
    /// Whether it can run here and now; when not, `reason` says why.
    pub ready: bool,
    /// Why it cannot run, and what to do.
    pub reason: Option<String>,
}

/// How a check turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// Something that may be wanted is not there.
    Note,
    /// It must be mended.
    Failed,
}

/// One thing that `doctor` looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckView {
    /// Its name, such as `git`.
    pub name: String,
    /// How it turned out.
    pub state: CheckState,
    /// What was found.
    pub found: String,
    /// The command or step that mends it; null when nothing is to be done.
    pub mend: Option<String>,
    /// The error code, when it failed with one.
    pub code: Option<&'static str>,
}

/// What `doctor` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoctorView {
    /// `orchestrator.doctor/v1`.
    pub schema: &'static str,
    /// Whether nothing failed.
    pub ok: bool,
    /// The checks in a fixed order.
    pub items: Vec<CheckView>,
}

/// What `init` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitView {
    /// `orchestrator.init/v1`.
    pub schema: &'static str,
    /// The project's directory.
    pub project: String,
    /// The files that were written.
    pub written: Vec<String>,
    /// What was found on the machine: keys by the name of their variable, programs by path.
    pub found: Vec<String>,
    /// The next commands to type.
    pub next: Vec<String>,
}
