//! A photo of a belt goes in by HTTP and comes back with what is really on the belt, drawn where it is.

use belt::{Class, Truth};
use bytes::Bytes;
use hyper::StatusCode;
use jsonschema::Validator;
use pipeline::detections::{Detections, Instance, Mask};
use serde_json::Value;
use tests::kafka::root;
use tests::spine::invariants::{every_durable_frame_ended, every_result_has_its_picture};
use tests::spine::pictures::belt_photo;
use tests::spine::uploads::{Gateway, Upload};
use tests::spine::{On, Spine};

/// Seeds and frames, chosen by number: far from those of the training, and no others were tried.
const SCENES: [(u64, u64); 6] = [
    (7_300_001, 0),
    (7_300_002, 40),
    (7_300_003, 80),
    (7_300_004, 120),
    (7_300_005, 160),
    (7_300_006, 200),
];

/// How well a mask has to fit.
const WANTED_IOU: f64 = 0.8;

/// What the model does not manage on these scenes: it draws this bolt, which lies across a gear, with
/// a piece of the gear (they share 0.58). A list that is shorter or longer is news and fails the test.
const KNOWN_MISSES: [&str; 1] = ["belt 7300001, frame 0: bolt at 285,74"];

/// Below this a part was not found at all.
const FOUND_IOU: f64 = 0.5;

fn schema() -> Validator {
    let path = root().join("pipeline/schema/result.v1.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn assert_valid(schema: &Validator, result: &Value) {
    let errors: Vec<String> = schema
        .iter_errors(result)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:?} in {result}");
}

fn mask_of(instance: &Instance) -> &Mask {
    instance
        .segmentation
        .as_ref()
        .expect("the model gives masks")
}

/// The best overlap that an instance of the right class has with a part.
fn best_iou(truth: &Truth, found: &[Instance]) -> f64 {
    let of_class = found
        .iter()
        .filter(|found| found.label == truth.class.name());
    of_class
        .map(|found| mask_of(found).iou(&truth.mask).unwrap())
        .fold(0.0, f64::max)
}

/// The parts that lie open in the picture, each with how well it was found.
fn judge(truths: &[Truth], result: &Detections) -> Vec<(String, f64)> {
    let open = truths
        .iter()
        .filter(|truth| truth.class != Class::Defect && truth.visible >= 1.0);
    open.map(|truth| {
        let name = format!(
            "{} at {},{}",
            truth.class.name(),
            truth.bbox.x,
            truth.bbox.y
        );
        (name, best_iou(truth, &result.instances))
    })
    .collect()
}

async fn first_answer(gateway: &Gateway, jpeg: &Bytes) -> Upload {
    let answer = gateway.post("/api/frames?wait=60s", jpeg).await;
    let upload = Upload(answer.expect(StatusCode::OK).json());
    assert_eq!(upload.status(), "done");
    upload
}

async fn photos_come_back(on: On) {
    let spine = Spine::with_parts(on, "photos").await;
    let gateway = spine.gateway().await;
    let _detector = spine.detector(&[]).await;
    let schema = schema();
    let (mut open, mut misses) = (0, Vec::new());
    for (seed, frame_index) in SCENES {
        let (jpeg, truths) = belt_photo(seed, frame_index);
        let upload = first_answer(&gateway, &jpeg).await;
        assert_valid(&schema, &upload.0["result"]);
        let result = upload.result();
        assert_eq!((result.width, result.height), (640, 480));
        assert_eq!(
            (result.model.name.as_str(), result.id),
            ("parts", upload.id())
        );
        for (part, iou) in judge(&truths, &result) {
            open += 1;
            let part = format!("belt {seed}, frame {frame_index}: {part}");
            println!("{part}: IoU {iou:.3}");
            assert!(iou >= FOUND_IOU, "{part}: not found");
            if iou < WANTED_IOU {
                misses.push(part);
            }
        }
        ids_agree(&spine, &gateway, &upload, &jpeg).await;
    }
    assert!(
        open >= 20,
        "only {open} parts lie open: the belts are too empty"
    );
    assert_eq!(misses, KNOWN_MISSES, "of {open} parts");
    let outcomes = every_durable_frame_ended(&spine.recorder);
    assert_eq!(
        (outcomes.results.len(), outcomes.dead.len()),
        (SCENES.len(), 0)
    );
    assert!(outcomes.repeated.is_empty());
    every_result_has_its_picture(&spine.recorder);
    let records = spine.recorder.raw(&spine.topics().results());
    for seen in records {
        assert_valid(
            &schema,
            &serde_json::from_slice(&seen.record.value).unwrap(),
        );
    }
}

/// What GET says is what the topics hold, under one id.
async fn ids_agree(spine: &Spine, gateway: &Gateway, posted: &Upload, jpeg: &Bytes) {
    let id = posted.id();
    let looked_up = gateway.done(id).await;
    assert_eq!(looked_up.result(), posted.result());
    assert_eq!(looked_up.link("self"), format!("/api/frames/{id}"));

    spine.recorder.caught_up().await;
    let results = spine.recorder.results();
    let result = results.iter().find(|result| result.value.id == id).unwrap();
    assert_eq!(result.value, posted.result());
    assert_eq!(result.value.source.as_str(), format!("upload-{id}"));

    let pictures = spine.recorder.annotated();
    let picture = pictures
        .iter()
        .find(|picture| picture.value.id == id)
        .unwrap();
    let annotated = gateway
        .web
        .get(looked_up.link("annotated"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(annotated.header("content-type"), "image/jpeg");
    assert!(
        annotated.body == picture.value.jpeg,
        "the picture on the topic is the one served"
    );
    let original = gateway
        .web
        .get(looked_up.link("original"))
        .await
        .expect(StatusCode::OK);
    assert!(original.body == *jpeg, "a good JPEG passes as it is");
}

#[tokio::test]
async fn photos_of_belts_come_back_with_what_is_on_them() {
    photos_come_back(On::ApacheKafka).await;
}

#[tokio::test]
async fn photos_come_back_from_the_embedded_broker_too() {
    photos_come_back(On::EmbeddedBroker).await;
}

#[tokio::test]
async fn a_client_chooses_the_model() {
    let spine = Spine::with_parts(On::EmbeddedBroker, "models").await;
    let gateway = spine.gateway().await;
    let _detector = spine.detector(&[]).await;
    let (jpeg, _) = belt_photo(7_300_007, 0);
    let path = "/api/frames?wait=60s&model=part-kind";
    let answer = gateway
        .post(path, &jpeg)
        .await
        .expect(StatusCode::OK)
        .json();
    assert_valid(&schema(), &answer["result"]);
    let result = Upload(answer).result();
    assert_eq!(result.model.name, "part-kind");
    assert!(
        !result.classes.is_empty() && result.instances.is_empty(),
        "{result:?}"
    );

    let unknown = gateway.post("/api/frames?model=part", &jpeg).await;
    let error = unknown.expect(StatusCode::NOT_FOUND).json();
    let text = error["error"].to_string();
    assert!(
        text.contains("parts") && text.contains("part-kind"),
        "{text}"
    );
    spine.recorder.caught_up().await;
    assert_eq!(every_durable_frame_ended(&spine.recorder).results.len(), 1);
}
