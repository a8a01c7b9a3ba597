use super::*;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue};
use orchestrator_core::usage::{TokenCount, Usage};
use proptest::prelude::*;
use std::num::NonZeroU32;

/// 2026-01-31T09:30:00Z.
const NOW: Timestamp = Timestamp(1_769_851_800_000);

const ENDLESS: Patience = Patience { own: None, told: PATIENCE };

fn limits(requests: u32, tokens: u32, concurrent: u32) -> Limits {
    Limits {
        requests_per_minute: NonZeroU32::new(requests),
        tokens_per_minute: NonZeroU32::new(tokens),
        concurrent: NonZeroU32::new(concurrent),
        ..Limits::default()
    }
}

/// A call whose answer is at most `output` tokens.
fn ask(input: u64, output: u64) -> Ask<'static> {
    Ask { model: "m", input, most_output: Some(output) }
}

async fn admit(state: &AccountState, ask: Ask<'_>, patience: Patience) -> Result<Leave, Denied> {
    state.admit(&ask, patience, &|| NOW, &mut || {}).await
}

fn at_once(state: &AccountState, ask: Ask<'_>) -> Option<Leave> {
    admit(state, ask, ENDLESS).now_or_never().map(|admitted| admitted.expect("leave"))
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: TokenCount(input), output: TokenCount(output), ..Usage::default() }
}

fn headers<const N: usize>(pairs: [(&str, &str); N]) -> HeaderMap {
    let pair = |(name, value): (&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    pairs.into_iter().map(pair).collect()
}

/// How many whole seconds pass until a call is admitted.
async fn seconds(state: &AccountState, ask: Ask<'_>) -> u64 {
    let before = Instant::now();
    let leave = admit(state, ask, ENDLESS).await.expect("leave");
    drop(leave);
    before.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn without_limits_all_pass() {
    let state = AccountState::new(Limits::default());
    let leaves: Vec<_> = (0..1_000).map(|_| at_once(&state, ask(u64::MAX, u64::MAX))).collect();
    assert!(leaves.iter().all(Option::is_some));
    assert_eq!(state.load(), 1_000);
    drop(leaves);
    assert_eq!(state.load(), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_minute_run_out_and_come_back() {
    let state = AccountState::new(limits(2, 0, 0));
    let passed = [0; 3].map(|_| at_once(&state, ask(1, 1)).is_some());
    assert_eq!(passed, [true, true, false]);
    assert_eq!(seconds(&state, ask(1, 1)).await, 60);
    assert!(at_once(&state, ask(1, 1)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_again_when_its_call_ends() {
    let state = AccountState::new(limits(0, 0, 1));
    let first = at_once(&state, ask(1, 1));
    assert!(first.is_some() && at_once(&state, ask(1, 1)).is_none());
    drop(first);
    assert!(at_once(&state, ask(1, 1)).is_some());
    assert_eq!(state.load(), 0);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_corrected_in_both_directions() {
    let state = AccountState::new(limits(0, 1_000, 0));
    let mut leave = at_once(&state, ask(600, 300)).unwrap();
    assert!(at_once(&state, ask(600, 0)).is_none());
    leave.used(&usage(300, 50));
    assert!(at_once(&state, ask(600, 50)).is_some(), "what was not used is there again");
    let state = AccountState::new(limits(0, 1_000, 0));
    at_once(&state, ask(100, 0)).unwrap().used(&usage(900, 100));
    assert_eq!(seconds(&state, ask(1, 0)).await, 60, "900 were owed");
    let state = AccountState::new(limits(1, 1_000, 0));
    at_once(&state, ask(900, 100)).unwrap().not_made();
    let mut leave = at_once(&state, ask(900, 100)).expect("neither counts");
    leave.used_nothing();
    assert!(at_once(&state, ask(1, 0)).is_none(), "a request that was refused is a request");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_taken_to_be_as_long_as_the_longest_of_the_last() {
    let state = AccountState::new(limits(0, 10_000, 0));
    let weigh = |ask: Ask<'_>| state.flow().weigh(&ask).output;
    let unbound = Ask { model: "m", input: 1, most_output: None };
    assert_eq!((weigh(unbound), weigh(ask(1, 32_000)), weigh(ask(1, 5))), (1_024, 1_024, 5));
    for output in [20, 300, 100] {
        at_once(&state, ask(1, 0)).unwrap().used(&usage(1, output));
    }
    assert_eq!((weigh(unbound), weigh(ask(1, 32_000)), weigh(ask(1, 5))), (300, 300, 5));
    for _ in 0..16 {
        at_once(&state, ask(1, 0)).unwrap().used(&usage(1, 7));
    }
    assert_eq!(weigh(unbound), 7, "what is long ago is forgotten");
    assert_eq!(weigh(Ask { model: "other", ..unbound }), 1_024);
}

#[tokio::test(start_paused = true)]
async fn prompts_and_answers_have_limits_of_their_own() {
    let limits = Limits {
        input_tokens_per_minute: NonZeroU32::new(100),
        output_tokens_per_minute: NonZeroU32::new(50),
        ..Limits::default()
    };
    let state = AccountState::new(limits);
    let mut leave = at_once(&state, ask(90, 10)).unwrap();
    assert!(at_once(&state, ask(20, 10)).is_none(), "the prompts");
    let cached = Usage { cache_read: TokenCount(80), ..usage(10, 10) };
    leave.used(&cached);
    assert!(at_once(&state, ask(90, 10)).is_some(), "what a cache served does not count");
    let unknown = Ask { model: "other", ..ask(0, 45) };
    assert!(at_once(&state, unknown).is_none(), "the answers");
}

#[tokio::test(start_paused = true)]
async fn a_large_call_is_not_starved_by_small_ones() {
    let state = AccountState::new(limits(0, 100, 0));
    drop(at_once(&state, ask(60, 0)).unwrap());
    let large = admit(&state, ask(90, 0), ENDLESS);
    tokio::pin!(large);
    assert!(large.as_mut().now_or_never().is_none());
    assert!(at_once(&state, ask(1, 0)).is_none(), "the large one was first");
    assert!(large.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_wait_has_a_bound_where_one_is_set() {
    let state = AccountState::new(limits(1, 0, 0));
    drop(at_once(&state, ask(1, 1)).unwrap());
    let patience = |seconds| Patience { own: Some(Duration::from_secs(seconds)), told: PATIENCE };
    let begun = Instant::now();
    let denied = admit(&state, ask(1, 1), patience(20)).await.unwrap_err();
    assert_eq!(denied, Denied::Own(Duration::from_millis(40_250)), "and when there is room");
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert!(admit(&state, ask(1, 1), patience(50)).await.is_ok());
    let busy = AccountState::new(limits(0, 0, 1));
    let place = at_once(&busy, ask(1, 1));
    let denied = admit(&busy, ask(1, 1), patience(2)).await.unwrap_err();
    assert!(matches!(denied, Denied::Own(_)) && place.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_says_is_left_is_kept_to() {
    let state = AccountState::new(Limits::default());
    let told = |remaining: &str| {
        headers([
            ("anthropic-ratelimit-tokens-remaining", remaining),
            ("anthropic-ratelimit-tokens-reset", "2026-01-31T09:30:20Z"),
            ("anthropic-ratelimit-tokens-limit", "1000"),
        ])
    };
    state.heard("m", &told("500"), NOW);
    assert!(at_once(&state, ask(300, 0)).is_some());
    assert!(at_once(&state, ask(300, 0)).is_none(), "calls under way are not in what was told");
    assert!(at_once(&state, Ask { model: "other", ..ask(300, 0) }).is_some());
    assert_eq!(seconds(&state, ask(300, 0)).await, 20);
    state.heard("m", &told("1000"), NOW);
    assert!(at_once(&state, ask(2_000, 0)).is_some(), "more than there ever is waits for nothing");
    assert_eq!(seconds(&state, ask(1, 0)).await, 20);
}

#[tokio::test(start_paused = true)]
async fn nobody_calls_before_a_reset_and_long_waits_are_refused() {
    let state = AccountState::new(Limits::default());
    let class = ErrorClass::RateLimited;
    state.refused("m", class, Some(NOW.after(Duration::from_secs(30))), NOW);
    assert_eq!(seconds(&state, ask(1, 1)).await, 30);
    let at = NOW.after(Duration::from_secs(61));
    state.refused("m", class, Some(at), NOW);
    assert_eq!(admit(&state, ask(1, 1), ENDLESS).await.unwrap_err(), Denied::Told(at));
    // Absurd times are believed for a day, and an outage's for a minute.
    state.refused("m", class, Some(Timestamp(u64::MAX)), NOW);
    let day = NOW.after(Duration::from_secs(86_400));
    assert_eq!(admit(&state, ask(1, 1), ENDLESS).await.unwrap_err(), Denied::Told(day));
    tokio::time::advance(Duration::from_secs(86_400)).await;
    state.refused("m", ErrorClass::Overloaded, Some(Timestamp(u64::MAX)), NOW);
    assert_eq!(seconds(&state, ask(1, 1)).await, 60);
    let hour = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "900h")];
    state.heard("m", &headers(hour), NOW);
    let at = NOW.after(Duration::from_secs(3_600));
    assert_eq!(admit(&state, ask(1, 1), ENDLESS).await.unwrap_err(), Denied::Told(at));
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_is_over_holds_nobody_up() {
    let state = AccountState::new(Limits::default());
    state.refused("m", ErrorClass::RateLimited, Some(Timestamp(5)), NOW);
    assert!(at_once(&state, ask(1, 1)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_model_that_waits_does_not_hold_others_up() {
    let state = AccountState::new(limits(5, 0, 1));
    state.refused("m", ErrorClass::RateLimited, Some(NOW.after(Duration::from_secs(30))), NOW);
    let waiting = admit(&state, ask(1, 1), ENDLESS);
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    assert!(at_once(&state, Ask { model: "other", ..ask(1, 1) }).is_some());
    assert!(waiting.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn names_without_end_do_not_fill_the_memory() {
    let state = AccountState::new(Limits::default());
    for number in 0..1_000 {
        let model = format!("m{number}");
        let mut leave = at_once(&state, Ask { model: &model, ..ask(1, 1) }).unwrap();
        leave.used(&usage(1, 1));
    }
    let at = NOW.after(Duration::from_secs(30));
    state.refused("m", ErrorClass::RateLimited, Some(at), NOW);
    assert_eq!(seconds(&state, ask(1, 1)).await, 30, "the newest are remembered");
}

#[tokio::test(start_paused = true)]
async fn the_breaker_is_part_of_it() {
    let state = AccountState::new(limits(100, 0, 0));
    for _ in 0..5 {
        at_once(&state, ask(1, 1)).unwrap().failed(NOW);
    }
    let until = NOW.after(Duration::from_secs(30));
    assert_eq!(admit(&state, ask(1, 1), ENDLESS).await.unwrap_err(), Denied::Open(until));
    assert!(state.standing(&ask(1, 1), NOW).is_open);
    // A probe that vanishes does not hold it shut.
    let later = || until;
    let vanished = state.admit(&ask(1, 1), ENDLESS, &later, &mut || {}).await.unwrap();
    assert!(state.admit(&ask(1, 1), ENDLESS, &later, &mut || {}).await.is_err());
    drop(vanished);
    let mut probe = state.admit(&ask(1, 1), ENDLESS, &later, &mut || {}).await.unwrap();
    probe.went_well();
    assert!(at_once(&state, ask(1, 1)).is_some());
}

#[tokio::test(start_paused = true)]
async fn counts_that_cannot_be_do_not_stop_an_account() {
    let state = AccountState::new(limits(0, 1_000, 0));
    at_once(&state, ask(1, 0)).unwrap().used(&usage(u64::MAX, u64::MAX));
    assert!(seconds(&state, ask(1, 0)).await <= 11 * 61);
}

/// A caller: when it comes, what it is taken to use, what it does, and how its call ends.
#[derive(Debug, Clone, Copy)]
struct Caller {
    pause: u64,
    estimate: u64,
    really: u64,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum End {
    /// With its usage, after so many seconds.
    Used(u64),
    /// The call is refused at once.
    Refused,
    /// It is not made.
    NotMade,
    /// Its caller goes away after so many seconds, waiting or not.
    Gone(u64),
}

fn callers() -> impl Strategy<Value = Vec<Caller>> {
    let end = prop_oneof![
        (0u64..90).prop_map(End::Used),
        Just(End::Refused),
        Just(End::NotMade),
        (0u64..90).prop_map(End::Gone),
    ];
    let caller = (0u64..20, 0u64..120, 0u64..120, end)
        .prop_map(|(pause, estimate, really, end)| Caller { pause, estimate, really, end });
    proptest::collection::vec(caller, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_callers_do_no_minute_exceeds_the_limits_and_no_room_is_lost(
        callers in callers(),
        requests in 1u32..5,
        tokens in 50u32..200,
        places in 1u32..4,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let made = runtime.block_on(many(&callers, limits(requests, tokens, places)));
        for (at, _) in &made {
            let minute = made.iter().filter(|(other, _)| {
                *other <= *at && at.duration_since(*other) < Duration::from_secs(60)
            });
            let (count, used) = minute.fold((0, 0), |(count, used), (_, it)| (count + 1, used + it));
            prop_assert!(count <= requests, "{} of {} requests", count, requests);
            prop_assert!(used <= u64::from(tokens), "{} of {} tokens", used, tokens);
        }
    }
}

/// When calls were made, and what each has used of the limit for good; in the end all of the limits
/// must be there again.
async fn many(callers: &[Caller], limits: Limits) -> Vec<(Instant, u64)> {
    let state = AccountState::new(limits);
    let most = u64::from(limits.tokens_per_minute.unwrap().get());
    let made: Arc<Mutex<Vec<(Instant, u64)>>> = Arc::default();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in callers.iter().copied() {
        tokio::time::sleep(Duration::from_secs(caller.pause)).await;
        let (state, made) = (state.clone(), made.clone());
        tasks.spawn(async move {
            let call = async {
                let mut leave = admit(&state, ask(caller.estimate, 0), ENDLESS).await.unwrap();
                let at = Instant::now();
                let fits = caller.estimate.min(most);
                let note = |used: u64| made.lock().unwrap().push((at, used));
                match caller.end {
                    End::Used(seconds) => {
                        tokio::time::sleep(Duration::from_secs(seconds)).await;
                        leave.used(&usage(caller.really, 0));
                        note(caller.really.min(fits));
                    }
                    End::Refused => {
                        leave.used_nothing();
                        note(0);
                    }
                    End::NotMade => leave.not_made(),
                    End::Gone(_) => {
                        note(fits);
                        std::future::pending::<()>().await;
                    }
                }
            };
            match caller.end {
                End::Gone(seconds) => {
                    drop(tokio::time::timeout(Duration::from_secs(seconds), call).await)
                }
                End::Used(_) | End::Refused | End::NotMade => call.await,
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(state.load(), 0);
    tokio::time::advance(Duration::from_secs(15 * 60)).await;
    let leaves: Vec<_> =
        (0..limits.concurrent.unwrap().get().min(limits.requests_per_minute.unwrap().get()))
            .map(|number| at_once(&state, ask(if number == 0 { most } else { 0 }, 0)))
            .collect();
    assert!(leaves.iter().all(Option::is_some), "all of it is there again");
    drop(leaves);
    std::mem::take(&mut *made.lock().unwrap())
}
