//! Which leader epoch began at which offset; here every run of the broker is an epoch.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochEnd {
    pub leader_epoch: i32,
    pub end_offset: i64,
}

impl EpochEnd {
    pub(super) const UNKNOWN: Self = Self {
        leader_epoch: -1,
        end_offset: -1,
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Start {
    epoch: i32,
    offset: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Epochs {
    starts: Vec<Start>,
}

impl Epochs {
    /// An epoch in which nothing was written gives way to the next.
    pub(super) fn begin(&mut self, epoch: i32, offset: i64) {
        if self.starts.last().is_some_and(|last| last.epoch >= epoch) {
            return;
        }
        self.cut_from(offset);
        self.starts.push(Start { epoch, offset });
    }

    pub(super) fn cut_from(&mut self, offset: i64) {
        self.starts.retain(|start| start.offset < offset);
    }

    /// The epoch in which `log_start` lies stays.
    pub(super) fn forget_before(&mut self, log_start: i64) {
        let begun = self
            .starts
            .partition_point(|start| start.offset <= log_start);
        self.starts.drain(..begun.saturating_sub(1));
    }

    pub(super) fn newest(&self) -> i32 {
        self.starts.last().map_or(-1, |start| start.epoch)
    }

    pub(super) fn end_of(&self, epoch: i32, log_end: i64) -> EpochEnd {
        let begun = self.starts.partition_point(|start| start.epoch <= epoch);
        let Some(next) = self.starts.get(begun) else {
            let known = epoch >= 0 && epoch == self.newest();
            return if known {
                EpochEnd {
                    leader_epoch: epoch,
                    end_offset: log_end,
                }
            } else {
                EpochEnd::UNKNOWN
            };
        };
        if epoch < 0 {
            return EpochEnd::UNKNOWN;
        }
        EpochEnd {
            // Older than all we know: Kafka gives the asked epoch back, ending where the first known one starts.
            leader_epoch: begun
                .checked_sub(1)
                .map_or(epoch, |last| self.starts[last].epoch),
            end_offset: next.offset,
        }
    }
}

#[cfg(test)]
#[path = "epochs_tests.rs"]
mod tests;
