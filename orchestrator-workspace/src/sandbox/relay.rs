//! The network of a confined program as far as it has one.
//!
//! The launcher makes listening sockets inside the program's private network and hands them out to
//! us. A socket belongs to the network it was made in, whoever holds it: what connects to it comes
//! from inside, what is done for it is done outside. So nothing of ours runs in the private network.

use super::{SandboxError, order::VERB, proxy};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt::socket_peercred,
    },
    process::{PidfdFlags, geteuid, pidfd_open},
};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    net::{Ipv4Addr, TcpListener},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::TcpStream, runtime::Runtime, task::JoinSet};

/// The most that a launcher says.
const MOST: usize = 64 * 1024;
/// How long a launcher may take to say it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many descriptors are handed out at most.
const SOCKETS: usize = 2;

/// What a launcher says beside its sockets, which come in this order.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    gateway: Option<u16>,
    hosts: Option<Vec<String>>,
}

/// Serves the networks of confined programs until it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    path: PathBuf,
    runtime: Option<Runtime>,
    _directory: TempDir,
}

impl Relay {
    /// Starts it in a directory that only this user may enter.
    pub(super) fn start() -> Result<Self, SandboxError> {
        let failed = |error: io::Error| {
            SandboxError::Unavailable(format!("the relay of the network does not start: {error}"))
        };
        let directory = tempfile::Builder::new().prefix(VERB).tempdir().map_err(failed)?;
        let path = directory.path().join("relay");
        let listener = UnixListener::bind(&path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("orchestrator-sandbox-network")
            .enable_all()
            .build()
            .map_err(failed)?;
        runtime.spawn(async move {
            match tokio::net::UnixListener::from_std(listener) {
                Ok(listener) => accept(listener).await,
                Err(error) => tracing::warn!(%error, "confined programs have no network"),
            }
        });
        Ok(Self { path, runtime: Some(runtime), _directory: directory })
    }

    /// Where launchers hand their sockets in.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: tokio::net::UnixListener) {
    loop {
        match listener.accept().await {
            Ok((launcher, _)) => {
                tokio::spawn(async move {
                    if let Err(error) = serve(launcher).await {
                        tracing::warn!(%error, "a confined program has no network");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take the network of a confined program over");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves the network of one program as long as its launcher lives.
async fn serve(launcher: tokio::net::UnixStream) -> io::Result<()> {
    let launcher = launcher.into_std()?;
    launcher.set_nonblocking(false)?;
    let peer = socket_peercred(&launcher)?;
    if peer.uid != geteuid() {
        return Err(io::Error::other("the launcher is another user's"));
    }
    let life = pidfd_open(peer.pid, PidfdFlags::empty())?;
    let (asked, sockets, mut launcher) = tokio::task::spawn_blocking(move || {
        launcher.set_read_timeout(Some(PATIENCE))?;
        receive(&launcher).map(|(asked, sockets)| (asked, sockets, launcher))
    })
    .await??;
    let mut sockets = sockets.into_iter();
    let mut next = || {
        let socket = sockets.next().ok_or_else(|| io::Error::other("a socket is missing"))?;
        let socket = TcpListener::from(socket);
        socket.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(socket)
    };
    let mut serving = JoinSet::new();
    if let Some(port) = asked.gateway {
        serving.spawn(pass_on(next()?, port));
    }
    if let Some(hosts) = asked.hosts {
        let allowed = Arc::new(proxy::Allowed::new(&hosts).map_err(io::Error::other)?);
        serving.spawn(proxy::serve(next()?, allowed));
    }
    launcher.write_all(b"k")?;
    drop(launcher);
    // A thread that waits: a handle of a process is readable when that has ended.
    let ended = tokio::task::spawn_blocking(move || {
        loop {
            match poll(&mut [PollFd::new(&life, PollFlags::IN)], None) {
                Err(Errno::INTR) => {}
                ended => return ended,
            }
        }
    });
    ended.await??;
    serving.shutdown().await;
    Ok(())
}

/// Passes connections on to a port of the loopback address outside.
async fn pass_on(listener: tokio::net::TcpListener, port: u16) {
    let mut passing = JoinSet::new();
    while let Ok((mut inside, _)) = listener.accept().await {
        while passing.try_join_next().is_some() {}
        passing.spawn(async move {
            if let Ok(mut outside) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
            }
        });
    }
}

fn receive(launcher: &UnixStream) -> io::Result<(Asked, Vec<OwnedFd>)> {
    let mut text = vec![0; MOST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(
        launcher,
        &mut [IoSliceMut::new(&mut text)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let sockets = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        })
        .flatten()
        .collect();
    let asked = serde_json::from_slice(text.get(..got.bytes).unwrap_or_default())?;
    Ok((asked, sockets))
}

/// Hands the sockets of a private network to the relay at `path`, and returns when it serves them:
/// one in the place of the gateway, with its port, and one in the place of the proxy, with the names
/// that may be reached through it.
pub(super) fn hand_out(
    path: &Path,
    gateway: Option<(u16, TcpListener)>,
    proxy: Option<(Vec<String>, TcpListener)>,
) -> io::Result<()> {
    let mut relay = UnixStream::connect(path)?;
    let (port, gateway) = gateway.unzip();
    let (hosts, proxy) = proxy.unzip();
    let text = serde_json::to_vec(&Asked { gateway: port, hosts })?;
    if text.len() > MOST {
        return Err(io::Error::other("the list of hosts is too long"));
    }
    let sockets: Vec<_> = [&gateway, &proxy].into_iter().flatten().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&sockets));
    sendmsg(&relay, &[IoSlice::new(&text)], &mut control, SendFlags::empty())?;
    // The end of the stream instead of the answer says that it was refused.
    relay.set_read_timeout(Some(PATIENCE))?;
    relay.read_exact(&mut [0])
}
