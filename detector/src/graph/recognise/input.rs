//! How a picture goes into a graph: dimensions, colours, range and size.

use super::{Finding, Hints, InputGuess, MeanAndStd};
use crate::graph::Normalisation;
use crate::model::manifest::{Channels, Convention, Layout, MAX_INPUT_EDGE, Range, Resize};
use crate::model::signature::{Dim, Element, Port, Signature};

/// Pictures in a batch, where the graph takes any number.
const BATCH: usize = 8;

/// Mean and deviation of `ImageNet`'s pictures, which most networks were taught with.
const IMAGENET: MeanAndStd = MeanAndStd {
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
};

/// Grey beside a letterboxed picture, as YOLO is taught.
const PAD: u8 = 114;

/// A picture as a tensor.
pub(super) struct PictureTensor<'a> {
    port: &'a Port,
    layout: Layout,
    channels: usize,
    batch: Option<Dim>,
    height: Option<usize>,
    width: Option<usize>,
    doubt: Option<String>,
}

impl PictureTensor<'_> {
    /// Height and width, where both are fixed.
    pub(super) fn picture(&self) -> Option<(usize, usize)> {
        Some((self.height?, self.width?))
    }
}

/// The input as a picture, or why it is none.
pub(super) fn tensor(signature: &Signature) -> Result<PictureTensor<'_>, String> {
    let [port] = &signature.inputs[..] else {
        let inputs = super::listed(&signature.inputs);
        return Err(format!("it wants {inputs}, and Kadr gives one picture"));
    };
    let no_picture = || format!("its input {port} is no picture");
    if !port.is_float() && port.element != Element::U8 {
        return Err(no_picture());
    }
    let dimensions = port.shape.as_deref().ok_or_else(no_picture)?;
    let (batch, image) = match dimensions {
        [_, _, _] => (None, dimensions),
        [batch, image @ ..] if image.len() == 3 => (Some(batch.clone()), image),
        _ => return Err(no_picture()),
    };
    let is_channels = |dimension: &Dim| matches!(dimension, Dim::Fixed(1 | 3));
    let is_interleaved = is_channels(&image[2]) && !is_channels(&image[0]);
    let (channels, height, width) = if is_interleaved {
        (&image[2], &image[0], &image[1])
    } else {
        (&image[0], &image[1], &image[2])
    };
    let doubt = channels.fixed().is_none().then(|| {
        format!("the input {port} does not say how many channels it has, three are a guess")
    });
    let channels = channels.fixed().unwrap_or(3);
    if !matches!(channels, 1 | 3) {
        return Err(format!(
            "its input {port} has {channels} channels, and a picture has 1 or 3"
        ));
    }
    let edges = [height.fixed(), width.fixed()];
    if edges
        .iter()
        .flatten()
        .any(|&edge| edge > MAX_INPUT_EDGE as usize)
    {
        return Err(format!(
            "its input {port} is larger than {MAX_INPUT_EDGE} pixels a side"
        ));
    }
    let layout = match (is_interleaved, batch.is_some()) {
        (false, false) => Layout::Chw,
        (false, true) => Layout::Nchw,
        (true, false) => Layout::Hwc,
        (true, true) => Layout::Nhwc,
    };
    Ok(PictureTensor {
        port,
        layout,
        channels,
        batch,
        height: height.fixed(),
        width: width.fixed(),
        doubt,
    })
}

/// How the graph is fed, with what is a guess noted in the finding.
pub(super) fn guess(
    tensor: &PictureTensor<'_>,
    convention: Convention,
    hints: &Hints,
    finding: &mut Finding,
) -> InputGuess {
    finding.because.push(format!(
        "input {}: a picture with layout {:?}",
        tensor.port,
        tensor.layout.as_str()
    ));
    finding.doubts.extend(tensor.doubt.clone());
    let resize = resize(tensor, convention, finding);
    let colours = colours(tensor, convention, hints, finding);
    InputGuess {
        name: tensor.port.name.clone(),
        layout: tensor.layout,
        channels: colours.channels,
        range: colours.range,
        mean_and_std: colours.mean_and_std,
        resize,
        max_batch_size: batch(tensor, convention, resize, finding),
    }
}

fn batch(
    tensor: &PictureTensor<'_>,
    convention: Convention,
    resize: Resize,
    finding: &mut Finding,
) -> usize {
    match &tensor.batch {
        Some(Dim::Free(_)) if convention.has_batch() && resize.fixed_size().is_some() => BATCH,
        Some(Dim::Fixed(pictures)) if *pictures != 1 => {
            finding.doubts.push(format!(
                "it takes exactly {pictures} pictures at once; export it with a batch of 1 or an \
                 open batch dimension"
            ));
            1
        }
        _ => 1,
    }
}

fn resize(tensor: &PictureTensor<'_>, convention: Convention, finding: &mut Finding) -> Resize {
    let fixed = |height: usize, width: usize| {
        // Checked against the longest edge, and no edge is zero in what is recognised.
        let (width, height) = (width.max(1) as u32, height.max(1) as u32);
        if convention == Convention::Yolo {
            return Resize::Letterbox {
                width,
                height,
                pad: PAD,
            };
        }
        Resize::Fixed { width, height }
    };
    if let Some((height, width)) = tensor.picture() {
        finding
            .because
            .push(format!("it sees pictures of {width}x{height}, always"));
        return fixed(height, width);
    }
    let open = |size: &str| format!("it takes pictures of any size; {size}");
    let (resize, doubt) = match convention {
        Convention::Torchvision => (
            Resize::Native { longest: 4096 },
            open("torchvision resizes inside the graph, so none is chosen here"),
        ),
        Convention::Detectron2 => (
            Resize::ShortestEdge {
                shortest: 800,
                longest: 1333,
            },
            open(
                "800 and 1333 are Detectron2's own, take yours from INPUT.MIN_SIZE_TEST and MAX_SIZE_TEST",
            ),
        ),
        Convention::Detr => (
            fixed(640, 640),
            open("640x640 is a guess, take the size it was taught with"),
        ),
        Convention::Yolo => (
            fixed(640, 640),
            open("640x640 is YOLO's usual, take the size it was taught with"),
        ),
        Convention::Semantic => (
            fixed(512, 512),
            open("512x512 is a guess, take the size it was taught with"),
        ),
        Convention::Logits | Convention::Probabilities => (
            fixed(224, 224),
            open("224x224 is a guess, take the size it was taught with"),
        ),
    };
    finding.doubts.push(doubt);
    resize
}

struct Colours {
    channels: Channels,
    range: Range,
    mean_and_std: Option<MeanAndStd>,
}

fn colours(
    tensor: &PictureTensor<'_>,
    convention: Convention,
    hints: &Hints,
    finding: &mut Finding,
) -> Colours {
    let seen = hints.normalisation.as_ref();
    let usual = if convention == Convention::Detectron2 {
        Channels::Bgr
    } else {
        Channels::Rgb
    };
    let channels = match (tensor.channels, seen.and_then(Normalisation::channels)) {
        (1, _) => Channels::Gray,
        (_, Some(channels)) => channels,
        (_, None) => {
            if convention == Convention::Detectron2 {
                let doubt = "bgr is Detectron2's own, the graph does not tell";
                finding.doubts.push(doubt.to_owned());
            }
            usual
        }
    };
    if tensor.port.element == Element::U8 {
        finding
            .because
            .push("its input is bytes, so that pixels go in as decoded".to_owned());
        return Colours {
            channels,
            range: Range::Bytes,
            mean_and_std: None,
        };
    }
    if let Some(range) = seen.and_then(Normalisation::range) {
        let mean = seen.map(Normalisation::mean).unwrap_or_default();
        finding.because.push(format!(
            "the graph takes the mean {mean:?} from the picture itself, so that it wants values of {}",
            range.as_str()
        ));
        return Colours {
            channels,
            range,
            mean_and_std: None,
        };
    }
    let (range, mean_and_std) = usual_range(tensor, convention, finding);
    Colours {
        channels,
        range,
        mean_and_std,
    }
}

/// What networks of this kind are mostly fed, as the graph does not tell.
fn usual_range(
    tensor: &PictureTensor<'_>,
    convention: Convention,
    finding: &mut Finding,
) -> (Range, Option<MeanAndStd>) {
    let is_gray = tensor.channels == 1;
    let (range, mean_and_std, doubt) = match convention {
        Convention::Yolo | Convention::Torchvision => {
            let word = convention.as_str();
            finding.because.push(format!("{word} takes values of 0-1"));
            return (Range::Unit, None);
        }
        Convention::Detectron2 => (
            Range::Bytes,
            None,
            "0-255 is Detectron2's own, the graph does not tell",
        ),
        _ if tensor.layout.is_interleaved() => (
            Range::Bytes,
            None,
            "0-255 is usual for networks from Keras, the graph does not tell",
        ),
        _ if is_gray => (Range::Unit, None, "0-1 is a guess, the graph does not tell"),
        _ => (
            Range::Unit,
            Some(IMAGENET),
            "0-1 with ImageNet's mean and std is usual, the graph does not tell; remove mean and \
             std if it was taught without",
        ),
    };
    finding.doubts.push(doubt.to_owned());
    (range, mean_and_std)
}
