"""The classifier `part-kind`: network, training, export and scoring.

It says which kind of part a picture of a single part shows. Input is `images` f32 [n,3,96,96], RGB 0-255, of any
batch size; output is `logits` f32 [n,6].
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from config import KIND_SIDE, KINDS, SEEDS
from evaluate import session
from export import OPSET
from net import conv, stage

BATCH, RATE, DECAY, SMOOTHING = 64, 3e-3, 0.05, 0.05


@dataclass(frozen=True)
class Crops:
    """Pictures [n,96,96,3] of single parts, RGB bytes, and their classes."""

    pixels: np.ndarray
    kinds: np.ndarray


def load(folder: Path) -> Crops:
    """Reads a folder per class; every picture is resized as the product does."""
    pixels, kinds = [], []
    for index, name in enumerate(KINDS):
        for path in tqdm(sorted((folder / name).iterdir()), desc=name, unit="crop"):
            with Image.open(path) as picture:
                small = picture.convert("RGB").resize((KIND_SIDE, KIND_SIDE), Image.Resampling.BILINEAR)
            pixels.append(np.asarray(small))
            kinds.append(index)
    return Crops(np.stack(pixels), np.array(kinds))


class KindNet(nn.Module):
    """Four residual stages, a mean over the picture, one dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(conv(3, 16, stride=2), stage(16, 32, 1), stage(32, 64, 1), stage(64, 128, 1))
        self.classify = nn.Linear(128, len(KINDS))

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.trunk((images - 110.0) / 60.0).mean((2, 3)))


def fit(crops: Crops, rounds: int, threads: int) -> tuple[KindNet, list[float]]:
    """Trains from scratch; returns the network and the mean loss of every round."""
    torch.set_num_threads(threads)
    torch.manual_seed(SEEDS.weights)
    random = np.random.default_rng(SEEDS.weights)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = KindNet().to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    steps = rounds * (len(crops.kinds) // BATCH)
    losses, step = [], 0
    with tqdm(total=steps, desc="part-kind", unit="step") as bar:
        for _ in range(rounds):
            order, seen = random.permutation(len(crops.kinds)), []
            for start in range(0, len(order) - BATCH + 1, BATCH):
                for group in optimiser.param_groups:
                    group["lr"] = RATE * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
                chosen = order[start : start + BATCH]
                images, kinds = augment(crops.pixels[chosen], random).to(device), crops.kinds[chosen]
                truth = torch.from_numpy(kinds).to(device)
                loss = functional.cross_entropy(model(images), truth, label_smoothing=SMOOTHING)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                seen.append(float(loss.detach()))
                step += 1
                bar.update()
            losses.append(float(np.mean(seen)))
            bar.set_postfix(loss=round(losses[-1], 3))
    return model.cpu().eval(), losses


def augment(pixels: np.ndarray, random: np.random.Generator) -> Tensor:
    """Turns, flips and relights a batch; returns [n,3,96,96]."""
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32))
    images = torch.rot90(images, int(random.integers(4)), (2, 3))
    if random.random() < 0.5:
        images = images.flip(3)
    count = len(pixels)
    gain = torch.from_numpy(random.uniform(0.8, 1.2, (count, 1, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(random.uniform(-12, 12, (count, 1, 1, 1)).astype(np.float32))
    return (images * gain + shift).clamp(0, 255)


def export(model: KindNet, path: Path) -> None:
    """Writes the ONNX file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            (torch.zeros(2, 3, KIND_SIDE, KIND_SIDE),),
            str(path),
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )


def score(path: Path, crops: Crops) -> dict:
    """Top-1 of an ONNX file and its confusion matrix (rows are the truth)."""
    running = session(path)
    confusion = np.zeros((len(KINDS), len(KINDS)), int)
    for start in tqdm(range(0, len(crops.kinds), BATCH), desc="score part-kind", unit="batch"):
        images = crops.pixels[start : start + BATCH].transpose(0, 3, 1, 2).astype(np.float32)
        (logits,) = running.run(["logits"], {"images": images})
        np.add.at(confusion, (crops.kinds[start : start + BATCH], logits.argmax(1)), 1)
    return {
        "crops": int(confusion.sum()),
        "top1": round(float(np.trace(confusion) / confusion.sum()), 4),
        "confusion": confusion.tolist(),
    }
