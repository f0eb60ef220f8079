//! What a good manifest becomes, and what the bad ones are told.

use super::*;

mod serving;

const PARTS: &str = r##"name = "parts"
task = "instance-segmentation"

[input]
name = "image"
layout = "chw"
channels = "bgr"
range = "0-255"
resize = { mode = "shortest-edge", shortest = 320, longest = 640 }

[output]
convention = "detectron2"

[thresholds]
score = 0.5
mask = 0.5

[batching]
max_batch_size = 1

[files]
fp32 = "model.onnx"
int8 = "model.int8.onnx"

[[labels]]
name = "bolt"
color = "#e6194b"

[[labels]]
name = "nut"
"##;

const PART_KIND: &str = r#"name = "part-kind"
task = "classification"
[input]
name = "image"
layout = "nchw"
channels = "rgb"
range = "0-1"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
resize = { mode = "letterbox", width = 96, height = 64 }
[output]
convention = "logits"
[thresholds]
[batching]
max_batch_size = 32
[files]
fp32 = "model.onnx"
[[labels]]
name = "bolt"
"#;

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text, Path::new("models/parts/model.toml"))
}

/// The message for `PARTS` with one piece of text exchanged.
fn complaint(old: &str, new: &str) -> String {
    assert!(PARTS.contains(old), "{old}");
    parse(&PARTS.replacen(old, new, 1)).unwrap_err().to_string()
}

#[test]
fn a_segmentation_manifest_is_read_whole() {
    let manifest = parse(PARTS).unwrap();
    assert_eq!(
        manifest,
        Manifest {
            name: "parts".to_owned(),
            task: Task::InstanceSegmentation,
            input: InputSpec {
                name: "image".to_owned(),
                layout: Layout::Chw,
                channels: Channels::Bgr,
                range: Range::Bytes,
                mean: [0.0; 3],
                std: [1.0; 3],
                resize: Resize::ShortestEdge {
                    shortest: 320,
                    longest: 640
                },
                antialias: true,
            },
            output: OutputSpec {
                convention: Some(Convention::Detectron2),
                name: None,
                names: OutputNames::default(),
                scores: None,
                background: None,
                max_detections: 300,
            },
            thresholds: Thresholds {
                score: 0.5,
                mask: 0.5,
                overlap: None,
            },
            draw: DrawWishes::default(),
            max_batch_size: 1,
            queueing: Queueing::default(),
            session: SessionWishes::default(),
            files: Files {
                fp32: "model.onnx".to_owned(),
                int8: Some("model.int8.onnx".to_owned()),
                cut: None,
                serve: Precision::Fp32,
            },
            labels: vec![
                Label {
                    name: "bolt".to_owned(),
                    color: [230, 25, 75]
                },
                Label {
                    name: "nut".to_owned(),
                    color: [60, 180, 75]
                },
            ],
        }
    );
}

#[test]
#[expect(
    clippy::float_cmp,
    reason = "the numbers are passed on, not computed with"
)]
fn a_classifier_manifest_is_read_with_its_defaults() {
    let manifest = parse(PART_KIND).unwrap();
    assert_eq!(manifest.task, Task::Classification);
    assert_eq!(
        manifest.input.resize,
        Resize::Letterbox {
            width: 96,
            height: 64,
            pad: 114
        }
    );
    assert_eq!(manifest.input.mean, [0.485, 0.456, 0.406]);
    assert_eq!(manifest.input.std, [0.229, 0.224, 0.225]);
    assert!(manifest.thresholds.score.abs() < f32::EPSILON);
    assert_eq!(manifest.max_batch_size, 32);
    assert_eq!(manifest.files.int8, None);
}

#[test]
fn how_pictures_are_drawn_is_the_models_to_say() {
    let with = |draw: &str| parse(&PARTS.replacen("task", &format!("draw = \"{draw}\"\ntask"), 1));
    let wishes = with("opacity:40,no-scores").unwrap().draw;
    assert_eq!(wishes.to_string(), "no-scores,opacity:40");
    let complaint = with("circles").unwrap_err().to_string();
    assert!(
        complaint.contains("model.toml:2: \"circles\" says nothing"),
        "{complaint}"
    );
}

#[test]
fn unknown_and_missing_fields_are_named_with_their_line() {
    let unknown = complaint("layout = \"chw\"", "layout = \"chw\"\nlayuot = \"chw\"");
    assert!(
        unknown.starts_with("models/parts/model.toml:7: unknown field `layuot`"),
        "{unknown}"
    );
    assert!(unknown.contains("`layout`"), "{unknown}");
    let missing = complaint("channels = \"bgr\"\n", "");
    assert!(missing.contains("missing field `channels`"), "{missing}");
    let variant = complaint("\"bgr\"", "\"bgra\"");
    assert!(
        variant.starts_with("models/parts/model.toml:7:"),
        "{variant}"
    );
    assert!(variant.contains("`bgr`"), "{variant}");
    let syntax = complaint("score = 0.5", "score =");
    assert!(
        syntax.starts_with("models/parts/model.toml:15:"),
        "{syntax}"
    );
}

#[test]
fn values_that_make_no_sense_are_refused_with_advice() {
    let cases = [
        (
            "name = \"parts\"",
            "name = \"../parts\"",
            ":1: ",
            "cannot name a model",
        ),
        (
            "\"detectron2\"",
            "\"logits\"",
            ":12: ",
            "convention = \"detectron2\"",
        ),
        ("score = 0.5", "score = 1.5", ":15: ", "from 0 to 1"),
        ("mask = 0.5", "mask = nan", ":16: ", "from 0 to 1"),
        (
            "max_batch_size = 1",
            "max_batch_size = 8",
            ":19: ",
            "max_batch_size = 1",
        ),
        (
            "max_batch_size = 1",
            "max_batch_size = 0",
            ":19: ",
            "from 1 to 256",
        ),
        (
            "\"model.onnx\"",
            "\"../model.onnx\"",
            ":22: ",
            "plain file name",
        ),
        ("#e6194b", "red", ":27: ", "#rrggbb"),
        ("\"nut\"", "\"bolt\"", ":30: ", "a name of its own"),
        ("shortest = 320, ", "", ":9: ", "add shortest"),
        (
            "longest = 640",
            "longest = 64",
            ":9: ",
            "longest the larger",
        ),
        (
            "longest = 640",
            "longest = 640, pad = 3",
            ":9: ",
            "remove pad",
        ),
        ("shortest = 320", "shortest = 0", ":9: ", "from 1 to 8192"),
        (
            "range = \"0-255\"",
            "range = \"0-255\"\nstd = [1, 2]",
            ":9: ",
            "one finite number",
        ),
        (
            "range = \"0-255\"",
            "range = \"0-255\"\nstd = [1, 0, 1]",
            ":9: ",
            "above zero",
        ),
    ];
    for (old, new, line, expected) in cases {
        let message = complaint(old, new);
        assert!(message.contains(line), "{new}: {message}");
        assert!(message.contains(expected), "{new}: {message}");
    }
}

#[test]
fn batches_need_a_batch_dimension_and_one_shape() {
    let flat = PART_KIND.replace("\"nchw\"", "\"chw\"");
    assert!(
        parse(&flat)
            .unwrap_err()
            .to_string()
            .contains("no batch dimension")
    );
    let ragged = PART_KIND.replace(
        "\"letterbox\", width = 96, height = 64",
        "\"shortest-edge\", shortest = 9, longest = 9",
    );
    assert!(
        parse(&ragged)
            .unwrap_err()
            .to_string()
            .contains("different shapes")
    );
}

#[test]
fn a_manifest_without_labels_is_refused() {
    let (head, _) = PARTS.split_once("[[labels]]").unwrap();
    let none = parse(head).unwrap_err().to_string();
    assert!(none.contains("missing field `labels`"), "{none}");
    let empty = parse(&format!("labels = []\n{head}"))
        .unwrap_err()
        .to_string();
    assert!(empty.contains("add one [[labels]]"), "{empty}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Manifest::read(Path::new("/nowhere/model.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot read /nowhere/model.toml"),
        "{error}"
    );
}

#[test]
fn a_convention_may_be_left_out_and_is_checked_later() {
    let text = PARTS.replacen("convention = \"detectron2\"\n", "max_detections = 7\n", 1);
    let manifest = parse(&text).unwrap();
    assert_eq!(manifest.output.convention, None);
    assert_eq!(manifest.output.max_detections, 7);
    assert_eq!(manifest.check_convention(Convention::Torchvision), Ok(()));
    let clash = manifest.check_convention(Convention::Logits).unwrap_err();
    let message = clash.to_string();
    assert!(
        message.contains("convention = \"detectron2\" or \"torchvision\" or \"yolo\" or \"detr\""),
        "{message}"
    );
    let with_overlap = text.replacen("mask = 0.5", "mask = 0.5\noverlap = 0.6", 1);
    let manifest = parse(&with_overlap).unwrap();
    assert_eq!(manifest.check_convention(Convention::Yolo), Ok(()));
    assert!(manifest.check_convention(Convention::Detr).is_err());
}

#[test]
fn every_convention_belongs_to_a_task() {
    for convention in Convention::ALL {
        let word = format!("\"{}\"", convention.as_str());
        let is_known = PARTS.replacen("\"detectron2\"", &word, 1);
        for task in [
            "instance-segmentation",
            "classification",
            "semantic-segmentation",
        ] {
            let text = is_known
                .replacen("instance-segmentation", task, 1)
                .replacen("mask = 0.5\n", "", 1);
            let fits = parse(&text).is_ok();
            let task = parse(&text.replacen(&format!("convention = {word}\n"), "", 1))
                .unwrap()
                .task;
            assert_eq!(fits, convention.answers(task), "{word} {task:?}");
        }
    }
}

#[test]
fn outputs_that_a_graph_names_in_its_own_way_are_named() {
    let text = PARTS.replacen(
        "convention = \"detectron2\"",
        "convention = \"detr\"\nscores = \"softmax\"\nnames = { boxes = \"dets\", masks = \"m\" }",
        1,
    );
    let output = parse(&text).unwrap().output;
    assert_eq!(output.scores, Some(ScoreFunction::Softmax));
    assert_eq!(output.names.boxes.as_deref(), Some("dets"));
    assert_eq!(output.names.scores, None);
}

#[test]
fn the_input_may_be_interleaved_native_and_not_antialiased() {
    let native = PARTS.replacen("\"chw\"", "\"nhwc\"", 1).replacen(
        "mode = \"shortest-edge\", shortest = 320, longest = 640",
        "mode = \"none\", antialias = false",
        1,
    );
    let input = parse(&native).unwrap().input;
    assert!(input.layout.has_batch() && input.layout.is_interleaved());
    assert_eq!(input.resize, Resize::Native { longest: 4096 });
    assert!(!input.antialias);
}

#[test]
fn fields_of_other_tasks_and_conventions_are_refused() {
    let cases = [
        (
            "detectron2\"",
            "detectron2\"\nscores = \"sigmoid\"",
            ":13: ",
            "remove scores",
        ),
        (
            "mask = 0.5",
            "mask = 0.5\noverlap = 0.5",
            ":17: ",
            "remove overlap",
        ),
        (
            "detectron2\"",
            "detectron2\"\nname = \"boxes\"",
            ":13: ",
            "names = {",
        ),
        (
            "detectron2\"",
            "detectron2\"\nbackground = 0",
            ":13: ",
            "semantic segmentation",
        ),
        (
            "detectron2\"",
            "detectron2\"\nmax_detections = 0",
            ":13: ",
            "from 1 to 10000",
        ),
        (
            "mode = \"shortest-edge\"",
            "mode = \"none\"",
            ":9: ",
            "remove shortest",
        ),
        (
            "instance-segmentation",
            "object-detection",
            ":16: ",
            "remove mask",
        ),
        (
            "detectron2\"",
            "detectron2\"\nnames = { box = \"b\" }",
            ":13:",
            "unknown field",
        ),
    ];
    for (old, new, line, expected) in cases {
        let message = complaint(old, new);
        assert!(message.contains(line), "{new}: {message}");
        assert!(message.contains(expected), "{new}: {message}");
    }
    let semantic = PARTS
        .replacen("instance-segmentation", "semantic-segmentation", 1)
        .replacen("detectron2", "semantic", 1);
    let background = |class: &str| {
        let line = format!("\"semantic\"\nbackground = {class}");
        parse(&semantic.replacen("\"semantic\"", &line, 1))
    };
    assert_eq!(background("1").unwrap().output.background, Some(1));
    assert!(
        background("2")
            .unwrap_err()
            .to_string()
            .contains("from 0 to 1")
    );
    let names = semantic.replacen("\"semantic\"", "\"semantic\"\nnames = { boxes = \"b\" }", 1);
    assert!(parse(&names).unwrap_err().to_string().contains("name = …"));
}
