//! Finding out what depends on values outside the log: conditions, lists, texts.

use super::Shared;
use crate::{
    command::{Command, Evaluated},
    effect::Question,
    error::{ErrorClass, Failure},
    event::Content,
    id::TaskName,
    port::StoreError,
    run::{Found, Run, Sight, find_out},
    task::TaskSpec,
};
use serde_json::Value;

/// A question about a task, with all that its answer depends on.
pub(super) struct Riddle {
    task: TaskName,
    question: Question,
    spec: TaskSpec,
    sight: Sight,
}

impl Riddle {
    /// The question about the task at `place`.
    pub(super) fn new(run: &Run, place: usize, question: Question) -> Self {
        let (task, spec) = (run.name(place), run.spec(place).clone());
        Self { task, question, spec, sight: run.sight(place) }
    }

    /// Loads what the answer depends on, finds it, and keeps it.
    ///
    /// # Errors
    /// The answer cannot be kept.
    pub(super) async fn solve(self, shared: &Shared) -> Result<Vec<Command>, StoreError> {
        let answer = match self.find(shared).await {
            Err(failure) => Err(failure),
            Ok(Found::Decided(decision)) => Ok(Evaluated::Decided(decision)),
            Ok(Found::Filled(text)) => Ok(Evaluated::Filled(text)),
            Ok(Found::Listed(items)) => {
                let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
                let list = Value::Array(items);
                if Content::admits(&list) {
                    Ok(Evaluated::Listed { count, items: shared.keep_value(list).await? })
                } else {
                    let most = Content::MAX_DEPTH;
                    let message = format!("the list is nested deeper than {most} levels");
                    Err(Failure::new(ErrorClass::InvalidRequest, message))
                }
            }
        };
        Ok(vec![Command::Answer { task: self.task, question: self.question, answer }])
    }

    async fn find(&self, shared: &Shared) -> Result<Found, Failure> {
        let loaded = shared.load_sight(&self.sight).await?;
        let scope = self.sight.scope(&loaded).map_err(|reason| {
            Failure::new(ErrorClass::Internal, format!("cannot see what is asked about: {reason}"))
        })?;
        find_out(&self.spec, self.question, &scope)
    }
}
