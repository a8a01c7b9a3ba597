//! A provider that records the bytes it gets and answers with bytes that it was given.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
};

/// What happens on a connection after a request has come.
#[derive(Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// Waits until the gate has a place.
    Wait(Arc<Semaphore>),
    /// Waits until the other side closes.
    AwaitClose(Arc<Notify>),
    Close,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[derive(Default)]
struct Script {
    next: VecDeque<Vec<Step>>,
    always: Vec<Step>,
}

#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<Script>>,
    came: Arc<Notify>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            script: Arc::default(),
            came: Arc::default(),
        };
        let own = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = own.clone();
                tokio::spawn(async move { own.serve(stream).await });
            }
        });
        upstream
    }

    /// The next request gets this.
    pub(crate) fn next(&self, steps: Vec<Step>) {
        self.script.lock().unwrap().next.push_back(steps);
    }

    /// Every request that has no other answer gets this.
    pub(crate) fn always(&self, steps: Vec<Step>) {
        self.script.lock().unwrap().always = steps;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until `count` requests have come.
    pub(crate) async fn until(&self, count: usize) {
        loop {
            let came = self.came.notified();
            tokio::pin!(came);
            came.as_mut().enable();
            if self.seen.lock().unwrap().len() >= count {
                return;
            }
            came.await;
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        loop {
            let seen = request(&mut stream, &mut bytes).await?;
            self.seen.lock().unwrap().push(seen);
            self.came.notify_waiters();
            let steps = {
                let mut script = self.script.lock().unwrap();
                let next = script.next.pop_front();
                next.unwrap_or_else(|| script.always.clone())
            };
            for step in steps {
                match step {
                    Step::Send(bytes) => stream.write_all(&bytes).await.ok()?,
                    Step::Wait(gate) => gate.acquire().await.ok()?.forget(),
                    Step::AwaitClose(closed) => {
                        while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
                        closed.notify_one();
                        return None;
                    }
                    Step::Close => return None,
                }
            }
        }
    }
}

async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Seen> {
    let mut end = None;
    loop {
        if end.is_none() {
            end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        }
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let seen = Seen { head, body: Vec::new() };
            let length = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
            if bytes.len() >= end + length {
                let body = bytes[end..end + length].to_vec();
                bytes.drain(..end + length);
                return Some(Seen { body, ..seen });
            }
        }
        let mut buffer = vec![0; 64 << 10];
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
}

/// An answer with its length.
pub(crate) fn whole(status: &str, headers: &str, body: &[u8]) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    vec![Step::Send([head.as_bytes(), body].concat())]
}

/// The head of a stream.
pub(crate) fn stream_head() -> Step {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    Step::Send(head.as_bytes().to_vec())
}

/// A piece of a stream.
pub(crate) fn piece(bytes: &[u8]) -> Step {
    Step::Send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
}

/// A stream in these pieces.
pub(crate) fn stream<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Step> {
    let pieces = pieces.into_iter().map(piece);
    [stream_head()].into_iter().chain(pieces).chain([Step::Send(b"0\r\n\r\n".to_vec())]).collect()
}
