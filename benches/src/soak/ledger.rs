//! What was measured, by tenths of the run.

/// Parts into which a run is divided.
pub(super) const PARTS: usize = 10;

/// One look at the broker.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// The share of the run that lay behind.
    pub(super) share_done: f64,
    /// Records consumed so far, per topic.
    pub(super) records: [u64; 2],
    pub(super) memory_mib: f64,
    /// Since the last sample.
    pub(super) greatest_memory_mib: f64,
    pub(super) disk_bytes: u64,
    /// Of the probe, since the last sample.
    pub(super) latencies_ms: Vec<f64>,
}

/// A tenth of the run.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) records: [u64; 2],
    pub(super) memory_mib: Vec<f64>,
    pub(super) greatest_memory_mib: f64,
    pub(super) most_disk_bytes: u64,
    pub(super) latencies_ms: Vec<f64>,
}

/// All tenths.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) parts: [Part; PARTS],
    printed: usize,
}

impl Ledger {
    /// Adds to the tenth in which the sample falls, and prints those that ended.
    pub(super) fn add(&mut self, sample: Sample) {
        let number = ((sample.share_done * PARTS as f64) as usize).min(PARTS - 1);
        let part = &mut self.parts[number];
        part.records = sample.records;
        part.memory_mib.push(sample.memory_mib);
        part.greatest_memory_mib = part.greatest_memory_mib.max(sample.greatest_memory_mib);
        part.most_disk_bytes = part.most_disk_bytes.max(sample.disk_bytes);
        part.latencies_ms.extend(sample.latencies_ms);
        self.print_until(number);
    }

    pub(super) fn print_rest(&mut self) {
        self.print_until(PARTS);
    }

    fn print_until(&mut self, end: usize) {
        for number in self.printed..end {
            println!("{}", self.parts[number].row(number));
            self.printed = number + 1;
        }
    }

    pub(super) fn header() -> String {
        format!(
            "{:>5} {:>10} {:>7} {:>8} {:>8} {:>9} {:>8} {:>8} {:>8}",
            "tenth", "small", "large", "RSS MiB", "peak", "disk MiB", "p50 ms", "p99 ms", "max ms"
        )
    }
}

impl Part {
    fn row(&self, number: usize) -> String {
        let number = number + 1;
        let [small, large] = self.records;
        let (Some(memory), Some(slowest)) = (
            percentile(&self.memory_mib, 0.5),
            percentile(&self.latencies_ms, 1.0),
        ) else {
            return format!("{number:>5} {small:>10} {large:>7}  too short to measure");
        };
        let p50 = percentile(&self.latencies_ms, 0.5).unwrap_or(slowest);
        let p99 = percentile(&self.latencies_ms, 0.99).unwrap_or(slowest);
        let (peak, disk) = (self.greatest_memory_mib, self.most_disk_bytes >> 20);
        format!(
            "{number:>5} {small:>10} {large:>7} {memory:>8.1} {peak:>8.1} {disk:>9} \
             {p50:>8.2} {p99:>8.2} {slowest:>8.2}"
        )
    }
}

/// The least value that a share of all values does not exceed.
pub(super) fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), Some(100.0));
        assert_eq!(percentile(&values, 0.99), Some(198.0));
        assert_eq!(percentile(&values, 1.0), Some(200.0));
        assert_eq!(percentile(&[7.0], 0.0), Some(7.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_sample_goes_to_its_tenth() {
        let mut ledger = Ledger::default();
        for (share_done, memory_mib) in [(0.0, 1.0), (0.19, 5.0), (0.1, 3.0), (1.0, 9.0)] {
            ledger.add(Sample {
                share_done,
                memory_mib,
                greatest_memory_mib: memory_mib + 1.0,
                disk_bytes: 100 - memory_mib as u64,
                latencies_ms: vec![memory_mib; 2],
                ..Sample::default()
            });
        }
        assert_eq!(ledger.parts[0].memory_mib, [1.0]);
        assert_eq!(ledger.parts[1].memory_mib, [5.0, 3.0]);
        assert!((ledger.parts[1].greatest_memory_mib - 6.0).abs() < 1e-9);
        assert_eq!(ledger.parts[1].most_disk_bytes, 97);
        assert_eq!(ledger.parts[1].latencies_ms.len(), 4);
        assert_eq!(ledger.parts[9].memory_mib, [9.0]);
    }
}
