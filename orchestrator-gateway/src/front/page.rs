//! A page for programs that ask, such as one of metrics: on the front itself, or by itself.

use super::{
    FrontError,
    answer::Answer,
    config::Reach,
    serve::{Listener, bind},
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long a request may take to arrive, and a connection to be idle.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections are answered at once; further ones wait.
const CONNECTIONS: usize = 16;

/// A text that is made when somebody asks for it.
#[async_trait]
pub trait Page: Send + Sync {
    /// The media type of the text.
    fn media_type(&self) -> &'static str;

    /// The text as of now.
    async fn text(&self) -> String;
}

/// Answers requests for one page, and nothing else. It asks for no token: see [`Reach`].
pub struct PageServer {
    listener: TcpListener,
    address: SocketAddr,
    reach: Reach,
    path: &'static str,
    page: Arc<dyn Page>,
}

impl std::fmt::Debug for PageServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl PageServer {
    /// Takes the address for `page` at `path`; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`FrontError`].
    pub async fn bind(
        address: SocketAddr,
        reach: Reach,
        path: &'static str,
        page: Arc<dyn Page>,
    ) -> Result<Self, FrontError> {
        let Listener { listener, address } = bind(address, reach).await?;
        Ok(Self { listener, address, reach, path, page })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` resolves, and then breaks off what is under way.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, reach, path, page, .. } = self;
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let accepting = async {
                let place = places.clone().acquire_owned().await;
                (listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                () = &mut shutdown => return,
                Some(_) = connections.join_next() => continue,
                accepted = accepting => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Such as too many open files: others must end first.
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let page = page.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let page = page.clone();
                async move {
                    let answer = match request.uri().path() == path {
                        true => {
                            answer(&*page, request.method(), may(reach, request.headers())).await
                        }
                        false => said(StatusCode::NOT_FOUND, "there is only one page here\n"),
                    };
                    Ok::<_, Infallible>(answer)
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            connections.spawn(async move {
                if timeout(6 * PATIENCE, connection).await.is_err() {
                    tracing::debug!("a connection was kept too long");
                }
                drop(place);
            });
        }
    }
}

/// Whether whoever sent `headers` may see a page that asks for no token: where only this machine is
/// let in, not a page of the web that had its own name lead here.
pub(super) fn may(reach: Reach, headers: &HeaderMap) -> bool {
    match reach {
        Reach::Anywhere => true,
        Reach::Loopback => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let name = host.unwrap_or_default();
            let name = match name.rsplit_once(':') {
                Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
                _ => name,
            };
            let name = name.trim_start_matches('[').trim_end_matches(']');
            let is_local = |address: std::net::IpAddr| address.is_loopback();
            name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_local)
        }
    }
}

/// The answer to a request for `page`.
pub(super) async fn answer(page: &dyn Page, method: &Method, may: bool) -> Response<Answer> {
    if !may {
        return said(StatusCode::FORBIDDEN, "not to be seen from there\n");
    }
    if ![Method::GET, Method::HEAD].contains(method) {
        return said(StatusCode::METHOD_NOT_ALLOWED, "it can only be read\n");
    }
    let mut response = Response::new(Answer::Whole(Some(Bytes::from(page.text().await))));
    let media = HeaderValue::from_static(page.media_type());
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

fn said(status: StatusCode, text: &'static str) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Some(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_lead_to_a_page_without_a_token() {
        let check = |host: Option<&'static str>, expected: bool| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, HeaderValue::from_static(host));
            }
            assert_eq!(may(Reach::Loopback, &headers), expected, "{host:?}");
            assert!(may(Reach::Anywhere, &headers));
        };
        for good in ["127.0.0.1:9464", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:80"] {
            check(Some(good), true);
        }
        for bad in ["evil.test:9464", "127.0.0.1.evil.test", "10.0.0.1", "localhost.evil.test", ""]
        {
            check(Some(bad), false);
        }
        check(None, false);
    }
}
