//! HTTP as a plain client speaks it: a connection for each request, nothing remembered.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::kafka::within;

/// A server on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    address: SocketAddr,
}

/// What it answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap_or_default())
    }

    /// The answer itself, when it has the status wanted.
    #[must_use]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Http {
    /// The server at `address`.
    pub fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Where it is.
    pub fn address(self) -> SocketAddr {
        self.address
    }

    /// GET of a path.
    pub async fn get(self, path: &str) -> Answer {
        let request = self.request(Method::GET, path).body(Full::default());
        self.answer(request.expect("a legal request")).await
    }

    /// POST of a JPEG; `accept` says what is wanted back.
    pub async fn post_jpeg(self, path: &str, accept: &str, jpeg: Bytes) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header(CONTENT_TYPE, "image/jpeg")
            .header(ACCEPT, accept)
            .body(Full::new(jpeg));
        self.answer(request.expect("a legal request")).await
    }

    /// POST of a JPEG on behalf of a client that has a trace of its own.
    pub async fn post_traced(self, path: &str, traceparent: &str, jpeg: Bytes) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header(CONTENT_TYPE, "image/jpeg")
            .header(ACCEPT, "application/json")
            .header("traceparent", traceparent)
            .body(Full::new(jpeg));
        self.answer(request.expect("a legal request")).await
    }

    fn request(self, method: Method, path: &str) -> hyper::http::request::Builder {
        let host = self.address.to_string();
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
    }

    async fn answer(self, request: Request<Full<Bytes>>) -> Answer {
        let what = format!("{} {} at {}", request.method(), request.uri(), self.address);
        let answer = within(&what, self.try_answer(request)).await;
        answer.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// GET that may find nobody there.
    pub async fn try_get(self, path: &str) -> Result<Answer, String> {
        let request = self.request(Method::GET, path).body(Full::default());
        self.try_answer(request.expect("a legal request")).await
    }

    async fn try_answer(self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let connected = TcpStream::connect(self.address).await;
        let stream = connected.map_err(|error| error.to_string())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        // Ends with the sender; what goes wrong is told by the answer.
        let connection = tokio::spawn(connection);
        let answered = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok((head, body))
        };
        let answered: Result<_, hyper::Error> = answered.await;
        connection.abort();
        let (head, body) = answered.map_err(|error| error.to_string())?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}
