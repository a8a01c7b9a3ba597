//! The disk fails at one call after another.

pub use super::shim::Kind;
use super::{
    Broken, Failure, Flow, Product, Project, failed,
    journal::Journal,
    orphans,
    outcome::{self, EXECUTE, Outcome, WAITS},
    project::{Ran, say},
    rules,
    shim::{Fault, Shim},
};
use fastrand::Rng;
use serde::Serialize;
use std::{path::PathBuf, time::Instant};

/// The exit code of a command that cannot use its store.
const NO_STORE: i32 = 7;

/// The exit code of a program that a power cut ended: the shim's own.
const CUT: i32 = 137;

/// How much is proved.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program.
    pub product: Product,
    /// What the disk does.
    pub kind: Kind,
    /// The workflows.
    pub flows: Vec<&'static Flow>,
    /// The most places of each workflow at which it is done; they are spread evenly over all, and
    /// `None` takes every one.
    pub places: Option<u64>,
    /// Only this place, when it is given.
    pub only: Option<u64>,
    /// For how many calls a fault lasts, 0 for as long as the program runs; drawn for each place
    /// when it is `None`.
    pub lasts: Option<u64>,
    /// What else varies from place to place is drawn from it.
    pub seed: u64,
    /// The directory in which the library is compiled; it must allow programs.
    pub work: PathBuf,
    /// Whether progress is said on standard error.
    pub talks: bool,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The calls that could fail, over all workflows.
    pub places: u64,
    /// The failures that were made.
    pub faults: u64,
    /// Commands that said so and gave up.
    pub refused: u64,
    /// Commands that ended well all the same.
    pub survived: u64,
    /// Commands that were cut off.
    pub cut: u64,
    /// Runs that were taken up again.
    pub resumed: u64,
    /// Events that were printed before a failure and found again after it.
    pub acknowledged: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Proves the rules at all places; failures are gathered, so that one hides no other.
///
/// # Errors
/// When the library cannot be made, or a workflow does not even run undisturbed.
pub fn prove(plan: &Plan) -> Result<(Figures, Vec<Failure>), Broken> {
    let begin = Instant::now();
    let shim = Shim::build(&plan.work)?;
    let (mut figures, mut failures) = (Figures::default(), Vec::new());
    for flow in &plan.flows {
        let (expected, _) = outcome::reference(&plan.product, flow)?;
        let count = count(plan, &shim, flow)?;
        figures.places += count;
        let step = plan.places.map_or(1, |most| count.div_ceil(most.max(1)).max(1));
        // Another run of the same workflow may make a few calls more.
        let mut places: Vec<u64> =
            (1..=count + 4).step_by(usize::try_from(step).unwrap_or(1)).collect();
        if let Some(only) = plan.only {
            places = vec![only];
        }
        for at in places {
            let case = Case { plan, shim: &shim, flow, at };
            if let Err(broken) = case.prove(&expected, &mut figures) {
                let kind = plan.kind.as_str();
                let lasts = plan.lasts.map(|lasts| format!(" --lasts {lasts}")).unwrap_or_default();
                let failure = Failure {
                    broken: broken.during(format_args!("{kind} at call {at} of `{}`", flow.name)),
                    again: format!(
                        "{kind} --flows {} --at {at} --seed {}{lasts}",
                        flow.name, plan.seed
                    ),
                };
                say(
                    plan.talks,
                    format_args!("FAILED {}\n  again: {}", failure.broken, failure.again),
                );
                failures.push(failure);
            }
        }
        say(plan.talks, format_args!("`{}`: {count} places", flow.name));
    }
    figures.seconds = begin.elapsed().as_secs_f64();
    Ok((figures, failures))
}

/// How many calls of an undisturbed run could fail.
fn count(plan: &Plan, shim: &Shim, flow: &Flow) -> Result<u64, Broken> {
    let mut project = Project::new(&plan.product, flow)?;
    let fault = Fault { kind: plan.kind, at: 0, times: 0, is_short: false, seed: 0 };
    let variables = shim.variables(&project.path().join(".orchestrator"), fault);
    project.set_variables(variables);
    project.run(&EXECUTE)?.expect(&[flow.code, WAITS])?;
    match shim.count() {
        0 => {
            Err(Broken::new("the preloaded library saw no call: is the program linked statically?"))
        }
        count => Ok(count),
    }
}

/// One place.
struct Case<'a> {
    plan: &'a Plan,
    shim: &'a Shim,
    flow: &'static Flow,
    at: u64,
}

impl Case<'_> {
    fn prove(&self, expected: &Outcome, figures: &mut Figures) -> Result<(), Broken> {
        let mut rng = Rng::with_seed(self.plan.seed ^ self.at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut project = Project::new(&self.plan.product, self.flow)?;
        let mut printed = Journal::default();
        // First it fails at this place of `execute`, then early in some `resume` as well.
        let again = if rng.bool() { rng.u64(1..=40) } else { 0 };
        for at in [self.at, again] {
            let root = outcome::root(&project, self.flow)?;
            if at == 0 || root.as_ref().is_some_and(outcome::is_over) {
                continue;
            }
            let id = root.as_ref().and_then(|run| run["id"].as_str());
            let arguments = id.map_or_else(|| EXECUTE.to_vec(), |id| vec!["resume", id, "--json"]);
            let fault = Fault {
                kind: self.plan.kind,
                at,
                times: self.times(&mut rng),
                is_short: rng.bool(),
                seed: rng.u64(..),
            };
            let variables = self.shim.variables(&project.path().join(".orchestrator"), fault);
            project.set_variables(variables);
            let ran = project.run(&arguments)?;
            project.set_variables(Vec::new());
            figures.faults += u64::from(self.shim.count() >= at);
            self.judge(&ran, figures)?;
            let shown = Journal::printed(&ran)?;
            figures.acknowledged += shown.len() as u64;
            printed.extend(shown);
            orphans::expect_none(&project, "after the fault")?;
            Journal::stored(&project)?.expect_all_of(&printed, "was printed")?;
        }
        if outcome::root(&project, self.flow)?.is_some_and(|run| !outcome::is_over(&run)) {
            figures.resumed += 1;
        }
        let mut shown = Vec::new();
        outcome::see_through(&project, self.flow, |ran| {
            shown.push(Journal::printed(ran)?);
            Ok(())
        })?;
        shown.into_iter().for_each(|journal| printed.extend(journal));
        let stored = Journal::stored(&project)?;
        stored.expect_all_of(&printed, "was printed")?;
        rules::check(&project, &stored)?;
        expected.expect(&Outcome::of(&project, &stored)?)
    }

    /// For how many calls the fault lasts; 0 for as long as the program runs.
    fn times(&self, rng: &mut Rng) -> u64 {
        let drawn = match self.plan.kind {
            Kind::Room | Kind::Power => [0, 0, 1, 3][rng.usize(..4)],
            // What fails in another way than for want of room is tried again for some ten seconds.
            Kind::Sync => [1, 1, 1, 2, 2, 3, 4, 0][rng.usize(..8)],
        };
        self.plan.lasts.unwrap_or(drawn)
    }

    /// A command that met a fault said so, or did its work all the same.
    fn judge(&self, ran: &Ran, figures: &mut Figures) -> Result<(), Broken> {
        ran.expect_no_panic()?;
        match ran.code() {
            Some(CUT) if self.plan.kind == Kind::Power => figures.cut += 1,
            Some(code) if code == self.flow.code || code == WAITS => figures.survived += 1,
            Some(NO_STORE) => {
                figures.refused += 1;
                expect_clear(ran, self.plan.kind)?;
            }
            _ => return Err(ran.broken("ended neither well nor with exit code 7")),
        }
        Ok(())
    }
}

/// A refusal has a code, and names what is wrong.
pub(super) fn expect_clear(ran: &Ran, kind: Kind) -> Result<(), Broken> {
    let said = ran.stderr.to_lowercase();
    let names = match kind {
        Kind::Room => ["no space", "disk"].iter().any(|word| said.contains(word)),
        Kind::Sync | Kind::Power => {
            ["disk", "input/output", "i/o"].iter().any(|word| said.contains(word))
        }
    };
    if said.contains("orc-") && names {
        return Ok(());
    }
    Err(ran.broken("does not say what is wrong with the disk"))
}

impl Figures {
    /// All of it in a line.
    pub fn line(&self, kind: Kind) -> String {
        format!(
            "{}: {} faults over {} calls that could fail: {} commands refused, {} cut off, {} went \
             on; {} runs resumed, {} printed events found again, in {:.1} s",
            kind.as_str(),
            self.faults,
            self.places,
            self.refused,
            self.cut,
            self.survived,
            self.resumed,
            self.acknowledged,
            self.seconds
        )
    }

    /// The same as JSON.
    ///
    /// # Errors
    /// Never in practice: every field has a JSON form.
    pub fn json(&self) -> Result<serde_json::Value, Broken> {
        serde_json::to_value(self).map_err(failed("write the figures"))
    }
}
