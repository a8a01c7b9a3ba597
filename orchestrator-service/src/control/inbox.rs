//! Putting a wish into the inbox of a run, and seeing that it is taken.

use super::Told;
use crate::{OrchestratorService, ServiceError, clock::now, service::Opened};
use orchestrator_core::{
    event::Event,
    id::{RunId, Sequence},
    port::{RunRow, Signal},
};
use std::time::Duration;

/// How long a living driver is given to take a wish before it is only said that it was told.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the log is looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl OrchestratorService {
    /// Asks a run for something, whoever drives it. The wish is durable when this returns; where
    /// nobody drives the run it has been carried out, too.
    ///
    /// # Errors
    /// The run refuses it, or the store failed.
    pub(crate) async fn ask(
        &self,
        opened: &Opened,
        row: &RunRow,
        signal: Signal,
    ) -> Result<Told, ServiceError> {
        let driven = self.is_driven(opened, row).await?;
        let number = opened.post(&row.id, self.known().signal(signal)).await?;
        if !driven {
            // Somebody may have begun to drive it meanwhile and takes the wish instead.
            match self.take_inbox(opened, &row.id).await {
                Ok(()) => {}
                Err(ServiceError::Driven { .. } | ServiceError::DrivenElsewhere { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let patience = tokio::time::Instant::now() + PATIENCE;
        let mut after = Sequence(row.seq.0);
        loop {
            let events = opened.events(&row.id, after).await?;
            after = events.last().map_or(after, |last| last.seq);
            for recorded in &events {
                if let Event::SignalTaken { number: taken, refused } = &recorded.event
                    && *taken >= number
                {
                    return match refused.as_ref().filter(|_| *taken == number) {
                        Some(reason) => Err(ServiceError::Refused {
                            run: row.id.to_string(),
                            reason: reason.clone(),
                        }),
                        None => self.told(opened, &row.id, true).await,
                    };
                }
            }
            let status = opened.run(&row.id).await?.status;
            if status.is_final() || tokio::time::Instant::now() >= patience {
                return self.told(opened, &row.id, status.is_final()).await;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn told(&self, opened: &Opened, run: &RunId, taken: bool) -> Result<Told, ServiceError> {
        let row = opened.run(run).await?;
        let driven = !row.status.is_final() && self.is_driven(opened, &row).await?;
        Ok(Told { status: row.status, driven, taken })
    }
}

impl Opened {
    /// Puts a signal into the inbox of `run` and says under which number it is there.
    pub(super) async fn post(&self, run: &RunId, signal: Signal) -> Result<u64, ServiceError> {
        let failed = |error| self.failed(error);
        let before = self.log().signals(run, 0).await.map_err(failed)?;
        let before = before.last().map_or(0, |last| last.number);
        self.log().signal(run, signal.clone(), now()).await.map_err(failed)?;
        let after = self.log().signals(run, before).await.map_err(failed)?;
        let own = after.iter().find(|record| record.signal == signal);
        Ok(own.or(after.last()).map_or(before, |record| record.number))
    }
}
