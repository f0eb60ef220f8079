//! How a frame becomes the network's input, as `[input]` of `model.toml` says it.

use serde::Deserialize;

/// How a frame becomes the network's input.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// The input's name in the graph.
    pub name: String,
    /// The tensor's dimensions.
    pub layout: Layout,
    /// Which colours, in which order.
    pub channels: Channels,
    /// The range of a pixel's value before `mean` and `std`.
    pub range: Range,
    /// Subtracted from each channel after `range`.
    pub mean: [f32; 3],
    /// Each channel is divided by it after `mean`.
    pub std: [f32; 3],
    /// The size that the network sees.
    pub resize: Resize,
    /// Whether shrinking averages over all pixels, as PIL does, or takes the nearest four, as
    /// OpenCV does.
    pub antialias: bool,
}

/// The input tensor's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `[channels, height, width]`: one frame, no batch dimension.
    Chw,
    /// `[batch, channels, height, width]`.
    Nchw,
    /// `[height, width, channels]`: one frame, no batch dimension.
    Hwc,
    /// `[batch, height, width, channels]`, as TensorFlow has it.
    Nhwc,
}

impl Layout {
    /// The word that `model.toml` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chw => "chw",
            Self::Nchw => "nchw",
            Self::Hwc => "hwc",
            Self::Nhwc => "nhwc",
        }
    }

    /// Whether several frames can go in together.
    pub fn has_batch(self) -> bool {
        matches!(self, Self::Nchw | Self::Nhwc)
    }

    /// Whether a pixel's channels lie side by side, not in planes.
    pub fn is_interleaved(self) -> bool {
        matches!(self, Self::Hwc | Self::Nhwc)
    }
}

/// Which colours, in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red, as Detectron2 has it.
    Bgr,
    /// One channel: luma by the weights of ITU-R BT.601.
    Gray,
}

impl Channels {
    /// How many planes the tensor has.
    pub fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Gray => 1,
        }
    }

    /// The word that `model.toml` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
            Self::Gray => "gray",
        }
    }
}

/// The range of a pixel's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Range {
    /// As decoded.
    #[serde(rename = "0-255")]
    Bytes,
    /// Divided by 255.
    #[serde(rename = "0-1")]
    Unit,
}

impl Range {
    /// The word that `model.toml` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "0-255",
            Self::Unit => "0-1",
        }
    }
}

/// The size that the network sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// The frame as it is, for graphs that resize inside; only a frame whose longer edge passes
    /// `longest` is shrunk to it.
    Native {
        /// Limit of the longer edge.
        longest: u32,
    },
    /// The shorter edge becomes `shortest` unless the longer would pass `longest`.
    ShortestEdge {
        /// Wanted length of the shorter edge.
        shortest: u32,
        /// Limit of the longer edge.
        longest: u32,
    },
    /// Always this size, whatever that does to the proportions.
    Fixed {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Always this size, proportions kept, the rest filled with `pad`.
    Letterbox {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Value of the filling in every channel, 0 to 255.
        pad: u8,
    },
}

impl Resize {
    /// Width and height, where every frame gets the same.
    pub fn fixed_size(self) -> Option<(u32, u32)> {
        match self {
            Self::Fixed { width, height } | Self::Letterbox { width, height, .. } => {
                Some((width, height))
            }
            Self::Native { .. } | Self::ShortestEdge { .. } => None,
        }
    }
}
