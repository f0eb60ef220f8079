//! The one conversion from what `model.toml` says to what the detector relies on.

mod batching;
mod files;
mod input;
mod output;
mod session;

use std::collections::HashSet;
use std::ops::Range as ByteRange;

use pipeline::catalogue::default_color;
use toml::Spanned;

use super::raw::{RawLabel, RawManifest};
use super::{Label, MAX_LABELS, Manifest};
use batching::{validate_batching, validate_queueing};
use files::validate_files;
use input::validate_input;
use output::{check_convention, validate_output, validate_thresholds};
use session::validate_session;

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
        let max_batch_size = validate_batching(&raw)?;
        let queueing = validate_queueing(&raw.batching, max_batch_size)?;
        check_convention(&raw, max_batch_size)?;
        let thresholds = validate_thresholds(task, &raw.thresholds)?;
        let labels = validate_labels(raw.labels)?;
        Ok(Self {
            name: raw.name.into_inner(),
            task,
            input: validate_input(raw.input)?,
            output: validate_output(task, raw.output, labels.len())?,
            thresholds,
            max_batch_size,
            queueing,
            session: validate_session(&raw.session)?,
            files: validate_files(raw.files)?,
            labels,
            draw: raw.draw,
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

fn validate_labels(raw: Spanned<Vec<RawLabel>>) -> Result<Vec<Label>, Issue> {
    if raw.get_ref().is_empty() {
        return Err(Issue::at(
            raw.span(),
            "there are no labels",
            "add one [[labels]] a class",
        ));
    }
    let count = raw.get_ref().len();
    if count > MAX_LABELS {
        return Err(Issue::at(
            raw.span(),
            format!("there are {count} labels"),
            format!("list {MAX_LABELS} at most"),
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
