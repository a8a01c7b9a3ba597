//! The place that every call passes.

use super::{Call, Fate, Fault, Op, Plan, Power, Write};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Where calls pass from one process to the outside. A cheap handle: clones count together.
#[derive(Clone)]
pub struct Seam {
    plan: Arc<dyn Plan>,
    power: Power,
    calls: Arc<AtomicU64>,
}

impl fmt::Debug for Seam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seam").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl Seam {
    /// A seam of a process with power of its own.
    pub fn new(plan: Arc<dyn Plan>) -> Self {
        Self { plan, power: Power::default(), calls: Arc::default() }
    }

    /// The power of the process.
    pub fn power(&self) -> &Power {
        &self.power
    }

    /// How many calls have passed.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Tells the plan of a write.
    pub(crate) async fn written(&self, write: Write<'_>, fate: Fate) {
        let told = !matches!(fate, Fate::FailAfter(_) | Fate::CrashAfter);
        self.plan.written(write, told).await;
    }

    /// Passes one call: `act` makes it, `fail` says how a fault looks to its caller.
    ///
    /// `act` is told what will befall the call after it was made.
    pub async fn pass<T, E, F>(
        &self,
        op: Op,
        about: &str,
        act: impl FnOnce(Fate) -> F + Send,
        fail: impl FnOnce(Fault) -> E + Send,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>> + Send,
        T: Send,
        E: fmt::Display + Send,
    {
        self.power.hold().await;
        let call = Call { number: self.calls.fetch_add(1, Ordering::Relaxed), op, about };
        let fate = self.plan.fate(&call);
        let outcome = match fate {
            Fate::Pass => act(fate).await,
            Fate::Delay(delay) => {
                tokio::time::sleep(delay).await;
                self.power.hold().await;
                act(fate).await
            }
            Fate::FailBefore(fault) => Err(fail(fault)),
            Fate::FailAfter(fault) => act(fate).await.and_then(|_| Err(fail(fault))),
            Fate::CrashBefore => {
                self.power.cut();
                self.power.hold().await;
                act(fate).await
            }
            Fate::CrashAfter => {
                let outcome = act(fate).await;
                self.power.cut();
                outcome
            }
        };
        self.power.hold().await;
        match &outcome {
            Ok(_) => self.plan.answered(&call, "ok"),
            Err(error) => self.plan.answered(&call, &error.to_string()),
        }
        outcome
    }
}
