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

/// How well the mask of a part has to fit that nothing hides, be it clear of others or on one.
const WANTED_IOU: f64 = 0.8;

/// Below this a part was not found at all.
const FOUND_IOU: f64 = 0.5;

/// Parts closer than this many pixels touch.
const MARGIN: usize = 2;

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

/// A part that nothing hides, and how well it was found.
struct Judged {
    part: String,
    /// Whether it lies on no other part either.
    is_clear: bool,
    iou: f64,
}

fn judge(truths: &[Truth], result: &Detections) -> Vec<Judged> {
    let parts: Vec<&Truth> = truths
        .iter()
        .filter(|truth| truth.class != Class::Defect)
        .collect();
    let open = parts.iter().filter(|part| part.visible >= 1.0);
    open.map(|part| Judged {
        part: format!("{} at {},{}", part.class.name(), part.bbox.x, part.bbox.y),
        is_clear: lies_clear(part, &parts),
        iou: best_iou(part, &result.instances),
    })
    .collect()
}

/// Whether the belt is to be seen all around a part: what lies over or under another one touches it.
fn lies_clear(part: &Truth, parts: &[&Truth]) -> bool {
    let (width, height) = (part.mask.width() as usize, part.mask.height() as usize);
    let mut others = vec![false; width * height];
    for other in parts.iter().filter(|other| other.id != part.id) {
        for (taken, set) in others.iter_mut().zip(other.mask.to_bitmap()) {
            *taken |= set != 0;
        }
    }
    let is_set = |&(_, &set): &(usize, &u8)| set != 0;
    let bitmap = part.mask.to_bitmap();
    bitmap.iter().enumerate().filter(is_set).all(|(at, _)| {
        let (x, y) = (at % width, at / width);
        let columns = x.saturating_sub(MARGIN)..=(x + MARGIN).min(width - 1);
        let mut rows = y.saturating_sub(MARGIN)..=(y + MARGIN).min(height - 1);
        rows.all(|y| columns.clone().all(|x| !others[y * width + x]))
    })
}

async fn first_answer(gateway: &Gateway, jpeg: &Bytes) -> Upload {
    let answer = gateway.post("/api/frames?wait=60s", jpeg).await;
    let upload = Upload(answer.expect(StatusCode::OK).json());
    assert_eq!(upload.status(), "done");
    upload
}

#[derive(Default)]
struct Tally {
    clear: usize,
    on_others: usize,
    misses: Vec<String>,
}

impl Tally {
    fn add(&mut self, scene: &str, judged: Judged) {
        let Judged {
            part,
            is_clear,
            iou,
        } = judged;
        let part = format!("{scene}: {part}");
        println!("{part}: overlap {iou:.3}, clear of others: {is_clear}");
        self.clear += usize::from(is_clear);
        self.on_others += usize::from(!is_clear);
        assert!(iou >= FOUND_IOU, "{part}: not found");
        if iou < WANTED_IOU {
            self.misses.push(part);
        }
    }

    fn assert_right(&self) {
        let (clear, on_others) = (self.clear, self.on_others);
        println!("{clear} parts lie clear, {on_others} on others");
        assert!(clear >= 15 && on_others > 0, "the belts are too empty");
        assert_eq!(self.misses, [""; 0]);
    }
}

async fn photos_come_back(on: On) {
    let spine = Spine::with_parts(on, "photos").await;
    let gateway = spine.gateway().await;
    let _detector = spine.detector(&[]).await;
    let schema = schema();
    let mut tally = Tally::default();
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
        for judged in judge(&truths, &result) {
            tally.add(&format!("belt {seed}, frame {frame_index}"), judged);
        }
        ids_agree(&spine, &gateway, &upload, &jpeg).await;
    }
    tally.assert_right();
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
