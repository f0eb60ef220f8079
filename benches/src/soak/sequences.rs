//! Whether a partition's records come once each and in order.

/// What one consumer has read, per partition.
pub(super) struct Sequences {
    next: Vec<u64>,
}

/// A record that was not the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// So many records before it did not come.
    Missing(u64),
    /// It, or a later one, had come before.
    Again,
}

impl Sequences {
    pub(super) fn new(partitions: u16) -> Self {
        Self {
            next: vec![0; usize::from(partitions)],
        }
    }

    /// Takes note of a record. After a gap it goes on from what came.
    pub(super) fn accept(&mut self, partition: usize, sequence: u64) -> Result<(), Fault> {
        let next = &mut self.next[partition];
        if sequence < *next {
            return Err(Fault::Again);
        }
        let missing = sequence - *next;
        *next = sequence + 1;
        if missing > 0 {
            Err(Fault::Missing(missing))
        } else {
            Ok(())
        }
    }

    /// The sequence number expected next, per partition.
    pub(super) fn next(&self) -> &[u64] {
        &self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_in_order_are_accepted_per_partition() {
        let mut sequences = Sequences::new(2);
        for (partition, sequence) in [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)] {
            assert_eq!(sequences.accept(partition, sequence), Ok(()));
        }
        assert_eq!(sequences.next(), [3, 2]);
    }

    #[test]
    fn a_gap_is_counted_once() {
        let mut sequences = Sequences::new(1);
        assert_eq!(sequences.accept(0, 3), Err(Fault::Missing(3)));
        assert_eq!(sequences.accept(0, 4), Ok(()));
    }

    #[test]
    fn a_record_that_comes_again_changes_nothing_else() {
        let mut sequences = Sequences::new(1);
        sequences.accept(0, 0).unwrap();
        sequences.accept(0, 1).unwrap();
        assert_eq!(sequences.accept(0, 0), Err(Fault::Again));
        assert_eq!(sequences.accept(0, 1), Err(Fault::Again));
        assert_eq!(sequences.accept(0, 2), Ok(()));
    }
}
