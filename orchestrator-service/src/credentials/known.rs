//! The secrets that this process has read, and what hides them in all that it writes.

use orchestrator_core::secret::{Redactor, SecretString};
use std::{
    borrow::Cow,
    collections::BTreeSet,
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
};
use tracing_subscriber::fmt::MakeWriter;

/// The secrets that this process has read so far: keys of providers, what was opened in the
/// credential file, passphrases. Clones share them.
///
/// A front-end makes one, hands it to the service with [`OpenOptions`](crate::OpenOptions), and
/// passes what it writes through it.
#[derive(Clone, Default)]
pub struct KnownSecrets {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Default)]
struct Inner {
    secrets: BTreeSet<SecretString>,
    redactor: Redactor,
}

impl fmt::Debug for KnownSecrets {
    /// Nothing of what is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownSecrets").finish_non_exhaustive()
    }
}

impl KnownSecrets {
    /// From now on `secrets` are hidden as well.
    pub fn learn(&self, secrets: impl IntoIterator<Item = SecretString>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let before = inner.secrets.len();
        inner.secrets.extend(secrets);
        if inner.secrets.len() > before {
            inner.redactor = Redactor::new(inner.secrets.iter().cloned());
        }
    }

    /// What hides those that are known now.
    pub fn redactor(&self) -> Redactor {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).redactor.clone()
    }

    /// `text` without known secrets.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redactor().text(text)
    }

    /// A writer for a log that hides what is known when a line is written.
    pub fn writer<W>(&self, make: W) -> HidingWriter<W> {
        HidingWriter { known: self.clone(), make }
    }
}

/// Makes writers that hide secrets: see [`KnownSecrets::writer`].
#[derive(Debug, Clone)]
pub struct HidingWriter<W> {
    known: KnownSecrets,
    make: W,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for HidingWriter<W> {
    type Writer = Hiding<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Hiding { redactor: self.known.redactor(), to: self.make.make_writer() }
    }
}

/// Hides secrets in each piece that is written. The log writes a whole event at once.
#[derive(Debug)]
pub struct Hiding<W> {
    redactor: Redactor,
    to: W,
}

impl<W: io::Write> io::Write for Hiding<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write_all(&self.redactor.bytes(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn what_is_learnt_is_hidden_by_every_clone() {
        let known = KnownSecrets::default();
        let other = known.clone();
        assert_eq!(other.hide("x sk-12345"), "x sk-12345");
        known.learn([SecretString::new("sk-12345")]);
        assert_eq!(other.hide("x sk-12345"), "x [redacted]");
        known.learn([SecretString::new("hunter22")]);
        assert_eq!(other.hide("hunter22 sk-12345"), "[redacted] [redacted]");
        assert!(!format!("{known:?}").contains("hunter"));
    }

    #[test]
    fn a_log_hides_what_is_known_when_it_is_written() {
        let known = KnownSecrets::default();
        let lines: Arc<Mutex<Vec<u8>>> = Arc::default();
        let writer = known.writer(Sink(lines.clone()));
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            known.learn([SecretString::new("sk-12345\"")]);
            tracing::info!(key = "sk-12345\"", "sending {:?}", "sk-12345\"");
        });
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert!(text.contains("sending \"[redacted]\"") && !text.contains("12345"), "{text}");
    }

    #[derive(Clone)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Sink {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }
}
