//! What a confined program reaches of the network: the gateway, hosts on a list, nobody.

use crate::arena::{LAUNCHER, bubblewrap, sh};
use orchestrator_workspace::sandbox::{Confinement, Landlock, Network, Sandbox};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::PathBuf,
    process::Output,
    thread,
};

/// Serves one line of text at every connection, as an HTTP server would.
fn serve(text: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let length = text.len();
            let _ = write!(&stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}");
        }
    });
    port
}

fn ask(sandbox: &Landlock, network: Network, script: &str) -> Output {
    let directory: PathBuf = "/".into();
    let confinement = Confinement { network, ..Confinement::default() };
    let mut command = sh(sandbox, script, &directory, &confinement);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").output().expect("its end")
}

fn both() -> [Landlock; 2] {
    [Landlock::new(LAUNCHER), Landlock::new(LAUNCHER).in_bubblewrap(bubblewrap())]
}

/// Asks a port for `/` with nothing but a shell.
fn get(port: u16) -> String {
    format!(
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && printf \"GET / HTTP/1.1\\r\\n\\r\\n\" >&3 && \
         timeout 10 head -n 4 <&3'"
    )
}

#[test]
fn the_gateway_is_reached_at_its_port_and_no_other_is() {
    let (gateway, other) = (serve("the gateway\n"), serve("another\n"));
    for sandbox in both() {
        let reached = ask(&sandbox, Network::Gateway(gateway), &get(gateway));
        let said = String::from_utf8_lossy(&reached.stdout);
        assert!(said.contains("the gateway"), "{} {reached:?}", sandbox.name());
        let reached = ask(&sandbox, Network::Gateway(gateway), &get(other));
        assert!(!reached.status.success() && reached.stdout.is_empty(), "{reached:?}");
    }
}

#[test]
fn the_gateway_is_reached_by_several_at_once_and_again() {
    let gateway = serve("the gateway\n");
    let script = format!("for i in 1 2 3 4 5; do {} & done; wait", get(gateway));
    for sandbox in both() {
        for _ in 0..2 {
            let reached = ask(&sandbox, Network::Gateway(gateway), &script);
            let said = String::from_utf8_lossy(&reached.stdout).into_owned();
            assert_eq!(said.matches("the gateway").count(), 5, "{reached:?}");
        }
    }
}

#[test]
fn a_listed_host_is_reached_through_the_proxy_and_another_is_not() {
    let (listed, other) = (serve("listed\n"), serve("another\n"));
    let hosts = vec![format!("localhost:{listed}"), "name.invalid".into()];
    let asks = |url: &str| {
        format!(
            "curl --silent --show-error --max-time 20 --noproxy '' --write-out '%{{http_code}}' {url}"
        )
    };
    for sandbox in both() {
        let only = || Network::Only { hosts: hosts.clone(), gateway: None };
        let plain = ask(&sandbox, only(), &asks(&format!("http://localhost:{listed}/")));
        assert_eq!(String::from_utf8_lossy(&plain.stdout), "listed\n200", "{plain:?}");
        let tunnel = format!("--proxytunnel http://localhost:{listed}/");
        let tunnel = ask(&sandbox, only(), &asks(&tunnel));
        assert_eq!(String::from_utf8_lossy(&tunnel.stdout), "listed\n200", "{tunnel:?}");
        for (url, expected) in [
            (format!("http://localhost:{other}/"), "is not on the list"),
            (format!("http://127.0.0.1:{listed}/"), "is not on the list"),
            (format!("http://[::ffff:127.0.0.1]:{listed}/"), "is not on the list"),
            ("http://169.254.169.254/".into(), "is not on the list"),
            ("http://name.invalid/".into(), "has no address"),
        ] {
            let refused = ask(&sandbox, only(), &asks(&url));
            let said = String::from_utf8_lossy(&refused.stdout);
            assert!(said.contains(expected), "{url}: {refused:?}");
        }
        // Nobody is reached past the proxy.
        let past = ask(&sandbox, only(), &get(listed));
        assert!(!past.status.success(), "{past:?}");
    }
}

#[test]
fn a_list_and_the_gateway_go_together() {
    let (listed, gateway) = (serve("listed\n"), serve("the gateway\n"));
    let network =
        Network::Only { hosts: vec![format!("localhost:{listed}")], gateway: Some(gateway) };
    let script = format!(
        "curl -s --max-time 20 http://127.0.0.1:{gateway}/; curl -s --max-time 20 --noproxy '' \
         http://localhost:{listed}/"
    );
    let reached = ask(&Landlock::new(LAUNCHER), network, &script);
    assert_eq!(String::from_utf8_lossy(&reached.stdout), "the gateway\nlisted\n", "{reached:?}");
}

#[test]
fn its_own_ports_are_its_own() {
    // What listens inside is reached from inside, as the tests of many projects need, and not from
    // outside.
    let script = "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalAddr => \
                  \"127.0.0.1:0\") or die; $c = IO::Socket::INET->new(PeerAddr => \
                  \"127.0.0.1:\" . $s->sockport) or die; print \"in\"'";
    for sandbox in both() {
        let output = ask(&sandbox, Network::None, script);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "in", "{output:?}");
    }
}

#[test]
fn everybody_is_reached_when_everybody_may_be() {
    let port = serve("open\n");
    for sandbox in both() {
        let reached = ask(&sandbox, Network::All, &get(port));
        assert!(String::from_utf8_lossy(&reached.stdout).contains("open"), "{reached:?}");
    }
}
