"""What the refinement learns from: pooled features of parts as the finished trunk gives them, and their true masks.

The trunk, the proposals and the box head stay as they are, so their work is done once per frame. A part is pooled at
the box that the box head gives it and, for training, if it touches another one, at its true box moved a little as well.
Frames on which no part touches another are left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from pycocotools import mask as rle
from tqdm import tqdm

from check import CutModel, clip, sides
from config import MASK_SIDE
from crowd import PAD
from data import picture_path
from evaluate import Outputs, boxes_in_frame, network_image

MARGIN = 2
"""Parts closer than this many frame pixels touch."""
JITTER = 0.06
"""Spread of the sides of a moved box, in shares of the box."""
MOVED = 3
"""How often the true box of a touching part is moved."""
LEAST_SIDE = 4
"""Frame pixels that a moved box keeps at least, in height and in width."""
SCORE, BOX_IOU = 0.3, 0.5
"""What a prediction needs to stand for a part."""


@dataclass(frozen=True)
class Annotated:
    """One frame and what is on it: 0-based classes, masks [n,h,w], shares that can be seen."""

    picture: Image.Image
    classes: np.ndarray
    masks: np.ndarray
    visible: np.ndarray
    is_part: np.ndarray

    def boxes(self) -> np.ndarray:
        """The boxes around the masks."""
        corners = []
        for mask in self.masks:
            xs, ys = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
            corners.append((xs[0], ys[0], xs[-1] + 1, ys[-1] + 1))
        return np.array(corners, np.float32).reshape(-1, 4)

    def touching(self) -> np.ndarray:
        """Which of them are parts that lie on, under or against other parts."""
        boxes, touching = self.boxes().astype(int), np.zeros(len(self.masks), bool)
        parts = np.flatnonzero(self.is_part)
        for at, one in enumerate(parts):
            for other in parts[at + 1 :]:
                low = np.maximum(boxes[one, :2], boxes[other, :2]) - MARGIN - 1
                high = np.minimum(boxes[one, 2:], boxes[other, 2:]) + MARGIN + 1
                if (low < high).all():
                    window = slice(max(low[1], 0), high[1]), slice(max(low[0], 0), high[0])
                    if (grow(self.masks[one][window]) & self.masks[other][window]).any():
                        touching[[one, other]] = True
        return touching


def grow(mask: np.ndarray) -> np.ndarray:
    """The mask and all pixels within the margin of it."""
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * MARGIN + 1))) > 0


def annotated(split: Path, limit: int | None = None):  # noqa: ANN201 (a generator of Annotated)
    """The frames of a COCO folder that `belt export` wrote."""
    record = json.loads((split / "annotations.json").read_text())
    category_of = {one["id"]: at for at, one in enumerate(sorted(record["categories"], key=lambda one: one["id"]))}
    found: dict[int, list[dict]] = {image["id"]: [] for image in record["images"]}
    for annotation in record["annotations"]:
        if annotation["area"]:
            found[annotation["image_id"]].append(annotation)
    for image in tqdm(record["images"][:limit], desc=f"pool {split.parent.name}/{split.name}", unit="frame"):
        parts = found[image["id"]]
        size = (image["height"], image["width"])
        masks = [rle.decode(part["segmentation"]).astype(bool) for part in parts]
        with Image.open(picture_path(split, image)) as picture:
            yield Annotated(
                picture.convert("RGB"),
                np.array([category_of[part["category_id"]] for part in parts], np.int64),
                np.stack(masks) if masks else np.zeros((0, *size), bool),
                np.array([part["visible"] for part in parts], np.float32),
                np.array([part["part_of"] is None for part in parts], bool),
            )


@dataclass
class Regions:
    """Pooled features [n,c,14,14], 0-based classes, soft masks [n,28,28], boxes, and whose masks they are."""

    features: np.ndarray
    classes: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    visible: np.ndarray
    touching: np.ndarray
    is_part: np.ndarray
    bits: np.ndarray
    """To judge with, the masks of the frame [n,h,w/8] as packed bits; to train with, nothing."""

    def __len__(self) -> int:
        return len(self.classes)


def iou_matrix(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Overlaps of every box with every other."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [sides(boxes).prod(1) for boxes in (one, other)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-6)


def soft_mask(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The mask inside a box of the frame, resampled to what the mask head gives."""
    left, top = np.maximum(np.floor(box[:2]).astype(int) - PAD, 0)
    right, bottom = np.ceil(box[2:]).astype(int) + PAD
    picture = Image.fromarray(mask[top:bottom, left:right].astype(np.uint8) * np.uint8(255))
    within = tuple(float(side) for side in box - np.float32([left, top, left, top]))
    small = picture.resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BILINEAR, box=within)
    return np.asarray(small)


class Pooler:
    """Runs the cut network up to its mask head."""

    def __init__(self, cut: Path) -> None:
        self.model = CutModel(cut)
        self.names = [output.name for output in self.model.trunk.get_outputs()]

    def __call__(self, frame: Annotated, random: np.random.Generator | None) -> dict[str, np.ndarray] | None:
        """Pools one frame: at predicted boxes, and with `random` at moved true boxes as well."""
        touching = frame.touching()
        if not touching.any():
            return None
        out = dict(zip(self.names, self.model.trunk.run(None, {"image": network_image(frame.picture)})))
        boxes, owner = self.predicted(out, frame)
        if random is not None:
            moved, whose = move(frame, touching, random)
            boxes, owner = np.concatenate([boxes, moved]), np.concatenate([owner, whose])
        if not len(owner):
            return None
        in_frame = clip(boxes_in_frame(boxes, frame.picture), frame.masks.shape[1:])
        return {
            "features": self.model.pool(out, boxes, self.model.about["mask_head"]["pool"]).astype(np.float16),
            "classes": frame.classes[owner],
            "masks": np.stack([soft_mask(frame.masks[at], box) for at, box in zip(owner, in_frame)]),
            "boxes": in_frame,
            "visible": frame.visible[owner],
            "touching": touching[owner],
            "is_part": frame.is_part[owner],
            "bits": np.packbits(frame.masks[owner], -1) if random is None else np.zeros((len(owner), 0), np.uint8),
        }

    def predicted(self, out: Outputs, frame: Annotated) -> tuple[np.ndarray, np.ndarray]:
        """The best box that the box head gives each part, in network pixels, and whose it is."""
        size = out["image_size"]
        boxes, classes, scores = self.model.classify(out, self.model.propose(out, size), size)
        overlaps = iou_matrix(boxes_in_frame(boxes, frame.picture), frame.boxes())
        overlaps[(classes[:, None] != frame.classes) | (scores[:, None] < SCORE) | (overlaps < BOX_IOU)] = 0
        owner = np.flatnonzero(overlaps.max(0, initial=0) > 0)
        if not len(owner):
            return np.zeros((0, 4), np.float32), owner
        return boxes[overlaps[:, owner].argmax(0)], owner


def move(frame: Annotated, touching: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """True boxes of touching parts, each moved a few times, in network pixels, and whose they are."""
    owner, truth = np.repeat(np.flatnonzero(touching), MOVED), frame.boxes()
    extent = np.tile(truth[owner, 2:] - truth[owner, :2], 2)
    moved = clip(truth[owner] + random.normal(0, JITTER, extent.shape) * extent, frame.masks.shape[1:])
    whole = sides(moved).min(1) > LEAST_SIDE
    to_network = 1 / boxes_in_frame(np.ones((1, 4), np.float32), frame.picture)
    return (moved[whole] * to_network).astype(np.float32), owner[whole]


def pool(split: Path, cut: Path, seed: int | None, limit: int | None = None) -> Regions:
    """Pools a split: to train with when a seed says how boxes are moved, else to judge with."""
    pooler, random = Pooler(cut), None if seed is None else np.random.default_rng(seed)
    rows = [row for frame in annotated(split, limit) if (row := pooler(frame, random)) is not None]
    return Regions(**{field.name: np.concatenate([row[field.name] for row in rows]) for field in fields(Regions)})
