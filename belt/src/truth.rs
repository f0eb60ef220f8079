//! What is really in a picture: the exact answer a detector is measured against.

use image::RgbImage;
use pipeline::detections::BBox;
use pipeline::mask::Mask;
use serde::{Deserialize, Serialize};

use crate::paint::PaintColor;

/// What an instance is, in the order of the model's classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Bolt,
    Nut,
    Washer,
    Gear,
    Bracket,
    Spring,
    Defect,
}

impl Class {
    pub const ALL: [Self; 7] = [
        Self::Bolt,
        Self::Nut,
        Self::Washer,
        Self::Gear,
        Self::Bracket,
        Self::Spring,
        Self::Defect,
    ];

    /// The classes that lie on the belt themselves.
    pub const PARTS: [Self; 6] = [
        Self::Bolt,
        Self::Nut,
        Self::Washer,
        Self::Gear,
        Self::Bracket,
        Self::Spring,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Bolt => "bolt",
            Self::Nut => "nut",
            Self::Washer => "washer",
            Self::Gear => "gear",
            Self::Bracket => "bracket",
            Self::Spring => "spring",
            Self::Defect => "defect",
        }
    }

    /// The model's class number, from 0.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The COCO category, from 1.
    pub const fn category_id(self) -> u32 {
        self as u32 + 1
    }
}

/// What kind of damage a defect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefectKind {
    Scratch,
    Crack,
    /// Gears only; its mask is the sector where the tooth should be, so unlike the other kinds it
    /// reaches over its part's outline.
    MissingTooth,
    Rust,
}

impl DefectKind {
    pub const ALL: [Self; 4] = [Self::Scratch, Self::Crack, Self::MissingTooth, Self::Rust];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Scratch => "scratch",
            Self::Crack => "crack",
            Self::MissingTooth => "missing tooth",
            Self::Rust => "rust",
        }
    }
}

/// One thing in the picture.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Stays with the object from the frame it enters to the frame it leaves.
    pub id: u64,
    pub class: Class,
    /// The paint of the part; for a defect, of the part it is on.
    pub color: PaintColor,
    /// The box around the mask, in frame pixels.
    pub bbox: BBox,
    /// The pixels that can be seen: not those under other parts or outside the frame.
    pub mask: Mask,
    /// Pixels of the mask.
    pub area: u64,
    /// The share of the object's pixels that can be seen; 1.0 is unoccluded and inside the frame.
    pub visible: f32,
    /// The part that a defect belongs to.
    pub part_of: Option<u64>,
    /// What a defect is; none for parts.
    pub defect_kind: Option<DefectKind>,
}

/// One picture and everything in it.
#[derive(Debug, Clone)]
pub struct Scene {
    pub image: RgbImage,
    /// Parts from the lowest to the topmost, each followed by its defect.
    pub instances: Vec<Truth>,
}
