//! A request body under limits: how long it may be, and how slowly it may come.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// The least that must come in a stretch of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeastRate {
    pub(crate) bytes: u64,
    pub(crate) within: Duration,
}

/// A client slower than 1 KiB/s only holds our memory.
pub(crate) const LEAST_RATE: LeastRate = LeastRate {
    bytes: 10 << 10,
    within: Duration::from_secs(10),
};

/// Why a body was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyFault {
    #[error("the upload is larger than {max_bytes} bytes")]
    TooLarge { max_bytes: u64 },
    #[error("less than {bytes} bytes came within {within:?}")]
    TooSlow { bytes: u64, within: Duration },
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    pub(super) max_bytes: u64,
    pub(super) least_rate: LeastRate,
}

/// A body that ends with an error as soon as it breaks a limit.
pub(super) struct GuardedBody {
    inner: Body,
    limits: BodyLimits,
    received: u64,
    in_stretch: u64,
    stretch_end: Pin<Box<Sleep>>,
    fault: Fault,
}

/// Remembers why a body ended early, for readers that wrap its error in their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault(Arc<OnceLock<BodyFault>>);

impl Fault {
    pub(super) fn get(&self) -> Option<BodyFault> {
        self.0.get().cloned()
    }
}

impl GuardedBody {
    pub(super) fn new(inner: Body, limits: BodyLimits) -> (Self, Fault) {
        let fault = Fault::default();
        let body = Self {
            inner,
            limits,
            received: 0,
            in_stretch: 0,
            stretch_end: Box::pin(sleep(limits.least_rate.within)),
            fault: fault.clone(),
        };
        (body, fault)
    }

    fn fail(&self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        // The first fault is the cause.
        let fault = self.fault.0.get_or_init(|| fault).clone();
        Poll::Ready(Some(Err(fault)))
    }

    /// Ends the stretch if it is over; false when too little came in it.
    fn keeps_its_rate(&mut self, context: &mut Context<'_>) -> bool {
        while self.stretch_end.as_mut().poll(context).is_ready() {
            if self.in_stretch < self.limits.least_rate.bytes {
                return false;
            }
            self.in_stretch = 0;
            let next = Instant::now() + self.limits.least_rate.within;
            self.stretch_end.as_mut().reset(next);
        }
        true
    }
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let LeastRate { bytes, within } = self.limits.least_rate;
        if polled.is_pending() && !self.keeps_its_rate(context) {
            return self.fail(BodyFault::TooSlow { bytes, within });
        }
        let Some(frame) = ready!(polled) else {
            return Poll::Ready(None);
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return self.fail(BodyFault::Broken(error.to_string())),
        };
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.received += bytes;
        self.in_stretch += bytes;
        if self.received > self.limits.max_bytes {
            let max_bytes = self.limits.max_bytes;
            return self.fail(BodyFault::TooLarge { max_bytes });
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures::{StreamExt, stream};

    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        max_bytes: 100,
        least_rate: LeastRate {
            bytes: 20,
            within: Duration::from_secs(10),
        },
    };

    async fn read(body: Body) -> (Option<Bytes>, Option<BodyFault>) {
        let (body, fault) = GuardedBody::new(body, LIMITS);
        let read = to_bytes(Body::new(body), usize::MAX).await;
        (read.ok(), fault.get())
    }

    /// Pieces of this size, one a second.
    fn drip(piece: usize, count: usize) -> Body {
        let pieces = stream::iter(0..count).then(move |_| async move {
            sleep(Duration::from_secs(1)).await;
            Ok::<_, std::io::Error>(vec![7_u8; piece])
        });
        Body::from_stream(pieces)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_within_the_limits_comes_whole() {
        let (read, fault) = read(drip(4, 25)).await;
        assert_eq!((read.map(|bytes| bytes.len()), fault), (Some(100), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_too_many_ends_it() {
        let (read, fault) = read(Body::from(vec![0; 101])).await;
        assert_eq!(read, None);
        assert_eq!(fault, Some(BodyFault::TooLarge { max_bytes: 100 }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_ends_it() {
        let (read, fault) = read(drip(1, 60)).await;
        assert_eq!(read, None);
        assert!(matches!(fault, Some(BodyFault::TooSlow { bytes: 20, .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it() {
        let silent = stream::pending::<Result<Bytes, std::io::Error>>();
        let (_, fault) = read(Body::from_stream(silent)).await;
        assert!(matches!(fault, Some(BodyFault::TooSlow { .. })));
    }
}
