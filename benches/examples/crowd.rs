//! Fills the store in a directory with many runs, as an engine would have left them, to measure how
//! commands answer then: `crowd DIRECTORY COUNT`.

use orchestrator_benches::durable;
use orchestrator_core::port::Store;
use orchestrator_testkit::store_contract::crowd;
use std::{path::PathBuf, sync::Arc};

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let directory = PathBuf::from(arguments.next().expect("a directory"));
    let count = arguments.next().and_then(|count| count.to_str()?.parse().ok()).expect("a number");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store: Arc<dyn Store> = durable(&directory);
    let filled = runtime.spawn(async move { crowd(&store, count).await });
    runtime.block_on(filled).expect("the store takes them");
}
