//! Where agents work, and how their work is proved.
//!
//! [`process`] owns programs and all that they start; [`sandbox`] confines them.

pub mod process;
pub mod sandbox;
