//! Which model is asked after one that failed.

use crate::failure;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    route::RouteModel,
    time::Timestamp,
};
use std::time::Duration;

/// How far off the reset of a rate limit may be for the same model to be asked again then, which is
/// the engine's to do.
const PATIENCE: Duration = Duration::from_secs(10);

/// What matters of a failure for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) class: ErrorClass,
    pub(crate) retry_at: Option<Timestamp>,
    /// The server has no such model.
    pub(crate) is_unknown_model: bool,
    pub(crate) message: String,
}

impl Failed {
    /// A failure of a model that there is.
    pub(crate) fn of(class: ErrorClass, retry_at: Option<Timestamp>, message: String) -> Self {
        Self { class, retry_at, is_unknown_model: false, message }
    }
}

impl From<&Failure> for Failed {
    fn from(failure: &Failure) -> Self {
        let is_unknown_model = failure::is_unknown_model(failure);
        Self {
            is_unknown_model,
            ..Self::of(failure.class, failure.retry_at, failure.message.clone())
        }
    }
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The model at this place is asked.
    Place(usize),
    /// No other model is.
    None {
        /// Whether it is only that none is left.
        is_last: bool,
    },
}

/// What follows when the model at `place` of `models`.
pub(crate) fn next(failed: &Failed, models: &[RouteModel], place: usize, now: Timestamp) -> Next {
    let after = place + 1..models.len();
    let found = match failed.class {
        ErrorClass::Transient
        | ErrorClass::Overloaded
        | ErrorClass::QuotaExhausted
        | ErrorClass::Billing => after.into_iter().next(),
        ErrorClass::RateLimited => {
            if failed.retry_at.is_some_and(|at| at.since(now) <= PATIENCE) {
                return Next::None { is_last: false };
            }
            after.into_iter().next()
        }
        ErrorClass::ContextOverflow => {
            let context = models.get(place).and_then(|model| model.context);
            after.into_iter().find(|&other| {
                let larger = models[other].context.zip(context);
                larger.is_some_and(|(other, this)| other > this)
            })
        }
        ErrorClass::InvalidRequest if failed.is_unknown_model => after.into_iter().next(),
        // What is wrong with the request, the account, the budget or the answer is so with any model.
        _ => return Next::None { is_last: false },
    };
    found.map_or(Next::None { is_last: true }, Next::Place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::id::ProviderName;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn models(contexts: &[Option<u64>]) -> Vec<RouteModel> {
        let provider = ProviderName::new("p").unwrap();
        let model = |context: &Option<u64>| RouteModel {
            context: *context,
            ..RouteModel::new(provider.clone(), "m")
        };
        contexts.iter().map(model).collect()
    }

    #[test]
    fn each_class_of_failure_has_its_row() {
        let three = models(&[None, None, None]);
        for class in ErrorClass::ALL {
            let failure = Failure::new(class, "x");
            let goes_on = matches!(
                class,
                ErrorClass::Transient
                    | ErrorClass::Overloaded
                    | ErrorClass::RateLimited
                    | ErrorClass::QuotaExhausted
                    | ErrorClass::Billing
            );
            let ends = Next::None { is_last: class == ErrorClass::ContextOverflow };
            for (place, then) in [(0, Next::Place(1)), (1, Next::Place(2))] {
                let expected = if goes_on { then } else { ends };
                assert_eq!(
                    next(&Failed::from(&failure), &three, place, NOW),
                    expected,
                    "{class} at {place}"
                );
            }
            let last = if goes_on { Next::None { is_last: true } } else { ends };
            assert_eq!(next(&Failed::from(&failure), &three, 2, NOW), last, "{class}");
        }
    }

    #[test]
    fn a_limit_that_ends_soon_is_waited_for() {
        let two = models(&[None, None]);
        for (after, expected) in [
            (0, Next::None { is_last: false }),
            (10_000, Next::None { is_last: false }),
            (10_001, Next::Place(1)),
        ] {
            let at = Timestamp(NOW.0 + after);
            let failure = Failure::new(ErrorClass::RateLimited, "x").retry_at(at);
            assert_eq!(next(&Failed::from(&failure), &two, 0, NOW), expected, "{after}");
        }
    }

    #[test]
    fn what_does_not_fit_goes_to_a_larger_context_that_is_known() {
        let failure = Failure::new(ErrorClass::ContextOverflow, "x");
        let check = |contexts: &[Option<u64>], expected: Next| {
            assert_eq!(
                next(&Failed::from(&failure), &models(contexts), 0, NOW),
                expected,
                "{contexts:?}"
            );
        };
        check(&[Some(10), Some(10), None, Some(9), Some(11)], Next::Place(4));
        check(&[Some(10), Some(20)], Next::Place(1));
        check(&[None, Some(20)], Next::None { is_last: true });
        check(&[Some(10), None], Next::None { is_last: true });
    }
}
