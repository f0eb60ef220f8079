//! A model of the repository, run by ONNX Runtime.

use std::path::PathBuf;

use super::Runtime;
use super::cut::CutNetwork;
use super::head::Head;
use super::provider::SessionOptions;
use super::session::{Graph, RunInput, SessionError};
use crate::graph::{GraphError, GraphFile, admitted};
use crate::image::RgbImage;
use crate::model::cut::CutError;
use crate::model::decode::PortError;
use crate::model::geometry::{PlacedFrame, Size};
use crate::model::manifest::{Clash, Convention, InputSpec, Layout, Manifest, OutputNames, Range};
use crate::model::preprocess::Preprocessor;
use crate::model::repository::{Precision, RepositoryError, ResolvedModel};
use crate::model::signature::Element;
use crate::model::tensor::TensorBuffer;
use crate::model::{Interrupter, Model, ModelError, Prediction};

/// How a model is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The form of the weights; without one, the form that the manifest serves.
    pub precision: Option<Precision>,
    /// Device, threads and memory.
    pub session: SessionOptions,
}

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its files are not there.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Its graph cannot be served, whatever the manifest says.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Its graph cannot be loaded or does not fit the manifest.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Its `cut.toml` cannot be used.
    #[error(transparent)]
    CutFile(#[from] CutError),
    /// The pieces of a cut network do not go together with each other or the manifest.
    #[error("{path} cannot be served: {reason}", path = .path.display())]
    Cut {
        /// The piece, or the `cut.toml`.
        path: PathBuf,
        /// What does not go together.
        reason: String,
    },
    /// Its graph does not answer in its convention.
    #[error(
        "{path} does not answer in the convention {:?}: {reason}; it has {available}; say which output is which with name = … or names = {{ boxes = … }} under [output] in model.toml, or choose another convention",
        .convention.as_str(), path = .path.display()
    )]
    Outputs {
        /// The graph.
        path: PathBuf,
        /// The convention.
        convention: Convention,
        /// What is missing.
        reason: PortError,
        /// Its outputs.
        available: String,
    },
    /// The convention that was recognised does not go with the rest of the manifest.
    #[error("{path} seems to answer in the convention {:?}, but {reason}", .convention.as_str(), path = .path.display())]
    Clash {
        /// The graph.
        path: PathBuf,
        /// What was recognised.
        convention: Convention,
        /// What does not go together.
        reason: Clash,
    },
    /// Neither the manifest nor the graph says how the answer is to be read.
    #[error("it cannot be seen how {path} answers ({doubts}); write convention = … under [output] in model.toml", path = .path.display())]
    NoConvention {
        /// The graph.
        path: PathBuf,
        /// Why it cannot be seen.
        doubts: String,
    },
    /// A classifier has several outputs and the manifest does not say which one counts.
    #[error("{path} has the outputs {available}; say which one to read with name = … under [output] in model.toml", path = .path.display())]
    AmbiguousOutput {
        /// The graph.
        path: PathBuf,
        /// Its outputs.
        available: String,
    },
}

/// A model of the repository in ONNX Runtime.
#[derive(Debug)]
pub struct OnnxModel {
    manifest: Manifest,
    version: u32,
    precision: Precision,
    network: Network,
    element: Element,
    preprocessor: Preprocessor,
    /// The input of the last run, kept for its memory.
    tensor: TensorBuffer,
}

/// What is run.
#[derive(Debug)]
enum Network {
    /// One graph, and how its answer is read.
    Whole(Box<(Graph, Head)>),
    /// Three, and what lies between them.
    Cut(Box<CutNetwork>),
}

impl From<SessionError> for ModelError {
    fn from(error: SessionError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl OnnxModel {
    /// Loads a model and checks that its graph is what the manifest says.
    pub fn load(
        runtime: &Runtime,
        model: &ResolvedModel,
        options: &LoadOptions,
    ) -> Result<Self, LoadError> {
        let precision = model.form(options.precision);
        let path = model.file(precision)?;
        let mut manifest = model.manifest.clone();
        let (network, element) = if precision == Precision::Cut {
            let cut = CutNetwork::load(runtime, (&path, &manifest), &options.session)?;
            let element = check_input(cut.trunk(), &manifest)?;
            manifest.output.convention = Some(Convention::Detectron2);
            (Network::Cut(Box::new(cut)), element)
        } else {
            let file = admitted(&path)?;
            let graph = Graph::load(runtime, &path, &options.session)?;
            let element = check_input(&graph, &manifest)?;
            let convention = settle_convention(&file, &mut manifest)?;
            let head = Head::of(&graph, &manifest, convention)?;
            (Network::Whole(Box::new((graph, head))), element)
        };
        Ok(Self {
            element,
            preprocessor: Preprocessor::new(&manifest.input),
            manifest,
            version: model.version,
            precision,
            network,
            tensor: TensorBuffer::default(),
        })
    }

    /// One run of the network; `images` are no more than it takes at once.
    fn predict_batch(&mut self, images: &[&RgbImage]) -> Result<Vec<Prediction>, ModelError> {
        self.tensor.clear();
        let mut frames = Vec::with_capacity(images.len());
        for image in images {
            frames.push(PlacedFrame {
                frame: Size {
                    width: image.width(),
                    height: image.height(),
                },
                placement: self.preprocessor.append(image, &mut self.tensor),
            });
        }
        let Some(first) = frames.first() else {
            return Ok(Vec::new());
        };
        // The manifest allows batches only where every frame gets the same input size.
        let spec = &self.manifest.input;
        let shape = tensor_shape(spec, images.len(), first.placement.input);
        let input = RunInput {
            name: &spec.name,
            element: &self.element,
            shape: &shape,
            values: self.tensor.values(),
        };
        match &mut self.network {
            Network::Whole(whole) => {
                let (graph, head) = &mut **whole;
                graph.run(input, |answer| head.read(answer, &frames))
            }
            // Its trunk takes one picture at a time, so the manifest allows no more.
            Network::Cut(cut) => Ok(vec![Prediction::Instances(cut.run(input, first)?)]),
        }
    }
}

impl Model for OnnxModel {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn predict(&mut self, images: &[&RgbImage]) -> Result<Vec<Prediction>, ModelError> {
        let mut predictions = Vec::with_capacity(images.len());
        for batch in images.chunks(self.manifest.max_batch_size) {
            predictions.extend(self.predict_batch(batch)?);
        }
        Ok(predictions)
    }

    fn interrupter(&self) -> Interrupter {
        match &self.network {
            Network::Whole(whole) => whole.0.interrupter(),
            Network::Cut(cut) => cut.interrupter(),
        }
    }
}

/// Checks that frames can be fed as the manifest says; gives the type of the input's numbers.
fn check_input(graph: &Graph, manifest: &Manifest) -> Result<Element, SessionError> {
    let spec = &manifest.input;
    let element = graph.check_input(&spec.name, &wanted_shape(manifest))?;
    let are_bytes = spec.range == Range::Bytes
        && spec.mean.iter().all(|&mean| mean == 0.0)
        && spec.std.iter().all(|&std| (std - 1.0).abs() < f32::EPSILON);
    match graph.signature().input(&spec.name) {
        Some(port) if element == Element::U8 && !are_bytes => {
            let wanted = "numbers that are no bytes; write range = \"0-255\" without mean and std";
            Err(graph.unfit_input(port, wanted.to_owned()))
        }
        _ => Ok(element),
    }
}

/// The convention that the manifest names. Where it names none, the one that the graph shows, with
/// what else of it shows there.
fn settle_convention(file: &GraphFile, manifest: &mut Manifest) -> Result<Convention, LoadError> {
    if let Some(convention) = manifest.output.convention {
        return Ok(convention);
    }
    let seen = file.recognise();
    let Some(convention) = seen.convention else {
        return Err(LoadError::NoConvention {
            path: file.path.clone(),
            doubts: seen.doubts.join("; "),
        });
    };
    manifest
        .check_convention(convention)
        .map_err(|reason| LoadError::Clash {
            path: file.path.clone(),
            convention,
            reason,
        })?;
    let output = &mut manifest.output;
    output.convention = Some(convention);
    output.scores = output.scores.or(seen.scores);
    if output.name.is_none() {
        output.name = seen.output;
    }
    if output.names == OutputNames::default() {
        output.names = seen.names;
    }
    Ok(convention)
}

/// The input's shape for a batch of frames that all became `size`.
fn tensor_shape(spec: &InputSpec, batch: usize, size: Size) -> Vec<usize> {
    let image = [
        spec.channels.count(),
        size.height as usize,
        size.width as usize,
    ];
    match spec.layout {
        Layout::Chw => image.to_vec(),
        Layout::Nchw => [&[batch], &image[..]].concat(),
        Layout::Hwc => vec![image[1], image[2], image[0]],
        Layout::Nhwc => vec![batch, image[1], image[2], image[0]],
    }
}

/// The shape that a graph's input must accept; `None` is a dimension that varies.
fn wanted_shape(manifest: &Manifest) -> Vec<Option<usize>> {
    let spec = &manifest.input;
    let (width, height) = spec
        .resize
        .fixed_size()
        .map_or((None, None), |(width, height)| {
            (Some(width as usize), Some(height as usize))
        });
    let image = [Some(spec.channels.count()), height, width];
    let batch = if manifest.max_batch_size == 1 {
        Some(1)
    } else {
        None
    };
    match spec.layout {
        Layout::Chw => image.to_vec(),
        Layout::Nchw => [&[batch], &image[..]].concat(),
        Layout::Hwc => vec![image[1], image[2], image[0]],
        Layout::Nhwc => vec![batch, image[1], image[2], image[0]],
    }
}
