//! `POST /api/frames`: a picture comes in, and is answered for once Kafka has it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use jiff::Timestamp;
use pipeline::{
    draw::DrawWishes,
    frame::{Carried, Frame, FrameId, Lane, ModelRef, TraceContext},
    record::{TRACEPARENT, TRACESTATE, encode_frame},
    service::{
        Problem,
        traces::{Span, Step},
    },
};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::spawn_blocking,
    time::{Instant, timeout},
};

use super::{
    Gateway, answer,
    body::BodyLimits,
    form, problems,
    query::{UploadQuery, Wishes},
};
use crate::{
    intake::{self, Inspected, IntakeError, Picture},
    outcomes::{Fate, Submission, Waiter, source_of},
};

/// Uploads up to this size are inspected where they arrive: walking through so few bytes is quicker
/// than the way to another thread and back.
const QUICKLY_INSPECTED: usize = 512 << 10;

const UPLOAD: Step = Step::server("POST /api/frames");
const ANSWER: Step = Step::consumer("answer");

/// An upload that Kafka has.
struct Accepted {
    id: FrameId,
    submission: Submission,
    wait: Option<Wait>,
    wants_picture: bool,
}

/// A client that waits for its result.
struct Wait {
    waiter: Waiter,
    patience: Duration,
    _turn: OwnedSemaphorePermit,
}

/// A picture on its way to Kafka.
struct Outgoing {
    picture: Picture,
    model: Option<ModelRef>,
    draw: DrawWishes,
    deadline_ms: Option<u32>,
    trace: Option<TraceContext>,
}

pub(super) async fn post_frame(
    State(gateway): State<Arc<Gateway>>,
    query: Result<Query<UploadQuery>, QueryRejection>,
    request: Request,
) -> Response {
    let started = Instant::now();
    let trace = trace_of(request.headers());
    let mut span = gateway
        .traces
        .begin(UPLOAD, trace.as_ref(), SystemTime::now());
    let response = match gateway.accept(query, request, &mut span).await {
        Ok(accepted) => {
            gateway.metrics.count_upload("accepted");
            let seconds = started.elapsed().as_secs_f64();
            gateway.metrics.accept_seconds.observe(seconds);
            gateway.answer(accepted).await
        }
        Err(problem) => {
            gateway.metrics.count_upload(problem.code());
            span.set("error.type", problem.code());
            problem.into_response()
        }
    };
    told(response, span)
}

/// The end of an upload's span; the client is told where its trace is.
fn told(mut response: Response, mut span: Span) -> Response {
    let status = response.status();
    span.set_number("http.response.status_code", status.as_u16().into());
    if status.is_server_error() {
        span.set_error(status);
    }
    if let Some(trace) = span.trace().filter(|_| span.is_recording())
        && let Ok(value) = HeaderValue::from_str(trace.traceparent())
    {
        response.headers_mut().insert(TRACEPARENT, value);
    }
    span.end();
    response
}

impl Gateway {
    async fn accept(
        &self,
        query: Result<Query<UploadQuery>, QueryRejection>,
        request: Request,
        span: &mut Span,
    ) -> Result<Accepted, Problem> {
        let wishes = Wishes::of(query, request.headers())?;
        self.check_model(wishes.model.as_ref()).await?;
        if let Some(reason) = self.outlet.trouble() {
            return Err(problems::kafka_away(reason));
        }
        let turn = match wishes.wait {
            Some(patience) => Some((self.admission.wait()?, patience)),
            None => None,
        };
        let (sent, _room) = span.around("receive", self.receive(request)).await?;
        if wishes.model.is_none() {
            self.check_model(sent.model.as_ref()).await?;
        }
        let model = one_model(wishes.model, sent.model)?;
        let outgoing = Outgoing {
            picture: span.around("convert", self.convert(sent.picture)).await?,
            model,
            draw: wishes.draw,
            deadline_ms: wishes.deadline_ms,
            trace: span.trace().cloned(),
        };
        let id = FrameId::new();
        span.set_frame(id, &source_of(id), Lane::Durable);
        // Before anything is sent: the result may be quick.
        let wait = turn.map(|(turn, patience)| Wait {
            waiter: self.outcomes.wait_for(id),
            patience,
            _turn: turn,
        });
        Ok(Accepted {
            id,
            submission: span.around("send", self.publish(id, outgoing)).await?,
            wait,
            wants_picture: wishes.picture,
        })
    }

    /// The body, once there is room for it. The room is held until Kafka has the picture.
    async fn receive(
        &self,
        request: Request,
    ) -> Result<(form::Sent, OwnedSemaphorePermit), Problem> {
        let max_bytes = self.max_upload_bytes;
        let claimed = form::claimed_bytes(request.headers());
        if claimed.is_some_and(|claimed| claimed > max_bytes) {
            return Err(problems::too_large(max_bytes));
        }
        let room = self.admission.enter(claimed.unwrap_or(max_bytes))?;
        let limits = BodyLimits {
            max_bytes,
            least_rate: self.least_rate,
        };
        let sent = form::read(request, limits).await?;
        self.metrics
            .received_bytes
            .inc_by(sent.picture.len() as u64);
        Ok((sent, room))
    }

    async fn check_model(&self, model: Option<&ModelRef>) -> Result<(), Problem> {
        let Some(model) = model.cloned() else {
            return Ok(());
        };
        let catalogue = self.catalogue.clone();
        let found = spawn_blocking(move || catalogue.find(&model)).await;
        match found {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(problems::of_catalogue(&error)),
            Err(_panic) => Err(problems::internal("looking for the model broke")),
        }
    }

    /// The upload as a picture for Kafka; decoding has a core of its own.
    async fn convert(&self, upload: Bytes) -> Result<Picture, Problem> {
        let core = self.admission.core().await;
        let limits = self.limits;
        let (inspected, core) = if upload.len() <= QUICKLY_INSPECTED {
            let inspected = intake::inspect(&upload, limits);
            (
                inspected.map_err(|error| problems::of_intake(&error))?,
                core,
            )
        } else {
            on_a_core(core, move || intake::inspect(&upload, limits)).await?
        };
        match inspected {
            Inspected::Ready(picture) => Ok(picture),
            Inspected::Convert(conversion) => {
                let memory = self.admission.memory(conversion.memory_bytes()).await;
                let (picture, _) = on_a_core((core, memory), move || conversion.run()).await?;
                Ok(picture)
            }
        }
    }

    /// Hands the picture to Kafka and waits for the acknowledgement.
    async fn publish(&self, id: FrameId, outgoing: Outgoing) -> Result<Submission, Problem> {
        let Picture {
            jpeg,
            width,
            height,
        } = outgoing.picture;
        let frame = Frame {
            id,
            model: outgoing.model,
            draw: outgoing.draw,
            deadline_ms: outgoing.deadline_ms,
            carried: Carried {
                trace: outgoing.trace,
                ..Carried::default()
            },
            ..Frame::new(source_of(id), Timestamp::now(), jpeg)
        };
        let mut submission = Submission {
            submitted_at: frame.captured_at,
            width,
            height,
            model: frame.model.clone(),
            place: None,
        };
        self.outcomes.note(id, Fate::Queued(submission.clone()));
        match self.send(&frame).await {
            Ok(place) => submission.place = Some(place),
            Err(problem) => {
                self.outcomes.forget(id);
                return Err(problem);
            }
        }
        self.outcomes.note(id, Fate::Queued(submission.clone()));
        Ok(submission)
    }

    async fn send(&self, frame: &Frame) -> Result<(i32, i64), Problem> {
        let record = encode_frame(frame);
        let delivery = self
            .outlet
            .send(&self.topics.frames(), &record)
            .map_err(|error| problems::of_sink(&error))?;
        match timeout(self.publish_timeout, delivery).await {
            Ok(Ok(delivered)) => Ok((delivered.partition, delivered.offset)),
            Ok(Err(error)) => Err(problems::of_sink(&error)),
            Err(_elapsed) => Err(problems::no_acknowledgement(self.publish_timeout)),
        }
    }

    async fn answer(&self, accepted: Accepted) -> Response {
        let id = accepted.id;
        let queued = Fate::Queued(accepted.submission);
        let Some(wait) = accepted.wait else {
            return answer::located(answer::frame(StatusCode::ACCEPTED, id, &queued), id);
        };
        let Some(fate) = self.fate_in_time(wait).await else {
            return answer::located(answer::frame(StatusCode::ACCEPTED, id, &queued), id);
        };
        // Below what the detector did, and over when the answer is ready.
        let _answering = self.traces.follow(ANSWER, fate.trace(), SystemTime::now());
        if let Fate::Failed(failure) = &fate {
            return answer::failure(failure).into_response();
        }
        if !accepted.wants_picture {
            return answer::located(answer::frame(StatusCode::OK, id, &fate), id);
        }
        match self.annotated(id, &fate).await {
            Ok(picture) => answer::located(answer::jpeg(picture), id),
            Err(problem) => problem.into_response(),
        }
    }

    async fn fate_in_time(&self, mut wait: Wait) -> Option<Fate> {
        let _counted = Counted::new(&self.metrics.waiting);
        timeout(wait.patience, wait.waiter.fate()).await.ok()
    }
}

/// Runs blocking work that holds its permits to the end, whoever still waits for it.
async fn on_a_core<P: Send + 'static, T: Send + 'static>(
    permits: P,
    work: impl FnOnce() -> Result<T, IntakeError> + Send + 'static,
) -> Result<(T, P), Problem> {
    let done = spawn_blocking(move || (work(), permits)).await;
    match done {
        Ok((Ok(value), permits)) => Ok((value, permits)),
        Ok((Err(error), _)) => Err(problems::of_intake(&error)),
        Err(error) => {
            tracing::error!(%error, "the intake broke on an upload");
            Err(problems::internal("reading the picture broke"))
        }
    }
}

/// The model of the query and that of the form must not contradict each other.
fn one_model(
    in_query: Option<ModelRef>,
    in_form: Option<ModelRef>,
) -> Result<Option<ModelRef>, Problem> {
    match (in_query, in_form) {
        (Some(a), Some(b)) if a != b => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_model",
            format!("the address asks for model {a}, the form for {b}"),
            "name the model in one place",
        )),
        (a, b) => Ok(a.or(b)),
    }
}

/// The caller's trace goes on with the frame.
fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
    TraceContext::new(text(TRACEPARENT)?, text(TRACESTATE))
}

/// Counts in a gauge for as long as it lives.
struct Counted<'a>(&'a prometheus::IntGauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
