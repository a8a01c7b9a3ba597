//! The inbox of a run.

use super::fixture::{Driver, Subject, run_id};
use orchestrator_core::{
    event::{Reply, Verdict},
    id::RunId,
    money::MicroUsd,
    port::{Mail, Signal, SignalRecord},
    time::Timestamp,
};
use std::collections::BTreeMap;
use tokio::task::JoinSet;

pub(super) async fn signals_are_numbered_and_read_in_parts(subject: Subject) {
    let store = &*subject.store;
    let run = Driver::created(store, "a", 100).await.run;
    let other = Driver::created(store, "b", 100).await.run;
    let cancel = |n: u64| Signal::Cancel { reason: format!("because {n} 'é' \u{0}") };
    for n in 0..4 {
        store.signal(&run, cancel(n), Timestamp(n)).await.expect("signal");
        store.signal(&other, cancel(100), Timestamp(n)).await.expect("signal");
    }
    let all = store.signals(&run, 0).await.expect("signals");
    let found: Vec<Signal> = all.iter().map(|record| record.signal.clone()).collect();
    assert_eq!(found, (0..4).map(cancel).collect::<Vec<_>>(), "in order, of this run alone");
    assert!(all.windows(2).all(|pair| pair[0].number < pair[1].number), "{all:?}");
    assert!(all[0].number > 0, "0 stands before the first");
    for after in &all {
        let rest: Vec<SignalRecord> =
            all.iter().filter(|record| record.number > after.number).cloned().collect();
        assert_eq!(store.signals(&run, after.number).await, Ok(rest));
    }
    assert_eq!(store.signals(&run, u64::MAX).await, Ok(Vec::new()));
}

pub(super) async fn every_kind_of_signal_comes_back(subject: Subject) {
    let store = &*subject.store;
    let run = Driver::created(store, "a", 100).await.run;
    let task = super::name("plan");
    let reply = |verdict| Reply::new(verdict, "zoë");
    let sent = [
        Signal::Pause { now: true },
        Signal::Pause { now: false },
        Signal::Resume {},
        Signal::Reply { task: task.clone(), reply: reply(Verdict::Approved) },
        Signal::Reply { task: task.clone(), reply: reply(Verdict::Answered("'yes'".into())) },
        Signal::Kill { task, reason: "stuck".into() },
        Signal::ChildEnded { run: run_id("b") },
        Signal::Budget { usd: Some(MicroUsd(2_500_000)) },
        Signal::Budget { usd: None },
    ];
    for signal in &sent {
        store.signal(&run, signal.clone(), Timestamp(1)).await.expect("signal");
    }
    let found = store.signals(&run, 0).await.expect("signals");
    let found: Vec<_> = found.into_iter().map(|record| record.signal).collect();
    assert_eq!(found, sent);
}

pub(super) async fn mail_names_who_was_signalled_since(subject: Subject) {
    let store = &*subject.store;
    for id in ["a", "b", "c"] {
        Driver::created(store, id, 100).await;
    }
    let nothing = |last| Ok(Mail { last, runs: Vec::new() });
    assert_eq!(store.mail(0).await, nothing(0));
    let send = async |id: &str| {
        store.signal(&run_id(id), Signal::Resume {}, Timestamp(1)).await.expect("signal");
    };
    let check = async |after: u64, expected: &[&str]| {
        let Mail { last, mut runs } = store.mail(after).await.expect("mail");
        runs.sort();
        let expected: Vec<RunId> = expected.iter().map(|id| run_id(id)).collect();
        assert_eq!(runs, expected, "after {after}");
        assert!(last > after || runs.is_empty(), "{last} after {after}");
        last
    };
    send("a").await;
    let first = check(0, &["a"]).await;
    assert_eq!(store.mail(first).await, nothing(first));
    for id in ["b", "a", "b"] {
        send(id).await;
    }
    let second = check(first, &["a", "b"]).await;
    assert_eq!(check(0, &["a", "b"]).await, second);
    send("c").await;
    check(second, &["c"]).await;
    assert_eq!(store.mail(u64::MAX).await, nothing(u64::MAX));
}

/// Whoever follows the mail and reads the inboxes that it names reads every signal.
pub(super) async fn mail_loses_nothing_that_many_send(subject: Subject) {
    const WRITERS: u64 = 6;
    const EACH: u64 = 15;
    for number in 0..3 {
        Driver::created(&*subject.store, &format!("run-{number}"), 1).await;
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = subject.store.clone();
        writers.spawn(async move {
            for turn in 0..EACH {
                let run = run_id(&format!("run-{}", (writer + turn) % 3));
                let signal = Signal::Cancel { reason: format!("{writer}.{turn}") };
                store.signal(&run, signal, Timestamp(turn)).await.expect("signal");
            }
        });
    }
    let mut read: BTreeMap<RunId, u64> = BTreeMap::new();
    let (mut last, mut reasons, mut over) = (0, Vec::new(), false);
    loop {
        // Looked at once more after the last of them.
        over |= writers.is_empty();
        let mail = subject.store.mail(last).await.expect("mail");
        last = mail.last;
        for run in mail.runs {
            let after = read.entry(run.clone()).or_default();
            for record in subject.store.signals(&run, *after).await.expect("signals") {
                *after = record.number;
                reasons.push(record.signal);
            }
        }
        if over {
            break;
        }
        while writers.try_join_next().is_some() {}
        tokio::task::yield_now().await;
    }
    assert_eq!(reasons.len() as u64, WRITERS * EACH);
}
