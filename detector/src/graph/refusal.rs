//! Why a file is not served, each with what to do about it.

use std::path::PathBuf;

use super::wire::WireError;

/// Why a file cannot be had or served, with its path.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be served: {refusal}", path = .path.display())]
pub struct GraphError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub refusal: Box<Refusal>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be opened.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// It is something else.
    #[error("it is {what}, not an ONNX model; {advice}")]
    NotOnnx {
        /// What it seems to be.
        what: &'static str,
        /// How an ONNX model is had from it.
        advice: &'static str,
    },
    /// It began like an ONNX model and then went wrong.
    #[error("{0}; copy or export it again")]
    Wire(#[from] WireError),
    /// It is too large to be handed around as one file.
    #[error(
        "it is {bytes} bytes, more than the {limit} that one ONNX file can have; export a smaller network or fp16 weights"
    )]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The longest allowed.
        limit: u64,
    },
    /// There is too much of something in it.
    #[error("it is absurd: more than {limit} {what}; export it again")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// Something that every model has is not there.
    #[error("it has no {what}; {advice}")]
    Missing {
        /// What is not there.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// Something is there twice.
    #[error("it has two {what}s called {name:?}; export it again")]
    Twice {
        /// What is there twice.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Its weights lie in other files.
    #[error("{tensors} of its tensors lie outside it, in {}; a model is served from one file: write it again with onnx.save(onnx.load(FILE), OUT), or export with external_data=False", listed(.locations))]
    ExternalData {
        /// How many tensors.
        tensors: u64,
        /// The files it names, the first few.
        locations: Vec<String>,
    },
    /// It points out of its folder.
    #[error(
        "its tensor {tensor:?} names the file {location:?}, outside the model's folder; do not use this file, or write it again with onnx.save(onnx.load(FILE), OUT)"
    )]
    Escapes {
        /// The tensor.
        tensor: String,
        /// The file that it names.
        location: String,
    },
    /// ONNX Runtime has no code for some of its operators.
    #[error("it needs operators that are not in ONNX: {}; export it without plug-ins (no TensorRT NMS, no custom layers)", listed(.operators))]
    CustomOperators {
        /// The operators, with their domains and how often they are used.
        operators: Vec<String>,
    },
    /// An output that nothing computes.
    #[error("its output {output:?} is computed by nothing; export it again")]
    DanglingOutput {
        /// The output.
        output: String,
    },
    /// An operator waits for a value that nothing computes.
    #[error("its operator {operator} needs {value:?}, which nothing computes; export it again")]
    DanglingInput {
        /// The operator's kind.
        operator: String,
        /// What it needs.
        value: String,
    },
    /// It wants to be given more than a picture.
    #[error("it wants the inputs {}, and Kadr gives a picture and nothing else; make the others constants at export", listed(.inputs))]
    SeveralInputs {
        /// Its inputs.
        inputs: Vec<String>,
    },
    /// An input or output of a size that no memory holds.
    #[error("its {direction} {port} is absurdly large; export it with other dimensions")]
    AbsurdPort {
        /// `input` or `output`.
        direction: &'static str,
        /// The port as it is printed.
        port: String,
    },
    /// A tensor says one size and has another.
    #[error(
        "its tensor {tensor:?} says {shape:?} of {element}, which takes {expected}, but holds {found}; copy or export it again"
    )]
    Weights {
        /// The tensor.
        tensor: String,
        /// The shape it says.
        shape: Vec<i64>,
        /// Its type.
        element: String,
        /// What that takes.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A tensor of a shape or type that cannot be.
    #[error("its tensor {tensor:?} cannot be: {problem}; export it again")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        problem: String,
    },
    /// An operator set that does not exist.
    #[error(
        "it asks for version {version} of the operator set {domain:?}, which cannot be; export it with opset 17"
    )]
    Opset {
        /// The domain.
        domain: String,
        /// The version.
        version: i64,
    },
}

/// A few of a list, each shortened: the texts are a stranger's.
fn listed(texts: &[String]) -> String {
    const SHOWN: usize = 8;
    const LONGEST: usize = 100;
    let shown: Vec<String> = texts
        .iter()
        .take(SHOWN)
        .map(|text| text.chars().take(LONGEST).collect())
        .collect();
    match texts.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
