//! Files as they are written, read, torn and refused; what is given out for which request.

use super::{
    exchange::{Answer, Exchange, Failed, Kind, Outcome, Piece, Place, Stopped, StoppedBy},
    *,
};
use crate::{Message, Request};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{AttemptNumber, ProviderName, RunId, TaskName},
    ledger::Payer,
    money::MicroUsd,
    secret::{Redactor, SecretString},
    time::Timestamp,
    usage::{Spend, TokenCount, Usage},
};
use proptest::prelude::*;
use std::{path::Path, sync::Arc};

fn name() -> ProviderName {
    ProviderName::new("p").unwrap()
}

fn payer(task: &str, attempt: u32) -> Payer {
    let mut payer = Payer::new(name(), "m");
    payer.run = Some(RunId::new("r_1").unwrap());
    payer.task = Some(TaskName::new(task).unwrap());
    payer.attempt = Some(AttemptNumber(attempt));
    payer
}

fn answer(text: &str) -> Outcome {
    let usage = Usage { input: TokenCount(3), ..Usage::default() };
    Outcome::Answer(Box::new(Answer {
        text: text.into(),
        message: Message::assistant(text),
        stop: "end".into(),
        usage: Some(usage),
        served_model: None,
        spend: Spend {
            provider: name(),
            model: "m".into(),
            requests: 1,
            usage,
            cost: Some(MicroUsd(7)),
        },
        pieces: text.split_inclusive(' ').map(|text| Piece::Text(text.into())).collect(),
    }))
}

fn exchange(task: &str, attempt: u32, prompt: &str, outcome: Outcome) -> Exchange {
    let place = Place { task: Some(task.into()), attempt: Some(attempt) };
    let request = request::canonical(&Request::new("m", prompt));
    Exchange::new(Kind::Complete, &payer(task, attempt), place, "m", request, outcome)
}

/// A cassette with these exchanges, as a file.
fn file(exchanges: &[Exchange]) -> String {
    let mut text = serde_json::to_string(&Header::new("c_1", Vec::new())).unwrap() + "\n";
    for exchange in exchanges {
        text += &(serde_json::to_string(exchange).unwrap() + "\n");
    }
    text
}

fn parse(text: &str) -> Result<Cassette, CassetteError> {
    Cassette::parse(Path::new("x.cassette"), text.as_bytes())
}

fn known(secrets: &[&str]) -> Known {
    let redactor = Redactor::new(secrets.iter().map(|secret| SecretString::new(*secret)));
    Arc::new(move || redactor.clone())
}

fn player(exchanges: &[Exchange], secrets: &[&str]) -> Player {
    Player::new(Arc::new(parse(&file(exchanges)).unwrap()), known(secrets))
}

async fn asked(player: &Player, task: &str, attempt: u32, prompt: &str) -> Result<String, Failure> {
    let request = Request::new("m", prompt);
    let mut pieces = String::new();
    let mut sink = |delta| {
        if let crate::Delta::Text(text) = delta {
            pieces += &text;
        }
    };
    let payer = payer(task, attempt);
    let ended = player.complete(&payer, &request, &|| Timestamp(1_000), &mut sink).await?;
    assert_eq!(ended.text, pieces, "what came in pieces");
    assert_eq!(ended.spend.cost, Some(MicroUsd(7)));
    Ok(ended.text)
}

#[tokio::test]
async fn equal_requests_find_the_record_of_their_task_and_attempt_and_each_is_used_once() {
    let recorded = [
        exchange("a", 1, "same", answer("a 1")),
        exchange("b", 1, "same", answer("b 1")),
        exchange("a", 2, "same", answer("a 2")),
        exchange("b", 2, "other", answer("else")),
    ];
    let player = player(&recorded, &[]);
    assert_eq!(asked(&player, "b", 1, "same").await.unwrap(), "b 1");
    assert_eq!(asked(&player, "a", 2, "same").await.unwrap(), "a 2");
    assert_eq!(asked(&player, "c", 1, "same").await.unwrap(), "a 1", "whichever is left");
    assert_eq!(asked(&player, "c", 1, "other").await.unwrap(), "else");
    let miss = asked(&player, "a", 1, "same").await.unwrap_err();
    assert_eq!(miss.class, ErrorClass::InvalidRequest);
    assert!(miss.message.contains("3 times") && miss.message.contains("ORC-0551"), "{miss}");
}

#[tokio::test]
async fn a_failure_comes_again_with_its_reset_counted_from_now() {
    let failure = Failure::new(ErrorClass::RateLimited, "slow down").retry_at(Timestamp(5_000));
    let failed = Failed::of(&failure, Vec::new(), Timestamp(2_000));
    let player = player(&[exchange("a", 1, "x", Outcome::Failure(failed))], &[]);
    let again = asked(&player, "a", 1, "x").await.unwrap_err();
    assert_eq!(again, failure.retry_at(Timestamp(4_000)));
}

#[tokio::test]
async fn a_miss_names_the_nearest_request_and_where_they_differ() {
    let long = |what: &str| format!("first\nsecond {what}\nthird\n");
    let recorded = [
        exchange("a", 1, "something else", answer("1")),
        exchange("b", 1, &long("as recorded"), answer("2")),
        exchange("c", 1, "first\n", answer("3")),
    ];
    let player = player(&recorded, &[]);
    let miss = asked(&player, "x", 1, &long("as asked")).await.unwrap_err();
    let expected = "the cassette holds no answer to this request to model `m` of `p` by task `x`; the \
                    nearest is in line 3 (task `b`): message 1 (user), line 2: recorded `second as \
                    recorded`, asked `second as asked`; if the work has changed, record it anew \
                    (ORC-0551)";
    assert_eq!(miss.message, expected);
    let mut other = payer("a", 1);
    other.account = ProviderName::new("q").unwrap();
    let (request, now) = (Request::new("m", "something else"), || Timestamp(0));
    let miss = player.complete(&other, &request, &now, &mut |_| ()).await.unwrap_err();
    assert!(miss.message.contains("provider: recorded `p`, asked `q`"), "{miss}");
}

#[tokio::test]
async fn a_hidden_prompt_is_found_where_the_secret_is_known_and_where_it_is_not() {
    let recorded = [exchange("a", 1, "use [redacted] now", answer("1"))];
    for secrets in [&["sk-12345"][..], &[]] {
        let player = player(&recorded, secrets);
        assert_eq!(asked(&player, "a", 1, "use sk-12345 now").await.unwrap(), "1", "{secrets:?}");
        let miss = asked(&player, "a", 1, "use sk-12345 now").await.unwrap_err();
        assert!(!secrets.is_empty() || miss.message.contains("nearest"), "{miss}");
    }
}

#[test]
fn a_torn_last_line_is_left_out_and_a_torn_line_before_it_is_damage() {
    let whole = file(&[exchange("a", 1, "x", answer("1")), exchange("a", 1, "y", answer("2"))]);
    assert_eq!((parse(&whole).unwrap().len(), parse(&whole).unwrap().is_torn()), (2, false));
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    for cut in last + 1..whole.len() - 1 {
        let torn = parse(&whole[..cut]).unwrap();
        assert_eq!((torn.len(), torn.is_torn(), torn.kept()), (1, true, last as u64), "{cut}");
    }
    let unfinished = parse(whole.trim_end()).unwrap();
    assert_eq!((unfinished.len(), unfinished.is_torn()), (2, false), "whole but for its end");
    let damaged = whole.replacen("\"kind\"", "\"kin", 1);
    let error = parse(&damaged).unwrap_err();
    assert_eq!(error.code(), "ORC-0554");
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn what_is_no_cassette_or_a_newer_one_is_refused() {
    for (text, code) in [
        ("", "ORC-0553"),
        ("hello\n", "ORC-0553"),
        ("{}\n", "ORC-0553"),
        ("{\"schema\":\"orchestrator.export/v1\"}\n", "ORC-0553"),
        ("{\"schema\":\"orchestrator.cassette/v3\",\"id\":\"x\",\"program\":\"9\"}\n", "ORC-0555"),
        ("{\"schema\":\"orchestrator.cassette/v1\"}\n", "ORC-0554"),
        ("{\"schema\":\"orchestrator.cassette/v2\"}\n", "ORC-0554"),
    ] {
        assert_eq!(parse(text).unwrap_err().code(), code, "{text}");
    }
}

#[tokio::test]
async fn a_recording_goes_on_where_it_was_cut_off_and_only_there() {
    let folder = std::env::temp_dir().join(format!("cassette-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("x.cassette");
    let header = Header::new("c_1", Vec::new());
    let none = || known(&[]);
    let recorder = Recorder::create(&path, &header, none()).unwrap();
    assert_eq!(Recorder::create(&path, &header, none()).unwrap_err().code(), "ORC-0556");
    let failed = |text: &str| Err(Failure::new(ErrorClass::Transient, text));
    let write = async |recorder: &Recorder, text: &str| {
        let request = Request::new("m", text);
        let listening = recorder.listen(&payer("a", 1), &request).await;
        listening.completed(failed(text), Timestamp(0)).unwrap_err()
    };
    assert_eq!(write(&recorder, "one").await.message, "one");
    drop(recorder);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], b"{\"kind\":\"comp"].concat()).unwrap();
    let (recorder, torn) = Recorder::go_on(&path, "c_1", none()).unwrap();
    assert!(torn);
    write(&recorder, "two").await;
    let cassette = Cassette::read(&path).unwrap();
    assert_eq!((cassette.len(), cassette.is_torn()), (2, false));
    assert_eq!(Recorder::go_on(&path, "c_2", none()).unwrap_err().code(), "ORC-0558");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(Recorder::go_on(&path, "c_1", none()).unwrap_err().code(), "ORC-0558");
}

#[tokio::test]
async fn an_exchange_that_cannot_be_written_fails_with_what_it_cost() {
    let path = std::env::temp_dir().join(format!("cassette-read-only-{}", std::process::id()));
    std::fs::write(&path, file(&[])).unwrap();
    let recorder = Recorder::of(&path, std::fs::File::open(&path).unwrap(), known(&[]));
    let Outcome::Answer(answer) = answer("paid for") else { panic!("another outcome") };
    let (request, payer, now) = (Request::new("m", "x"), payer("a", 1), Timestamp(0));
    let listening = recorder.listen(&payer, &request).await;
    let failed = listening.completed(Ok(answer.to_completion()), now).unwrap_err();
    assert_eq!(failed.class, ErrorClass::Internal);
    assert!(failed.message.contains("ORC-0557"), "{failed}");
    assert_eq!(failed.spend[0].cost, Some(MicroUsd(7)));
    let over = Err(Failure::new(ErrorClass::OverBudget, "no"));
    let over = recorder.listen(&payer, &request).await.completed(over, now);
    assert_eq!(over.unwrap_err().class, ErrorClass::OverBudget, "nothing was exchanged");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_call_that_was_dropped_is_recorded_as_far_as_it_came_and_comes_as_far_again() {
    let path = std::env::temp_dir().join(format!("cassette-stopped-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let recorder = Recorder::create(&path, &Header::new("c_1", Vec::new()), known(&[])).unwrap();
    let request = Request::new("m", "x");
    let mut listening = recorder.listen(&payer("a", 1), &request).await;
    for delta in [crate::Delta::Sent, crate::Delta::Text("half of ".into())] {
        listening.hear(&delta);
    }
    drop(listening);
    let player = Player::new(Arc::new(Cassette::read(&path).unwrap()), known(&[]));
    let mut heard = Vec::new();
    tokio::time::pause();
    let mut sink = |delta| heard.push(delta);
    let payer = payer("a", 1);
    let failed = player.complete(&payer, &request, &|| Timestamp(0), &mut sink).await.unwrap_err();
    // Nobody has stopped it, and the clock of this test has nothing else to wait for.
    assert_eq!(failed.class, ErrorClass::InvalidRequest);
    assert!(failed.message.contains("ORC-0559"), "{failed}");
    assert_eq!(heard[..2], [crate::Delta::Sent, crate::Delta::Text("half of ".into())]);
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_recording_that_goes_on_forgets_what_its_end_had_stopped() {
    let path = std::env::temp_dir().join(format!("cassette-goes-on-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let stopped = |by| {
        let stopped = Stopped { by, after_ms: 1, sent: true, pieces: Vec::new(), response: None };
        Outcome::Stopped(Box::new(stopped))
    };
    let (caller, provider) = (StoppedBy::Caller, StoppedBy::Provider);
    let kept = [
        exchange("a", 1, "timed out", stopped(caller)),
        exchange("a", 2, "again", answer("1")),
        exchange("a", 3, "cut", stopped(provider)),
    ];
    let lost = [exchange("b", 1, "one", stopped(caller)), exchange("b", 2, "two", stopped(caller))];
    std::fs::write(&path, file(&[&kept[..], &lost[..]].concat())).unwrap();
    drop(Recorder::go_on(&path, "c_1", known(&[])).unwrap());
    let cassette = Cassette::read(&path).unwrap();
    assert_eq!(cassette.exchanges, kept);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_cassette_of_the_first_version_is_read() {
    let line = r#"{"kind":"http","task":"a","attempt":1,"account":"p","model":"m","request":{"method":"POST","path":"/x","body":{"model":"m"}},"response":{"status":200,"headers":[["content-type","text/plain"]],"body":"hello"}}"#;
    let header =
        r#"{"schema":"orchestrator.cassette/v1","id":"c_1","program":"0.1.0","agents":[]}"#;
    let cassette = parse(&format!("{header}\n{line}\n")).unwrap();
    let Outcome::Response(response) = &cassette.exchanges[0].outcome else {
        panic!("{cassette:?}")
    };
    assert_eq!((response.status, response.body.bytes()), (200, &b"hello"[..]));
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let failed = ("\\PC{0,20}", prop::option::of(0..u64::MAX / 2), 0..20_usize).prop_map(
        |(message, retry_after_ms, class)| {
            Outcome::Failure(Failed {
                class: ErrorClass::ALL[class],
                message,
                retry_after_ms,
                spend: Vec::new(),
                pieces: vec![Piece::Reasoning("r".into())],
            })
        },
    );
    let count = (any::<u64>(), any::<bool>())
        .prop_map(|(tokens, exact)| Outcome::Count(exchange::Count { tokens, exact }));
    let stopped =
        (any::<u64>(), any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..9));
    let stopped = stopped.prop_map(|(after_ms, sent, is_http, bytes)| {
        let by = if is_http { StoppedBy::Provider } else { StoppedBy::Caller };
        let headers = vec![("content-type".into(), "x".into())];
        let response = HttpResponse {
            status: 200,
            headers,
            body: Body::of(bytes),
            usage: None,
            routing: None,
        };
        let response = is_http.then_some(response);
        let pieces = if is_http { Vec::new() } else { vec![Piece::Text("t".into())] };
        Outcome::Stopped(Box::new(Stopped { by, after_ms, sent, pieces, response }))
    });
    prop_oneof!["\\PC{0,40}".prop_map(|text| answer(&text)), failed, count, stopped]
}

proptest! {
    #[test]
    fn an_exchange_is_read_as_it_was_written(
        prompt in "\\PC{0,40}(\n\\PC{0,9})?", outcome in any_outcome(), attempt in 1..9_u32,
    ) {
        let one = exchange("a", attempt, &prompt, outcome);
        let cassette = parse(&file(std::slice::from_ref(&one))).unwrap();
        prop_assert_eq!(&cassette.exchanges, std::slice::from_ref(&one));
        let digest = exchange::digest(one.kind, &one.account, &one.request);
        prop_assert_eq!(cassette.by_digest.get(&digest), Some(&vec![0]));
    }

    #[test]
    fn no_form_of_a_secret_is_written(before in "[ -~]{0,7}", after in "[ -~]{0,7}", cut in 0..9_usize) {
        const SECRET: &str = "sk-9f8e7d6c5b";
        let text = format!("{before}{SECRET}{after}");
        let mut outcome = answer(&text);
        if let Outcome::Answer(answer) = &mut outcome {
            let (one, two) = text.split_at(before.len() + cut);
            answer.pieces = vec![Piece::Text(one.into()), Piece::Text(two.into())];
        }
        let one = exchange("a", 1, &text, outcome);
        let redactor = known(&[SECRET])();
        let line = scrub::scrubbed(&one, &redactor).unwrap();
        prop_assert!(!redactor.finds(line.to_string().as_bytes()), "{}", line);
        let read: Exchange = serde_json::from_value(line).unwrap();
        let Outcome::Answer(answer) = read.outcome else { panic!("another outcome") };
        let pieces: String = answer.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            _ => "",
        }).collect();
        prop_assert_eq!(&answer.text, &pieces);
        prop_assert!(!pieces.contains(&SECRET[..6]) || before.contains(&SECRET[..6]) || after.contains(&SECRET[..6]));
    }
}
