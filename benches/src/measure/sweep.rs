//! Several cases take turns, one after another in every round, so that what changes on the machine in
//! the meantime touches all; for what is not A against B but a curve.

use super::{
    Comparison, Plan, Spread,
    foreign::{Load, Ours},
};

/// What all rounds of all cases found.
#[derive(Clone, Debug)]
pub struct Sweep<T> {
    /// By round, then by case.
    pub rounds: Vec<Vec<T>>,
    /// The share of a core that others used, over all rounds.
    pub foreign_load: f64,
}

/// Lets `cases` cases take turns.
pub fn sweep<T>(
    plan: Plan,
    ours: &Ours,
    cases: usize,
    mut turn: impl FnMut(usize) -> T,
) -> Sweep<T> {
    assert!(
        plan.rounds > 0 && cases > 0,
        "at least one round of one case"
    );
    for _ in 0..plan.warm_up {
        (0..cases).for_each(|case| drop(turn(case)));
    }
    let mut load = Load::default();
    let rounds = (0..plan.rounds).map(|_| {
        let before = ours.moment();
        let found = (0..cases).map(&mut turn).collect();
        load = load.plus(before.until(&ours.moment()));
        found
    });
    Sweep {
        rounds: rounds.collect(),
        foreign_load: load.foreign_cores(),
    }
}

impl<T> Sweep<T> {
    /// One value of every round, such as the slope of a curve.
    pub fn compare(&self, value: impl Fn(&[T]) -> f64) -> Comparison {
        Comparison {
            ratio: Spread::of(self.rounds.iter().map(|round| value(round))),
            rounds: self.rounds.len(),
            foreign_load: self.foreign_load,
            detail: std::collections::BTreeMap::new(),
        }
    }

    /// The median over the rounds of something of each case.
    pub fn medians(&self, value: impl Fn(&T) -> f64) -> Vec<f64> {
        let cases = self.rounds.first().map_or(0, Vec::len);
        let median =
            |case: usize| Spread::of(self.rounds.iter().map(|round| value(&round[case]))).median;
        (0..cases).map(median).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_take_turns_and_the_warm_up_does_not_count() {
        let mut order = Vec::new();
        let plan = Plan {
            warm_up: 1,
            rounds: 3,
        };
        let found = sweep(plan, &Ours::with(&[]), 2, |case| {
            order.push(case);
            order.len() as f64 * if case == 0 { 1.0 } else { 10.0 }
        });
        assert_eq!(order, [0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(found.rounds, [[3.0, 40.0], [5.0, 60.0], [7.0, 80.0]]);
        assert_eq!(found.medians(|value| *value), [5.0, 60.0]);
        let sums = found.compare(|round| round.iter().sum());
        assert_eq!(
            (sums.ratio.min, sums.ratio.median, sums.ratio.max),
            (43.0, 65.0, 87.0)
        );
        assert_eq!(sums.rounds, 3);
    }
}
