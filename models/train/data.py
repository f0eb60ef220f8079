"""Training data: a COCO export decoded once into flat arrays, and random crops of it at network scale.

Frames are kept as bytes in a memory map and masks as packed bits of their boxes, so that a crop is one resize from
the original pixels, by the same filter the product uses. Masks are resized with antialiasing as well: their grey
edges carry the sub-pixel outline that the mask head learns.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO
from tqdm import tqdm

from config import CROP, SHORTEST
from crowd import PAD, Part, Scene, crowd

LAID_ON = 3
"""Frames that a crowded one is offered a part of each."""
MIN_VISIBLE_FRACTION, MIN_VISIBLE_PIXELS = 0.2, 10.0


def build_cache(split: Path, cache: Path) -> None:
    """Decodes every picture and mask of a COCO folder once; does nothing when that is done."""
    if (cache / "parts.npz").exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    coco = COCO(str(split / "annotations.json"))
    category_of = {category: index for index, category in enumerate(sorted(coco.getCatIds()))}
    images = [coco.imgs[key] for key in sorted(coco.imgs)]
    height, width = images[0]["height"], images[0]["width"]
    frames = np.lib.format.open_memmap(
        cache / "frames.npy", mode="w+", dtype=np.uint8, shape=(len(images), height, width, 3)
    )
    rows, bits = [], []
    for index, image in enumerate(tqdm(images, desc=f"decode {split.name}", unit="frame")):
        frames[index] = np.asarray(Image.open(picture_path(split, image)).convert("RGB"))[:, :, ::-1]
        for annotation in coco.loadAnns(coco.getAnnIds(image["id"])):
            encoded = coco.annToRLE(annotation)
            x, y, across, down = (int(side) for side in rle.toBbox(encoded))
            if across * down == 0:
                continue
            box = (x, y, x + across, y + down)
            mask = rle.decode(encoded)
            packed = np.packbits(mask[box[1] : box[3], box[0] : box[2]])
            rows.append((index, category_of[annotation["category_id"]], *box, len(packed)))
            bits.append(packed)
    frames.flush()
    np.savez(cache / "parts.npz", rows=np.array(rows, np.int64), bits=np.concatenate(bits))


def picture_path(split: Path, image: dict) -> Path:
    """Where the picture of a COCO image record lies."""
    direct = split / image["file_name"]
    return direct if direct.exists() else split / "images" / image["file_name"]


class Frames:
    """The decoded frames of one split and the parts on each."""

    def __init__(self, cache: Path) -> None:
        self.frames = np.load(cache / "frames.npy", mmap_mode="r")
        table = np.load(cache / "parts.npz")
        self.parts: list[list[Part]] = [[] for _ in self.frames]
        start, bits = 0, table["bits"]
        for frame, category, x0, y0, x1, y1, length in table["rows"].tolist():
            self.parts[frame].append(Part(category, (x0, y0, x1, y1), bits[start : start + length]))
            start += length

    def __len__(self) -> int:
        return len(self.frames)

    def crop(
        self, index: int, random: np.random.Generator, crowding: float = 0.0
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """A random square of the frame at about network scale, turned, flipped and relit at random.

        With the chance `crowding`, parts of other frames are laid onto those of this one first.
        """
        scene = Scene(self.frames[index], self.parts[index])
        if crowding and random.random() < crowding:
            donors = random.integers(len(self), size=LAID_ON)
            scene = crowd(scene, [Scene(self.frames[donor], self.parts[donor]) for donor in donors], random)
        frame, parts = scene.frame, scene.parts
        height, width = frame.shape[:2]
        window = min(height, width) * CROP / SHORTEST
        if random.random() < 0.5:
            window *= random.uniform(0.82, 1.0)
        left, top = random.uniform(0, width - window), random.uniform(0, height - window)
        box = (left, top, left + window, top + window)
        picture = Image.fromarray(frame).resize((CROP, CROP), Image.Resampling.BILINEAR, box=box)
        pixels = np.asarray(picture).astype(np.float32)
        boxes, labels, masks = place_parts(parts, left, top, CROP / window)
        pixels, boxes, masks = turn(pixels, boxes, masks, random)
        target = {
            "boxes": torch.from_numpy(boxes),
            "labels": torch.from_numpy(labels),
            "masks": torch.from_numpy(masks),
        }
        return torch.from_numpy(np.ascontiguousarray(relight(pixels, random).transpose(2, 0, 1))), target


def place_parts(parts: list[Part], left: float, top: float, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, 1-based labels and soft masks of the parts that a crop still shows."""
    boxes, labels, masks = [], [], []
    for part in parts:
        canvas = np.zeros((CROP, CROP), np.float32)
        visible = draw_mask(canvas, part, left, top, scale)
        if visible < MIN_VISIBLE_FRACTION or canvas.sum() < MIN_VISIBLE_PIXELS:
            continue
        box = (np.array(part.box, np.float32) - (left, top, left, top)) * scale
        if box.min() < 0 or box.max() > CROP:
            box = tight_box(canvas, box)
        if box[2] - box[0] < 2 or box[3] - box[1] < 2:
            continue
        boxes.append(box)
        labels.append(part.category + 1)
        masks.append(canvas)
    if not boxes:
        return np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros((0, CROP, CROP), np.float32)
    return np.stack(boxes).astype(np.float32), np.array(labels), np.stack(masks)


def draw_mask(canvas: np.ndarray, part: Part, left: float, top: float, scale: float) -> float:
    """Resizes a part's mask onto the canvas; returns how much of it lies inside."""
    mask = Image.fromarray(part.mask())
    x0, y0, x1, y1 = part.box
    # Whole network pixels that enclose the part, and where their corners lie in the padded mask.
    u0, u1 = int(np.floor((x0 - left) * scale)) - 1, int(np.ceil((x1 - left) * scale)) + 1
    v0, v1 = int(np.floor((y0 - top) * scale)) - 1, int(np.ceil((y1 - top) * scale)) + 1
    source = (
        max(0.0, u0 / scale + left - x0 + PAD),
        max(0.0, v0 / scale + top - y0 + PAD),
        min(float(mask.width), u1 / scale + left - x0 + PAD),
        min(float(mask.height), v1 / scale + top - y0 + PAD),
    )
    small = np.asarray(mask.resize((u1 - u0, v1 - v0), Image.Resampling.BILINEAR, box=source)) / np.float32(255)
    inside_x, inside_y = slice(max(u0, 0), min(u1, CROP)), slice(max(v0, 0), min(v1, CROP))
    if inside_x.start >= inside_x.stop or inside_y.start >= inside_y.stop:
        return 0.0
    shown = small[inside_y.start - v0 : inside_y.stop - v0, inside_x.start - u0 : inside_x.stop - u0]
    canvas[inside_y, inside_x] = shown
    return float(shown.sum() / max(small.sum(), 1e-6))


def tight_box(canvas: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The box of a part that the crop's edge cuts: tight on cut pixels, exact on the sides that are whole."""
    ys, xs = np.flatnonzero((canvas > 0.5).any(1)), np.flatnonzero((canvas > 0.5).any(0))
    if len(ys) == 0:
        return np.zeros(4, np.float32)
    tight = np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], np.float32)
    exact = (whole >= 0) & (whole <= CROP) & (np.abs(whole - tight) < 1.0)
    return np.where(exact, whole, tight)


def turn(
    pixels: np.ndarray, boxes: np.ndarray, masks: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One of the eight symmetries of the square."""
    if random.random() < 0.5:
        pixels, boxes, masks = pixels.swapaxes(0, 1), boxes[:, [1, 0, 3, 2]], masks.swapaxes(1, 2)
    if random.random() < 0.5:
        boxes = boxes[:, [2, 1, 0, 3]] * np.float32([-1, 1, -1, 1]) + np.float32([CROP, 0, CROP, 0])
        pixels, masks = pixels[:, ::-1], masks[:, :, ::-1]
    if random.random() < 0.5:
        boxes = boxes[:, [0, 3, 2, 1]] * np.float32([1, -1, 1, -1]) + np.float32([0, CROP, 0, CROP])
        pixels, masks = pixels[::-1], masks[:, ::-1]
    return pixels, np.ascontiguousarray(boxes), np.ascontiguousarray(masks)


def relight(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and white balance of another lamp, within reason."""
    gain = random.uniform(0.85, 1.15) * random.uniform(0.96, 1.04, 3)
    return np.clip(pixels * gain.astype(np.float32) + np.float32(random.uniform(-10, 10)), 0, 255)


class Batches:
    """Endless batches for one of several workers, each its own share of every shuffled round."""

    def __init__(
        self, frames: Frames, size: int, seed: int, worker: tuple[int, int], crowding: float = 0.0
    ) -> None:
        self.frames, self.size, self.worker, self.crowding = frames, size, worker, crowding
        self.random = np.random.default_rng([seed, worker[0]])
        self.order = np.random.default_rng(seed)
        self.queue: list[int] = []

    def next(self) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
        """The next batch: pictures [3,CROP,CROP] and torchvision targets."""
        rank, world = self.worker
        while len(self.queue) < self.size:
            self.queue.extend(self.order.permutation(len(self.frames))[rank::world].tolist())
        chosen, self.queue = self.queue[: self.size], self.queue[self.size :]
        pairs = [self.frames.crop(index, self.random, self.crowding) for index in chosen]
        return [picture for picture, _ in pairs], [target for _, target in pairs]


def class_names(split: Path) -> list[str]:
    """Category names of a COCO folder in class order."""
    categories = json.loads((split / "annotations.json").read_text())["categories"]
    return [category["name"] for category in sorted(categories, key=lambda category: category["id"])]
