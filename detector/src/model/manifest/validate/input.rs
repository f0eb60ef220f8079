//! `[input]` of `model.toml`, checked.

use toml::Spanned;

use super::super::raw::{RawInput, RawResize, RawResizeMode};
use super::super::{Channels, InputSpec, MAX_INPUT_EDGE, Resize};
use super::Issue;

/// Grey that fills a letterbox when the manifest does not say: the one YOLO trains with.
const DEFAULT_PAD: u8 = 114;

/// The longer edge that a frame keeps in resize mode "none" when the manifest does not say: what
/// a 4K camera gives.
const DEFAULT_LONGEST_NATIVE: u32 = 4096;

pub(super) fn validate_input(raw: RawInput) -> Result<InputSpec, Issue> {
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
        antialias: raw.resize.get_ref().antialias.unwrap_or(true),
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

/// What is wrong, and what to write instead.
type Complaint = (String, String);

fn validate_resize(raw: &RawResize) -> Result<Resize, Complaint> {
    refuse_foreign_fields(raw)?;
    Ok(match raw.mode {
        RawResizeMode::None => Resize::Native {
            longest: match raw.longest {
                None => DEFAULT_LONGEST_NATIVE,
                given => edge("longest", given)?,
            },
        },
        RawResizeMode::ShortestEdge => {
            let shortest = edge("shortest", raw.shortest)?;
            let longest = edge("longest", raw.longest)?;
            if longest < shortest {
                return Err((
                    format!("longest = {longest} is below shortest = {shortest}"),
                    "make longest the larger one".to_owned(),
                ));
            }
            Resize::ShortestEdge { shortest, longest }
        }
        RawResizeMode::Fixed => Resize::Fixed {
            width: edge("width", raw.width)?,
            height: edge("height", raw.height)?,
        },
        RawResizeMode::Letterbox => Resize::Letterbox {
            width: edge("width", raw.width)?,
            height: edge("height", raw.height)?,
            pad: raw.pad.unwrap_or(DEFAULT_PAD),
        },
    })
}

fn edge(name: &str, value: Option<u32>) -> Result<u32, Complaint> {
    match value {
        Some(pixels) if (1..=MAX_INPUT_EDGE).contains(&pixels) => Ok(pixels),
        Some(pixels) => Err((
            format!("{name} = {pixels} is not possible"),
            format!("write a number from 1 to {MAX_INPUT_EDGE}"),
        )),
        None => Err((format!("this mode needs {name}"), format!("add {name} = …"))),
    }
}

/// A field of another mode is a misunderstanding.
fn refuse_foreign_fields(raw: &RawResize) -> Result<(), Complaint> {
    let has_size = matches!(raw.mode, RawResizeMode::Fixed | RawResizeMode::Letterbox);
    let is_shortest_edge = matches!(raw.mode, RawResizeMode::ShortestEdge);
    let is_letterbox = matches!(raw.mode, RawResizeMode::Letterbox);
    for (name, given, belongs) in [
        ("shortest", raw.shortest.is_some(), is_shortest_edge),
        ("longest", raw.longest.is_some(), !has_size),
        ("width", raw.width.is_some(), has_size),
        ("height", raw.height.is_some(), has_size),
        ("pad", raw.pad.is_some(), is_letterbox),
    ] {
        if given && !belongs {
            return Err((format!("this mode has no {name}"), format!("remove {name}")));
        }
    }
    Ok(())
}
