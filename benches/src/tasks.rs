//! Agents that do next to nothing, and the same work on bare tokio: nothing is recorded, nobody
//! could say what goes on, and a crash loses all of it.

use orchestrator_core::prelude::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};

/// An agent that answers at once.
#[derive(Debug, Clone, Copy)]
pub struct Noop;

#[async_trait]
impl Agent for Noop {
    async fn perform(&self, _: &Assignment, _: &dyn AttemptHost) -> Result<Answer, Failure> {
        Ok(Answer::default())
    }
}

/// An agent that answers after a while.
#[derive(Debug, Clone, Copy)]
pub struct Sleep(pub Duration);

#[async_trait]
impl Agent for Sleep {
    async fn perform(&self, _: &Assignment, _: &dyn AttemptHost) -> Result<Answer, Failure> {
        tokio::time::sleep(self.0).await;
        Ok(Answer::default())
    }
}

/// `count` tasks, each spawned when the one before it has told its end through a channel.
///
/// # Panics
/// Never: the channel is open.
pub async fn bare_chain(count: usize) {
    let (tell, mut ends) = mpsc::unbounded_channel();
    for i in 0..count {
        let tell = tell.clone();
        tokio::spawn(async move { tell.send(i) });
        ends.recv().await.expect("the channel is open");
    }
}

/// `count` tasks spawned at once, which tell their ends through a channel.
///
/// # Panics
/// Never: the channel is open.
pub async fn bare_join(count: usize) {
    let (tell, mut ends) = mpsc::unbounded_channel();
    for i in 0..count {
        let tell = tell.clone();
        tokio::spawn(async move { tell.send(i) });
    }
    for _ in 0..count {
        ends.recv().await.expect("the channel is open");
    }
}

/// The tasks of `dag`, each of which sleeps for `time`; at most `parallel` do at once.
///
/// # Panics
/// Never: the semaphore is not closed.
pub async fn bare_layers(dag: &[Vec<usize>], parallel: usize, time: Duration) {
    let mut dependents = vec![Vec::new(); dag.len()];
    for (i, needs) in dag.iter().enumerate() {
        needs.iter().for_each(|need| dependents[*need].push(i));
    }
    let unmet: Arc<[AtomicUsize]> = dag.iter().map(|needs| AtomicUsize::new(needs.len())).collect();
    let dependents: Arc<[Vec<usize>]> = dependents.into();
    let permits = Arc::new(Semaphore::new(parallel));
    let (tell, mut ready) = mpsc::unbounded_channel();
    for (i, _) in dag.iter().enumerate().filter(|(_, needs)| needs.is_empty()) {
        let _ = tell.send(i);
    }
    let (done, mut ended) = mpsc::unbounded_channel();
    let mut open = dag.len();
    while open > 0 {
        tokio::select! {
            Some(i) = ready.recv() => {
                let permits = permits.clone();
                let (tell, done) = (tell.clone(), done.clone());
                let (unmet, dependents) = (unmet.clone(), dependents.clone());
                tokio::spawn(async move {
                    let permit = permits.acquire().await.expect("it is open");
                    tokio::time::sleep(time).await;
                    drop(permit);
                    for dependent in &dependents[i] {
                        if unmet[*dependent].fetch_sub(1, Ordering::AcqRel) == 1 {
                            let _ = tell.send(*dependent);
                        }
                    }
                    let _ = done.send(());
                });
            }
            Some(()) = ended.recv() => open -= 1,
        }
    }
}
