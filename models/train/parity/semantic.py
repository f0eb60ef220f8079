"""Tiny semantic segmentations: logits at a quarter of the size, and the finished classes as TensorFlow lays things out."""

from __future__ import annotations

import torch
from torch import nn

from common import PICTURES, Fixture, detection, feed, picture, scramble, spread

LABELS = ["background", "bolt", "nut", "gear"]


class Segmenter(nn.Module):
    """`[b, 3, h, w]` to logits `[b, classes, h/4, w/4]`."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, 16, 3, 1, 1), nn.SiLU()
        )
        self.last = nn.Conv2d(16, classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.stages(images))


class Finished(nn.Module):
    """`[b, h, w, 3]` to the class of every pixel, `[b, h, w]`."""

    def __init__(self, network: Segmenter) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.network(images.permute(0, 3, 1, 2))
        return nn.functional.interpolate(logits, scale_factor=4, mode="nearest").argmax(1).int()


def by_class(classes: torch.Tensor, shares: torch.Tensor | None, background: int | None) -> list[dict]:
    """One instance a class, its score the mean of its share at its pixels."""
    found = []
    for label in classes.unique().tolist():
        if label in (-1, background):
            continue
        mask = classes == label
        rows, columns = torch.where(mask)
        box = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
        found.append(detection(label, 1.0 if shares is None else shares[label][mask].double().mean(), box, mask))
    return found


@torch.no_grad()
def make(name: str, sheet: dict, labels: list[str], seed: int) -> None:
    network = scramble(Segmenter(len(labels)), seed)
    fed = [feed(picture(*each), sheet) for each in PICTURES]
    scene = fed[0][0][None]
    spread(network.last, lambda: network(scene), 2.0)
    is_finished = sheet["layout"] == "nhwc"
    background = 0 if len(labels) > 1 and not is_finished else None
    cases = []
    for tensor, placement in fed:
        logits = network(tensor[None])[0]
        if is_finished:
            classes = Finished(network)(tensor.permute(1, 2, 0)[None])[0]
            cases.append(by_class(placement.nearest_in_frame(classes), None, background))
        elif len(labels) == 1:
            classes = (placement.field_in_frame(logits)[0] >= 0).int() - 1
            cases.append(by_class(classes, placement.nearest_in_frame(logits.sigmoid()), None))
        else:
            classes = placement.field_in_frame(logits).argmax(0)
            cases.append(by_class(classes, placement.nearest_in_frame(logits.softmax(0)), background))
    output = {"convention": "semantic"} | ({"background": background} if background is not None else {})
    fixture = Fixture(
        name=name, task="semantic-segmentation", input=sheet, output=output, labels=labels, max_batch_size=4,
    )
    example = scene.permute(0, 2, 3, 1) if is_finished else scene
    output_name = "classes" if is_finished else "logits"
    axes = {each: {0: "batch"} for each in [sheet["name"], output_name]}
    fixture.export(Finished(network) if is_finished else network, example, [output_name], axes)
    fixture.write(cases)


def main() -> None:
    base = {"name": "images", "layout": "nchw", "channels": "rgb", "range": "0-1"}
    letterbox = {"mode": "letterbox", "width": 128, "height": 96, "pad": 0}
    make("semantic", base | {"resize": letterbox}, LABELS, seed=31)
    fixed = {"mode": "fixed", "width": 96, "height": 96}
    make("semantic-single", base | {"resize": fixed}, ["part"], seed=32)
    finished = {"name": "images", "layout": "nhwc", "channels": "bgr", "range": "0-1", "resize": fixed}
    make("semantic-classes", finished, LABELS, seed=33)


if __name__ == "__main__":
    main()
