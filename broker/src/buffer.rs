//! Memory for what passes through: requests as they come, records as they go.

use std::{
    io,
    ops::{Deref, DerefMut},
};

use bytes::Bytes;
use memmap2::MmapMut;

/// From this size on a buffer is a mapping of its own. An allocator keeps much of what large
/// buffers of changing sizes and threads give back, and the process would grow to several times
/// what it uses.
const MAPPED_BYTES: usize = 128 << 10;

/// Bytes to be filled, then shared.
#[derive(Debug)]
pub(crate) enum Buffer {
    Allocated(Vec<u8>),
    /// Not touched, it takes no memory; dropped, it is the system's again at once.
    Mapped(MmapMut),
}

impl Buffer {
    /// A buffer of zeros.
    pub(crate) fn zeroed(length: usize) -> io::Result<Self> {
        if length < MAPPED_BYTES {
            Ok(Self::Allocated(vec![0; length]))
        } else {
            MmapMut::map_anon(length).map(Self::Mapped)
        }
    }

    /// The content, for any number of readers; the memory goes with the last of them.
    pub(crate) fn freeze(self) -> Bytes {
        match self {
            Self::Allocated(memory) => Bytes::from(memory),
            Self::Mapped(memory) => Bytes::from_owner(memory),
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Allocated(memory) => memory,
            Self::Mapped(memory) => memory,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Allocated(memory) => memory,
            Self::Mapped(memory) => memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 5] = [0, 1, MAPPED_BYTES - 1, MAPPED_BYTES, MAPPED_BYTES + 1];

    #[test]
    fn a_buffer_of_any_size_becomes_the_bytes_it_was_filled_with() {
        for size in SIZES {
            let mut buffer = Buffer::zeroed(size).unwrap();
            assert_eq!(*buffer, vec![0; size]);
            buffer.fill(7);
            assert_eq!(buffer.freeze(), vec![7; size]);
        }
    }

    /// What an allocator does not do: memory below a buffer that is still in use stays with it.
    #[cfg(target_os = "linux")]
    #[test]
    fn memory_of_large_buffers_is_given_back_while_a_later_one_lives() {
        const COUNT: usize = 128;
        let filled = || {
            let mut buffer = Buffer::zeroed(1 << 20).unwrap();
            buffer.fill(7);
            buffer.freeze()
        };
        // Freed once, an allocator takes the next of this size from its heap.
        drop(filled());
        let mut buffers: Vec<Bytes> = (0..COUNT).map(|_| filled()).collect();
        let full_bytes = resident_bytes();
        let last = buffers.pop();
        drop(buffers);
        let freed_bytes = full_bytes.saturating_sub(resident_bytes());
        // Other tests run beside this one, hence not all of it.
        assert!(freed_bytes > (COUNT / 2) << 20, "{freed_bytes}");
        drop(last);
    }

    #[cfg(target_os = "linux")]
    fn resident_bytes() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        // The least there is: larger pages make the difference larger.
        pages * 4096
    }
}
