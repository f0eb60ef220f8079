//! The named colours that parts are painted in.

use serde::{Deserialize, Serialize};

/// The paint of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaintColor {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Grey,
    Black,
    White,
    Brass,
}

impl PaintColor {
    pub const ALL: [Self; 10] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Blue,
        Self::Purple,
        Self::Grey,
        Self::Black,
        Self::White,
        Self::Brass,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Grey => "grey",
            Self::Black => "black",
            Self::White => "white",
            Self::Brass => "brass",
        }
    }

    /// The paint under white light, before shading.
    pub const fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [196, 34, 34],
            Self::Orange => [232, 112, 20],
            Self::Yellow => [238, 196, 28],
            Self::Green => [36, 142, 64],
            Self::Blue => [34, 88, 190],
            Self::Purple => [122, 52, 160],
            Self::Grey => [156, 160, 166],
            Self::Black => [26, 26, 29],
            Self::White => [214, 214, 209],
            Self::Brass => [181, 138, 62],
        }
    }

    /// Bare metal shines more than paint and shows the strokes of the brush that finished it.
    pub(crate) const fn is_metal(self) -> bool {
        matches!(self, Self::Grey | Self::Brass)
    }
}
