//! Scores of the classes a classifier knows, best first.

use pipeline::detections::Classification;

use super::{OutputError, Tensor, checked_score};
use crate::model::manifest::{Convention, Label};

/// Classes reported for one image at most.
pub const MAX_CLASSES: usize = 5;

/// How one model's answers are read.
#[derive(Clone, Debug)]
pub struct ClassifierDecoder {
    labels: Vec<Label>,
    has_logits: bool,
    min_score: f32,
}

impl ClassifierDecoder {
    /// A decoder for these labels; classes below `min_score` are left out.
    pub fn new(labels: Vec<Label>, convention: Convention, min_score: f32) -> Self {
        Self {
            labels,
            has_logits: convention == Convention::Logits,
            min_score,
        }
    }

    /// Reads a `[batch, classes]` output: one list an image, best class first. An output without
    /// a batch dimension is read as a batch of one.
    pub fn decode(
        &self,
        output: &str,
        images: usize,
        scores: &Tensor<'_, f32>,
    ) -> Result<Vec<Vec<Classification>>, OutputError> {
        let classes = self.labels.len();
        let is_batch = scores.shape == [images, classes];
        let is_single = images == 1 && scores.shape == [classes];
        if !(is_batch || is_single) || scores.values.len() != images * classes {
            return Err(OutputError::Shape {
                output: output.to_owned(),
                shape: scores.shape.clone(),
                expected: format!("[{images}, {classes}], a number for each label of each image"),
            });
        }
        scores
            .values
            .chunks_exact(classes)
            .map(|row| self.best_classes(output, row))
            .collect()
    }

    fn best_classes(&self, output: &str, row: &[f32]) -> Result<Vec<Classification>, OutputError> {
        let scores = if self.has_logits {
            softmax(row)
        } else {
            row.to_vec()
        };
        let mut ranked: Vec<usize> = (0..scores.len())
            .filter(|&class| scores[class] >= self.min_score)
            .collect();
        ranked.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        let best = ranked.into_iter().take(MAX_CLASSES).map(|class| {
            Ok(Classification {
                label: self.labels[class].name.clone(),
                score: checked_score(output, scores[class])?,
            })
        });
        best.collect()
    }
}

/// Shifted by the largest value, so that no exponential overflows.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials
        .iter()
        .map(|exponential| exponential / sum)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(names: &[&str], convention: Convention, min_score: f32) -> ClassifierDecoder {
        let labels = names
            .iter()
            .map(|&name| Label {
                name: name.to_owned(),
                color: [0; 3],
            })
            .collect();
        ClassifierDecoder::new(labels, convention, min_score)
    }

    fn decode(
        decoder: &ClassifierDecoder,
        shape: &[usize],
        values: &[f32],
    ) -> Result<Vec<Vec<Classification>>, OutputError> {
        let images = if shape.len() == 2 { shape[0] } else { 1 };
        decoder.decode("scores", images, &Tensor::new(shape, values))
    }

    fn names(classes: &[Classification]) -> Vec<&str> {
        classes.iter().map(|class| class.label.as_str()).collect()
    }

    #[test]
    fn logits_become_scores_that_add_up_to_one() {
        let decoder = decoder(&["bolt", "nut", "gear"], Convention::Logits, 0.0);
        // e^0, e^ln2 and e^ln5 are 1, 2 and 5 of 8.
        let logits = [0.0, 2.0f32.ln(), 5.0f32.ln()];
        let decoded = decode(&decoder, &[1, 3], &logits).unwrap();
        assert_eq!(names(&decoded[0]), ["gear", "nut", "bolt"]);
        for (class, expected) in decoded[0].iter().zip([0.625, 0.25, 0.125]) {
            assert!((class.score - expected).abs() < 1e-6, "{decoded:?}");
        }
        let large = decode(&decoder, &[1, 3], &[1000.0, 0.0, -1000.0]).unwrap();
        assert!((large[0][0].score - 1.0).abs() < 1e-6, "{large:?}");
    }

    #[test]
    fn probabilities_are_taken_as_they_are_and_filtered() {
        let decoder = decoder(&["bolt", "nut", "gear"], Convention::Probabilities, 0.3);
        let decoded = decode(&decoder, &[2, 3], &[0.6, 0.3, 0.1, 0.2, 0.2, 0.2]).unwrap();
        assert_eq!(names(&decoded[0]), ["bolt", "nut"]);
        assert!(decoded[1].is_empty());
    }

    #[test]
    fn at_most_five_classes_are_reported() {
        let all = ["a", "b", "c", "d", "e", "f"];
        let decoder = decoder(&all, Convention::Probabilities, 0.0);
        let decoded = decode(&decoder, &[1, 6], &[0.1, 0.2, 0.1, 0.3, 0.1, 0.2]).unwrap();
        assert_eq!(names(&decoded[0]), ["d", "b", "f", "a", "c"]);
    }

    #[test]
    fn logits_that_are_called_probabilities_are_noticed() {
        let decoder = decoder(&["bolt", "nut"], Convention::Probabilities, 0.0);
        let error = decode(&decoder, &[1, 2], &[7.5, -2.0]).unwrap_err();
        assert_eq!(
            error,
            OutputError::Score {
                output: "scores".to_owned(),
                score: 7.5
            }
        );
        assert!(
            error.to_string().contains("convention = \"logits\""),
            "{error}"
        );
    }

    #[test]
    fn scores_that_are_not_numbers_are_left_out() {
        let decoder = decoder(&["bolt", "nut"], Convention::Probabilities, 0.0);
        let decoded = decode(&decoder, &[1, 2], &[f32::NAN, 0.4]).unwrap();
        assert_eq!(names(&decoded[0]), ["nut"]);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let decoder = decoder(&["bolt", "nut"], Convention::Logits, 0.0);
        let error = decode(&decoder, &[1, 3], &[0.0; 3])
            .unwrap_err()
            .to_string();
        assert!(error.contains("[1, 3], expected [1, 2]"), "{error}");
        let short = Tensor::new([1, 2], &[0.0; 4]);
        assert!(
            decoder.decode("scores", 2, &short).is_err(),
            "one row for two images"
        );
        assert!(
            decode(&decoder, &[2], &[0.0; 2]).is_ok(),
            "one image without a batch dimension"
        );
    }
}
