//! What happens by chance, or exactly where it is asked for.

use super::Rng;
use crate::faults::{Call, Fate, Fault, Op};
use std::{collections::BTreeMap, time::Duration};

/// Decides what befalls each call of a simulation.
#[derive(Debug, Clone)]
pub(super) struct Chaos {
    mode: Mode,
    /// Whether nothing more goes wrong.
    calm: bool,
    looks: Rng,
}

#[derive(Debug, Clone)]
enum Mode {
    /// By chance.
    Random(Box<Weather>),
    /// At exactly these points.
    Exact(BTreeMap<u64, Fate>),
}

#[derive(Debug, Clone)]
struct Weather {
    rng: Rng,
    crashes: u64,
    /// Calls until the next crash.
    fuse: u64,
    /// Calls until the weather changes.
    lasts: u64,
    /// Of 1,000 calls, how many fail.
    failing: u64,
    /// Of 1,000 calls, how many are slow.
    slow: u64,
    faults: bool,
}

impl Chaos {
    /// What `seed` brings: up to `crashes` crashes and, with `faults`, failing calls.
    pub(super) fn random(seed: u64, crashes: u64, faults: bool) -> Self {
        let mut rng = Rng::new(seed, "chaos");
        let crashes = rng.between(0, crashes);
        let fuse = rng.between(1, 150);
        let weather = Weather { rng, crashes, fuse, lasts: 0, failing: 0, slow: 0, faults };
        Self { mode: Mode::Random(Box::new(weather)), calm: false, looks: Rng::new(seed, "looks") }
    }

    /// These fates at these points, and nothing else.
    pub(super) fn exact(fates: BTreeMap<u64, Fate>) -> Self {
        Self { mode: Mode::Exact(fates), calm: false, looks: Rng::new(0, "looks") }
    }

    /// Nothing more goes wrong.
    pub(super) fn calm(&mut self) {
        self.calm = true;
    }

    /// Whether this is a time to look at a long log.
    pub(super) fn looks(&mut self) -> bool {
        self.looks.chance(60)
    }

    /// What befalls `call`, at point `point`.
    pub(super) fn befalls(&mut self, call: &Call<'_>, point: u64) -> Fate {
        match &mut self.mode {
            Mode::Exact(fates) => match fates.get(&point).copied() {
                _ if call.op.is_polling() => Fate::Pass,
                // It is the storage that fails; that agents fail is their script's to say.
                Some(Fate::FailBefore(_) | Fate::FailAfter(_)) if !call.op.is_storage() => {
                    Fate::Pass
                }
                fate => fate.unwrap_or(Fate::Pass),
            },
            Mode::Random(_) if self.calm => Fate::Pass,
            Mode::Random(weather) => weather.befalls(call.op),
        }
    }
}

impl Weather {
    fn befalls(&mut self, op: Op) -> Fate {
        if self.lasts == 0 {
            self.change();
        }
        self.lasts -= 1;
        if self.crashes > 0 && !op.is_polling() {
            self.fuse = self.fuse.saturating_sub(1);
            if self.fuse == 0 {
                self.crashes -= 1;
                self.fuse = self.rng.between(1, 150);
                return if self.rng.chance(500) { Fate::CrashBefore } else { Fate::CrashAfter };
            }
        }
        if op.is_storage() && self.rng.chance(self.failing) {
            return self.fault(op);
        }
        if op.is_storage() && self.rng.chance(self.slow) {
            return Fate::Delay(self.delay());
        }
        Fate::Pass
    }

    fn change(&mut self) {
        self.lasts = self.rng.between(20, 200);
        self.slow = *self.rng.pick(&[0, 50, 400]);
        self.failing = if self.faults { *self.rng.pick(&[0, 0, 0, 20, 60, 300]) } else { 0 };
    }

    fn fault(&mut self, op: Op) -> Fate {
        let fault = match self.rng.below(10) {
            0 => Fault::Full,
            1 if op == Op::Append => Fault::Conflict,
            _ => Fault::Unavailable,
        };
        let after = op.is_write() && fault == Fault::Unavailable && self.rng.chance(400);
        if after { Fate::FailAfter(fault) } else { Fate::FailBefore(fault) }
    }

    fn delay(&mut self) -> Duration {
        if self.rng.chance(5) { self.rng.pause(1_000, 12_000) } else { self.rng.pause(1, 20) }
    }
}
