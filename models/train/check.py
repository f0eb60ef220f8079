"""Parity checks of an export: the cut form put together again in numpy, and edge cases of the single graph.

`CutModel` is also the readable reference for a program that wants to run the cut graphs: it follows `cut.toml` and
uses nothing of torch but RoIAlign and non-maximum suppression.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import nms, roi_align

from evaluate import Outputs, onnx_predictor, session

BOX_TOLERANCE_PX, SCORE_TOLERANCE, MASK_TOLERANCE = 0.1, 5e-3, 2e-2


class CutModel:
    """trunk, box head and mask head with the steps of cut.toml between them."""

    def __init__(self, folder: Path) -> None:
        self.about = tomllib.loads((folder / "cut.toml").read_text())
        self.trunk, self.box_head, self.mask_head = (
            session(folder / f"{name}.onnx") for name in ("trunk", "box_head", "mask_head")
        )

    def __call__(self, image: np.ndarray) -> Outputs:
        names = [output.name for output in self.trunk.get_outputs()]
        out = dict(zip(names, self.trunk.run(None, {"image": image})))
        size = out["image_size"]
        proposals = self.propose(out, size)
        boxes, classes, scores = self.classify(out, proposals, size)
        regions = self.pool(out, boxes, self.about["mask_head"]["pool"])
        (masks,) = self.mask_head.run(None, {"regions": regions, "classes": classes})
        return {"boxes": boxes, "classes": classes, "scores": scores, "masks": masks, "image_size": size}

    def propose(self, out: Outputs, size: np.ndarray) -> np.ndarray:
        """Decodes the best cells of every level, drops the small and the doubled ones."""
        about, kept = self.about["proposals"], []
        strides = dict(zip(self.about["trunk"]["features"], self.about["trunk"]["strides"]))
        for index, level in enumerate(about["levels"]):
            logits, deltas = out[about["objectness"][index]], out[about["deltas"][index]]
            anchors = level_anchors(about["anchor_sizes"][index], about["anchor_ratios"], logits.shape, strides[level])
            logits = logits.transpose(1, 2, 0).reshape(-1)
            deltas = deltas.reshape(-1, 4, *deltas.shape[1:]).transpose(2, 3, 0, 1).reshape(-1, 4)
            best = np.argsort(-logits, kind="stable")[: about["before_nms_per_level"]]
            boxes = clip(decode(anchors[best], deltas[best], about["weights"], about["max_log_scale"]), size)
            scores = 1 / (1 + np.exp(-logits[best]))
            large = sides(boxes).min(1) >= about["min_side"]
            boxes, scores = boxes[large], scores[large]
            keep = nms(torch.from_numpy(boxes), torch.from_numpy(scores), about["nms_iou"]).numpy()
            kept.append((boxes[keep], scores[keep]))
        boxes, scores = (np.concatenate(part) for part in zip(*kept))
        return boxes[np.argsort(-scores, kind="stable")[: about["after_nms"]]]

    def classify(self, out: Outputs, proposals: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, ...]:
        """Boxes, 0-based classes and scores of the instances."""
        about = self.about["box_head"]
        regions = self.pool(out, proposals, about["pool"])
        probabilities, deltas = self.box_head.run(["probabilities", "deltas"], {"regions": regions})
        found = []
        for category in range(1, probabilities.shape[1]):
            boxes = clip(decode(proposals, deltas[:, category], about["weights"], about["max_log_scale"]), size)
            scores = probabilities[:, category]
            good = (scores > about["score"]) & (sides(boxes).min(1) >= about["min_side"])
            boxes, scores = boxes[good], scores[good]
            keep = nms(torch.from_numpy(boxes), torch.from_numpy(scores), about["nms_iou"]).numpy()
            found.append((boxes[keep], np.full(len(keep), category - 1), scores[keep]))
        boxes, classes, scores = (np.concatenate(part) for part in zip(*found))
        best = np.argsort(-scores, kind="stable")[: about["detections"]]
        return boxes[best], classes[best], scores[best]

    def pool(self, out: Outputs, boxes: np.ndarray, pool: dict) -> np.ndarray:
        """RoIAlign of every box from the level that fits its size."""
        about, trunk = self.about["pooling"], self.about["trunk"]
        side = np.sqrt(sides(boxes).prod(1))
        levels = np.floor(pool["canonical_level"] + np.log2(side / pool["canonical_side"]) + 1e-6)
        levels = np.clip(levels, about["first_level"], about["last_level"]).astype(int) - about["first_level"]
        channels = out[trunk["features"][0]].shape[0]
        pooled = np.zeros((len(boxes), channels, pool["size"], pool["size"]), np.float32)
        for index, (name, stride) in enumerate(zip(trunk["features"], trunk["strides"])):
            chosen = levels == index
            regions = [torch.from_numpy(boxes[chosen])]
            features = torch.from_numpy(out[name][None])
            pooled[chosen] = roi_align(features, regions, pool["size"], 1 / stride, pool["sampling"], pool["aligned"])
        return pooled


def level_anchors(size: float, ratios: list[float], shape: tuple[int, ...], stride: int) -> np.ndarray:
    """Anchors of one level in the order row, column, ratio."""
    height, width = size * np.sqrt(ratios), size / np.sqrt(ratios)
    base = np.round(np.stack([-width, -height, width, height], 1) / 2)
    rows, columns = np.meshgrid(np.arange(shape[1]) * stride, np.arange(shape[2]) * stride, indexing="ij")
    corners = np.stack([columns, rows, columns, rows], -1)
    return (corners[:, :, None] + base).reshape(-1, 4).astype(np.float32)


def decode(anchors: np.ndarray, deltas: np.ndarray, weights: list[float], max_log_scale: float) -> np.ndarray:
    """Faster R-CNN's box coding."""
    extent = sides(anchors)
    centre = anchors[:, :2] + extent / 2 + deltas[:, :2] / np.float32(weights[:2]) * extent
    extent = np.exp(np.minimum(deltas[:, 2:] / np.float32(weights[2:]), np.float32(max_log_scale))) * extent
    return np.concatenate([centre - extent / 2, centre + extent / 2], 1)


def sides(boxes: np.ndarray) -> np.ndarray:
    """Widths and heights."""
    return boxes[:, 2:] - boxes[:, :2]


def clip(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Boxes cut to a picture of (height, width)."""
    limit = np.float32([size[1], size[0], size[1], size[0]])
    return np.clip(boxes, 0, limit).astype(np.float32)


def differences(expected: Outputs, actual: Outputs, above: float) -> tuple[float, float, float]:
    """Largest differences of boxes, scores and masks; instances are matched by class and nearest box."""
    if not np.array_equal(expected["image_size"], actual["image_size"]):
        raise ValueError(f"image_size is {actual['image_size']}, expected {expected['image_size']}")
    worst = np.zeros(3)
    for index in np.flatnonzero(expected["scores"] > above):
        same = np.flatnonzero(actual["classes"] == expected["classes"][index])
        if len(same) == 0:
            raise ValueError(f"no instance of class {expected['classes'][index]} in the other form")
        distance = np.abs(actual["boxes"][same] - expected["boxes"][index]).max(1)
        match = same[distance.argmin()]
        score = abs(actual["scores"][match] - expected["scores"][index])
        mask = np.abs(actual["masks"][match] - expected["masks"][index]).max()
        worst = np.maximum(worst, [distance.min(), score, mask])
    return tuple(float(value) for value in worst)


def check(model: Path, parts: CutModel, images: list[np.ndarray], above: float = 0.1) -> dict:
    """Compares the two forms on pictures, and runs the single graph on odd sizes and on nothing to see."""
    single = onnx_predictor(model)
    worst = np.max([differences(single(image), parts(image), above) for image in images], 0)
    if (worst > (BOX_TOLERANCE_PX, SCORE_TOLERANCE, MASK_TOLERANCE)).any():
        raise ValueError(f"the cut form differs: boxes {worst[0]} px, scores {worst[1]}, masks {worst[2]}")
    empty = single(np.full((3, 320, 427), 96, np.float32))
    for height, width in ((1, 1), (31, 640), (640, 33), (200, 555)):
        size = single(np.full((3, height, width), 96, np.float32))["image_size"]
        if size.tolist() != [height, width]:
            raise ValueError(f"a {height}x{width} picture came back as {size}")
    worst = dict(zip(("boxes_px", "scores", "masks"), worst.tolist()))
    return worst | {"instances_on_plain_grey": len(empty["scores"])}
