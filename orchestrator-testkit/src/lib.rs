//! Test equipment for whoever builds on the orchestrator. A dev-dependency, never more.
//!
//! - [`model_server`]: a scripted server that speaks the protocols of model providers.
//! - [`store_contract`]: what every store and every keeper of blobs must do, as cases.

pub mod model_server;

pub mod store_contract;
