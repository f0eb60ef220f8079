"""Trains the mask head further on parts that lie on others, with everything before it left as it is.

Few of the parts that `fit` sees touch another one, and a part that covers another is where the mask head errs most. The
trunk's features of such parts are pooled once (see `regions.py`), so that a step costs a few convolutions on 14x14. The
weights are read from the exported graphs and written back into them: trunk and box head keep every bit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from config import SEEDS
from evaluate import paste
from regions import Regions, pool

STEPS, BATCH, RATE, DECAY = 900, 48, 6e-4, 1e-4
TOUCHING_WEIGHT = 2.0
"""How much likelier a region of a touching part is drawn than another one."""
PROMISED_IOU = 0.8
LAYERS = ("head.0", "head.1", "head.2", "predictor/conv5_mask", "predictor/mask_fcn_logits")
"""The mask head's layers as node names of the cut graph hold them, in order."""


def layers_of(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The mask head's convolutions, in order, of the cut or of the single graph."""
    convolutions = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose")]
    if len(convolutions) != len(LAYERS):
        convolutions = [node for node in convolutions if "/mask_head/" in node.name or "/mask_predictor/" in node.name]
    if len(convolutions) != len(LAYERS):
        raise ValueError(f"{len(convolutions)} convolutions in the mask head, expected {len(LAYERS)}")
    return convolutions


class MaskHead(nn.Module):
    """The exported mask head: its batch norms are part of the convolutions."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = onnx.load(path).graph
        tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        pairs = [[torch.from_numpy(tensors[name].copy()) for name in node.input[1:]] for node in layers_of(graph)]
        self.weights = nn.ParameterList([nn.Parameter(weight) for weight, _ in pairs])
        self.biases = nn.ParameterList([nn.Parameter(bias) for _, bias in pairs])

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        """Mask logits [n,28,28] of the given 0-based classes."""
        for index in range(3):
            x = functional.relu(functional.conv2d(x, self.weights[index], self.biases[index], padding=1))
        x = functional.relu(functional.conv_transpose2d(x, self.weights[3], self.biases[3], stride=2))
        logits = functional.conv2d(x, self.weights[4], self.biases[4])
        return logits[torch.arange(len(classes)), classes + 1]

    def store(self, path: Path) -> None:
        """Writes the weights over those of a graph; all else of the file stays as it is."""
        model = onnx.load(path)
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        for node, weight, bias in zip(layers_of(model.graph), self.weights, self.biases):
            for name, values in zip(node.input[1:], (weight, bias)):
                array = values.detach().numpy()
                if tuple(tensors[name].dims) != array.shape:
                    raise ValueError(f"{path.name}: {name} is {list(tensors[name].dims)}, not {list(array.shape)}")
                tensors[name].CopyFrom(numpy_helper.from_array(array, name))
        onnx.save(model, path)


def refine(data: Path, cut: Path, steps: int) -> MaskHead:
    """Trains the mask head of a cut network on one split, and says what that does on the other."""
    head = MaskHead(cut / "mask_head.onnx")
    regions, unseen = pool(data / "train", cut, SEEDS.moves), pool(data / "val", cut, None)
    before = judge(head, unseen)
    train(head, regions, steps, SEEDS.refinement)
    for name, after in judge(head, unseen).items():
        print(f"{name}: {before[name]}; refined {after}")
    return head


@dataclass(frozen=True)
class Quality:
    """How masks of one group fit: count, mean overlap, and the share that keeps the promise."""

    count: int
    mean: float
    kept: float

    def __str__(self) -> str:
        return f"{self.count}: mean {self.mean:.4f}, at least {PROMISED_IOU}: {self.kept:.4f}"


def judge(head: MaskHead, regions: Regions) -> dict[str, Quality]:
    """Compares masks with the truth as the product does: pasted into the frame, in frame pixels."""
    overlaps = np.zeros(len(regions))
    with torch.no_grad():
        for start in range(0, len(regions), 64):
            part = slice(start, start + 64)
            features = torch.from_numpy(regions.features[part].astype(np.float32))
            masks = head(features, torch.from_numpy(regions.classes[part])).sigmoid().numpy()
            for at, mask in enumerate(masks, start):
                truth = np.unpackbits(regions.bits[at], -1) > 0
                found = paste(mask, regions.boxes[at], truth.shape) > 0
                overlaps[at] = (found & truth).sum() / max((found | truth).sum(), 1)
    whole = regions.visible >= 1
    groups = {
        "whole parts on others": regions.is_part & whole & regions.touching,
        "whole parts that lie clear": regions.is_part & whole & ~regions.touching,
        "parts hidden or cut": regions.is_part & ~whole,
        "defects": ~regions.is_part,
    }
    return {
        name: Quality(int(group.sum()), float(overlaps[group].mean()), float((overlaps[group] >= PROMISED_IOU).mean()))
        for name, group in groups.items()
        if group.any()
    }


def loss_of(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy per cell, and the share of the area that is wrong: a bolt's head is few cells but much of it."""
    cells = functional.binary_cross_entropy_with_logits(logits, masks)
    found = logits.sigmoid()
    shared, both = (found * masks).sum((1, 2)), (found + masks).sum((1, 2))
    return cells + 0.5 * (1 - (2 * shared + 1) / (both + 1)).mean()


def train(head: MaskHead, regions: Regions, steps: int, seed: int) -> list[float]:
    """Trains with the rate falling to zero by half a cosine; returns the losses."""
    random = np.random.default_rng(seed)
    chances = np.where(regions.touching, TOUCHING_WEIGHT, 1.0)
    chances /= chances.sum()
    optimiser = torch.optim.AdamW(head.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    losses, started = [], time.process_time()
    for step in range(steps):
        chosen = random.choice(len(regions), BATCH, p=chances)
        features = torch.from_numpy(regions.features[chosen].astype(np.float32))
        masks = torch.from_numpy(regions.masks[chosen].astype(np.float32) / 255)
        loss = loss_of(head(features, torch.from_numpy(regions.classes[chosen])), masks)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            spent = time.process_time() - started
            print(f"step {step + 1}: loss {np.mean(losses[-100:]):.4f}, {spent:.0f} CPU s", flush=True)
    return losses
