use super::*;
use crate::{
    agent::Role,
    id::{AgentName, RunId, TaskName, WorkflowName},
    money::MicroUsd,
    usage::{Cost, TokenCount, Usage},
};
use proptest::prelude::*;

const RATES: Rates = Rates {
    input: MicroUsd(3_000_000),
    cache_read: MicroUsd(300_000),
    cache_write: MicroUsd(3_750_000),
    output: MicroUsd(15_000_000),
};

fn profile(workflow: &str, task: &str) -> TaskProfile {
    let name = WorkflowName::new(workflow).unwrap();
    let (task, agent) = (TaskName::new(task).unwrap(), AgentName::new("dev").unwrap());
    TaskProfile { rates: Some(RATES), ..TaskProfile::new(name, task, agent, Role::Dev, "m") }
}

fn sample(workflow: &str, task: &str, run: usize, input: u64, output: u64) -> Sample {
    Sample {
        workflow: WorkflowName::new(workflow).unwrap(),
        run: RunId::new(format!("r_{run}")).unwrap(),
        task: TaskName::new(task).unwrap(),
        agent: AgentName::new("dev").unwrap(),
        model: "m".into(),
        usage: Usage { input: TokenCount(input), output: TokenCount(output), ..Usage::default() },
    }
}

fn history(samples: Vec<Sample>) -> History {
    let mut history = History::default();
    let runs: std::collections::BTreeSet<_> =
        samples.iter().map(|sample| (sample.workflow.clone(), sample.run.clone())).collect();
    runs.iter().for_each(|(workflow, _)| history.add_run(workflow));
    history.samples = samples;
    history
}

/// What is told of `profile` after `samples`.
fn told(profile: &TaskProfile, samples: Vec<Sample>) -> (RunEstimate, Vec<Assumption>) {
    let history = history(samples);
    let told = Estimator::new(&history).task(profile);
    (told.draws.estimate(told.sureness), told.assumptions)
}

fn same(runs: usize, input: u64, output: u64) -> Vec<Sample> {
    (0..runs).map(|run| sample("w", "t", run, input, output)).collect()
}

/// How wide an interval is, as a ratio.
fn width(range: Range<u64>) -> f64 {
    range.high as f64 / range.low.max(1) as f64
}

#[test]
fn without_history_an_assumption_is_told_with_low_confidence() {
    let (estimate, assumptions) = told(&profile("w", "t"), Vec::new());
    let Sureness { confidence, basis, samples } = estimate.sureness;
    assert_eq!((confidence, basis, samples), (Confidence::Low, Basis::Prior, 0));
    assert!(assumptions.is_empty(), "{assumptions:?}");
    let prior = Prior::of(&Role::Dev);
    let near = |range: Range<u64>, middle: u64| {
        assert!(range.likely.abs_diff(middle) < middle / 10, "{range:?} of {middle}");
        assert!(width(range) > 8.0, "{range:?} is too sure");
    };
    near(estimate.input, prior.input);
    near(estimate.output, prior.output);
}

#[test]
fn confidence_grows_with_runs_of_the_very_task() {
    let check = |runs: usize, confidence: Confidence, basis: Basis| {
        let (estimate, _) = told(&profile("w", "t"), same(runs, 900, 300));
        assert_eq!((estimate.sureness.confidence, estimate.sureness.basis), (confidence, basis));
        assert_eq!(estimate.sureness.samples as usize, runs);
        estimate
    };
    check(0, Confidence::Low, Basis::Prior);
    check(2, Confidence::Low, Basis::SameTask);
    let three = check(3, Confidence::Medium, Basis::SameTask);
    assert!(three.tokens.holds(&1_200), "{three:?}");
    let many = check(12, Confidence::High, Basis::SameTask);
    assert!(many.tokens.holds(&1_200) && width(many.tokens) < width(three.tokens), "{many:?}");
    // Ten that differ by more than four times are not sure.
    let wild = (0..12).map(|run| sample("w", "t", run, 10_u64.pow(2 + run as u32 % 4), 10));
    let (wild, _) = told(&profile("w", "t"), wild.collect());
    assert_eq!(wild.sureness.confidence, Confidence::Medium, "{wild:?}");
}

#[test]
fn the_closest_history_wins_and_the_looser_only_leans() {
    let far: Vec<_> = (0..40).map(|run| sample("other", "x", run, 100_000, 50_000)).collect();
    let (leaning, _) = told(&profile("w", "t"), far.clone());
    let (blank, _) = told(&profile("w", "t"), Vec::new());
    assert_eq!(leaning.sureness.basis, Basis::SameAgent);
    assert!(leaning.input.likely > 2 * blank.input.likely && leaning.input.likely < 100_000);
    let near: Vec<_> = (40..80).map(|run| sample("w", "t2", run, 400, 90)).collect();
    let (nearer, _) = told(&profile("w", "t"), [far.clone(), near].concat());
    assert_eq!(nearer.sureness.basis, Basis::SameWorkflow);
    assert!(nearer.input.likely < leaning.input.likely, "{nearer:?}");
    let (own, _) = told(&profile("w", "t"), [far, same(30, 700, 100)].concat());
    assert_eq!(own.sureness.basis, Basis::SameTask);
    assert!(own.input.likely.abs_diff(700) < 70, "{own:?}");
    // Another agent's work tells nothing.
    let mut others = same(9, 7, 7);
    for sample in &mut others {
        sample.workflow = WorkflowName::new("else").unwrap();
        sample.agent = AgentName::new("qa").unwrap();
    }
    assert_eq!(told(&profile("w", "t"), others).0, blank);
}

#[test]
fn what_is_cached_costs_less_and_another_price_another_cost() {
    let plain = same(20, 10_000, 10);
    let mut cached = plain.clone();
    for sample in &mut cached {
        sample.usage.cache_read = TokenCount(9_000);
        sample.usage.input = TokenCount(1_000);
    }
    let usd = |profile: &TaskProfile, samples| told(profile, samples).0.usd.unwrap().likely.0;
    let (full, less) = (usd(&profile("w", "t"), plain.clone()), usd(&profile("w", "t"), cached));
    assert!(less < full / 4, "{less} of {full}");
    let twice = Rates { input: MicroUsd(6_000_000), output: MicroUsd(30_000_000), ..RATES };
    let dear = TaskProfile { rates: Some(twice), ..profile("w", "t") };
    assert!(usd(&dear, plain).abs_diff(2 * full) <= 2);
}

#[test]
fn a_model_without_a_price_has_tokens_and_no_cost() {
    let (estimate, assumptions) =
        told(&TaskProfile { rates: None, ..profile("w", "t") }, Vec::new());
    assert!(estimate.usd.is_none() && estimate.tokens.likely > 0);
    assert!(matches!(&assumptions[..], [Assumption::NoPrice { model, .. }] if model == "m"));
    let mut sum = Draws::default();
    sum.add(&Estimator::new(&History::default()).task(&profile("w", "t")).draws);
    let unpriced = TaskProfile { rates: None, ..profile("w", "u") };
    sum.add(&Estimator::new(&History::default()).task(&unpriced).draws);
    assert!(sum.estimate(Sureness::CERTAIN).usd.is_none(), "a part is unknown, and so the sum");
}

#[test]
fn an_unknown_list_is_assumed_and_later_known() {
    let each = TaskProfile { items: Items::Unknown, ..profile("w", "t") };
    let (blank, assumptions) = told(&each, Vec::new());
    assert!(matches!(&assumptions[..], [Assumption::Items { runs: 0, .. }]), "{assumptions:?}");
    assert_eq!(blank.sureness.confidence, Confidence::Low);
    assert!(blank.attempts.low >= 1 && blank.attempts.high > 2 * blank.attempts.low);
    let items = (0..5)
        .flat_map(|run| (0..30).map(move |item| sample("w", &format!("t:{item}"), run, 100, 10)));
    let (known, assumptions) = told(&each, items.collect());
    assert!(matches!(&assumptions[..], [Assumption::Items { runs: 5, .. }]), "{assumptions:?}");
    assert!(known.attempts.holds(&30) && known.tokens.holds(&3_300), "{known:?}");
    assert_eq!(known.sureness.confidence, Confidence::Medium, "five runs, not 150");
    let exactly = TaskProfile { items: Items::Exactly(7), ..profile("w", "t") };
    let (exact, assumptions) = told(&exactly, Vec::new());
    assert_eq!(exact.attempts, Range { low: 7, likely: 7, high: 7 });
    assert!(assumptions.is_empty());
    let none = TaskProfile { items: Items::Exactly(0), ..profile("w", "t") };
    assert_eq!(told(&none, Vec::new()).0.tokens, Range::default());
}

#[test]
fn long_lists_are_counted_whole_and_do_not_hide_runs() {
    let items = (0..3)
        .flat_map(|run| (0..600).map(move |item| sample("w", &format!("t:{item}"), run, 100, 10)));
    let items: Vec<_> = items.collect();
    let each = TaskProfile { items: Items::Unknown, conditional: true, ..profile("w", "t") };
    let (known, assumptions) = told(&each, items);
    assert!(matches!(&assumptions[..], [Assumption::Items { runs: 3, .. }]), "{assumptions:?}");
    assert!(known.attempts.holds(&600) && known.attempts.low > 200, "{known:?}");
    assert_eq!(known.sureness.confidence, Confidence::Medium, "three runs: {known:?}");
}

#[test]
fn a_condition_counts_as_true_until_runs_tell_otherwise() {
    let maybe = TaskProfile { conditional: true, ..profile("w", "t") };
    let (blank, assumptions) = told(&maybe, Vec::new());
    assert!(matches!(&assumptions[..], [Assumption::Runs { .. }]), "{assumptions:?}");
    assert_eq!(blank.attempts, Range { low: 1, likely: 1, high: 1 });
    // In one of twenty runs.
    let mut seldom = history(vec![sample("w", "t", 0, 100, 100)]);
    (0..19).for_each(|_| seldom.add_run(&maybe.workflow));
    let told = Estimator::new(&seldom).task(&maybe);
    let estimate = told.draws.estimate(told.sureness);
    assert_eq!((estimate.tokens.likely, estimate.tokens.low), (0, 0), "{estimate:?}");
    assert!(told.assumptions.is_empty());
}

#[test]
fn what_undoes_a_task_is_no_sample_of_it() {
    let undo = vec![sample("w", "t:undo", 0, 5, 5)];
    assert_eq!(told(&profile("w", "t"), undo).0, told(&profile("w", "t"), Vec::new()).0);
}

#[test]
fn lines_of_one_task_make_one_sample_and_the_last_agent_has_it() {
    let workflow = WorkflowName::new("w").unwrap();
    let line = |task: &str, agent: &str, input: u64| crate::port::SpendRow {
        run: RunId::new("r_1").unwrap(),
        task: TaskName::new(task).unwrap(),
        attempt: crate::id::AttemptNumber(1),
        agent: AgentName::new(agent).unwrap(),
        provider: crate::id::ProviderName::new("lab").unwrap(),
        model: "m".into(),
        requests: 1,
        usage: Usage { input: TokenCount(input), ..Usage::default() },
        cost: None,
        at: Default::default(),
    };
    let mut history = History::default();
    history.add_lines(&workflow, &[line("a", "new", 5), line("b", "dev", 9), line("a", "old", 7)]);
    history.add_lines(&workflow, &[line("a", "dev", 1)]);
    let found: Vec<_> = history
        .samples
        .iter()
        .map(|sample| (sample.task.as_str(), sample.agent.as_str(), sample.usage.input.0))
        .collect();
    assert_eq!(found, [("a", "new", 12), ("b", "dev", 9), ("a", "dev", 1)]);
}

#[test]
fn four_of_five_draws_lie_within_and_ends_are_told_as_they_are() {
    let ways: Vec<f64> = (1..=DRAWS).map(|way| way as f64).collect();
    let draws = Draws { input: ways, ..Draws::default() };
    let range = draws.estimate(Sureness::CERTAIN).input;
    assert_eq!(range, Range { low: 100, likely: 500, high: 900 });
}

#[test]
fn calibration_counts_and_finds_the_middle() {
    let (estimate, _) = told(&profile("w", "t"), same(5, 1_000, 100));
    let likely = estimate.usd.unwrap().likely.0;
    let outcome = |workflow: &str, times: f64, unpriced: u64| Outcome {
        workflow: WorkflowName::new(workflow).unwrap(),
        estimate,
        usage: Usage { input: TokenCount(1_100), ..Usage::default() },
        cost: Cost { known: MicroUsd((likely as f64 * times) as u64), unpriced_requests: unpriced },
    };
    let outcomes = [outcome("a", 1.0, 0), outcome("a", 3.0, 0), outcome("b", 0.01, 0)];
    let all = Calibration::of(&outcomes);
    assert_eq!((all.runs, all.within, all.percent_within()), (3, 1, Some(33)));
    assert!((all.median_ratio.unwrap() - 1.0).abs() < 0.01);
    let by = Calibration::by_workflow(&outcomes);
    assert_eq!(by.len(), 2);
    assert!((by[&outcomes[0].workflow].median_ratio.unwrap() - 2.0).abs() < 0.01);
    // Without a known cost tokens are compared.
    let tokens = outcome("a", 100.0, 1).verdict();
    assert!(tokens.within && !tokens.by_cost, "{tokens:?}");
    assert_eq!(Calibration::of(&[]), Calibration::default());
    assert_eq!(Calibration::default().percent_within(), None);
}

#[test]
fn an_estimate_is_read_as_it_was_written() {
    for profile in [profile("w", "t"), TaskProfile { rates: None, ..profile("w", "t") }] {
        let (estimate, _) = told(&profile, same(3, 10, 10));
        let text = serde_json::to_string(&estimate).unwrap();
        assert_eq!(serde_json::from_str::<RunEstimate>(&text).unwrap(), estimate, "{text}");
    }
}

/// Token counts from none to the most there are.
fn tokens() -> impl Strategy<Value = u64> {
    prop_oneof![0..10_u64, 1..1_000_000_u64, Just(u64::MAX), any::<u64>()]
}

fn profiles() -> impl Strategy<Value = TaskProfile> {
    let items =
        prop_oneof![Just(Items::Once), any::<u32>().prop_map(Items::Exactly), Just(Items::Unknown)];
    let rates = prop_oneof![
        Just(None),
        Just(Some(RATES)),
        any::<u64>().prop_map(|rate| Some(Rates {
            input: MicroUsd(rate),
            cache_read: MicroUsd(0),
            cache_write: MicroUsd(u64::MAX),
            output: MicroUsd(rate),
        })),
    ];
    (items, rates, tokens(), any::<(u32, u32, bool, bool)>(), prop::option::of(tokens())).prop_map(
        |(items, rates, prompt, (revisions, retries, conditional, has_schema), most)| TaskProfile {
            items,
            rates,
            prompt: TokenCount(prompt),
            revisions,
            retries,
            conditional,
            has_schema,
            max_output: most.map(TokenCount),
            ..profile("w", "t")
        },
    )
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let names = prop::sample::select(vec![("w", "t"), ("w", "t:0"), ("w", "u"), ("x", "t")]);
    prop::collection::vec((names, 0..6_usize, tokens(), tokens()), 0..12).prop_map(|samples| {
        let samples = samples.into_iter();
        samples.map(|((w, t), run, input, output)| sample(w, t, run, input, output)).collect()
    })
}

fn ordered<T: PartialOrd + Copy>(range: Range<T>) -> bool {
    range.low <= range.likely && range.likely <= range.high
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn intervals_are_ordered_whatever_is_known(profile in profiles(), samples in samples()) {
        let (estimate, _) = told(&profile, samples.clone());
        for range in [estimate.tokens, estimate.input, estimate.output, estimate.attempts] {
            prop_assert!(ordered(range), "{:?}", estimate);
        }
        prop_assert!(estimate.usd.is_none_or(ordered), "{:?}", estimate);
        prop_assert_eq!(estimate.usd.is_some(), profile.rates.is_some());
        prop_assert_eq!(told(&profile, samples).0, estimate, "the same question, the same answer");
    }

    #[test]
    fn a_sum_is_no_less_than_any_part(a in profiles(), b in profiles(), samples in samples()) {
        let history = history(samples);
        let estimator = Estimator::new(&history);
        let b = TaskProfile { task: TaskName::new("u").unwrap(), ..b };
        let (a, b) = (estimator.task(&a), estimator.task(&b));
        let mut sum = a.draws.clone();
        sum.add(&b.draws);
        let whole = sum.estimate(a.sureness.and(b.sureness));
        for part in [a.draws.estimate(a.sureness), b.draws.estimate(b.sureness)] {
            for (whole, part) in [(whole.tokens, part.tokens), (whole.attempts, part.attempts)] {
                prop_assert!(whole.low >= part.low && whole.likely >= part.likely);
                prop_assert!(whole.high >= part.high, "{:?} {:?}", whole, part);
            }
            if let (Some(whole), Some(part)) = (whole.usd, part.usd) {
                prop_assert!(whole.low >= part.low && whole.high >= part.high);
            }
            prop_assert!(whole.sureness.confidence <= part.sureness.confidence);
        }
    }

    #[test]
    fn more_of_the_same_never_makes_it_less_sure(runs in 1..60_usize, input in 1..1_000_000_u64) {
        // Counts are whole, which makes a small one look less sure by itself.
        let ratio = |runs| {
            let estimate = told(&profile("w", "t"), same(runs, 1_000 + input, 50)).0;
            (estimate.sureness.confidence, width(estimate.input))
        };
        let (before, after) = (ratio(runs), ratio(runs + 1));
        prop_assert!(after.0 >= before.0);
        prop_assert!(after.1 <= before.1 * 1.005, "{:?} {:?}", before, after);
    }

    #[test]
    fn ten_times_the_tokens_are_ten_times_the_estimate(base in 1_000..50_000_u64, runs in 60..90_usize) {
        // With so many runs the assumption weighs next to nothing, and history scales.
        let one = told(&profile("w", "t"), same(runs, base, base)).0.tokens.likely as f64;
        let ten = told(&profile("w", "t"), same(runs, 10 * base, 10 * base)).0.tokens.likely as f64;
        prop_assert!((ten / one - 10.0).abs() < 0.5, "{} {}", one, ten);
    }

    #[test]
    fn prices_scale_costs(cents in 1..1_000_u64, runs in 0..9_usize, base in 0..1_000_000_u64) {
        let rate = |times: u64| {
            let one = MicroUsd(cents * 10_000 * times);
            Rates { input: one, cache_read: one, cache_write: one, output: one }
        };
        let usd = |times| {
            let profile = TaskProfile { rates: Some(rate(times)), ..profile("w", "t") };
            told(&profile, same(runs, base, base)).0.usd.unwrap().high.0 as f64
        };
        let (one, three) = (usd(1), usd(3));
        prop_assert!((three - 3.0 * one).abs() <= 3.0 + three * 1e-9, "{} {}", one, three);
    }
}
