//! How large a batch becomes, and how long it waits for more frames.

use std::time::Duration;

use crate::model::manifest::{Manifest, Queueing};

/// What holds for the batches of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BatchRule {
    /// Frames that go at once at most.
    pub(crate) max_size: usize,
    pub(crate) queueing: Queueing,
}

/// One by one, until more is known of the model.
impl Default for BatchRule {
    fn default() -> Self {
        Self {
            max_size: 1,
            queueing: Queueing::default(),
        }
    }
}

impl BatchRule {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self {
            max_size: manifest.max_batch_size,
            queueing: manifest.queueing.clone(),
        }
    }

    /// The same without any wait.
    pub(crate) fn at_once(mut self) -> Self {
        self.queueing.max_delay = Duration::ZERO;
        self
    }

    pub(crate) fn max_delay(&self) -> Duration {
        self.queueing.max_delay
    }

    /// How many of so many waiting frames go; none where more are worth waiting for. The largest
    /// preferred size that is there goes at once. Without one, and unless `is_due`, what is there
    /// waits for one, or for a full batch where no size is preferred.
    pub(crate) fn size(&self, waiting: usize, is_due: bool) -> Option<usize> {
        let waiting = waiting.min(self.max_size);
        let preferred = self.queueing.preferred_sizes.iter().rev();
        let ready = preferred.copied().find(|&size| size <= waiting);
        let is_enough = is_due || waiting == self.max_size;
        ready.or_else(|| is_enough.then_some(waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(max_size: usize, preferred_sizes: &[usize]) -> BatchRule {
        BatchRule {
            max_size,
            queueing: Queueing {
                max_delay: Duration::from_millis(5),
                preferred_sizes: preferred_sizes.to_vec(),
            },
        }
    }

    #[test]
    fn without_preferred_sizes_a_batch_is_full_or_due() {
        let rule = rule(4, &[]);
        assert_eq!(rule.size(3, false), None);
        assert_eq!(rule.size(3, true), Some(3));
        assert_eq!(rule.size(4, false), Some(4));
        assert_eq!(rule.size(9, false), Some(4), "no more than the model takes");
    }

    #[test]
    fn the_largest_preferred_size_that_is_there_goes_at_once() {
        let rule = rule(8, &[2, 4]);
        assert_eq!(rule.size(1, false), None);
        assert_eq!(rule.size(1, true), Some(1), "it has waited long enough");
        assert_eq!(rule.size(3, false), Some(2));
        assert_eq!(rule.size(7, false), Some(4));
        assert_eq!(rule.size(9, true), Some(4));
    }
}
