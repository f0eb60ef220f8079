//! From the numbers a network answers with to what they mean; no engine in it.
//!
//! One file a convention, which knows the names and the shapes of its outputs: finished detections
//! from Detectron2 and torchvision, anchors and prototypes from YOLO, queries from DETR, a class for
//! each pixel, and classes of the whole picture.
//!
//! What they share: `ports` finds their outputs in a graph, `instances` makes instances of their
//! answers, `nms` sorts out boxes that lie on each other.

pub mod classifier;
pub mod detectron2;
pub mod detr;
mod instances;
pub(super) mod nms;
mod ports;
pub mod semantic;
mod tensor;
pub mod yolo;

pub use instances::InstanceRules;
pub(super) use instances::sigmoid;
pub use ports::PortError;
pub use tensor::{Masks, Tensor};

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
    #[error("the network answers class {class}, but model.toml has {labels} labels, for classes {first} to {}; list them all", .first + *.labels as i64 - 1)]
    UnknownClass {
        /// The class.
        class: i64,
        /// The number of the first label's class.
        first: i64,
        /// How many labels there are.
        labels: usize,
    },
    /// It cannot be seen what makes scores of the logits.
    #[error(
        "output {output:?} has one class more than the {labels} labels of model.toml; write scores = \"softmax\" under [output] if it stands for nothing there (DETR), scores = \"sigmoid\" if every class has a score of its own (RF-DETR), or list the missing label"
    )]
    Unstated {
        /// The output's name.
        output: String,
        /// How many labels there are.
        labels: usize,
    },
    /// A score is not between zero and one.
    #[error(
        "output {output:?} holds the score {score}, which is no probability; a classifier that ends without softmax needs convention = \"logits\" in model.toml, a detector its last step inside the graph"
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
