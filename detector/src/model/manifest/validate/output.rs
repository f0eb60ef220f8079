//! `[output]` and `[thresholds]` of `model.toml`, checked.

use toml::Spanned;

use super::super::output::{Combination, Field};
use super::super::raw::{RawManifest, RawOutput, RawThresholds};
use super::super::{MAX_DETECTIONS, OutputSpec, Task, Thresholds};
use super::Issue;

/// Score from which an instance counts when the manifest does not say.
const DEFAULT_INSTANCE_SCORE: f32 = 0.5;

/// Mask probability from which a pixel counts when the manifest does not say.
const DEFAULT_MASK: f32 = 0.5;

/// Instances reported at most when the manifest does not say.
const DEFAULT_MAX_DETECTIONS: usize = 300;

/// A convention that is written down is checked here; one that is recognised, when the graph is
/// loaded.
pub(super) fn check_convention(raw: &RawManifest, max_batch_size: usize) -> Result<(), Issue> {
    let Some(convention) = &raw.output.convention else {
        return Ok(());
    };
    let combination = Combination {
        task: *raw.task.get_ref(),
        max_batch_size,
        has_scores: raw.output.scores.is_some(),
        has_overlap: raw.thresholds.overlap.is_some(),
    };
    combination
        .check(*convention.get_ref())
        .map_err(|clash| Issue {
            offset: match clash.field {
                Field::Convention => None,
                Field::MaxBatchSize => start_of(raw.batching.max_batch_size.as_ref()),
                Field::Scores => start_of(raw.output.scores.as_ref()),
                Field::Overlap => start_of(raw.thresholds.overlap.as_ref()),
            }
            .unwrap_or_else(|| convention.span().start),
            problem: clash.problem,
            advice: clash.advice,
        })
}

fn start_of<T>(field: Option<&Spanned<T>>) -> Option<usize> {
    field.map(|field| field.span().start)
}

pub(super) fn validate_output(
    task: Task,
    raw: RawOutput,
    label_count: usize,
) -> Result<OutputSpec, Issue> {
    let is_detector = matches!(task, Task::InstanceSegmentation | Task::ObjectDetection);
    if is_detector && let Some(name) = &raw.name {
        return Err(Issue::at(
            name.span(),
            "a detector has several outputs",
            "name them by their part, such as names = { boxes = \"dets\" }, instead of name",
        ));
    }
    if !is_detector && let Some(names) = &raw.names {
        return Err(Issue::at(
            names.span(),
            "this task reads one output",
            "write name = … instead of names",
        ));
    }
    if let Some(background) = &raw.background {
        let class = *background.get_ref();
        if task != Task::SemanticSegmentation || class >= label_count {
            return Err(Issue::at(
                background.span(),
                format!("background = {class} is no class that could be left out"),
                format!(
                    "remove it, or name a class of a semantic segmentation from 0 to {}",
                    label_count - 1
                ),
            ));
        }
    }
    let max_detections = match &raw.max_detections {
        None => DEFAULT_MAX_DETECTIONS,
        Some(most) if (1..=MAX_DETECTIONS).contains(most.get_ref()) => *most.get_ref(),
        Some(most) => {
            return Err(Issue::at(
                most.span(),
                format!("max_detections = {} is not possible", most.get_ref()),
                format!("write a number from 1 to {MAX_DETECTIONS}"),
            ));
        }
    };
    Ok(OutputSpec {
        convention: raw.convention.map(Spanned::into_inner),
        name: raw.name.map(Spanned::into_inner),
        names: raw.names.map(Spanned::into_inner).unwrap_or_default(),
        scores: raw.scores.map(Spanned::into_inner),
        background: raw.background.map(Spanned::into_inner),
        max_detections,
    })
}

pub(super) fn validate_thresholds(task: Task, raw: &RawThresholds) -> Result<Thresholds, Issue> {
    if !matches!(
        task,
        Task::InstanceSegmentation | Task::SemanticSegmentation
    ) && let Some(mask) = &raw.mask
    {
        return Err(Issue::at(
            mask.span(),
            format!("the task {:?} has no masks", task.as_str()),
            "remove mask",
        ));
    }
    let default_score = match task {
        Task::InstanceSegmentation | Task::ObjectDetection => DEFAULT_INSTANCE_SCORE,
        // Whatever is not sure enough is still the likeliest thing there.
        Task::SemanticSegmentation | Task::Classification => 0.0,
    };
    Ok(Thresholds {
        score: probability("score", raw.score.as_ref())?.unwrap_or(default_score),
        mask: probability("mask", raw.mask.as_ref())?.unwrap_or(DEFAULT_MASK),
        overlap: probability("overlap", raw.overlap.as_ref())?,
    })
}

fn probability(name: &str, raw: Option<&Spanned<f32>>) -> Result<Option<f32>, Issue> {
    match raw {
        None => Ok(None),
        Some(value) if (0.0..=1.0).contains(value.get_ref()) => Ok(Some(*value.get_ref())),
        Some(value) => Err(Issue::at(
            value.span(),
            format!("{name} = {} is not a probability", value.get_ref()),
            "write a number from 0 to 1",
        )),
    }
}
