//! How much may be going on at a time: bytes of uploads, conversions, and clients that wait.

use std::{sync::Arc, thread, time::Duration};

use axum::http::StatusCode;
use pipeline::service::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory for pictures that are being converted, all together. One picture may always go ahead.
const CONVERSION_MEMORY: u64 = 1 << 30;
/// Semaphores count in `u32`; memory is counted in these.
const UNIT: u64 = 1 << 10;
/// When to try again: most of what is in hand is done by then.
const COME_BACK: Duration = Duration::from_secs(1);

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_in_flight_bytes: u64,
    pub(crate) max_waiting: usize,
}

/// Room for uploads. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    bytes: Gate,
    conversion_memory: Gate,
    cores: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    max_waiting: usize,
}

/// A semaphore over bytes.
#[derive(Clone, Debug)]
struct Gate {
    semaphore: Arc<Semaphore>,
    all: u32,
}

impl Gate {
    fn new(bytes: u64) -> Self {
        let all = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX >> 4);
        let all = all.clamp(1, u32::MAX >> 4);
        Self {
            semaphore: Arc::new(Semaphore::new(all as usize)),
            all,
        }
    }

    /// What is larger than everything takes everything.
    fn units(&self, bytes: u64) -> u32 {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        units.min(self.all)
    }
}

impl Admission {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            bytes: Gate::new(bounds.max_in_flight_bytes),
            conversion_memory: Gate::new(CONVERSION_MEMORY),
            cores: Arc::new(Semaphore::new(cores)),
            waiting: Arc::new(Semaphore::new(bounds.max_waiting)),
            max_waiting: bounds.max_waiting,
        }
    }

    /// Room for the bytes of an upload, before they are read.
    pub(crate) fn enter(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Problem> {
        let units = self.bytes.units(bytes);
        try_acquire(&self.bytes.semaphore, units).ok_or_else(|| {
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "busy",
                "as many uploads as fit are on their way already",
                "send it again a little later; see --max-in-flight",
            )
            .retry_after(COME_BACK)
        })
    }

    /// Room for a client that waits for its result.
    pub(crate) fn wait(&self) -> Result<OwnedSemaphorePermit, Problem> {
        try_acquire(&self.waiting, 1).ok_or_else(|| {
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_waiting",
                format!(
                    "{} clients wait for their results already",
                    self.max_waiting
                ),
                "send it without wait, and ask for the result at the address in the answer",
            )
            .retry_after(COME_BACK)
        })
    }

    /// A core to work on.
    pub(crate) async fn core(&self) -> OwnedSemaphorePermit {
        let permit = Arc::clone(&self.cores).acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }

    /// Memory for a conversion.
    pub(crate) async fn memory(&self, bytes: u64) -> OwnedSemaphorePermit {
        let gate = &self.conversion_memory;
        let permit = Arc::clone(&gate.semaphore).acquire_many_owned(gate.units(bytes));
        permit.await.expect("the semaphore is never closed")
    }
}

fn try_acquire(semaphore: &Arc<Semaphore>, units: u32) -> Option<OwnedSemaphorePermit> {
    // An error means that there is no room: the semaphores are never closed.
    Arc::clone(semaphore).try_acquire_many_owned(units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::new(Bounds {
            max_in_flight_bytes: 100 << 10,
            max_waiting: 1,
        })
    }

    #[test]
    fn uploads_over_the_budget_are_asked_to_come_back() {
        let admission = admission();
        let first = admission.enter(60 << 10).unwrap();
        let problem = admission.enter(60 << 10).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (429, "busy"));
        assert!(admission.enter(40 << 10).is_ok());
        drop(first);
        assert!(admission.enter(100 << 10).is_ok());
    }

    #[test]
    fn one_that_is_larger_than_all_room_may_go_alone() {
        let admission = admission();
        let alone = admission.enter(u64::MAX).unwrap();
        assert!(admission.enter(1).is_err());
        drop(alone);
        assert!(admission.enter(1).is_ok());
    }

    #[test]
    fn waiting_clients_are_counted() {
        let admission = admission();
        let _first = admission.wait().unwrap();
        assert_eq!(admission.wait().unwrap_err().code(), "too_many_waiting");
    }
}
