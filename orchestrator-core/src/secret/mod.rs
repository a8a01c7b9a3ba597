//! Secrets: a text that is never shown, and what hides known secrets in everything that is.
//!
//! Where secrets are kept is the port [`Secrets`](crate::port::Secrets). Here is only what holds
//! one in memory, [`SecretString`], and what removes known ones from text, [`Redactor`]. Both are
//! pure: they read and write nothing.

mod encoding;
mod redactor;
mod text;
mod view;

pub use redactor::{MASK, Redactor, SHORTEST};
pub use text::SecretString;
