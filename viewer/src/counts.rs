//! How many instances of each class a result holds, within bounds that no result can break.

use std::collections::BTreeMap;

use pipeline::detections::{Detections, Rgb};
use serde::Serialize;

/// Classes told apart in one frame; what is beyond counts together.
const MAX_CLASSES: usize = 64;
/// Longest label, in characters. A foreign detector may write whole sentences.
const MAX_LABEL_CHARS: usize = 64;
/// What classes beyond the bounds are counted as.
pub(crate) const OTHERS: &str = "…";

/// One class and how many of it were seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ClassCount {
    pub(crate) label: String,
    pub(crate) count: u32,
    /// `#rrggbb`, the colour the class is drawn in; `null` where the detector says none.
    pub(crate) color: Option<Rgb>,
}

/// The counts of one result, in the order of the model's categories.
pub(crate) fn count_classes(detections: &Detections) -> Vec<ClassCount> {
    let mut by_class: BTreeMap<(u32, String), ClassCount> = BTreeMap::new();
    let mut others = 0;
    for instance in &detections.instances {
        let key = (instance.category_id, bounded_label(&instance.label));
        let is_full = by_class.len() >= MAX_CLASSES;
        if is_full && !by_class.contains_key(&key) {
            others += 1;
            continue;
        }
        let label = key.1.clone();
        let seen = by_class.entry(key).or_insert_with(|| ClassCount {
            label,
            count: 0,
            color: instance.class_color,
        });
        seen.count += 1;
    }
    let mut counts: Vec<ClassCount> = by_class.into_values().collect();
    if others > 0 {
        counts.push(ClassCount {
            label: OTHERS.to_owned(),
            count: others,
            color: None,
        });
    }
    counts
}

/// The label, cut off where it is too long to show.
pub(crate) fn bounded_label(label: &str) -> String {
    match label.char_indices().nth(MAX_LABEL_CHARS) {
        None => label.to_owned(),
        Some((end, _)) => format!("{}{OTHERS}", &label[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{detections, instance};

    fn counted(labels: &[(&str, u32)]) -> Vec<(String, u32)> {
        let mut result = detections("belt-1");
        result.instances = labels
            .iter()
            .map(|(label, id)| instance(label, *id))
            .collect();
        let counts = count_classes(&result);
        counts.into_iter().map(|c| (c.label, c.count)).collect()
    }

    #[test]
    fn classes_are_counted_in_the_order_of_the_model() {
        let counts = counted(&[("nut", 2), ("bolt", 1), ("nut", 2), ("gear", 4)]);
        let expected = [("bolt", 1), ("nut", 2), ("gear", 1)];
        assert_eq!(counts, expected.map(|(label, n)| (label.to_owned(), n)));
        assert_eq!(counted(&[]), []);
    }

    #[test]
    fn many_classes_and_long_labels_stay_bounded_and_nothing_is_lost() {
        let labels: Vec<String> = (0..200).map(|n| format!("class {n}")).collect();
        let pairs: Vec<(&str, u32)> = labels.iter().map(String::as_str).zip(1..).collect();
        let counts = counted(&pairs);
        assert_eq!(counts.len(), MAX_CLASSES + 1);
        assert_eq!(counts.iter().map(|(_, n)| n).sum::<u32>(), 200);
        assert_eq!(counts.last().unwrap().0, OTHERS);

        let long = "ü".repeat(500);
        let counts = counted(&[(&long, 1)]);
        assert_eq!(counts[0].0.chars().count(), MAX_LABEL_CHARS + 1);
    }
}
