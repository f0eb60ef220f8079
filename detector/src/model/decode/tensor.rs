//! A tensor as the engine hands it out, and masks that may be numbers or truth values.

use std::borrow::Cow;
use std::ops::Range;

use super::OutputError;

/// Lengths of the dimensions and the values, last dimension fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<'a, T: Clone> {
    /// Lengths of the dimensions.
    pub shape: Vec<usize>,
    /// The values; owned where the graph's type had to be converted.
    pub values: Cow<'a, [T]>,
}

impl<'a, T: Clone> Tensor<'a, T> {
    /// A tensor of this shape.
    pub fn new(shape: impl Into<Vec<usize>>, values: impl Into<Cow<'a, [T]>>) -> Self {
        Self {
            shape: shape.into(),
            values: values.into(),
        }
    }

    /// Checks the shape, and that there are as many values as it says.
    pub(crate) fn expect_shape(&self, output: &str, expected: &[usize]) -> Result<(), OutputError> {
        if self.shape == expected && self.is_complete() {
            return Ok(());
        }
        Err(self.unexpected(output, format!("{expected:?}")))
    }

    /// Whether there are as many values as the shape says.
    pub(in crate::model) fn is_complete(&self) -> bool {
        self.values.len() == self.shape.iter().product::<usize>()
    }

    pub(in crate::model) fn unexpected(&self, output: &str, expected: String) -> OutputError {
        OutputError::Shape {
            output: output.to_owned(),
            shape: self.shape.clone(),
            expected,
        }
    }
}

/// The masks of an answer, in the type that the graph gives them. They are large, so only the ones
/// that are looked at become floats.
#[derive(Clone, Debug)]
pub enum Masks<'a> {
    /// Probabilities or logits.
    Floats(Tensor<'a, f32>),
    /// Pixels that belong or do not.
    Truths(Tensor<'a, bool>),
    /// The same as bytes: zero or not.
    Bytes(Tensor<'a, u8>),
}

impl Masks<'_> {
    /// Lengths of the dimensions.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Floats(tensor) => &tensor.shape,
            Self::Truths(tensor) => &tensor.shape,
            Self::Bytes(tensor) => &tensor.shape,
        }
    }

    /// Whether there are as many values as the shape says.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Floats(tensor) => tensor.is_complete(),
            Self::Truths(tensor) => tensor.is_complete(),
            Self::Bytes(tensor) => tensor.is_complete(),
        }
    }

    /// Some of the values as floats; truth becomes one.
    pub(super) fn cells(&self, range: Range<usize>) -> Cow<'_, [f32]> {
        let one_if = |is_set: bool| f32::from(u8::from(is_set));
        match self {
            Self::Floats(tensor) => Cow::Borrowed(&tensor.values[range]),
            Self::Truths(tensor) => tensor.values[range].iter().map(|&t| one_if(t)).collect(),
            Self::Bytes(tensor) => tensor.values[range]
                .iter()
                .map(|&b| one_if(b != 0))
                .collect(),
        }
    }
}
