//! From the box head's numbers to instances: boxes and scores of every class, without those that lie
//! on better ones of the same class.

use super::BoxHead;
use super::boxes::has_sides;
use crate::model::decode::nms::{Candidate, sort_by_score, without_overlaps};
use crate::model::decode::{OutputError, Tensor};
use crate::model::geometry::{Corners, Size};

/// Instances in network pixels, the most certain first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Where they are.
    pub corners: Vec<Corners>,
    /// What they are, from zero.
    pub classes: Vec<i64>,
    /// How certain that is.
    pub scores: Vec<f32>,
}

impl BoxHead {
    /// What is in the proposals. What is less certain than `least` is not wanted anyway, and as it
    /// covers nothing that is more certain, it is left out from the start.
    pub fn classify(
        &self,
        (probabilities, deltas): (&Tensor<'_, f32>, &Tensor<'_, f32>),
        (proposals, picture): (&[Corners], Size),
        least: f32,
    ) -> Result<Found, OutputError> {
        let slots = self.slots(probabilities, deltas, proposals.len())?;
        let mut candidates = Vec::new();
        for (region, &proposal) in proposals.iter().enumerate() {
            let scores = &probabilities.values[region * slots..][..slots];
            for (slot, &score) in scores.iter().enumerate().skip(1) {
                if score <= self.score || score < least || score.is_nan() {
                    continue;
                }
                let at = (region * slots + slot) * 4;
                let deltas = [0, 1, 2, 3].map(|part| deltas.values[at + part]);
                let corners = self.coding.decode(proposal, deltas).clipped_to(picture);
                if has_sides(corners, self.min_side) {
                    candidates.push(Candidate {
                        corners,
                        class: slot - 1,
                        score,
                        index: region,
                    });
                }
            }
        }
        sort_by_score(&mut candidates);
        let kept = without_overlaps(&candidates, self.nms_iou, self.detections);
        Ok(Found {
            corners: kept.iter().map(|one| one.corners).collect(),
            classes: kept.iter().map(|one| one.class as i64).collect(),
            scores: kept.iter().map(|one| one.score).collect(),
        })
    }

    /// How many classes there are, nothing included, if both outputs fit the regions.
    fn slots(
        &self,
        probabilities: &Tensor<'_, f32>,
        deltas: &Tensor<'_, f32>,
        regions: usize,
    ) -> Result<usize, OutputError> {
        let slots = probabilities.shape.get(1).copied().unwrap_or_default();
        probabilities.expect_shape(&self.probabilities, &[regions, slots])?;
        deltas.expect_shape(&self.deltas, &[regions, slots, 4])?;
        Ok(slots)
    }
}

impl Found {
    /// The corners as the numbers of a tensor `[n, 4]`.
    pub fn edges(&self) -> Vec<f32> {
        let edges = |c: &Corners| [c.x0, c.y0, c.x1, c.y1];
        self.corners.iter().flat_map(edges).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::boxes::BoxCoding;
    use super::super::pool::{LevelRule, Pooling};
    use super::*;

    fn head() -> BoxHead {
        BoxHead {
            file: "box_head.onnx".to_owned(),
            input: "regions".to_owned(),
            probabilities: "probabilities".to_owned(),
            deltas: "deltas".to_owned(),
            coding: BoxCoding {
                weights: [10.0, 10.0, 5.0, 5.0],
                max_log_scale: 4.0,
            },
            score: 0.05,
            min_side: 0.01,
            nms_iou: 0.5,
            detections: 3,
            pooling: Pooling {
                size: 7,
                sampling: 2,
                is_aligned: false,
                rule: LevelRule {
                    canonical_side: 224.0,
                    canonical_level: 4,
                    first_level: 2,
                    levels: 4,
                },
            },
        }
    }

    const PICTURE: Size = Size {
        width: 100,
        height: 50,
    };

    /// Squares of ten pixels from these left edges on.
    fn squares(left: &[f32]) -> Vec<Corners> {
        let square = |&x0: &f32| Corners {
            x0,
            y0: 0.0,
            x1: x0 + 10.0,
            y1: 10.0,
        };
        left.iter().map(square).collect()
    }

    /// What a head says that finds every box where it was proposed.
    fn classify(head: &BoxHead, left: &[f32], probabilities: &[f32], least: f32) -> Found {
        let slots = probabilities.len() / left.len();
        let probabilities = Tensor::new([left.len(), slots], probabilities);
        let deltas = vec![0.0; left.len() * slots * 4];
        let deltas = Tensor::new([left.len(), slots, 4], deltas);
        let proposals = squares(left);
        head.classify((&probabilities, &deltas), (&proposals, PICTURE), least)
            .unwrap()
    }

    #[test]
    fn every_class_of_a_place_is_an_instance_and_background_is_none() {
        let found = classify(
            &head(),
            &[0.0, 50.0],
            &[0.1, 0.6, 0.3, 0.9, 0.05, 0.05],
            0.0,
        );
        assert_eq!(found.classes, [0, 1]);
        assert_eq!(found.scores, [0.6, 0.3]);
        assert_eq!(
            found.corners,
            squares(&[0.0, 0.0]),
            "0.05 is not above 0.05"
        );
        assert_eq!(found.edges()[..4], [0.0, 0.0, 10.0, 10.0]);
    }

    #[test]
    fn the_less_certain_of_a_class_goes_and_there_are_no_more_than_allowed() {
        let left = [0.0, 2.0, 30.0, 50.0, 90.0];
        let scores = [0.0, 0.6, 0.0, 0.7, 0.0, 0.9, 0.0, 0.8, 0.0, 0.5];
        let found = classify(&head(), &left, &scores, 0.0);
        assert_eq!(found.corners, squares(&[30.0, 50.0, 2.0]));
        let few = classify(&head(), &left, &scores, 0.75);
        assert_eq!(few.corners, squares(&[30.0, 50.0]));
    }

    /// What a threshold leaves out early is what it would leave out late.
    #[test]
    fn a_threshold_changes_nothing_but_how_much_is_looked_at() {
        let mut state = 7_u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1_u64 << 24) as f32
        };
        let mut head = head();
        head.detections = 20;
        for _ in 0..50 {
            let left: Vec<f32> = (0..30).map(|_| random() * 90.0).collect();
            let scores: Vec<f32> = (0..30 * 4).map(|_| random()).collect();
            let late = classify(&head, &left, &scores, 0.0);
            let early = classify(&head, &left, &scores, 0.6);
            let enough = late.scores.iter().filter(|&&score| score >= 0.6).count();
            assert!(enough > 3);
            assert_eq!(early.scores, late.scores[..enough]);
            assert_eq!(early.corners, late.corners[..enough]);
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        let probabilities = Tensor::new([1, 3], vec![0.5; 3]);
        let deltas = Tensor::new([1, 2, 4], vec![0.0; 8]);
        let error = head()
            .classify((&probabilities, &deltas), (&squares(&[0.0]), PICTURE), 0.0)
            .unwrap_err();
        assert!(
            error.to_string().contains("\"deltas\" has shape [1, 2, 4]"),
            "{error}"
        );
    }
}
