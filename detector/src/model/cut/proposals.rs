//! From the trunk's scores to the places that are worth a look: the best of every level, without
//! those that lie on better ones.

use super::boxes::{has_sides, moved};
use super::{ProposalLevel, Proposals};
use crate::model::decode::nms::{Candidate, sort_by_score, without_overlaps};
use crate::model::decode::{OutputError, Tensor, sigmoid};
use crate::model::geometry::{Corners, Size};

/// What the trunk says on one level.
#[derive(Clone, Debug)]
pub struct Scored<'a> {
    /// See [`ProposalLevel::objectness`].
    pub objectness: Tensor<'a, f32>,
    /// See [`ProposalLevel::deltas`].
    pub deltas: Tensor<'a, f32>,
}

impl Proposals {
    /// The places in a picture of this size, the most promising first; one [`Scored`] a level.
    pub fn find(&self, scored: &[Scored<'_>], picture: Size) -> Result<Vec<Corners>, OutputError> {
        let mut candidates = Vec::new();
        for (index, (level, scored)) in self.levels.iter().zip(scored).enumerate() {
            let (rows, columns) = level.check(scored)?;
            let cells = rows * columns;
            for at in best(&scored.objectness.values, self.before_nms_per_level) {
                let (anchor, cell) = (at / cells, at % cells);
                let deltas = [0, 1, 2, 3]
                    .map(|part| scored.deltas.values[(4 * anchor + part) * cells + cell]);
                let (row, column) = (cell / columns, cell % columns);
                let stride = level.stride as f32;
                let (x, y) = (column as f32 * stride, row as f32 * stride);
                let anchor = moved(level.anchors[anchor], x, y);
                let corners = self.coding.decode(anchor, deltas).clipped_to(picture);
                let score = sigmoid(scored.objectness.values[at]);
                if has_sides(corners, self.min_side) && !score.is_nan() {
                    candidates.push(Candidate {
                        corners,
                        // Levels do not disturb each other.
                        class: index,
                        score,
                        index: at,
                    });
                }
            }
        }
        sort_by_score(&mut candidates);
        let kept = without_overlaps(&candidates, self.nms_iou, self.after_nms);
        Ok(kept
            .into_iter()
            .map(|candidate| candidate.corners)
            .collect())
    }
}

impl ProposalLevel {
    /// Rows and columns, if both outputs have the same and a value for every anchor.
    fn check(&self, scored: &Scored<'_>) -> Result<(usize, usize), OutputError> {
        let anchors = self.anchors.len();
        let &[_, rows, columns] = &scored.objectness.shape[..] else {
            let expected = format!("[{anchors}, rows, columns]");
            return Err(scored.objectness.unexpected(&self.objectness, expected));
        };
        let shape = |values: usize| [values, rows, columns];
        scored
            .objectness
            .expect_shape(&self.objectness, &shape(anchors))?;
        scored
            .deltas
            .expect_shape(&self.deltas, &shape(4 * anchors))?;
        Ok((rows, columns))
    }
}

/// Where the `most` largest values stand, in no order.
fn best(values: &[f32], most: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    if most < places.len() {
        places.select_nth_unstable_by(most, |&a, &b| values[b].total_cmp(&values[a]));
        places.truncate(most);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::boxes::BoxCoding;
    use super::*;

    fn level(output: &str, stride: usize, side: f32) -> ProposalLevel {
        let half = side / 2.0;
        ProposalLevel {
            features: 0,
            objectness: format!("objectness_{output}"),
            deltas: format!("deltas_{output}"),
            anchors: vec![Corners {
                x0: -half,
                y0: -half,
                x1: half,
                y1: half,
            }],
            stride,
        }
    }

    fn rules(levels: Vec<ProposalLevel>) -> Proposals {
        Proposals {
            levels,
            coding: BoxCoding {
                weights: [1.0; 4],
                max_log_scale: 4.0,
            },
            before_nms_per_level: 3,
            after_nms: 4,
            nms_iou: 0.7,
            min_side: 1.0,
        }
    }

    /// One anchor a cell, all of them where they are.
    fn scored(rows: usize, columns: usize, logits: &[f32]) -> Scored<'_> {
        Scored {
            objectness: Tensor::new([1, rows, columns], logits),
            deltas: Tensor::new([4, rows, columns], vec![0.0; 4 * rows * columns]),
        }
    }

    const PICTURE: Size = Size {
        width: 32,
        height: 16,
    };

    fn edges(found: &[Corners]) -> Vec<[f32; 4]> {
        let edges = |c: &Corners| [c.x0, c.y0, c.x1, c.y1];
        found.iter().map(edges).collect()
    }

    #[test]
    fn the_best_cells_become_boxes_inside_the_picture() {
        let rules = rules(vec![level("p3", 8, 10.0)]);
        let logits = [-1.0, 2.0, 0.0, -3.0, 1.0, -2.0, -4.0, -5.0];
        let found = rules.find(&[scored(2, 4, &logits)], PICTURE).unwrap();
        // Cells 1, 4 and 2 of the rows of four; the first row's middle is the edge itself.
        let wanted = [
            [3.0, 0.0, 13.0, 5.0],
            [0.0, 3.0, 5.0, 13.0],
            [11.0, 0.0, 21.0, 5.0],
        ];
        assert_eq!(edges(&found), wanted);
    }

    #[test]
    fn what_lies_on_a_better_one_of_its_level_goes() {
        let mut rules = rules(vec![level("p3", 1, 10.0), level("p4", 1, 10.0)]);
        let first = [0.5, 0.25, 9.0, 0.0];
        let second = [3.0, -9.0, -9.5, -20.0];
        let both = [scored(1, 4, &first), scored(1, 4, &second)];
        let found = rules.find(&both, PICTURE).unwrap();
        let left: Vec<f32> = found.iter().map(|corners| corners.x1).collect();
        // Of the first level column 2, which covers 0 and 1 by more than 0.7 of what is inside; of the
        // second column 0, which covers 1 and 2.
        assert_eq!(left, [7.0, 5.0]);
        rules.after_nms = 1;
        assert_eq!(rules.find(&both, PICTURE).unwrap().len(), 1);
    }

    #[test]
    fn nothing_and_what_is_not_a_number_propose_nothing() {
        let rules = rules(vec![level("p3", 8, 10.0)]);
        assert!(
            rules
                .find(&[scored(0, 4, &[])], PICTURE)
                .unwrap()
                .is_empty()
        );
        let nan = [f32::NAN; 2];
        assert!(
            rules
                .find(&[scored(1, 2, &nan)], PICTURE)
                .unwrap()
                .is_empty()
        );
        let logits = [1.0; 2];
        let mut broken = scored(1, 2, &logits);
        broken.deltas = Tensor::new([4, 1, 2], vec![f32::NAN; 8]);
        assert!(rules.find(&[broken], PICTURE).unwrap().is_empty());
    }

    #[test]
    fn other_shapes_are_refused() {
        let rules = rules(vec![level("p3", 8, 10.0)]);
        let logits = [1.0; 4];
        let mut short = scored(2, 2, &logits);
        short.deltas = Tensor::new([4, 2, 3], vec![0.0; 24]);
        let error = rules.find(&[short], PICTURE).unwrap_err().to_string();
        assert!(
            error.contains("\"deltas_p3\" has shape [4, 2, 3]"),
            "{error}"
        );
        let mut flat = scored(2, 2, &logits);
        flat.objectness = Tensor::new([4], &logits[..]);
        let error = rules.find(&[flat], PICTURE).unwrap_err().to_string();
        assert!(error.contains("[1, rows, columns]"), "{error}");
    }
}
