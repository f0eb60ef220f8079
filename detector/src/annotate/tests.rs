//! The whole picture, pixel by pixel: what is drawn lies where it should, and nowhere else.

use super::*;

fn instance(bbox: BBox, segmentation: Option<Mask>) -> Instance {
    Instance {
        label: "gear".to_owned(),
        category_id: 4,
        score: 0.97,
        bbox,
        area: segmentation
            .as_ref()
            .map_or((bbox.w * bbox.h) as u32, Mask::area),
        segmentation,
        class_color: Some(Rgb([200, 100, 0])),
        color: None,
    }
}

fn square(x: f32, y: f32, side: f32) -> BBox {
    BBox {
        x,
        y,
        w: side,
        h: side,
    }
}

fn masked(frame: (u32, u32), bounds: BBox) -> Instance {
    let crop = pipeline::mask::Crop {
        x: bounds.x as u32,
        y: bounds.y as u32,
        width: bounds.w as u32,
        height: bounds.h as u32,
    };
    let pixels = vec![1; (crop.width * crop.height) as usize];
    let mask = Mask::from_crop(frame.0, frame.1, crop, &pixels);
    instance(bounds, Some(mask))
}

fn grey(width: u32, height: u32) -> RgbImage {
    RgbImage::new(width, height, vec![128; (width * height * 3) as usize]).unwrap()
}

fn pixel(picture: &RgbImage, x: u32, y: u32) -> [u8; 3] {
    let at = (y * picture.width() + x) as usize;
    picture.pixels().as_chunks::<3>().0[at]
}

fn changed(before: &RgbImage, after: &RgbImage) -> Mask {
    let (before_pixels, after_pixels) = (
        before.pixels().as_chunks::<3>().0,
        after.pixels().as_chunks::<3>().0,
    );
    let bitmap: Vec<u8> = before_pixels
        .iter()
        .zip(after_pixels)
        .map(|(before, after)| u8::from(before != after))
        .collect();
    Mask::from_bitmap(before.width(), before.height(), &bitmap)
}

#[test]
fn a_mask_is_mixed_half_and_half_under_a_darker_outline() {
    let seen = Prediction::Instances(vec![masked((320, 240), square(100.0, 60.0, 90.0))]);
    let mut picture = grey(320, 240);
    Annotator::default().draw(&mut picture, &seen, Drawing::default());
    assert_eq!(pixel(&picture, 150, 120), [164, 114, 64], "inside");
    assert_eq!(pixel(&picture, 189, 120), [103, 58, 13], "outline");
    assert_eq!(pixel(&picture, 190, 120), [128; 3], "outside");
    let in_label = pixel(&picture, 101, 60);
    assert!(in_label.iter().all(|&channel| channel < 60), "{in_label:?}");
}

#[test]
fn what_changes_is_exactly_the_footprint() {
    let frame = (320, 240);
    let seen = Prediction::Instances(vec![
        masked(frame, square(100.0, 60.0, 90.0)),
        masked(frame, square(130.0, 90.0, 12.0)),
        masked(frame, square(300.0, 220.0, 20.0)),
        instance(square(10.0, 180.0, 50.0), None),
    ]);
    let before = grey(frame.0, frame.1);
    let mut after = before.clone();
    let mut annotator = Annotator::default();
    annotator.draw(&mut after, &seen, Drawing::default());
    let footprint = annotator.footprint([frame.1, frame.0], &seen, Drawing::default());
    // Faint edges of letters may round to no change at all, so the footprint is the larger one.
    let drawn = changed(&before, &after);
    let outside = drawn.area() - drawn.intersection_area(&footprint).unwrap();
    assert_eq!(outside, 0);
    let unchanged = footprint.area() - drawn.area();
    assert!(unchanged * 100 < footprint.area(), "{unchanged} pixels");
    assert!(footprint.area() < frame.0 * frame.1 / 3);
}

#[test]
fn small_instances_lie_on_top_of_large_ones() {
    let frame = (320, 240);
    let mut small = masked(frame, square(180.0, 140.0, 20.0));
    small.class_color = Some(Rgb([0, 0, 255]));
    let large = masked(frame, square(100.0, 60.0, 150.0));
    for order in [[&small, &large], [&large, &small]] {
        let seen = Prediction::Instances(order.into_iter().cloned().collect());
        let mut picture = grey(frame.0, frame.1);
        Annotator::default().draw(&mut picture, &seen, Drawing::default());
        assert_eq!(pixel(&picture, 190, 150), [82, 57, 160]);
    }
}

#[test]
fn an_instance_without_a_mask_gets_a_thin_box() {
    let seen = Prediction::Instances(vec![instance(square(100.0, 60.0, 90.0), None)]);
    let mut picture = grey(320, 240);
    Annotator::default().draw(&mut picture, &seen, Drawing::default());
    assert_eq!(pixel(&picture, 150, 120), [128; 3], "inside");
    for (x, y) in [(189, 120), (100, 120), (150, 149), (189, 149)] {
        assert_eq!(pixel(&picture, x, y), [103, 58, 13], "{x},{y}");
    }
    assert_eq!(pixel(&picture, 190, 120), [128; 3], "outside");
}

#[test]
fn a_classifier_says_its_best_classes_in_the_corner() {
    let class = |label: &str, score| Classification {
        label: label.to_owned(),
        score,
    };
    let classes = ["bolt", "nut", "gear", "spring"].map(|label| class(label, 0.25));
    let seen = Prediction::Classes(classes.to_vec());
    let three = Prediction::Classes(classes[..3].to_vec());
    let mut annotator = Annotator::default();
    let caption = annotator.footprint([240, 320], &seen, Drawing::default());
    assert_eq!(
        caption,
        annotator.footprint([240, 320], &three, Drawing::default())
    );
    let bounds = caption.bbox();
    assert_eq!((bounds.x, bounds.y), (0.0, 0.0));
    assert!(bounds.h <= 60.0 && bounds.w <= 110.0, "{bounds:?}");
}

#[test]
fn nothing_seen_changes_nothing() {
    for seen in [Prediction::Instances(vec![]), Prediction::Classes(vec![])] {
        let mut picture = grey(40, 30);
        Annotator::default().draw(&mut picture, &seen, Drawing::default());
        assert_eq!(picture, grey(40, 30));
    }
}

#[test]
fn letters_and_lines_grow_with_the_picture() {
    let small = Measures::of(&Footprint::new(640, 480));
    let large = Measures::of(&Footprint::new(1920, 1080));
    assert_eq!((small.text_height, small.line_width), (14, 2));
    assert_eq!((large.text_height, large.line_width), (36, 5));
    let tiny = Measures::of(&Footprint::new(20, 16));
    assert_eq!(tiny.text_height, 4);
}

#[test]
fn a_picture_of_any_size_can_be_drawn_on() {
    for (width, height) in [(1, 1), (2, 9), (30, 3), (64, 48)] {
        let bounds = BBox {
            x: 0.0,
            y: 0.0,
            w: width as f32,
            h: height as f32,
        };
        let seen = Prediction::Instances(vec![
            masked((width, height), bounds),
            instance(bounds, None),
        ]);
        let mut picture = grey(width, height);
        Annotator::default().draw(&mut picture, &seen, Drawing::default());
        assert_ne!(picture, grey(width, height));
    }
}

fn drawing(wishes: &str) -> Drawing {
    Drawing::default().with(&wishes.parse().unwrap())
}

fn footprint(seen: &Prediction, wishes: &str) -> Mask {
    Annotator::default().footprint([240, 320], seen, drawing(wishes))
}

#[test]
fn what_is_not_wanted_is_not_drawn() {
    let bounds = square(100.0, 60.0, 90.0);
    let seen = Prediction::Instances(vec![masked((320, 240), bounds)]);
    assert!(footprint(&seen, "no-masks,no-labels,no-scores").is_empty());
    let mask = footprint(&seen, "no-labels,no-scores");
    assert_eq!((mask.bbox(), mask.area()), (bounds, 90 * 90));
    let outline = footprint(&seen, "no-masks,boxes,no-labels,no-scores");
    assert_eq!(outline.bbox(), bounds);
    assert!(outline.area() < 90 * 90 / 5, "the box alone");
    let both = footprint(&seen, "no-masks").bbox();
    let (name, score) = (
        footprint(&seen, "no-masks,no-scores"),
        footprint(&seen, "no-masks,no-labels"),
    );
    assert!(name.bbox().w < both.w && score.bbox().w < both.w);
}

#[test]
fn opacity_is_a_wish() {
    let seen = Prediction::Instances(vec![masked((320, 240), square(100.0, 60.0, 90.0))]);
    for (wishes, inside) in [("opacity:0", [128; 3]), ("opacity:100", [200, 100, 0])] {
        let mut picture = grey(320, 240);
        Annotator::default().draw(&mut picture, &seen, drawing(wishes));
        assert_eq!(pixel(&picture, 150, 120), inside, "{wishes}");
    }
}

#[test]
fn instances_of_a_class_can_have_colours_of_their_own() {
    let frame = (320, 240);
    let twins = [square(20.0, 100.0, 60.0), square(200.0, 100.0, 60.0)];
    let seen = Prediction::Instances(twins.map(|bounds| masked(frame, bounds)).to_vec());
    let colors = ["color:class", "color:instance"].map(|wishes| {
        let mut picture = grey(frame.0, frame.1);
        Annotator::default().draw(&mut picture, &seen, drawing(wishes));
        [pixel(&picture, 50, 130), pixel(&picture, 230, 130)]
    });
    assert_eq!(colors[0][0], colors[0][1]);
    assert_ne!(colors[1][0], colors[1][1]);
}

#[test]
fn the_rest_turns_grey_around_masks_and_boxes() {
    let frame = (320, 240);
    let seen = Prediction::Instances(vec![
        masked(frame, square(100.0, 60.0, 90.0)),
        instance(square(-10.0, 180.0, 50.0), None),
    ]);
    let red = [200, 40, 40].repeat((frame.0 * frame.1) as usize);
    let mut picture = RgbImage::new(frame.0, frame.1, red).unwrap();
    let wishes = "rest:grey,opacity:0,no-labels,no-scores";
    Annotator::default().draw(&mut picture, &seen, drawing(wishes));
    // (77 × 200 + 150 × 40 + 29 × 40 + 128) / 256
    assert_eq!(pixel(&picture, 60, 20), [88; 3]);
    assert_eq!(pixel(&picture, 150, 120), [200, 40, 40], "in the mask");
    assert_eq!(pixel(&picture, 20, 200), [200, 40, 40], "in the box");
    let grey = footprint(&seen, wishes);
    let kept = 320 * 240 - grey.area();
    assert!(kept > 40 * 50, "{kept} pixels are left alone");
}
