//! A server that says exactly what it is told to, byte by byte, and misbehaves on purpose.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time,
};

/// 100 MB: more than any answer may have.
pub(crate) const FLOOD: usize = 100_000_000;

/// What happens on a connection once a request has come. After the last step it is closed.
#[derive(Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// One byte at a time, and a pause after each.
    Drip(Vec<u8>, Duration),
    /// The same again and again, up to [`FLOOD`] bytes.
    Flood(Vec<u8>),
    /// Says nothing, and waits until the other side hangs up.
    Hold,
}

/// Plays the same steps on every connection until it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    sent: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent: Arc<AtomicUsize> = Arc::default();
        let count = sent.clone();
        let accepting = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (steps, count) = (steps.clone(), count.clone());
                // An error is the other side that has had enough.
                open.spawn(async move { play(stream, steps, &count).await });
            }
        });
        Self { port, sent, accepting }
    }

    /// How many bytes the other side has taken so far.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Acquire)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn play(mut stream: TcpStream, steps: Vec<Step>, sent: &AtomicUsize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    read_request(&mut stream).await?;
    for step in steps {
        match step {
            Step::Send(bytes) => {
                stream.write_all(&bytes).await?;
                sent.fetch_add(bytes.len(), Ordering::AcqRel);
            }
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    stream.write_all(&[byte]).await?;
                    time::sleep(pause).await;
                }
            }
            Step::Flood(piece) => {
                for _ in 0..FLOOD / piece.len() {
                    stream.write_all(&piece).await?;
                    sent.fetch_add(piece.len(), Ordering::AcqRel);
                }
            }
            Step::Hold => while stream.read(&mut [0; 64]).await? > 0 {},
        }
    }
    stream.shutdown().await
}

/// Reads a whole request, so that closing the connection afterwards takes back nothing that was
/// sent. What is not HTTP, such as the beginning of TLS, is not waited for.
async fn read_request(stream: &mut TcpStream) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        if stream.read_buf(&mut read).await? == 0 || !read[0].is_ascii_uppercase() {
            return Ok(());
        }
        let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if read.len() >= end + 4 + length.map_or(0, |length| length.parse().unwrap()) {
            return Ok(());
        }
    }
}

/// The head of an answer whose body ends with the connection. `headers` end with a line break each.
pub(crate) fn head(status: u16, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Told\r\n{headers}connection: close\r\n\r\n").into_bytes()
}

/// An answer with a body that ends with the connection.
pub(crate) fn answer(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Step {
    Step::Send([head(status, headers).as_slice(), body.as_ref()].concat())
}

/// The same, with a body that announces how it goes on, and does not.
pub(crate) fn broken(body: &[u8]) -> Step {
    let chunk = match body {
        [] => Vec::new(),
        body => [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat(),
    };
    answer(200, "transfer-encoding: chunked\r\n", chunk)
}
