//! The embedded broker as a target: one that all cases share while any of them runs.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::process::BrokerProcess;

/// The broker that all cases share; gone with the last case that uses it.
pub(super) fn shared() -> Arc<BrokerProcess> {
    static SHARED: Mutex<Weak<BrokerProcess>> = Mutex::new(Weak::new());
    // A case that panicked here left nothing half done.
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(embedded) = shared.upgrade() {
        return embedded;
    }
    let embedded = Arc::new(BrokerProcess::start("shared", &[]));
    *shared = Arc::downgrade(&embedded);
    embedded
}
