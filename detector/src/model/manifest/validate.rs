//! The one conversion from what `model.toml` says to what the detector relies on.

use std::collections::HashSet;
use std::ops::Range as ByteRange;

use pipeline::catalogue::default_color;
use toml::Spanned;

use super::raw::{RawInput, RawLabel, RawManifest, RawResize, RawResizeMode, RawThresholds};
use super::{
    Channels, Convention, Files, InputSpec, Label, Layout, MAX_BATCH_SIZE, MAX_INPUT_EDGE,
    Manifest, OutputSpec, Resize, Task, Thresholds,
};

/// Score from which an instance counts when the manifest does not say.
const DEFAULT_INSTANCE_SCORE: f32 = 0.5;

/// Mask probability from which a pixel counts when the manifest does not say.
const DEFAULT_MASK: f32 = 0.5;

/// Grey that fills a letterbox when the manifest does not say: the one YOLO trains with.
const DEFAULT_PAD: u8 = 114;

/// What is wrong, where in the text, and what to write instead.
#[derive(Debug)]
pub(super) struct Issue {
    pub(super) offset: usize,
    pub(super) problem: String,
    pub(super) advice: String,
}

impl Issue {
    fn at(span: ByteRange<usize>, problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            offset: span.start,
            problem: problem.into(),
            advice: advice.into(),
        }
    }
}

impl TryFrom<RawManifest> for Manifest {
    type Error = Issue;

    fn try_from(raw: RawManifest) -> Result<Self, Issue> {
        check_name(&raw.name)?;
        let task = *raw.task.get_ref();
        check_convention(task, &raw.output.convention)?;
        let max_batch_size = validate_batching(&raw)?;
        Ok(Self {
            name: raw.name.into_inner(),
            task,
            input: validate_input(raw.input)?,
            output: OutputSpec {
                convention: raw.output.convention.into_inner(),
                name: raw.output.name.map(Spanned::into_inner),
            },
            thresholds: validate_thresholds(task, &raw.thresholds)?,
            max_batch_size,
            files: Files {
                fp32: file_name(raw.files.fp32)?,
                int8: raw.files.int8.map(file_name).transpose()?,
            },
            labels: validate_labels(raw.labels)?,
        })
    }
}

/// A name is a folder name and the first half of `name@version`.
fn check_name(name: &Spanned<String>) -> Result<(), Issue> {
    let text = name.get_ref();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(allowed) || text.starts_with(['.', '0']) {
        return Err(Issue::at(
            name.span(),
            format!("{text:?} cannot name a model"),
            "use letters, digits, '-', '_' and '.', not starting with '.' or '0'",
        ));
    }
    Ok(())
}

fn check_convention(task: Task, convention: &Spanned<Convention>) -> Result<(), Issue> {
    match (task, convention.get_ref()) {
        (Task::InstanceSegmentation, Convention::Detectron2)
        | (Task::Classification, Convention::Logits | Convention::Probabilities) => Ok(()),
        (Task::InstanceSegmentation, _) => Err(Issue::at(
            convention.span(),
            "task \"instance-segmentation\" needs masks, which this convention does not have",
            "write convention = \"detectron2\" or task = \"classification\"",
        )),
        (Task::Classification, Convention::Detectron2) => Err(Issue::at(
            convention.span(),
            "task \"classification\" cannot be answered in this convention",
            "write convention = \"logits\" or \"probabilities\", or task = \"instance-segmentation\"",
        )),
    }
}

fn validate_batching(raw: &RawManifest) -> Result<usize, Issue> {
    let Some(max_batch_size) = &raw.batching.max_batch_size else {
        return Ok(1);
    };
    let issue = |problem: &str, advice: &str| Issue::at(max_batch_size.span(), problem, advice);
    let frames = *max_batch_size.get_ref();
    if frames == 0 || frames > MAX_BATCH_SIZE {
        return Err(issue(
            &format!("max_batch_size = {frames} is not possible"),
            &format!("write a number from 1 to {MAX_BATCH_SIZE}"),
        ));
    }
    if frames == 1 {
        return Ok(frames);
    }
    if *raw.output.convention.get_ref() == Convention::Detectron2 {
        return Err(issue(
            "the detectron2 convention answers for one image at a time",
            "write max_batch_size = 1",
        ));
    }
    if *raw.input.layout.get_ref() == Layout::Chw {
        return Err(issue(
            "layout \"chw\" has no batch dimension",
            "write max_batch_size = 1, or export with a batch dimension and layout = \"nchw\"",
        ));
    }
    if matches!(raw.input.resize.get_ref().mode, RawResizeMode::ShortestEdge) {
        return Err(issue(
            "frames of different shapes cannot share a batch when resized by their shortest edge",
            "write max_batch_size = 1, or resize with mode = \"fixed\" or \"letterbox\"",
        ));
    }
    Ok(frames)
}

fn validate_input(raw: RawInput) -> Result<InputSpec, Issue> {
    let resize_span = raw.resize.span();
    let resize = validate_resize(raw.resize.get_ref()).map_err(|(problem, advice)| Issue {
        offset: resize_span.start,
        problem,
        advice,
    })?;
    let mean = per_channel(raw.mean, raw.channels, 0.0)?;
    let std_span = raw.std.as_ref().map(Spanned::span);
    let std = per_channel(raw.std, raw.channels, 1.0)?;
    if let Some(span) = std_span
        && std.iter().any(|&deviation| deviation <= 0.0)
    {
        return Err(Issue::at(
            span,
            "std divides, so it must be above zero",
            "correct std",
        ));
    }
    Ok(InputSpec {
        name: raw.name.into_inner(),
        layout: raw.layout.into_inner(),
        channels: raw.channels,
        range: raw.range,
        mean,
        std,
        resize,
    })
}

/// One finite number a channel; what is not given is `default`.
fn per_channel(
    raw: Option<Spanned<Vec<f32>>>,
    channels: Channels,
    default: f32,
) -> Result<[f32; 3], Issue> {
    let Some(raw) = raw else {
        return Ok([default; 3]);
    };
    let span = raw.span();
    let values = raw.into_inner();
    if values.len() != channels.count() || values.iter().any(|value| !value.is_finite()) {
        return Err(Issue::at(
            span,
            format!("{} numbers for {} channels", values.len(), channels.count()),
            "give one finite number a channel, in the order of channels",
        ));
    }
    let mut all = [default; 3];
    all[..values.len()].copy_from_slice(&values);
    Ok(all)
}

fn validate_resize(raw: &RawResize) -> Result<Resize, (String, String)> {
    let edge = |name: &str, value: Option<u32>| match value {
        Some(pixels) if (1..=MAX_INPUT_EDGE).contains(&pixels) => Ok(pixels),
        Some(pixels) => Err((
            format!("{name} = {pixels} is not possible"),
            format!("write a number from 1 to {MAX_INPUT_EDGE}"),
        )),
        None => Err((format!("this mode needs {name}"), format!("add {name} = …"))),
    };
    let refuse = |name: &str, given: bool| {
        if given {
            return Err((format!("this mode has no {name}"), format!("remove {name}")));
        }
        Ok(())
    };
    let is_shortest_edge = matches!(raw.mode, RawResizeMode::ShortestEdge);
    refuse("shortest", !is_shortest_edge && raw.shortest.is_some())?;
    refuse("longest", !is_shortest_edge && raw.longest.is_some())?;
    refuse("width", is_shortest_edge && raw.width.is_some())?;
    refuse("height", is_shortest_edge && raw.height.is_some())?;
    refuse(
        "pad",
        !matches!(raw.mode, RawResizeMode::Letterbox) && raw.pad.is_some(),
    )?;
    if is_shortest_edge {
        let shortest = edge("shortest", raw.shortest)?;
        let longest = edge("longest", raw.longest)?;
        if longest < shortest {
            return Err((
                format!("longest = {longest} is below shortest = {shortest}"),
                "make longest the larger one".to_owned(),
            ));
        }
        return Ok(Resize::ShortestEdge { shortest, longest });
    }
    let width = edge("width", raw.width)?;
    let height = edge("height", raw.height)?;
    Ok(match raw.mode {
        RawResizeMode::Letterbox => Resize::Letterbox {
            width,
            height,
            pad: raw.pad.unwrap_or(DEFAULT_PAD),
        },
        RawResizeMode::Fixed | RawResizeMode::ShortestEdge => Resize::Fixed { width, height },
    })
}

fn validate_thresholds(task: Task, raw: &RawThresholds) -> Result<Thresholds, Issue> {
    let probability = |name: &str, raw: Option<&Spanned<f32>>, default: f32| match raw {
        None => Ok(default),
        Some(value) if (0.0..=1.0).contains(value.get_ref()) => Ok(*value.get_ref()),
        Some(value) => Err(Issue::at(
            value.span(),
            format!("{name} = {} is not a probability", value.get_ref()),
            "write a number from 0 to 1",
        )),
    };
    match task {
        Task::InstanceSegmentation => Ok(Thresholds {
            score: probability("score", raw.score.as_ref(), DEFAULT_INSTANCE_SCORE)?,
            mask: probability("mask", raw.mask.as_ref(), DEFAULT_MASK)?,
        }),
        Task::Classification => {
            if let Some(mask) = &raw.mask {
                return Err(Issue::at(
                    mask.span(),
                    "a classifier has no masks",
                    "remove mask",
                ));
            }
            let score = probability("score", raw.score.as_ref(), 0.0)?;
            Ok(Thresholds {
                score,
                mask: DEFAULT_MASK,
            })
        }
    }
}

/// A file is named, never pointed at: it lies in the version folder.
fn file_name(raw: Spanned<String>) -> Result<String, Issue> {
    let span = raw.span();
    let name = raw.into_inner();
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
        return Err(Issue::at(
            span,
            format!("{name:?} is not a plain file name"),
            "name a file of the version folder, such as \"model.onnx\"",
        ));
    }
    Ok(name)
}

fn validate_labels(raw: Spanned<Vec<RawLabel>>) -> Result<Vec<Label>, Issue> {
    if raw.get_ref().is_empty() {
        return Err(Issue::at(
            raw.span(),
            "there are no labels",
            "add one [[labels]] a class",
        ));
    }
    let mut seen = HashSet::new();
    let mut labels = Vec::with_capacity(raw.get_ref().len());
    for (class, label) in raw.into_inner().into_iter().enumerate() {
        let span = label.name.span();
        let name = label.name.into_inner();
        if name.trim().is_empty() || !seen.insert(name.clone()) {
            return Err(Issue::at(
                span,
                format!("label {name:?} is empty or there twice"),
                "give every class a name of its own",
            ));
        }
        let color = match label.color {
            Some(color) => parse_color(&color)?,
            None => default_color(class).0,
        };
        labels.push(Label { name, color });
    }
    Ok(labels)
}

fn parse_color(color: &Spanned<String>) -> Result<[u8; 3], Issue> {
    let issue = || {
        Issue::at(
            color.span(),
            format!("{:?} is not a colour", color.get_ref()),
            "write it as \"#rrggbb\", such as \"#e6194b\"",
        )
    };
    let digits = color.get_ref().strip_prefix('#').ok_or_else(issue)?;
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(issue());
    }
    let value = u32::from_str_radix(digits, 16).map_err(|_not_hex| issue())?;
    let [_, red, green, blue] = value.to_be_bytes();
    Ok([red, green, blue])
}
