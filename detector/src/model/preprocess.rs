//! From a decoded frame to the numbers that a network is fed: resize, channel order, range.

use super::geometry::{Placement, Size};
use super::manifest::{Channels, InputSpec, Range, Resize};
use super::resample::Resampler;
use super::tensor::{Lane, TensorBuffer};
use crate::image::RgbImage;

/// Weights of red, green and blue in a luma value (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Makes network input of frames, one after another, by the rules of one manifest.
#[derive(Debug)]
pub struct Preprocessor {
    resize: Resize,
    channels: Channels,
    is_interleaved: bool,
    /// Tensor value = pixel byte × gain + bias, per channel of the tensor.
    gain_and_bias: [(f32, f32); 3],
    resampler: Resampler,
    resized: Vec<u8>,
}

impl Preprocessor {
    /// A preprocessor for networks that want `spec`.
    pub fn new(spec: &InputSpec) -> Self {
        let per_byte = match spec.range {
            Range::Bytes => 1.0,
            Range::Unit => 1.0 / 255.0,
        };
        let gain_and_bias = std::array::from_fn(|channel| {
            let (mean, std) = (spec.mean[channel], spec.std[channel]);
            (per_byte / std, -mean / std)
        });
        Self {
            resize: spec.resize,
            channels: spec.channels,
            is_interleaved: spec.layout.is_interleaved(),
            gain_and_bias,
            // Averaging is how Pillow shrinks and most models are trained; plain interpolation, as
            // OpenCV does it, aliases thin parts away.
            resampler: Resampler::new(spec.antialias),
            resized: Vec::new(),
        }
    }

    /// Appends the frame to `tensor`, in planes or interleaved, and says where it lies in there.
    pub fn append(&mut self, frame: &RgbImage, tensor: &mut TensorBuffer) -> Placement {
        let size = Size {
            width: frame.width(),
            height: frame.height(),
        };
        let placement = self.place(size);
        if placement.content == size {
            self.append_values(frame.pixels(), placement, tensor);
            return placement;
        }
        let mut resized = std::mem::take(&mut self.resized);
        let (from, to) = (size, placement.content);
        self.resampler
            .resize((frame.pixels(), from), to, &mut resized);
        self.append_values(&resized, placement, tensor);
        self.resized = resized;
        placement
    }

    /// Where a frame of this size will lie in the network's input.
    pub fn place(&self, frame: Size) -> Placement {
        match self.resize {
            Resize::Native { longest } => Placement::native(frame, longest),
            Resize::ShortestEdge { shortest, longest } => {
                Placement::shortest_edge(frame, shortest, longest)
            }
            Resize::Fixed { width, height } => Placement::stretched(Size { width, height }),
            Resize::Letterbox { width, height, .. } => {
                Placement::letterboxed(frame, Size { width, height })
            }
        }
    }

    /// Appends the values of all channels, padded around the content where the placement says so.
    fn append_values(&self, content_rgb: &[u8], placement: Placement, tensor: &mut TensorBuffer) {
        let pad = match self.resize {
            Resize::Letterbox { pad, .. } => f32::from(pad),
            Resize::Native { .. } | Resize::ShortestEdge { .. } | Resize::Fixed { .. } => 0.0,
        };
        let channels = self.channels.count();
        let pixels = placement.input.width as usize * placement.input.height as usize;
        let room = tensor.room(channels * pixels);
        for channel in 0..channels {
            let (gain, bias) = self.gain_and_bias[channel];
            let (first, step) = if self.is_interleaved {
                (channel, channels)
            } else {
                (channel * pixels, 1)
            };
            let lane = Lane {
                placement,
                gain,
                bias,
                pad,
                step,
            };
            let values = &mut room[first..][..=(pixels - 1) * step];
            match self.channels {
                Channels::Rgb => lane.fill(content_rgb, values, |rgb| f32::from(rgb[channel])),
                Channels::Bgr => lane.fill(content_rgb, values, |rgb| f32::from(rgb[2 - channel])),
                Channels::Gray => lane.fill(content_rgb, values, luma),
            }
        }
    }
}

fn luma(rgb: [u8; 3]) -> f32 {
    rgb.into_iter()
        .zip(LUMA)
        .map(|(byte, weight)| f32::from(byte) * weight)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::Layout;

    fn spec(channels: Channels, range: Range, resize: Resize) -> InputSpec {
        InputSpec {
            name: "image".to_owned(),
            layout: Layout::Chw,
            channels,
            range,
            mean: [0.0; 3],
            std: [1.0; 3],
            resize,
            antialias: true,
        }
    }

    /// Two pixels beside each other: (10, 20, 30) and (40, 50, 60).
    fn two_pixels() -> RgbImage {
        RgbImage::new(2, 1, vec![10, 20, 30, 40, 50, 60]).unwrap()
    }

    fn tensor_of(spec: &InputSpec, frame: &RgbImage) -> (Vec<f32>, Placement) {
        let mut tensor = TensorBuffer::default();
        let placement = Preprocessor::new(spec).append(frame, &mut tensor);
        (tensor.values().to_vec(), placement)
    }

    #[test]
    fn channels_come_as_planes_in_the_wanted_order() {
        let fixed = Resize::Fixed {
            width: 2,
            height: 1,
        };
        let (rgb, _) = tensor_of(&spec(Channels::Rgb, Range::Bytes, fixed), &two_pixels());
        assert_eq!(rgb, [10.0, 40.0, 20.0, 50.0, 30.0, 60.0]);
        let (bgr, _) = tensor_of(&spec(Channels::Bgr, Range::Bytes, fixed), &two_pixels());
        assert_eq!(bgr, [30.0, 60.0, 20.0, 50.0, 10.0, 40.0]);
        let (gray, _) = tensor_of(&spec(Channels::Gray, Range::Bytes, fixed), &two_pixels());
        // 0.299 × 10 + 0.587 × 20 + 0.114 × 30 and the same with 30 more in every channel.
        assert_eq!(gray.len(), 2);
        assert!(
            (gray[0] - 18.15).abs() < 1e-4 && (gray[1] - 48.15).abs() < 1e-4,
            "{gray:?}"
        );
    }

    #[test]
    fn interleaved_channels_lie_side_by_side_with_their_padding() {
        let fixed = Resize::Fixed {
            width: 2,
            height: 1,
        };
        let mut interleaved = spec(Channels::Bgr, Range::Bytes, fixed);
        interleaved.layout = Layout::Nhwc;
        let (bgr, _) = tensor_of(&interleaved, &two_pixels());
        assert_eq!(bgr, [30.0, 20.0, 10.0, 60.0, 50.0, 40.0]);
        interleaved.resize = Resize::Letterbox {
            width: 2,
            height: 2,
            pad: 9,
        };
        let mut preprocessor = Preprocessor::new(&interleaved);
        let mut tensor = TensorBuffer::default();
        preprocessor.append(&two_pixels(), &mut tensor);
        preprocessor.append(&two_pixels(), &mut tensor);
        let one = [
            30.0, 20.0, 10.0, 60.0, 50.0, 40.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0,
        ];
        assert_eq!(tensor.values(), [&one[..], &one[..]].concat());
    }

    #[test]
    fn a_frame_may_stay_as_it_is() {
        let native = Resize::Native { longest: 2 };
        let (same, _) = tensor_of(&spec(Channels::Rgb, Range::Bytes, native), &two_pixels());
        assert_eq!(same, [10.0, 40.0, 20.0, 50.0, 30.0, 60.0]);
        let wide = RgbImage::new(8, 4, vec![50; 96]).unwrap();
        let (_, placement) = tensor_of(&spec(Channels::Rgb, Range::Bytes, native), &wide);
        assert_eq!((placement.input.width, placement.input.height), (2, 1));
    }

    #[test]
    fn mean_and_std_apply_after_the_range() {
        let fixed = Resize::Fixed {
            width: 2,
            height: 1,
        };
        let mut spec = spec(Channels::Rgb, Range::Unit, fixed);
        spec.mean = [0.5, 0.0, 0.0];
        spec.std = [0.25, 1.0, 0.5];
        let (tensor, _) = tensor_of(&spec, &two_pixels());
        let expected = [
            (10.0 / 255.0 - 0.5) / 0.25,
            (40.0 / 255.0 - 0.5) / 0.25,
            20.0 / 255.0,
            50.0 / 255.0,
            30.0 / 255.0 / 0.5,
            60.0 / 255.0 / 0.5,
        ];
        for (value, wanted) in tensor.iter().zip(expected) {
            assert!((value - wanted).abs() < 1e-6, "{tensor:?}");
        }
    }

    #[test]
    fn a_letterbox_is_filled_around_the_frame() {
        let letterbox = Resize::Letterbox {
            width: 2,
            height: 3,
            pad: 7,
        };
        let (tensor, placement) =
            tensor_of(&spec(Channels::Rgb, Range::Bytes, letterbox), &two_pixels());
        assert_eq!((placement.left, placement.top), (0, 1));
        assert_eq!(tensor[..6], [7.0, 7.0, 10.0, 40.0, 7.0, 7.0]);
        assert_eq!(tensor[12..], [7.0, 7.0, 30.0, 60.0, 7.0, 7.0]);
    }

    #[test]
    fn shrinking_averages_instead_of_skipping() {
        // Columns 0, 0, 200, 200 to two: the triangle over the first reaches columns 0 to 2 with
        // weights 3, 3, 1 of 7, so 200 / 7 = 28.6 on the left and 171.4 on the right.
        let pixels = [0u8, 0, 200, 200]
            .iter()
            .flat_map(|&value| [value; 3])
            .collect();
        let frame = RgbImage::new(4, 1, pixels).unwrap();
        let fixed = Resize::Fixed {
            width: 2,
            height: 1,
        };
        let (tensor, _) = tensor_of(&spec(Channels::Rgb, Range::Bytes, fixed), &frame);
        assert_eq!(tensor[..2], [29.0, 171.0]);
    }

    #[test]
    fn without_antialiasing_only_the_nearest_pixels_count() {
        // Centres of the two columns fall between columns 0 and 1, and 2 and 3.
        let pixels = [0u8, 0, 200, 200]
            .iter()
            .flat_map(|&value| [value; 3])
            .collect();
        let frame = RgbImage::new(4, 1, pixels).unwrap();
        let mut spec = spec(
            Channels::Rgb,
            Range::Bytes,
            Resize::Fixed {
                width: 2,
                height: 1,
            },
        );
        spec.antialias = false;
        assert_eq!(tensor_of(&spec, &frame).0[..2], [0.0, 200.0]);
    }

    #[test]
    fn frames_of_every_shape_fill_their_planes() {
        let shortest = Resize::ShortestEdge {
            shortest: 320,
            longest: 640,
        };
        let mut preprocessor = Preprocessor::new(&spec(Channels::Bgr, Range::Bytes, shortest));
        for (width, height) in [(1, 1), (3000, 40), (160, 120), (1920, 1080), (2, 4000)] {
            let pixels = vec![77; width as usize * height as usize * 3];
            let frame = RgbImage::new(width, height, pixels).unwrap();
            let mut tensor = TensorBuffer::default();
            let placement = preprocessor.append(&frame, &mut tensor);
            let input = placement.input;
            assert_eq!(
                tensor.values().len(),
                3 * input.width as usize * input.height as usize
            );
            assert!(
                tensor
                    .values()
                    .iter()
                    .all(|&value| (value - 77.0).abs() < f32::EPSILON)
            );
        }
    }
}
