//! A client that shows what it gets, byte by byte.

use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The head of an answer, and its body as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether it came to its end.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// An answer under way.
pub(crate) struct Open {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Open {
    /// Sends a request on a connection of its own.
    pub(crate) async fn send(
        address: SocketAddr,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut head = format!("{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !line.starts_with("GET") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Whoever is refused may close before all was sent.
        let _ = stream.write_all(body).await;
        Self { stream, bytes: Vec::new() }
    }

    /// Reads until `text` has come.
    pub(crate) async fn until(&mut self, text: &[u8]) {
        while !self.bytes.windows(text.len()).any(|part| part == text) {
            assert!(self.more().await, "it ended before {:?}", String::from_utf8_lossy(text));
        }
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let read = self.stream.read(&mut buffer).await.unwrap_or(0);
        self.bytes.extend_from_slice(&buffer[..read]);
        read > 0
    }

    /// Reads to the end of the connection.
    pub(crate) async fn finish(mut self) -> Answer {
        while self.more().await {}
        let at = self.bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(self.bytes[..at].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let rest = &self.bytes[at..];
        let (body, is_whole) = match header(&head, "content-length") {
            Some(length) => (rest.to_vec(), rest.len() == length.parse::<usize>().unwrap()),
            None => unchunk(rest),
        };
        Answer { status, head, body, is_whole }
    }
}

fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(at) = bytes.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&bytes[..at]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let chunk = &bytes[at + 2..];
        body.extend_from_slice(&chunk[..length.min(chunk.len())]);
        let Some(rest) = chunk.get(length + 2..) else { break };
        bytes = rest;
    }
    (body, false)
}
