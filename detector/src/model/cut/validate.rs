//! The one conversion from what `cut.toml` says to what the detector relies on.

use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;

use super::boxes::{BoxCoding, anchors_of_cell};
use super::pool::{LevelRule, Pooling};
use super::raw::{RawBoxHead, RawCut, RawMaskHead, RawPool, RawProposals, RawTrunk};
use super::{BoxHead, CutPlan, Features, MAX_REGIONS, MaskHead, ProposalLevel, Proposals, Trunk};

/// No pyramid has more levels, and no cell more anchors.
const MAX_LEVELS: usize = 8;
const MAX_RATIOS: usize = 16;

/// The coarsest cell, the largest anchor and the largest canonical box, in pixels.
const MAX_STRIDE: usize = 512;
const MAX_SIDE: f64 = 8192.0;

/// Places of a level that are compared with each other: the work grows with the square.
const MAX_BEFORE_NMS: usize = 10_000;

/// Cells of a pooled region along a side, and samples of a cell along a side.
const MAX_POOL: usize = 64;
const MAX_SAMPLING: usize = 8;

/// What is wrong, where in the text, and what to write instead.
#[derive(Debug)]
pub(super) struct Issue {
    pub(super) offset: usize,
    pub(super) problem: String,
    pub(super) advice: String,
}

impl Issue {
    fn at(span: Range<usize>, problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            offset: span.start,
            problem: problem.into(),
            advice: advice.into(),
        }
    }
}

impl TryFrom<RawCut> for CutPlan {
    type Error = Issue;

    fn try_from(raw: RawCut) -> Result<Self, Issue> {
        let trunk = trunk(raw.trunk)?;
        let (first, last) = (&raw.pooling.first_level, &raw.pooling.last_level);
        let levels = trunk.features.len();
        let spanned = last.get_ref().checked_sub(*first.get_ref());
        if spanned.map(|more| more as usize + 1) != Some(levels) {
            return Err(Issue::at(
                last.span(),
                format!(
                    "levels {} to {} are not as many as the {levels} features of [trunk]",
                    first.get_ref(),
                    last.get_ref()
                ),
                "number the features from the finest to the coarsest, as in 2 to 5",
            ));
        }
        let (first_level, features) = (*first.get_ref(), trunk.features.len());
        let rule = |pool: &RawPool| level_rule(pool, first_level, features);
        Ok(Self {
            proposals: proposals(&raw.proposals, &trunk)?,
            box_head: box_head(raw.box_head, rule)?,
            mask_head: raw
                .mask_head
                .map(|head| mask_head(head, rule))
                .transpose()?,
            trunk,
        })
    }
}

fn trunk(raw: RawTrunk) -> Result<Trunk, Issue> {
    let features = names(&raw.features)?;
    let strides = raw.strides.get_ref();
    let is_growing = strides.is_sorted_by(|finer, coarser| finer < coarser);
    let are_possible = strides
        .iter()
        .all(|stride| (1..=MAX_STRIDE).contains(stride));
    if strides.len() != features.len() || !is_growing || !are_possible {
        return Err(Issue::at(
            raw.strides.span(),
            format!(
                "strides = {strides:?} do not fit {} features",
                features.len()
            ),
            format!("write one for each, growing, from 1 to {MAX_STRIDE}"),
        ));
    }
    let levels = features.into_iter().zip(strides);
    Ok(Trunk {
        file: file(raw.file, "trunk.onnx")?,
        input: name(raw.input)?,
        features: levels
            .map(|(output, &stride)| Features { output, stride })
            .collect(),
        image_size: name(raw.image_size)?,
    })
}

fn proposals(raw: &RawProposals, trunk: &Trunk) -> Result<Proposals, Issue> {
    let coding = coding(&raw.weights, &raw.max_log_scale)?;
    let levels = raw.levels.get_ref().len();
    for (field, length, span) in [
        (
            "objectness",
            raw.objectness.get_ref().len(),
            raw.objectness.span(),
        ),
        ("deltas", raw.deltas.get_ref().len(), raw.deltas.span()),
        (
            "anchor_sizes",
            raw.anchor_sizes.get_ref().len(),
            raw.anchor_sizes.span(),
        ),
    ] {
        if length != levels {
            return Err(Issue::at(
                span,
                format!("{field} has {length} entries for {levels} levels"),
                "write one for each of levels",
            ));
        }
    }
    lengths(&raw.anchor_sizes, "anchor_sizes", MAX_LEVELS, MAX_SIDE)?;
    lengths(&raw.anchor_ratios, "anchor_ratios", MAX_RATIOS, 100.0)?;
    let (objectness, deltas) = (names(&raw.objectness)?, names(&raw.deltas)?);
    let span = raw.levels.span();
    let mut of_levels = Vec::with_capacity(levels);
    for (index, (objectness, deltas)) in objectness.into_iter().zip(deltas).enumerate() {
        let wanted = &raw.levels.get_ref()[index];
        let known = &trunk.features;
        let Some(features) = known.iter().position(|level| level.output == *wanted) else {
            return Err(Issue::at(
                span,
                format!("level {wanted:?} is none of the features of [trunk]"),
                "name the features that proposals come from",
            ));
        };
        let size = raw.anchor_sizes.get_ref()[index];
        of_levels.push(ProposalLevel {
            features,
            objectness,
            deltas,
            anchors: anchors_of_cell(size, raw.anchor_ratios.get_ref()),
            stride: known[features].stride,
        });
    }
    Ok(Proposals {
        levels: of_levels,
        coding,
        before_nms_per_level: count(&raw.before_nms_per_level, MAX_BEFORE_NMS)?,
        after_nms: count(&raw.after_nms, MAX_REGIONS)?,
        nms_iou: number(&raw.nms_iou, 0.0..=1.0)?,
        min_side: number(&raw.min_side, 0.0..=100.0)?,
    })
}

fn box_head(
    raw: RawBoxHead,
    rule: impl Fn(&RawPool) -> Result<LevelRule, Issue>,
) -> Result<BoxHead, Issue> {
    Ok(BoxHead {
        coding: coding(&raw.weights, &raw.max_log_scale)?,
        score: number(&raw.score, 0.0..=1.0)?,
        min_side: number(&raw.min_side, 0.0..=100.0)?,
        nms_iou: number(&raw.nms_iou, 0.0..=1.0)?,
        detections: count(&raw.detections, MAX_REGIONS)?,
        pooling: pooling(&raw.pool, rule)?,
        file: file(raw.file, "box_head.onnx")?,
        input: name(raw.input)?,
        probabilities: name(raw.probabilities)?,
        deltas: name(raw.deltas)?,
    })
}

fn mask_head(
    raw: RawMaskHead,
    rule: impl Fn(&RawPool) -> Result<LevelRule, Issue>,
) -> Result<MaskHead, Issue> {
    let span = raw.inputs.span();
    let [regions, classes] = raw.inputs.into_inner();
    if regions.is_empty() || classes.is_empty() || regions == classes {
        return Err(Issue::at(
            span,
            "the mask head takes regions and their classes",
            "name both inputs, as in [\"regions\", \"classes\"]",
        ));
    }
    Ok(MaskHead {
        pooling: pooling(&raw.pool, rule)?,
        file: file(raw.file, "mask_head.onnx")?,
        regions,
        classes,
        masks: name(raw.masks)?,
    })
}

fn pooling(
    raw: &RawPool,
    rule: impl Fn(&RawPool) -> Result<LevelRule, Issue>,
) -> Result<Pooling, Issue> {
    Ok(Pooling {
        size: count(&raw.size, MAX_POOL)?,
        sampling: count(&raw.sampling, MAX_SAMPLING)?,
        is_aligned: raw.aligned,
        rule: rule(raw)?,
    })
}

fn level_rule(raw: &RawPool, first_level: u32, levels: usize) -> Result<LevelRule, Issue> {
    let canonical_level = *raw.canonical_level.get_ref();
    let from_first = canonical_level.checked_sub(first_level);
    if from_first.is_none_or(|steps| steps as usize >= levels) {
        return Err(Issue::at(
            raw.canonical_level.span(),
            format!("canonical_level = {canonical_level} is none of the levels"),
            "write the level from which boxes of canonical_side are pooled",
        ));
    }
    Ok(LevelRule {
        canonical_side: number(&raw.canonical_side, 1.0..=MAX_SIDE as f32)?,
        canonical_level,
        first_level,
        levels,
    })
}

fn coding(weights: &Spanned<[f32; 4]>, max_log_scale: &Spanned<f32>) -> Result<BoxCoding, Issue> {
    let divisors = *weights.get_ref();
    if !divisors.iter().all(|weight| (1e-3..=1e3).contains(weight)) {
        return Err(Issue::at(
            weights.span(),
            "weights divide dx, dy, dw and dh",
            "write four numbers from 0.001 to 1000",
        ));
    }
    Ok(BoxCoding {
        weights: divisors,
        max_log_scale: number(max_log_scale, 0.0..=16.0)?,
    })
}

/// A file is named, never pointed at: it lies beside `cut.toml`.
fn file(raw: Option<Spanned<String>>, usual: &str) -> Result<String, Issue> {
    let Some(raw) = raw else {
        return Ok(usual.to_owned());
    };
    let span = raw.span();
    let name = raw.into_inner();
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
        return Err(Issue::at(
            span,
            format!("{name:?} is not a plain file name"),
            format!("name a file beside this one, such as {usual:?}"),
        ));
    }
    Ok(name)
}

fn name(raw: Spanned<String>) -> Result<String, Issue> {
    if raw.get_ref().is_empty() {
        let advice = "name an input or output of the graph";
        return Err(Issue::at(raw.span(), "the name is empty", advice));
    }
    Ok(raw.into_inner())
}

fn names(raw: &Spanned<Vec<String>>) -> Result<Vec<String>, Issue> {
    let list = raw.get_ref();
    let distinct: HashSet<&String> = list.iter().collect();
    let are_good = distinct.len() == list.len() && !list.iter().any(String::is_empty);
    if !are_good || !(1..=MAX_LEVELS).contains(&list.len()) {
        return Err(Issue::at(
            raw.span(),
            format!("{list:?} does not name outputs"),
            format!("write 1 to {MAX_LEVELS} names, each once"),
        ));
    }
    Ok(list.clone())
}

fn lengths(raw: &Spanned<Vec<f64>>, field: &str, most: usize, longest: f64) -> Result<(), Issue> {
    let list = raw.get_ref();
    let are_possible = list
        .iter()
        .all(|length| *length >= 0.01 && *length <= longest);
    if are_possible && (1..=most).contains(&list.len()) {
        return Ok(());
    }
    Err(Issue::at(
        raw.span(),
        format!("{field} = {list:?} is not possible"),
        format!("write 1 to {most} numbers from 0.01 to {longest}"),
    ))
}

fn count(raw: &Spanned<usize>, most: usize) -> Result<usize, Issue> {
    let count = *raw.get_ref();
    if (1..=most).contains(&count) {
        return Ok(count);
    }
    Err(Issue::at(
        raw.span(),
        format!("{count} is not possible"),
        format!("write a number from 1 to {most}"),
    ))
}

/// A number within a range; what is not a number is in none.
fn number(raw: &Spanned<f32>, range: RangeInclusive<f32>) -> Result<f32, Issue> {
    let number = *raw.get_ref();
    if range.contains(&number) {
        return Ok(number);
    }
    Err(Issue::at(
        raw.span(),
        format!("{number} is not possible"),
        format!("write a number from {} to {}", range.start(), range.end()),
    ))
}
