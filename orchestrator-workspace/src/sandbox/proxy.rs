//! A proxy for confined programs that reaches the hosts on a list and no other.
//!
//! It understands `CONNECT`, behind which TLS stays closed to it, and plain requests to `http://`.
//! It asks for the addresses of a name itself and connects to one of those that it has judged, so a
//! name cannot mean one address when it is judged and another when it is used. Addresses that are
//! not public are refused unless the list names the address itself, or `localhost`.
//!
//! What it cannot see: whether a host behind TLS, or behind the address of an allowed one, serves
//! other names, too.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

/// The largest head of a request.
const MOST_HEAD: usize = 32 * 1024;
/// How long a client may take to send it, and an address to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Ports of a host that is listed without one.
const USUAL: [u16; 2] = [80, 443];

/// The hosts that may be reached.
#[derive(Debug)]
pub(super) struct Allowed(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    name: Name,
    port: Option<u16>,
}

#[derive(Debug)]
enum Name {
    Address(IpAddr),
    Exactly(String),
    /// All names below, with the dot before it.
    Below(String),
}

impl Allowed {
    /// Reads a list of `NAME`, `*.NAME`, `ADDRESS`, each with an optional `:PORT`.
    pub(super) fn new(hosts: &[String]) -> Result<Self, String> {
        hosts.iter().map(|host| Entry::read(host)).collect::<Result<_, _>>().map(Self)
    }

    fn names(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok();
        self.0.iter().any(|entry| {
            let is_named = match &entry.name {
                Name::Address(listed) => address == Some(*listed),
                Name::Exactly(name) => *name == host,
                Name::Below(suffix) => address.is_none() && host.ends_with(suffix.as_str()),
            };
            is_named && entry.has(port)
        })
    }

    /// Whether `address`, to which `host` has been resolved, may be connected to.
    fn permits(&self, host: &str, address: SocketAddr) -> bool {
        let lists = |ip: IpAddr| {
            self.0.iter().any(|entry| {
                matches!(entry.name, Name::Address(listed) if listed == ip)
                    && entry.has(address.port())
            })
        };
        let ip = address.ip();
        let is_here = ip.is_loopback() && host.eq_ignore_ascii_case("localhost");
        is_public(ip) || lists(ip) || is_here
    }
}

impl Entry {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a host: write NAME, *.NAME or ADDRESS, with :PORT");
        let (host, port) = split(text).ok_or_else(wrong)?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let name = if let Ok(address) = host.parse() {
            Name::Address(address)
        } else if let Some(below) = host.strip_prefix("*.").filter(|below| is_name(below)) {
            Name::Below(format!(".{below}"))
        } else if is_name(&host) {
            Name::Exactly(host)
        } else {
            return Err(wrong());
        };
        Ok(Self { name, port })
    }

    fn has(&self, port: u16) -> bool {
        self.port.map_or(USUAL.contains(&port), |listed| listed == port)
    }
}

fn is_name(text: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 253 && text.chars().all(is_fit) && !text.contains("..")
}

/// The host and the port of `HOST`, `HOST:PORT`, `[V6]:PORT` or `V6`.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((text, None)),
    }
}

/// Whether an address belongs to the public network.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.segments() {
            // Addresses of version 4 in the clothes of version 6: mapped and translated.
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
            }
            // Tunnels, and what is for documents.
            [0x2002, ..] | [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] => false,
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_kept = match address.octets() {
        [0 | 10 | 127 | 224..=255, ..] | [169, 254, ..] | [192, 168, ..] | [192, 0, 0 | 2, _] => {
            true
        }
        [100, second, ..] => second & 0xc0 == 64,
        [172, second, ..] => second & 0xf0 == 16,
        [198, second, third, _] => second & 0xfe == 18 || (second, third) == (51, 100),
        [203, 0, 113, _] => true,
        _ => false,
    };
    !is_kept
}

/// Serves the proxy until it is dropped.
pub(super) async fn serve(listener: TcpListener, allowed: Arc<Allowed>) {
    let mut serving = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while serving.try_join_next().is_some() {}
        let allowed = Arc::clone(&allowed);
        serving.spawn(async move {
            // Who is cut off has hung up itself, or hears it from the system.
            let _ = answer(client, &allowed).await;
        });
    }
}

/// What a client wants of the proxy.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// A tunnel.
    Tunnel { host: String, port: u16 },
    /// A plain request, whose head is this for the server.
    Request { host: String, port: u16, head: String },
}

async fn answer(mut client: TcpStream, allowed: &Allowed) -> io::Result<()> {
    let Ok(Some((head, rest))) = timeout(PATIENCE, read_head(&mut client)).await? else {
        return refuse(&mut client, "400 Bad Request", "this is not a request to a proxy").await;
    };
    let Some(wanted) = read(&head) else {
        let what = "only CONNECT and requests to http:// are passed on";
        return refuse(&mut client, "400 Bad Request", what).await;
    };
    let (Wanted::Tunnel { host, port } | Wanted::Request { host, port, .. }) = &wanted;
    if !allowed.names(host, *port) {
        let what = format!("{host}:{port} is not on the list of hosts that may be reached");
        return refuse(&mut client, "403 Forbidden", &what).await;
    }
    let found = match timeout(PATIENCE, lookup_host((host.as_str(), *port))).await? {
        Ok(found) => found,
        Err(error) => {
            let what = format!("{host} has no address: {error}");
            return refuse(&mut client, "502 Bad Gateway", &what).await;
        }
    };
    let fit: Vec<_> = found.filter(|address| allowed.permits(host, *address)).collect();
    if fit.is_empty() {
        let what = format!("{host} has no public address, and the list names none of its others");
        return refuse(&mut client, "403 Forbidden", &what).await;
    }
    let Some(mut server) = connect(&fit).await else {
        let what = format!("{host}:{port} does not answer");
        return refuse(&mut client, "502 Bad Gateway", &what).await;
    };
    match &wanted {
        Wanted::Tunnel { .. } => client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?,
        Wanted::Request { head, .. } => server.write_all(head.as_bytes()).await?,
    }
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn connect(addresses: &[SocketAddr]) -> Option<TcpStream> {
    for address in addresses {
        if let Ok(Ok(server)) = timeout(PATIENCE, TcpStream::connect(address)).await {
            return Some(server);
        }
    }
    None
}

/// Reads to the empty line; what came after it is returned as well.
async fn read_head(client: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok(String::from_utf8(bytes).ok().map(|head| (head, rest)));
        }
        if bytes.len() > MOST_HEAD || client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

fn read(head: &str) -> Option<Wanted> {
    let (first, fields) = head.split_once("\r\n")?;
    let mut words = first.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = split(target)?;
        return Some(Wanted::Tunnel { host: host.to_owned(), port: port? });
    }
    let rest = target.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = split(authority)?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut head = format!("{method} {slash}{path} HTTP/1.1\r\nHost: {authority}\r\n");
    for field in fields.lines().filter(|field| !field.is_empty()) {
        let name = field.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_ours = name.starts_with("proxy-") || matches!(&*name, "host" | "connection");
        if !is_ours {
            head.push_str(field);
            head.push_str("\r\n");
        }
    }
    head.push_str("Connection: close\r\n\r\n");
    Some(Wanted::Request { host: host.to_owned(), port: port.unwrap_or(80), head })
}

async fn refuse(client: &mut TcpStream, status: &str, what: &str) -> io::Result<()> {
    let body = format!("orchestrator sandbox: {what}\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await?;
    client.write_all(body.as_bytes()).await?;
    client.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(hosts: &[&str]) -> Allowed {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        Allowed::new(&hosts).expect("a list")
    }

    #[test]
    fn names_and_ports_are_judged_as_they_are_listed() {
        let list = allowed(&["crates.io", "*.example.org", "git.test:22", "10.0.0.5:8080", "::1"]);
        for (host, port, is_named) in [
            ("crates.io", 443, true),
            ("CRATES.io.", 80, true),
            ("crates.io", 8443, false),
            ("evil-crates.io", 443, false),
            ("crates.io.evil.test", 443, false),
            ("a.example.org", 443, true),
            ("example.org", 443, false),
            ("badexample.org", 443, false),
            ("git.test", 22, true),
            ("git.test", 443, false),
            ("10.0.0.5", 8080, true),
            ("10.0.0.5", 80, false),
            ("::1", 80, true),
        ] {
            assert_eq!(list.names(host, port), is_named, "{host}:{port}");
        }
    }

    #[test]
    fn entries_that_are_no_hosts_are_refused() {
        for wrong in ["", "*", "*.", "a b", "http://x", "x:port", "a..b", "[::1", "x/y"] {
            assert!(Allowed::new(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_listed_name_does_not_open_private_addresses() {
        let list = allowed(&["crates.io", "localhost:80", "10.0.0.5"]);
        for (host, address, is_fit) in [
            ("crates.io", "151.101.1.1:443", true),
            ("crates.io", "127.0.0.1:443", false),
            ("crates.io", "169.254.169.254:80", false),
            ("crates.io", "10.0.0.6:443", false),
            ("crates.io", "10.0.0.5:443", true),
            ("crates.io", "[::ffff:127.0.0.1]:443", false),
            ("crates.io", "[64:ff9b::7f00:1]:443", false),
            ("crates.io", "[fe80::1]:443", false),
            ("crates.io", "[fd00::1]:443", false),
            ("crates.io", "[2606:4700::1111]:443", true),
            ("localhost", "127.0.0.1:80", true),
            ("localhost", "192.168.0.1:80", false),
        ] {
            assert_eq!(
                list.permits(host, address.parse().expect("an address")),
                is_fit,
                "{address}"
            );
        }
    }

    #[test]
    fn special_ranges_are_not_public() {
        for address in [
            "0.0.0.0",
            "100.64.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().expect("an address")), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2a00:1450::1"] {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn a_plain_request_is_rewritten_for_its_server() {
        let head = "GET http://a.test/x?y HTTP/1.1\r\nHost: other.test\r\nProxy-Authorization: k\r\n\
                    Accept: */*\r\nConnection: keep-alive\r\n\r\n";
        let Some(Wanted::Request { host, port, head }) = read(head) else { panic!("no request") };
        assert_eq!((host.as_str(), port), ("a.test", 80));
        assert_eq!(
            head,
            "GET /x?y HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn what_is_no_request_to_a_proxy_is_not_read() {
        for wrong in ["GET / HTTP/1.1\r\n\r\n", "CONNECT a.test HTTP/1.1\r\n\r\n", "X\r\n\r\n"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
