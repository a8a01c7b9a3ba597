//! What is assumed where there is no history.

use super::{TaskProfile, fit::Belief};
use crate::agent::Role;

/// What one attempt of a task is assumed to use, before anything like it was seen.
///
/// These are assumptions and no measurements: they set the order of magnitude, stand with
/// wide intervals and low confidence, and lose their weight with the first runs of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prior {
    /// Input tokens beside the text that is known beforehand: what other tasks hand on.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
}

/// How far the middle of a kind of task may lie from what is assumed, as a variance of logarithms: with
/// the noise, 80 % lie within a factor of four each way.
const SPREAD: f64 = 0.9;

/// How much attempts at the same task differ, as a variance of logarithms, until history tells.
const NOISE: f64 = 0.25;

/// How likely it is assumed that a judgement sends work back, each time.
const SENT_BACK: f64 = 0.4;

/// How likely it is assumed that an attempt fails after it has spent.
const FAILS: f64 = 0.05;

impl Prior {
    /// What is assumed of a role. One answer of a model a task, without tools.
    pub fn of(role: &Role) -> Self {
        let (input, output) = match role {
            Role::Pm => (2_000, 1_200),
            Role::Dev => (3_000, 3_000),
            Role::Qa => (3_500, 700),
            Role::Security => (3_500, 1_200),
            Role::Docs => (3_000, 1_500),
            Role::Own(_) => (3_000, 1_500),
        };
        Self { input, output }
    }
}

/// The beliefs about input and output of a task of which nothing but its definition is known.
pub(super) fn beliefs(profile: &TaskProfile) -> (Belief, Belief) {
    let prior = profile.prior.unwrap_or_else(|| Prior::of(&profile.role));
    let mut output = prior.output;
    if profile.has_schema && profile.prior.is_none() {
        output /= 2;
    }
    if let Some(most) = profile.max_output {
        // An answer with a bound is rarely as long as that.
        output = output.min(most.0.div_ceil(2));
    }
    let input = prior.input.saturating_add(profile.prompt.0);
    let (passes, noise) = passes(profile.revisions, profile.retries);
    let belief = |tokens: u64| Belief {
        centre: super::fit::ln(tokens) + passes,
        spread: SPREAD,
        noise: NOISE + noise,
    };
    (belief(input), belief(output))
}

/// The mean and the variance of the logarithm of how many attempts a task takes.
fn passes(revisions: u32, retries: u32) -> (f64, f64) {
    let repeats = |chance: f64, most: u32| {
        // Beyond this many the chance is too small to matter.
        let most = most.min(16);
        let (mut left, mut mean, mut square) = (1.0, 0.0, 0.0);
        for more in 0..=most {
            let here = if more == most { left } else { left * (1.0 - chance) };
            let log = f64::from(more + 1).ln();
            mean += here * log;
            square += here * log * log;
            left *= chance;
        }
        (mean, (square - mean * mean).max(0.0))
    };
    let ((back, back_noise), (fail, fail_noise)) =
        (repeats(SENT_BACK, revisions), repeats(FAILS, retries));
    (back + fail, back_noise + fail_noise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_may_be_done_again_and_so_more_is_expected() {
        assert_eq!(passes(0, 0), (0.0, 0.0));
        let means: Vec<f64> = [(0, 2), (1, 0), (2, 0), (2, 2), (u32::MAX, u32::MAX)]
            .into_iter()
            .map(|(revisions, retries)| passes(revisions, retries).0)
            .collect();
        assert!(means.is_sorted(), "{means:?}");
        assert!(means.iter().all(|mean| mean.is_finite() && *mean > 0.0 && *mean < 2.0));
    }
}
