"""Parity fixtures for the detector: what the shipped graph says about a few pictures, computed in PyTorch.

Pictures are stored at network size and without loss, so that no decoder and no resize stands between the two.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as rle

from evaluate import Predict, network_image, paste

SCORE = 0.5


def write(predict: Predict, pictures: dict[str, Image.Image], folder: Path) -> None:
    """Writes NAME.png for every picture, and expected.json for all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = [case(predict, name, picture, folder) for name, picture in pictures.items()]
    (folder / "expected.json").write_text(json.dumps({"cases": cases}, indent=1) + "\n")


def case(predict: Predict, name: str, picture: Image.Image, folder: Path) -> dict:
    """One picture and its instances, in network and in frame pixels."""
    image = network_image(picture)
    Image.fromarray(image.transpose(1, 2, 0)[:, :, ::-1].astype(np.uint8)).save(folder / f"{name}.png", optimize=True)
    size = image.shape[1:]
    to_frame = np.array([picture.width / size[1], picture.height / size[0]] * 2, np.float32)
    found, outputs = [], predict(image)
    for box, category, score, mask in zip(*(outputs[key] for key in ("boxes", "classes", "scores", "masks"))):
        if score >= SCORE:
            found.append({
                "class": int(category),
                "score": round(float(score), 6),
                "box": [round(float(side), 4) for side in box],
                "mask_rle": encoded(paste(mask[0], box, size)),
                "box_in_frame": [round(float(side), 4) for side in box * to_frame],
                "mask_rle_in_frame": encoded(paste(mask[0], box * to_frame, (picture.height, picture.width))),
            })
    frame = {"width": picture.width, "height": picture.height}
    return {"name": name, "input": f"{name}.png", "frame": frame, "score_threshold": SCORE, "detections": found}


def encoded(bitmap: np.ndarray) -> dict:
    """A bitmap as pycocotools writes it."""
    segmentation = rle.encode(bitmap)
    return {"size": segmentation["size"], "counts": segmentation["counts"].decode()}
