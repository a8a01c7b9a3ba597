//! The little of HTTP/1.1 that the server speaks: one request a connection.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
};

/// The most bytes of a head or a body.
const MAX_HEAD: u64 = 64 << 10;
const MAX_BODY: u64 = 64 << 20;

/// A request as it came.
pub(super) struct RawRequest {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Reads one request; `None` when the client hung up before it asked anything.
pub(super) fn read_request(stream: &TcpStream) -> io::Result<Option<RawRequest>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut reader = BufReader::new(stream);
    let mut head = (&mut reader).take(MAX_HEAD);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(bad("no request line"));
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        head.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header without colon"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: u64 = match length {
        Some((_, value)) => value.parse().map_err(|_| bad("a bad content-length"))?,
        None => 0,
    };
    if length > MAX_BODY {
        return Err(bad("the body is too large"));
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    Ok(Some(RawRequest { method, path, headers, body }))
}

/// Writes the head of an answer.
pub(super) fn write_head(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(String, String)],
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())
}

/// Writes `bytes` as one chunk, or each byte as one.
pub(super) fn write_chunks(
    mut stream: &TcpStream,
    bytes: &[u8],
    byte_by_byte: bool,
) -> io::Result<()> {
    let size = if byte_by_byte { 1 } else { bytes.len().max(1) };
    for piece in bytes.chunks(size) {
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk)?;
    }
    stream.flush()
}

/// Ends a chunked body.
pub(super) fn write_end(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"0\r\n\r\n")?;
    stream.flush()
}

/// Waits until the client hangs up.
pub(super) fn wait_for_hang_up(mut stream: &TcpStream) {
    let mut ignored = [0; 256];
    while matches!(stream.read(&mut ignored), Ok(1..)) {}
}
