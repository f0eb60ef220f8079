//! What a graph does to the numbers of a picture before it looks at them.

use crate::model::manifest::{Channels, Range};

/// Red, green and blue, or fewer.
const MAX_CHANNELS: usize = 3;

/// A mean above this is one of bytes, not of numbers from zero to one.
const MEAN_OF_BYTES: f32 = 2.0;

/// `value * scale + shift`, one of each for all channels or one a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalisation {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Normalisation {
    /// Adds a step; says no to one that is no shift or scale of channels.
    pub(super) fn apply(&mut self, operator: &str, numbers: &[f32]) -> bool {
        let fits = !numbers.is_empty()
            && numbers.len() <= MAX_CHANNELS
            && numbers.iter().all(|number| number.is_finite());
        let divides_by_zero = operator == "Div" && numbers.contains(&0.0);
        let widened = self.scale.len().max(numbers.len());
        let can_widen = |length: usize| length <= 1 || length == widened;
        if !fits || divides_by_zero || !can_widen(self.scale.len()) || !can_widen(numbers.len()) {
            return false;
        }
        let (first_scale, first_shift) = (
            self.scale.first().copied().unwrap_or(1.0),
            self.shift.first().copied().unwrap_or(0.0),
        );
        self.scale.resize(widened, first_scale);
        self.shift.resize(widened, first_shift);
        for channel in 0..widened {
            let number = numbers[channel.min(numbers.len() - 1)];
            let (scale, shift) = (&mut self.scale[channel], &mut self.shift[channel]);
            match operator {
                "Sub" => *shift -= number,
                "Add" => *shift += number,
                "Mul" => (*scale, *shift) = (*scale * number, *shift * number),
                _ => (*scale, *shift) = (*scale / number, *shift / number),
            }
        }
        true
    }

    pub(super) fn is_any(&self) -> bool {
        !self.scale.is_empty()
    }

    /// The values that become zero: the mean of each channel.
    pub fn mean(&self) -> Vec<f32> {
        let pairs = self.scale.iter().zip(&self.shift);
        pairs
            // Never minus zero.
            .map(|(scale, shift)| if *shift == 0.0 { 0.0 } else { -shift / scale })
            .collect()
    }

    /// What is divided by after the mean is taken away.
    pub fn deviation(&self) -> Vec<f32> {
        self.scale.iter().map(|scale| 1.0 / scale).collect()
    }

    /// The range of the pixels that it is made for.
    pub fn range(&self) -> Option<Range> {
        const SHORTEST_BYTE_RANGE: f32 = 100.0;
        let mean = self.mean().into_iter().fold(0.0, f32::max);
        let deviation = self.deviation().into_iter().fold(0.0, f32::max);
        if mean > MEAN_OF_BYTES || deviation > SHORTEST_BYTE_RANGE {
            return Some(Range::Bytes);
        }
        (mean > 0.0).then_some(Range::Unit)
    }

    /// The order of channels, where the means give it away: photographs have more red than blue.
    pub fn channels(&self) -> Option<Channels> {
        let [first, second, third] = self.mean()[..] else {
            return None;
        };
        if first > second && second > third {
            return Some(Channels::Rgb);
        }
        (first < second && second < third).then_some(Channels::Bgr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(steps: &[(&str, &[f32])]) -> Normalisation {
        let mut normalisation = Normalisation::default();
        for (operator, numbers) in steps {
            assert!(normalisation.apply(operator, numbers), "{operator}");
        }
        normalisation
    }

    #[test]
    fn detectron2_takes_blue_green_red_bytes() {
        let steps = after(&[("Sub", &[103.53, 116.28, 123.675]), ("Div", &[1.0])]);
        assert_eq!(steps.range(), Some(Range::Bytes));
        assert_eq!(steps.channels(), Some(Channels::Bgr));
    }

    #[test]
    fn torchvision_takes_red_green_blue_from_zero_to_one() {
        let steps = after(&[
            ("Sub", &[0.485, 0.456, 0.406]),
            ("Div", &[0.229, 0.224, 0.225]),
        ]);
        assert_eq!(steps.range(), Some(Range::Unit));
        assert_eq!(steps.channels(), Some(Channels::Rgb));
        assert!((steps.mean()[2] - 0.406).abs() < 1e-5, "{steps:?}");
        assert!((steps.deviation()[2] - 0.225).abs() < 1e-5, "{steps:?}");
    }

    #[test]
    fn a_division_by_255_takes_bytes() {
        assert_eq!(after(&[("Div", &[255.0])]).range(), Some(Range::Bytes));
        assert_eq!(
            after(&[("Mul", &[1.0 / 255.0])]).range(),
            Some(Range::Bytes)
        );
        let from_minus_one = after(&[("Mul", &[1.0 / 127.5]), ("Sub", &[1.0])]);
        assert_eq!(from_minus_one.range(), Some(Range::Bytes));
        let unit = after(&[("Mul", &[2.0]), ("Sub", &[1.0])]);
        assert_eq!(unit.range(), Some(Range::Unit));
        assert_eq!(unit.channels(), None);
    }

    #[test]
    fn what_tells_nothing_is_not_guessed() {
        assert_eq!(after(&[("Mul", &[1.0])]).range(), None);
        let mut none = Normalisation::default();
        assert!(!none.apply("Div", &[0.0]), "division by zero");
        assert!(!none.apply("Sub", &[1.0; 4]), "more than three channels");
        assert!(!none.apply("Sub", &[f32::NAN]));
        assert!(!none.is_any());
        let mut two = after(&[("Sub", &[1.0, 2.0])]);
        assert!(!two.apply("Sub", &[1.0, 2.0, 3.0]), "three after two");
    }
}
