//! The service as a front-end uses it, over real directories, a real store and a scripted model server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod constructs;
mod documents;
mod execute;
mod models;
mod place;
mod refusals;
mod requests;
mod setup;
mod telemetry;
