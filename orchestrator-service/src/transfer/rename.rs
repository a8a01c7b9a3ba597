//! Other ids in place of those that a log names.

use orchestrator_core::{
    event::{Event, Recorded},
    id::RunId,
};
use std::collections::BTreeMap;

/// New ids by old ones; what is not in it keeps its id.
pub(super) type NewIds = BTreeMap<RunId, RunId>;

/// Puts the new id in the place of every old one.
pub(super) fn rename(events: &mut [Recorded], ids: &NewIds) {
    for recorded in events {
        for id in mentioned(&mut recorded.event) {
            if let Some(new) = ids.get(id) {
                *id = new.clone();
            }
        }
    }
}

/// Numbers the signals that were taken from 1 on, as in an inbox that had no others; returns how many
/// there are.
pub(super) fn number_signals(events: &mut [Recorded]) -> u64 {
    let mut count = 0;
    for recorded in events {
        if let Event::SignalTaken { number, .. } = &mut recorded.event {
            count += 1;
            *number = count;
        }
    }
    count
}

/// Every run that an event names.
fn mentioned(event: &mut Event) -> Vec<&mut RunId> {
    match event {
        Event::RunCreated(created) => {
            [Some(&mut created.run), created.parent.as_mut()].into_iter().flatten().collect()
        }
        Event::AttemptStarted { child, .. } => child.iter_mut().collect(),
        Event::AttemptSucceeded { cached, .. } => {
            cached.iter_mut().map(|cached| &mut cached.run).collect()
        }
        Event::TaskCarried { from, .. } => vec![from],
        Event::ChainPlanned { run, .. } | Event::ChainStarted { run, .. } => vec![run],
        _ => Vec::new(),
    }
}
