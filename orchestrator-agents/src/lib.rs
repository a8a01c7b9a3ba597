//! Agents for the orchestrator: adapters that carry out what `orchestrator-core` asks of its
//! [`Agent`](orchestrator_core::port::Agent) port.
//!
//! - [`builtin`]: five analysts that read a project and need no model.
//! - [`coding`]: coding CLIs such as Claude Code and Codex.
//! - [`command`]: programs, run as a task.
//! - [`model`]: a language model, asked through the gateway.
//!
//! This crate decides nothing about runs and keeps nothing between them: it is told one
//! assignment at a time and answers it.
//!
//! ```
//! use orchestrator_agents::builtin::{Index, Options, dev, index::Limits};
//! use std::sync::atomic::AtomicBool;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let project = tempfile::tempdir()?;
//! std::fs::write(project.path().join("main.py"), "print('hello')\n")?;
//!
//! // Nothing asks it to stop.
//! let index = Index::build(project.path(), Limits::default(), &AtomicBool::new(false))?;
//! let report = dev::analyse(&index, &Options::new(project.path()));
//! assert_eq!(report.facts["languages"][0]["language"], "Python");
//! # Ok(())
//! # }
//! ```

pub mod builtin;
pub mod coding;
pub mod command;
pub mod model;
