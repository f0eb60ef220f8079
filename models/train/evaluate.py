"""COCO box and mask AP of a detector, run exactly as the product runs it.

A frame is resized with antialiased bilinear filtering to the input convention, boxes are scaled back to frame pixels,
and the 28x28 masks are pasted into the frame at a threshold of 0.5 before they are compared with the truth.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from config import MASK_SIDE, network_size
from data import picture_path

Outputs = dict[str, np.ndarray]
Predict = Callable[[np.ndarray], Outputs]
"""From a BGR picture [3,h,w] in 0-255 to boxes, classes, scores and masks in network coordinates."""

FIGURES = ("AP", "AP50", "AP75")


def session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU that does not spin while others want the cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def onnx_predictor(path: Path, threads: int = 1) -> Predict:
    """Runs the single graph, its outputs by name."""
    running = session(path, threads)
    names = [output.name for output in running.get_outputs()]
    return lambda image: dict(zip(names, running.run(None, {"image": image})))


def network_image(picture: Image.Image) -> np.ndarray:
    """The graph's input for an RGB picture: BGR 0-255 [3,h,w] at network size."""
    height, width = network_size(picture.height, picture.width)
    small = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(small)[:, :, ::-1].transpose(2, 0, 1), dtype=np.float32)


def boxes_in_frame(boxes: np.ndarray, picture: Image.Image) -> np.ndarray:
    """Network boxes scaled to frame pixels."""
    height, width = network_size(picture.height, picture.width)
    across, down = picture.width / width, picture.height / height
    return boxes * np.array([across, down, across, down], np.float32)


def weights(low: float, high: float, length: int) -> tuple[int, np.ndarray]:
    """First pixel and bilinear weights [pixels, MASK_SIDE] of the pixel centres that a box side covers."""
    first, last = max(0, int(np.floor(low))), min(length, int(np.ceil(high)))
    centres = np.arange(first, max(first, last)) + 0.5
    cells = (centres - low) / max(high - low, 1e-6) * MASK_SIDE - 0.5
    return first, np.clip(1 - np.abs(cells[:, None] - np.arange(MASK_SIDE)[None]), 0, 1).astype(np.float32)


def paste(mask: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The frame bitmap of a 28x28 probability mask; outside the mask the probability is zero."""
    frame = np.zeros(size, np.uint8, order="F")
    left, across = weights(float(box[0]), float(box[2]), size[1])
    top, down = weights(float(box[1]), float(box[3]), size[0])
    frame[top : top + len(down), left : left + len(across)] = down @ mask @ across.T >= 0.5
    return frame


def instances(predict: Predict, picture: Image.Image) -> list[dict]:
    """Detections of one picture as COCO results without an image id, in frame pixels, classes 0-based."""
    outputs = predict(network_image(picture))
    found = []
    for box, category, score, mask in zip(
        boxes_in_frame(outputs["boxes"], picture), outputs["classes"], outputs["scores"], outputs["masks"]
    ):
        segmentation = rle.encode(paste(mask[0], box, (picture.height, picture.width)))
        segmentation["counts"] = segmentation["counts"].decode()
        x0, y0, x1, y1 = (float(side) for side in box)
        found.append({
            "category_id": int(category),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "score": float(score),
            "segmentation": segmentation,
        })
    return found


def evaluate(predict: Predict, split: Path, limit: int | None = None, progress: bool = True) -> dict:
    """AP, AP50 and AP75 of boxes ("bbox") and masks ("segm"), over all classes and per class."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(split / "annotations.json"))
    ids = sorted(truth.imgs)[:limit]
    category_ids = sorted(truth.getCatIds())
    results = []
    for image_id in tqdm(ids, desc=f"evaluate {split.name}", unit="frame", disable=not progress):
        with Image.open(picture_path(split, truth.imgs[image_id])) as picture:
            for instance in instances(predict, picture):
                category = category_ids[instance.pop("category_id")]
                results.append({"image_id": image_id, "category_id": category, **instance})
    names = [truth.cats[category]["name"] for category in category_ids]
    return {"frames": len(ids)} | {kind: figures(truth, results, ids, kind, names) for kind in ("bbox", "segm")}


def figures(truth: COCO, results: list[dict], ids: list[int], kind: str, names: list[str]) -> dict:
    """COCOeval's precision as a table: class (or "all") to AP, AP50 and AP75."""
    if not results:
        return {name: dict.fromkeys(FIGURES, 0.0) for name in ("all", *names)}
    with contextlib.redirect_stdout(io.StringIO()):
        # loadRes adds fields to the records, so each kind gets its own.
        scoring = COCOeval(truth, truth.loadRes([dict(result) for result in results]), kind)
        scoring.params.imgIds = ids
        scoring.evaluate()
        scoring.accumulate()
    # [IoU thresholds, recalls, classes]; all areas, up to 100 detections; -1 where a class has no truth.
    precision = scoring.eval["precision"][:, :, :, 0, -1]
    table = {"all": [ap(precision), ap(precision[:1]), ap(precision[5:6])]}
    for index, name in enumerate(names):
        own = precision[:, :, index]
        table[name] = [ap(own), ap(own[:1]), ap(own[5:6])]
    return {name: dict(zip(FIGURES, values)) for name, values in table.items()}


def ap(precision: np.ndarray) -> float:
    """Mean precision over everything that has truth."""
    valid = precision[precision > -1]
    return round(float(valid.mean()), 4) if valid.size else 0.0
