//! How well two answers about one picture agree: things are the same if they have the same label
//! and lie in the same place, pictures if their best class is the same.

use pipeline::detections::{BBox, Classification, Instance};

use crate::model::Prediction;

/// Boxes that overlap at least so much are of one thing.
const SAME_PLACE: f32 = 0.5;

/// What two answers have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Agreement {
    /// Things, or the best class, that both report.
    pub(crate) both: usize,
    /// What only the served version reports.
    pub(crate) served_alone: usize,
    /// What only the shadow reports.
    pub(crate) shadow_alone: usize,
    /// Over what both report: how far the scores are apart, added up.
    pub(crate) score_difference: f32,
}

impl Agreement {
    pub(crate) fn of(served: &Prediction, shadow: &Prediction) -> Self {
        match (served, shadow) {
            (Prediction::Instances(served), Prediction::Instances(shadow)) => {
                of_instances(served, shadow)
            }
            (Prediction::Classes(served), Prediction::Classes(shadow)) => {
                of_classes(served.first(), shadow.first())
            }
            // Two kinds of model have nothing in common.
            _ => Self {
                served_alone: 1,
                shadow_alone: 1,
                ..Self::default()
            },
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.served_alone == 0 && self.shadow_alone == 0
    }

    pub(crate) fn word(&self) -> &'static str {
        if self.is_whole() {
            "agreed"
        } else {
            "differed"
        }
    }
}

/// Pairs the things, the surest of the served ones first, each with the nearest free one.
fn of_instances(served: &[Instance], shadow: &[Instance]) -> Agreement {
    let mut free: Vec<&Instance> = shadow.iter().collect();
    let mut agreement = Agreement::default();
    for thing in served {
        let overlap = |other: &Instance| overlap(thing.bbox, other.bbox);
        let nearest = free
            .iter()
            .enumerate()
            .filter(|(_, other)| other.label == thing.label && overlap(other) >= SAME_PLACE)
            .max_by(|a, b| overlap(a.1).total_cmp(&overlap(b.1)))
            .map(|(position, _)| position);
        match nearest {
            Some(position) => {
                let other = free.swap_remove(position);
                agreement.both += 1;
                agreement.score_difference += (thing.score - other.score).abs();
            }
            None => agreement.served_alone += 1,
        }
    }
    agreement.shadow_alone = free.len();
    agreement
}

fn of_classes(served: Option<&Classification>, shadow: Option<&Classification>) -> Agreement {
    match (served, shadow) {
        (Some(served), Some(shadow)) if served.label == shadow.label => Agreement {
            both: 1,
            score_difference: (served.score - shadow.score).abs(),
            ..Agreement::default()
        },
        _ => Agreement {
            served_alone: usize::from(served.is_some()),
            shadow_alone: usize::from(shadow.is_some()),
            ..Agreement::default()
        },
    }
}

/// Intersection over union of two boxes; zero for boxes without an area.
fn overlap(a: BBox, b: BBox) -> f32 {
    let width = (a.x + a.w).min(b.x + b.w) - a.x.max(b.x);
    let height = (a.y + a.h).min(b.y + b.h) - a.y.max(b.y);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let both = width * height;
    both / (a.w * a.h + b.w * b.h - both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(label: &str, left: f32, score: f32) -> Instance {
        Instance {
            label: label.to_owned(),
            category_id: 1,
            score,
            bbox: [left, 10.0, 20.0, 20.0].into(),
            area: 400,
            segmentation: None,
            class_color: None,
            color: None,
        }
    }

    fn class(label: &str, score: f32) -> Prediction {
        let label = label.to_owned();
        Prediction::Classes(vec![Classification { label, score }])
    }

    fn counts(served: &Prediction, shadow: &Prediction) -> (usize, usize, usize) {
        let agreement = Agreement::of(served, shadow);
        (
            agreement.both,
            agreement.served_alone,
            agreement.shadow_alone,
        )
    }

    #[test]
    fn things_agree_by_label_and_place() {
        let served = vec![thing("nut", 0.0, 0.9), thing("bolt", 100.0, 0.8)];
        let same = vec![thing("bolt", 102.0, 0.6), thing("nut", 1.0, 0.9)];
        let agreement = Agreement::of(
            &Prediction::Instances(served.clone()),
            &Prediction::Instances(same),
        );
        assert_eq!((agreement.both, agreement.word()), (2, "agreed"));
        assert!((agreement.score_difference - 0.2).abs() < 1e-6);
        let other = vec![
            thing("bolt", 0.0, 0.9),
            thing("bolt", 115.0, 0.8),
            thing("gear", 200.0, 0.7),
        ];
        let (served, other) = (Prediction::Instances(served), Prediction::Instances(other));
        assert_eq!(counts(&served, &other), (0, 2, 3));
        assert_eq!(Agreement::of(&served, &other).word(), "differed");
    }

    #[test]
    fn one_thing_is_paired_once_and_with_the_nearest() {
        let served = vec![thing("nut", 0.0, 0.9), thing("nut", 6.0, 0.8)];
        let shadow = vec![thing("nut", 5.0, 0.9), thing("nut", 0.5, 0.9)];
        let (served, shadow) = (Prediction::Instances(served), Prediction::Instances(shadow));
        assert_eq!(counts(&served, &shadow), (2, 0, 0));
        let one = Prediction::Instances(vec![thing("nut", 1.0, 0.9)]);
        assert_eq!(counts(&served, &one), (1, 1, 0));
    }

    #[test]
    fn nothing_agrees_with_nothing() {
        let none = Prediction::Instances(Vec::new());
        assert_eq!(Agreement::of(&none, &none).word(), "agreed");
        let empty = thing("nut", 0.0, 0.9);
        let flat = Instance {
            bbox: [0.0, 10.0, 0.0, 0.0].into(),
            ..empty
        };
        let flat = Prediction::Instances(vec![flat]);
        assert_eq!(counts(&flat, &flat), (0, 1, 1), "no area, no place");
    }

    #[test]
    fn pictures_agree_by_their_best_class() {
        assert_eq!(counts(&class("nut", 0.9), &class("nut", 0.5)), (1, 0, 0));
        assert_eq!(counts(&class("nut", 0.9), &class("bolt", 0.9)), (0, 1, 1));
        let none = Prediction::Classes(Vec::new());
        assert_eq!(counts(&none, &class("nut", 0.9)), (0, 0, 1));
        let things = Prediction::Instances(Vec::new());
        assert_eq!(counts(&things, &class("nut", 0.9)), (0, 1, 1));
    }
}
