//! A trace collector: takes spans by OTLP over HTTP, as any collector does, and keeps them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A span as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The service it is of.
    pub service: String,
    /// What it is called.
    pub name: String,
    /// Its trace, in hex.
    pub trace: String,
    /// Its own id, in hex.
    pub id: String,
    /// The span above it, in hex; empty for a root.
    pub parent: String,
    /// When it began.
    pub from_ns: u64,
    /// When it ended.
    pub to_ns: u64,
    /// Its attributes, as text.
    pub facts: BTreeMap<String, String>,
    /// What went wrong, if it says so.
    pub error: Option<String>,
    /// The headers of the request that brought it.
    pub bearer: String,
}

/// A collector that runs. Dropped, it ends.
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    task: JoinHandle<()>,
}

impl Collector {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&spans)));
        Self {
            address,
            spans,
            task,
        }
    }

    /// What services are told.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What came of one trace, in the order in which it began.
    pub fn trace(&self, trace: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace == trace);
        spans.sort_by_key(|span| (span.from_ns, span.to_ns));
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, spans: Arc<Mutex<Vec<Span>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let spans = Arc::clone(&spans);
        let service = service_fn(move |request| take(request, Arc::clone(&spans)));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        // Ends with its client; what went wrong shows in what is missing.
        tokio::spawn(async { drop(connection.await) });
    }
}

async fn take(
    request: Request<Incoming>,
    spans: Arc<Mutex<Vec<Span>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(
        (request.method(), request.uri().path()),
        (&Method::POST, "/v1/traces")
    );
    let header = |name| {
        let value = request.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap_or_default())
    };
    assert_eq!(header("content-type"), "application/x-protobuf");
    let bearer = header("authorization").to_owned();
    let body = request.into_body().collect().await;
    let body = body.expect("a whole request").to_bytes();
    let export = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let mut kept = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for of_service in export.resource_spans {
        let resource = of_service.resource.unwrap_or_default();
        let facts = facts_of(resource.attributes);
        let service = facts.get("service.name").cloned().unwrap_or_default();
        for span in of_service
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans)
        {
            kept.push(span_of(span, &service, &bearer));
        }
    }
    Ok(Response::new(Full::default()))
}

fn span_of(span: otlp::Span, service: &str, bearer: &str) -> Span {
    let status = span.status.unwrap_or_default();
    let is_error = status.code == otlp::status::StatusCode::Error as i32;
    Span {
        service: service.to_owned(),
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        from_ns: span.start_time_unix_nano,
        to_ns: span.end_time_unix_nano,
        facts: facts_of(span.attributes),
        error: is_error.then_some(status.message),
        bearer: bearer.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn facts_of(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes
        .into_iter()
        .map(|fact| (fact.key, text(fact.value.and_then(|value| value.value))))
        .collect()
}
