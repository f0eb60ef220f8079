//! What a run answered: outputs by name, in the types that the decoders read.

use std::borrow::Cow;
use std::path::Path;

use half::f16;
use ort::session::SessionOutputs;
use ort::value::PrimitiveTensorElementType;

use super::session::SessionError;
use crate::model::decode::{Masks, Tensor};

/// The outputs of a run.
pub(super) struct Answer<'a> {
    outputs: SessionOutputs<'a>,
    path: &'a Path,
}

impl<'a> Answer<'a> {
    pub(super) fn new(outputs: SessionOutputs<'a>, path: &'a Path) -> Self {
        Self { outputs, path }
    }

    /// Shape and values of an output of floats, which must have been checked to exist.
    pub(super) fn floats(&self, name: &str) -> Result<Tensor<'_, f32>, SessionError> {
        if let Some(tensor) = self.tensor::<f32>(name) {
            return Ok(tensor);
        }
        let narrow = self
            .tensor::<f16>(name)
            .map(|halves| converted(&halves, f16::to_f32));
        let wide = || {
            self.tensor::<f64>(name)
                .map(|wide| converted(&wide, |value| value as f32))
        };
        narrow
            .or_else(wide)
            .ok_or_else(|| self.other_type(name, "floats"))
    }

    /// Shape and values of an output of whole numbers, which must have been checked to exist.
    pub(super) fn integers(&self, name: &str) -> Result<Tensor<'_, i64>, SessionError> {
        if let Some(tensor) = self.tensor::<i64>(name) {
            return Ok(tensor);
        }
        let narrow = self
            .tensor::<i32>(name)
            .map(|narrow| converted(&narrow, i64::from));
        let bytes = || {
            self.tensor::<u8>(name)
                .map(|bytes| converted(&bytes, i64::from))
        };
        narrow
            .or_else(bytes)
            .ok_or_else(|| self.other_type(name, "whole numbers"))
    }

    /// An output of masks, which must have been checked to exist.
    pub(super) fn masks(&self, name: &str) -> Result<Masks<'_>, SessionError> {
        if let Some(truths) = self.tensor::<bool>(name) {
            return Ok(Masks::Truths(truths));
        }
        if let Some(bytes) = self.tensor::<u8>(name) {
            return Ok(Masks::Bytes(bytes));
        }
        self.floats(name).map(Masks::Floats)
    }

    fn tensor<T: PrimitiveTensorElementType + Clone>(&self, name: &str) -> Option<Tensor<'_, T>> {
        let (shape, values) = self.outputs[name].try_extract_tensor::<T>().ok()?;
        let shape: Vec<usize> = shape.iter().map(|&length| length as usize).collect();
        Some(Tensor::new(shape, values))
    }

    fn other_type(&self, name: &str, wanted: &'static str) -> SessionError {
        SessionError::OutputType {
            path: self.path.to_owned(),
            output: name.to_owned(),
            found: self.outputs[name].dtype().to_string(),
            wanted,
        }
    }
}

fn converted<T: Copy, U: Clone>(
    tensor: &Tensor<'_, T>,
    convert: impl Fn(T) -> U,
) -> Tensor<'static, U> {
    let values: Vec<U> = tensor.values.iter().map(|&value| convert(value)).collect();
    Tensor::new(tensor.shape.clone(), Cow::Owned(values))
}
