//! How a model is served, as its manifest says: batches, sessions, and the form of its weights.

use super::*;
use crate::model::repository::Precision;

#[test]
fn batches_may_wait_and_have_preferred_sizes() {
    let with = |more: &str| {
        let batching = format!("max_batch_size = 32\n{more}");
        parse(&PART_KIND.replace("max_batch_size = 32", &batching))
    };
    let queueing = with("max_queue_delay_ms = 5\npreferred_batch_sizes = [16, 4, 16]");
    let expected = Queueing {
        max_delay: Duration::from_millis(5),
        preferred_sizes: vec![4, 16],
    };
    assert_eq!(queueing.unwrap().queueing, expected);
    assert_eq!(with("").unwrap().queueing, Queueing::default());
    for (wrong, advice) in [
        ("max_queue_delay_ms = 1001", "from 0 to 1000"),
        ("preferred_batch_sizes = [33]", "which is 32"),
        ("preferred_batch_sizes = [0, 4]", "from 1"),
        ("preferred_batch_sizes = []", "from 1"),
        ("max_queue_delay_microseconds = 5", "max_queue_delay_ms"),
    ] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(error.contains(":16: ") && error.contains(advice), "{error}");
    }
}

#[test]
fn threads_sessions_and_memory_are_the_models_to_wish() {
    let with =
        |wishes: &str| parse(&PARTS.replace("[files]", &format!("[session]\n{wishes}\n[files]")));
    let wishes = with("threads = 2\nspinning = true\nmemory = \"512MiB\"");
    let expected = SessionWishes {
        threads: Some(2),
        spinning: Some(true),
        memory_bytes: Some(512 << 20),
        ..SessionWishes::default()
    };
    assert_eq!(wishes.unwrap().session, expected);
    let asked = SessionWishes {
        threads: Some(3),
        arena: Some(true),
        ..SessionWishes::default()
    };
    let both = asked.or(expected);
    assert_eq!(
        (both.threads, both.spinning, both.arena),
        (Some(3), Some(true), Some(true))
    );
    for (wrong, advice) in [
        ("sessions = 0", "from 1 to 64"),
        ("inter_threads = 2000", "from 1 to 1024"),
        ("memory = \"much\"", "512MiB"),
        ("memory = \"0B\"", "512MiB"),
        ("thread = 1", "threads"),
    ] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(error.contains(":22: ") && error.contains(advice), "{error}");
    }
}

#[test]
fn a_model_may_be_cut_and_says_which_form_serves() {
    let with = |more: &str| {
        let files = format!("fp32 = \"model.onnx\"\n{more}");
        parse(&PARTS.replacen("fp32 = \"model.onnx\"", &files, 1))
    };
    let files = with("cut = \"cut/cut.toml\"\nserve = \"cut\"")
        .unwrap()
        .files;
    assert_eq!(files.cut.as_deref(), Some("cut/cut.toml"));
    assert_eq!(files.serve, Precision::Cut);
    assert_eq!(
        with("serve = \"int8\"").unwrap().files.serve,
        Precision::Int8
    );
    for (wrong, advice) in [
        ("serve = \"cut\"", "add cut = …"),
        ("serve = \"half\"", "unknown variant"),
        ("cut = \"../cut/cut.toml\"", "cut/cut.toml"),
        ("cut = \"cut/../../cut.toml\"", "cut/cut.toml"),
        ("cut = \"/cut.toml\"", "cut/cut.toml"),
        ("cut = \"cut/trunk.onnx\"", "cut/cut.toml"),
    ] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(error.contains(":23: ") && error.contains(advice), "{error}");
    }
}
