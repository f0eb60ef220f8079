//! A small HTTP server for every port of ours: connection cap, header deadline, cut-off for
//! readers that stall, graceful stop.
//!
//! `axum::serve` has none of these: a handful of silent clients would hold its sockets for ever.
//! Rules for request bodies (size, least rate) belong to the route that reads them.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::ConnectInfo,
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::write_stall::CutStalledWrites;

/// Longest request line plus headers; browsers stay well below.
const MAX_HEADER_BYTES: usize = 16 << 10;

/// After a failed accept (no file descriptors left, say) this long, so that the loop cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// A full server says so at most this often.
const FULL_WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// What one port grants its clients.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Connections at a time; further ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// From the first moment of a connection, or from the last answer on it, to the end of the
    /// next request's headers. It bounds idle keep-alive connections too.
    pub header_deadline: Duration,
    /// A client that accepts no byte of its answer for this long is cut off.
    pub write_stall: Duration,
    /// How long requests in hand may go on after the stop.
    pub grace: Duration,
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process, or another service of ours, has it.
    #[error("port {port} is in use: choose another with {flag}")]
    InUse {
        /// The port asked for.
        port: u16,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Ports below 1024 are reserved on most systems.
    #[error("port {port} needs more rights than this user has: choose one above 1023 with {flag}")]
    NotAllowed {
        /// The port asked for.
        port: u16,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The address belongs to some other machine, or to none.
    #[error("{ip} is no address of this machine: choose another with {flag}, 0.0.0.0 means all")]
    NotOurs {
        /// The address asked for.
        ip: IpAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot listen on {address}: choose another address with {flag}")]
    Other {
        /// The address and port asked for.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Opens a port; `flag` is the one that sets it, for the error message.
pub async fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| {
        let (ip, port) = (address.ip(), address.port());
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { port, flag, source },
            io::ErrorKind::PermissionDenied => BindError::NotAllowed { port, flag, source },
            io::ErrorKind::AddrNotAvailable => BindError::NotOurs { ip, flag, source },
            _ => BindError::Other {
                address,
                flag,
                source,
            },
        }
    })
}

/// Serves `router` until `stop`; then closes the port, lets requests in hand finish within the
/// grace period and cuts off the rest. Answers how many were cut off.
///
/// Handlers find the client's address as [`ConnectInfo<SocketAddr>`]. Endless answers (a live
/// picture) should watch `stop` themselves, else they use up the grace period. A connection that was
/// upgraded (a `WebSocket`) is its handler's: neither the cap nor the grace period concern it then.
/// Every answer forbids guessing its type and, unless the route says otherwise, keeping it.
pub async fn serve_http(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    stop: CancellationToken,
) -> usize {
    let server = Arc::new(Server {
        router: router.layer(map_response(with_common_headers)),
        limits,
        stop,
    });
    let mut door = Door::new(listener, limits.max_connections);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = server.stop.cancelled() => break,
            Some(ended) = connections.join_next() => log_panic(&ended),
            entered = door.next() => { connections.spawn(Arc::clone(&server).converse(entered)); }
        }
    }
    drop(door);
    // Elapsing is the point: who is left then is cut off below.
    let _elapsed = timeout(limits.grace, async {
        while let Some(ended) = connections.join_next().await {
            log_panic(&ended);
        }
    })
    .await;
    let cut_off = connections.len();
    if cut_off > 0 {
        tracing::warn!(cut_off, "http connections outlived the grace period");
    }
    connections.shutdown().await;
    cut_off
}

/// What is said of every answer: it is what its type says, and unless it says otherwise it is news.
async fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    response
}

/// Where connections come in, one per free permit.
struct Door {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    last_full_warning: Option<Instant>,
}

struct Entered {
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
}

impl Door {
    fn new(listener: TcpListener, max_connections: usize) -> Self {
        let permits = Arc::new(Semaphore::new(max_connections));
        Self {
            listener,
            permits,
            last_full_warning: None,
        }
    }

    /// The next client. Safe to cancel: nothing is taken before it is handed over.
    async fn next(&mut self) -> Entered {
        loop {
            let permit = self.permit().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    return Entered {
                        stream,
                        peer,
                        permit,
                    };
                }
                Err(error) if is_client_fault(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections, trying again");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn permit(&mut self) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return permit;
        }
        if self
            .last_full_warning
            .is_none_or(|last| last.elapsed() > FULL_WARNING_INTERVAL)
        {
            self.last_full_warning = Some(Instant::now());
            let port = self
                .listener
                .local_addr()
                .map_or(0, |address| address.port());
            tracing::warn!(port, "connection limit reached, new clients wait");
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }
}

/// What all connections share.
struct Server {
    router: Router,
    limits: HttpLimits,
    stop: CancellationToken,
}

impl Server {
    /// One connection, from its first request to its end.
    async fn converse(self: Arc<Self>, entered: Entered) {
        let Entered {
            stream,
            peer,
            permit: _until_the_end,
        } = entered;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot switch off nagle's algorithm");
        }
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.call(request)
        });
        let stream = TokioIo::new(CutStalledWrites::new(stream, self.limits.write_stall));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_deadline)
            .max_header_size(MAX_HEADER_BYTES)
            .serve_connection(stream, service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended early");
        }
    }
}

/// The client went away between its call and our answer.
fn is_client_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// A handler that panics costs its own connection, never the server.
fn log_panic(ended: &Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request handler panicked");
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
