//! Systems that have no sandbox of ours.

use super::{Sandbox, SandboxError};
use std::path::{Path, PathBuf};

/// Does nothing: there is no launcher here.
pub fn launch_if_asked() {}

/// There is none.
///
/// # Errors
/// Always, so that nothing runs unconfined by mistake.
pub fn auto(
    _launcher: &Path,
    _bubblewrap: Option<PathBuf>,
) -> Result<Box<dyn Sandbox>, SandboxError> {
    let system = std::env::consts::OS;
    let why = format!(
        "on {system} nothing keeps a program from files, the network or other processes; run it on \
         Linux, or without a sandbox in so many words (`sandbox: off`)"
    );
    Err(SandboxError::Unavailable(why))
}
