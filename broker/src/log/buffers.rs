//! Buffers for reading, used again and again: fresh memory for every answer costs more than the copy
//! out of the page cache.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::sync::lock;
use crate::buffer::Buffer;

/// What clients ask of one partition by default.
const BUFFER_BYTES: usize = 1 << 20;
/// Kept for later; as many as one answer needs at most by default.
const MAX_KEPT: usize = 8;

/// Buffers that nobody uses at the moment.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Buffer>>);

/// A buffer on loan, as `Bytes` that give it back when the last of them is dropped.
pub(super) struct Loan {
    buffer: Option<Buffer>,
    length: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    /// A buffer of this length; what is in it is left over from before.
    pub(super) fn lend(self: &Arc<Self>, length: usize) -> io::Result<Loan> {
        // A small answer in a large buffer would take memory that nobody has counted.
        let is_worth_it = (BUFFER_BYTES / 2..=BUFFER_BYTES).contains(&length);
        let kept = if is_worth_it {
            lock(&self.0).pop()
        } else {
            None
        };
        let buffer = match kept {
            Some(buffer) => buffer,
            None if is_worth_it => Buffer::zeroed(BUFFER_BYTES)?,
            None => Buffer::zeroed(length)?,
        };
        Ok(Loan {
            buffer: Some(buffer),
            length,
            home: Arc::clone(self),
        })
    }
}

impl Loan {
    pub(super) fn filled(&mut self) -> &mut [u8] {
        let buffer = self.buffer.as_mut().expect("only dropping takes it");
        &mut buffer[..self.length]
    }

    /// The first `length` bytes.
    pub(super) fn into_bytes(mut self, length: usize) -> Bytes {
        self.length = length.min(self.length);
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        let buffer = self.buffer.as_ref().expect("only dropping takes it");
        &buffer[..self.length]
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut kept = lock(&self.home.0);
        if let Some(buffer) = self.buffer.take()
            && buffer.len() == BUFFER_BYTES
            && kept.len() < MAX_KEPT
        {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(buffers: &Buffers) -> usize {
        lock(&buffers.0).len()
    }

    #[test]
    fn a_buffer_comes_back_when_its_last_reader_is_done() {
        let buffers = Arc::new(Buffers::default());
        let mut loan = buffers.lend(BUFFER_BYTES - 1).unwrap();
        loan.filled()[..5].copy_from_slice(b"01234");
        let bytes = loan.into_bytes(4);
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!((&part[..], kept(&buffers)), (&b"123"[..], 0));
        drop(part);
        assert_eq!(kept(&buffers), 1);
        drop(buffers.lend(BUFFER_BYTES).unwrap());
        assert_eq!(kept(&buffers), 1);
    }

    #[test]
    fn neither_small_nor_large_buffers_nor_many_are_kept() {
        let buffers = Arc::new(Buffers::default());
        for length in [0, 1, BUFFER_BYTES / 2 - 1, BUFFER_BYTES + 1] {
            assert_eq!(buffers.lend(length).unwrap().filled().len(), length);
            assert_eq!(kept(&buffers), 0);
        }
        let many: Vec<_> = (0..MAX_KEPT + 3)
            .map(|_| buffers.lend(BUFFER_BYTES).unwrap())
            .collect();
        drop(many);
        assert_eq!(kept(&buffers), MAX_KEPT);
    }
}
