//! Agents for the orchestrator: adapters that carry out what `orchestrator-core` asks of its
//! [`Agent`](orchestrator_core::port::Agent) port.
//!
//! - [`builtin`]: five analysts that read a project and need no model.
//! - [`command`]: programs, run as a task.
//! - [`model`]: a language model, asked through the gateway.
//!
//! This crate decides nothing about runs and keeps nothing between them: it is told one
//! assignment at a time and answers it.

pub mod builtin;
pub mod command;
pub mod model;
