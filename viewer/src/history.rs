//! What a source saw in the last ten minutes: the mean counts per class of each second.

use std::collections::BTreeMap;

use pipeline::detections::Rgb;
use serde::Serialize;

use crate::counts::{ClassCount, OTHERS};

pub(crate) const BUCKET_MS: i64 = 1000;
/// Ten minutes.
pub(crate) const MAX_BUCKETS: usize = 600;
/// Labels told apart, with the one for all others.
const MAX_LABELS: usize = 64;
const OTHERS_PLACE: usize = 0;

/// A ring of seconds and the table of the labels that they count.
#[derive(Debug, Default)]
pub(crate) struct History {
    buckets: Vec<Bucket>,
    labels: Vec<Label>,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    second: i64,
    frames: u32,
    /// Sum of the counts, by place in the table; labels not yet seen then are missing at the end.
    sums: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Label {
    name: String,
    color: Option<Rgb>,
    last_second: i64,
}

/// A label of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LabelInfo {
    pub(crate) label: String,
    pub(crate) color: Option<Rgb>,
}

/// One second of the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    /// Unix milliseconds of the second's start.
    pub(crate) t_ms: i64,
    pub(crate) frames: u32,
    /// Mean per frame; a class that was not seen is left out.
    pub(crate) counts: BTreeMap<String, f64>,
}

impl History {
    /// Adds the counts of one frame that was joined at `unix_ms`.
    pub(crate) fn add(&mut self, unix_ms: i64, counts: &[ClassCount]) {
        let second = unix_ms.div_euclid(BUCKET_MS);
        let places: Vec<usize> = counts
            .iter()
            .map(|count| self.place(count, second))
            .collect();
        let bucket = self.bucket(second);
        bucket.frames += 1;
        for (place, count) in places.into_iter().zip(counts) {
            if bucket.sums.len() <= place {
                bucket.sums.resize(place + 1, 0);
            }
            bucket.sums[place] = bucket.sums[place].saturating_add(count.count);
        }
    }

    /// The seconds from `since_unix_ms` on that had frames, oldest first, and the labels they name.
    pub(crate) fn points(
        &self,
        since_unix_ms: i64,
        now_unix_ms: i64,
    ) -> (Vec<LabelInfo>, Vec<Point>) {
        let now = now_unix_ms.div_euclid(BUCKET_MS);
        let since = since_unix_ms
            .div_euclid(BUCKET_MS)
            .max(now - MAX_BUCKETS as i64 + 1);
        let mut points: Vec<Point> = self
            .buckets
            .iter()
            .filter(|bucket| bucket.frames > 0 && (since..=now).contains(&bucket.second))
            .map(|bucket| self.point(bucket))
            .collect();
        points.sort_unstable_by_key(|point| point.t_ms);
        let is_named = |label: &&Label| points.iter().any(|p| p.counts.contains_key(&label.name));
        let others = self.labels.iter().take(OTHERS_PLACE + 1);
        let labels = self.labels.iter().skip(OTHERS_PLACE + 1).chain(others);
        let labels = labels.filter(is_named).map(Label::info).collect();
        (labels, points)
    }

    fn point(&self, bucket: &Bucket) -> Point {
        let mut counts = BTreeMap::new();
        for (label, &sum) in self.labels.iter().zip(&bucket.sums) {
            if sum > 0 {
                *counts.entry(label.name.clone()).or_default() +=
                    f64::from(sum) / f64::from(bucket.frames);
            }
        }
        Point {
            t_ms: bucket.second * BUCKET_MS,
            frames: bucket.frames,
            counts,
        }
    }

    fn bucket(&mut self, second: i64) -> &mut Bucket {
        let place = second.rem_euclid(MAX_BUCKETS as i64) as usize;
        if self.buckets.len() <= place {
            self.buckets.resize(place + 1, Bucket::default());
        }
        let bucket = &mut self.buckets[place];
        if bucket.second != second {
            bucket.second = second;
            bucket.frames = 0;
            bucket.sums.clear();
        }
        bucket
    }

    /// Where a label's sums stand. A full table gives a place that nothing in the window uses any
    /// more, or counts the label among the others.
    fn place(&mut self, count: &ClassCount, second: i64) -> usize {
        let known = self
            .labels
            .iter()
            .position(|label| label.name == count.label);
        let place = known.unwrap_or_else(|| self.new_place(&count.label, second));
        let label = &mut self.labels[place];
        label.last_second = label.last_second.max(second);
        if count.color.is_some() && label.name == count.label {
            label.color = count.color;
        }
        place
    }

    fn new_place(&mut self, name: &str, second: i64) -> usize {
        let new = |name: &str| Label {
            name: name.to_owned(),
            color: None,
            last_second: second,
        };
        if self.labels.is_empty() {
            self.labels.push(new(OTHERS));
        }
        if name == OTHERS {
            return OTHERS_PLACE;
        }
        if self.labels.len() < MAX_LABELS {
            self.labels.push(new(name));
            return self.labels.len() - 1;
        }
        let is_over = |label: &Label| label.last_second + (MAX_BUCKETS as i64) < second;
        let named = &self.labels[OTHERS_PLACE + 1..];
        let Some(free) = named.iter().position(is_over) else {
            return OTHERS_PLACE;
        };
        let place = OTHERS_PLACE + 1 + free;
        // Sums of seconds that have left the window must not come back under the new name.
        for bucket in &mut self.buckets {
            if let Some(sum) = bucket.sums.get_mut(place) {
                *sum = 0;
            }
        }
        self.labels[place] = new(name);
        place
    }
}

impl Label {
    fn info(&self) -> LabelInfo {
        LabelInfo {
            label: self.name.clone(),
            color: self.color,
        }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
