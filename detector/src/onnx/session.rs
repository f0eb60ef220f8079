//! A graph on a device: loaded with its options, checked and run by the names in its manifest.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{NoSelectedOutputs, RunOptions, Session, SessionOutputs};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::Runtime;
use super::provider::{Provider, SessionOptions, execution_providers, no_provider};
use crate::model::Interrupter;
use crate::model::decode::Tensor;

/// Why a graph cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The device asked for cannot be had.
    #[error("{provider} was asked for and is not available: {reason}; {advice}")]
    Provider {
        /// The device.
        provider: Provider,
        /// What ONNX Runtime says, with the library it misses.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// The file is not a graph this runtime can load.
    #[error("cannot load {path}: {reason}", path = .path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// What ONNX Runtime says.
        reason: String,
    },
    /// The graph has no such input or output.
    #[error("{path} has no {direction} {wanted:?}; it has {available}; correct model.toml or name it so at export", path = .path.display())]
    NoSuchName {
        /// The file.
        path: PathBuf,
        /// `input` or `output`.
        direction: &'static str,
        /// The wanted name.
        wanted: String,
        /// What there is instead.
        available: String,
    },
    /// The graph's input does not fit the manifest.
    #[error("input {input:?} of {path} is {found}, but model.toml asks for {wanted}", path = .path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// The input.
        input: String,
        /// Its type and shape.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// Running the graph failed.
    #[error("running {path} failed: {reason}", path = .path.display())]
    Run {
        /// The file.
        path: PathBuf,
        /// What ONNX Runtime says.
        reason: String,
    },
    /// An output has another type than its convention says.
    #[error("output {output:?} of {path} is {found}, expected {wanted}", path = .path.display())]
    OutputType {
        /// The file.
        path: PathBuf,
        /// The output.
        output: String,
        /// Its type.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
}

/// A loaded graph.
#[derive(Debug)]
pub(super) struct Graph {
    session: Session,
    path: PathBuf,
    /// Shared with whoever may have to end a run.
    leash: Leash,
}

/// What ends a run; `RunOptions` has no `Debug`.
#[derive(Clone)]
struct Leash(Arc<RunOptions<NoSelectedOutputs>>);

impl fmt::Debug for Leash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Leash")
    }
}

impl Graph {
    pub(super) fn load(
        runtime: &Runtime,
        path: &Path,
        options: &SessionOptions,
    ) -> Result<Self, SessionError> {
        let unloadable = |error: ort::Error| SessionError::Graph {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let builder = Session::builder(&runtime.environment).map_err(unloadable)?;
        let builder = builder
            .with_execution_providers(execution_providers(options))
            .map_err(|error| no_provider(runtime, options.provider, &error.into()))?;
        let mut builder = configure(builder, options).map_err(unloadable)?;
        let session = builder.commit_from_file(path).map_err(unloadable)?;
        Ok(Self {
            session,
            path: path.to_owned(),
            leash: Leash(Arc::new(RunOptions::new().map_err(unloadable)?)),
        })
    }

    /// Ends the run that is under way; no later one succeeds.
    pub(super) fn interrupter(&self) -> Interrupter {
        let leash = self.leash.clone();
        Interrupter::new(move || {
            if let Err(error) = leash.0.terminate() {
                tracing::error!(%error, "a model run cannot be told to end");
            }
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn output_names(&self) -> Vec<&str> {
        self.session.outputs().iter().map(Outlet::name).collect()
    }

    /// Checks that the input exists, holds 32-bit floats and accepts this shape; `None` stands for
    /// a dimension that changes from run to run.
    pub(super) fn check_input(
        &self,
        name: &str,
        wanted_shape: &[Option<usize>],
    ) -> Result<(), SessionError> {
        let Some(input) = self
            .session
            .inputs()
            .iter()
            .find(|input| input.name() == name)
        else {
            let names: Vec<&str> = self.session.inputs().iter().map(Outlet::name).collect();
            return Err(self.no_such_name("input", name, &names));
        };
        let fits = match input.dtype() {
            ValueType::Tensor {
                ty: TensorElementType::Float32,
                shape,
                ..
            } => {
                shape.len() == wanted_shape.len()
                    && shape.iter().zip(wanted_shape).all(|(&found, &wanted)| {
                        found < 0 || wanted.is_some_and(|length| length as i64 == found)
                    })
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let wanted: Vec<String> = wanted_shape
            .iter()
            .map(|length| length.map_or("any".to_owned(), |length| length.to_string()))
            .collect();
        Err(SessionError::Input {
            path: self.path.clone(),
            input: name.to_owned(),
            found: input.dtype().to_string(),
            wanted: format!("a float tensor [{}]", wanted.join(", ")),
        })
    }

    pub(super) fn check_output(&self, name: &str) -> Result<(), SessionError> {
        let names = self.output_names();
        if names.contains(&name) {
            return Ok(());
        }
        Err(self.no_such_name("output", name, &names))
    }

    /// Runs the graph on one input and hands its outputs to `read`.
    pub(super) fn run<T, E: From<SessionError>>(
        &mut self,
        input: (&str, &[usize], &[f32]),
        read: impl FnOnce(&Answer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (name, shape, values) = input;
        let path = &self.path;
        let failed = |error: ort::Error| SessionError::Run {
            path: path.clone(),
            reason: error.to_string(),
        };
        let tensor = TensorRef::from_array_view((shape, values)).map_err(failed)?;
        let outputs = self
            .session
            .run_with_options(ort::inputs![name => tensor], &*self.leash.0)
            .map_err(failed)?;
        read(&Answer { outputs, path })
    }

    fn no_such_name(
        &self,
        direction: &'static str,
        wanted: &str,
        available: &[&str],
    ) -> SessionError {
        SessionError::NoSuchName {
            path: self.path.clone(),
            direction,
            wanted: wanted.to_owned(),
            available: available.join(", "),
        }
    }
}

/// What a run answered.
pub(super) struct Answer<'a> {
    outputs: SessionOutputs<'a>,
    path: &'a Path,
}

impl Answer<'_> {
    /// Shape and values of a 32-bit float output, which must have been checked to exist.
    pub(super) fn floats(&self, name: &str) -> Result<Tensor<'_, f32>, SessionError> {
        self.tensor(name, "float")
    }

    /// Shape and values of a 64-bit integer output, which must have been checked to exist.
    pub(super) fn integers(&self, name: &str) -> Result<Tensor<'_, i64>, SessionError> {
        self.tensor(name, "int64")
    }

    fn tensor<T: ort::value::PrimitiveTensorElementType>(
        &self,
        name: &str,
        wanted: &'static str,
    ) -> Result<Tensor<'_, T>, SessionError> {
        let output = &self.outputs[name];
        let (shape, values) =
            output
                .try_extract_tensor::<T>()
                .map_err(|_type_differs| SessionError::OutputType {
                    path: self.path.to_owned(),
                    output: name.to_owned(),
                    found: output.dtype().to_string(),
                    wanted,
                })?;
        Ok(Tensor {
            shape: shape.iter().map(|&length| length as usize).collect(),
            values,
        })
    }
}

fn configure(
    builder: ort::session::builder::SessionBuilder,
    options: &SessionOptions,
) -> Result<ort::session::builder::SessionBuilder, ort::Error> {
    Ok(builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.threads)?
        .with_intra_op_spinning(options.spinning)?
        .with_inter_op_spinning(options.spinning)?
        // Patterns are remembered for every input shape, and frames come in any.
        .with_memory_pattern(options.arena)?)
}
