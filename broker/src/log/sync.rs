//! Locks that outlive a panicking holder, and the store's memory of disk trouble.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Every critical section leaves its data whole, so a poisoned lock is still good.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn read_lock<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write_lock<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// The last failed write and the last failed flush; each ends with the next that works.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    write: Mutex<Option<String>>,
    flush: Mutex<Option<String>>,
}

impl Trouble {
    pub(super) fn report(&self, folder: &Path, error: &io::Error) {
        report(
            &self.write,
            &format!("cannot write to {}", folder.display()),
            error,
        );
    }

    pub(super) fn report_flush(&self, folder: &Path, error: &io::Error) {
        report(
            &self.flush,
            &format!("cannot flush {}", folder.display()),
            error,
        );
    }

    pub(super) fn write_worked(&self) {
        clear(&self.write);
    }

    pub(super) fn flush_worked(&self) {
        clear(&self.flush);
    }

    pub(super) fn current(&self) -> Option<String> {
        lock(&self.flush)
            .clone()
            .or_else(|| lock(&self.write).clone())
    }
}

/// Logged once as it begins: every refused append would else be a line.
fn report(place: &Mutex<Option<String>>, what: &str, error: &io::Error) {
    let said =
        format!("{what}: {error}; free space or mend the disk, appends then go on by themselves");
    let before = lock(place).replace(said.clone());
    if before.is_none() {
        tracing::error!("{said}");
    }
}

fn clear(place: &Mutex<Option<String>>) {
    if lock(place).take().is_some() {
        tracing::info!("the disk works again");
    }
}
