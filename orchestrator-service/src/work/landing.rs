//! What brings finished work onto branches, and undoes it.

use super::{checks::Prover, queue::failed};
use crate::{OrchestratorService, ServiceError, service::Opened};
use orchestrator_core::{
    engine::SystemClock,
    id::{ProjectId, TenantId},
};
use orchestrator_workspace::landing::{Lander, LanderParts, LandingSettings, PullRequests};
use std::{num::NonZeroUsize, sync::Arc};

impl OrchestratorService {
    /// What lands work on branches of this project, shows their queues and rolls runs back. There is
    /// one in a process, so that those who wait for a branch hear of each other.
    ///
    /// # Errors
    /// As for [`OrchestratorService::repository`] and [`OrchestratorService::checker`].
    pub(crate) async fn lander(&self, opened: &Opened) -> Result<Arc<Lander>, ServiceError> {
        let make = || async {
            let lander = self.lander_by(opened, self.settings_of_landing()?).await?;
            Ok::<_, ServiceError>(Arc::new(lander))
        };
        Ok(self.work().lander.get_or_try_init(make).await?.clone())
    }

    /// The same by the wish of a person: with `update_checkout` a clean checkout of the branch goes
    /// along, whatever the settings say.
    ///
    /// # Errors
    /// As for [`OrchestratorService::lander`].
    pub(super) async fn lander_for(
        &self,
        opened: &Opened,
        update_checkout: bool,
    ) -> Result<Lander, ServiceError> {
        let mut settings = self.settings_of_landing()?;
        settings.update_checkout |= update_checkout;
        self.lander_by(opened, settings).await
    }

    async fn lander_by(
        &self,
        opened: &Opened,
        settings: LandingSettings,
    ) -> Result<Lander, ServiceError> {
        let repository = self.repository().await?;
        let this = self.clone();
        // To find a sandbox is to try it, which waits for programs.
        let checker = tokio::task::spawn_blocking(move || this.checker()).await;
        let checker = checker.map_err(|error| ServiceError::Internal(error.to_string()))??;
        let prove = Arc::new(Prover {
            checker,
            repository: repository.clone(),
            known: self.known().clone(),
        });
        let known = self.known().clone();
        let lander = Lander::new(LanderParts {
            repository,
            landings: opened.landings(),
            blobs: opened.blobs(),
            clock: Arc::new(SystemClock),
            prove,
            locks: self.place().state().join("landing"),
            settings,
        })
        .with_hidden(move |text| known.redactor().text(text).into_owned());
        Ok(match self.work().forge.get() {
            Some(forge) => lander.with_forge(forge.clone()),
            None => lander,
        })
    }

    /// Opens pull requests at `forge` from now on, for tasks with `land: pull-request`. To be said before
    /// anything lands, and once: what is said later does not count. False then.
    pub fn opens_pull_requests_at(&self, forge: Arc<dyn PullRequests>) -> bool {
        self.work().forge.set(forge).is_ok()
    }

    /// Looks at the forge what came of the pull requests that are open, and records it in their queues.
    /// How many have ended.
    ///
    /// # Errors
    /// [`ServiceError::Landing`] without a forge, or when it cannot tell; an unusable store.
    pub async fn follow_pull_requests(&self) -> Result<usize, ServiceError> {
        let Some(opened) = self.store_if_any()? else { return Ok(0) };
        let lander = self.lander(opened).await?;
        let (tenant, project) = (TenantId::default(), ProjectId::default());
        let mut ended = 0;
        for target in opened.landings().targets(&tenant, &project).await.map_err(failed)? {
            ended += lander.follow_requests(&target).await?;
        }
        Ok(ended)
    }

    fn settings_of_landing(&self) -> Result<LandingSettings, ServiceError> {
        let given = &self.settings()?.settings().landing;
        let mut settings = LandingSettings::default();
        let batch = given.batch.and_then(|batch| NonZeroUsize::new(usize::try_from(batch).ok()?));
        settings.batch = batch.unwrap_or(settings.batch);
        settings.update_checkout = given.update_checkout;
        Ok(settings)
    }
}
