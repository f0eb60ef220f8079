//! The server under clients that behave badly. Limits are small, waits end by events, and every
//! wait has a deadline far above what it should take.

use super::*;
use axum::routing::get;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    task::JoinHandle,
};

const PATIENCE: Duration = Duration::from_mins(1);
const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nhost: kadr\r\nconnection: close\r\n\r\n";

/// Strict enough to be reached in a test, or so lax that they cannot be.
const LAX: HttpLimits = HttpLimits {
    max_connections: 16,
    header_deadline: PATIENCE,
    write_stall: PATIENCE,
    grace: PATIENCE,
};
const SHORT: Duration = Duration::from_millis(100);

struct TestServer {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<usize>,
}

impl TestServer {
    async fn start(router: Router, limits: HttpLimits) -> Self {
        let listener = bind(([127, 0, 0, 1], 0).into(), "--listen").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve_http(listener, router, limits, stop.clone()));
        Self {
            address,
            stop,
            serving,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn get_hello(&self) -> String {
        let mut stream = self.connect().await;
        stream.write_all(REQUEST).await.unwrap();
        text_until_closed(&mut stream).await
    }

    /// Stops and answers how many connections had to be cut off.
    async fn stop(mut self) -> usize {
        self.stop.cancel();
        within(&mut self.serving).await.unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future)
        .await
        .expect("an answer well before the deadline")
}

/// What the server says until it closes. A reset counts as closed: it may cut off clients whose
/// request it has not read to the end.
async fn text_until_closed(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    let ended = within(stream.read_to_end(&mut received)).await;
    assert!(ended.is_ok() || ended.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset));
    String::from_utf8(received).unwrap()
}

fn hello() -> Router {
    Router::new().route("/hello", get(async || "hello"))
}

#[tokio::test]
async fn every_answer_forbids_guessing_and_unless_it_says_otherwise_keeping() {
    let kept = || async { ([(header::CACHE_CONTROL, "max-age=60")], "kept") };
    let routes = Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/kept", get(kept));
    let server = TestServer::start(routes, LAX).await;
    for (path, caching) in [
        ("/hello", "no-store"),
        ("/kept", "max-age=60"),
        ("/missing", "no-store"),
    ] {
        let mut stream = server.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: kadr\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = text_until_closed(&mut stream).await;
        for line in [
            "x-content-type-options: nosniff",
            &format!("cache-control: {caching}"),
        ] {
            assert!(answer.contains(line), "{path}: {answer}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_is_answered_and_knows_its_peer() {
    let router = Router::new().route(
        "/hello",
        get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()),
    );
    let server = TestServer::start(router, LAX).await;
    let answer = server.get_hello().await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"),
        "{answer}"
    );
    assert_eq!(server.stop().await, 0);
}

#[tokio::test]
async fn a_client_slow_with_its_headers_is_cut_off() {
    let server = TestServer::start(
        hello(),
        HttpLimits {
            header_deadline: SHORT,
            ..LAX
        },
    )
    .await;
    for beginning in [&b""[..], &b"GET /hello HTTP/1.1\r\nhost: ka"[..]] {
        let mut stream = server.connect().await;
        stream.write_all(beginning).await.unwrap();
        let answer = text_until_closed(&mut stream).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(server.get_hello().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_idle_keep_alive_connection_is_closed() {
    let server = TestServer::start(
        hello(),
        HttpLimits {
            header_deadline: SHORT,
            ..LAX
        },
    )
    .await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: kadr\r\n\r\n")
        .await
        .unwrap();
    let answer = text_until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn oversized_headers_are_refused() {
    let server = TestServer::start(hello(), LAX).await;
    let mut stream = server.connect().await;
    let padding = "x".repeat(MAX_HEADER_BYTES);
    let request = format!("GET /hello HTTP/1.1\r\nhost: kadr\r\npadding: {padding}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = text_until_closed(&mut stream).await;
    // 431, unless the reset that follows unread bytes overtakes it.
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
}

#[tokio::test]
async fn at_the_connection_cap_new_clients_wait_their_turn() {
    let limits = HttpLimits {
        max_connections: 1,
        ..LAX
    };
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let is_released = Arc::new(AtomicBool::new(false));
    let router = {
        let (entered, release) = (Arc::clone(&entered), Arc::clone(&release));
        let hold = async move || {
            entered.notify_one();
            release.notified().await;
        };
        let is_released = Arc::clone(&is_released);
        let ask = async move || is_released.load(Ordering::SeqCst).to_string();
        Router::new()
            .route("/hold", get(hold))
            .route("/hello", get(ask))
    };
    let server = TestServer::start(router, limits).await;
    let mut first = server.connect().await;
    first
        .write_all(b"GET /hold HTTP/1.1\r\nhost: kadr\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    within(entered.notified()).await;
    let mut second = server.connect().await;
    second.write_all(REQUEST).await.unwrap();
    is_released.store(true, Ordering::SeqCst);
    release.notify_one();
    text_until_closed(&mut first).await;
    // Had the second not waited for the first, it would say false.
    let answer = text_until_closed(&mut second).await;
    assert!(answer.ends_with("true"), "{answer}");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let huge = Router::new()
        .route("/huge", get(async || vec![0_u8; 64 << 20]))
        .route("/hello", get(async || "hello"));
    let limits = HttpLimits {
        max_connections: 1,
        write_stall: SHORT,
        ..LAX
    };
    let server = TestServer::start(huge, limits).await;
    let mut frozen = server.connect().await;
    frozen
        .write_all(b"GET /huge HTTP/1.1\r\nhost: kadr\r\n\r\n")
        .await
        .unwrap();
    // With a cap of one, this is answered only once the frozen client is gone.
    assert!(server.get_hello().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_panic_in_a_handler_costs_one_connection() {
    let router = hello().route(
        "/panic",
        get(async || {
            assert!(std::env::args().count() > 1_000_000, "a defect");
        }),
    );
    let server = TestServer::start(router, LAX).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /panic HTTP/1.1\r\nhost: kadr\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(text_until_closed(&mut stream).await, "");
    assert!(server.get_hello().await.starts_with("HTTP/1.1 200"));
}

/// A route that says when it was entered and answers when it is let go.
fn held() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (entering, releasing) = (Arc::clone(&entered), Arc::clone(&release));
    let hold = async move || {
        entering.notify_one();
        releasing.notified().await;
        "finished"
    };
    (Router::new().route("/hello", get(hold)), entered, release)
}

#[tokio::test]
async fn stopping_lets_a_request_in_hand_finish_and_closes_the_port() {
    let (router, entered, release) = held();
    let server = TestServer::start(router, LAX).await;
    let mut stream = server.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    within(entered.notified()).await;
    server.stop.cancel();
    within(async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    release.notify_one();
    assert!(text_until_closed(&mut stream).await.ends_with("finished"));
    assert_eq!(server.stop().await, 0);
}

#[tokio::test]
async fn a_request_that_outlives_the_grace_period_is_cut_off() {
    let (router, entered, _release) = held();
    let server = TestServer::start(
        router,
        HttpLimits {
            grace: SHORT,
            ..LAX
        },
    )
    .await;
    let mut stream = server.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    within(entered.notified()).await;
    assert_eq!(server.stop().await, 1);
    assert_eq!(text_until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn a_port_in_use_is_told_in_plain_words() {
    let taken = bind(([127, 0, 0, 1], 0).into(), "--admin-listen")
        .await
        .unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address, "--admin-listen")
        .await
        .expect_err("it is taken");
    let expected = format!(
        "port {} is in use: choose another with --admin-listen",
        address.port()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_foreign_address_is_told_in_plain_words() {
    // 192.0.2.0/24 is reserved for documentation.
    let error = bind(([192, 0, 2, 1], 0).into(), "--listen")
        .await
        .expect_err("not ours");
    assert!(
        error
            .to_string()
            .starts_with("192.0.2.1 is no address of this machine"),
        "{error}"
    );
}
