//! What is drawn from the seed: runs, limits, calls, and what becomes of each call.

use orchestrator_core::{
    id::{AgentName, ProviderName, RunId, TaskName},
    ledger::{Limit, Payer, Rule, Scope, ScopeKind, Unit, Window},
    money::MicroUsd,
    time::Timestamp,
};
use orchestrator_gateway::prices::{PriceEntry, PriceTable, Rates};
use orchestrator_testkit::sim::Rng;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Longer than any lease in the ledger runs.
pub(crate) const AFTER_EVERY_LEASE_MS: u64 = 600_000;

/// 2026-02-11T10:00:00Z.
const TEN: u64 = 1_770_804_000_000;

/// How much faster time runs than the machine's.
const HASTE: u64 = 10;

/// How many calls there are for each tree of runs.
const PER_TREE: u64 = 200;

/// What a tree's root may spend, in millionths of a dollar: less than half of what its calls would
/// come to.
const ROOT_BUDGET: u64 = 640_000;

/// A tree: each run's suffix, that of the run above it, and its budget in thousandths of the root's.
const TREE: [(&str, Option<&str>, Option<u64>); 8] = [
    ("", None, Some(1_000)),
    ("a", Some(""), Some(250)),
    ("b", Some(""), Some(200)),
    ("c", Some(""), None),
    ("aa", Some("a"), Some(60)),
    ("ab", Some("a"), Some(90)),
    ("ba", Some("b"), None),
    ("bb", Some("b"), Some(60)),
];

const AGENTS: [&str; 6] = ["dev", "qa", "docs", "pm", "ops", "data"];

/// The accounts, with its model and what a million tokens of it cost, in
/// millionths of a dollar: fresh input, read from a cache, written to one, output.
pub(crate) const ACCOUNTS: [(&str, &str, [u64; 4]); 3] = [
    ("messages", "large-1", [3_000_000, 300_000, 3_750_000, 15_000_000]),
    ("chat", "small-1", [2_500_000, 1_250_000, 2_500_000, 10_000_000]),
    ("spare", "small-2", [1_100_000, 275_000, 1_100_000, 4_400_000]),
];

/// Which of them a call is made through.
const THROUGH: [usize; 6] = [0, 0, 0, 1, 1, 2];

/// The id of a run.
pub(crate) fn run_id(text: &str) -> RunId {
    RunId::new(text).expect("an id of this proof")
}

/// The name of a call's task.
pub(crate) fn task_name(number: u64) -> TaskName {
    TaskName::new(format!("c-{number}")).expect("a name of this proof")
}

/// The number of the call whose task has that name.
pub(crate) fn number_of(task: &str) -> Option<u64> {
    task.strip_prefix("c-")?.parse().ok()
}

/// A run of the plan.
#[derive(Debug, Clone)]
pub(crate) struct PlannedRun {
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) budget: Option<u64>,
}

/// A call of the plan.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) payer: Payer,
    /// How long the prompt is made.
    pub(crate) bytes: usize,
    pub(crate) max_tokens: Option<u32>,
    /// When it is given up.
    pub(crate) patience: Duration,
}

/// What the upstream bills a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
    pub(crate) output: u64,
}

impl Usage {
    pub(crate) fn tokens(&self) -> u64 {
        self.input + self.cache_read + self.cache_write + self.output
    }

    /// What it costs at these rates, rounded up to the micro-dollar. Reckoned here on its own.
    pub(crate) fn price(&self, rates: [u64; 4]) -> u64 {
        let parts = [self.input, self.cache_read, self.cache_write, self.output];
        let pico: u64 = parts.iter().zip(rates).map(|(tokens, rate)| tokens * rate).sum();
        pico.div_ceil(1_000_000)
    }
}

/// What becomes of a call at the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// Answered in full.
    Whole,
    /// The same, with pauses.
    Slow,
    /// Answered in full, and never counted.
    Uncounted,
    /// Cut off before its final count.
    CutBefore,
    /// Cut off between its final count and its end.
    CutAfter,
    /// Read, billed, and hung up on.
    HungUp,
    /// Refused with that status at no cost.
    Refused(u16),
}

impl Fate {
    pub(crate) fn is_billed(self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// All that is drawn from one seed.
#[derive(Debug)]
pub(crate) struct World {
    seed: u64,
    pub(crate) calls: u64,
    /// When the proof began by the machine's clock.
    pub(crate) began: u64,
    runs: BTreeMap<String, PlannedRun>,
    /// The only account that calls are made through, by its place in [`ACCOUNTS`].
    only: Option<usize>,
}

impl World {
    pub(crate) fn new(seed: u64, calls: u64) -> Self {
        Self::begun(seed, calls, machine_ms())
    }

    pub(crate) fn begun(seed: u64, calls: u64, began: u64) -> Self {
        let mut runs = BTreeMap::new();
        for tree in 0..calls.div_ceil(PER_TREE) {
            for (suffix, above, part) in TREE {
                let id = |suffix: &str| format!("r_t{tree}{suffix}");
                let budget = part.map(|part| ROOT_BUDGET * part / 1_000);
                let run = PlannedRun { id: id(suffix), parent: above.map(id), budget };
                runs.insert(run.id.clone(), run);
            }
        }
        Self { seed, calls, began, runs, only: None }
    }

    /// The same with every call made through one account, by its place in [`ACCOUNTS`].
    pub(crate) fn through(self, only: usize) -> Self {
        Self { only: Some(only), ..self }
    }

    /// The time of the proof, which begins at ten in the morning, so that no day ends in it, and runs
    /// so fast that leases lapse while others work.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(TEN + machine_ms().saturating_sub(self.began) * HASTE)
    }

    /// Every run, those above before those below.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &PlannedRun> {
        self.runs.values()
    }

    fn draws(&self, number: u64, purpose: &str) -> Rng {
        Rng::new(self.seed ^ number.wrapping_mul(0x9e37_79b9), purpose)
    }

    pub(crate) fn call(&self, number: u64) -> Call {
        let mut rng = self.draws(number, "call");
        // A fifth of the calls are late ones of the tree before.
        let tree = (number / PER_TREE).saturating_sub(u64::from(rng.chance(200)));
        let (suffix, ..) = *rng.pick(&TREE);
        let through = *rng.pick(&THROUGH);
        let (account, model, _) = ACCOUNTS[self.only.unwrap_or(through)];
        let agent = AgentName::new(*rng.pick(&AGENTS)).expect("an agent of this proof");
        let payer = Payer {
            run: Some(run_id(&format!("r_t{tree}{suffix}"))),
            task: Some(task_name(number)),
            agent: Some(agent),
            ..Payer::new(ProviderName::new(account).expect("an account of this proof"), model)
        };
        let bytes = usize::try_from(rng.between(100, 2_500)).unwrap_or(100);
        // One in fifty leaves the length of its answer to what the budget still buys.
        let max_tokens =
            (!rng.chance(20)).then(|| u32::try_from(rng.between(60, 700)).unwrap_or(60));
        let patience = match rng.below(12) {
            0 => rng.pause(1, 60),
            1 => rng.pause(60, 400),
            _ => rng.pause(400, 2_500),
        };
        Call { payer, bytes, max_tokens, patience }
    }

    /// What becomes of a call.
    pub(crate) fn fate(&self, number: u64) -> Fate {
        let mut rng = self.draws(number, "fate");
        match rng.below(100) {
            0..57 => Fate::Whole,
            57..67 => Fate::Slow,
            67..71 => Fate::Uncounted,
            71..78 => Fate::CutBefore,
            78..84 => Fate::CutAfter,
            84..93 => Fate::HungUp,
            _ => Fate::Refused(*rng.pick(&[429, 500, 529])),
        }
    }

    /// What a call uses, whose prompt has so many bytes and whose answer at most so many tokens. A
    /// byte is at most a token.
    pub(crate) fn usage(&self, number: u64, bytes: u64, max_tokens: u64) -> Usage {
        let mut rng = self.draws(number, "usage");
        let prompt = match rng.below(8) {
            0 => bytes,
            _ => rng.between(bytes / 5, bytes),
        };
        let (read, written) = (prompt * rng.below(50) / 100, prompt * rng.below(50) / 100);
        let output = match rng.below(8) {
            0 => max_tokens,
            _ => rng.between(1, max_tokens.min(800)),
        };
        Usage { input: prompt - read - written, cache_read: read, cache_write: written, output }
    }

    /// The limits of the settings.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        // The project's is met when most of the calls are made, the others before.
        let project = ROOT_BUDGET * (self.calls / PER_TREE).max(1) * 5 / 8;
        let calls = self.calls;
        vec![
            Rule::hard(ScopeKind::Project, Window::Day, Unit::Usd, project),
            Rule::hard(ScopeKind::Agent, Window::Day, Unit::Usd, calls * 120).named("qa"),
            Rule::hard(ScopeKind::Account, Window::Day, Unit::Tokens, calls * 60).named("spare"),
            Rule::hard(ScopeKind::Run, Window::Total, Unit::Requests, PER_TREE / 2),
        ]
    }

    /// A run and those above it, the nearest first.
    pub(crate) fn chain(&self, run: &RunId) -> Vec<RunId> {
        let mut chain = vec![run.clone()];
        let mut next = self.runs.get(run.as_str()).and_then(|run| run.parent.clone());
        while let Some(above) = next {
            next = self.runs.get(&above).and_then(|run| run.parent.clone());
            chain.push(run_id(&above));
        }
        chain
    }

    /// Every scope that pays for a call.
    pub(crate) fn scopes(&self, payer: &Payer) -> Vec<Scope> {
        let chain = payer.run.as_ref().map(|run| self.chain(run)).unwrap_or_default();
        payer.scopes(chain.iter().skip(1))
    }

    /// Every limit there is: of the runs, as this plan gave them their budgets, and of the settings.
    pub(crate) fn limits(&self) -> Vec<Limit> {
        let whole = |run: &PlannedRun, unit, most| Limit {
            scope: Scope::Run(run_id(&run.id)),
            window: Window::Total,
            unit,
            most,
            is_hard: true,
        };
        let (rules, payer) = (self.rules(), self.call(0).payer);
        let ruled = rules.iter().filter_map(|rule| rule.of_project(&payer.tenant, &payer.project));
        let mut limits: Vec<Limit> = ruled.collect();
        let of_roots = rules.iter().filter(|rule| rule.of == ScopeKind::Run);
        for rule in of_roots {
            let roots = self.runs().filter(|run| run.parent.is_none());
            limits.extend(roots.map(|run| whole(run, rule.unit, rule.most)));
        }
        limits.extend(self.runs().filter_map(|run| Some(whole(run, Unit::Usd, run.budget?))));
        limits
    }

    /// The tree that most calls around `number` pay from.
    pub(crate) fn tree_of(number: u64) -> u64 {
        number / PER_TREE
    }
}

/// What is spent of `unit` by a call that is billed so.
pub(crate) fn amount(unit: Unit, usd: u64, tokens: u64) -> u64 {
    match unit {
        Unit::Usd => usd,
        Unit::Tokens => tokens,
        _ => 1,
    }
}

/// The rates of an account.
pub(crate) fn rates(account: &str) -> [u64; 4] {
    let found = ACCOUNTS.iter().find(|(name, ..)| *name == account);
    found.map_or([0; 4], |(_, _, rates)| *rates)
}

/// The same as the gateway is told them.
pub(crate) fn prices() -> PriceTable {
    let entries = ACCOUNTS.map(|(_, model, [input, read, write, output])| PriceEntry {
        model: model.to_owned(),
        aliases: Vec::new(),
        provider: None,
        rates: Rates {
            input: MicroUsd(input),
            cache_read: Some(MicroUsd(read)),
            cache_write: Some(MicroUsd(write)),
            cache_write_1h: None,
            output: MicroUsd(output),
        },
        long: None,
        peak: None,
        batch: None,
        source: None,
        as_of: None,
    });
    PriceTable::empty().with_entries(entries)
}

fn machine_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
