//! Confinement, tried from inside by real programs.

#![cfg(target_os = "linux")]

mod arena;
mod containers;
mod escapes;
mod network;
mod whole;
