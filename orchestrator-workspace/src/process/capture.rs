//! What a program prints: each line to the attempt's log, the beginning and the end in memory, and
//! the whole, up to a bound, in a file that has no name.

use orchestrator_core::port::{AttemptHost, LogLine, LogStream};
use std::{
    collections::VecDeque,
    io::{self, SeekFrom},
};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

/// How many of the first bytes stay in memory.
pub const HEAD: usize = 256 * 1024;
/// How many of the last bytes stay in memory.
pub const TAIL: usize = 64 * 1024;
/// How many bytes are kept at all.
const WHOLE: u64 = 64 * 1024 * 1024;
/// How many bytes of one line the log is given.
const LINE: usize = 8 * 1024;
/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;

/// One stream of a program's output.
#[derive(Debug)]
pub struct Capture {
    stream: LogStream,
    total: u64,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    line: Vec<u8>,
    /// Bytes of the present line that the log is not given.
    line_rest: u64,
    spool: Option<File>,
    spooled: u64,
    failed: Option<io::Error>,
}

impl Capture {
    /// Nothing so far of what comes from `stream`.
    pub fn new(stream: LogStream) -> Self {
        Self {
            stream,
            total: 0,
            head: Vec::new(),
            tail: VecDeque::new(),
            line: Vec::new(),
            line_rest: 0,
            spool: None,
            spooled: 0,
            failed: None,
        }
    }

    /// Reads until the end of `source`. May be dropped at any time; what was read stays.
    pub async fn read(&mut self, source: Option<impl AsyncRead + Unpin>, host: &dyn AttemptHost) {
        let Some(mut source) = source else { return };
        let mut chunk = vec![0; CHUNK];
        loop {
            match source.read(&mut chunk).await {
                Ok(0) => return,
                Ok(count) => self.take(&chunk[..count], host).await,
                Err(error) => {
                    self.failed.get_or_insert(error);
                    return;
                }
            }
        }
    }

    async fn take(&mut self, bytes: &[u8], host: &dyn AttemptHost) {
        self.log(bytes, host);
        self.keep(bytes).await;
    }

    /// Keeps `bytes`, which are more of the stream, without a word to the log.
    pub async fn keep(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(first);
        if rest.is_empty() {
            return;
        }
        self.tail.extend(rest);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        if let Err(error) = self.spool(rest).await {
            self.failed.get_or_insert(error);
        }
    }

    async fn spool(&mut self, rest: &[u8]) -> io::Result<()> {
        if self.failed.is_some() {
            return Ok(());
        }
        let spool = match &mut self.spool {
            Some(spool) => spool,
            None => {
                let file = tokio::task::spawn_blocking(tempfile::tempfile);
                let file = file.await.map_err(io::Error::other)??;
                let spool = self.spool.insert(File::from_std(file));
                spool.write_all(&self.head).await?;
                self.spooled = self.head.len() as u64;
                spool
            }
        };
        let room = usize::try_from(WHOLE.saturating_sub(self.spooled)).unwrap_or(usize::MAX);
        let kept = &rest[..rest.len().min(room)];
        spool.write_all(kept).await?;
        self.spooled += kept.len() as u64;
        Ok(())
    }

    fn log(&mut self, mut bytes: &[u8], host: &dyn AttemptHost) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend_line(&bytes[..end]);
            self.end_line(host);
            bytes = &bytes[end + 1..];
        }
        self.extend_line(bytes);
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(LINE - self.line.len());
        self.line.extend_from_slice(&bytes[..kept]);
        self.line_rest += (bytes.len() - kept) as u64;
    }

    fn end_line(&mut self, host: &dyn AttemptHost) {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let mut text = String::from_utf8_lossy(line).into_owned();
        if self.line_rest > 0 {
            text.push_str(&format!(" [{} more bytes in this line]", self.line_rest));
        }
        host.log(LogLine { stream: self.stream, text });
        self.line.clear();
        self.line_rest = 0;
    }

    /// Logs a last line without an end, and says what could not be kept.
    pub async fn finish(&mut self, host: &dyn AttemptHost) {
        if !self.line.is_empty() {
            self.end_line(host);
        }
        if let Some(spool) = &mut self.spool
            && let Err(error) = spool.flush().await
        {
            self.failed.get_or_insert(error);
        }
        let note = match &self.failed {
            Some(error) => format!("cannot keep all of the program's output: {error}"),
            None if self.total > WHOLE => {
                format!("of {} bytes of output the first {WHOLE} are kept", self.total)
            }
            None => return,
        };
        host.log(LogLine { stream: LogStream::Note, text: note });
    }

    /// How many bytes lie between the beginning and the end that are in memory.
    fn gap(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }

    /// Whether [`Capture::text`] leaves something out.
    pub fn is_cut(&self) -> bool {
        self.gap() > 0
    }

    /// The beginning and the end as text, with a line between that says what is left out.
    pub fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        match self.gap() {
            0 => String::from_utf8_lossy(&[&self.head[..], &tail].concat()).into_owned(),
            gap => format!(
                "{}\n[{gap} bytes are left out here]\n{}",
                String::from_utf8_lossy(&self.head),
                String::from_utf8_lossy(&tail)
            ),
        }
    }

    /// The last lines as text, at most `lines` and about 2,000 bytes.
    pub fn last(&self, lines: usize) -> String {
        let from = |bytes: &[u8]| bytes[bytes.len().saturating_sub(2_000)..].to_vec();
        let mut end = from(&self.head);
        end.extend(&self.tail);
        let text = String::from_utf8_lossy(&from(&end)).into_owned();
        let all: Vec<&str> = text.trim().lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Every byte.
    ///
    /// # Errors
    /// When there were more than are kept, or they could not be kept.
    pub async fn whole(&mut self) -> io::Result<Vec<u8>> {
        if let Some(error) = &self.failed {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        let Some(spool) = &mut self.spool else {
            return Ok(self.head.clone());
        };
        spool.seek(SeekFrom::Start(0)).await?;
        let mut bytes = Vec::with_capacity(usize::try_from(self.spooled).unwrap_or(0));
        spool.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    /// Whether [`Capture::whole`] ends before the output did.
    pub fn is_beyond_bound(&self) -> bool {
        self.total > WHOLE
    }
}
