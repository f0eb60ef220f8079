//! A slot that holds the newest value only: a slow taker misses old values instead of delaying new ones.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// One place between a producer that never waits and a taker that always gets the newest value.
#[derive(Debug)]
pub(crate) struct Newest<T> {
    place: Mutex<Option<T>>,
    filled: Notify,
}

impl<T> Newest<T> {
    pub(crate) fn new() -> Self {
        Self {
            place: Mutex::new(None),
            filled: Notify::new(),
        }
    }

    /// Puts a value in; what was still waiting there comes back, so that its loss can be counted.
    pub(crate) fn put(&self, value: T) -> Option<T> {
        let displaced = self.lock().replace(value);
        self.filled.notify_one();
        displaced
    }

    /// Waits for a value and takes it out.
    pub(crate) async fn take(&self) -> T {
        loop {
            if let Some(value) = self.lock().take() {
                return value;
            }
            self.filled.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<T>> {
        // A panic while holding the lock leaves a whole value or none; both are fine to go on with.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Newest;

    #[tokio::test]
    async fn the_newest_value_wins_and_the_displaced_one_comes_back() {
        let slot = Newest::new();
        assert_eq!(slot.put(1), None);
        assert_eq!(slot.put(2), Some(1));
        assert_eq!(slot.take().await, 2);
        assert_eq!(slot.put(3), None, "a taken value is not displaced");
    }

    #[tokio::test]
    async fn a_waiting_taker_wakes() {
        let slot = std::sync::Arc::new(Newest::new());
        let taker = tokio::spawn({
            let slot = slot.clone();
            async move { slot.take().await }
        });
        tokio::task::yield_now().await;
        slot.put(7);
        assert_eq!(taker.await.unwrap(), 7);
    }
}
