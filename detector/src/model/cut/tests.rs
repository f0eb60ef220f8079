//! What a good `cut.toml` becomes, what the bad ones are told, and torchvision's numbers.

use std::path::Path;

use serde::Deserialize;

use super::boxes::BoxCoding;
use super::*;
use crate::model::decode::nms::{Candidate, sort_by_score, without_overlaps};

const PARTS: &str = include_str!("../../../../models/parts/1/cut/cut.toml");

fn parse(text: &str) -> Result<CutPlan, CutError> {
    CutPlan::parse(text, Path::new("cut/cut.toml"))
}

/// The message for `PARTS` with one piece of text exchanged.
fn complaint(old: &str, new: &str) -> String {
    assert!(PARTS.contains(old), "{old}");
    parse(&PARTS.replacen(old, new, 1)).unwrap_err().to_string()
}

#[test]
fn the_shipped_cut_is_read_whole() {
    let plan = parse(PARTS).unwrap();
    assert_eq!(
        plan.files(),
        ["trunk.onnx", "box_head.onnx", "mask_head.onnx"]
    );
    assert_eq!(plan.trunk.input, "image");
    let strides: Vec<usize> = plan
        .trunk
        .features
        .iter()
        .map(|level| level.stride)
        .collect();
    assert_eq!(strides, [4, 8, 16, 32]);
    let levels = &plan.proposals.levels;
    let of_levels: Vec<_> = levels
        .iter()
        .map(|level| (level.features, level.stride))
        .collect();
    assert_eq!(of_levels, [(1, 8), (2, 16), (3, 32)]);
    assert_eq!(levels[2].objectness, "objectness_p5");
    assert_eq!(levels[0].anchors.len(), 3);
    let head = &plan.box_head;
    assert_eq!(
        (head.pooling.size, head.pooling.sampling, head.detections),
        (7, 2, 100)
    );
    assert_eq!(head.pooling.rule.first_level, 2);
    assert_eq!(plan.mask_head.unwrap().classes, "classes");
}

#[test]
fn a_cut_may_name_its_files_and_have_no_masks() {
    let (without, _masks) = PARTS.split_once("[mask_head]").unwrap();
    let pooling = "[pooling]\nfirst_level = 2\nlast_level = 5\n";
    let text = format!("{without}{pooling}").replace("[trunk]", "[trunk]\nfile = \"t.int8.onnx\"");
    let plan = parse(&text).unwrap();
    assert_eq!(plan.files(), ["t.int8.onnx", "box_head.onnx"]);
    assert_eq!(plan.mask_head, None);
}

/// What is exchanged for what, and a piece of the complaint.
type Nonsense = (&'static str, &'static str, &'static str);

#[test]
fn what_makes_no_sense_is_refused_with_its_line() {
    for (old, new, expected) in NONSENSE {
        let message = complaint(old, new);
        assert!(message.starts_with("cut/cut.toml:"), "{new}: {message}");
        assert!(message.contains(expected), "{new}: {message}");
    }
}

const NONSENSE: &[Nonsense] = &[
    (
        "input = \"image\"",
        "inputs = \"image\"",
        "unknown field `inputs`",
    ),
    (
        "input = \"image\"",
        "input = \"\"",
        "cut/cut.toml:6: the name is empty",
    ),
    (
        "input = \"image\"",
        "input = \"image\"\nfile = \"../trunk.onnx\"",
        "plain file name",
    ),
    ("\"p2\", ", "", "do not fit 3 features"),
    ("[4, 8, 16, 32]", "[4, 8, 8, 32]", "growing"),
    ("[4, 8, 16, 32]", "[4, 8, 16, 3200]", "from 1 to 512"),
    ("[4, 8, 16, 32]", "[-4, 8, 16, 32]", "cut/cut.toml:8:"),
    (
        "levels = [\"p3\"",
        "levels = [\"p9\"",
        "level \"p9\" is none of the features",
    ),
    (
        "[24.0, 56.0, 96.0]",
        "[24.0, 56.0]",
        "anchor_sizes has 2 entries for 3 levels",
    ),
    (
        "[24.0, 56.0, 96.0]",
        "[24.0, 56.0, 1e9]",
        "from 0.01 to 8192",
    ),
    ("[0.5, 1.0, 2.0]", "[0.5, nan, 2.0]", "anchor_ratios"),
    ("[1.0, 1.0, 1.0, 1.0]", "[1.0, 0.0, 1.0, 1.0]", "divide"),
    ("[1.0, 1.0, 1.0, 1.0]", "[1.0, 1.0, 1.0]", "length 4"),
    (
        "max_log_scale = 4.1351665567",
        "max_log_scale = 90",
        "from 0 to 16",
    ),
    (
        "before_nms_per_level = 300",
        "before_nms_per_level = 1000000",
        "from 1 to 10000",
    ),
    ("after_nms = 150", "after_nms = 0", "from 1 to 2000"),
    ("nms_iou = 0.7", "nms_iou = inf", "from 0 to 1"),
    ("size = 7", "size = 700", "from 1 to 64"),
    ("sampling = 2", "sampling = 0", "from 1 to 8"),
    (
        "canonical_level = 4",
        "canonical_level = 9",
        "none of the levels",
    ),
    (
        "canonical_side = 128",
        "canonical_side = -1",
        "from 1 to 8192",
    ),
    (
        "[\"regions\", \"classes\"]",
        "[\"regions\", \"regions\"]",
        "name both inputs",
    ),
    (
        "last_level = 5",
        "last_level = 4294967295",
        "not as many as the 4 features",
    ),
    ("first_level = 2", "first_level = 9", "not as many"),
];

#[test]
fn a_description_that_lacks_something_or_is_not_there_is_told() {
    let missing = parse("[trunk]").unwrap_err().to_string();
    assert!(missing.contains("missing field"), "{missing}");
    let nowhere = CutPlan::read(Path::new("/nowhere/cut.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        nowhere.contains("cannot read /nowhere/cut.toml"),
        "{nowhere}"
    );
}

/// Of what `make_roi_fixtures.py` writes, the part that is not pooling.
#[derive(Deserialize)]
struct Golden {
    boxes: Vec<f32>,
    decoded: Decoded,
    nms: Suppressed,
}

#[derive(Deserialize)]
struct Decoded {
    deltas: Vec<f32>,
    boxes: Vec<f32>,
}

#[derive(Deserialize)]
struct Suppressed {
    boxes: Vec<f32>,
    scores: Vec<f32>,
    kept: Vec<usize>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/fixtures/roi.json")).unwrap()
}

fn corners_of(&[x0, y0, x1, y1]: &[f32; 4]) -> Corners {
    Corners { x0, y0, x1, y1 }
}

#[test]
fn boxes_are_decoded_as_torchvision_decodes_them() {
    let Golden { boxes, decoded, .. } = golden();
    let coding = BoxCoding {
        weights: [10.0, 10.0, 5.0, 5.0],
        max_log_scale: (1000.0_f32 / 16.0).ln(),
    };
    let known = boxes.as_chunks::<4>().0.iter();
    let deltas = decoded.deltas.as_chunks::<4>().0;
    let wanted = decoded.boxes.as_chunks::<4>().0;
    assert_eq!(deltas.len(), 5);
    for ((known, deltas), wanted) in known.zip(deltas).zip(wanted) {
        let found = coding.decode(corners_of(known), *deltas);
        let wanted = corners_of(wanted);
        for difference in [
            found.x0 - wanted.x0,
            found.y0 - wanted.y0,
            found.x1 - wanted.x1,
            found.y1 - wanted.y1,
        ] {
            assert!(difference.abs() < 2e-3, "{found:?}, not {wanted:?}");
        }
    }
}

#[test]
fn the_same_boxes_are_kept_as_torchvision_keeps() {
    let Suppressed {
        boxes,
        scores,
        kept,
    } = golden().nms;
    let boxes = boxes.as_chunks::<4>().0.iter().map(corners_of);
    let candidates = boxes.zip(scores).enumerate();
    let mut candidates: Vec<Candidate> = candidates
        .map(|(index, (corners, score))| Candidate {
            corners,
            class: 0,
            score,
            index,
        })
        .collect();
    sort_by_score(&mut candidates);
    let found = without_overlaps(&candidates, 0.5, usize::MAX);
    let found: Vec<usize> = found.iter().map(|candidate| candidate.index).collect();
    assert!(kept.len() > 5 && kept.len() < candidates.len(), "{kept:?}");
    assert_eq!(found, kept);
}
