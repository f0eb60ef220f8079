//! The exporter's HTTP: blocking, as the thread that exports has nothing else to do.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use ureq::Agent;

use super::super::shutdown::describe;

/// What a collector may say in answer to spans.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// Posts spans, and remembers what went wrong last. Clones share both.
#[derive(Clone, Debug)]
pub(super) struct CollectorClient {
    agent: Agent,
    trouble: Arc<Mutex<Option<String>>>,
}

impl CollectorClient {
    pub(super) fn new(timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            // The exporter judges the status itself.
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
            trouble: Arc::default(),
        }
    }

    /// Why the collector was not reached, which the exporter does not pass on.
    pub(super) fn take_trouble(&self) -> Option<String> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, &body[..]);
        let (head, mut answer) = self.agent.run(request)?.into_parts();
        let limited = answer.with_config().limit(MAX_ANSWER_BYTES);
        Ok(Response::from_parts(head, limited.read_to_vec()?.into()))
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.post(request);
        if let Err(error) = &answer {
            *self.lock() = Some(describe(error));
        }
        Ok(answer?)
    }
}
