"""Tiny torchvision detectors, exported whole: they resize inside, count classes from one and paste their masks."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from common import PICTURES, Fixture, detection, feed, picture, scramble, spread, threshold_for

LABELS = ["bolt", "nut", "gear"]

# Frames whose resized height and width are whole before rounding. Of others the exported graph makes another picture
# than PyTorch does: it samples by the wanted scale, PyTorch by the one that the rounded size gives.
OWN_PICTURES = [("scene", 160, 120), ("scene", 96, 128), *PICTURES[2:]]
WIDTH, HIDDEN = 12, 32


def build(with_masks: bool, seed: int) -> nn.Module:
    """The framework's own detector on a backbone of three convolutions."""
    stages = [nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.SiLU(), nn.Conv2d(12, WIDTH, 3, 2, 1), nn.SiLU()]
    backbone = nn.Sequential(*stages)
    backbone.out_channels = WIDTH
    parts = {
        "rpn_anchor_generator": AnchorGenerator(((16, 32, 64),), ((0.5, 1.0, 2.0),)),
        "box_roi_pool": MultiScaleRoIAlign(["0"], 3, 0),
        "box_head": TwoMLPHead(WIDTH * 9, HIDDEN),
        "box_predictor": FastRCNNPredictor(HIDDEN, len(LABELS) + 1),
        "min_size": 96, "max_size": 192,
        "rpn_pre_nms_top_n_test": 100, "rpn_post_nms_top_n_test": 40,
        "box_score_thresh": 0.05, "box_detections_per_img": 12, "box_nms_thresh": 0.3,
    }
    if with_masks:
        masks = {
            "mask_roi_pool": MultiScaleRoIAlign(["0"], 14, 0),
            "mask_head": MaskRCNNHeads(WIDTH, (WIDTH,), 1),
            "mask_predictor": MaskRCNNPredictor(WIDTH, WIDTH, len(LABELS) + 1),
        }
        network = MaskRCNN(backbone, **parts, **masks)
    else:
        network = FasterRCNN(backbone, **parts)
    return scramble(network, seed)


class Exported(nn.Module):
    """The detector for one picture `[3, h, w]`."""

    def __init__(self, network: nn.Module, with_masks: bool) -> None:
        super().__init__()
        self.network, self.with_masks = network, with_masks

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.network([image])[0]
        answer = found["boxes"], found["labels"], found["scores"]
        return (*answer, found["masks"]) if self.with_masks else answer


def decode(answer: tuple[torch.Tensor, ...], placement, least: float) -> list[dict]:
    """What an answer says of one picture."""
    boxes, labels, scores = answer[:3]
    found = []
    for index, box in enumerate(placement.boxes_in_frame(boxes)):
        if scores[index] < least or box[2] <= box[0] or box[3] <= box[1]:
            continue
        mask = None
        if len(answer) > 3:
            mask = placement.field_in_frame(answer[3][index])[0] >= 0.5
        found.append(detection(labels[index] - 1, scores[index], box, mask))
    return found


@torch.no_grad()
def make(name: str, with_masks: bool, seed: int) -> None:
    resize = {"mode": "none", "longest": 400}
    sheet = {"name": "image", "layout": "chw", "channels": "rgb", "range": "0-1", "resize": resize}
    network = build(with_masks, seed)
    fed = [feed(picture(*each), sheet) for each in OWN_PICTURES]
    scene = fed[0][0]
    model = Exported(network, with_masks).eval()
    spread(network.rpn.head.cls_logits, lambda: model(scene), 2.0)
    spread(network.rpn.head.bbox_pred, lambda: model(scene), 0.3)
    spread(network.roi_heads.box_predictor.cls_score, lambda: model(scene), 2.0)
    spread(network.roi_heads.box_predictor.bbox_pred, lambda: model(scene), 0.5)
    if with_masks:
        spread(network.roi_heads.mask_predictor.mask_fcn_logits, lambda: model(scene), 2.0)
    answers = [(model(tensor), placement) for tensor, placement in fed]
    least = threshold_for([decode(answer, placement, 0.05) for answer, placement in answers], empty=(2, 5))
    fixture = Fixture(
        name=name, task="instance-segmentation" if with_masks else "object-detection", input=sheet,
        output={"convention": "torchvision"}, labels=LABELS, thresholds={"score": least},
    )
    names = ["boxes", "labels", "scores", "masks"][: 4 if with_masks else 3]
    axes = {"image": {1: "height", 2: "width"}} | {each: {0: "n"} for each in names}
    if with_masks:
        axes["masks"] |= {2: "height", 3: "width"}
    fixture.export(model, scene, names, axes)
    fixture.write([decode(answer, placement, least) for answer, placement in answers], pictures=OWN_PICTURES)


def main() -> None:
    make("torchvision-mask-rcnn", with_masks=True, seed=51)
    make("torchvision-boxes", with_masks=False, seed=52)


if __name__ == "__main__":
    main()
