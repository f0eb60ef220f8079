//! `[files]` of `model.toml`, checked.

use std::path::Path;

use toml::Spanned;

use super::super::Files;
use super::super::raw::RawFiles;
use super::Issue;
use crate::model::repository::Precision;

pub(super) fn validate_files(raw: RawFiles) -> Result<Files, Issue> {
    let serve = raw
        .serve
        .as_ref()
        .map(|serve| (*serve.get_ref(), serve.span()));
    let files = Files {
        fp32: file_name(raw.fp32)?,
        int8: raw.int8.map(file_name).transpose()?,
        cut: raw.cut.map(cut_path).transpose()?,
        serve: serve
            .as_ref()
            .map_or(Precision::Fp32, |(serve, _span)| *serve),
    };
    let is_there = match files.serve {
        Precision::Fp32 => true,
        Precision::Int8 => files.int8.is_some(),
        Precision::Cut => files.cut.is_some(),
    };
    match serve {
        Some((serve, span)) if !is_there => Err(Issue::at(
            span,
            format!("serve = \"{serve}\", but no file of that form is named"),
            format!("add {serve} = …, or serve another form"),
        )),
        _ => Ok(files),
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

/// A `cut.toml` may lie in a folder of its own, as three graphs lie beside it.
fn cut_path(raw: Spanned<String>) -> Result<String, Issue> {
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
    let path = raw.get_ref();
    let parts: Vec<&str> = path.split('/').collect();
    let is_toml = Path::new(path)
        .extension()
        .is_some_and(|ending| ending == "toml");
    if parts.len() > 2 || !parts.iter().copied().all(is_plain) || !is_toml {
        return Err(Issue::at(
            raw.span(),
            format!("{path:?} is no cut.toml of the version folder"),
            "name it as in \"cut/cut.toml\"",
        ));
    }
    Ok(raw.into_inner())
}
