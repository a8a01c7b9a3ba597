//! Templates and workflows by name: built in, of the project, of the user; or a file.

mod built_in;
mod catalogue;
mod family;
mod prepare;
mod priors;

pub(crate) use catalogue::{Catalogue, Home, Listed, Loaded, diagnose, is_document, refuse};
pub(crate) use family::Family;
pub(crate) use priors::prior;
