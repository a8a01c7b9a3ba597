//! Programs that are agents and call models: each attempt has a token of its own for the gateway's
//! front, which this process runs as long as it lives.

mod access;
mod coding;
mod homes;
mod make;
mod metered;
mod own_login;
mod pass;
mod reckoner;
mod routed;

pub(crate) use access::Access;
pub(crate) use homes::Homes;
pub(crate) use make::{Surroundings, program};
pub(crate) use reckoner::LedgerReckoner;

pub use orchestrator_gateway::front::client_variables as gateway_variables;
