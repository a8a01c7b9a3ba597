use super::*;
use crate::{
    id::{AgentName, ProviderName, RunId, TaskName},
    money::MicroUsd,
    time::Timestamp,
};
use proptest::prelude::*;

/// 2026-02-11T10:30:00Z.
const NOW: Timestamp = Timestamp(1_770_805_800_000);

fn payer() -> Payer {
    Payer {
        run: Some(RunId::new("r_child").unwrap()),
        task: Some(TaskName::new("build").unwrap()),
        agent: Some(AgentName::new("dev").unwrap()),
        ..Payer::new(ProviderName::new("anthropic").unwrap(), "m")
    }
}

fn chain() -> Vec<RunBudget> {
    let run = |id: &str, usd| RunBudget { run: RunId::new(id).unwrap(), usd };
    vec![run("r_child", None), run("r_root", Some(MicroUsd(500_000)))]
}

#[test]
fn windows_begin_and_renew_by_the_calendar_of_utc() {
    assert_eq!(NOW.to_string(), "2026-02-11T10:30:00.000Z");
    let check = |window: Window, since: &str, renews: Option<&str>| {
        assert_eq!(window.since(NOW).to_string(), since, "{window}");
        assert_eq!(window.renews(NOW).map(|at| at.to_string()).as_deref(), renews, "{window}");
    };
    check(Window::Total, "1970-01-01T00:00:00.000Z", None);
    check(Window::Day, "2026-02-11T00:00:00.000Z", Some("2026-02-12T00:00:00.000Z"));
    check(Window::Month, "2026-02-01T00:00:00.000Z", Some("2026-03-01T00:00:00.000Z"));
    check(Window::Hours(5), "2026-02-11T05:00:00.000Z", Some("2026-02-11T11:00:00.000Z"));
    check(Window::Hours(0), "2026-02-11T09:00:00.000Z", Some("2026-02-11T11:00:00.000Z"));
}

#[test]
fn the_limits_of_a_call_are_those_of_its_runs_and_of_the_rules_that_name_it() {
    let rule = |of, unit, most| Rule::hard(of, Window::Day, unit, most);
    let check = |rules: &[Rule], expected: &[&str]| {
        let limits = limits_of(rules, &payer(), &chain());
        let told: Vec<String> = limits.iter().map(ToString::to_string).collect();
        assert_eq!(told, expected);
    };
    let budget = "run `r_root` may spend $0.5 in all";
    check(&[], &[budget]);
    check(
        &[
            rule(ScopeKind::Project, Unit::Usd, 2_000_000),
            rule(ScopeKind::Run, Unit::Requests, 1),
            rule(ScopeKind::Task, Unit::Tokens, 9),
            rule(ScopeKind::Tenant, Unit::Tokens, 1),
            rule(ScopeKind::Agent, Unit::Tokens, 9).named("dev"),
            rule(ScopeKind::Agent, Unit::Tokens, 9).named("qa"),
            rule(ScopeKind::Account, Unit::Tokens, 9).named("openai"),
            Rule::hard(ScopeKind::Account, Window::Hours(5), Unit::Tokens, 9).named("anthropic"),
        ],
        &[
            budget,
            "project `default` may spend $2 a day",
            "run `r_root` may spend 1 request a day",
            "task `build` may spend 9 tokens a day",
            "tenant `default` may spend 1 token a day",
            "agent `dev` may spend 9 tokens a day",
            "provider account `anthropic` may spend 9 tokens in 5 hours",
        ],
    );
}

#[test]
fn scopes_have_keys_of_their_own_and_periods() {
    let scopes = payer().scopes([&RunId::new("r_root").unwrap()]);
    let keys: Vec<String> = scopes.iter().map(Scope::key).collect();
    assert_eq!(
        keys,
        [
            "tenant/default",
            "project/default/default",
            "account/default/default/anthropic",
            "agent/default/default/dev",
            "run/r_child",
            "task/r_child/build",
            "run/r_root"
        ]
    );
    let periods: Vec<u64> = scopes.iter().map(|scope| NOW.0 - scope.period(NOW).0).collect();
    let half_an_hour = 1_800_000;
    assert_eq!(periods[..4], [half_an_hour; 4]);
    assert_eq!(periods[4..], [NOW.0; 3]);
}

fn standing(unit: Unit, most: u64, used: u64, held: u64, is_hard: bool) -> Standing {
    let of = |amount| Sums { usd: amount, tokens: amount, requests: amount };
    let scope = Scope::Run(RunId::new("r_1").unwrap());
    let limit = Limit { scope, window: Window::Total, unit, most, is_hard };
    Standing { limit, used: of(used), held: of(held) }
}

#[test]
fn a_call_that_does_not_fit_is_told_why() {
    let worst = Amounts::call(Some(MicroUsd(100)), 10);
    let check = |standings: &[Standing], worst: &Amounts, expected: Option<(RefusalKind, &str)>| {
        let refusal = decide(standings, worst, NOW).err().map(|r| (r.kind, r.to_string()));
        let expected = expected.map(|(kind, text)| (kind, text.to_owned()));
        assert_eq!(refusal, expected);
    };
    let fits = standing(Unit::Usd, 300, 100, 100, true);
    check(&[], &worst, None);
    check(std::slice::from_ref(&fits), &worst, None);
    let busy = standing(Unit::Usd, 300, 100, 101, true);
    let told = "run `r_1` may spend $0.0003 in all: $0.0001 spent, $0.000101 held by calls under \
                way, and the call may take $0.0001";
    check(&[fits.clone(), busy.clone()], &worst, Some((RefusalKind::Busy, told)));
    let over = standing(Unit::Tokens, 9, 0, 0, true);
    let told =
        "run `r_1` may spend 9 tokens in all: 0 tokens spent, and the call may take 10 tokens";
    check(&[busy, over.clone()], &worst, Some((RefusalKind::Over, told)));
    let unknown = Amounts::call(None, 1);
    let told = "run `r_1` may spend $0.0003 in all, and no price is known for the call";
    check(&[over, fits.clone()], &unknown, Some((RefusalKind::UnknownPrice, told)));
    check(&[standing(Unit::Usd, 0, 9, 9, false)], &unknown, None);
    check(&[standing(Unit::Requests, 2, 1, 0, true)], &unknown, None);
}

#[test]
fn the_gravest_refusal_is_the_one_that_is_renewed_last() {
    let check = |windows: &[Window], needs, expected: Option<u64>| {
        let limits = windows.iter().map(|window| {
            let mut at = standing(Unit::Tokens, 50, 45, 0, true);
            at.limit.window = *window;
            at
        });
        let limits: Vec<Standing> = limits.collect();
        let refusal = decide(&limits, &Amounts::call(None, needs), NOW).unwrap_err();
        let hours = refusal.renews.map(|at| at.since(NOW).as_secs().div_ceil(3_600));
        assert_eq!(hours, expected, "{windows:?} {needs}");
    };
    let (day, month, hours) = (Window::Day, Window::Month, Window::Hours(5));
    let [to_hour, to_day, to_month] =
        [hours, day, month].map(|window| window.renews(NOW).map(|at| at.since(NOW).as_secs()));
    let rounded = |seconds: Option<u64>| seconds.map(|seconds| seconds.div_ceil(3_600));
    check(&[hours], 10, rounded(to_hour));
    check(&[day, hours], 10, rounded(to_day));
    check(&[day, month, hours], 10, rounded(to_month));
    check(&[day, Window::Total, month], 10, None);
    check(&[day], 51, None);
}

#[test]
fn what_is_left_and_spent_is_told() {
    let check = |most, used, held, left, percent| {
        let at = standing(Unit::Usd, most, used, held, true);
        assert_eq!((at.left(), at.percent()), (left, percent), "{most} {used} {held}");
    };
    check(100, 0, 0, 100, 0);
    check(100, 49, 1, 50, 49);
    check(100, 150, 0, 0, 150);
    check(0, 0, 0, 0, 100);
    check(3, 1, 2, 0, 33);
    let both = [standing(Unit::Usd, 9, 1, 1, true), standing(Unit::Usd, 5, 0, 0, true)];
    assert_eq!(Standing::least_left(&both, Unit::Usd), Some(5));
    assert_eq!(Standing::least_left(&both, Unit::Tokens), None);
}

proptest! {
    /// Whatever is asked in whatever order, no hard limit is exceeded by what is spent and held
    /// together, as long as no call takes more than it has reserved.
    #[test]
    fn no_limit_is_ever_exceeded(
        most in 0u64..1_000,
        calls in proptest::collection::vec((0u64..400, 0u64..=100), 1..60),
    ) {
        let mut at = standing(Unit::Usd, most, 0, 0, true);
        let mut open: Vec<(u64, u64)> = Vec::new();
        for (needs, percent) in calls {
            let worst = Amounts::call(Some(MicroUsd(needs)), 0);
            match decide(std::slice::from_ref(&at), &worst, NOW) {
                Ok(()) => {
                    at.held.usd += needs;
                    open.push((needs, needs * percent / 100));
                }
                Err(refusal) => prop_assert!(needs > at.left(), "{refusal}"),
            }
            if percent % 3 == 0 && let Some((held, spent)) = open.pop() {
                at.held.usd -= held;
                at.used.usd += spent;
            }
            prop_assert!(at.used.usd + at.held.usd <= most);
        }
    }
}
