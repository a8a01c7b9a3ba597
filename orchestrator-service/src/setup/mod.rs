//! Setting a project up, and checking what it depends on.

mod doctor;
mod found;
mod init;
mod online;

pub use init::{InitOptions, NO_PROVIDER, ProviderChoice, SetupChoices};
pub use online::Inquiry;
