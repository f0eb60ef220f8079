//! The annotated picture is the picture, with something drawn where things were found and nowhere else.

use bytes::Bytes;
use detector::annotate::Annotator;
use detector::jpeg::DEFAULT_QUALITY;
use detector::model::Prediction;
use hyper::StatusCode;
use pipeline::detections::{Detections, Instance};
use pipeline::draw::Drawing;
use tests::spine::pictures::{Picture, belt_photo};
use tests::spine::{On, Spine};

/// Colours are kept at half the resolution, so a drawn pixel changes its block of 16x16 pixels, and
/// smoothing carries that one colour pixel further.
const BLOCK: usize = 16;
const SMOOTHING: usize = 2;

/// What the same JPEG code may make of the same pixels.
const SAME: u8 = 2;

/// How far a label may reach beyond the box of its instance.
const LABEL_WIDTH: f32 = 180.0;
const LABEL_HEIGHT: f32 = 26.0;

/// One bit for each pixel.
struct Region {
    width: usize,
    height: usize,
    pixels: Vec<bool>,
}

impl Region {
    /// What drawing this result may change.
    fn drawn(result: &Detections) -> Self {
        let prediction = Prediction::Instances(result.instances.clone());
        let size = [result.height, result.width];
        let mask = Annotator::default().footprint(size, &prediction, Drawing::default());
        let pixels = mask.to_bitmap().iter().map(|&set| set != 0).collect();
        let (width, height) = (result.width as usize, result.height as usize);
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Every pixel whose JPEG block, or a neighbour of it, holds one of the region.
    fn blocks(&self) -> Self {
        let mut pixels = vec![false; self.pixels.len()];
        let columns = self.width.div_ceil(BLOCK);
        let mut is_touched = vec![false; columns * self.height.div_ceil(BLOCK)];
        for at in (0..self.pixels.len()).filter(|&at| self.pixels[at]) {
            is_touched[at / self.width / BLOCK * columns + at % self.width / BLOCK] = true;
        }
        for block in (0..is_touched.len()).filter(|&block| is_touched[block]) {
            let (left, top) = (block % columns * BLOCK, block / columns * BLOCK);
            let rows = top.saturating_sub(SMOOTHING)..(top + BLOCK + SMOOTHING).min(self.height);
            let row = left.saturating_sub(SMOOTHING)..(left + BLOCK + SMOOTHING).min(self.width);
            for y in rows {
                pixels[y * self.width + row.start..y * self.width + row.end].fill(true);
            }
        }
        Self { pixels, ..*self }
    }

    fn share(&self) -> f64 {
        let set = self.pixels.iter().filter(|&&set| set).count();
        set as f64 / self.pixels.len() as f64
    }
}

fn mean(levels: impl Iterator<Item = u8>) -> f64 {
    let (mut sum, mut count) = (0_u64, 0_u64);
    for level in levels {
        (sum, count) = (sum + u64::from(level), count + 1);
    }
    sum as f64 / count.max(1) as f64
}

/// Whether a pixel lies where an instance or its label may be, by the result alone.
fn is_near(instances: &[Instance], x: f32, y: f32) -> bool {
    instances.iter().any(|instance| {
        let bounds = instance.bbox;
        let right = bounds.x + bounds.w + LABEL_WIDTH;
        let bottom = bounds.y + bounds.h + LABEL_HEIGHT;
        (bounds.x - LABEL_WIDTH..right).contains(&x)
            && (bounds.y - LABEL_HEIGHT..bottom).contains(&y)
    })
}

fn assert_drawn_where_things_are(input: &Bytes, annotated: &Bytes, result: &Detections) {
    let before = Picture::decode(input);
    let after = Picture::decode(annotated);
    // The same picture with nothing drawn into it, as the detector writes it.
    let undrawn = Picture::decode(&before.encode(DEFAULT_QUALITY.into()));
    let change = undrawn.difference(&after);
    let drawn = Region::drawn(result);
    let touched = drawn.blocks();
    println!("drawn {:.3}, blocks {:.3}", drawn.share(), touched.share());
    assert!(touched.share() < 0.9, "nothing is left to compare");

    let outside = (0..change.len()).filter(|&at| !touched.pixels[at]);
    let worst = outside.map(|at| change[at]).max().unwrap();
    assert!(
        worst <= SAME,
        "a pixel far from everything changed by {worst}"
    );
    let between = (0..change.len()).filter(|&at| touched.pixels[at] && !drawn.pixels[at]);
    let ringing = mean(between.map(|at| change[at]));
    assert!(
        ringing < 8.0,
        "between what is drawn pixels changed by {ringing:.1}"
    );
    let inside = (0..change.len()).filter(|&at| drawn.pixels[at]);
    let ink = mean(inside.map(|at| change[at]));
    println!("ringing {ringing:.1}, ink {ink:.1}, outside at most {worst}");
    assert!(ink > 25.0, "what is drawn changed by {ink:.1} only");
    for (at, &level) in change.iter().enumerate() {
        let (x, y) = ((at % before.width) as f32, (at / before.width) as f32);
        assert!(
            level < 60 || is_near(&result.instances, x, y),
            "{level} at {x},{y}"
        );
    }
    for instance in &result.instances {
        let bitmap = instance.segmentation.as_ref().unwrap().to_bitmap();
        let pixels = (0..change.len()).filter(|&at| bitmap[at] != 0);
        let change = mean(pixels.map(|at| change[at]));
        let (label, place) = (&instance.label, instance.bbox);
        assert!(
            change > 12.0,
            "the mask of {label} at {place:?} changed by {change:.1} only"
        );
    }
}

#[tokio::test]
async fn the_picture_changes_where_things_were_found_and_nowhere_else() {
    let spine = Spine::with_parts(On::EmbeddedBroker, "annotated").await;
    let gateway = spine.gateway().await;
    let _detector = spine.detector(&[]).await;
    for (seed, frame_index) in [(7_300_031, 0), (7_300_032, 40), (7_300_033, 80)] {
        let (jpeg, _) = belt_photo(seed, frame_index);
        let upload = gateway.done(gateway.upload(&jpeg).await.id()).await;
        let result = upload.result();
        assert!(!result.instances.is_empty(), "belt {seed} is empty");
        let annotated = gateway
            .web
            .get(upload.link("annotated"))
            .await
            .expect(StatusCode::OK);
        assert_drawn_where_things_are(&jpeg, &annotated.body, &result);
    }
}

#[tokio::test]
async fn a_client_may_wait_for_the_picture_itself() {
    let spine = Spine::with_parts(On::EmbeddedBroker, "picture").await;
    let gateway = spine.gateway().await;
    let _detector = spine.detector(&[]).await;
    let (jpeg, _) = belt_photo(7_300_034, 3);
    let path = "/api/frames?wait=60s";
    let answer = gateway
        .web
        .post_jpeg(path, "image/jpeg", jpeg.clone())
        .await;
    let answer = answer.expect(StatusCode::OK);
    assert_eq!(answer.header("content-type"), "image/jpeg");
    spine.recorder.caught_up().await;
    let results = spine.recorder.results();
    assert_drawn_where_things_are(&jpeg, &answer.body, &results[0].value);
}
