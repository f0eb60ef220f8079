//! Tiny graphs in a real ONNX Runtime: what comes back, and what each mistake is answered with.

use std::path::Path;

use crate::common::{classes, graphs, instances, load, options, plain_image, resolve, runtime};
use detector::model::repository::Precision;
use detector::model::{Model as _, ModelError, decode::OutputError};
use detector::onnx::session::SessionError;
use detector::onnx::{LoadError, OnnxModel, Provider};
use pipeline::detections::BBox;
use tempfile::TempDir;

/// Sizes that have broken pipelines: one pixel, a strip, small, full HD.
const SIZES: [(u32, u32); 5] = [(1, 1), (3000, 40), (40, 3000), (160, 120), (1920, 1080)];

/// The share of its box that a full mask of 4 x 4 cells covers: in each corner it fades in both
/// directions, and below 0.5 in (2 ln 2 - 1) of a quarter of a cell.
const COVERED: f32 = 1.0 - 4.0 * 0.386_294 / 64.0;

#[test]
fn a_network_that_finds_nothing_gives_no_instances_in_any_size() {
    let mut model = load(graphs(), "nothing");
    for (width, height) in SIZES {
        let image = plain_image(width, height, [90, 90, 90]);
        assert!(instances(&mut model, &image).is_empty(), "{width}x{height}");
    }
}

#[test]
fn a_detection_comes_back_in_frame_pixels_in_any_size() {
    let mut model = load(graphs(), "square@1");
    assert_eq!(
        (model.manifest().name.as_str(), model.version()),
        ("square", 1)
    );
    for (width, height) in SIZES {
        let image = plain_image(width, height, [90, 90, 90]);
        let found = instances(&mut model, &image);
        assert_eq!(found.len(), 1, "{width}x{height}");
        let square = &found[0];
        assert_eq!(square.label, "square");
        assert!((square.score - 0.9).abs() < 1e-6);
        let (frame_width, frame_height) = (width as f32, height as f32);
        let BBox { x, y, w, h } = square.bbox;
        let expected = [
            frame_width / 4.0,
            frame_height / 4.0,
            frame_width / 2.0,
            frame_height / 2.0,
        ];
        for (edge, wanted) in [x, y, w, h].into_iter().zip(expected) {
            assert!(
                (edge - wanted).abs() < 0.01,
                "{width}x{height}: {:?}",
                square.bbox
            );
        }
        assert_eq!(
            square.segmentation.as_ref().unwrap().size(),
            [height, width]
        );
        let covered = square.area as f32;
        let outline = frame_width + frame_height;
        assert!(
            (covered - COVERED * w * h).abs() <= outline,
            "{width}x{height}: {covered}"
        );
    }
}

#[test]
fn several_images_are_answered_in_order_whatever_the_batch_size() {
    let mut model = load(graphs(), "colour");
    assert_eq!(model.manifest().max_batch_size, 2);
    let colours = [
        [255, 0, 0],
        [0, 0, 255],
        [0, 255, 0],
        [0, 0, 255],
        [255, 0, 0],
    ];
    let images: Vec<_> = colours
        .iter()
        .map(|&rgb| plain_image(30, 20, rgb))
        .collect();
    let answers = classes(&mut model, &images.iter().collect::<Vec<_>>());
    let best: Vec<&str> = answers
        .iter()
        .map(|answer| answer[0].label.as_str())
        .collect();
    assert_eq!(best, ["red", "blue", "green", "blue", "red"]);
    // Logits 1, 0, 0: e / (e + 2).
    for answer in &answers {
        assert!((answer[0].score - 0.576_116_9).abs() < 1e-5, "{answer:?}");
        assert_eq!(answer.len(), 3);
    }
    assert!(classes(&mut model, &[]).is_empty());
}

/// A copy of one graph with a piece of its manifest exchanged.
fn changed(name: &str, old: &str, new: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(name);
    std::fs::create_dir_all(folder.join("1")).unwrap();
    let graph = Path::new(name).join("1/model.onnx");
    std::fs::copy(graphs().join(&graph), root.path().join(&graph)).unwrap();
    let manifest = std::fs::read_to_string(graphs().join(name).join("model.toml")).unwrap();
    assert!(manifest.contains(old), "{old}");
    std::fs::write(folder.join("model.toml"), manifest.replacen(old, new, 1)).unwrap();
    root
}

fn load_error(root: &TempDir, name: &str) -> LoadError {
    let resolved = resolve(root.path(), name);
    OnnxModel::load(&runtime(), &resolved, &options(Precision::Fp32)).unwrap_err()
}

#[test]
fn a_manifest_that_does_not_fit_its_graph_is_refused_when_loading() {
    let input = load_error(
        &changed("square", "name = \"image\"", "name = \"picture\""),
        "square",
    );
    assert!(
        input
            .to_string()
            .contains("no input \"picture\"; it has image"),
        "{input}"
    );

    let layout = load_error(&changed("square", "\"chw\"", "\"nchw\""), "square");
    assert!(
        matches!(layout, LoadError::Session(SessionError::Input { .. })),
        "{layout}"
    );
    assert!(
        layout
            .to_string()
            .contains("a float tensor [1, 3, any, any]"),
        "{layout}"
    );

    let size = load_error(&changed("colour", "width = 8", "width = 16"), "colour");
    assert!(size.to_string().contains("[any, 3, 8, 16]"), "{size}");

    let output = load_error(
        &changed("colour", "\"logits\"", "\"logits\"\nname = \"scores\""),
        "colour",
    );
    assert!(
        output
            .to_string()
            .contains("no output \"scores\"; it has logits"),
        "{output}"
    );
}

#[test]
fn a_convention_that_the_graph_does_not_follow_is_refused() {
    let root = changed("square", "instance-segmentation", "classification");
    let path = root.path().join("square/model.toml");
    let manifest = std::fs::read_to_string(&path).unwrap();
    let manifest = manifest
        .replace("\"detectron2\"", "\"logits\"")
        .replace("mask = 0.5", "");
    std::fs::write(&path, &manifest).unwrap();
    let ambiguous = load_error(&root, "square");
    assert!(
        matches!(ambiguous, LoadError::AmbiguousOutput { .. }),
        "{ambiguous}"
    );
    assert!(
        ambiguous
            .to_string()
            .contains("boxes, classes, scores, masks"),
        "{ambiguous}"
    );

    let named = manifest.replace("\"logits\"", "\"logits\"\nname = \"boxes\"");
    std::fs::write(&path, named).unwrap();
    let error = load(root.path(), "square")
        .predict(&[&plain_image(64, 64, [0; 3])])
        .unwrap_err();
    assert!(
        matches!(error, ModelError::Output(OutputError::Shape { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("\"boxes\" has shape [1, 4]"),
        "{error}"
    );
}

#[test]
fn a_class_without_a_label_is_an_error_of_the_model() {
    let root = changed("square", "[[labels]]\nname = \"circle\"\n", "");
    let error = load(root.path(), "square")
        .predict(&[&plain_image(64, 64, [0; 3])])
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("class 1, but model.toml has 1 labels"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_no_graph_is_named() {
    let root = changed("square", "score = 0.5", "score = 0.6");
    std::fs::write(root.path().join("square/1/model.onnx"), "not a graph").unwrap();
    let error = load_error(&root, "square");
    assert!(matches!(error, LoadError::Graph(_)), "{error}");
    assert!(error.to_string().contains("square/1/model.onnx"), "{error}");
}

#[test]
fn cuda_that_cannot_be_had_is_an_error_and_never_the_processor() {
    let runtime = runtime();
    let mut options = options(Precision::Fp32);
    options.session.provider = Provider::Cuda { device: 0 };
    let outcome = OnnxModel::load(&runtime, &resolve(graphs(), "square"), &options);
    let has_cuda_build = runtime
        .library()
        .with_file_name("libonnxruntime_providers_cuda.so")
        .exists();
    match outcome {
        Ok(_) => assert!(
            has_cuda_build,
            "the build for processors claims to have CUDA"
        ),
        Err(LoadError::Session(error @ SessionError::Provider { .. })) => {
            let message = error.to_string();
            assert!(
                message.starts_with("cuda:0 was asked for and is not available"),
                "{message}"
            );
            assert!(
                has_cuda_build || message.contains("script/setup --gpu"),
                "{message}"
            );
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_run_without_end_is_ended_and_the_model_is_loaded_anew() {
    let mut endless = load(graphs(), "endless");
    let dark = plain_image(8, 8, [51, 0, 102]);
    assert_eq!(classes(&mut endless, &[&dark])[0][0].label, "blue");

    let interrupter = endless.interrupter();
    let (_never, nothing) = std::sync::mpsc::sync_channel::<()>(1);
    let bright = plain_image(8, 8, [255; 3]);
    let ended = std::thread::scope(|scope| {
        scope.spawn(move || {
            // So that the loop turns by then; before it, the run would end just as well.
            nothing
                .recv_timeout(std::time::Duration::from_millis(100))
                .unwrap_err();
            interrupter.interrupt();
        });
        endless.predict(&[&bright])
    });
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("terminate"), "{error}");
    endless.predict(&[&dark]).unwrap_err();
    let mut endless = load(graphs(), "endless");
    assert_eq!(classes(&mut endless, &[&dark])[0][0].label, "blue");
}
