//! The key is in the request, and nowhere else. A test program of its own: what is logged depends
//! on what other threads of a process subscribe to.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should fail")]

use orchestrator_core::{id::ProviderName, ledger::Payer, time::Timestamp};
use orchestrator_gateway::{
    Client, Gateway, ProviderConfig, ProviderKind, Request, SecretString, prices::PriceTable,
};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use std::{
    io,
    sync::{Arc, Mutex},
};
use tracing::instrument::WithSubscriber;

const KEY: &str = "key-that-must-never-be-seen";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_error_log_or_debug_form_shows_the_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    async {
        for kind in ProviderKind::ALL {
            let echo = format!("invalid key {KEY}, or Bearer {KEY}, or sk-live-0123456789abcdef");
            for reply in [
                Reply::error(401, "authentication_error", &echo),
                Reply::error(500, &echo, &echo),
                Reply::raw(400, &echo),
                Reply::text("x").failing_after(1, "api_error", &echo),
                Reply::text("x").cut_after(1),
                Reply::text("x").with_unknown_events(),
            ] {
                let server = ModelServer::start().unwrap();
                server.next(reply);
                let name = ProviderName::new("p").unwrap();
                let config = ProviderConfig::new(name.clone(), kind)
                    .with_base_url(server.url())
                    .with_key(SecretString::new(KEY));
                let shown = format!("{config:?}");
                let gateway = Gateway::new([config], PriceTable::empty(), Client::new()).unwrap();
                let (now, request) = (|| Timestamp(0), Request::new("m", "p"));
                let result =
                    gateway.complete(&Payer::new(name, "m"), &request, &now, &mut |_| {}).await;
                let shown = format!("{shown} {result:?} {gateway:?}");
                assert!(!shown.contains(KEY), "{shown}");
                assert!(!shown.contains("0123456789abcdef"), "{shown}");
                let sent = server.requests().pop().unwrap();
                assert!(sent.headers.iter().any(|(_, value)| value.contains(KEY)));
            }
        }
    }
    .with_subscriber(subscriber)
    .await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("gen_ai.request.model"), "the log was written: {log}");
    assert!(!log.contains(KEY), "{log}");
}
