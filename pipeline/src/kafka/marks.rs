//! What a member that died leaves to whoever takes its partition over: a mark in the metadata of the
//! committed offset.
//!
//! A mark is written *before* a record is handed out, so that no crash comes faster than its mark:
//! `open` says below which offset records may be in somebody's hands. A member that leaves in good
//! order writes `clean`. Whoever finds an `open` mark hands those records out one at a time and
//! writes before each which one it is and how often it was tried: a record that kills its reader
//! is known by that after two deaths at most.

use std::fmt;

/// Records that one mark opens: a commit for each so many.
pub(super) const AHEAD: i64 = 64;

/// What stands at the beginning of our marks, so that others are not taken for them.
const NAME: &str = "kadr-1";

/// A partition's state in words, for the next owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing is in hand; also what a group has that never wrote marks.
    #[default]
    Clean,
    /// Records below this offset may be in hand.
    Open { until: i64 },
    /// The record at `offset` is in hand, alone, for the `attempt`th time; the others below `until`
    /// come after it.
    Trying {
        offset: i64,
        attempt: u32,
        until: i64,
    },
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => write!(formatter, "{NAME} clean"),
            Self::Open { until } => write!(formatter, "{NAME} open {until}"),
            Self::Trying {
                offset,
                attempt,
                until,
            } => write!(formatter, "{NAME} trying {offset} {attempt} {until}"),
        }
    }
}

impl Mark {
    /// Reads what stands at a committed offset. What is not ours says nothing.
    pub(super) fn parse(metadata: &str) -> Self {
        Self::parse_own(metadata).unwrap_or_default()
    }

    fn parse_own(metadata: &str) -> Option<Self> {
        let mut words = metadata.strip_prefix(NAME)?.split_ascii_whitespace();
        match words.next()? {
            "open" => Some(Self::Open {
                until: words.next()?.parse().ok()?,
            }),
            "trying" => Some(Self::Trying {
                offset: words.next()?.parse().ok()?,
                attempt: words.next()?.parse().ok()?,
                until: words.next()?.parse().ok()?,
            }),
            _ => None,
        }
    }

    /// The first offset that was surely in nobody's hands.
    pub(super) fn until(self) -> Option<i64> {
        match self {
            Self::Clean => None,
            Self::Open { until } | Self::Trying { until, .. } => Some(until),
        }
    }
}

/// The marks of one partition during one assignment.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartitionMarks {
    /// What the last owner left.
    found: Mark,
    /// Records below were perhaps in hand when the last owner died.
    suspect_below: i64,
    /// What is written now; `Clean` until the first record.
    written: Mark,
}

impl PartitionMarks {
    /// Takes a partition over. Behind `end` no record stood when that was looked up.
    pub(super) fn taken_over(found: Mark, end: Option<i64>) -> Self {
        let until = found.until().unwrap_or(i64::MIN);
        Self {
            found,
            suspect_below: end.map_or(until, |end| until.min(end)),
            written: Mark::Clean,
        }
    }

    /// Whether the record may have been in the hands of an owner that died.
    pub(super) fn is_suspect(&self, offset: i64) -> bool {
        offset < self.suspect_below
    }

    /// How often the record may have been tried by others.
    pub(super) fn attempts_before(&self, offset: i64) -> u32 {
        match self.found {
            Mark::Trying {
                offset: tried,
                attempt,
                ..
            } if tried == offset => attempt,
            _ => u32::from(self.is_suspect(offset)),
        }
    }

    /// What has to be written before this record is handed out; nothing when that is done.
    pub(super) fn wanted(&self, offset: i64) -> Option<Mark> {
        if self.is_suspect(offset) {
            return Some(Mark::Trying {
                offset,
                attempt: self.attempts_before(offset).saturating_add(1),
                until: self.suspect_below,
            });
        }
        let is_open = matches!(self.written, Mark::Open { until } if offset < until);
        let until = offset.saturating_add(AHEAD);
        (!is_open).then_some(Mark::Open { until })
    }

    /// Kafka has the mark.
    pub(super) fn written(&mut self, mark: Mark) {
        self.written = mark;
    }

    /// What stands beside a committed offset while the partition is ours.
    pub(super) fn beside(&self, committed: i64) -> Mark {
        match self.written {
            Mark::Trying { offset, until, .. } if offset < committed => Mark::Open { until },
            Mark::Clean => self.found,
            written => written,
        }
    }

    /// What stands beside the last committed offset of a partition that leaves with nothing in hand.
    pub(super) fn at_leave(&self, committed: i64) -> Mark {
        if !self.is_suspect(committed) {
            return Mark::Clean;
        }
        // They stay suspects of the death that was found, and what is known of one stays known.
        match self.found {
            Mark::Trying { offset, .. } if offset >= committed => self.found,
            _ => Mark::Open {
                until: self.suspect_below,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRYING: Mark = Mark::Trying {
        offset: 12,
        attempt: 2,
        until: 20,
    };

    fn clean() -> PartitionMarks {
        PartitionMarks::taken_over(Mark::Clean, None)
    }

    #[test]
    fn marks_are_read_as_they_are_written() {
        for mark in [Mark::Clean, Mark::Open { until: 7 }, TRYING] {
            assert_eq!(Mark::parse(&mark.to_string()), mark);
        }
    }

    #[test]
    fn what_is_not_ours_says_nothing() {
        for metadata in [
            "",
            "a note of somebody else",
            "kadr-2 open 7",
            "kadr-1",
            "kadr-1 open",
            "kadr-1 open many",
            "kadr-1 trying 1 2",
        ] {
            assert_eq!(Mark::parse(metadata), Mark::Clean, "{metadata:?}");
        }
    }

    #[test]
    fn a_clean_partition_is_opened_before_its_first_record_and_then_once_in_a_while() {
        let mut marks = clean();
        let opening = Mark::Open { until: 5 + AHEAD };
        assert_eq!(marks.wanted(5), Some(opening));
        assert_eq!(marks.attempts_before(5), 0);
        marks.written(opening);
        assert_eq!(marks.wanted(5), None);
        assert_eq!(marks.wanted(4 + AHEAD), None);
        assert!(marks.wanted(5 + AHEAD).is_some());
        assert_eq!(marks.beside(6), opening);
        assert_eq!(marks.at_leave(6), Mark::Clean);
    }

    #[test]
    fn after_a_death_records_are_tried_one_by_one_and_counted() {
        let mut marks = PartitionMarks::taken_over(Mark::Open { until: 300 }, Some(12));
        assert!(marks.is_suspect(11));
        assert!(!marks.is_suspect(12), "it was written later");
        let trying = |offset| Mark::Trying {
            offset,
            attempt: 2,
            until: 12,
        };
        assert_eq!(marks.wanted(10), Some(trying(10)));
        marks.written(trying(10));
        assert_eq!(marks.beside(10), trying(10), "it is still in hand");
        assert_eq!(marks.beside(11), Mark::Open { until: 12 });
        assert_eq!(marks.wanted(11), Some(trying(11)));
        marks.written(trying(11));
        assert_eq!(marks.wanted(12), Some(Mark::Open { until: 12 + AHEAD }));
    }

    #[test]
    fn a_record_that_kills_again_and_again_is_known_by_its_number() {
        let marks = PartitionMarks::taken_over(TRYING, Some(100));
        assert_eq!(marks.attempts_before(12), 2);
        assert_eq!(marks.attempts_before(13), 1, "in hand at the first death");
        assert_eq!(marks.attempts_before(20), 0);
        let again = Mark::Trying {
            offset: 12,
            attempt: 3,
            until: 20,
        };
        assert_eq!(marks.wanted(12), Some(again));
    }

    #[test]
    fn who_leaves_before_the_suspects_are_through_says_so() {
        let marks = PartitionMarks::taken_over(TRYING, Some(100));
        assert_eq!(marks.at_leave(12), TRYING);
        assert_eq!(marks.at_leave(13), Mark::Open { until: 20 });
        assert_eq!(marks.at_leave(20), Mark::Clean);
        assert_eq!(marks.beside(12), TRYING, "nothing was read yet");
    }
}
