"""Tiny classifiers in the forms people have: half precision, bytes and grey in TensorFlow's layout."""

from __future__ import annotations

import torch
from torch import nn

from common import PICTURES, Fixture, feed, picture, scramble, spread

LABELS = ["bolt", "nut", "washer", "gear", "bracket", "spring"]


class Classifier(nn.Module):
    """`[b, c, h, w]` to logits `[b, labels]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(channels, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, 16, 3, 2, 1)
        )
        self.last = nn.Linear(16, len(LABELS))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.stages(images).mean((2, 3)))


class Interleaved(nn.Module):
    """The same for `[b, h, w, c]`, of bytes or floats, up to the probabilities."""

    def __init__(self, network: Classifier, scale: float) -> None:
        super().__init__()
        self.network, self.scale = network, scale

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images.float().permute(0, 3, 1, 2) * self.scale).softmax(1)


@torch.no_grad()
def make(name: str, sheet: dict, kind: str, seed: int) -> None:
    channels = 1 if sheet["channels"] == "gray" else 3
    network = scramble(Classifier(channels), seed)
    scale = 1 / 255 if kind == "bytes" else 1.0
    tensors = [feed(picture(*each), sheet)[0][None] for each in PICTURES]
    spread(network.last, lambda: network(torch.cat([tensors[0], tensors[1], tensors[5]]) * scale), 2.0)
    if kind == "half":
        # Weights, pictures and logits in half precision, what lies between in single, as ONNX Runtime has it on a CPU.
        # PyTorch's own half rounds after every layer there, which moves these scores by up to 0.02.
        network, tensors = network.half().float(), [tensor.half().float() for tensor in tensors]
    logits = [network(tensor * scale)[0] for tensor in tensors]
    answers = [(each.half().float() if kind == "half" else each).softmax(0) for each in logits]
    cases = [
        [{"class": int(label), "score": round(float(scores[label]), 6)} for label in scores.argsort(descending=True)[:5]]
        for scores in answers
    ]
    example = tensors[0]
    if kind == "half":
        network, example = network.half(), example.half()
    else:
        network, example = Interleaved(network, scale), example.permute(0, 2, 3, 1)
        example = example.byte() if kind == "bytes" else example
    output = "logits" if kind == "half" else "probabilities"
    fixture = Fixture(
        name=name, task="classification", input=sheet, output={"convention": output}, labels=LABELS, max_batch_size=4
    )
    axes = {each: {0: "batch"} for each in [sheet["name"], output]}
    fixture.export(network, example, [output], axes)
    fixture.write(cases, key="classes")


def main() -> None:
    stretched = {"mode": "fixed", "width": 64, "height": 48}
    half = {"name": "images", "layout": "nchw", "channels": "rgb", "range": "0-1", "resize": stretched}
    make("classifier-half", half, "half", seed=41)
    # Without the rounding of a resize: what is fed must be whole numbers.
    whole = {"name": "images", "layout": "nhwc", "channels": "rgb", "range": "0-255", "resize": stretched}
    make("classifier-bytes", whole, "bytes", seed=42)
    boxed = {"mode": "letterbox", "width": 64, "height": 64, "pad": 30}
    gray = {"name": "images", "layout": "nhwc", "channels": "gray", "range": "0-1", "mean": [0.45], "std": [0.22], "resize": boxed}
    make("classifier-gray", gray, "floats", seed=43)


if __name__ == "__main__":
    main()
