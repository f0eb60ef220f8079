//! A and B take turns, so that what changes on the machine in the meantime touches both.

use std::collections::BTreeMap;

use super::{
    Spread,
    foreign::{Load, Ours},
};

/// How often both are measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds that are thrown away first.
    pub warm_up: usize,
    /// Rounds that count.
    pub rounds: usize,
}

/// What one turn of A or of B found.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// What is compared.
    pub value: f64,
    /// What else is worth knowing, by name; reported as medians.
    pub detail: Vec<(&'static str, f64)>,
}

impl Turn {
    /// A turn that found just this.
    pub fn of(value: f64) -> Self {
        Self {
            value,
            detail: Vec::new(),
        }
    }

    /// The same with one more thing worth knowing.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: f64) -> Self {
        self.detail.push((name, value));
        self
    }
}

/// What all rounds found.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// A ÷ B of each round.
    pub ratio: Spread,
    /// Rounds.
    pub rounds: usize,
    /// The share of a core that others used, over all rounds.
    pub foreign_load: f64,
    /// Medians over the rounds, by name.
    pub detail: BTreeMap<String, f64>,
}

/// What one turn found and what the machine did meanwhile.
struct Watched<'a> {
    turn: &'a Turn,
    load: Load,
}

/// Lets A and B take turns: A B A B …
pub fn take_turns(
    plan: Plan,
    ours: &Ours,
    mut a: impl FnMut() -> Turn,
    mut b: impl FnMut() -> Turn,
) -> Comparison {
    let [comparison] = take_turns_each(plan, ours, || [a()], || [b()]);
    comparison
}

/// The same where a turn finds several things that are compared, each with its like.
pub fn take_turns_each<const N: usize>(
    plan: Plan,
    ours: &Ours,
    mut a: impl FnMut() -> [Turn; N],
    mut b: impl FnMut() -> [Turn; N],
) -> [Comparison; N] {
    assert!(plan.rounds > 0, "at least one round");
    for _ in 0..plan.warm_up {
        a();
        b();
    }
    let rounds: Vec<[([Turn; N], Load); 2]> = (0..plan.rounds)
        .map(|_| [watch(ours, &mut a), watch(ours, &mut b)])
        .collect();
    std::array::from_fn(|number| {
        let rounds = rounds.iter().map(|both| {
            both.each_ref().map(|(turns, load)| Watched {
                turn: &turns[number],
                load: *load,
            })
        });
        compare(&rounds.collect::<Vec<_>>())
    })
}

fn watch<T>(ours: &Ours, run: &mut impl FnMut() -> T) -> (T, Load) {
    let before = ours.moment();
    let found = run();
    (found, before.until(&ours.moment()))
}

fn compare(rounds: &[[Watched<'_>; 2]]) -> Comparison {
    let loads = rounds.iter().flatten().map(|watched| watched.load);
    let load = loads.fold(Load::default(), Load::plus);
    let mut named: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (letter, watched) in rounds.iter().flat_map(|[a, b]| [("a", a), ("b", b)]) {
        let mut note = |name: String, value| named.entry(name).or_default().push(value);
        note(format!("{letter}_wall_s"), watched.load.wall.as_secs_f64());
        note(format!("{letter}_cpu_s"), watched.load.ours.as_secs_f64());
        for (name, value) in &watched.turn.detail {
            note((*name).to_owned(), *value);
        }
    }
    Comparison {
        ratio: Spread::of(rounds.iter().map(|[a, b]| a.turn.value / b.turn.value)),
        rounds: rounds.len(),
        foreign_load: load.foreign_cores(),
        detail: named
            .into_iter()
            .map(|(name, values)| (name, Spread::of(values).median))
            .collect(),
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "small whole numbers are exact")]
mod tests {
    use std::{cell::RefCell, time::Duration};

    use super::*;

    #[test]
    fn a_and_b_alternate_and_the_warm_up_does_not_count() {
        let order = RefCell::new(String::new());
        let mut value = 0.0;
        let plan = Plan {
            warm_up: 1,
            rounds: 3,
        };
        let a = || {
            order.borrow_mut().push('A');
            value += 1.0;
            Turn::of(value * 10.0).with("tens", value)
        };
        let b = || {
            order.borrow_mut().push('B');
            Turn::of(10.0)
        };
        let found = take_turns(plan, &Ours::with(&[]), a, b);
        assert_eq!(*order.borrow(), "ABABABAB");
        let ratio = (found.ratio.median, found.ratio.min, found.ratio.max);
        assert_eq!(ratio, (3.0, 2.0, 4.0));
        assert_eq!(found.rounds, 3);
        assert_eq!(found.detail["tens"], 3.0);
        assert!(found.detail.contains_key("a_wall_s") && found.detail.contains_key("b_cpu_s"));
    }

    #[test]
    fn each_thing_is_compared_with_its_like() {
        let plan = Plan {
            warm_up: 0,
            rounds: 2,
        };
        let a = || [Turn::of(6.0).with("of_one", 1.0), Turn::of(20.0)];
        let b = || [Turn::of(3.0), Turn::of(5.0)];
        let [one, other] = take_turns_each(plan, &Ours::with(&[]), a, b);
        assert_eq!((one.ratio.median, other.ratio.median), (2.0, 4.0));
        assert!(one.detail.contains_key("of_one") && !other.detail.contains_key("of_one"));
    }

    #[test]
    fn foreign_load_is_that_of_all_rounds_together() {
        let turn = Turn::of(1.0);
        let watched = |foreign_ms| Watched {
            turn: &turn,
            load: Load {
                wall: Duration::from_secs(1),
                ours: Duration::ZERO,
                foreign: Duration::from_millis(foreign_ms),
            },
        };
        let rounds = [[watched(0), watched(100)], [watched(200), watched(100)]];
        assert!((compare(&rounds).foreign_load - 0.1).abs() < 1e-9);
    }
}
