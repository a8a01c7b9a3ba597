//! The workflows that are harmed: every construct that tasks without a model can use.
//!
//! Each step writes into the [ledger](super::ledger), and what it says depends only on what came
//! before it, so that a run that was cut off any number of times leaves the same outputs.

/// What every step runs.
pub(super) const STEP: &str = include_str!("step.sh");

/// A workflow, with the files beside it and the people that it needs.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// Its name.
    pub name: &'static str,
    /// The files of its project; `flow.yaml` is the one that is executed.
    pub files: &'static [(&'static str, &'static str)],
    /// The tasks that somebody approves, in this order.
    pub approves: &'static [&'static str],
    /// How the command ends that sees the run through.
    pub code: i32,
    /// How many runs there are in the end, with children and what follows.
    pub runs: usize,
}

impl Flow {
    const fn new(name: &'static str, files: &'static [(&'static str, &'static str)]) -> Self {
        Self { name, files, approves: &[], code: 0, runs: 1 }
    }

    const fn approves(self, approves: &'static [&'static str]) -> Self {
        Self { approves, ..self }
    }

    const fn fails(self) -> Self {
        Self { code: 1, ..self }
    }

    const fn runs(self, runs: usize) -> Self {
        Self { runs, ..self }
    }
}

const MIDDLE: (&str, &str) = ("middle.yaml", include_str!("middle.yaml"));
const INNER: (&str, &str) = ("inner.yaml", include_str!("inner.yaml"));

/// The workflows of all proofs.
pub const FLOWS: &[Flow] = &[
    Flow::new("chain", &[("flow.yaml", include_str!("chain.yaml"))]),
    Flow::new("diamond", &[("flow.yaml", include_str!("diamond.yaml"))]),
    Flow::new("large", &[("flow.yaml", include_str!("large.yaml"))]),
    Flow::new("retries", &[("flow.yaml", include_str!("retries.yaml"))]),
    Flow::new("for-each", &[("flow.yaml", include_str!("for-each.yaml"))]),
    Flow::new("nested", &[("flow.yaml", include_str!("nested.yaml")), MIDDLE, INNER]).runs(5),
    Flow::new("revise", &[("flow.yaml", include_str!("revise.yaml"))]),
    Flow::new("approval", &[("flow.yaml", include_str!("approval.yaml"))]).approves(&["sign-off"]),
    Flow::new("compensate", &[("flow.yaml", include_str!("compensate.yaml"))]).fails(),
    Flow::new("delay", &[("flow.yaml", include_str!("delay.yaml"))]),
    Flow::new("then", &[("flow.yaml", include_str!("then.yaml")), INNER]).runs(3),
    Flow::new("all", &[("flow.yaml", include_str!("all.yaml")), INNER])
        .approves(&["sign-off"])
        .runs(4),
];
