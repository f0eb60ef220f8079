//! The numbers that a network is fed, and how one channel of a picture becomes its part of them.

use super::geometry::Placement;

/// Input numbers, written frame by frame. The memory outlives the run: what is written over need not
/// be zeroed first.
#[derive(Debug, Default)]
pub struct TensorBuffer {
    values: Vec<f32>,
    filled: usize,
}

impl TensorBuffer {
    /// Begins anew.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// What was written since.
    pub fn values(&self) -> &[f32] {
        &self.values[..self.filled]
    }

    /// Room for so many more values, all of which the caller writes: they hold what was there before.
    pub(super) fn room(&mut self, count: usize) -> &mut [f32] {
        let start = self.filled;
        self.filled += count;
        if self.values.len() < self.filled {
            self.values.resize(self.filled, 0.0);
        }
        &mut self.values[start..self.filled]
    }
}

/// One channel of the tensor: a plane, or every third value.
#[derive(Clone, Copy)]
pub(super) struct Lane {
    pub(super) placement: Placement,
    pub(super) gain: f32,
    pub(super) bias: f32,
    /// Value of the padding before gain and bias.
    pub(super) pad: f32,
    /// From one pixel's value to the next one's.
    pub(super) step: usize,
}

impl Lane {
    /// Fills the channel; `value_of` picks its value from an RGB pixel. Generic, so that the inner
    /// loop is compiled for each channel order.
    pub(super) fn fill(
        &self,
        content_rgb: &[u8],
        values: &mut [f32],
        value_of: impl Fn([u8; 3]) -> f32,
    ) {
        let Placement {
            input,
            content,
            left,
            top,
        } = self.placement;
        if content != input {
            let padding = self.pad * self.gain + self.bias;
            values
                .iter_mut()
                .step_by(self.step)
                .for_each(|value| *value = padding);
        }
        let (input_width, content_width) = (input.width as usize, content.width as usize);
        for (row, rgb_row) in content_rgb.chunks_exact(content_width * 3).enumerate() {
            let start = ((top as usize + row) * input_width + left as usize) * self.step;
            let pixels = rgb_row.as_chunks::<3>().0;
            let value_of = |rgb: &[u8; 3]| value_of(*rgb) * self.gain + self.bias;
            // Planes apart: without a step the compiler takes many pixels at a time.
            if self.step == 1 {
                let row = values[start..][..content_width].iter_mut();
                row.zip(pixels)
                    .for_each(|(value, rgb)| *value = value_of(rgb));
            } else {
                let row = values[start..].iter_mut().step_by(self.step);
                row.zip(pixels)
                    .for_each(|(value, rgb)| *value = value_of(rgb));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_use_shows_nothing_of_the_first() {
        let mut buffer = TensorBuffer::default();
        buffer.room(3).fill(7.0);
        buffer.room(1).fill(8.0);
        assert_eq!(buffer.values(), [7.0, 7.0, 7.0, 8.0]);
        buffer.clear();
        assert_eq!(buffer.values(), [0.0; 0]);
        buffer.room(2).fill(9.0);
        assert_eq!(buffer.values(), [9.0, 9.0]);
    }
}
