//! What models cost: a dated table, the user's own prices over it, and exact sums.
//!
//! No price is better than a wrong one: a model that is not in the table has an unknown cost,
//! which is shown as such and never counted as zero.

mod entry;
mod facts;
mod table;
mod worst;

pub use entry::{
    BatchPrice, BatchTerms, CacheWrites, Cached, LongPrompt, PeakHours, PriceEntry, Rates,
};
pub use facts::{ModelFacts, ModelTable};
pub use table::{PriceError, PriceTable};
