//! A network in three pieces: trunk, box head and mask head, each in a session of its own, with what
//! [`cut`](crate::model::cut) does between them.
//!
//! The pieces run one after another, so never more threads work than one session has. A head that
//! would get nothing is not run.

use std::path::Path;

use pipeline::detections::Instance;

use super::Runtime;
use super::answer::Answer;
use super::model::LoadError;
use super::provider::SessionOptions;
use super::session::{Graph, RunInput, SessionError};
use crate::graph::admitted_with;
use crate::model::cut::classify::Found;
use crate::model::cut::pool::{PoolMemory, Pyramid};
use crate::model::cut::proposals::Scored;
use crate::model::cut::{BoxHead, CutPlan, MaskHead};
use crate::model::decode::detectron2::{InstanceDecoder, Names, Outputs};
use crate::model::decode::{InstanceRules, Masks, OutputError, Tensor};
use crate::model::geometry::{Corners, PlacedFrame, Size};
use crate::model::manifest::{Convention, Manifest};
use crate::model::signature::Element;
use crate::model::{Interrupter, ModelError};

/// The three sessions and what lies between them.
#[derive(Debug)]
pub(super) struct CutNetwork {
    plan: CutPlan,
    trunk: Graph,
    box_head: Graph,
    mask_head: Option<Graph>,
    decoder: InstanceDecoder,
    /// What is less certain is not reported, so nothing is done for it.
    least_score: f32,
    memory: PoolMemory,
}

/// The picture's size as the trunk says it, and the places that are worth a look.
type Places = (Size, Vec<Corners>);

impl CutNetwork {
    /// Loads the pieces that a `cut.toml` describes, which lie beside it.
    pub(super) fn load(
        runtime: &Runtime,
        (path, manifest): (&Path, &Manifest),
        options: &SessionOptions,
    ) -> Result<Self, LoadError> {
        let unfit = |reason: String| LoadError::Cut {
            path: path.to_owned(),
            reason,
        };
        let mut plan = CutPlan::read(path)?;
        let rules = InstanceRules::of(manifest);
        check_manifest(&plan, manifest, &rules).map_err(unfit)?;
        if !rules.has_masks {
            plan.mask_head = None;
        }
        let load = |file: &str, inputs: usize| -> Result<Graph, LoadError> {
            let path = path.with_file_name(file);
            admitted_with(&path, inputs)?;
            Ok(Graph::load(runtime, &path, options)?)
        };
        let trunk = load(&plan.trunk.file, 1)?;
        let box_head = load(&plan.box_head.file, 1)?;
        let mask_head = plan.mask_head.as_ref();
        let mask_head = mask_head.map(|head| load(&head.file, 2)).transpose()?;
        check_trunk(&plan, &trunk)?;
        check_box_head(&plan.box_head, &box_head, manifest)?;
        if let (Some(head), Some(graph)) = (&plan.mask_head, &mask_head) {
            check_mask_head(head, graph)?;
        }
        let names = Names {
            boxes: plan.box_head.deltas.clone(),
            classes: plan.box_head.probabilities.clone(),
            scores: plan.box_head.probabilities.clone(),
            masks: plan.mask_head.as_ref().map(|head| head.masks.clone()),
            image_size: Some(plan.trunk.image_size.clone()),
        };
        Ok(Self {
            least_score: manifest.thresholds.score,
            decoder: InstanceDecoder::new(rules, names, Convention::Detectron2),
            plan,
            trunk,
            box_head,
            mask_head,
            memory: PoolMemory::default(),
        })
    }

    /// The piece that sees the picture.
    pub(super) fn trunk(&self) -> &Graph {
        &self.trunk
    }

    /// Ends whichever piece runs, and every later one.
    pub(super) fn interrupter(&self) -> Interrupter {
        let pieces = [
            Some(&self.trunk),
            Some(&self.box_head),
            self.mask_head.as_ref(),
        ];
        let all: Vec<Interrupter> = pieces
            .into_iter()
            .flatten()
            .map(Graph::interrupter)
            .collect();
        Interrupter::new(move || all.iter().for_each(Interrupter::interrupt))
    }

    /// The instances in one picture.
    pub(super) fn run(
        &mut self,
        input: RunInput<'_>,
        frame: &PlacedFrame,
    ) -> Result<Vec<Instance>, ModelError> {
        let Self {
            plan,
            trunk,
            box_head,
            mask_head,
            decoder,
            least_score,
            memory,
        } = self;
        trunk.run(input, |seen| {
            let (size, places) = propose(plan, seen)?;
            if places.is_empty() {
                return Ok(Vec::new());
            }
            let features = plan.trunk.features.iter();
            let features = features.map(|level| seen.floats(&level.output));
            let features = features.collect::<Result<Vec<_>, SessionError>>()?;
            let mut pyramid = Pyramid::new(&plan.trunk.features, features, memory)?;
            let head = (&plan.box_head, &mut *box_head);
            let found = classify(head, &mut pyramid, &(size, places), *least_score)?;
            if found.scores.is_empty() {
                return Ok(Vec::new());
            }
            match (&plan.mask_head, &mut *mask_head) {
                (Some(about), Some(graph)) => draw((about, graph), &mut pyramid, &found, |masks| {
                    let outputs = outputs(&found, size, Some(masks));
                    Ok(decoder.decode(&outputs, frame)?)
                }),
                _ => Ok(decoder.decode(&outputs(&found, size, None), frame)?),
            }
        })
    }
}

/// Reads the trunk's answer but for its features.
fn propose(plan: &CutPlan, seen: &Answer<'_>) -> Result<Places, ModelError> {
    let name = &plan.trunk.image_size;
    let image_size = seen.integers(name)?;
    image_size.expect_shape(name, &[2])?;
    let (height, width) = (image_size.values[0], image_size.values[1]);
    let size = match (u32::try_from(width), u32::try_from(height)) {
        (Ok(width), Ok(height)) if width > 0 && height > 0 => Size { width, height },
        _ => return Err(OutputError::ImageSize { height, width }.into()),
    };
    let mut scored = Vec::with_capacity(plan.proposals.levels.len());
    for level in &plan.proposals.levels {
        scored.push(Scored {
            objectness: seen.floats(&level.objectness)?,
            deltas: seen.floats(&level.deltas)?,
        });
    }
    Ok((size, plan.proposals.find(&scored, size)?))
}

fn classify(
    (about, graph): (&BoxHead, &mut Graph),
    pyramid: &mut Pyramid<'_>,
    (size, places): &Places,
    least_score: f32,
) -> Result<Found, ModelError> {
    let shape = pyramid.shape(places.len(), &about.pooling);
    let regions = RunInput {
        name: &about.input,
        element: &Element::F32,
        shape: &shape,
        values: pyramid.pool(places, &about.pooling),
    };
    graph.run_head(regions, None, |said| {
        let probabilities = said.floats(&about.probabilities)?;
        let deltas = said.floats(&about.deltas)?;
        let said = (&probabilities, &deltas);
        Ok(about.classify(said, (places, *size), least_score)?)
    })
}

fn draw<T>(
    (about, graph): (&MaskHead, &mut Graph),
    pyramid: &mut Pyramid<'_>,
    found: &Found,
    read: impl FnOnce(Tensor<'_, f32>) -> Result<T, ModelError>,
) -> Result<T, ModelError> {
    let shape = pyramid.shape(found.corners.len(), &about.pooling);
    let regions = RunInput {
        name: &about.regions,
        element: &Element::F32,
        shape: &shape,
        values: pyramid.pool(&found.corners, &about.pooling),
    };
    let classes = Some((about.classes.as_str(), &found.classes[..]));
    graph.run_head(regions, classes, |said| read(said.floats(&about.masks)?))
}

/// As if the whole network were one graph in Detectron2's convention.
fn outputs<'a>(found: &'a Found, size: Size, masks: Option<Tensor<'a, f32>>) -> Outputs<'a> {
    let count = found.scores.len();
    let image_size = vec![i64::from(size.height), i64::from(size.width)];
    Outputs {
        boxes: Tensor::new([count, 4], found.edges()),
        classes: Tensor::new([count], &found.classes[..]),
        scores: Tensor::new([count], &found.scores[..]),
        masks: masks.map(Masks::Floats),
        image_size: Some(Tensor::new([2], image_size)),
    }
}

/// Whether the manifest asks for what a cut network does.
fn check_manifest(
    plan: &CutPlan,
    manifest: &Manifest,
    rules: &InstanceRules,
) -> Result<(), String> {
    let convention = manifest.output.convention.unwrap_or(Convention::Detectron2);
    if convention != Convention::Detectron2 || !convention.answers(manifest.task) {
        return Err(format!(
            "a network that is cut answers in the convention \"detectron2\", but model.toml has {:?} for {}",
            convention.as_str(),
            manifest.task.as_str()
        ));
    }
    if plan.trunk.input != manifest.input.name {
        return Err(format!(
            "its trunk's input is {:?}, but input.name in model.toml is {:?}; make them equal",
            plan.trunk.input, manifest.input.name
        ));
    }
    if rules.has_masks && plan.mask_head.is_none() {
        return Err(
            "it has no [mask_head]; add it, or write task = \"object-detection\" in model.toml"
                .to_owned(),
        );
    }
    Ok(())
}

fn check_trunk(plan: &CutPlan, trunk: &Graph) -> Result<(), SessionError> {
    let features = plan.trunk.features.iter().map(|level| &level.output);
    let levels = plan.proposals.levels.iter();
    let scores = levels.flat_map(|level| [&level.objectness, &level.deltas]);
    let mut outputs = features.chain(scores).chain([&plan.trunk.image_size]);
    outputs.try_for_each(|output| trunk.check_output(output))
}

fn check_box_head(head: &BoxHead, graph: &Graph, manifest: &Manifest) -> Result<(), LoadError> {
    check_regions(graph, &head.input, head.pooling.size)?;
    graph.check_output(&head.deltas)?;
    graph.check_output(&head.probabilities)?;
    let probabilities = graph.signature().output(&head.probabilities);
    let (labels, slots) = (
        manifest.labels.len(),
        probabilities.and_then(|port| port.fixed(1)),
    );
    match slots {
        Some(slots) if slots != labels + 1 => Err(LoadError::Cut {
            path: graph.path().to_owned(),
            reason: format!(
                "it tells {} classes apart, but model.toml has {labels} labels; list them all",
                slots.saturating_sub(1)
            ),
        }),
        _ => Ok(()),
    }
}

fn check_mask_head(head: &MaskHead, graph: &Graph) -> Result<(), LoadError> {
    check_regions(graph, &head.regions, head.pooling.size)?;
    graph.check_output(&head.masks)?;
    match graph.signature().input(&head.classes) {
        Some(port) if port.element == Element::I64 && port.rank() == Some(1) => Ok(()),
        _ => Err(LoadError::Cut {
            path: graph.path().to_owned(),
            reason: format!("it has no input {:?} of int64 [regions]", head.classes),
        }),
    }
}

/// Regions are fed as 32-bit floats, as many as there are.
fn check_regions(graph: &Graph, name: &str, size: usize) -> Result<(), LoadError> {
    let channels = graph.signature().input(name).and_then(|port| port.fixed(1));
    let element = graph.check_input(name, &[None, channels, Some(size), Some(size)])?;
    match graph.signature().input(name) {
        Some(port) if element != Element::F32 => {
            let wanted = "float32 regions; export the heads in float32";
            Err(graph.unfit_input(port, wanted.to_owned()).into())
        }
        _ => Ok(()),
    }
}
