//! From the numbers a network answers with to what they mean; no engine in it.

pub mod classifier;
pub mod detectron2;

/// A tensor as the engine hands it out.
#[derive(Clone, Debug)]
pub struct Tensor<'a, T> {
    /// Lengths of the dimensions.
    pub shape: Vec<usize>,
    /// The values, last dimension fastest.
    pub values: &'a [T],
}

/// The network's answer does not follow its manifest.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OutputError {
    /// An output has another shape than its convention says.
    #[error(
        "output {output:?} has shape {shape:?}, expected {expected}; check [output] in model.toml or export again"
    )]
    Shape {
        /// The output's name.
        output: String,
        /// The shape it has.
        shape: Vec<usize>,
        /// The shape it should have.
        expected: String,
    },
    /// The network knows a class that has no label.
    #[error("the network answers class {class}, but model.toml has {labels} labels, for classes 0 to {}; list them all", .labels - 1)]
    UnknownClass {
        /// The class.
        class: i64,
        /// How many labels there are.
        labels: usize,
    },
    /// A score is not between zero and one.
    #[error(
        "output {output:?} holds the score {score}, which is no probability; if the network ends without softmax, write convention = \"logits\" in model.toml"
    )]
    Score {
        /// The output's name.
        output: String,
        /// The score.
        score: f32,
    },
    /// The size that coordinates refer to is none.
    #[error(
        "output \"image_size\" is {height}x{width}; it must be the height and width that boxes refer to"
    )]
    ImageSize {
        /// The height it gives.
        height: i64,
        /// The width it gives.
        width: i64,
    },
}

/// A score may miss the range from zero to one by rounding, not by more.
fn checked_score(output: &str, score: f32) -> Result<f32, OutputError> {
    const ROUNDING: f32 = 1e-3;
    if (-ROUNDING..=1.0 + ROUNDING).contains(&score) {
        return Ok(score.clamp(0.0, 1.0));
    }
    Err(OutputError::Score {
        output: output.to_owned(),
        score,
    })
}
