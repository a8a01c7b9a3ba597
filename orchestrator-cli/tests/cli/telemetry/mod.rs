//! What is told of runs, to whom, and that nothing is unless somebody asked.

mod collector;
mod logs;
mod metrics;
mod off;
mod traces;
