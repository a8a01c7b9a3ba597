//! What a run will use and cost, told beforehand from what similar tasks did, with how sure that is.
//!
//! Nothing here looks anything up: the caller gives what is to be done ([`TaskProfile`]) and what was
//! done ([`History`]), and gets [`Draws`]: a thousand ways in which it may turn out, the same ones for
//! the same question. They add up, so that tasks make a run and child runs make their parents.
//!
//! How it is reckoned: the tokens of a task are taken to be log-normal. The belief about them begins
//! with an assumption about the role ([`Prior`]) and is drawn towards what the project's history says,
//! from the loosely to the closely related ([`Basis`]), each as far as its number and its likeness carry:
//! a normal mean with a normal prior, on logarithms (A. Gelman et al., "Bayesian Data Analysis", 3rd
//! ed., 2.5 and 5.4). Money follows from tokens and today's prices. An interval holds what
//! lies between the tenth and the ninetieth of a hundred ways, so that about 80 % of all runs should end
//! within it; [`Calibration`] says whether they do.
//!
//! ```
//! use orchestrator_core::{
//!     agent::Role,
//!     estimate::{Confidence, Estimator, History, TaskProfile},
//!     id::{AgentName, TaskName, WorkflowName},
//! };
//!
//! # fn show() -> Result<(), Box<dyn std::error::Error>> {
//! let profile = TaskProfile::new(
//!     WorkflowName::new("feature")?,
//!     TaskName::new("build")?,
//!     AgentName::new("dev")?,
//!     Role::Dev,
//!     "some-model",
//! );
//! let history = History::default();
//! let told = Estimator::new(&history).task(&profile);
//! assert_eq!(told.sureness.confidence, Confidence::Low);
//! let tokens = told.draws.estimate(told.sureness).tokens;
//! assert!(tokens.low < tokens.likely && tokens.likely < tokens.high);
//! # Ok(())
//! # }
//! # show().unwrap();
//! ```

mod calibration;
mod draws;
mod fit;
mod history;
mod prior;
mod profile;
mod result;
mod task;
#[cfg(test)]
mod tests;

pub use calibration::{Calibration, Outcome, Verdict};
pub use draws::{DRAWS, Draws};
pub use history::{History, Sample};
pub use prior::Prior;
pub use profile::{Items, Often, Rates, TaskProfile};
pub use result::{Assumption, Basis, Confidence, Range, RunEstimate, Sureness};
pub use task::{Estimator, TaskForecast};
