"""ONNX export of `parts` in Detectron2's convention: one graph, and the same network cut at its pooling.

The TorchScript exporter is used because the other one cannot follow the data-dependent shapes of non-maximum
suppression. Every wrapper is put into eval mode itself: the exporter resets children to the mode of what it traces.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList

from config import MASK_SIDE
from net import ANCHOR_RATIOS, ANCHOR_SIZES, BOX_CANONICAL, CANONICAL_LEVEL, FEATURES, MASK_CANONICAL
from net import PROPOSAL_LEVELS, PYRAMID_CHANNELS, SIZE_DIVISOR, STRIDES

OPSET = 17
EXAMPLE = (3, 320, 427)


class Whole(nn.Module):
    """Picture in, instances in network pixels out."""

    names = ("boxes", "classes", "scores", "masks", "image_size")

    def __init__(self, model: MaskRCNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        batch = self.model.transform.batch(image[None])
        height, width = image.shape[-2:]
        features = self.model.backbone(batch)
        pictures = ImageList(batch, [(height, width)])
        proposals, _ = self.model.rpn(pictures, features)
        found = self.model.roi_heads(features, proposals, pictures.image_sizes)[0][0]
        size = torch.stack([torch.as_tensor(height), torch.as_tensor(width)]).to(torch.int64)
        return found["boxes"], found["labels"] - 1, found["scores"], found["masks"], size


class CutTrunk(nn.Module):
    """Picture in, pyramid features and raw proposals out."""

    names = (
        *FEATURES,
        *(f"objectness_{name}" for name in PROPOSAL_LEVELS),
        *(f"deltas_{name}" for name in PROPOSAL_LEVELS),
        "image_size",
    )

    def __init__(self, model: MaskRCNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = self.model.backbone(self.model.transform.batch(image[None]))
        logits, deltas = self.model.rpn.head([features[name] for name in PROPOSAL_LEVELS])
        size = torch.stack([torch.as_tensor(side) for side in image.shape[-2:]]).to(torch.int64)
        return *(features[name][0] for name in FEATURES), *(x[0] for x in logits), *(x[0] for x in deltas), size


class CutBoxHead(nn.Module):
    """Pooled 7x7 features in, class probabilities (0 is background) and box deltas out."""

    names = ("probabilities", "deltas")

    def __init__(self, model: MaskRCNN) -> None:
        super().__init__()
        self.head, self.predictor = model.roi_heads.box_head, model.roi_heads.box_predictor

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        logits, deltas = self.predictor(self.head(regions))
        return functional.softmax(logits, -1), deltas.unflatten(1, (-1, 4))


class CutMaskHead(nn.Module):
    """Pooled 14x14 features and 0-based classes in, mask probabilities of those classes out."""

    names = ("masks",)

    def __init__(self, model: MaskRCNN) -> None:
        super().__init__()
        self.head, self.predictor = model.roi_heads.mask_head, model.roi_heads.mask_predictor

    def forward(self, regions: Tensor, classes: Tensor) -> tuple[Tensor]:
        logits = self.predictor(self.head(regions))
        chosen = (classes + 1)[:, None, None, None].expand(-1, 1, MASK_SIDE, MASK_SIDE)
        return (torch.gather(logits, 1, chosen).sigmoid(),)


def write(module: nn.Module, inputs: dict[str, Tensor], path: Path, axes: dict[str, dict[int, str]]) -> None:
    """Exports one wrapper."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of every Python number it sees; the parity check in `check.py` covers what it fears.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(module.names),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def export(model: MaskRCNN, folder: Path, cut: Path) -> None:
    """Writes model.onnx, and the three cut graphs with cut.toml beside them."""
    image = torch.rand(EXAMPLE) * 255
    size = {"image": {1: "height", 2: "width"}}
    count = {name: {0: "instances"} for name in Whole.names[:-1]}
    write(Whole(model), {"image": image}, folder / "model.onnx", size | count)
    cells = {name: {1: f"{name}_height", 2: f"{name}_width"} for name in CutTrunk.names[:-1]}
    write(CutTrunk(model), {"image": image}, cut / "trunk.onnx", size | cells)
    regions = {name: {0: "regions"} for name in ("regions", "classes", "probabilities", "deltas", "masks")}
    small, large = torch.rand(5, PYRAMID_CHANNELS, 7, 7), torch.rand(5, PYRAMID_CHANNELS, 14, 14)
    write(
        CutBoxHead(model),
        {"regions": small},
        cut / "box_head.onnx",
        {name: regions[name] for name in ("regions", *CutBoxHead.names)},
    )
    classes = torch.tensor([0, 1, 2, 3, 4])
    write(
        CutMaskHead(model),
        {"regions": large, "classes": classes},
        cut / "mask_head.onnx",
        {name: regions[name] for name in ("regions", "classes", *CutMaskHead.names)},
    )
    (cut / "cut.toml").write_text(cut_description(model))


def cut_description(model: MaskRCNN) -> str:
    """What lies between the cut graphs, as TOML."""
    rpn, heads = model.rpn, model.roi_heads
    return f"""\
# What a program does between trunk.onnx, box_head.onnx and mask_head.onnx to obtain what model.onnx computes.
# All coordinates are pixels of the network image; boxes are x0, y0, x1, y1.

[trunk]
# f32 [3,h,w], BGR 0-255; padded inside, right and bottom, to a multiple of {SIZE_DIVISOR}.
input = "image"
features = {toml_list(FEATURES)}  # f32 [{PYRAMID_CHANNELS},h/stride,w/stride] of the padded image
strides = {list(STRIDES)}
image_size = "image_size"        # i64 [2]: h, w before padding

[proposals]
# Per level: logits [anchors,h,w] and deltas [4*anchors,h,w], channel 4*anchor + (dx,dy,dw,dh).
levels = {toml_list(PROPOSAL_LEVELS)}
objectness = {toml_list(f"objectness_{name}" for name in PROPOSAL_LEVELS)}
deltas = {toml_list(f"deltas_{name}" for name in PROPOSAL_LEVELS)}
anchor_sizes = {[size[0] for size in ANCHOR_SIZES]}  # one per level, side of the square of equal area
anchor_ratios = {list(ANCHOR_RATIOS)}    # height / width: h = size*sqrt(ratio), w = size/sqrt(ratio); corners of the
                                 # anchor around (0,0) are rounded to whole pixels (half to even), then moved by
                                 # (column, row) * stride, without a half-cell offset
weights = {list(rpn.box_coder.weights)}      # dx,dy,dw,dh are divided by these
max_log_scale = {rpn.box_coder.bbox_xform_clip:.10f}     # dw and dh are limited to this before exp
before_nms_per_level = {rpn._pre_nms_top_n["testing"]}
after_nms = {rpn._post_nms_top_n["testing"]}                  # over all levels, by score
nms_iou = {rpn.nms_thresh}                     # per level; boxes are clipped to image_size first
min_side = {rpn.min_size}

[box_head]
input = "regions"                # f32 [r,{PYRAMID_CHANNELS},7,7]
probabilities = "probabilities"  # f32 [r,1+classes], 0 is background
deltas = "deltas"                # f32 [r,1+classes,4]
weights = {list(heads.box_coder.weights)}
max_log_scale = {heads.box_coder.bbox_xform_clip:.10f}
score = {heads.score_thresh}                     # keep above; boxes are clipped to image_size first
min_side = 0.01
nms_iou = {heads.nms_thresh}                     # per class
detections = {heads.detections_per_img}                 # over all classes, by score
pool = {toml_pool(7, BOX_CANONICAL)}

[mask_head]
inputs = ["regions", "classes"]  # f32 [n,{PYRAMID_CHANNELS},14,14] and i64 [n], 0-based
masks = "masks"                  # f32 [n,1,28,28] probabilities of the given classes
pool = {toml_pool(14, MASK_CANONICAL)}

[pooling]
# RoIAlign (average) from level clamp(floor(canonical_level + log2(sqrt(area) / canonical_side) + 1e-6), 2, 5), whose
# features are p2 to p5.
first_level = 2
last_level = 5
"""


def toml_list(names) -> str:  # noqa: ANN001 (any iterable of names)
    """A TOML array of strings."""
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def toml_pool(size: int, canonical_side: int) -> str:
    """The settings of a RoIAlign as a TOML table."""
    level = f"canonical_side = {canonical_side}, canonical_level = {CANONICAL_LEVEL}"
    return f"{{ size = {size}, sampling = 2, aligned = false, {level} }}"
