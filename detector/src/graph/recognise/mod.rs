//! What Kadr takes a graph for, and why: from its inputs and outputs alone, or with what only the
//! file knows.
//!
//! One file a group of conventions, asked in the order of `GROUPS`; the first that knows the
//! outputs answers. What is a guess is said in `doubts`, and what cannot be served is left without a
//! convention and explained there too.

mod classifier;
mod detr;
mod input;
mod labels;
mod rcnn;
mod semantic;
mod yolo;

use super::wiring::Hints;
use crate::model::manifest::{
    Channels, Convention, Layout, OutputNames, Range, Resize, ScoreFunction, Task,
};
use crate::model::signature::{Port, Signature};

pub(super) use labels::class_names;

/// Classes of one network; there are sets of pictures with more than twenty thousand.
const MAX_CLASSES: usize = 50_000;

/// What Kadr takes a graph for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recognition {
    /// Which outputs there are and what they mean; `None` if they are not known, in which case
    /// `doubts` says why.
    pub convention: Option<Convention>,
    /// What the network does.
    pub task: Option<Task>,
    /// How it is fed.
    pub input: Option<InputGuess>,
    /// What a detector calls its outputs.
    pub names: OutputNames,
    /// The output that holds the answer of a network with one.
    pub output: Option<String>,
    /// Whether instances come with masks.
    pub has_masks: bool,
    /// Classes that the outputs have room for.
    pub class_count: Option<usize>,
    /// What makes scores of a DETR's logits, where that is certain.
    pub scores: Option<ScoreFunction>,
    /// The same where it is a guess, for a person to confirm.
    pub likely_scores: Option<ScoreFunction>,
    /// Names of classes that the exporter stored.
    pub labels: Vec<String>,
    /// Why, one finding a line.
    pub because: Vec<String>,
    /// What is a guess or cannot be served, one a line.
    pub doubts: Vec<String>,
}

/// How a network is fed.
#[derive(Clone, Debug, PartialEq)]
pub struct InputGuess {
    /// The input's name.
    pub name: String,
    /// The tensor's dimensions.
    pub layout: Layout,
    /// Which colours, in which order.
    pub channels: Channels,
    /// The range of a pixel's value.
    pub range: Range,
    /// Mean and deviation to be taken out before the graph, where it does not do so itself.
    pub mean_and_std: Option<MeanAndStd>,
    /// The size that the network sees.
    pub resize: Resize,
    /// Pictures that can go in together.
    pub max_batch_size: usize,
}

/// The mean and the deviation of each channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanAndStd {
    /// Taken away first.
    pub mean: [f32; 3],
    /// Divided by then.
    pub std: [f32; 3],
}

/// What a group of conventions says of outputs that it knows.
#[derive(Debug, Default)]
struct Finding {
    convention: Option<Convention>,
    task: Option<Task>,
    names: OutputNames,
    output: Option<String>,
    has_masks: bool,
    class_count: Option<usize>,
    scores: Option<ScoreFunction>,
    likely_scores: Option<ScoreFunction>,
    because: Vec<String>,
    doubts: Vec<String>,
}

/// Everything that a group may look at.
struct Evidence<'a> {
    signature: &'a Signature,
    hints: &'a Hints,
    /// Height and width of the picture, where they are fixed.
    picture: Option<(usize, usize)>,
}

/// Asked in this order: the more an output says, the earlier.
const GROUPS: [fn(&Evidence<'_>) -> Option<Finding>; 5] = [
    rcnn::find,
    detr::find,
    yolo::find,
    semantic::find,
    classifier::find,
];

/// What a graph of this signature is taken for.
pub fn recognise(signature: &Signature) -> Recognition {
    recognise_with(signature, &Hints::default())
}

/// The same with what only the file knows.
pub fn recognise_with(signature: &Signature, hints: &Hints) -> Recognition {
    let tensor = match input::tensor(signature) {
        Ok(tensor) => tensor,
        Err(doubt) => return unknown(doubt),
    };
    let evidence = Evidence {
        signature,
        hints,
        picture: tensor.picture(),
    };
    let Some(mut finding) = GROUPS.iter().find_map(|group| group(&evidence)) else {
        return unknown(format!(
            "the outputs {} are none that Kadr knows; models/README.md lists the conventions, and \
             models/export has recipes that end in one",
            listed(&signature.outputs)
        ));
    };
    if let Some(classes) = finding.class_count
        && !(1..=MAX_CLASSES).contains(&classes)
    {
        return unknown(format!(
            "the outputs {} would have {classes} classes, and a model has 1 to {MAX_CLASSES}",
            listed(&signature.outputs)
        ));
    }
    let input = finding
        .convention
        .map(|convention| input::guess(&tensor, convention, hints, &mut finding));
    let labels = labels::matching(&hints.class_names, &mut finding);
    Recognition {
        convention: finding.convention,
        task: finding.task,
        input,
        names: finding.names,
        output: finding.output,
        has_masks: finding.has_masks,
        class_count: finding.class_count,
        scores: finding.scores,
        likely_scores: finding.likely_scores,
        labels,
        because: finding.because,
        doubts: finding.doubts,
    }
}

fn unknown(doubt: String) -> Recognition {
    Recognition {
        doubts: vec![doubt],
        ..Recognition::default()
    }
}

impl Finding {
    /// Outputs that are known and not served.
    fn unserved(why: String) -> Self {
        Self {
            doubts: vec![why],
            ..Self::default()
        }
    }
}

impl Evidence<'_> {
    fn outputs(&self) -> impl Iterator<Item = &Port> {
        self.signature.outputs.iter()
    }

    /// The float outputs of so many dimensions.
    fn floats(&self, rank: usize) -> Vec<&Port> {
        self.outputs()
            .filter(|port| port.is_float() && port.rank() == Some(rank))
            .collect()
    }

    /// The operator that an output comes from.
    fn maker(&self, port: &Port) -> Option<&str> {
        self.hints.makers.get(&port.name).map(String::as_str)
    }
}

/// As many ports as a person reads.
fn listed(ports: &[Port]) -> String {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = ports.iter().take(SHOWN).map(Port::to_string).collect();
    if ports.len() > SHOWN {
        shown.push(format!("and {} more", ports.len() - SHOWN));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests;
