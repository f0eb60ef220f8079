//! A model of the repository, run by ONNX Runtime.

use std::path::PathBuf;

use super::Runtime;
use super::provider::SessionOptions;
use super::session::{Answer, Graph, SessionError};
use crate::image::RgbImage;
use crate::model::decode::classifier::ClassifierDecoder;
use crate::model::decode::detectron2::{InstanceDecoder, Outputs, names};
use crate::model::geometry::{Placement, Size};
use crate::model::manifest::{Convention, InputSpec, Layout, Manifest, Resize};
use crate::model::preprocess::Preprocessor;
use crate::model::repository::{Precision, RepositoryError, ResolvedModel};
use crate::model::{Interrupter, Model, ModelError, Prediction};

/// How a model is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The form of the weights.
    pub precision: Precision,
    /// Device, threads and memory.
    pub session: SessionOptions,
}

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its files are not there.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Its graph cannot be loaded or does not fit the manifest.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A classifier has several outputs and the manifest does not say which one counts.
    #[error("{path} has the outputs {available}; say which one to read with name = … under [output] in model.toml", path = .path.display())]
    AmbiguousOutput {
        /// The graph.
        path: PathBuf,
        /// Its outputs.
        available: String,
    },
}

/// A model of the repository in an ONNX Runtime session.
#[derive(Debug)]
pub struct OnnxModel {
    manifest: Manifest,
    version: u32,
    graph: Graph,
    preprocessor: Preprocessor,
    head: Head,
    /// The input of the last run, kept for its memory.
    tensor: Vec<f32>,
}

/// How the answer is read.
#[derive(Debug)]
enum Head {
    Instances {
        decoder: InstanceDecoder,
        has_image_size: bool,
    },
    Classes {
        decoder: ClassifierDecoder,
        output: String,
    },
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
        let path = model.file(options.precision)?;
        let graph = Graph::load(runtime, &path, &options.session)?;
        let manifest = model.manifest.clone();
        graph.check_input(&manifest.input.name, &wanted_shape(&manifest))?;
        let head = Head::of(&graph, &manifest)?;
        Ok(Self {
            preprocessor: Preprocessor::new(&manifest.input),
            manifest,
            version: model.version,
            graph,
            head,
            tensor: Vec::new(),
        })
    }

    /// One run of the network; `images` are no more than it takes at once.
    fn predict_batch(&mut self, images: &[&RgbImage]) -> Result<Vec<Prediction>, ModelError> {
        self.tensor.clear();
        let mut inputs = Vec::with_capacity(images.len());
        for image in images {
            inputs.push(Input {
                frame: Size {
                    width: image.width(),
                    height: image.height(),
                },
                placement: self.preprocessor.append(image, &mut self.tensor)?,
            });
        }
        let Some(first) = inputs.first() else {
            return Ok(Vec::new());
        };
        // The manifest allows batches only where every frame gets the same input size.
        let spec = &self.manifest.input;
        let shape = tensor_shape(spec, images.len(), first.placement.input);
        let head = &mut self.head;
        self.graph
            .run((&spec.name, &shape, &self.tensor), |answer| {
                head.read(answer, &inputs)
            })
    }
}

impl Model for OnnxModel {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn predict(&mut self, images: &[&RgbImage]) -> Result<Vec<Prediction>, ModelError> {
        let mut predictions = Vec::with_capacity(images.len());
        for batch in images.chunks(self.manifest.max_batch_size) {
            predictions.extend(self.predict_batch(batch)?);
        }
        Ok(predictions)
    }

    fn interrupter(&self) -> Interrupter {
        self.graph.interrupter()
    }
}

/// One frame of a batch and where it lies in the tensor.
struct Input {
    frame: Size,
    placement: Placement,
}

impl Head {
    /// The head of this convention, after checking that the graph has its outputs.
    fn of(graph: &Graph, manifest: &Manifest) -> Result<Self, LoadError> {
        let labels = manifest.labels.clone();
        let convention = manifest.output.convention;
        if convention == Convention::Detectron2 {
            for name in [names::BOXES, names::CLASSES, names::SCORES, names::MASKS] {
                graph.check_output(name)?;
            }
            return Ok(Self::Instances {
                decoder: InstanceDecoder::new(labels, manifest.thresholds),
                has_image_size: graph.output_names().contains(&names::IMAGE_SIZE),
            });
        }
        let output = match (&manifest.output.name, &graph.output_names()[..]) {
            (Some(name), _) => {
                graph.check_output(name)?;
                name.clone()
            }
            (None, [only]) => (*only).to_owned(),
            (None, several) => {
                return Err(LoadError::AmbiguousOutput {
                    path: graph.path().to_owned(),
                    available: several.join(", "),
                });
            }
        };
        let decoder = ClassifierDecoder::new(labels, convention, manifest.thresholds.score);
        Ok(Self::Classes { decoder, output })
    }

    /// One prediction an input, in order.
    fn read(
        &mut self,
        answer: &Answer<'_>,
        inputs: &[Input],
    ) -> Result<Vec<Prediction>, ModelError> {
        match self {
            Self::Instances {
                decoder,
                has_image_size,
            } => {
                let outputs = Outputs {
                    boxes: answer.floats(names::BOXES)?,
                    classes: answer.integers(names::CLASSES)?,
                    scores: answer.floats(names::SCORES)?,
                    masks: answer.floats(names::MASKS)?,
                    image_size: if *has_image_size {
                        Some(answer.integers(names::IMAGE_SIZE)?)
                    } else {
                        None
                    },
                };
                // The manifest allows this convention batches of one only.
                let mut predictions = Vec::with_capacity(inputs.len());
                for Input { frame, placement } in inputs {
                    let instances = decoder.decode(&outputs, placement, *frame)?;
                    predictions.push(Prediction::Instances(instances));
                }
                Ok(predictions)
            }
            Self::Classes { decoder, output } => {
                let scores = answer.floats(output)?;
                let rows = decoder.decode(output, inputs.len(), &scores)?;
                Ok(rows.into_iter().map(Prediction::Classes).collect())
            }
        }
    }
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
    }
}

/// The shape that a graph's input must accept; `None` is a dimension that varies.
fn wanted_shape(manifest: &Manifest) -> Vec<Option<usize>> {
    let spec = &manifest.input;
    let (height, width) = match spec.resize {
        Resize::ShortestEdge { .. } => (None, None),
        Resize::Fixed { width, height } | Resize::Letterbox { width, height, .. } => {
            (Some(height as usize), Some(width as usize))
        }
    };
    let image = [Some(spec.channels.count()), height, width];
    let batch = if manifest.max_batch_size == 1 {
        Some(1)
    } else {
        None
    };
    match spec.layout {
        Layout::Chw => image.to_vec(),
        Layout::Nchw => [&[batch], &image[..]].concat(),
    }
}
