//! Results as records, and the JSON Schema that clients in other languages rely on.
//!
//! After a change of the types, `KADR_UPDATE_SCHEMA=1 cargo test -p pipeline --test record_result`
//! writes the schema file anew; the diff shows what clients will notice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use pipeline::detections::{
    AnnotatedPlace, BBox, Classification, Color, Detections, DetectionsError, Instance, Mask,
    ModelVersion, Rgb, Timings, result_schema,
};
use pipeline::frame::{Carried, Frame, SourceId, TraceContext};
use pipeline::mask::Crop;
use pipeline::record::{Record, decode_result, encode_result};
use serde_json::{Value, json};
use std::path::Path;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn header(name: &str, value: &str) -> (String, Bytes) {
    (name.to_owned(), Bytes::copy_from_slice(value.as_bytes()))
}

/// Nothing found: the least a result may hold.
fn empty_result() -> Detections {
    let source = SourceId::new("cam-1").unwrap();
    let captured_at = "2026-03-01T12:00:00.5Z".parse().unwrap();
    let mut frame = Frame::new(source, captured_at, Bytes::from_static(b"\xff\xd8"));
    frame.id = "0195515c-9b3c-7000-8000-0123456789ab".parse().unwrap();
    let model = ModelVersion {
        name: "parts".to_owned(),
        version: 1,
    };
    Detections::for_frame(&frame, 640, 480, model)
}

fn instances() -> Vec<Instance> {
    let crop = Crop {
        x: 600,
        y: 470,
        width: 2,
        height: 2,
    };
    let mask = Mask::from_crop(640, 480, crop, &[1, 1, 0, 1]);
    let gear = Instance {
        label: "gear".to_owned(),
        category_id: 3,
        score: 0.975,
        bbox: mask.bbox(),
        area: mask.area(),
        segmentation: Some(mask),
        class_color: Some(Rgb([230, 25, 75])),
        color: Some(Color {
            rgb: [200, 30, 20],
            ryb: [190, 10, 5],
            name: "red".to_owned(),
        }),
    };
    let without_mask = Instance {
        label: "bolt".to_owned(),
        category_id: 0,
        score: 1.0,
        bbox: BBox {
            x: -0.5,
            y: 0.25,
            w: 12.0,
            h: 0.0,
        },
        area: 0,
        segmentation: None,
        class_color: None,
        color: None,
    };
    vec![gear, without_mask]
}

fn full_result() -> Detections {
    Detections {
        instances: instances(),
        classes: vec![Classification {
            label: "defective".to_owned(),
            score: 0.0,
        }],
        timings_ms: Timings {
            queue: 12.5,
            decode: 7.0,
            batch_wait: 0.0,
            infer: 59.1,
            annotate: 11.6,
            encode: 7.2,
            total: 97.4,
        },
        annotated: Some(AnnotatedPlace {
            topic: "kadr.annotated".to_owned(),
            partition: 3,
            offset: 42,
        }),
        ..empty_result()
    }
}

fn json_of(detections: &Detections) -> Value {
    let record = encode_result(detections, &Carried::default()).unwrap();
    serde_json::from_slice(&record.value).unwrap()
}

fn record_of(json: &Value) -> Record {
    Record {
        value: json.to_string().into(),
        ..Record::default()
    }
}

#[test]
fn the_schema_file_is_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/result.v1.schema.json");
    if std::env::var_os("KADR_UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, result_schema()).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap();
    assert!(
        file == result_schema(),
        "{} is out of date; if clients can live with the change, run this test with KADR_UPDATE_SCHEMA=1",
        path.display()
    );
}

#[test]
fn the_json_has_exactly_the_names_of_the_contract() {
    assert_eq!(
        json_of(&full_result()),
        json!({
            "schema_version": 1,
            "id": "0195515c-9b3c-7000-8000-0123456789ab",
            "source": "cam-1",
            "captured_at": "2026-03-01T12:00:00.500000Z",
            "width": 640,
            "height": 480,
            "model": { "name": "parts", "version": 1 },
            "instances": [
                {
                    "label": "gear",
                    "category_id": 3,
                    "score": 0.975,
                    "bbox": [600.0, 470.0, 2.0, 2.0],
                    "area": 3,
                    "segmentation": { "size": [480, 640], "counts": "ffi81o>1Y[a0" },
                    "class_color": "#e6194b",
                "color": { "rgb": [200, 30, 20], "ryb": [190, 10, 5], "name": "red" },
                },
                {
                    "label": "bolt",
                    "category_id": 0,
                    "score": 1.0,
                    "bbox": [-0.5, 0.25, 12.0, 0.0],
                    "area": 0,
                },
            ],
            "classes": [{ "label": "defective", "score": 0.0 }],
            "timings_ms": {
                "queue": 12.5, "decode": 7.0, "batch_wait": 0.0, "infer": 59.1,
                "annotate": 11.6, "encode": 7.2, "total": 97.4,
            },
            "annotated": { "topic": "kadr.annotated", "partition": 3, "offset": 42 },
        })
    );
}

#[test]
fn every_result_that_is_written_is_valid_by_the_schema() {
    let schema: Value = serde_json::from_str(&result_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for detections in [
        empty_result(),
        full_result(),
        Detections {
            instances: instances(),
            ..empty_result()
        },
        Detections {
            classes: full_result().classes,
            ..empty_result()
        },
        Detections {
            annotated: full_result().annotated,
            ..empty_result()
        },
        Detections {
            width: 65_535,
            height: 1,
            ..empty_result()
        },
    ] {
        let json = json_of(&detections);
        let errors: Vec<_> = validator
            .iter_errors(&json)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{json:#}\n{errors:#?}");
    }
}

#[test]
fn broken_results_are_invalid_by_the_schema_and_refused_by_the_reader() {
    let schema: Value = serde_json::from_str(&result_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = json_of(&full_result());
    assert!(validator.is_valid(&good));
    for (pointer, broken) in [
        ("/schema_version", json!(2)),
        ("/id", json!(17)),
        ("/id", json!("17")),
        ("/source", json!("")),
        ("/source", json!("a/b")),
        ("/captured_at", json!("yesterday")),
        ("/width", json!(0)),
        ("/height", json!(65_536)),
        ("/model", json!({ "name": "parts" })),
        ("/instances", json!({})),
        ("/instances/0/score", json!(1.5)),
        ("/instances/0/score", json!(null)),
        ("/instances/0/bbox", json!([1, 2, 3])),
        ("/instances/0/area", json!(-1)),
        ("/instances/0/segmentation", json!({ "size": [480, 640] })),
        ("/instances/0/segmentation/counts", json!("no counts")),
        ("/instances/0/color/rgb", json!([256, 0, 0])),
        ("/classes/0/score", json!(-0.1)),
        ("/timings_ms/total", json!(-1)),
        ("/annotated/offset", json!("42")),
    ] {
        let mut json = good.clone();
        *json.pointer_mut(pointer).unwrap() = broken.clone();
        assert!(
            !validator.is_valid(&json),
            "schema accepts {pointer} = {broken}"
        );
        assert!(
            decode_result(record_of(&json)).is_err(),
            "reader accepts {pointer} = {broken}"
        );
    }
}

#[test]
fn what_the_schema_requires_is_always_written() {
    let schema: Value = serde_json::from_str(&result_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let written = json_of(&empty_result());
    for name in written.as_object().unwrap().keys() {
        let mut json = written.clone();
        json.as_object_mut().unwrap().remove(name);
        assert!(!validator.is_valid(&json), "schema does not require {name}");
    }
}

#[test]
fn newer_fields_and_missing_lists_are_tolerated() {
    let mut json = json_of(&full_result());
    json["track"] = json!({ "id": 7 });
    json["instances"][0]["occlusion"] = json!(0.5);
    assert_eq!(decode_result(record_of(&json)).unwrap().0, full_result());

    let mut json = json_of(&empty_result());
    for name in ["instances", "classes", "timings_ms"] {
        json.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(decode_result(record_of(&json)).unwrap().0, empty_result());
}

#[test]
fn a_result_bears_the_headers_of_its_frame() {
    let carried = Carried {
        trace: TraceContext::new(TRACEPARENT, Some("vendor=1".to_owned())),
        extra_headers: vec![header("line", "A")],
    };
    let record = encode_result(&full_result(), &carried).unwrap();
    assert_eq!(record.key.as_deref(), Some(&b"cam-1"[..]));
    assert_eq!(
        record.headers,
        [
            header("ce_specversion", "1.0"),
            header("ce_id", "0195515c-9b3c-7000-8000-0123456789ab"),
            header("ce_source", "cam-1"),
            header("ce_type", "kadr.result.v1"),
            header("ce_time", "2026-03-01T12:00:00.500000Z"),
            header("content-type", "application/json"),
            header("traceparent", TRACEPARENT),
            header("tracestate", "vendor=1"),
            header("line", "A"),
        ]
    );
    assert_eq!(decode_result(record).unwrap(), (full_result(), carried));
}

#[test]
fn a_result_that_the_schema_forbids_is_not_written() {
    let with_instance = |change: fn(&mut Instance)| {
        let mut detections = full_result();
        change(&mut detections.instances[0]);
        detections
    };
    let with_timings = |timings_ms| Detections {
        timings_ms,
        ..full_result()
    };
    for (detections, message) in [
        (
            with_instance(|instance| instance.score = f32::NAN),
            "instances[0].score is NaN; it must be 0 to 1",
        ),
        (
            with_instance(|instance| instance.bbox.x = f32::INFINITY),
            "instances[0].bbox x is inf; it must be finite",
        ),
        (
            with_instance(|instance| instance.bbox.h = -1.0),
            "instances[0].bbox h is -1; it must be finite, 0 or more",
        ),
        (
            with_instance(|instance| instance.segmentation = Some(Mask::empty(480, 640))),
            "instances[0].segmentation has size [640, 480], but the frame is [480, 640] (height, width)",
        ),
        (
            with_timings(Timings {
                infer: f32::NAN,
                ..Timings::default()
            }),
            "timings_ms.infer is NaN; it must be finite, 0 or more",
        ),
        (
            Detections {
                width: 0,
                ..empty_result()
            },
            "frame size 0x480 is out of range: sides are 1 to 65535",
        ),
        (
            Detections {
                classes: vec![Classification {
                    label: "x".to_owned(),
                    score: 1.1,
                }],
                ..empty_result()
            },
            "classes[0].score is 1.1; it must be 0 to 1",
        ),
    ] {
        let error: DetectionsError = detections.check().unwrap_err();
        assert_eq!(error.to_string(), message);
        let error = encode_result(&detections, &Carried::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the result is not usable: {message}")
        );
    }
}

#[test]
fn a_result_under_the_headers_of_another_frame_is_refused() {
    let refusal = |change: &dyn Fn(&mut Record)| {
        let mut record = encode_result(&full_result(), &Carried::default()).unwrap();
        change(&mut record);
        decode_result(record).unwrap_err().to_string()
    };
    let set = |name: &'static str, value: &'static str| {
        refusal(&move |record| record.headers.push(header(name, value)))
    };
    assert_eq!(
        set("ce_id", "0195515c-0000-7000-8000-0123456789ab"),
        "by its key and headers the id is 0195515c-0000-7000-8000-0123456789ab, \
         but the result says 0195515c-9b3c-7000-8000-0123456789ab"
    );
    assert_eq!(
        set("ce_time", "2026-03-01T12:00:01Z"),
        "by its key and headers the capture time is 2026-03-01T12:00:01Z, \
         but the result says 2026-03-01T12:00:00.5Z"
    );
    assert_eq!(
        refusal(&|record| record.key = Some(Bytes::from_static(b"cam-2"))),
        "by its key and headers the source is cam-2, but the result says cam-1"
    );
    assert_eq!(
        set("ce_type", "kadr.frame.v1"),
        r#"header ce_type holds "kadr.frame.v1": expected kadr.result.v1 on this topic"#
    );
    assert_eq!(
        refusal(&|record| record.value = Bytes::new()),
        "the record has no value; expected the result JSON"
    );
    let long_value = format!("{{\"schema_version\": \"{}\"}}", "x".repeat(100_000));
    assert!(refusal(&|record| record.value = long_value.clone().into()).len() < 300);
    let message = refusal(&|record| record.value = Bytes::from_static(b"{}"));
    assert!(
        message.starts_with("the value is not a result: missing field"),
        "{message}"
    );
}
