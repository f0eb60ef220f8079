//! Sizes and coordinates: how large the network sees a frame, and the way back to frame pixels.

/// The size of an image in pixels; never zero in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// A box by its corners, in pixels; the far edge is outside of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corners {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
}

impl Corners {
    /// The box around a centre.
    pub fn around(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self {
            x0: x - width / 2.0,
            y0: y - height / 2.0,
            x1: x + width / 2.0,
            y1: y + height / 2.0,
        }
    }

    /// What it covers; nothing where it has no area.
    pub fn area(self) -> f32 {
        (self.x1 - self.x0).max(0.0) * (self.y1 - self.y0).max(0.0)
    }

    /// Intersection over union: the share of what two boxes cover that both do.
    pub fn overlap(self, other: Self) -> f32 {
        let shared = Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
        .area();
        if shared <= 0.0 {
            return 0.0;
        }
        shared / (self.area() + other.area() - shared)
    }

    /// Cuts the box to the frame.
    #[must_use]
    pub fn clipped_to(self, frame: Size) -> Self {
        let (width, height) = (frame.width as f32, frame.height as f32);
        Self {
            x0: self.x0.clamp(0.0, width),
            y0: self.y0.clamp(0.0, height),
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
        }
    }

    /// True when it has a width and a height; false for anything that is not a number.
    pub fn has_area(self) -> bool {
        self.x1 > self.x0 && self.y1 > self.y0
    }
}

/// Where the frame lies inside the network's input: resized to `content`, its corner at `left`,
/// `top`, the rest of `input` padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The whole input tensor.
    pub input: Size,
    /// The part of it that shows the frame.
    pub content: Size,
    /// Columns of padding left of the content.
    pub left: u32,
    /// Rows of padding above the content.
    pub top: u32,
}

impl Placement {
    /// The frame fills the input, whatever that does to its proportions.
    pub fn stretched(input: Size) -> Self {
        Self {
            input,
            content: input,
            left: 0,
            top: 0,
        }
    }

    /// The frame keeps its proportions, in the middle of a fixed input.
    pub fn letterboxed(frame: Size, input: Size) -> Self {
        let scale = (f64::from(input.width) / f64::from(frame.width))
            .min(f64::from(input.height) / f64::from(frame.height));
        let content = Size {
            width: scaled(frame.width, scale).min(input.width),
            height: scaled(frame.height, scale).min(input.height),
        };
        Self {
            input,
            content,
            left: (input.width - content.width) / 2,
            top: (input.height - content.height) / 2,
        }
    }

    /// The shorter edge becomes `shortest`, unless the longer would pass `longest`: the size
    /// Detectron2's `ResizeShortestEdge` gives.
    pub fn shortest_edge(frame: Size, shortest: u32, longest: u32) -> Self {
        let (width, height) = (f64::from(frame.width), f64::from(frame.height));
        let to_shortest = f64::from(shortest) / width.min(height);
        let to_longest = f64::from(longest) / width.max(height);
        let scale = to_shortest.min(to_longest);
        let input = Size {
            width: scaled(frame.width, scale),
            height: scaled(frame.height, scale),
        };
        Self::stretched(input)
    }

    /// The frame as it is, unless its longer edge passes `longest`.
    pub fn native(frame: Size, longest: u32) -> Self {
        let edge = frame.width.max(frame.height);
        if edge <= longest {
            return Self::stretched(frame);
        }
        let scale = f64::from(longest) / f64::from(edge);
        Self::stretched(Size {
            width: scaled(frame.width, scale),
            height: scaled(frame.height, scale),
        })
    }

    /// The way back, from the coordinates the network answers in. `network` is the size that the
    /// network says its coordinates refer to; without one they refer to the input.
    pub fn frame_from_network(&self, frame: Size, network: Option<Size>) -> FrameFromNetwork {
        let network = network.unwrap_or(self.input);
        let input_from_network = (
            f64::from(self.input.width) / f64::from(network.width),
            f64::from(self.input.height) / f64::from(network.height),
        );
        let frame_from_content = (
            f64::from(frame.width) / f64::from(self.content.width),
            f64::from(frame.height) / f64::from(self.content.height),
        );
        FrameFromNetwork {
            frame,
            network,
            placement: *self,
            scale_x: (input_from_network.0 * frame_from_content.0) as f32,
            scale_y: (input_from_network.1 * frame_from_content.1) as f32,
            offset_x: (-f64::from(self.left) * frame_from_content.0) as f32,
            offset_y: (-f64::from(self.top) * frame_from_content.1) as f32,
        }
    }
}

/// A frame, and where it lies in the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedFrame {
    /// The frame's own size.
    pub frame: Size,
    /// Where it lies.
    pub placement: Placement,
}

impl PlacedFrame {
    /// See [`Placement::frame_from_network`].
    pub fn frame_from_network(&self, network: Option<Size>) -> FrameFromNetwork {
        self.placement.frame_from_network(self.frame, network)
    }

    /// The way back from coordinates between zero and one, as DETR answers.
    pub fn frame_from_unit(&self) -> FrameFromNetwork {
        self.frame_from_network(Some(Size {
            width: 1,
            height: 1,
        }))
    }
}

/// Maps boxes from the network's coordinates to frame pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameFromNetwork {
    frame: Size,
    network: Size,
    placement: Placement,
    scale_x: f32,
    scale_y: f32,
    offset_x: f32,
    offset_y: f32,
}

impl FrameFromNetwork {
    /// The frame that boxes are mapped to.
    pub fn frame(&self) -> Size {
        self.frame
    }

    /// The size that the network's coordinates refer to.
    pub fn network(&self) -> Size {
        self.network
    }

    /// Where the middle of a frame column lies, as a share of the network's width. In double
    /// precision, as such middles often lie on the border between two cells.
    pub fn share_across(&self, column: u32) -> f64 {
        let Placement { content, left, .. } = self.placement;
        let in_content = (f64::from(column) + 0.5) * f64::from(content.width);
        let in_input = f64::from(left) + in_content / f64::from(self.frame.width);
        in_input / f64::from(self.placement.input.width)
    }

    /// Where the middle of a frame row lies, as a share of the network's height.
    pub fn share_down(&self, row: u32) -> f64 {
        let Placement { content, top, .. } = self.placement;
        let in_content = (f64::from(row) + 0.5) * f64::from(content.height);
        let in_input = f64::from(top) + in_content / f64::from(self.frame.height);
        in_input / f64::from(self.placement.input.height)
    }

    /// The box in frame pixels, cut to the frame.
    pub fn box_in_frame(&self, box_in_network: Corners) -> Corners {
        Corners {
            x0: box_in_network.x0 * self.scale_x + self.offset_x,
            y0: box_in_network.y0 * self.scale_y + self.offset_y,
            x1: box_in_network.x1 * self.scale_x + self.offset_x,
            y1: box_in_network.y1 * self.scale_y + self.offset_y,
        }
        .clipped_to(self.frame)
    }
}

/// Rounds half up, as Detectron2 does, and never to nothing.
fn scaled(length: u32, scale: f64) -> u32 {
    ((f64::from(length) * scale + 0.5).floor() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    #[test]
    fn shortest_edge_gives_detectron2_sizes() {
        // Worked by hand from ResizeShortestEdge: shorter edge to 320, longer at most 640.
        let cases = [
            (size(640, 480), size(427, 320)),
            (size(480, 640), size(320, 427)),
            (size(1920, 1080), size(569, 320)),
            (size(160, 120), size(427, 320)),
            (size(1, 1), size(320, 320)),
            (size(3000, 40), size(640, 9)),
            (size(40, 3000), size(9, 640)),
            (size(65535, 1), size(640, 1)),
        ];
        for (frame, input) in cases {
            let placement = Placement::shortest_edge(frame, 320, 640);
            assert_eq!(placement, Placement::stretched(input), "{frame:?}");
        }
    }

    #[test]
    fn shortest_edge_maps_boxes_back_and_clips_them() {
        let frame = size(1280, 960);
        let placement = Placement::shortest_edge(frame, 320, 640);
        assert_eq!(placement.input, size(427, 320));
        let back = placement.frame_from_network(frame, None);
        let in_network = Corners {
            x0: 42.7,
            y0: 32.0,
            x1: 427.0,
            y1: 330.0,
        };
        let in_frame = back.box_in_frame(in_network);
        let expected = Corners {
            x0: 128.0,
            y0: 96.0,
            x1: 1280.0,
            y1: 960.0,
        };
        for (got, want) in [
            (in_frame.x0, expected.x0),
            (in_frame.y0, expected.y0),
            (in_frame.x1, expected.x1),
            (in_frame.y1, expected.y1),
        ] {
            assert!((got - want).abs() < 1e-3, "{in_frame:?}");
        }
    }

    #[test]
    fn a_letterbox_is_undone_with_its_padding() {
        let frame = size(200, 100);
        let placement = Placement::letterboxed(frame, size(64, 64));
        assert_eq!(
            placement,
            Placement {
                input: size(64, 64),
                content: size(64, 32),
                left: 0,
                top: 16
            }
        );
        let back = placement.frame_from_network(frame, None);
        let whole = back.box_in_frame(Corners {
            x0: 0.0,
            y0: 16.0,
            x1: 64.0,
            y1: 48.0,
        });
        assert_eq!(
            whole,
            Corners {
                x0: 0.0,
                y0: 0.0,
                x1: 200.0,
                y1: 100.0
            }
        );
        let in_padding = back.box_in_frame(Corners {
            x0: 0.0,
            y0: 0.0,
            x1: 64.0,
            y1: 10.0,
        });
        assert!(!in_padding.has_area());
    }

    #[test]
    fn a_letterbox_of_any_shape_stays_inside_its_input() {
        for frame in [size(1, 1), size(3000, 40), size(7, 5000), size(641, 479)] {
            let placement = Placement::letterboxed(frame, size(96, 64));
            assert!(
                placement.left + placement.content.width <= 96,
                "{placement:?}"
            );
            assert!(
                placement.top + placement.content.height <= 64,
                "{placement:?}"
            );
        }
    }

    #[test]
    fn the_size_that_the_network_names_wins_over_the_input() {
        // A graph that resizes inside: input 100x50, boxes in its own 400x200.
        let frame = size(1000, 500);
        let placement = Placement::stretched(size(100, 50));
        let back = placement.frame_from_network(frame, Some(size(400, 200)));
        let in_frame = back.box_in_frame(Corners {
            x0: 40.0,
            y0: 20.0,
            x1: 400.0,
            y1: 200.0,
        });
        assert_eq!(
            in_frame,
            Corners {
                x0: 100.0,
                y0: 50.0,
                x1: 1000.0,
                y1: 500.0
            }
        );
    }

    #[test]
    fn a_box_that_is_not_a_number_has_no_area() {
        let frame = size(10, 10);
        let back = Placement::stretched(frame).frame_from_network(frame, None);
        let broken = Corners {
            x0: f32::NAN,
            y0: 0.0,
            x1: 5.0,
            y1: 5.0,
        };
        assert!(!back.box_in_frame(broken).has_area());
        let infinite = Corners {
            x0: f32::NEG_INFINITY,
            y0: 0.0,
            x1: f32::INFINITY,
            y1: 5.0,
        };
        assert_eq!(
            back.box_in_frame(infinite),
            Corners {
                x0: 0.0,
                y0: 0.0,
                x1: 10.0,
                y1: 5.0
            }
        );
    }
}
