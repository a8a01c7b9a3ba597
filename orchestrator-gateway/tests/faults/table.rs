//! Faults of the connection, of the status and of the whole body: one row each.

use crate::{
    format::{ALL, Format},
    rig::{Expected, PATIENT, call, call_to},
    server::{FLOOD, Server, Step, answer, head},
};
use Fault::*;
use futures_util::future::join_all;
use orchestrator_core::{
    error::ErrorClass::{self, Incompatible, Overloaded, RateLimited, Transient},
    port::CallState::{self, Assumed, Released, Settled},
};
use orchestrator_gateway::{ProviderKind, Timeouts};
use std::{net::TcpListener, time::Duration};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Limited,
    LimitedUntil,
    Status500,
    Status502,
    Status503,
    Status503Until,
    Status529,
    SilentError,
    Dns,
    Tls,
    Refused,
    NoHead,
    HalfHead,
    NoHttp,
    HungUp,
    NoBody,
    OneByte,
    Html,
    FloodOfEvents,
    FloodOfJson,
    FloodOfHtml,
    FloodOfError,
    Slow,
}

/// Fault, class of the failure, seconds to wait where they are told, and what the ledger has.
///
/// What was not sent, and what was answered with an error, costs nothing. What may have been worked
/// on counts at its worst.
const TABLE: [(Fault, Option<ErrorClass>, Option<u64>, CallState); 23] = [
    (Limited, Some(RateLimited), None, Released),
    (LimitedUntil, Some(RateLimited), Some(7), Released),
    (Status500, Some(Transient), None, Released),
    (Status502, Some(Transient), None, Released),
    (Status503, Some(Transient), None, Released),
    (Status503Until, Some(Transient), Some(7), Released),
    (Status529, Some(Overloaded), None, Released),
    (SilentError, Some(Transient), None, Released),
    (Dns, Some(Transient), None, Released),
    (Tls, Some(Transient), None, Released),
    (Refused, Some(Transient), None, Released),
    (NoHead, Some(Transient), None, Assumed),
    (HalfHead, Some(Transient), None, Assumed),
    (NoHttp, Some(Transient), None, Assumed),
    (HungUp, Some(Transient), None, Assumed),
    (NoBody, Some(Transient), None, Assumed),
    (OneByte, Some(Transient), None, Assumed),
    (Html, Some(Transient), None, Assumed),
    (FloodOfEvents, Some(Incompatible), None, Assumed),
    (FloodOfJson, Some(Incompatible), None, Assumed),
    // No line of a stream has more than 8 MiB: it is given up long before the bound of a body.
    (FloodOfHtml, Some(Transient), None, Assumed),
    (FloodOfError, Some(Transient), None, Released),
    (Slow, None, None, Settled),
];

const BRIEF: Duration = Duration::from_millis(50);

/// What the server does.
fn steps(fault: Fault, format: &Format) -> Vec<Step> {
    let refusal = |status: u16| answer(status, "", format.error(status, "sorry", ""));
    let mebibyte = |start: &str, end: &str| {
        Step::Flood([start.as_bytes(), &vec![b'x'; 1 << 20], end.as_bytes()].concat())
    };
    match fault {
        Limited => vec![refusal(429)],
        LimitedUntil => vec![limited_until(format)],
        Status500 => vec![refusal(500)],
        // Of a proxy, which knows nothing of formats.
        Status502 => vec![answer(502, "content-type: text/html\r\n", "<html>Bad Gateway</html>")],
        Status503 => vec![refusal(503)],
        Status503Until => vec![answer(503, "retry-after: 7\r\n", "")],
        Status529 => vec![refusal(529)],
        SilentError => vec![Step::Send(head(500, "content-length: 100\r\n")), Step::Hold],
        // The server answers the beginning of TLS in plain text.
        Tls => vec![answer(400, "", "this is not TLS")],
        // Nobody is asked.
        Dns | Refused | HungUp => vec![],
        NoHead => vec![Step::Hold],
        HalfHead => vec![Step::Send(b"HTTP/1.1 200 OK\r\nconte".to_vec()), Step::Hold],
        NoHttp => vec![Step::Send(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())],
        NoBody => vec![Step::Send(head(200, "")), Step::Hold],
        OneByte => vec![answer(200, "", "d"), Step::Hold],
        Html => vec![answer(200, "content-type: text/html\r\n", "<html>\n\nWelcome\n\n</html>\n")],
        FloodOfEvents => vec![answer(200, "", ""), mebibyte(": ", "\n\n")],
        FloodOfJson => vec![answer(200, "", "{\"a\":\""), mebibyte("", "")],
        FloodOfHtml => vec![answer(200, "", "<html>"), mebibyte("", "")],
        FloodOfError => vec![answer(500, "", "<html>"), mebibyte("", "")],
        // Takes longer in all than the silence that is allowed.
        Slow => {
            let body = format.body();
            let (first, rest) = body.as_bytes().split_at(300);
            vec![
                Step::Send(head(200, "")),
                Step::Drip(first.to_vec(), BRIEF / 10),
                Step::Send(rest.to_vec()),
            ]
        }
    }
}

/// Each format has its own way to say when the limit is lifted.
fn limited_until(format: &Format) -> Step {
    let says = |message: &str, details: &str| format.error(429, message, details);
    match format.kind {
        ProviderKind::Anthropic => answer(429, "retry-after: 7\r\n", says("sorry", "")),
        ProviderKind::OpenAiChat => {
            let headers = "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 7s\r\n";
            answer(429, headers, says("sorry", ""))
        }
        ProviderKind::OpenAiResponses => answer(429, "", says("Please try again in 7s.", "")),
        _ => {
            let kind = "type.googleapis.com/google.rpc.RetryInfo";
            let details = format!(r#"{{"@type":"{kind}","retryDelay":"7s"}}"#);
            answer(429, "", says("sorry", &details))
        }
    }
}

/// How long the server may be silent.
fn timeouts(fault: Fault) -> Timeouts {
    match fault {
        NoHead | HalfHead => Timeouts { answer: BRIEF, ..PATIENT },
        SilentError | NoBody | OneByte => Timeouts { idle: BRIEF, ..PATIENT },
        Slow => Timeouts { idle: Duration::from_secs(1), ..PATIENT },
        _ => PATIENT,
    }
}

/// Where the call goes, if not to a server of plain HTTP.
fn elsewhere(fault: Fault, port: u16) -> String {
    match fault {
        // A name that no resolver has to ask others about: its label is longer than DNS allows.
        Dns => format!("https://{}.invalid", "x".repeat(64)),
        Tls => format!("https://127.0.0.1:{port}"),
        // A place that swallows packets cannot be had on loopback: a connection is refused instead.
        // That connecting takes too long is told the same way, and bounded by the same time-out.
        Refused => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}", listener.local_addr().unwrap())
        }
        _ => format!("http://127.0.0.1:{port}"),
    }
}

/// Plays `fault` in every format.
async fn check(fault: Fault) {
    let rows: Vec<_> = TABLE.into_iter().filter(|row| row.0 == fault).collect();
    let [(_, class, retry_in, ledger)] = rows[..] else { panic!("one row of {fault:?}: {rows:?}") };
    let calls = ALL.map(|format| async move {
        let told = format!("{fault:?}, {}", format.name);
        let server = Server::start(steps(fault, format)).await;
        let outcome = call(format, elsewhere(fault, server.port), timeouts(fault)).await;
        outcome.check(&told, Expected { class, retry_in, ledger });
        assert!(server.sent() < FLOOD, "{told}: all of it was read");
    });
    join_all(calls).await;
}

macro_rules! faults {
    ($($test:ident: $($fault:ident),+;)+) => {$(
        #[tokio::test]
        async fn $test() {
            $(check($fault).await;)+
        }
    )+};
}

faults! {
    a_429_without_a_reset: Limited;
    a_429_with_a_reset: LimitedUntil;
    a_500: Status500;
    a_502: Status502;
    a_503: Status503, Status503Until;
    a_529: Status529;
    an_error_without_its_body: SilentError;
    a_name_that_is_not_found: Dns;
    a_server_without_tls: Tls;
    a_connection_that_is_refused: Refused;
    a_head_that_does_not_come: NoHead, HalfHead;
    a_head_that_is_none: NoHttp, HungUp;
    a_200_with_html: Html;
    a_body_of_100_mb: FloodOfEvents, FloodOfJson, FloodOfHtml, FloodOfError;
    a_server_that_falls_silent: NoBody, OneByte;
    a_server_that_is_slow_and_steady: Slow;
}

/// The recorded answers themselves are good.
#[tokio::test]
async fn no_fault_at_all() {
    for format in ALL {
        let outcome = call_to(format, vec![answer(200, "", format.body())], PATIENT).await;
        let expected = Expected { class: None, retry_in: None, ledger: Settled };
        outcome.check(format.name, expected);
        let completion = outcome.result.unwrap();
        assert_eq!((completion.text.as_str(), completion.tool_calls.len()), ("Grüße, 世界 🦀", 1));
    }
}
