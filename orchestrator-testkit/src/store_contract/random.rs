//! Random calls, compared with a model that is too simple to be wrong.

use super::fixture::{Driver, Subject, ended, owner, run_id, started};
use orchestrator_core::{
    event::Recorded,
    id::{Epoch, RunId, Sequence},
    port::{Claimant, GroupHold, Lease, Rows, Signal, StoreError},
    time::Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

/// A run as the model keeps it.
#[derive(Debug)]
struct Model {
    events: Vec<Recorded>,
    epoch: u64,
    lease: Option<Lease>,
    signals: Vec<Signal>,
    /// Whether it was signalled since the mail was last looked at.
    has_mail: bool,
}

/// A small generator of numbers: Marsaglia's xorshift64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Makes `steps` random calls with the seed `seed`, and compares each answer and, now and then,
/// all that is stored with a model.
///
/// # Panics
/// When the store and the model differ; the message names seed and step.
pub async fn against_model(subject: Subject, seed: u64, steps: usize) {
    let mut draw = Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut model: BTreeMap<RunId, Model> = BTreeMap::new();
    let mut holders: BTreeMap<String, Claimant> = BTreeMap::new();
    let (mut now, mut mail) = (0, 0);
    for step in 0..steps {
        let at = format!("seed {seed}, step {step}");
        now += draw.below(400);
        let run = run_id(&format!("m{}", draw.below(4)));
        match draw.below(10) {
            0 | 1 => create(&subject, &mut model, &run, now, &at).await,
            2..=4 => append(&subject, &mut model, &run, &mut draw, &at).await,
            5 => claim(&subject, &mut model, &run, &mut draw, now, &at).await,
            6 => renew(&subject, &mut model, &run, &mut draw, now, &at).await,
            7 => release(&subject, &mut model, &run, &mut draw, &at).await,
            8 => signal(&subject, &mut model, &run, step, &at).await,
            _ => hold(&subject, &mut model, &mut holders, &mut draw, &run, now, &at).await,
        }
        if step % 16 == 15 || step + 1 == steps {
            compare(&subject, &mut model, &mut mail, &at).await;
        }
    }
}

async fn create(
    subject: &Subject,
    model: &mut BTreeMap<RunId, Model>,
    run: &RunId,
    now: u64,
    at: &str,
) {
    let mut driver = Driver::new(run.as_str().trim_start_matches("r_"), now);
    driver.row.created_at = Timestamp(now);
    let lease = Lease { expires: Timestamp(now + 500), ..driver.lease() };
    let first = driver.first();
    let result = subject.store.create(first.clone(), lease.clone()).await;
    if model.contains_key(run) {
        assert_eq!(result, Err(StoreError::RunExists(run.clone())), "{at}");
        return;
    }
    assert_eq!(result, Ok(()), "{at}");
    let (events, lease, signals) = (first.events, Some(lease), Vec::new());
    let new = Model { events, epoch: 1, lease, signals, has_mail: false };
    model.insert(run.clone(), new);
}

async fn append(
    subject: &Subject,
    model: &mut BTreeMap<RunId, Model>,
    run: &RunId,
    draw: &mut Draw,
    at: &str,
) {
    let known = model.get_mut(run);
    let (head, epoch) = known.as_ref().map_or((1, 1), |m| (m.events.len() as u64, m.epoch));
    let mut driver = Driver::new(run.as_str().trim_start_matches("r_"), 1);
    // One call in four names a wrong epoch, one in four a wrong end.
    driver.epoch = Epoch(if draw.below(4) == 0 { draw.below(6) } else { epoch });
    driver.seq = Sequence(if draw.below(4) == 0 { draw.below(head + 3) } else { head });
    let count = draw.below(4) as u32;
    let mut events: Vec<_> = (1..=count).map(|n| started("plan", n)).collect();
    events.push(ended());
    let append = driver.next(events, Rows::default());
    let result = subject.store.append(append.clone().into()).await;
    let Some(known) = known else {
        assert_eq!(result, Err(StoreError::NoSuchRun(run.clone())), "{at}");
        return;
    };
    let (run, expected, actual) = (run.clone(), driver.seq, Sequence(head));
    if driver.epoch.0 != epoch {
        let (named, actual) = (driver.epoch, Epoch(epoch));
        // Both are wrong: either may be named.
        if expected == Sequence(head) {
            assert_eq!(result, Err(StoreError::Fenced { run, named, actual }), "{at}");
        } else {
            assert!(result.is_err(), "{at}");
        }
    } else if expected != actual {
        assert_eq!(result, Err(StoreError::Conflict { run, expected, actual }), "{at}");
    } else {
        assert_eq!(result, Ok(()), "{at}");
        known.events.extend(append.events);
    }
}

async fn claim(
    subject: &Subject,
    model: &mut BTreeMap<RunId, Model>,
    run: &RunId,
    draw: &mut Draw,
    now: u64,
    at: &str,
) {
    let by = owner(&format!("owner-{}", draw.below(3)));
    let over = (draw.below(3) == 0).then(|| Epoch(draw.below(5)));
    let expires = Timestamp(now + draw.below(900));
    let result = subject.store.claim(run, &by, Timestamp(now), expires, over).await;
    let Some(known) = model.get_mut(run) else {
        assert_eq!(result, Err(StoreError::NoSuchRun(run.clone())), "{at}");
        return;
    };
    let held = known.lease.clone().filter(|lease| {
        lease.expires > Timestamp(now) && lease.owner != by && over != Some(lease.epoch)
    });
    if let Some(lease) = held {
        assert_eq!(result, Err(StoreError::LeaseHeld { run: run.clone(), lease }), "{at}");
        return;
    }
    known.epoch += 1;
    let lease = Lease { owner: by, epoch: Epoch(known.epoch), expires };
    assert_eq!(result, Ok(lease.clone()), "{at}");
    known.lease = Some(lease);
}

async fn renew(
    subject: &Subject,
    model: &mut BTreeMap<RunId, Model>,
    run: &RunId,
    draw: &mut Draw,
    now: u64,
    at: &str,
) {
    let Some(known) = model.get_mut(run) else {
        return;
    };
    // Renewing what was given back has no meaning that a caller may rely on.
    let Some(lease) = &mut known.lease else {
        return;
    };
    let named = Epoch(if draw.below(3) == 0 { draw.below(5) } else { known.epoch });
    let expires = Timestamp(now + draw.below(900));
    let result = subject.store.renew(run, named, expires).await;
    if named.0 == known.epoch {
        assert_eq!(result, Ok(()), "{at}");
        lease.expires = expires;
    } else {
        let actual = Epoch(known.epoch);
        assert_eq!(result, Err(StoreError::Fenced { run: run.clone(), named, actual }), "{at}");
    }
}

async fn release(
    subject: &Subject,
    model: &mut BTreeMap<RunId, Model>,
    run: &RunId,
    draw: &mut Draw,
    at: &str,
) {
    let epoch = model.get(run).map_or(1, |known| known.epoch);
    let named = Epoch(if draw.below(3) == 0 { draw.below(5) } else { epoch });
    let result = subject.store.release(run, named).await;
    let Some(known) = model.get_mut(run) else {
        assert_eq!(result, Ok(()), "{at}");
        return;
    };
    assert_eq!(result, Ok(()), "{at}");
    if known.epoch == named.0 {
        known.lease = None;
    }
}

async fn signal(
    subject: &Subject,
    model: &mut BTreeMap<RunId, Model>,
    run: &RunId,
    step: usize,
    at: &str,
) {
    let signal = Signal::Cancel { reason: format!("step {step}") };
    let result = subject.store.signal(run, signal.clone(), Timestamp(1)).await;
    match model.get_mut(run) {
        None => assert_eq!(result, Err(StoreError::NoSuchRun(run.clone())), "{at}"),
        Some(known) => {
            assert_eq!(result, Ok(()), "{at}");
            known.signals.push(signal);
            known.has_mail = true;
        }
    }
}

async fn hold(
    subject: &Subject,
    model: &mut BTreeMap<RunId, Model>,
    holders: &mut BTreeMap<String, Claimant>,
    draw: &mut Draw,
    run: &RunId,
    now: u64,
    at: &str,
) {
    let group = format!("group-{}", draw.below(2));
    let known = model.get(run);
    let mut driver = Driver::new(run.as_str().trim_start_matches("r_"), 1);
    let epoch = known.map_or(1, |known| known.epoch);
    driver.epoch = Epoch(if draw.below(4) == 0 { draw.below(4) } else { epoch });
    let claimant = driver.claimant(if draw.below(2) == 0 { "plan" } else { "build" });
    if draw.below(3) == 0 {
        assert_eq!(subject.store.unhold(&group, &claimant).await, Ok(()), "{at}");
        if holders.get(&group) == Some(&claimant) {
            holders.remove(&group);
        }
        return;
    }
    let result = subject.store.hold(&group, &claimant, Timestamp(now)).await;
    if known.is_none() {
        assert_eq!(result, Err(StoreError::NoSuchRun(run.clone())), "{at}");
        return;
    }
    if claimant.epoch.0 != epoch {
        let (run, named, actual) = (run.clone(), claimant.epoch, Epoch(epoch));
        assert_eq!(result, Err(StoreError::Fenced { run, named, actual }), "{at}");
        return;
    }
    let holds = |holder: &&Claimant| {
        let lease = model.get(&holder.run).and_then(|run| run.lease.as_ref());
        lease.is_some_and(|lease| lease.epoch == holder.epoch && lease.expires > Timestamp(now))
    };
    match holders.get(&group).filter(|holder| **holder != claimant).filter(holds) {
        Some(Claimant { run, task, .. }) => {
            let (run, task) = (run.clone(), task.clone());
            assert_eq!(result, Ok(GroupHold::Busy { run, task }), "{at}");
        }
        None => {
            assert_eq!(result, Ok(GroupHold::Held), "{at}");
            holders.insert(group, claimant);
        }
    }
}

async fn compare(subject: &Subject, model: &mut BTreeMap<RunId, Model>, last: &mut u64, at: &str) {
    let mail = subject.store.mail(*last).await.expect("mail");
    *last = mail.last;
    let found: BTreeSet<RunId> = mail.runs.iter().cloned().collect();
    assert_eq!(found.len(), mail.runs.len(), "{at}: each once");
    let expected: BTreeSet<RunId> = (model.iter_mut())
        .filter_map(|(run, known)| std::mem::take(&mut known.has_mail).then(|| run.clone()))
        .collect();
    assert_eq!(found, expected, "{at}: mail");
    for (run, known) in &*model {
        let events = subject.store.events(run, Sequence(0), usize::MAX).await;
        assert_eq!(events.as_ref(), Ok(&known.events), "{at}: events of {run}");
        assert_eq!(subject.store.lease(run).await.as_ref(), Ok(&known.lease), "{at}: {run}");
        let signals = subject.store.signals(run, 0).await.expect("signals");
        let signals: Vec<_> = signals.into_iter().map(|record| record.signal).collect();
        assert_eq!(signals, known.signals, "{at}: signals of {run}");
    }
    let ids = subject.catalog.run_ids("", 100).await.expect("ids");
    assert_eq!(ids.len(), model.len(), "{at}");
}
