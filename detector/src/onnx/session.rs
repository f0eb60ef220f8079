//! A graph on a device: loaded with its options, checked and run by the names in its manifest.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{NoSelectedOutputs, RunOptions, Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::Runtime;
use super::answer::Answer;
use super::provider::{Provider, SessionOptions, execution_providers, no_provider};
use crate::model::Interrupter;
use crate::model::signature::{Dim, Element, Port, Signature};

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
    signature: Signature,
    /// The input in the graph's own type, where that is not the one frames are made in.
    halves: Vec<f16>,
    bytes: Vec<u8>,
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

/// What goes into a run: values that become what the input's element is.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunInput<'a> {
    pub(super) name: &'a str,
    pub(super) element: &'a Element,
    pub(super) shape: &'a [usize],
    pub(super) values: &'a [f32],
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
            signature: signature_of(&session),
            session,
            path: path.to_owned(),
            halves: Vec::new(),
            bytes: Vec::new(),
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

    pub(super) fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Checks that the input exists, holds numbers that frames can be made into and accepts this
    /// shape; `None` stands for a dimension that changes from run to run.
    pub(super) fn check_input(
        &self,
        name: &str,
        wanted_shape: &[Option<usize>],
    ) -> Result<Element, SessionError> {
        let Some(port) = self.signature.input(name) else {
            return Err(self.no_such_name("input", name, &self.signature.inputs));
        };
        let is_fed = matches!(port.element, Element::F32 | Element::F16 | Element::U8);
        let fits = port.rank() == Some(wanted_shape.len())
            && wanted_shape
                .iter()
                .enumerate()
                .all(|(axis, &wanted)| port.fixed(axis).is_none_or(|found| wanted == Some(found)));
        if is_fed && fits {
            return Ok(port.element.clone());
        }
        let wanted: Vec<String> = wanted_shape
            .iter()
            .map(|length| length.map_or("any".to_owned(), |length| length.to_string()))
            .collect();
        Err(self.unfit_input(port, format!("a float tensor [{}]", wanted.join(", "))))
    }

    /// The input is not what the manifest asks for.
    pub(super) fn unfit_input(&self, port: &Port, wanted: String) -> SessionError {
        SessionError::Input {
            path: self.path.clone(),
            input: port.name.clone(),
            found: port.to_string(),
            wanted,
        }
    }

    pub(super) fn check_output(&self, name: &str) -> Result<(), SessionError> {
        if self.signature.output(name).is_some() {
            return Ok(());
        }
        Err(self.no_such_name("output", name, &self.signature.outputs))
    }

    /// Runs the graph on one input and hands its outputs to `read`.
    pub(super) fn run<T, E: From<SessionError>>(
        &mut self,
        input: RunInput<'_>,
        read: impl FnOnce(&Answer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let path = &self.path;
        let failed = |error: ort::Error| SessionError::Run {
            path: path.clone(),
            reason: error.to_string(),
        };
        let RunInput { shape, values, .. } = input;
        let tensor: SessionInputValue<'_> = match input.element {
            Element::F16 => {
                self.halves.clear();
                self.halves
                    .extend(values.iter().map(|&value| f16::from_f32(value)));
                let view = TensorRef::from_array_view((shape, &self.halves[..]));
                view.map_err(failed)?.into()
            }
            Element::U8 => {
                self.bytes.clear();
                self.bytes
                    .extend(values.iter().map(|value| value.round() as u8));
                let view = TensorRef::from_array_view((shape, &self.bytes[..]));
                view.map_err(failed)?.into()
            }
            _ => TensorRef::from_array_view((shape, values))
                .map_err(failed)?
                .into(),
        };
        let outputs = self
            .session
            .run_with_options(ort::inputs![input.name => tensor], &*self.leash.0)
            .map_err(failed)?;
        read(&Answer::new(outputs, path))
    }

    /// Runs a head of a cut network on pooled regions, and on their classes where it takes them.
    pub(super) fn run_head<T, E: From<SessionError>>(
        &mut self,
        regions: RunInput<'_>,
        classes: Option<(&str, &[i64])>,
        read: impl FnOnce(&Answer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let path = &self.path;
        let failed = |error: ort::Error| SessionError::Run {
            path: path.clone(),
            reason: error.to_string(),
        };
        let tensor = TensorRef::from_array_view((regions.shape, regions.values)).map_err(failed)?;
        let mut inputs = ort::inputs![regions.name => tensor];
        if let Some((name, classes)) = classes {
            let tensor = TensorRef::from_array_view(([classes.len()], classes));
            inputs.push((name.into(), tensor.map_err(failed)?.into()));
        }
        let outputs = self
            .session
            .run_with_options(inputs, &*self.leash.0)
            .map_err(failed)?;
        read(&Answer::new(outputs, path))
    }

    fn no_such_name(
        &self,
        direction: &'static str,
        wanted: &str,
        available: &[Port],
    ) -> SessionError {
        let names: Vec<&str> = available.iter().map(|port| port.name.as_str()).collect();
        SessionError::NoSuchName {
            path: self.path.clone(),
            direction,
            wanted: wanted.to_owned(),
            available: names.join(", "),
        }
    }
}

/// The inputs and outputs of a loaded graph.
fn signature_of(session: &Session) -> Signature {
    Signature {
        inputs: session.inputs().iter().map(port_of).collect(),
        outputs: session.outputs().iter().map(port_of).collect(),
    }
}

fn port_of(outlet: &Outlet) -> Port {
    let (element, shape) = match outlet.dtype() {
        ValueType::Tensor {
            ty,
            shape,
            dimension_symbols,
        } => {
            let dims = shape.iter().enumerate().map(|(axis, &length)| {
                usize::try_from(length).map_or_else(
                    |_negative| Dim::Free(symbol_of(dimension_symbols.get(axis))),
                    Dim::Fixed,
                )
            });
            (element_of(*ty), Some(dims.collect()))
        }
        other => (Element::Other(other.to_string()), None),
    };
    Port {
        name: outlet.name().to_owned(),
        element,
        shape,
    }
}

fn symbol_of(symbol: Option<&String>) -> Option<String> {
    symbol.filter(|symbol| !symbol.is_empty()).cloned()
}

fn element_of(element: TensorElementType) -> Element {
    match element {
        TensorElementType::Float32 => Element::F32,
        TensorElementType::Float16 => Element::F16,
        TensorElementType::Float64 => Element::F64,
        TensorElementType::Uint8 => Element::U8,
        TensorElementType::Int32 => Element::I32,
        TensorElementType::Int64 => Element::I64,
        TensorElementType::Bool => Element::Bool,
        other => Element::Other(other.to_string()),
    }
}

fn configure(
    builder: ort::session::builder::SessionBuilder,
    options: &SessionOptions,
) -> Result<ort::session::builder::SessionBuilder, ort::Error> {
    Ok(builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.threads)?
        .with_parallel_execution(options.inter_threads > 1)?
        .with_inter_threads(options.inter_threads.max(1))?
        .with_intra_op_spinning(options.spinning)?
        .with_inter_op_spinning(options.spinning)?
        // Patterns are remembered for every input shape, and frames come in any.
        .with_memory_pattern(options.arena)?)
}
