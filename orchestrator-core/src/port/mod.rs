//! What the engine asks of the world outside: traits to be implemented by adapters and embedders.

mod agent;
mod blobs;
mod catalog;
mod clock;
mod landings;
mod ledger;
mod observer;
mod reckoner;
mod responses;
mod rows;
mod secrets;
mod store;
mod workspaces;

pub use agent::{
    Agent, Answer, Artifact, Assignment, AttemptHost, Call, Feedback, Item, LogLine, LogStream,
    Permit, Progress, RecordedTurn, Steer, Step, Upstream, Work, turn,
};
pub use blobs::{BlobError, Blobs};
pub use catalog::*;
pub use clock::{Clock, Ids};
pub use landings::{LandingFilter, Landings, LandingsError};
pub use ledger::{CallRecord, CallState, HoldId, Ledger, LedgerError, Reserve, Settlement};
pub use observer::Observer;
pub use reckoner::{LostAttempt, Reckoner};
pub use responses::{KeptResponse, MAX_RESPONSE, MAX_RESPONSES, Responses};
pub use rows::*;
pub use secrets::{ManagedSecret, Secrets, SecretsError};
pub use store::*;
pub use workspaces::{Checked, LandRequest, Start, WorkspaceOrder, Workspaces};
