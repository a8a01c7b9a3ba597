//! Working on a queue: a batch is put together, checked together, and landed or taken apart.

use super::{
    LandError, Lander, LandingStep,
    chain::{Chain, Link, join},
    checks,
    ground::{Ground, Moved},
    lander::Kept,
    lock::Lock,
};
use orchestrator_core::{
    id::{CommitId, Epoch, LandingId},
    workspace::{ChecksPolicy, LandMode, LandingRow, LandingState, LandingTarget, Verdict},
};
use std::{collections::BTreeSet, sync::Arc};

/// What came of one pass over a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Something was settled.
    Settled,
    /// Nothing is open.
    Idle,
    /// Somebody else moved the branch, or what was wanted has changed: begin anew.
    Anew,
}

/// What the checks of a candidate gave.
#[derive(Debug, Clone)]
enum Found {
    Green(Option<Kept>),
    Red(Kept),
}

/// How that stands which a piece of work was made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// It is on the branch, or before it in the batch.
    There,
    /// It has not ended.
    Open,
    /// It does not land.
    Gone,
}

/// Work that the branch has, whoever brought it there.
fn merged(commit: CommitId, before: CommitId) -> LandingState {
    LandingState::Landed { commit, before, evidence: None, outputs: Vec::new() }
}

/// Somebody at work on the queue of a branch. Nobody else is, as long as it has the lock.
pub(super) struct Worker<'a> {
    lander: &'a Lander,
    ground: Ground,
    target: LandingTarget,
    epoch: Epoch,
    lock: Arc<Lock>,
    batches: u32,
}

impl<'a> Worker<'a> {
    /// Takes the queue over.
    pub(super) async fn take(
        lander: &'a Lander,
        target: &LandingTarget,
        lock: Lock,
    ) -> Result<Self, LandError> {
        let epoch = lander.landings.take(target).await?;
        let ground = Ground::new(lander.repository.clone(), &target.branch);
        let lock = Arc::new(lock);
        let worker = Self { lander, ground, target: target.clone(), epoch, lock, batches: 0 };
        worker.tell(&LandingStep::Taken);
        Ok(worker)
    }

    /// Works until `own` is settled, or nothing is left that can be done. Whether it is settled.
    pub(super) async fn until_settled(&mut self, own: &LandingId) -> Result<bool, LandError> {
        let mut moves = 0;
        loop {
            let row = self.lander.landings.landing(own).await?;
            if row.is_none_or(|row| !row.state.is_open()) {
                return Ok(true);
            }
            match self.pass().await? {
                Pass::Settled => moves = 0,
                Pass::Idle => return Ok(false),
                Pass::Anew => {
                    moves += 1;
                    if moves > self.lander.settings.moves {
                        let branch = self.target.branch.clone();
                        return Err(LandError::KeepsMoving { branch, times: moves });
                    }
                }
            }
        }
    }

    /// One batch.
    async fn pass(&mut self) -> Result<Pass, LandError> {
        let open = self.lander.landings.waiting(&self.target).await?;
        if !open.iter().any(LandingRow::is_for_the_queue) {
            return Ok(Pass::Idle);
        }
        // What was made on other work is no beginning: that would be there unchecked.
        let first = open.iter().find(|row| row.is_for_the_queue() && row.after.is_none());
        let tip = match (self.ground.tip().await?, first) {
            (Some(tip), _) => tip,
            (None, Some(first)) => match self.begin(first).await? {
                Some(tip) => tip,
                None => return Ok(Pass::Anew),
            },
            // The branch is gone, and what all of this was made on has ended.
            (None, None) => {
                let rest = open.into_iter().filter(LandingRow::is_for_the_queue);
                self.settle(rest.map(|row| (row.id, LandingState::Withdrawn {})).collect()).await?;
                return Ok(Pass::Settled);
            }
        };
        let batch = match self.sort_out(&tip, open).await? {
            Ok(batch) => batch,
            Err(settled) => return Ok(settled),
        };
        let Chain { links, conflicts } =
            join(&self.ground, &tip, batch, self.lander.settings.shape).await?;
        let has_conflicts = !conflicts.is_empty();
        let hidden = |state| self.lander.hidden(state);
        let conflicts = conflicts.into_iter().map(|(row, state)| (row.id, hidden(state))).collect();
        self.settle(conflicts).await?;
        let Some(last) = links.last() else { return Ok(Pass::Settled) };
        self.tell(&LandingStep::Joined {
            work: links.iter().map(|link| link.row.id.clone()).collect(),
            candidate: last.commit.clone(),
        });
        match self.resolve(tip, links).await? {
            // What could be told has been.
            Pass::Anew if has_conflicts => Ok(Pass::Settled),
            pass => Ok(pass),
        }
    }

    /// The tip of a branch that is not there. A result branch begins where the first work for it was
    /// made; `None` when somebody else made it just now.
    async fn begin(&self, first: &LandingRow) -> Result<Option<CommitId>, LandError> {
        match first.mode {
            LandMode::Branch => match self.ground.begin(&first.base).await? {
                Moved::Yes => Ok(Some(first.base.clone())),
                Moved::Elsewhere => Ok(None),
            },
            LandMode::Direct | LandMode::PullRequest | LandMode::No => {
                Err(LandError::NoBranch { branch: self.target.branch.clone() })
            }
        }
    }

    /// The next batch, once what has landed already or is not wanted any more is settled.
    async fn sort_out(
        &self,
        tip: &CommitId,
        open: Vec<LandingRow>,
    ) -> Result<Result<Vec<LandingRow>, Pass>, LandError> {
        let (mut ended, mut batch) = (Vec::new(), Vec::<LandingRow>::new());
        for row in open {
            let is_full = batch.len() == self.lander.settings.batch.get();
            // What was about to land is looked at all the same: if it has, it comes before whatever
            // lands now.
            if is_full && row.tried.is_empty() {
                continue;
            }
            if let Some(state) = self.found(tip, &row).await? {
                ended.push((row.id, state));
            } else if row.is_unwanted {
                ended.push((row.id, LandingState::Withdrawn {}));
            } else if row.is_for_the_queue() && !is_full {
                match self.before(&row, &batch, &ended).await? {
                    Before::There => batch.push(row),
                    Before::Open => {}
                    Before::Gone => ended.push((row.id, LandingState::Withdrawn {})),
                }
            }
        }
        let has_ended = !ended.is_empty();
        self.settle(ended).await?;
        Ok(match (batch.is_empty(), has_ended) {
            (false, _) => Ok(batch),
            (true, true) => Err(Pass::Settled),
            (true, false) => Err(Pass::Idle),
        })
    }

    /// How that stands which `row` was made on.
    async fn before(
        &self,
        row: &LandingRow,
        batch: &[LandingRow],
        ended: &[(LandingId, LandingState)],
    ) -> Result<Before, LandError> {
        let Some(after) = &row.after else { return Ok(Before::There) };
        if batch.iter().any(|other| other.id == *after) {
            return Ok(Before::There);
        }
        let just = ended.iter().find(|(id, _)| id == after).map(|(_, state)| state.clone());
        let state = match just {
            Some(state) => Some(state),
            None => self.lander.landings.landing(after).await?.map(|other| other.state),
        };
        Ok(match state {
            // What is not known any more was settled long ago.
            None | Some(LandingState::Landed { .. }) => Before::There,
            Some(
                LandingState::Waiting {}
                | LandingState::Testing { .. }
                | LandingState::Requested { .. },
            ) => Before::Open,
            Some(
                LandingState::Conflict { .. }
                | LandingState::Red { .. }
                | LandingState::Withdrawn {},
            ) => Before::Gone,
        })
    }

    /// How `row` has landed, if the branch has it: whoever was at work before died before it could
    /// say so, or somebody merged the work by hand.
    async fn found(
        &self,
        tip: &CommitId,
        row: &LandingRow,
    ) -> Result<Option<LandingState>, LandError> {
        for candidate in row.tried.iter().rev() {
            if self.ground.contains(tip, candidate).await? {
                let made = self.ground.repository.commit(candidate).await?;
                let before = made.parents.into_iter().next().unwrap_or_else(|| candidate.clone());
                let commit = candidate.clone();
                return Ok(Some(merged(commit, before)));
            }
        }
        let has_it = self.ground.contains(tip, &row.commit).await?;
        Ok(has_it.then(|| merged(tip.clone(), tip.clone())))
    }

    /// Checks what was put together and lands it, or finds by halves what does not go.
    ///
    /// What is landed has been checked just as it is: of a red chain the first half is checked
    /// alone. When it is green it lands, and the other half, which is on it, is the red one; when
    /// it is red, so is something in it, and the other half waits for the next batch.
    async fn resolve(
        &mut self,
        mut tip: CommitId,
        mut links: Vec<Link>,
    ) -> Result<Pass, LandError> {
        let mut is_known_red = None;
        let mut has_settled = false;
        loop {
            let red = match is_known_red.take() {
                Some(evidence) => evidence,
                None => match self.check(&tip, &links).await? {
                    Found::Green(evidence) => {
                        let landed = self.land(&tip, &links, evidence).await?;
                        return Ok(if has_settled { Pass::Settled } else { landed });
                    }
                    Found::Red(evidence) => evidence,
                },
            };
            if let [only] = links.as_slice() {
                let Kept { evidence, outputs, .. } = red;
                let state = LandingState::Red { tip, evidence, outputs };
                self.settle(vec![(only.row.id.clone(), state)]).await?;
                return Ok(Pass::Settled);
            }
            let second = links.split_off(links.len() / 2);
            match self.check(&tip, &links).await? {
                Found::Green(evidence) => {
                    if self.land(&tip, &links, evidence).await? == Pass::Anew {
                        return Ok(if has_settled { Pass::Settled } else { Pass::Anew });
                    }
                    has_settled = true;
                    tip = links.last().map_or(tip, |last| last.commit.clone());
                    (links, is_known_red) = (second, Some(red));
                }
                Found::Red(evidence) => is_known_red = Some(evidence),
            }
        }
    }

    /// Runs the checks of `links` and of what their runs have landed on the branch before, on the
    /// last commit. Without any it is green; and so is a tip to which nothing is added.
    async fn check(&self, tip: &CommitId, links: &[Link]) -> Result<Found, LandError> {
        let Some(last) = links.last().filter(|last| last.commit != *tip) else {
            return Ok(Found::Green(None));
        };
        let checks = self.checks(links).await?;
        if checks.run.is_empty() {
            return Ok(Found::Green(None));
        }
        let candidate = last.commit.clone();
        self.tell(&LandingStep::Checking { work: links.len(), candidate });
        let checked = self.lander.prove.prove(&last.commit, tip, &checks).await;
        let kept = self.lander.keep(checked.map_err(LandError::Checks)?).await?;
        Ok(match kept.verdict {
            Verdict::Verified => Found::Green(Some(kept)),
            Verdict::Failed | Verdict::Tampered | Verdict::NotAccepted => Found::Red(kept),
        })
    }

    async fn checks(&self, links: &[Link]) -> Result<ChecksPolicy, LandError> {
        let runs: BTreeSet<_> = links.iter().map(|link| &link.row.run).collect();
        let mut before = Vec::new();
        for run in runs {
            before.extend(self.lander.landings.landed(&self.target, run).await?);
        }
        let rows = before.iter().chain(links.iter().map(|link| &link.row));
        Ok(checks::union(rows.map(|row| &row.checks)))
    }

    /// Moves the branch to the last of `links`, and says that they have landed.
    async fn land(
        &mut self,
        tip: &CommitId,
        links: &[Link],
        kept: Option<Kept>,
    ) -> Result<Pass, LandError> {
        let Some(last) = links.last() else { return Ok(Pass::Settled) };
        if last.commit != *tip {
            let work: Vec<_> = links
                .iter()
                .filter(|link| link.commit != link.before)
                .map(|link| (link.row.id.clone(), link.commit.clone()))
                .collect();
            self.batches += 1;
            let batch = format!("{}.{}", self.epoch, self.batches);
            // From here on the work is known to have landed by where the branch is.
            self.lander.landings.test(&self.target, self.epoch, &batch, &work).await?;
            if self.is_any_unwanted(&work).await? {
                return Ok(Pass::Anew);
            }
            let reason = match links {
                [only] => format!("orchestrator: land {}/{}", only.row.run, only.row.task),
                _ => format!("orchestrator: land {} pieces of work", links.len()),
            };
            if self.advance(&last.commit, tip, &reason).await? == Moved::Elsewhere {
                return Ok(Pass::Anew);
            }
        }
        let landed = links.iter().map(|link| {
            let (commit, before) = (link.commit.clone(), link.before.clone());
            let evidence = kept.as_ref().map(|kept| kept.evidence.clone());
            let outputs = kept.as_ref().map(|kept| kept.outputs.clone()).unwrap_or_default();
            let state = LandingState::Landed { commit, before, evidence, outputs };
            (link.row.id.clone(), state)
        });
        self.settle(landed.collect()).await?;
        Ok(Pass::Settled)
    }

    /// Moves the branch. It is done to its end, with the lock held, also when nobody waits for it
    /// any more: a git that is stopped in the middle leaves locks behind.
    pub(super) async fn advance(
        &self,
        to: &CommitId,
        from: &CommitId,
        reason: &str,
    ) -> Result<Moved, LandError> {
        self.tell(&LandingStep::Advancing { to: to.clone() });
        let (ground, lock) = (self.ground.clone(), Arc::clone(&self.lock));
        let (to, from, reason) = (to.clone(), from.clone(), reason.to_owned());
        let may_update = self.lander.settings.update_checkout;
        let at = to.clone();
        let advance = tokio::spawn(async move {
            let moved = ground.advance(&to, &from, &reason, may_update).await;
            drop(lock);
            moved
        });
        let moved = advance.await.map_err(|error| LandError::Unreadable(error.to_string()))??;
        if moved == Moved::Yes {
            self.tell(&LandingStep::Advanced { to: at });
        }
        Ok(moved)
    }

    async fn is_any_unwanted(&self, work: &[(LandingId, CommitId)]) -> Result<bool, LandError> {
        let open = self.lander.landings.waiting(&self.target).await?;
        let unwanted = open.iter().filter(|row| row.is_unwanted).map(|row| &row.id);
        let unwanted: BTreeSet<_> = unwanted.collect();
        Ok(work.iter().any(|(id, _)| unwanted.contains(id)))
    }

    /// Says how pieces of work end.
    pub(super) async fn settle(
        &self,
        work: Vec<(LandingId, LandingState)>,
    ) -> Result<(), LandError> {
        if work.is_empty() {
            return Ok(());
        }
        let now = self.lander.clock.now();
        self.lander.landings.settle(&self.target, self.epoch, &work, now).await?;
        for (work, state) in work {
            self.tell(&LandingStep::Settled { work, state: state.as_str() });
        }
        self.lander.news.notify_waiters();
        Ok(())
    }

    pub(super) fn tell(&self, step: &LandingStep) {
        tracing::debug!(branch = %self.target.branch, ?step, "landing");
        if let Some(watch) = &self.lander.watch {
            watch.step(&self.target.branch, step);
        }
    }

    pub(super) fn ground(&self) -> &Ground {
        &self.ground
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }
}
