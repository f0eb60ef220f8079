//! The `model.toml` that follows from what a graph was taken for, ready to be read over.

use std::fmt::Write as _;
use std::path::Path;

use super::Recognition;
use super::recognise::{InputGuess, MeanAndStd};
use crate::model::manifest::{OutputNames, Resize, ScoreFunction};

/// What a graph calls its outputs when nothing has to be said about them.
const PLAIN_NAMES: [&str; 6] = [
    "boxes",
    "classes",
    "labels",
    "scores",
    "masks",
    "image_size",
];

/// The text of a `model.toml`, which parses; `None` if the graph is not known. Classes without
/// names are called `class 0` and so on; as many as the outputs have room for, or `unknown_classes`
/// where that is not known.
pub fn manifest_text(
    recognition: &Recognition,
    file: &Path,
    unknown_classes: usize,
) -> Option<String> {
    let (convention, task) = (recognition.convention?, recognition.task?);
    let input = recognition.input.as_ref()?;
    let mut text = String::new();
    for doubt in &recognition.doubts {
        writeln!(text, "# To check: {}", one_line(doubt)).ok()?;
    }
    if recognition.class_count.is_none() && recognition.labels.is_empty() {
        text += "# To check: the classes, which the graph does not number\n";
    }
    writeln!(text, "name = {}", quoted(&model_name(file))).ok()?;
    writeln!(text, "task = {}\n", quoted(task.as_str())).ok()?;
    text += &input_table(input);
    writeln!(
        text,
        "[output]\nconvention = {}",
        quoted(convention.as_str())
    )
    .ok()?;
    text += &output_fields(recognition);
    writeln!(
        text,
        "\n[batching]\nmax_batch_size = {}\n",
        input.max_batch_size
    )
    .ok()?;
    writeln!(text, "[files]\nfp32 = {}", quoted(&file_name(file))).ok()?;
    for label in labels(recognition, unknown_classes) {
        writeln!(text, "\n[[labels]]\nname = {}", quoted(&label)).ok()?;
    }
    Some(text)
}

/// A model is called as its file, or as its folder in a repository if the file is called as all
/// are.
pub fn model_name(file: &Path) -> String {
    const USUAL: &str = "model";
    let stem = |path: &Path| path.file_stem()?.to_str().map(str::to_owned);
    let mut name = stem(file).unwrap_or_default();
    let folder = file.parent().and_then(Path::parent);
    if let Some(folder) = folder.and_then(Path::file_name)
        && name.starts_with(USUAL)
    {
        name = folder.to_string_lossy().into_owned();
    }
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let clean: String = name
        .chars()
        .map(|character| if allowed(character) { character } else { '-' })
        .collect();
    let clean = clean.trim_start_matches(['.', '0']);
    if clean.is_empty() {
        USUAL.to_owned()
    } else {
        clean.to_owned()
    }
}

fn file_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn input_table(input: &InputGuess) -> String {
    let mut lines = vec![
        "[input]".to_owned(),
        format!("name = {}", quoted(&input.name)),
        format!("layout = {}", quoted(input.layout.as_str())),
        format!("channels = {}", quoted(input.channels.as_str())),
        format!("range = {}", quoted(input.range.as_str())),
    ];
    if let Some(MeanAndStd { mean, std }) = input.mean_and_std {
        lines.push(format!("mean = {mean:?}"));
        lines.push(format!("std = {std:?}"));
    }
    lines.push(format!("resize = {}\n\n", resize(input.resize)));
    lines.join("\n")
}

fn resize(resize: Resize) -> String {
    match resize {
        Resize::Native { longest } => format!("{{ mode = \"none\", longest = {longest} }}"),
        Resize::ShortestEdge { shortest, longest } => {
            format!("{{ mode = \"shortest-edge\", shortest = {shortest}, longest = {longest} }}")
        }
        Resize::Fixed { width, height } => {
            format!("{{ mode = \"fixed\", width = {width}, height = {height} }}")
        }
        Resize::Letterbox { width, height, pad } => {
            format!("{{ mode = \"letterbox\", width = {width}, height = {height}, pad = {pad} }}")
        }
    }
}

fn output_fields(recognition: &Recognition) -> String {
    let name = recognition.output.as_ref();
    let name = name.map(|name| format!("name = {}\n", quoted(name)));
    let scores = match recognition.scores {
        Some(ScoreFunction::Sigmoid) => "scores = \"sigmoid\"\n",
        Some(ScoreFunction::Softmax) => "scores = \"softmax\"\n",
        None => "",
    };
    name.unwrap_or_default() + &names(&recognition.names) + scores
}

/// Names that the convention does not know by itself.
fn names(names: &OutputNames) -> String {
    let parts = [
        ("boxes", &names.boxes),
        ("classes", &names.classes),
        ("scores", &names.scores),
        ("masks", &names.masks),
        ("image_size", &names.image_size),
    ];
    let given: Vec<(&str, &String)> = parts
        .iter()
        .filter_map(|&(part, name)| Some((part, name.as_ref()?)))
        .collect();
    if given
        .iter()
        .all(|(_part, name)| PLAIN_NAMES.contains(&name.as_str()))
    {
        return String::new();
    }
    let fields: Vec<String> = given
        .iter()
        .map(|(part, name)| format!("{part} = {}", quoted(name)))
        .collect();
    format!("names = {{ {} }}\n", fields.join(", "))
}

fn labels(recognition: &Recognition, unknown_classes: usize) -> Vec<String> {
    if !recognition.labels.is_empty() {
        return recognition.labels.clone();
    }
    let classes = recognition.class_count.unwrap_or(unknown_classes).max(1);
    (0..classes).map(|class| format!("class {class}")).collect()
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Names in a doubt are the exporter's, and a line break would end the comment.
fn one_line(text: &str) -> String {
    text.replace(|character: char| character.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_as_its_file_or_its_folder() {
        for (file, expected) in [
            ("yolov8n-seg.onnx", "yolov8n-seg"),
            ("/models/parts/1/model.onnx", "parts"),
            ("/models/parts/1/model.int8.onnx", "parts"),
            ("model.onnx", "model"),
            ("my net (2).onnx", "my-net--2-"),
            ("00.onnx", "model"),
            ("", "model"),
        ] {
            assert_eq!(model_name(Path::new(file)), expected, "{file}");
        }
    }

    #[test]
    fn what_is_not_known_has_no_manifest() {
        let unknown = Recognition::default();
        assert_eq!(manifest_text(&unknown, Path::new("net.onnx"), 1), None);
    }
}
