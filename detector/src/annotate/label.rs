//! Labels: where they stand, so that they are readable and inside the picture, and what is on them.

use pipeline::detections::BBox;
use pipeline::draw::Drawing;

use super::surface::{Ink, Rectangle, Surface, fill};
use super::text::{Line, Typesetter};

/// The box under a label.
const BOX: Ink = Ink {
    rgb: [0, 0, 0],
    opacity: 184,
};

/// Longer names are cut, lest one label hides the picture.
const MAX_LETTERS: usize = 40;

/// An instance lower than this many labels wears its label outside.
const SMALL_IN_LABELS: f32 = 2.5;

/// Text on a dark box.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    pub(super) text: String,
    /// The colour of the text.
    pub(super) rgb: [u8; 3],
    /// Height of the text, in pixels.
    pub(super) text_height: u32,
}

/// What a label may say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) score: Option<f32>,
}

impl<'a> Words<'a> {
    /// What of it is wanted.
    pub(super) fn of(name: &'a str, score: f32, drawing: Drawing) -> Self {
        Self {
            name: drawing.labels.then_some(name),
            score: drawing.scores.then_some(score),
        }
    }
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Label {
    /// `gear 97%`, or what of it is wanted, in a light tint of the colour; none where nothing is.
    pub(super) fn new(words: Words<'_>, color: [u8; 3], text_height: u32) -> Option<Self> {
        let name = words
            .name
            .map(|name| match name.char_indices().nth(MAX_LETTERS) {
                Some((end, _)) => format!("{}…", &name[..end]),
                None => name.to_owned(),
            });
        let score = words.score.map(|score| format!("{:.0}%", score * 100.0));
        let text = match (name, score) {
            (Some(name), Some(score)) => format!("{name} {score}"),
            (one, other) => one.or(other)?,
        };
        Some(Self {
            text,
            rgb: color.map(|channel| channel + ((255 - channel) / 5) * 3),
            text_height,
        })
    }

    /// The size of its box.
    pub(super) fn extent(&self, typesetter: &mut Typesetter) -> Extent {
        Extent {
            width: typesetter.width(&self.text, self.text_height) + 2 * self.side_padding(),
            height: self.text_height + 2 * self.padding(),
        }
    }

    /// Draws the box, which is as large as [`Label::extent`] says, and the text on it.
    pub(super) fn draw(
        &self,
        surface: &mut impl Surface,
        typesetter: &mut Typesetter,
        place: Rectangle,
    ) {
        fill(surface, place, BOX);
        let line = Line {
            text: &self.text,
            left: place.left + self.side_padding() as i32,
            top: place.top + self.padding() as i32,
            height: self.text_height,
        };
        let ink = Ink::new(self.rgb, 1.0);
        typesetter.write(surface, line, ink);
    }

    fn padding(&self) -> u32 {
        (self.text_height / 16).max(1)
    }

    fn side_padding(&self) -> u32 {
        (self.text_height / 5).max(2)
    }
}

/// The corner of an instance's label: on the corner of a large instance; below a small one, so that
/// it can still be seen, or above or beside it where there is no room.
pub(super) fn place(label: Extent, bounds: BBox, picture: Extent) -> Rectangle {
    let (left, top) = (bounds.x.floor() as i32, bounds.y.floor() as i32);
    let right = (bounds.x + bounds.w).ceil() as i32;
    let bottom = (bounds.y + bounds.h).ceil() as i32;
    let (width, height) = (label.width as i32, label.height as i32);
    let is_small =
        bounds.h < SMALL_IN_LABELS * label.height as f32 || bounds.w < label.width as f32;
    let corner = if !is_small {
        (left, top)
    } else if bottom + height <= picture.height as i32 {
        (left, bottom)
    } else if top >= height {
        (left, top - height)
    } else if right + width <= picture.width as i32 {
        (right, top)
    } else {
        (left - width, top)
    };
    // A label that is larger than the picture begins inside it.
    Rectangle {
        left: corner.0.min(picture.width as i32 - width).max(0),
        top: corner.1.min(picture.height as i32 - height).max(0),
        width: label.width,
        height: label.height,
    }
}

/// Moves a label up or down by its height, or twice, where it would cover one that is there already;
/// where all is taken it stays.
pub(super) fn dodge(label: Rectangle, others: &[Rectangle], picture: Extent) -> Rectangle {
    let height = label.height as i32;
    let lowest = (picture.height as i32 - height).max(0);
    let shifted = [0, height, -height, 2 * height, -2 * height].map(|shift| Rectangle {
        top: (label.top + shift).clamp(0, lowest),
        ..label
    });
    let is_free = |label: &Rectangle| !others.iter().any(|other| overlap(label, other));
    shifted.into_iter().find(is_free).unwrap_or(label)
}

fn overlap(one: &Rectangle, other: &Rectangle) -> bool {
    let apart =
        |start: i32, length: u32, other: i32| start.saturating_add_unsigned(length) <= other;
    !(apart(one.left, one.width, other.left)
        || apart(other.left, other.width, one.left)
        || apart(one.top, one.height, other.top)
        || apart(other.top, other.height, one.top))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Extent = Extent {
        width: 200,
        height: 100,
    };
    const LABEL: Extent = Extent {
        width: 40,
        height: 10,
    };

    fn placed(x: f32, y: f32, w: f32, h: f32) -> (i32, i32) {
        corner(LABEL, BBox { x, y, w, h }, PICTURE)
    }

    fn corner(label: Extent, bounds: BBox, picture: Extent) -> (i32, i32) {
        let Rectangle { left, top, .. } = place(label, bounds, picture);
        (left, top)
    }

    #[test]
    fn a_large_instance_wears_its_label_on_its_corner() {
        assert_eq!(placed(20.6, 30.2, 60.0, 60.0), (20, 30));
    }

    #[test]
    fn a_small_instance_is_not_hidden_by_its_label() {
        assert_eq!(placed(20.0, 30.0, 12.0, 12.0), (20, 42), "below");
        assert_eq!(placed(20.0, 85.0, 12.0, 12.0), (20, 75), "above");
        let low = Extent {
            width: 200,
            height: 18,
        };
        let bounds = BBox {
            x: 20.0,
            y: 2.0,
            w: 12.0,
            h: 12.0,
        };
        assert_eq!(corner(LABEL, bounds, low), (32, 2), "beside");
        let at_the_right = BBox { x: 180.0, ..bounds };
        assert_eq!(corner(LABEL, at_the_right, low), (140, 2), "before");
    }

    #[test]
    fn labels_stay_inside_the_picture() {
        for (x, y) in [(190.0, 50.0), (-30.0, -30.0), (199.0, 99.0), (500.0, 500.0)] {
            for size in [1.0, 12.0, 80.0] {
                let (left, top) = placed(x, y, size, size);
                assert!((0..=160).contains(&left), "{left} for {x},{y},{size}");
                assert!((0..=90).contains(&top), "{top} for {x},{y},{size}");
            }
        }
        let huge = Extent {
            width: 900,
            height: 900,
        };
        assert_eq!(corner(huge, BBox::default(), PICTURE), (0, 0));
    }

    #[test]
    fn labels_make_way_for_those_that_are_there() {
        let at = |left, top| Rectangle {
            left,
            top,
            width: 40,
            height: 10,
        };
        let dodged = |others: &[Rectangle]| dodge(at(20, 80), others, PICTURE).top;
        assert_eq!(dodged(&[]), 80);
        assert_eq!(
            dodged(&[at(60, 80), at(20, 70), at(20, 90)]),
            80,
            "they touch"
        );
        assert_eq!(dodged(&[at(30, 75)]), 90, "below");
        assert_eq!(dodged(&[at(30, 80), at(20, 90)]), 70, "above");
        let column = [at(20, 60), at(20, 70), at(20, 80), at(20, 90)];
        assert_eq!(dodged(&column), 80, "all is taken");
    }

    fn words(name: &str, score: f32) -> Words<'_> {
        Words::of(name, score, Drawing::default())
    }

    #[test]
    fn the_text_names_class_and_score() {
        let label = Label::new(words("gear", 0.967), [245, 130, 48], 14).unwrap();
        assert_eq!(label.text, "gear 97%");
        assert_eq!(label.rgb, [251, 205, 171]);
        let long = Label::new(words(&"ß".repeat(100), 1.0), [0; 3], 14).unwrap();
        assert_eq!(long.text, format!("{}… 100%", "ß".repeat(40)));
    }
}
