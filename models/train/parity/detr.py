"""Tiny networks of DETR's shape: queries that look at all of the picture, each with logits, a box and a mask.

Two exports: as RF-DETR names and scores things (sigmoid, background in the last slot), and as DETR does in transformers
(softmax, "nothing" in the last slot, any input size).
"""

from __future__ import annotations

import torch
from torch import nn

from common import PICTURES, Fixture, detection, feed, picture, scramble, spread, threshold_for

LABELS = ["bolt", "nut", "gear", "spring"]
QUERIES, WIDTH = 12, 24


class Detr(nn.Module):
    """`[b, 3, h, w]` to logits `[b, q, c]`, boxes `[b, q, 4]` (centre and size, 0-1) and mask logits `[b, q, h/8, w/8]`."""

    def __init__(self, boxes_first: bool) -> None:
        super().__init__()
        self.boxes_first = boxes_first
        stages = [nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, WIDTH, 3, 2, 1)]
        self.backbone = nn.Sequential(*stages)
        self.place = nn.Linear(2, WIDTH)
        self.queries = nn.Parameter(torch.zeros(QUERIES, WIDTH))
        self.look = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.think = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
        self.classes = nn.Linear(WIDTH, len(LABELS) + 1)
        self.boxes = nn.Linear(WIDTH, 4)
        self.masks = nn.Linear(WIDTH, WIDTH)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self.backbone(image)
        batch, _, rows, columns = features.shape
        y, x = torch.meshgrid(torch.arange(rows) / rows, torch.arange(columns) / columns, indexing="ij")
        places = self.place(torch.stack([x.flatten(), y.flatten()], 1))
        tokens = features.flatten(2).transpose(1, 2)
        queries = self.queries[None].expand(batch, -1, -1)
        seen, _ = self.look(queries, tokens + places, tokens, need_weights=False)
        queries = queries + self.think(queries + seen)
        logits, boxes = self.classes(queries), self.boxes(queries).sigmoid()
        masks = torch.einsum("bqc,bchw->bqhw", self.masks(queries), features)
        return (boxes, logits, masks) if self.boxes_first else (logits, boxes, masks)


def decode(answer: tuple[torch.Tensor, ...], placement, least: float) -> list[dict]:
    """What an answer says of one picture; the names of the outputs say how it is scored."""
    logits, boxes, masks = (each[0] for each in answer)
    width, height = placement.size
    found = []
    for query in range(QUERIES):
        centre, size = boxes[query, :2], boxes[query, 2:]
        corners = torch.cat([centre - size / 2, centre + size / 2]) * torch.tensor([width, height, width, height])
        box = placement.boxes_in_frame(corners[None])[0]
        scored = decode.score(logits[query])
        for label, score in scored:
            if score >= least:
                mask = placement.field_in_frame(masks[query][None])[0] >= 0
                found.append(detection(label, score, box, mask))
    return found


def by_sigmoid(logits: torch.Tensor) -> list[tuple[int, float]]:
    """Every class for itself, as RF-DETR's post-processing flattens queries and classes."""
    return [(label, float(logits[label].sigmoid())) for label in range(len(LABELS))]


def by_softmax(logits: torch.Tensor) -> list[tuple[int, float]]:
    """The likeliest class that is not "nothing", as DETR's post-processing takes it."""
    score, label = logits.softmax(0)[:-1].max(0)
    return [(int(label), float(score))]


@torch.no_grad()
def make(name: str, sheet: dict, output: dict, seed: int) -> None:
    is_sigmoid = output["scores"] == "sigmoid"
    decode.score = by_sigmoid if is_sigmoid else by_softmax
    network = scramble(Detr(boxes_first=is_sigmoid), seed)
    network.queries.data.mul_(3)
    fed = [feed(picture(*each), sheet) for each in PICTURES]
    scene = fed[0][0][None]
    spread(network.classes, lambda: network(scene), 2.0, centre=-2.0 if is_sigmoid else 0.0)
    spread(network.boxes, lambda: network(scene), 0.8, centre=-0.5)
    spread(network.masks, lambda: network(scene), 1.0)

    def run(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first, second, masks = network(tensor[None])
        return (second, first, masks) if is_sigmoid else (first, second, masks)

    answers = [(run(tensor), placement) for tensor, placement in fed]
    least = threshold_for([decode(answer, placement, 0.2) for answer, placement in answers], scene=2)
    fixed = sheet["resize"]["mode"] == "fixed"
    fixture = Fixture(
        name=name, task="instance-segmentation", input=sheet, output=output, labels=LABELS,
        thresholds={"score": least, "mask": 0.5}, max_batch_size=4 if fixed else 1,
    )
    names = ["dets", "labels", "masks"] if is_sigmoid else ["logits", "pred_boxes", "pred_masks"]
    axes = {each: {0: "batch"} for each in [sheet["name"], *names]}
    if not fixed:
        axes[sheet["name"]] |= {2: "height", 3: "width"}
        axes["pred_masks"] |= {2: "mask_height", 3: "mask_width"}
    fixture.export(network, scene, names, axes)
    fixture.write([decode(answer, placement, least) for answer, placement in answers])


def main() -> None:
    imagenet = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    fixed = {"mode": "fixed", "width": 112, "height": 96}
    rfdetr = {"name": "input", "layout": "nchw", "channels": "rgb", "range": "0-1", "resize": fixed} | imagenet
    make("detr-sigmoid", rfdetr, {"convention": "detr", "scores": "sigmoid"}, seed=21)
    shortest = {"mode": "shortest-edge", "shortest": 96, "longest": 192}
    plain = {"name": "pixel_values", "layout": "nchw", "channels": "rgb", "range": "0-1", "resize": shortest} | imagenet
    make("detr-softmax", plain, {"convention": "detr", "scores": "softmax"}, seed=22)


if __name__ == "__main__":
    main()
