//! The compressed counts of COCO, both ways: each run as a difference to the run before the previous
//! one, in groups of five bits, each group one printable character.

use super::runs::RunBuilder;
use super::{MAX_PIXELS, Mask, MaskError, checked_pixels};

const FIRST_CHARACTER: u8 = b'0';
const GROUP_BITS: u32 = 5;
const GROUP_MASK: i64 = 0x1f;
const SIGN_BIT: i64 = 0x10;
const CONTINUES: i64 = 0x20;
/// Enough for any difference of two runs; longer numbers are not from any encoder.
const MAX_GROUPS: u32 = 7;

impl Mask {
    /// The compressed counts, exactly as pycocotools' `encode` writes them.
    pub fn counts(&self) -> String {
        let mut text = String::with_capacity(self.runs.len() * 2);
        for (index, &run) in self.runs.iter().enumerate() {
            let base = if index > 2 { self.runs[index - 2] } else { 0 };
            push_number(&mut text, i64::from(run) - i64::from(base));
        }
        text
    }

    /// Reads compressed counts for a mask of `size` (height, width).
    ///
    /// Safe on hostile input: memory is bounded by the length of `counts`, and a string that does not
    /// describe exactly `size` is refused.
    pub fn from_counts(size: [u32; 2], counts: &str) -> Result<Self, MaskError> {
        let [height, width] = size;
        let expected = checked_pixels(width, height)?;
        let mut builder = RunBuilder::default();
        let mut covered: u64 = 0;
        // The two runs before the current one, older first.
        let mut previous = [0_i64; 2];
        for (index, number) in Numbers::new(counts).enumerate() {
            let (difference, position) = number?;
            let base = if index > 2 { previous[0] } else { 0 };
            let run = base + difference;
            if !(0..=i64::from(MAX_PIXELS)).contains(&run) {
                return Err(MaskError::Run { position });
            }
            previous = [previous[1], run];
            covered += run as u64;
            if covered > u64::from(expected) {
                return Err(MaskError::Coverage {
                    covered,
                    expected: expected.into(),
                });
            }
            builder.push(index % 2 == 1, run as u32);
        }
        if covered != u64::from(expected) {
            return Err(MaskError::Coverage {
                covered,
                expected: expected.into(),
            });
        }
        Ok(Self {
            width,
            height,
            runs: builder.finish(),
        })
    }
}

fn push_number(text: &mut String, mut number: i64) {
    loop {
        let group = number & GROUP_MASK;
        number >>= GROUP_BITS;
        let is_last = if group & SIGN_BIT == 0 {
            number == 0
        } else {
            number == -1
        };
        let code = if is_last { group } else { group | CONTINUES };
        text.push(char::from(FIRST_CHARACTER + code as u8));
        if is_last {
            return;
        }
    }
}

/// The numbers of a counts string, each with the position of its last character.
struct Numbers<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Numbers<'a> {
    fn new(counts: &'a str) -> Self {
        Self {
            bytes: counts.as_bytes(),
            position: 0,
        }
    }

    fn read_number(&mut self) -> Result<(i64, usize), MaskError> {
        let mut number = 0;
        for group in 0..MAX_GROUPS {
            let position = self.position;
            let &byte = self.bytes.get(position).ok_or(MaskError::Truncated)?;
            let code = match byte.checked_sub(FIRST_CHARACTER) {
                Some(code) if code < 64 => i64::from(code),
                _ => return Err(MaskError::Character { position, byte }),
            };
            self.position += 1;
            number |= (code & GROUP_MASK) << (GROUP_BITS * group);
            if code & CONTINUES == 0 {
                if code & SIGN_BIT != 0 {
                    number |= -1 << (GROUP_BITS * (group + 1));
                }
                return Ok((number, position));
            }
        }
        Err(MaskError::Run {
            position: self.position - 1,
        })
    }
}

impl Iterator for Numbers<'_> {
    type Item = Result<(i64, usize), MaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.position < self.bytes.len()).then(|| self.read_number())
    }
}
