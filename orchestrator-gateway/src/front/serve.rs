//! Listening, and stopping.

use super::{
    admit::Admission,
    config::{FrontConfig, Reach},
    handle::{Shared, handle},
    rule::WentOn,
};
use crate::balance::Balance;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};

/// The most bytes of a request's head, and of what is read or written at once.
const BUFFER: usize = 64 << 10;

/// A front that cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrontError {
    /// An address that others reach, without leave.
    #[error(
        "cannot listen on {0}: other machines reach it, and what passes is not encrypted; use \
         127.0.0.1, or allow others explicitly"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}; use another port, or port 0 for any that is free")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl FrontError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotLoopback(_) => "ORC-0548",
            Self::Bind { .. } => "ORC-0549",
        }
    }
}

/// An address that was taken.
pub(super) struct Listener {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// Takes `address` for those that `reach` lets in.
pub(super) async fn bind(address: SocketAddr, reach: Reach) -> Result<Listener, FrontError> {
    if reach == Reach::Loopback && !address.ip().is_loopback() {
        return Err(FrontError::NotLoopback(address));
    }
    let failed = |source| FrontError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Listener { listener, address })
}

/// A server of models to programs with tokens.
pub struct Front {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Front {
    /// Takes the address; port 0 takes any that is free. Nothing is answered before
    /// [`Front::serve`].
    ///
    /// # Errors
    /// [`FrontError`].
    pub async fn bind(address: SocketAddr, config: FrontConfig) -> Result<Self, FrontError> {
        let Listener { listener, address } = bind(address, config.limits.reach).await?;
        let admission = Admission::new(
            config.ledger.clone(),
            config.clock.clone(),
            config.owner.clone(),
            config.limits.wait,
        );
        let upstreams = config.upstreams.iter().cloned().map(Arc::new).collect();
        let balance = Balance::default();
        let went_on = WentOn::default();
        let shared = Arc::new(Shared { config, upstreams, admission, balance, went_on });
        Ok(Self { listener, address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` resolves. Then it takes no more connections, lets calls under way
    /// end within the bound, breaks off those that do not, and returns when all are settled.
    ///
    /// Dropping this future breaks all calls off at once.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, shared, .. } = self;
        let limits = shared.config.limits;
        let places = Arc::new(Semaphore::new(limits.connections));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&listener, &places) => accepted,
            };
            let (stream, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Such as too many open files: others must end first.
                    tracing::warn!(%error, "cannot take a connection");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let shared = shared.clone();
            let service = service_fn(move |request| handle(shared.clone(), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.request)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            connections.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended early");
                }
                drop(place);
            });
        }
        drop(listener);
        if timeout(limits.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("calls under way are broken off");
        }
        connections.shutdown().await;
        if timeout(limits.drain, shared.admission.idle()).await.is_err() {
            tracing::error!("the ledger does not settle: what calls hold will be assumed");
        }
    }
}

/// The next connection, when there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}
