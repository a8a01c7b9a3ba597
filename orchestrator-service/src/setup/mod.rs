//! Setting a project up, and checking what it depends on.

mod doctor;
mod found;
mod init;

pub use init::{InitOptions, NO_PROVIDER, ProviderChoice, SetupChoices};
