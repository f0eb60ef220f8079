"""Tiny networks of YOLO's shape (v8, v11): three strides, boxes as distributions, class scores, mask coefficients."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.ops import batched_nms

from common import PICTURES, Fixture, detection, feed, inside_box, picture, scramble, spread, threshold_for

CLASSES, COEFFICIENTS, BINS, SIDE = 3, 6, 8, 96
MAX_OVERLAP = 0.7


def conv(inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.SiLU())


class Head(nn.Module):
    """Boxes, scores and coefficients at one stride."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.boxes = nn.Conv2d(width, 4 * BINS, 1)
        self.scores = nn.Conv2d(width, CLASSES, 1)
        self.coefficients = nn.Conv2d(width, COEFFICIENTS, 1)

    def forward(self, features: torch.Tensor, with_masks: bool) -> torch.Tensor:
        batch, _, rows, columns = features.shape
        bins = self.boxes(features).reshape(batch, 4, BINS, rows * columns).softmax(2)
        distances = (bins * torch.arange(BINS).reshape(1, 1, BINS, 1)).sum(2)
        y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        centres = torch.stack([x.flatten(), y.flatten()])[None]
        near, far = centres - distances[:, :2], centres + distances[:, 2:]
        boxes = torch.cat([(near + far) / 2, far - near], 1) * self.stride
        parts = [boxes, self.scores(features).flatten(2).sigmoid()]
        if with_masks:
            parts.append(self.coefficients(features).flatten(2))
        return torch.cat(parts, 1)


class Yolo(nn.Module):
    """`images` `[b, 3, h, w]`, RGB in 0-1, to `output0` and `output1` as YOLO's exports have them."""

    def __init__(self, with_masks: bool) -> None:
        super().__init__()
        self.with_masks = with_masks
        self.stem = nn.Sequential(conv(3, 8), conv(8, 12))
        self.stages = nn.ModuleList([conv(12, 16), conv(16, 20), conv(20, 24)])
        self.heads = nn.ModuleList([Head(16, 8), Head(20, 16), Head(24, 32)])
        self.prototypes = nn.Conv2d(12, COEFFICIENTS, 3, 1, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self.stem(images)
        prototypes = self.prototypes(features)
        answers = []
        for stage, head in zip(self.stages, self.heads):
            features = stage(features)
            answers.append(head(features, self.with_masks))
        table = torch.cat(answers, 2)
        return (table, prototypes) if self.with_masks else (table,)


def decode(answer: tuple[torch.Tensor, ...], placement, least: float) -> list[dict]:
    """What an answer says of one picture: the best class of each anchor, then NMS by class, then masks."""
    table = answer[0][0]
    scores, classes = table[4 : 4 + CLASSES].max(0)
    centre, size = table[:2].T, table[2:4].T
    boxes = torch.cat([centre - size / 2, centre + size / 2], 1)
    certain = scores >= least
    kept = torch.nonzero(certain).flatten()
    kept = kept[batched_nms(boxes[kept], scores[kept], classes[kept], MAX_OVERLAP)]
    found = []
    for anchor in kept:
        box = placement.boxes_in_frame(boxes[anchor][None])[0]
        if box[2] <= box[0] or box[3] <= box[1]:
            continue
        mask = None
        if len(answer) > 1:
            logits = (table[4 + CLASSES :, anchor][:, None, None] * answer[1][0]).sum(0)
            mask = inside_box(placement.field_in_frame(logits[None])[0] >= 0, box)
        found.append(detection(classes[anchor], scores[anchor], box, mask))
    return found


@torch.no_grad()
def make(name: str, with_masks: bool, seed: int) -> None:
    resize = {"mode": "letterbox", "width": SIDE, "height": SIDE, "pad": 114}
    sheet = {"name": "images", "layout": "nchw", "channels": "rgb", "range": "0-1", "resize": resize}
    network = scramble(Yolo(with_masks), seed)
    fed = [feed(picture(*each), sheet) for each in PICTURES]
    scene = fed[0][0][None]
    for head in network.heads:
        spread(head.scores, lambda: network(scene), 1.5, centre=-2.0)
        spread(head.boxes, lambda: network(scene), 1.0)
        if with_masks:
            spread(head.coefficients, lambda: network(scene), 1.0)
    spread(network.prototypes, lambda: network(scene), 1.0)
    answers = [(network(tensor[None]), placement) for tensor, placement in fed]
    least = threshold_for([decode(answer, placement, 0.2) for answer, placement in answers])
    outputs = ["output0", "output1"][: 2 if with_masks else 1]
    fixture = Fixture(
        name=name, task="instance-segmentation" if with_masks else "object-detection", input=sheet,
        output={} if with_masks else {"convention": "yolo"}, labels=["bolt", "nut", "gear"],
        thresholds={"score": least, "overlap": MAX_OVERLAP}, max_batch_size=4,
    )
    fixture.export(network, scene, outputs, {each: {0: "batch"} for each in ["images", *outputs]})
    fixture.write([decode(answer, placement, least) for answer, placement in answers])


def main() -> None:
    make("yolo-seg", with_masks=True, seed=11)
    make("yolo-boxes", with_masks=False, seed=12)


if __name__ == "__main__":
    main()
