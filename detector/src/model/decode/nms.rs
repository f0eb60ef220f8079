//! Sorts out boxes of one class that lie on each other (non-maximum suppression).

use crate::model::geometry::Corners;

/// A box that may be an instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::model) struct Candidate {
    pub(in crate::model) corners: Corners,
    pub(in crate::model) class: usize,
    pub(in crate::model) score: f32,
    /// Where in the network's answer it stands.
    pub(in crate::model) index: usize,
}

/// The most certain candidates first, equally certain ones in the network's order.
pub(in crate::model) fn sort_by_score(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// Of sorted candidates those that share no more than `max_overlap` with a more certain one of
/// their class, and `most` of them at most.
pub(in crate::model) fn without_overlaps(
    sorted: &[Candidate],
    max_overlap: f32,
    most: usize,
) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in sorted {
        if kept.len() == most {
            break;
        }
        let is_covered = kept.iter().any(|better| {
            better.class == candidate.class
                && better.corners.overlap(candidate.corners) > max_overlap
        });
        if !is_covered {
            kept.push(*candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(x0: f32, class: usize, score: f32) -> Candidate {
        Candidate {
            corners: Corners {
                x0,
                y0: 0.0,
                x1: x0 + 10.0,
                y1: 10.0,
            },
            class,
            score,
            index: 0,
        }
    }

    /// The left edges that are left of these boxes of 10 by 10.
    fn kept(boxes: &[(f32, usize, f32)], max_overlap: f32, most: usize) -> Vec<f32> {
        let mut candidates: Vec<Candidate> = boxes
            .iter()
            .map(|&(x0, class, score)| candidate(x0, class, score))
            .collect();
        sort_by_score(&mut candidates);
        without_overlaps(&candidates, max_overlap, most)
            .iter()
            .map(|candidate| candidate.corners.x0)
            .collect()
    }

    #[test]
    fn the_more_certain_of_two_covers_the_other() {
        // Moved by 2 they share 8 of 12.
        let boxes = [(0.0, 0, 0.6), (2.0, 0, 0.9), (30.0, 0, 0.7)];
        assert_eq!(kept(&boxes, 0.5, 9), [2.0, 30.0]);
        assert_eq!(kept(&boxes, 0.7, 9), [2.0, 30.0, 0.0]);
    }

    #[test]
    fn classes_do_not_disturb_each_other() {
        assert_eq!(kept(&[(0.0, 0, 0.6), (0.0, 1, 0.9)], 0.5, 9).len(), 2);
    }

    #[test]
    fn what_is_covered_covers_nothing() {
        // The second shares 2/3 with the first and with the third, those two 3/7.
        let boxes = [(0.0, 0, 0.9), (2.0, 0, 0.8), (4.0, 0, 0.7)];
        assert_eq!(kept(&boxes, 0.5, 9), [0.0, 4.0]);
    }

    #[test]
    fn there_are_no_more_than_wanted() {
        let boxes = [(0.0, 0, 0.5), (20.0, 0, 0.9), (40.0, 0, 0.7)];
        assert_eq!(kept(&boxes, 0.5, 2), [20.0, 40.0]);
    }

    #[test]
    fn boxes_without_area_share_nothing() {
        let point = Corners {
            x0: 3.0,
            y0: 3.0,
            x1: 3.0,
            y1: 3.0,
        };
        assert!(point.overlap(point).abs() < f32::EPSILON);
    }
}
