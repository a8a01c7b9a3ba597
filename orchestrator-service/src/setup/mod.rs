//! Setting a project up, and checking what it depends on.

mod agents;
mod doctor;
mod found;
mod init;
mod online;

pub use agents::AgentOrder;
pub use init::{InitOptions, NO_PROVIDER, ProviderChoice, SetupChoices};
pub use online::Inquiry;
