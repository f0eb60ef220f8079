//! Whether a soak held what is asked of the broker.

use std::fmt;

use super::{
    course::Account,
    ledger::{Ledger, PARTS, percentile},
};

/// Memory of the broker once it runs.
const MEMORY_MIB: f64 = 64.0;
/// What the broker's memory may have grown from the second tenth to the last.
const MEMORY_GROWTH: f64 = 1.25;
/// What the data folder may hold beside records: indexes, the journal.
pub(super) const REST_BYTES: u64 = 64 << 20;
/// How much slower the slowest hundredth of the second half may be than that of the first.
const LATENCY_GROWTH: f64 = 3.0;
const LATENCY_SLACK_MS: f64 = 20.0;

/// What the plan allows.
pub(super) struct Bounds {
    pub(super) disk_bytes: u64,
}

/// One thing asked, and the answer.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    question: &'static str,
    /// None: the run was too short to tell.
    answer: Option<bool>,
    details: String,
}

impl Verdict {
    pub(super) fn new(question: &'static str, answer: Option<bool>, details: String) -> Self {
        Self {
            question,
            answer,
            details,
        }
    }

    /// What could not be told has not held.
    pub(super) fn held(&self) -> bool {
        self.answer == Some(true)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = match self.answer {
            Some(true) => "ok",
            Some(false) => "FAILED",
            None => "too short to tell: run it for longer",
        };
        write!(f, "{}: {}: {answer}", self.question, self.details)
    }
}

pub(super) fn judge(ledger: &Ledger, account: &Account, bounds: &Bounds) -> Vec<Verdict> {
    vec![
        records(account),
        memory_bound(ledger),
        memory_growth(ledger),
        disk(ledger, bounds),
        latency(ledger),
    ]
}

fn records(account: &Account) -> Verdict {
    let Account {
        planned,
        taken,
        faults,
        told,
    } = account;
    let mut details = format!("{taken} of {planned}, {faults} faults");
    for fault in told {
        details.push_str("\n  ");
        details.push_str(fault);
    }
    Verdict {
        question: "every record came once and in order",
        answer: Some(taken == planned && *faults == 0),
        details,
    }
}

fn memory_bound(ledger: &Ledger) -> Verdict {
    let after_first = ledger.parts.iter().skip(1);
    let most = after_first
        .map(|part| part.greatest_memory_mib)
        .fold(0.0, f64::max);
    Verdict {
        question: "memory within its bound",
        answer: (most > 0.0).then_some(most <= MEMORY_MIB),
        details: format!("at most {most:.1} of {MEMORY_MIB} MiB"),
    }
}

fn memory_growth(ledger: &Ledger) -> Verdict {
    let median = |part: usize| percentile(&ledger.parts[part].memory_mib, 0.5);
    compare(
        "memory does not grow",
        (median(1), median(PARTS - 1)),
        |early, late| {
            (
                late <= early * MEMORY_GROWTH,
                format!("{early:.1} MiB, then {late:.1}"),
            )
        },
    )
}

fn disk(ledger: &Ledger, bounds: &Bounds) -> Verdict {
    let most = ledger
        .parts
        .iter()
        .map(|part| part.most_disk_bytes)
        .max()
        .unwrap_or(0);
    Verdict {
        question: "disk within its bound",
        answer: (most > 0).then_some(most <= bounds.disk_bytes),
        details: format!("at most {} of {} MiB", most >> 20, bounds.disk_bytes >> 20),
    }
}

fn latency(ledger: &Ledger) -> Verdict {
    let (first, last) = ledger.parts.split_at(PARTS / 2);
    let p99 = |parts: &[super::ledger::Part]| {
        let all: Vec<f64> = parts
            .iter()
            .flat_map(|part| part.latencies_ms.clone())
            .collect();
        percentile(&all, 0.99)
    };
    compare("latency steady", (p99(first), p99(last)), |early, late| {
        let most = early * LATENCY_GROWTH + LATENCY_SLACK_MS;
        (
            late <= most,
            format!("p99 {early:.1} ms in the first half, {late:.1} in the last"),
        )
    })
}

fn compare(
    question: &'static str,
    (early, late): (Option<f64>, Option<f64>),
    rule: impl FnOnce(f64, f64) -> (bool, String),
) -> Verdict {
    let (answer, details) = match (early, late) {
        (Some(early), Some(late)) => {
            let (held, details) = rule(early, late);
            (Some(held), details)
        }
        _ => (None, "not measured".to_owned()),
    };
    Verdict {
        question,
        answer,
        details,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ledger::Sample, *};

    const BOUNDS: Bounds = Bounds { disk_bytes: 1000 };

    /// Ten tenths, all alike.
    fn steady() -> Vec<Sample> {
        let samples = (0..PARTS).map(|part| Sample {
            share_done: (part as f64 + 0.5) / PARTS as f64,
            memory_mib: 20.0,
            greatest_memory_mib: 30.0,
            disk_bytes: 1000,
            latencies_ms: vec![1.0; 100],
            ..Sample::default()
        });
        samples.collect()
    }

    fn account() -> Account {
        Account {
            planned: 10,
            taken: 10,
            faults: 0,
            told: Vec::new(),
        }
    }

    /// Which questions were not answered with yes.
    fn failed(samples: Vec<Sample>, account: &Account) -> Vec<&'static str> {
        let mut ledger = Ledger::default();
        for sample in samples {
            ledger.add(sample);
        }
        let verdicts = judge(&ledger, account, &BOUNDS);
        let failed = verdicts.iter().filter(|verdict| !verdict.held());
        failed.map(|verdict| verdict.question).collect()
    }

    #[test]
    fn a_steady_run_holds() {
        assert!(failed(steady(), &account()).is_empty());
    }

    #[test]
    fn memory_counts_from_the_second_tenth_on() {
        let mut samples = steady();
        samples[0].greatest_memory_mib = 100.0;
        assert!(failed(samples.clone(), &account()).is_empty());
        samples[1].greatest_memory_mib = 64.1;
        assert_eq!(failed(samples, &account()), ["memory within its bound"]);
    }

    #[test]
    fn memory_may_grow_by_a_quarter() {
        let mut samples = steady();
        samples[9].memory_mib = 25.0;
        assert!(failed(samples.clone(), &account()).is_empty());
        samples[9].memory_mib = 25.1;
        assert_eq!(failed(samples, &account()), ["memory does not grow"]);
    }

    #[test]
    fn one_byte_too_many_on_the_disk_fails() {
        let mut samples = steady();
        samples[4].disk_bytes = 1001;
        assert_eq!(failed(samples, &account()), ["disk within its bound"]);
    }

    #[test]
    fn the_last_half_may_be_three_times_as_slow_and_twenty_milliseconds() {
        let mut samples = steady();
        samples[7].latencies_ms = vec![23.0; 100];
        assert!(failed(samples.clone(), &account()).is_empty());
        samples[7].latencies_ms = vec![23.1; 100];
        assert_eq!(failed(samples, &account()), ["latency steady"]);
    }

    #[test]
    fn a_missing_record_or_a_fault_fails() {
        let missing = Account {
            taken: 9,
            ..account()
        };
        assert_eq!(
            failed(steady(), &missing),
            ["every record came once and in order"]
        );
        let again = Account {
            faults: 1,
            told: vec!["again".to_owned()],
            ..account()
        };
        assert_eq!(
            failed(steady(), &again),
            ["every record came once and in order"]
        );
    }

    #[test]
    fn what_was_not_measured_has_not_held() {
        let only_first = steady().into_iter().take(1).collect();
        let questions = [
            "memory within its bound",
            "memory does not grow",
            "latency steady",
        ];
        assert_eq!(failed(only_first, &account()), questions);
    }
}
