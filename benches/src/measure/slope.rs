//! How fast something grows: the slope of the straight line that fits best.

/// What `y` gains for each unit of `x`, by least squares; not a number where all `x` are the same.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
    let (together, alone) = points.iter().fold((0.0, 0.0), |(together, alone), (x, y)| {
        let from_mean = x - mean_x;
        (
            together + from_mean * (y - mean_y),
            alone + from_mean * from_mean,
        )
    });
    together / alone
}

/// The exponent with which `y` grows: one is in proportion, less is slower. Only what is greater than
/// zero has one.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let logarithms: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    slope(&logarithms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_a_line_is_found_through_noise() {
        assert!((slope(&[(0.0, 7.0), (1.0, 9.0), (4.0, 15.0)]) - 2.0).abs() < 1e-12);
        let noisy = [(0.0, 0.5), (1.0, 0.5), (2.0, 2.5), (3.0, 2.5)];
        assert!((slope(&noisy) - 0.8).abs() < 1e-12);
        assert!(slope(&[(1.0, 1.0), (1.0, 2.0)]).is_nan());
    }

    #[test]
    fn growth_has_the_exponent_it_was_made_with() {
        let squares: Vec<_> = (1..6)
            .map(|x| (f64::from(x), 3.0 * f64::from(x * x)))
            .collect();
        assert!((exponent(&squares) - 2.0).abs() < 1e-12);
        let roots: Vec<_> = (1..6)
            .map(|x| (f64::from(x), f64::from(x).sqrt()))
            .collect();
        assert!((exponent(&roots) - 0.5).abs() < 1e-12);
    }
}
