"""The network of `parts`: a small Mask R-CNN on torchvision's class, trained from scratch.

The trunk is a narrow residual net with a feature pyramid on strides 4 to 32. The region proposal network looks at
strides 8 to 32 only: its convolution on stride 4 would cost as much as the rest of the head, and the smallest part
is still several stride-8 cells wide. Boxes are pooled to 7x7 for two dense layers, masks to 14x14 for three
convolutions and a transposed one, which gives 28x28.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign

from config import PARTS

FEATURES = ("p2", "p3", "p4", "p5")
STRIDES = (4, 8, 16, 32)
PROPOSAL_LEVELS = FEATURES[1:]
ANCHOR_SIZES = ((24.0,), (56.0,), (96.0,))
ANCHOR_RATIOS = (0.5, 1.0, 2.0)
PYRAMID_CHANNELS = 64
# A box of this side (in network pixels) is pooled from stride 16, half of it from stride 8, and so on.
BOX_CANONICAL, MASK_CANONICAL, CANONICAL_LEVEL = 128, 224, 4
SIZE_DIVISOR = 32
# Per-channel statistics of the input, BGR, 0-255.
MEAN, STD = (110.0, 110.0, 110.0), (60.0, 60.0, 60.0)


def conv(channels_in: int, channels_out: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out, momentum=0.05),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels, momentum=0.05)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(self.first(x)))


def stage(channels_in: int, channels_out: int, blocks: int) -> nn.Sequential:
    """Halves the resolution, then `blocks` residual blocks."""
    return nn.Sequential(conv(channels_in, channels_out, stride=2), *(Residual(channels_out) for _ in range(blocks)))


class Trunk(nn.Module):
    """Residual stages and the feature pyramid above them."""

    def __init__(self) -> None:
        super().__init__()
        widths, blocks = (48, 96, 128, 192), (1, 1, 2, 1)
        self.stem = conv(3, 32, stride=2)
        self.stages = nn.ModuleList(
            stage(before, after, count) for before, after, count in zip((32, *widths), widths, blocks)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, PYRAMID_CHANNELS, 1) for width in widths)
        self.smooth = nn.ModuleList(conv(PYRAMID_CHANNELS, PYRAMID_CHANNELS) for _ in widths)
        self.out_channels = PYRAMID_CHANNELS

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        x = self.stem(x)
        sides = []
        for block, lateral in zip(self.stages, self.lateral):
            x = block(x)
            sides.append(lateral(x))
        for level in range(len(sides) - 2, -1, -1):
            sides[level] = sides[level] + functional.interpolate(sides[level + 1], scale_factor=2.0, mode="nearest")
        return OrderedDict((name, smooth(side)) for name, smooth, side in zip(FEATURES, self.smooth, sides))


class CoarseProposals(RegionProposalNetwork):
    """The region proposal network without the finest level of the pyramid."""

    def forward(self, images, features, targets=None):  # noqa: ANN001, ANN201 (torchvision's signature)
        return super().forward(images, {name: features[name] for name in PROPOSAL_LEVELS}, targets)


class BalancedSampler:
    """Chooses the proposals of a training step so that every class in a picture gets an equal share of the positives.

    Uniform sampling would hand nearly all of them to the large parts, which many proposals overlap, and few to defects.
    """

    def __init__(self, size: int, positives: int) -> None:
        self.size, self.positives = size, positives

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        chosen = [self.choose(picture) for picture in labels]
        return [positive for positive, _ in chosen], [negative for _, negative in chosen]

    def choose(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Masks of the chosen positives and negatives; a label is a class, 0 for background or -1 for neither."""
        positive, negative = torch.where(labels > 0)[0], torch.where(labels == 0)[0]
        masks = torch.zeros((2, len(labels)), dtype=torch.uint8, device=labels.device)
        taken = min(self.positives, len(positive))
        if taken:
            rarity = 1.0 / torch.bincount(labels[positive])[labels[positive]]
            masks[0, positive[torch.multinomial(rarity, taken)]] = 1
        masks[1, negative[torch.randperm(len(negative), device=labels.device)[: self.size - taken]]] = 1
        return masks[0], masks[1]


class BoxHead(nn.Sequential):
    """Two dense layers on the pooled 7x7 features."""

    def __init__(self, hidden: int = 256) -> None:
        super().__init__(
            nn.Flatten(1),
            nn.Linear(PYRAMID_CHANNELS * 49, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
        )


def mask_head() -> nn.Sequential:
    """Three convolutions on the pooled 14x14 features."""
    return nn.Sequential(*(conv(PYRAMID_CHANNELS, PYRAMID_CHANNELS) for _ in range(3)))


class Normalise(nn.Module):
    """Stands in for torchvision's transform: the resize happens outside the graph, masks stay 28x28."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, images, targets=None):  # noqa: ANN001, ANN201 (torchvision's signature)
        sizes = [tuple(image.shape[-2:]) for image in images]
        return ImageList(self.batch(torch.stack(list(images))), sizes), targets

    def batch(self, images: Tensor) -> Tensor:
        """Normalises [n,3,h,w] and pads it at the right and bottom to whole cells of the coarsest stride."""
        height, width = images.shape[-2:]
        right = (SIZE_DIVISOR - width % SIZE_DIVISOR) % SIZE_DIVISOR
        bottom = (SIZE_DIVISOR - height % SIZE_DIVISOR) % SIZE_DIVISOR
        return functional.pad((images - self.mean) / self.std, (0, right, 0, bottom))

    def postprocess(self, result, image_shapes, original_image_sizes):  # noqa: ANN001, ANN201
        return result


def build() -> MaskRCNN:
    """The untrained network, ready for `fit`."""
    anchors = AnchorGenerator(ANCHOR_SIZES, (ANCHOR_RATIOS,) * len(ANCHOR_SIZES))
    model = MaskRCNN(
        Trunk(),
        num_classes=None,
        rpn_anchor_generator=anchors,
        rpn_head=RPNHead(PYRAMID_CHANNELS, anchors.num_anchors_per_location()[0]),
        rpn_pre_nms_top_n_train=300,
        rpn_post_nms_top_n_train=200,
        rpn_pre_nms_top_n_test=300,
        rpn_post_nms_top_n_test=150,
        rpn_fg_iou_thresh=0.6,
        rpn_batch_size_per_image=128,
        box_roi_pool=MultiScaleRoIAlign(FEATURES, 7, 2, canonical_scale=BOX_CANONICAL, canonical_level=CANONICAL_LEVEL),
        box_head=BoxHead(),
        box_predictor=Predictor(256, len(PARTS) + 1),
        box_score_thresh=0.05,
        box_detections_per_img=100,
        mask_roi_pool=MultiScaleRoIAlign(
            FEATURES, 14, 2, canonical_scale=MASK_CANONICAL, canonical_level=CANONICAL_LEVEL
        ),
        mask_head=mask_head(),
        mask_predictor=MaskRCNNPredictor(PYRAMID_CHANNELS, PYRAMID_CHANNELS, len(PARTS) + 1),
    )
    model.transform = Normalise()
    model.rpn.__class__ = CoarseProposals
    model.roi_heads.fg_bg_sampler = BalancedSampler(size=64, positives=18)
    return model


class Predictor(nn.Module):
    """Class logits (0 is background) and one box delta per class."""

    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(hidden, classes)
        self.bbox_pred = nn.Linear(hidden, classes * 4)
        nn.init.normal_(self.cls_score.weight, std=0.01)
        nn.init.normal_(self.bbox_pred.weight, std=0.001)
        nn.init.zeros_(self.cls_score.bias)
        nn.init.zeros_(self.bbox_pred.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.cls_score(x), self.bbox_pred(x)
