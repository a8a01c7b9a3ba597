//! A watcher that ends a process group when this process dies and can do nothing any more.
//!
//! It is a shell that waits at a pipe of which this process alone holds the other end. The kernel
//! closes that end whatever kills this process; the shell wakes and kills the group.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

/// What the shell does: `$1` is the group.
const SCRIPT: &str = r#"read -r _; kill -s KILL -- "-$1""#;

/// The watcher of one process group.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
}

impl Guard {
    /// Begins to watch over the group of process `leader`.
    pub(super) fn over(leader: u32) -> io::Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(leader.to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal to this process's own group must not end the watcher first.
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }

    /// Ends the watch. The pipe closes only after the shell is gone, so it never sees it close.
    pub(super) fn stand_down(mut self) {
        if let Err(error) = self.shell.kill().and_then(|()| self.shell.wait().map(drop)) {
            tracing::warn!(%error, "cannot end the watcher of a program");
        }
    }
}
