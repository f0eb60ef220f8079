//! Several sessions of one model, and how `detector tune` finds out how many there should be.

use std::process::{Command, Output};

use detector::model::repository::Precision;
use detector::model::{Model as _, Prediction};
use detector::onnx::SessionPool;
use detector::tune::record::Tuning;

use crate::common::{graphs, load, options, plain_image, resolve, runtime};

#[test]
fn sessions_share_a_batch_and_keep_its_order() {
    let images: Vec<_> = [[250, 0, 0], [0, 250, 0], [0, 0, 250]]
        .iter()
        .cycle()
        .take(11)
        .map(|&rgb| plain_image(20, 10, rgb))
        .collect();
    let images: Vec<_> = images.iter().collect();
    let one_by_one: Vec<Prediction> = {
        let mut model = load(graphs(), "colour");
        let mut predict = |image| model.predict(&[image]).unwrap().remove(0);
        images.iter().map(|&image| predict(image)).collect()
    };
    let model = resolve(graphs(), "colour");
    let allowed = model.manifest.max_batch_size;
    for (sessions, batch) in [(1, None), (3, Some(2)), (2, Some(1)), (4, Some(1000))] {
        let options = options(Precision::Fp32);
        let mut pool = SessionPool::load(&runtime(), &model, &options, (sessions, batch)).unwrap();
        let each = batch.unwrap_or(allowed).min(allowed);
        assert_eq!(pool.manifest().max_batch_size, sessions * each);
        assert_eq!(pool.predict(&images).unwrap(), one_by_one);
        assert_eq!(pool.predict(&images[..1]).unwrap(), one_by_one[..1]);
        assert!(pool.predict(&[]).unwrap().is_empty());
    }
}

fn tune(arguments: &[&str], file: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_detector"))
        .args(["tune", "--seconds", "1", "--rounds", "1"])
        .args(arguments)
        .env("KADR_MODELS", graphs())
        .env("KADR_TUNING", file)
        .output()
        .unwrap()
}

#[test]
fn settings_are_tried_and_the_best_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tuning.toml");
    let output = tune(&["square", "--slo", "p99=1m"], &file);
    let (printed, told) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{told}");
    assert_eq!(printed.matches("<- best").count(), 1, "{printed}");
    assert!(printed.contains("kept in"), "{printed}");
    let text = std::fs::read_to_string(&file).unwrap();
    for line in [
        "name = \"square\"",
        "provider = \"cpu\"",
        "slo = \"p99=1m\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_ne!(Tuning::read(&file).unwrap(), Tuning::default());
}

#[test]
fn a_limit_that_nothing_keeps_is_said_and_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tuning.toml");
    for (arguments, complaint) in [
        (
            &["square", "--slo", "p50=0ms"][..],
            "no setting keeps p50=0s",
        ),
        (
            &["square", "--precision", "int8"],
            "no setting could be run",
        ),
        (&["circle"], "there is no model"),
        (&["square", "--slo", "fast"], "p95=100ms"),
    ] {
        let output = tune(arguments, &file);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && told.contains(complaint),
            "{told}"
        );
    }
    assert!(!file.exists());
}
