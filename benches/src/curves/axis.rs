//! Scales: where a value lies between the ends of an axis, and which values are written beside it.

use std::ops::RangeInclusive;

/// Marks that an axis should have, about.
const WANTED_TICKS: f64 = 5.0;

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally far apart; zero is always shown.
    Linear,
    /// Equal ratios are equally far apart; only what is greater than zero is shown.
    Log,
}

/// One side of a chart.
#[derive(Clone, Debug)]
pub struct Axis {
    pub(super) label: String,
    pub(super) scale: Scale,
}

/// An axis that knows which values it shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    /// From zero on; the label says the unit.
    pub fn linear(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            scale: Scale::Linear,
        }
    }

    /// A logarithmic one; the label says the unit.
    pub fn log(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            scale: Scale::Log,
        }
    }

    /// Wide enough for all values that it can show.
    pub(super) fn span(&self, values: impl IntoIterator<Item = f64>) -> Span {
        let shown = values.into_iter().filter(|value| self.scale.shows(*value));
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            return Span::new(self.scale, 1.0..=10.0);
        }
        match self.scale {
            Scale::Linear => Span::new(self.scale, low.min(0.0)..=high.max(0.0)),
            Scale::Log => Span::new(self.scale, low..=high),
        }
    }
}

impl Scale {
    pub(super) fn shows(self, value: f64) -> bool {
        value.is_finite() && (self == Self::Linear || value > 0.0)
    }
}

impl Span {
    /// From round number to round number.
    fn new(scale: Scale, values: RangeInclusive<f64>) -> Self {
        let (low, high) = values.into_inner();
        let (low, high) = match scale {
            Scale::Linear => {
                let step = step(high - low);
                ((low / step).floor() * step, (high / step).ceil() * step)
            }
            Scale::Log => (below(low), above(high)),
        };
        let high = match scale {
            _ if high > low => high,
            Scale::Linear => low + 1.0,
            Scale::Log => low * 10.0,
        };
        Self { scale, low, high }
    }

    /// Zero at the low end, one at the high end.
    pub(super) fn share(&self, value: f64) -> Option<f64> {
        if !self.scale.shows(value) {
            return None;
        }
        Some(match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).log10() / (self.high / self.low).log10(),
        })
    }

    /// Round values, evenly spread.
    pub(super) fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.high - self.low);
                let count = ((self.high - self.low) / step).round() as i32;
                (0..=count)
                    .map(|number| self.low + f64::from(number) * step)
                    .collect()
            }
            Scale::Log => {
                let decades = (self.high / self.low).log10();
                let digits: &[f64] = if decades > 3.5 {
                    &[1.0]
                } else {
                    &[1.0, 2.0, 5.0]
                };
                let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
                let all =
                    powers.flat_map(|power| digits.iter().map(move |digit| digit * ten(power)));
                // The ends are made by the same multiplication and nearly equal at worst.
                let (low, high) = (self.low * (1.0 - 1e-9), self.high * (1.0 + 1e-9));
                all.filter(|tick| (low..=high).contains(tick)).collect()
            }
        }
    }
}

/// A value as it is written beside its tick.
pub(super) fn written(tick: f64) -> String {
    if tick != 0.0 && !(1e-3..1e6).contains(&tick.abs()) {
        return format!("{tick:.0e}");
    }
    // Ticks are round: three places tell them apart, and sums of steps show no rounding errors.
    let text = format!("{tick:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One, two or five times a power of ten.
fn step(range: f64) -> f64 {
    if range <= 0.0 {
        return 1.0;
    }
    let rough = range / WANTED_TICKS;
    let power = ten(rough.log10().floor() as i32);
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    steps
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough)
}

/// The next of one, two and five times a power of ten that is not greater.
fn below(value: f64) -> f64 {
    let power = ten(value.log10().floor() as i32);
    let digits = [5.0, 2.0, 1.0].map(|digit| digit * power);
    digits
        .into_iter()
        .find(|step| *step <= value)
        .unwrap_or(power)
}

/// The next of one, two and five times a power of ten that is not less.
fn above(value: f64) -> f64 {
    let power = ten(value.log10().floor() as i32);
    let digits = [1.0, 2.0, 5.0].map(|digit| digit * power);
    digits
        .into_iter()
        .find(|step| *step >= value)
        .unwrap_or(power * 10.0)
}

fn ten(power: i32) -> f64 {
    10_f64.powi(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: &Axis, values: &[f64]) -> Vec<String> {
        let span = axis.span(values.iter().copied());
        span.ticks().into_iter().map(written).collect()
    }

    #[test]
    fn a_linear_axis_starts_at_zero_and_ends_at_a_round_value() {
        let axis = Axis::linear("ms");
        assert_eq!(ticks(&axis, &[3.0, 9.3]), ["0", "2", "4", "6", "8", "10"]);
        let small = ["0", "0.02", "0.04", "0.06", "0.08", "0.1"];
        assert_eq!(ticks(&axis, &[0.09]), small);
        let span = axis.span([3.0, 9.3]);
        assert_eq!((span.share(0.0), span.share(5.0)), (Some(0.0), Some(0.5)));
    }

    #[test]
    fn a_logarithmic_axis_has_equal_ratios_equally_far_apart() {
        let axis = Axis::log("megapixels");
        let expected = ["0.2", "0.5", "1", "2", "5", "10", "20", "50"];
        assert_eq!(ticks(&axis, &[0.3, 33.2]), expected);
        let span = axis.span([1.0, 100.0]);
        assert_eq!(span.share(10.0), Some(0.5));
        assert_eq!(span.share(0.0), None);
        let wide = ticks(&axis, &[1.0, 100_000.0]);
        assert_eq!(wide, ["1", "10", "100", "1000", "10000", "100000"]);
    }

    #[test]
    fn odd_values_still_make_an_axis() {
        for axis in [Axis::linear("x"), Axis::log("x")] {
            for values in [&[][..], &[5.0], &[0.0], &[f64::NAN, f64::INFINITY]] {
                let span = axis.span(values.iter().copied());
                assert!(span.high > span.low, "{values:?} {span:?}");
                assert!(span.ticks().len() >= 2, "{values:?} {span:?}");
            }
        }
    }
}
