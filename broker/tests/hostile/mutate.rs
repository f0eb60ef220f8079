//! Mutations of requests: small ones that get far, and wild ones that do not.

/// Numbers on which parsers fall over.
const EDGES: [i64; 12] = [
    0,
    -1,
    1,
    i64::MAX,
    i64::MIN,
    i32::MAX as i64,
    i32::MIN as i64,
    i16::MAX as i64,
    i16::MIN as i64,
    0x7F,
    0x80,
    0xFFFF_FFFF,
];

/// A generator with a seed of its own, so that a failure can be repeated.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    /// The request with one to three things wrong; in half of them it is one changed byte, which
    /// gets furthest.
    pub(crate) fn mutate(&mut self, mut frame: Vec<u8>) -> Vec<u8> {
        if self.below(2) == 0 {
            let at = self.below(frame.len());
            frame[at] ^= 1 << self.below(8);
            return frame;
        }
        for _ in 0..=self.below(3) {
            self.mutate_once(&mut frame);
        }
        frame
    }

    fn mutate_once(&mut self, frame: &mut Vec<u8>) {
        let at = self.below(frame.len());
        match self.below(7) {
            0 => {
                if let Some(byte) = frame.get_mut(at) {
                    *byte ^= 1 << (self.0 % 8);
                }
            }
            1 => {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = self.0 as u8;
                }
            }
            2 => frame.truncate(at),
            3 => frame.insert(at, self.0 as u8),
            4 => {
                let end = (at + self.below(16)).min(frame.len());
                frame.drain(at..end);
            }
            5 => {
                let end = (at + self.below(64)).min(frame.len());
                let copied = frame[at..end].to_vec();
                frame.extend(copied);
            }
            _ => {
                let edge = EDGES[self.below(EDGES.len())].to_be_bytes();
                let width = [1, 2, 4, 8][self.below(4)];
                let end = (at + width).min(frame.len());
                frame[at..end].copy_from_slice(&edge[8 - (end - at)..]);
            }
        }
    }
}
