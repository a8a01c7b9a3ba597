//! Templates and workflows by name: built in, of the project, of the user; or a file.

mod built_in;
mod catalogue;
mod prepare;

pub(crate) use catalogue::{Catalogue, Listed, Loaded, is_document, refuse};
