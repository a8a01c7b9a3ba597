//! From a commit to evidence.

use super::{
    baseline::{self, Baselines},
    error::CheckError,
    outcome::{BaseResult, compare, has_fewer},
    place::{Manifest, Place},
    restore::restore,
    run::{Ran, Runner},
    settings::CheckSettings,
    source::Source,
    surroundings::{describe, line, words},
    tamper::{self, Context, FileChange, is_check_file, is_test},
};
use crate::sandbox::Sandbox;
use orchestrator_core::{
    id::CommitId,
    port::{AttemptHost, Checked},
    workspace::{
        Change, CheckOutcome, CheckRecord, CheckSpec, ChecksPolicy, Evidence, Finding, FindingKind,
        TamperPolicy, Verdict,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Runs checks and says what they found.
#[derive(Debug, Clone)]
pub struct Checker {
    sandbox: Arc<dyn Sandbox>,
    settings: CheckSettings,
    baselines: Arc<dyn Baselines>,
}

/// What is to be checked.
#[derive(Debug, Clone, Copy)]
pub struct CheckOrder<'a> {
    /// The commit.
    pub commit: &'a CommitId,
    /// What it was made on.
    pub base: &'a CommitId,
    /// What proves it.
    pub policy: &'a ChecksPolicy,
    /// Commands that make the checkout ready where the policy names none: those of the workspace.
    pub setup: &'a [String],
}

/// A checkout in which checks may run, and what it was before they did.
struct Ready {
    place: Place,
    /// What was checked out, without what the set-up made.
    tracked: Manifest,
    /// What is there once it is set up.
    before: Manifest,
    /// What the set-up said when it failed.
    failed: Option<String>,
    findings: Vec<Finding>,
}

impl Checker {
    /// A checker that confines what it runs by `sandbox` and keeps what bases gave in `baselines`.
    pub fn new(
        sandbox: Arc<dyn Sandbox>,
        settings: CheckSettings,
        baselines: Arc<dyn Baselines>,
    ) -> Self {
        Self { sandbox, settings, baselines }
    }

    /// Runs the checks on a commit of `source`. The lines that they print go to the log of `host`,
    /// which also says when to stop.
    ///
    /// # Errors
    /// [`CheckError`] when they could not be run at all. A check that fails is evidence.
    pub async fn check(
        &self,
        source: &dyn Source,
        order: CheckOrder<'_>,
        host: &dyn AttemptHost,
    ) -> Result<Checked, CheckError> {
        let policy = order.policy;
        let setup = if policy.setup.is_empty() { order.setup } else { &policy.setup };
        let mut commands: Vec<String> = policy.run.iter().map(|spec| line(&spec.command)).collect();
        commands.extend(setup.iter().cloned());
        let looks = policy.tamper != TamperPolicy::Off && order.commit != order.base;
        let changes =
            if looks { source.changes(order.base, order.commit).await? } else { Vec::new() };

        let mut ready = self.ready(source, order.commit, &[], setup, host).await?;
        let environment =
            describe(&*self.sandbox, &self.settings, &ready.place, &commands, host).await;
        let paths: Vec<String> =
            ready.tracked.tree().map(|path| path.to_string_lossy().into_owned()).collect();
        let context = Context { commands: &commands, protect: &policy.protect, paths: &paths };
        let mut findings = tamper::inspect(&changes, &context, policy.tamper);
        let tree = source.tree(order.commit).await?;

        let mut records = Vec::new();
        let mut outputs = Vec::new();
        for spec in &policy.run {
            let base = match policy.baseline && order.commit != order.base {
                true => Some(self.base(source, order.base, spec, setup, &environment, host).await?),
                false => None,
            };
            let (record, output) = self
                .one(source, order.commit, &[], spec, setup, &mut ready, base.as_ref(), host)
                .await?;
            if let Some(base) = &base
                && record.outcome.is_good()
                && has_fewer(record.tests, base.tests)
                && policy.tamper != TamperPolicy::Off
            {
                findings.push(fewer(&record, base, policy.tamper));
            }
            records.push(record);
            outputs.push(output);
        }
        findings.append(&mut ready.findings);
        let has_passed = !records.is_empty() && records.iter().all(|r| r.outcome.is_good());

        // Only what would be verified is worth the time.
        let restored = restorable(&changes, &commands);
        let is_blocked = findings.iter().any(|finding| finding.blocks);
        if has_passed && !restored.is_empty() && !is_blocked {
            drop(ready);
            let (more, found) = self
                .with_base_tests(source, order, &restored, setup, &environment, &records, host)
                .await?;
            for (record, output) in more {
                records.push(record);
                outputs.push(output);
            }
            findings.extend(found);
        }
        if policy.tamper != TamperPolicy::Block {
            findings.iter_mut().for_each(|finding| finding.blocks = false);
        }
        let verdict = if !has_passed {
            Verdict::Failed
        } else if findings.iter().any(|finding| finding.blocks) {
            Verdict::Tampered
        } else {
            Verdict::Verified
        };
        let evidence = Evidence {
            commit: order.commit.clone(),
            base: order.base.clone(),
            tree,
            sandbox: self.sandbox.name().to_owned(),
            environment,
            checks: records,
            findings,
            judgement: None,
            verdict,
        };
        Ok(Checked { evidence, outputs })
    }

    /// A fresh checkout of `commit` with `restored` put back, set up.
    async fn ready(
        &self,
        source: &dyn Source,
        commit: &CommitId,
        restored: &[&FileChange],
        setup: &[String],
        host: &dyn AttemptHost,
    ) -> Result<Ready, CheckError> {
        let place = Place::make(&self.settings.scratch)?;
        source.checkout(commit, &place.tree()).await?;
        for change in restored {
            restore(&place.tree(), change)?;
        }
        let tracked = place.manifest().await?;
        let failed = self.runner().set_up(setup, &place, host).await?.err();
        let before = if setup.is_empty() { tracked.clone() } else { place.manifest().await? };
        let mut ready = Ready { place, tracked, before, failed, findings: Vec::new() };
        if !setup.is_empty() {
            let changed = ready.before.differences(&ready.tracked);
            ready.tell("the set-up", &changed);
        }
        Ok(ready)
    }

    fn runner(&self) -> Runner<'_> {
        Runner { sandbox: &*self.sandbox, settings: &self.settings }
    }

    /// One check with its repetitions, in `ready`, which is made anew when a run changed it.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a thing of its own, named where it is given"
    )]
    async fn one(
        &self,
        source: &dyn Source,
        commit: &CommitId,
        restored: &[&FileChange],
        spec: &CheckSpec,
        setup: &[String],
        ready: &mut Ready,
        base: Option<&BaseResult>,
        host: &dyn AttemptHost,
    ) -> Result<(CheckRecord, Vec<u8>), CheckError> {
        let mut runs = 0;
        let mut took = Duration::ZERO;
        let mut failed_before: BTreeSet<String> = BTreeSet::new();
        loop {
            runs += 1;
            let ran = match &ready.failed {
                Some(why) => Ran::unusable(why.clone()),
                None => self.runner().check(spec, &ready.place, host).await?,
            };
            took += ran.took;
            let changed = ready.place.manifest().await?.differences(&ready.before);
            let changed: Vec<PathBuf> =
                changed.into_iter().filter(|path| !is_report(spec, path)).collect();
            if !changed.is_empty() {
                ready.tell(&format!("the check `{}`", spec.name), &changed);
                let told = std::mem::take(&mut ready.findings);
                *ready = self.ready(source, commit, restored, setup, host).await?;
                ready.findings.splice(0..0, told);
            }
            let (mut outcome, new, old) = match base {
                Some(base) => compare(&ran.judged, base),
                None => (ran.judged.outcome, ran.judged.failures.clone(), BTreeSet::new()),
            };
            let fails = matches!(outcome, CheckOutcome::Failed | CheckOutcome::TimedOut);
            if fails && runs <= spec.retries {
                // `changed` has made it anew where anything was left behind.
                let whole = BTreeSet::from([spec.name.clone()]);
                failed_before.extend(if new.is_empty() { whole } else { new });
                continue;
            }
            let is_flaky = runs > 1 && outcome == CheckOutcome::Passed;
            if is_flaky {
                outcome = CheckOutcome::Flaky;
            }
            let record = CheckRecord {
                name: spec.name.clone(),
                command: words(&spec.command),
                outcome,
                exit_code: ran.exit_code,
                duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                runs,
                tests: ran.judged.tests,
                new_failures: listed(new),
                old_failures: listed(old),
                flaky: if is_flaky { listed(failed_before) } else { Vec::new() },
                coverage: ran.judged.coverage,
                excerpt: ran.excerpt,
                output: None,
            };
            return Ok((record, ran.output));
        }
    }

    /// What a check gives on the base, in a checkout of its own.
    async fn base(
        &self,
        source: &dyn Source,
        base: &CommitId,
        spec: &CheckSpec,
        setup: &[String],
        environment: &BTreeMap<String, String>,
        host: &dyn AttemptHost,
    ) -> Result<BaseResult, CheckError> {
        let tree = source.tree(base).await?;
        let key = baseline::key(&tree, spec, setup, environment);
        if let Some(known) = self.baselines.get(&key) {
            return Ok(known);
        }
        let ready = self.ready(source, base, &[], setup, host).await?;
        let ran = match &ready.failed {
            Some(why) => Ran::unusable(why.clone()),
            None => self.runner().check(spec, &ready.place, host).await?,
        };
        let result = BaseResult {
            outcome: ran.judged.outcome,
            failures: ran.judged.failures,
            tests: ran.judged.tests,
        };
        self.baselines.put(&key, &result);
        Ok(result)
    }

    /// The checks once more, on the code of the commit with the tests of the base.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a thing of its own, named where it is given"
    )]
    async fn with_base_tests(
        &self,
        source: &dyn Source,
        order: CheckOrder<'_>,
        restored: &[&FileChange],
        setup: &[String],
        environment: &BTreeMap<String, String>,
        own: &[CheckRecord],
        host: &dyn AttemptHost,
    ) -> Result<(Vec<(CheckRecord, Vec<u8>)>, Vec<Finding>), CheckError> {
        let mut ready = self.ready(source, order.commit, restored, setup, host).await?;
        let has_tests = ready.tracked.tree().any(|path| is_test(&path.to_string_lossy()));
        let (mut records, mut findings) = (Vec::new(), Vec::new());
        for (spec, with_own) in order.policy.run.iter().zip(own) {
            let (mut record, output) = self
                .one(source, order.commit, restored, spec, setup, &mut ready, None, host)
                .await?;
            let known: BTreeSet<&String> =
                with_own.new_failures.iter().chain(&with_own.old_failures).collect();
            let is_known = |name: &String| known.contains(name);
            if record.outcome == CheckOutcome::Failed
                && !record.new_failures.is_empty()
                && record.new_failures.iter().all(is_known)
            {
                // It fails with the tests of the commit as well, and that has been allowed for.
                record.outcome = CheckOutcome::FailedBefore;
                record.old_failures = std::mem::take(&mut record.new_failures);
            }
            record.new_failures.retain(|name| !is_known(name));
            let says_nothing = !record.outcome.is_good()
                && (!has_tests
                    || !self
                        .base(source, order.base, spec, setup, environment, host)
                        .await?
                        .says_something());
            if !record.outcome.is_good() && !says_nothing {
                let names: Vec<&str> = record.new_failures.iter().map(String::as_str).collect();
                let names = match names.as_slice() {
                    [] => String::new(),
                    all if all.len() <= 5 => format!(": {}", all.join(", ")),
                    all => {
                        format!(": {} and {} more", all[..5].join(", "), all.len() - 5)
                    }
                };
                findings.push(Finding {
                    kind: FindingKind::TestWeakened,
                    path: restored.first().map(|change| change.path.clone()).unwrap_or_default(),
                    message: format!(
                        "`{}` does not pass with the tests as they were on the base{names}; a task \
                         that is to change what they expect says `tamper: flag`",
                        spec.name
                    ),
                    blocks: true,
                });
            }
            record.name = format!("{} (with the tests of the base)", spec.name);
            records.push((record, output));
        }
        Ok((records, findings))
    }
}

impl Ready {
    /// Tells of files of the checkout that something has changed while it ran: what proves the result
    /// must not be among them.
    fn tell(&mut self, who: &str, changed: &[PathBuf]) {
        for path in changed {
            let Ok(path) = path.strip_prefix("tree") else { continue };
            let name = path.to_string_lossy().into_owned();
            let is_tracked = self.tracked.holds(path);
            let proves = is_test(&name) || is_check_file(&name);
            if !is_tracked && !proves || self.findings.len() >= tamper::FINDINGS {
                continue;
            }
            // A new file among tests may be anything that they write.
            let blocks = proves && (is_tracked || is_check_file(&name));
            self.findings.push(Finding {
                kind: FindingKind::CheckChanged,
                path: name,
                message: format!("{who} changes this file while it runs"),
                blocks,
            });
        }
        tracing::debug!(files = self.tracked.len(), changed = changed.len(), "compared a checkout");
    }
}

/// Whether a path of a place is the report that a check writes.
fn is_report(spec: &CheckSpec, path: &Path) -> bool {
    let Some(report) = &spec.report else { return false };
    let directory = Path::new(spec.directory.as_deref().unwrap_or(""));
    path.strip_prefix("tree").is_ok_and(|path| path == directory.join(report))
}

/// What proves results and differs from the base: to be put back as it was, or taken away again. What
/// a command names must be there.
fn restorable<'a>(changes: &'a [FileChange], commands: &[String]) -> Vec<&'a FileChange> {
    changes
        .iter()
        .filter(|change| {
            if change.change == Change::Added {
                let is_named = commands.iter().any(|command| command.contains(&change.path));
                return !is_named && (is_test(&change.path) || is_check_file(&change.path));
            }
            let was = change.from.as_deref().unwrap_or(&change.path);
            let is_there = change.old.as_ref().is_some_and(|old| old.content.is_some());
            is_there && (is_test(was) || is_check_file(was))
        })
        .collect()
}

fn fewer(record: &CheckRecord, base: &BaseResult, policy: TamperPolicy) -> Finding {
    let ran = |tests: Option<orchestrator_core::workspace::TestCounts>| {
        tests.map_or(0, |tests| tests.passed.saturating_add(tests.failed))
    };
    Finding {
        kind: FindingKind::FewerTests,
        path: String::new(),
        message: format!(
            "`{}` ran {} tests, and {} on the base",
            record.name,
            ran(record.tests),
            ran(base.tests)
        ),
        blocks: policy == TamperPolicy::Block,
    }
}

fn listed(names: BTreeSet<String>) -> Vec<String> {
    names.into_iter().take(CheckRecord::LISTED).collect()
}
