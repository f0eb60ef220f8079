//! Signatures as exporters write them, and what they are taken for.

use std::path::Path;

use super::*;
use crate::graph::suggest::manifest_text;
use crate::model::manifest::Manifest;
use crate::model::signature::{Dim, Element};

/// A port from its printed form, `images float32 [batch, 3, 640, 640]`.
fn port(text: &str) -> Port {
    let (name, rest) = text.split_once(' ').unwrap();
    let (element, shape) = rest.split_once(" [").unwrap();
    let lengths = shape.strip_suffix(']').unwrap();
    let dimension = |length: &str| match length.trim() {
        "?" => Dim::Free(None),
        length => length
            .parse()
            .map_or_else(|_name| Dim::Free(Some(length.to_owned())), Dim::Fixed),
    };
    let element = match element {
        "float32" => Element::F32,
        "float16" => Element::F16,
        "uint8" => Element::U8,
        "int32" => Element::I32,
        "int64" => Element::I64,
        "bool" => Element::Bool,
        other => Element::Other(other.to_owned()),
    };
    let shape = match lengths {
        "..." => None,
        "" => Some(Vec::new()),
        lengths => Some(lengths.split(',').map(dimension).collect()),
    };
    let port = Port {
        name: name.to_owned(),
        element,
        shape,
    };
    assert_eq!(port.to_string(), text);
    port
}

fn signature(input: &str, outputs: &[&str]) -> Signature {
    Signature {
        inputs: vec![port(input)],
        outputs: outputs.iter().map(|output| port(output)).collect(),
    }
}

/// A recognised signature, whose suggested manifest has been checked to parse and to agree.
fn known(input: &str, outputs: &[&str]) -> Recognition {
    let recognition = recognise(&signature(input, outputs));
    let text = manifest_text(&recognition, Path::new("net.onnx"), 1)
        .unwrap_or_else(|| panic!("{:?}", recognition.doubts));
    let manifest = Manifest::parse(&text, Path::new("model.toml"))
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let guessed = recognition.input.as_ref().unwrap();
    assert_eq!(manifest.output.convention, recognition.convention);
    assert_eq!(Some(manifest.task), recognition.task);
    assert_eq!(manifest.input.resize, guessed.resize);
    assert_eq!(manifest.input.range, guessed.range);
    assert_eq!(manifest.labels.len(), recognition.class_count.unwrap_or(1));
    assert_eq!(manifest.max_batch_size, guessed.max_batch_size);
    recognition
}

/// Why a signature is not served.
fn unknown(input: &str, outputs: &[&str]) -> String {
    let recognition = recognise(&signature(input, outputs));
    assert_eq!(recognition.convention, None, "{recognition:?}");
    assert_eq!(manifest_text(&recognition, Path::new("net.onnx"), 1), None);
    recognition.doubts.join("\n")
}

const PICTURE: &str = "images float32 [1, 3, 640, 640]";

#[test]
fn detectron2_by_its_names() {
    let outputs = [
        "boxes float32 [n, 4]",
        "classes int64 [n]",
        "scores float32 [n]",
        "masks float32 [n, 1, 28, 28]",
        "image_size int64 [2]",
    ];
    let found = known("image float32 [3, height, width]", &outputs);
    assert_eq!(found.convention, Some(Convention::Detectron2));
    assert_eq!(found.task, Some(Task::InstanceSegmentation));
    assert_eq!(found.names.image_size.as_deref(), Some("image_size"));
    let input = found.input.unwrap();
    assert_eq!(
        (input.layout, input.channels, input.range),
        (Layout::Chw, Channels::Bgr, Range::Bytes)
    );
    assert!(matches!(input.resize, Resize::ShortestEdge { .. }));

    let boxes_only = known("image float32 [3, height, width]", &outputs[..3]);
    assert_eq!(boxes_only.task, Some(Task::ObjectDetection));
    assert!(!boxes_only.has_masks);

    let own_names = [
        "pred_boxes float32 [...]",
        "pred_classes int64 [...]",
        "pred_masks bool [...]",
        "scores float32 [...]",
    ];
    let found = known("image float32 [3, height, width]", &own_names);
    assert_eq!(found.convention, Some(Convention::Detectron2));
    assert_eq!(found.names.boxes.as_deref(), Some("pred_boxes"));
}

#[test]
fn detectron2_and_torchvision_by_their_order() {
    let pasted = [
        "2131 float32 [a, 4]",
        "2133 int64 [b]",
        "2140 bool [c, 480, 640]",
        "2150 float32 [d]",
    ];
    let found = known("x float32 [3, h, w]", &pasted);
    assert_eq!(found.convention, Some(Convention::Detectron2));
    assert!(
        found
            .doubts
            .iter()
            .any(|doubt| doubt.contains("count from zero"))
    );

    let torchvision = [
        "2774 float32 [a, 4]",
        "2775 int64 [a]",
        "2776 float32 [a]",
        "2990 float32 [a, 1, h, w]",
    ];
    let found = known("x float32 [3, h, w]", &torchvision);
    assert_eq!(found.convention, Some(Convention::Torchvision));
    assert!(
        found
            .doubts
            .iter()
            .any(|doubt| doubt.contains("count from one"))
    );
    assert_eq!(found.names.masks.as_deref(), Some("2990"));
}

#[test]
fn torchvision_by_its_names() {
    let outputs = [
        "boxes float32 [n, 4]",
        "labels int64 [n]",
        "scores float32 [n]",
        "masks float32 [n, 1, h, w]",
    ];
    let found = known("image float32 [3, height, width]", &outputs);
    assert_eq!(found.convention, Some(Convention::Torchvision));
    let input = found.input.unwrap();
    assert_eq!((input.channels, input.range), (Channels::Rgb, Range::Unit));
    assert!(
        matches!(input.resize, Resize::Native { .. }),
        "it resizes inside"
    );
    let boxes_only = known("image float32 [3, height, width]", &outputs[..3]);
    assert_eq!(boxes_only.task, Some(Task::ObjectDetection));
}

#[test]
fn yolo_by_its_anchors() {
    let found = known(PICTURE, &["output0 float32 [1, 84, 8400]"]);
    assert_eq!(found.convention, Some(Convention::Yolo));
    assert_eq!(found.task, Some(Task::ObjectDetection));
    assert_eq!(found.class_count, Some(80));
    assert_eq!(found.doubts, Vec::<String>::new(), "nothing is a guess");
    assert!(found.because[0].contains("8400 anchors of a 640x640 picture"));
    let input = found.input.unwrap();
    assert_eq!(
        input.resize,
        Resize::Letterbox {
            width: 640,
            height: 640,
            pad: 114
        }
    );

    let masks = [
        "output0 float32 [1, 41, 2100]",
        "output1 float32 [1, 32, 80, 80]",
    ];
    let found = known("images float32 [1, 3, 320, 320]", &masks);
    assert_eq!((found.class_count, found.has_masks), (Some(5), true));
    assert_eq!(found.names.masks.as_deref(), Some("output1"));

    let open = [
        "output0 float32 [batch, 116, anchors]",
        "output1 float32 [batch, 32, mask_height, mask_width]",
    ];
    let found = known("images float32 [batch, 3, height, width]", &open);
    assert_eq!(found.class_count, Some(80));
    assert_eq!(found.input.unwrap().max_batch_size, 8);

    let odd = known(
        "images float32 [1, 3, 640, 640]",
        &["out float32 [1, 9, 5000]"],
    );
    assert!(odd.doubts[0].contains("not those of YOLO"), "{odd:?}");
}

#[test]
fn elders_of_yolo_are_named() {
    for (output, expected) in [
        ("output float32 [1, 25200, 85]", "YOLOv5"),
        ("output float32 [1, 8400, 85]", "YOLOX"),
        ("output0 float32 [1, 300, 6]", "nms=True"),
        ("output0 float32 [1, 5000, 85]", "order that is not known"),
    ] {
        let why = unknown(PICTURE, &[output]);
        assert!(why.contains(expected), "{output}: {why}");
    }
    let sorted = [
        "output0 float32 [1, 300, 38]",
        "output1 float32 [1, 32, 160, 160]",
    ];
    assert!(unknown(PICTURE, &sorted).contains("nms=True"));
}

#[test]
fn detr_by_its_queries() {
    let rf_detr = [
        "dets float32 [1, 200, 4]",
        "labels float32 [1, 200, 6]",
        "masks float32 [1, 200, 78, 78]",
    ];
    let found = known("input float32 [1, 3, 312, 312]", &rf_detr);
    assert_eq!(found.convention, Some(Convention::Detr));
    assert_eq!(found.task, Some(Task::InstanceSegmentation));
    assert_eq!(found.scores, Some(ScoreFunction::Sigmoid));
    assert_eq!(found.class_count, Some(6));
    assert_eq!(found.names.boxes.as_deref(), Some("dets"));
    assert_eq!(found.names.scores.as_deref(), Some("labels"));
    assert!(found.input.unwrap().mean_and_std.is_some());

    let first = [
        "logits float32 [b, 100, 92]",
        "pred_boxes float32 [b, 100, 4]",
    ];
    let found = known("pixel_values float32 [b, 3, h, w]", &first);
    assert_eq!(found.scores, Some(ScoreFunction::Softmax));
    assert_eq!(found.class_count, Some(91), "the last slot is nothing");
    assert_eq!(found.task, Some(Task::ObjectDetection));

    let four_classes = ["logits float32 [1, 300, 4]", "boxes float32 [1, 300, 4]"];
    let found = known(PICTURE, &four_classes);
    assert_eq!(found.names.boxes.as_deref(), Some("boxes"));
}

#[test]
fn queries_without_boxes_are_named() {
    let outputs = [
        "class_queries_logits float32 [1, 100, 134]",
        "masks_queries_logits float32 [1, 100, 160, 160]",
    ];
    assert!(unknown(PICTURE, &outputs).contains("MaskFormer"));
}

#[test]
fn semantic_segmentation_by_its_maps() {
    let auxiliary = ["out float32 [b, 21, h, w]", "aux float32 [b, 21, h, w]"];
    let found = known("input float32 [b, 3, h, w]", &auxiliary);
    assert_eq!(found.convention, Some(Convention::Semantic));
    assert_eq!(found.output.as_deref(), Some("out"));
    assert_eq!(found.class_count, Some(21));

    let quarter = known(
        "x float32 [1, 3, 512, 512]",
        &["logits float32 [1, 19, 128, 128]"],
    );
    assert_eq!(quarter.class_count, Some(19));
    let single = known(PICTURE, &["mask float32 [1, 1, 160, 160]"]);
    assert_eq!(single.class_count, Some(1));
    assert!(single.doubts[0].contains("maps of depth"), "{single:?}");
    for argmax in [
        "map int64 [1, 512, 512]",
        "map int32 [1, 1, 512, 512]",
        "map uint8 [b, h, w]",
    ] {
        let found = known("x float32 [1, 3, 512, 512]", &[argmax]);
        assert_eq!(found.convention, Some(Convention::Semantic), "{argmax}");
        assert_eq!(found.class_count, None);
    }
}

#[test]
fn maps_that_are_no_answer_are_named() {
    for (output, expected) in [
        ("features float32 [1, 256, 20, 20]", "looks like features"),
        (
            "features float32 [1, 2048, 640, 640]",
            "looks like features",
        ),
        ("nothing float32 [1, 0, 640, 640]", "looks like features"),
    ] {
        let why = unknown(PICTURE, &[output]);
        assert!(why.contains(expected), "{output}: {why}");
    }
    let last = unknown(
        "x float32 [1, 512, 512, 3]",
        &["y float32 [1, 512, 512, 19]"],
    );
    assert!(last.contains("classes last"), "{last}");
}

#[test]
fn classifiers_by_their_row() {
    let found = known(
        "images float32 [batch, 3, 96, 96]",
        &["logits float32 [batch, 6]"],
    );
    assert_eq!(found.convention, Some(Convention::Logits));
    assert_eq!(
        (found.task, found.class_count),
        (Some(Task::Classification), Some(6))
    );
    assert_eq!(found.input.unwrap().max_batch_size, 8);

    let scores = known(
        "x float32 [1, 3, 224, 224]",
        &["softmax_probs float32 [1, 1000]"],
    );
    assert_eq!(scores.convention, Some(Convention::Probabilities));

    let keras = known(
        "input_1 float32 [?, 224, 224, 3]",
        &["dense float32 [?, 5]"],
    );
    let input = keras.input.unwrap();
    assert_eq!((input.layout, input.range), (Layout::Nhwc, Range::Bytes));

    let gray = known("digit float32 [1, 1, 28, 28]", &["plus float32 [1, 10]"]);
    assert_eq!(gray.input.unwrap().channels, Channels::Gray);

    let bytes = known("x uint8 [224, 224, 3]", &["y float32 [10]"]);
    let input = bytes.input.unwrap();
    assert_eq!((input.layout, input.range), (Layout::Hwc, Range::Bytes));

    let two = ["features float32 [1, 512]", "logits float32 [1, 10]"];
    assert_eq!(known(PICTURE, &two).output.as_deref(), Some("logits"));
}

#[test]
fn rows_that_could_be_anything_are_not_guessed() {
    let two = ["a float32 [1, 512]", "b float32 [1, 10]"];
    assert!(unknown(PICTURE, &two).contains("could hold the classes"));
    assert!(unknown(PICTURE, &["y float32 [1, 1]"]).contains("one class"));
    assert!(unknown(PICTURE, &["y string [1]"]).contains("none that Kadr knows"));
    assert!(unknown(PICTURE, &["y float32 [...]"]).contains("none that Kadr knows"));
}

#[test]
fn inputs_that_are_no_picture_are_named() {
    let logits = ["logits float32 [1, 6]"];
    for (input, expected) in [
        ("ids int64 [1, 128]", "no picture"),
        ("x float32 [1, 128]", "no picture"),
        ("x float32 [...]", "no picture"),
        ("x float32 [1, 4, 64, 64]", "has 4 channels"),
        ("x float32 [1, 3, 20000, 64]", "larger than 8192"),
    ] {
        let why = unknown(input, &logits);
        assert!(why.contains(expected), "{input}: {why}");
    }
    let two = Signature {
        inputs: vec![port(PICTURE), port("size int64 [2]")],
        outputs: vec![port(logits[0])],
    };
    assert!(recognise(&two).doubts[0].contains("gives one picture"));
}

#[test]
fn numbers_of_classes_that_cannot_be_are_not_believed() {
    let many = unknown(PICTURE, &["y float32 [1, 9000000000000, anchors]"]);
    assert!(many.contains("8999999999996 classes"), "{many}");
    let none = [
        "logits float32 [1, 100, 1]",
        "pred_boxes float32 [1, 100, 4]",
    ];
    assert!(unknown(PICTURE, &none).contains("0 classes"));
}

#[test]
fn a_batch_of_several_is_a_doubt() {
    let found = known("x float32 [4, 3, 224, 224]", &["logits float32 [4, 10]"]);
    assert!(
        found
            .doubts
            .iter()
            .any(|doubt| doubt.contains("exactly 4 pictures"))
    );
}

#[test]
fn names_of_classes_go_into_the_manifest() {
    let hints = Hints {
        class_names: vec!["bolt".to_owned(), "hex \"nut\"".to_owned()],
        ..Hints::default()
    };
    let recognition = recognise_with(&signature(PICTURE, &["y float32 [1, 6, 8400]"]), &hints);
    let text = manifest_text(&recognition, Path::new("net.onnx"), 1).unwrap();
    let manifest = Manifest::parse(&text, Path::new("model.toml")).unwrap();
    let labels: Vec<&str> = manifest.labels.iter().map(|label| &*label.name).collect();
    assert_eq!(labels, ["bolt", "hex \"nut\""]);
}

#[test]
fn names_of_ports_cannot_break_the_manifest() {
    let mut hostile = signature(PICTURE, &["y float32 [1, 10, 8400]"]);
    hostile.inputs[0].name = "a\"\n[output]\nconvention = \"detr".to_owned();
    hostile.outputs[0].name = "b'''\n# \u{7f}\\".to_owned();
    let recognition = recognise(&hostile);
    let text = manifest_text(&recognition, Path::new("net.onnx"), 1).unwrap();
    let manifest = Manifest::parse(&text, Path::new("model.toml")).unwrap();
    assert_eq!(manifest.input.name, hostile.inputs[0].name);
    assert_eq!(
        manifest.output.names.boxes.as_ref(),
        Some(&hostile.outputs[0].name)
    );
}
