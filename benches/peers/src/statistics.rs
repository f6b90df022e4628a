//! Medians, spreads and ratios.

/// The middle one of the figures; of an even number, the mean of the middle two.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let sorted = sorted(figures);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}

/// The smallest and the largest figure.
pub(crate) fn spread(figures: &[f64]) -> (f64, f64) {
    let sorted = sorted(figures);
    (sorted[0], sorted[sorted.len() - 1])
}

/// The median of the rounds' ratios: what one round measured is held against what the same round measured.
pub(crate) fn ratio(figures: &[f64], base: &[f64]) -> f64 {
    assert_eq!(figures.len(), base.len(), "the same rounds");
    let ratios: Vec<f64> = figures
        .iter()
        .zip(base)
        .map(|(figure, base)| figure / base)
        .collect();
    median(&ratios)
}

fn sorted(figures: &[f64]) -> Vec<f64> {
    assert!(!figures.is_empty(), "at least one round");
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mean would follow the outlier.
    #[test]
    fn one_slow_round_does_not_move_the_median() {
        assert_eq!(median(&[3.0, 900.0, 1.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 900.0, 2.0]), 3.0);
        assert_eq!(spread(&[3.0, 900.0, 1.0]), (1.0, 900.0));
    }

    /// The ratio of the medians would be 1 here: each figure must be held against its own round.
    #[test]
    fn a_ratio_is_taken_round_by_round() {
        assert_eq!(ratio(&[1.0, 2.0, 6.0], &[2.0, 4.0, 1.0]), 0.5);
    }
}
