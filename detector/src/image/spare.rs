//! Buffers of pictures that are done with, for the next ones: a fresh buffer of megabytes costs a page
//! fault for every four kilobytes, and zeroing on top.

use std::sync::{Mutex, PoisonError};

/// Smaller buffers come from the allocator's own stock; larger ones are too rare to be kept.
const KEPT_BYTES: std::ops::RangeInclusive<usize> = 256 << 10..=32 << 20;

/// What is kept at most: about what is between decoder and encoder at a time.
const MAX_BUFFERS: usize = 4;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer of this length; what is in it is left over from other pictures.
pub(super) fn take(bytes: usize) -> Vec<u8> {
    let mut buffer = find(bytes).unwrap_or_default();
    buffer.resize(bytes, 0);
    buffer
}

/// A spare one that is large enough, and not much too large.
fn find(bytes: usize) -> Option<Vec<u8>> {
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |buffer: &Vec<u8>| (bytes..=bytes.saturating_mul(2)).contains(&buffer.capacity());
    let position = spare.iter().position(fits)?;
    Some(spare.swap_remove(position))
}

/// Keeps the buffer for the next picture, if it is worth it.
pub(super) fn give_back(buffer: Vec<u8>) {
    if !KEPT_BYTES.contains(&buffer.capacity()) {
        return;
    }
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    // The oldest makes room, so that cameras that are gone leave nothing behind.
    if spare.len() == MAX_BUFFERS {
        spare.remove(0);
    }
    spare.push(buffer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_has_its_length_and_the_stock_stays_small() {
        for bytes in [0, 1, 300_000, 300_001, 280_000, 299_999] {
            let buffer = take(bytes);
            assert_eq!(buffer.len(), bytes);
            give_back(buffer);
        }
        for _ in 0..2 * MAX_BUFFERS {
            give_back(vec![1; 400_000]);
        }
        give_back(vec![1; 10]);
        give_back(vec![1; 40 << 20]);
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(spare.len() <= MAX_BUFFERS);
        assert!(
            spare
                .iter()
                .all(|buffer| KEPT_BYTES.contains(&buffer.capacity()))
        );
    }
}
