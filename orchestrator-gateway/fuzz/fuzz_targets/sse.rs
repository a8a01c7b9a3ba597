//! Event streams: any bytes, cut at any place, give the events that they give in one piece.
//!
//! The first byte says how long the pieces are. Run with `cargo +nightly fuzz run sse` in
//! `orchestrator-gateway/`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orchestrator_gateway::sse::{Event, SseError, SseParser};

/// Small, so that the bound is met.
const LIMIT: usize = 256;

fn parse<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Result<(), SseError>) {
    let mut parser = SseParser::with_limit(LIMIT);
    let mut events = Vec::new();
    let mut result = Ok(());
    for piece in pieces {
        result = result.and_then(|()| parser.feed(piece, &mut events));
    }
    (events, result)
}

fuzz_target!(|data: &[u8]| {
    let Some((size, stream)) = data.split_first() else { return };
    let whole = parse(std::iter::once(stream));
    let pieces = parse(stream.chunks(usize::from(*size).max(1)));
    assert_eq!(pieces, whole);
});
