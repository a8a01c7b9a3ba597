use super::*;
use crate::id::TaskName;
use proptest::prelude::*;

mod model;

const T0: Timestamp = Timestamp(1_000);

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn runs(ids: &[&str]) -> Vec<RunId> {
    ids.iter().map(|text| id(text)).collect()
}

/// An attempt of a run in project `x`, on provider `v` unless it is told, of urgency 0.
#[derive(Clone, Copy)]
struct Ask<'a> {
    run: &'a str,
    project: &'a str,
    agent: &'a str,
    provider: &'a str,
    group: Option<&'a str>,
    urgency: i128,
}

fn of<'a>(run: &'a str, agent: &'a str) -> Ask<'a> {
    Ask { run, project: "x", agent, provider: "v", group: None, urgency: 0 }
}

fn admit_at(limits: &mut Limits, ask: Ask<'_>, now: Timestamp) -> Result<(), HeldUp> {
    let want = Want {
        project: &id(ask.project),
        run: &id(ask.run),
        task: &id("t"),
        agent: &id(ask.agent),
        provider: &id(ask.provider),
        group: ask.group,
        urgency: ask.urgency,
    };
    limits.at(now).admit(&want)
}

fn admit(limits: &mut Limits, ask: Ask<'_>) -> Result<(), HeldUp> {
    admit_at(limits, ask, T0)
}

fn end(limits: &mut Limits, ask: Ask<'_>) -> Vec<RunId> {
    limits.end(&id(ask.project), &id(ask.run), &id(ask.agent), &id(ask.provider))
}

fn global(most: u32) -> Limits {
    Limits::new(
        LimitPolicy { global: Some(most), ..LimitPolicy::default() },
        BreakerPolicy::default(),
    )
}

#[test]
fn each_limit_names_itself() {
    let check = |policy: LimitPolicy, words: &str| {
        let mut limits = Limits::new(policy, BreakerPolicy::default());
        assert_eq!(admit(&mut limits, of("r1", "a")), Ok(()));
        let held = admit(&mut limits, of("r2", "a")).unwrap_err();
        assert_eq!(held.to_string(), words);
        assert_eq!(end(&mut limits, of("r1", "a")), runs(&["r2"]));
        assert_eq!(admit(&mut limits, of("r2", "a")), Ok(()));
    };
    let none = LimitPolicy::default;
    check(LimitPolicy { global: Some(1), ..none() }, "1 attempts at once are allowed in all");
    check(LimitPolicy { global: Some(0), ..none() }, "1 attempts at once are allowed in all");
    check(
        LimitPolicy { per_project: Some(1), ..none() },
        "1 attempts at once are allowed for the project `x`",
    );
    check(
        LimitPolicy { providers: [(id("v"), 1)].into(), ..none() },
        "1 attempts at once are allowed for the provider `v`",
    );
    check(
        LimitPolicy { agents: [(id("a"), 1)].into(), ..none() },
        "1 attempts at once are allowed for the agent `a`",
    );
}

#[test]
fn a_freed_place_is_kept_for_who_was_woken() {
    let mut limits = global(1);
    assert_eq!(admit(&mut limits, of("r1", "a")), Ok(()));
    assert!(admit(&mut limits, of("r2", "a")).is_err());
    assert_eq!(end(&mut limits, of("r1", "a")), runs(&["r2"]));
    assert!(admit(&mut limits, of("r1", "a")).is_err(), "the place is not for who asks first");
    assert_eq!(admit(&mut limits, of("r2", "a")), Ok(()));
    assert_eq!(limits.pass(&id("r2")), []);
    assert_eq!(end(&mut limits, of("r2", "a")), runs(&["r1"]));
    assert!(admit(&mut limits, of("r3", "a")).is_err());
    assert_eq!(limits.pass(&id("r1")), runs(&["r3"]), "what it does not use is passed on");
    assert_eq!(limits.pass(&id("r3")), []);
    assert_eq!(admit(&mut limits, of("r4", "a")), Ok(()), "nobody waits any more");
}

#[test]
fn the_order_is_fair() {
    let mut limits = global(8);
    for run in ["z", "z", "z", "z", "z", "r1", "r1", "r2"] {
        assert_eq!(admit(&mut limits, of(run, "a")), Ok(()));
    }
    for (run, urgency) in [("r1", -9), ("r2", 5), ("r4", 7), ("r3", 7), ("r5", 8)] {
        assert!(admit(&mut limits, Ask { urgency, ..of(run, "a") }).is_err());
    }
    // Those with nothing under way by urgency, then by id; then r2, which has one, and r1 with two.
    for expected in ["r3", "r4", "r5", "r2", "r1"] {
        assert_eq!(end(&mut limits, of("z", "a")), runs(&[expected]));
    }
}

#[test]
fn an_end_that_was_never_admitted_frees_nothing() {
    let mut limits = global(1);
    assert_eq!(admit(&mut limits, of("r1", "a")), Ok(()));
    assert!(admit(&mut limits, of("r2", "a")).is_err());
    assert_eq!(end(&mut limits, of("r2", "a")), []);
    assert_eq!(end(&mut limits, of("r3", "b")), []);
    assert!(admit(&mut limits, of("r3", "a")).is_err());
}

#[test]
fn who_is_gone_leaves_its_places() {
    let mut limits = global(2);
    for run in ["r1", "r1"] {
        assert_eq!(admit(&mut limits, of(run, "a")), Ok(()));
    }
    for run in ["r1", "r2", "r3"] {
        assert!(admit(&mut limits, of(run, "a")).is_err());
    }
    assert_eq!(limits.forget(&id("r1")), runs(&["r2", "r3"]));
    assert_eq!(limits.forget(&id("r2")), []);
    assert_eq!(limits.forget(&id("r3")), []);
    assert!(limits.runs.is_empty());
}

#[test]
fn a_breaker_lets_one_through_and_then_all() {
    let mut limits = Limits::new(LimitPolicy::default(), BreakerPolicy::default());
    let v: ProviderName = id("v");
    for _ in 0..5 {
        assert_eq!(limits.failed(&v, ErrorClass::Overloaded, T0), []);
    }
    let until = T0.after(BreakerPolicy::default().open_for);
    for run in ["r1", "r2", "r3"] {
        let held = HeldUp::Breaker { provider: v.clone(), until };
        assert_eq!(admit(&mut limits, of(run, "a")), Err(held));
    }
    let elsewhere = Ask { provider: "w", ..of("r1", "b") };
    assert_eq!(admit(&mut limits, elsewhere), Ok(()), "another provider has its own");
    assert_eq!(limits.next_probe(), Some(until));
    assert_eq!(limits.probe(T0), []);
    assert_eq!(limits.probe(until), runs(&["r2"]));
    assert_eq!(limits.next_probe(), None);
    assert!(admit_at(&mut limits, of("r3", "a"), until).is_err(), "the probe is promised");
    assert_eq!(limits.pass(&id("r2")), runs(&["r3"]));
    assert_eq!(admit_at(&mut limits, of("r3", "a"), until), Ok(()));
    assert!(admit_at(&mut limits, of("r2", "a"), until).is_err());
    assert_eq!(limits.failed(&v, ErrorClass::Cancelled, until), runs(&["r2"]), "it said nothing");
    assert_eq!(admit_at(&mut limits, of("r2", "a"), until), Ok(()));
    assert_eq!(limits.succeeded(&v), runs(&["r1"]));
}

#[test]
fn a_stopped_account_waits_for_a_person() {
    let mut limits = global(1);
    let v: ProviderName = id("v");
    assert_eq!(admit(&mut limits, of("r1", "a")), Ok(()));
    assert!(admit(&mut limits, of("r2", "a")).is_err());
    assert_eq!(limits.failed(&v, ErrorClass::Auth, T0), []);
    assert_eq!(end(&mut limits, of("r1", "a")), [], "no place is kept for who may not start");
    let held = HeldUp::Breaker { provider: v.clone(), until: Timestamp(u64::MAX) };
    assert_eq!(admit(&mut limits, of("r1", "a")), Err(held));
    assert_eq!(limits.next_probe(), None);
    assert_eq!(limits.probe(Timestamp(u64::MAX)), []);
    assert_eq!(admit(&mut limits, Ask { provider: "w", ..of("r3", "b") }), Ok(()));
    assert_eq!(end(&mut limits, Ask { provider: "w", ..of("r3", "b") }), []);
    assert_eq!(limits.resume_account(&v), runs(&["r1"]));
}

#[test]
fn a_group_goes_from_one_to_the_next() {
    let mut limits = global(1);
    let ask = |run| Ask { group: Some("g"), ..of(run, "a") };
    let claim =
        |run: &str| GroupClaim { project: id("x"), group: "g".into(), run: id(run), task: id("t") };
    let held = |run: Option<&str>| HeldUp::Group {
        group: "g".into(),
        run: run.map(id),
        task: run.map(|_| id::<TaskName>("t")),
    };
    assert_eq!(admit(&mut limits, ask("r1")), Err(held(None)));
    assert_eq!(admit(&mut limits, ask("r2")), Err(held(None)));
    assert_eq!(limits.wanted_groups(), [claim("r1")]);
    assert_eq!(limits.wanted_groups(), [], "each is taken once");

    // Somebody elsewhere has it.
    let busy = GroupHold::Busy { run: id("r9"), task: id("t") };
    assert_eq!(limits.grant_group(&claim("r1"), busy), []);
    assert_eq!(admit(&mut limits, ask("r1")), Err(held(Some("r9"))));
    limits.retry_groups();
    assert_eq!(limits.wanted_groups(), [claim("r1")]);
    assert_eq!(limits.grant_group(&claim("r1"), GroupHold::Held), runs(&["r1"]));
    assert_eq!(admit(&mut limits, ask("r1")), Ok(()));
    assert_eq!(admit(&mut limits, ask("r2")), Err(held(Some("r1"))));

    // The next one gets it, waits for a place, and does not want it any more when woken.
    assert_eq!(limits.pass(&id("r1")), []);
    limits.release_group(&claim("r1"));
    assert_eq!(limits.wanted_groups(), [claim("r2")]);
    assert_eq!(limits.grant_group(&claim("r2"), GroupHold::Held), runs(&["r2"]));
    assert!(matches!(admit(&mut limits, ask("r2")), Err(HeldUp::Limit { .. })));
    assert_eq!(limits.pass(&id("r2")), []);
    assert_eq!(admit(&mut limits, ask("r3")), Err(held(Some("r2"))));
    assert_eq!(limits.idle_groups(), []);
    assert_eq!(end(&mut limits, of("r1", "a")), runs(&["r2"]));
    assert_eq!(limits.pass(&id("r2")), []);
    assert_eq!(limits.idle_groups(), [claim("r2")]);
    assert_eq!(limits.wanted_groups(), [claim("r3")]);

    // An answer for who is gone is given back.
    assert_eq!(limits.forget(&id("r3")), []);
    assert_eq!(limits.grant_group(&claim("r3"), GroupHold::Held), []);
    assert_eq!(limits.idle_groups(), [claim("r3")]);
    assert_eq!(limits.wanted_groups(), []);
}

#[test]
fn a_group_is_kept_for_another_agent_but_not_for_a_stopped_account() {
    let mut limits = Limits::new(LimitPolicy::default(), BreakerPolicy::default());
    let first = Ask { group: Some("g"), ..of("r1", "a") };
    let second = Ask { provider: "w", ..first };
    limits.stop_account(&id("v"));
    assert!(matches!(admit(&mut limits, first), Err(HeldUp::Breaker { .. })));
    assert!(matches!(admit(&mut limits, second), Err(HeldUp::Group { .. })));
    let claims = limits.wanted_groups();
    assert_eq!(limits.grant_group(&claims[0], GroupHold::Held), runs(&["r1"]));
    let mut undecided = limits.clone();
    assert!(admit(&mut limits, first).is_err());
    assert_eq!(admit(&mut limits, second), Ok(()));
    assert_eq!(limits.pass(&id("r1")), []);
    assert_eq!(limits.idle_groups(), []);

    assert!(admit(&mut undecided, first).is_err());
    assert_eq!(undecided.pass(&id("r1")), []);
    assert_eq!(undecided.idle_groups(), claims);
}

#[test]
fn who_is_let_in_soon_keeps_its_group_whatever_its_other_agent_is_told() {
    // `v` is half open and its one probe is promised to another run; `w`, the account of the other
    // agent, is stopped. Were the group given back because of `w`, runs with groups of their own
    // would hand the probe and their groups round for ever.
    let mut limits = Limits::new(LimitPolicy::default(), BreakerPolicy::default());
    let v: ProviderName = id("v");
    limits.stop_account(&id("w"));
    (0..5).for_each(|_| drop(limits.failed(&v, ErrorClass::Overloaded, T0)));
    let first = Ask { group: Some("g"), ..of("r1", "a") };
    let other = Ask { provider: "w", ..first };
    assert!(admit(&mut limits, of("r2", "a")).is_err());
    let until = limits.next_probe().unwrap();
    assert_eq!(limits.probe(until), runs(&["r2"]));
    assert!(matches!(admit_at(&mut limits, first, until), Err(HeldUp::Group { .. })));
    let claims = limits.wanted_groups();
    assert_eq!(limits.grant_group(&claims[0], GroupHold::Held), runs(&["r1"]));
    let promised = HeldUp::Breaker { provider: v.clone(), until };
    assert_eq!(admit_at(&mut limits, first, until), Err(promised));
    assert!(admit_at(&mut limits, other, until).is_err());
    assert_eq!(limits.pass(&id("r1")), []);
    assert_eq!(limits.idle_groups(), [], "it is about to start");
    assert_eq!(limits.pass(&id("r2")), runs(&["r1"]));
    assert_eq!(admit_at(&mut limits, first, until), Ok(()));
}

#[test]
fn who_needs_two_places_is_not_passed_over_for_ever() {
    // Project `x` and provider `v` have one place each. `w` needs both; others, always newer, need
    // one or the other, and at no instant would both be free by themselves.
    let policy = LimitPolicy {
        per_project: Some(1),
        providers: [(id("v"), 1)].into(),
        ..LimitPolicy::default()
    };
    let mut limits = Limits::new(policy, BreakerPolicy::default());
    let in_project = |run| Ask { provider: "u", ..of(run, "b") };
    let on_provider = |run| Ask { project: "y", ..of(run, "c") };
    let names: Vec<(String, String)> =
        (0..100).map(|round| (format!("p{round}"), format!("v{round}"))).collect();
    assert_eq!(admit(&mut limits, in_project(&names[0].0)), Ok(()));
    assert_eq!(admit(&mut limits, on_provider(&names[0].1)), Ok(()));
    assert!(admit(&mut limits, Ask { urgency: -1, ..of("w", "a") }).is_err());
    let mut under_way = [in_project(&names[0].0), on_provider(&names[0].1)].map(Some);
    for (first, second) in &names[1..] {
        let next = [in_project(first), on_provider(second)];
        for (slot, next) in under_way.iter_mut().zip(next) {
            let _ = admit(&mut limits, next);
            let Some(ended) = slot.take() else { continue };
            let woken = end(&mut limits, ended);
            if woken.contains(&id("w")) {
                assert_eq!(admit(&mut limits, of("w", "a")), Ok(()));
                return;
            }
            if woken == [id(next.run)] {
                assert_eq!(admit(&mut limits, next), Ok(()));
                *slot = Some(next);
            }
        }
    }
    panic!("it was never let in");
}

proptest! {
    #[test]
    fn runs_that_always_want_share_within_one(
        runs in 2usize..8,
        most in 1u32..20,
        ends in proptest::collection::vec(any::<prop::sample::Index>(), 50..150),
    ) {
        let mut limits = global(most);
        let names: Vec<String> = (0..runs).map(|run| format!("r{run}")).collect();
        let mut loads = vec![0u32; runs];
        // The first takes all that it can get before anybody else comes.
        for run in 0..runs {
            while admit(&mut limits, of(&names[run], "a")).is_ok() {
                loads[run] += 1;
            }
        }
        let mut turnover = 0;
        for index in ends {
            // At first whoever has most ends, then anybody.
            let busiest = (0..runs).max_by_key(|run| loads[*run]).unwrap();
            let working: Vec<usize> = (0..runs).filter(|run| loads[*run] > 0).collect();
            let ended = if turnover < most { busiest } else { *index.get(&working) };
            turnover += 1;
            loads[ended] -= 1;
            for woken in end(&mut limits, of(&names[ended], "a")) {
                let run = names.iter().position(|name| name == woken.as_str()).unwrap();
                while admit(&mut limits, of(&names[run], "a")).is_ok() {
                    loads[run] += 1;
                }
                prop_assert_eq!(limits.pass(&woken), []);
            }
            prop_assert_eq!(loads.iter().sum::<u32>(), most);
            if turnover > most {
                let (least, largest) = (loads.iter().min(), loads.iter().max());
                prop_assert!(largest.unwrap() - least.unwrap() <= 1, "{:?}", loads);
            }
        }
    }
}
