"""From a JPEG to instances and an annotated JPEG: Pillow, numpy, ONNX Runtime and pycocotools."""

import io
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw
from pycocotools import mask as coco


class Model:
    """A model in Detectron2's convention, from a folder with model.toml."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        manifest = tomllib.loads((folder / "model.toml").read_text())
        versions = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
        self.labels = manifest["labels"]
        self.resize = manifest["input"]["resize"]
        self.threshold = manifest["thresholds"]
        self.input = manifest["input"]["name"]
        self.bgr = manifest["input"]["channels"] == "bgr"
        options = onnxruntime.SessionOptions()
        # Spinning threads would take the cores from everything else.
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = folder / str(versions[-1]) / manifest["files"]["fp32"]
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def look_at(self, picture: Image.Image) -> list[dict]:
        """Instances in frame pixels; each with its box-sized mask under `crop` and `corner`."""
        pixels = tensor(picture, self.resize, self.bgr)
        names = ["boxes", "classes", "scores", "masks"]
        boxes, classes, scores, masks = self.session.run(names, {self.input: pixels})
        width, height = picture.size
        scale = np.array([width / pixels.shape[2], height / pixels.shape[1]] * 2, dtype=np.float32)
        seen = []
        for box, kind, score, mask in zip(boxes * scale, classes, scores, masks.reshape(-1, *masks.shape[-2:])):
            if score < self.threshold["score"]:
                continue
            box = np.clip(box, 0, [width, height, width, height])
            crop, corner = paste(mask, box, (width, height), self.threshold["mask"])
            whole = np.zeros((height, width), dtype=np.uint8, order="F")
            whole[corner[1] : corner[1] + crop.shape[0], corner[0] : corner[0] + crop.shape[1]] = crop
            runs = coco.encode(whole)
            seen.append(
                {
                    "label": self.labels[kind]["name"],
                    "category_id": int(kind) + 1,
                    "score": float(score),
                    "bbox": [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])],
                    "area": int(coco.area(runs)),
                    "segmentation": {"size": runs["size"], "counts": runs["counts"].decode()},
                    "crop": crop,
                    "corner": corner,
                    "color": self.labels[kind]["color"],
                }
            )
        return seen


def tensor(picture: Image.Image, resize: dict, bgr: bool) -> np.ndarray:
    """The picture as a network wants it: shortest edge, channels first."""
    width, height = picture.size
    scale = min(resize["shortest"] / min(width, height), resize["longest"] / max(width, height))
    size = (round(width * scale), round(height * scale))
    pixels = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
    if bgr:
        pixels = pixels[:, :, ::-1]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)


def paste(mask: np.ndarray, box: np.ndarray, size: tuple[int, int], threshold: float) -> tuple[np.ndarray, tuple[int, int]]:
    """The mask at the size of its box: bilinear between the centres of its cells, nothing outside."""
    left, top = int(np.floor(box[0])), int(np.floor(box[1]))
    right, bottom = min(int(np.ceil(box[2])), size[0]), min(int(np.ceil(box[3])), size[1])
    across = weights(left, right, box[0], box[2], mask.shape[1])
    down = weights(top, bottom, box[1], box[3], mask.shape[0])
    return (down @ mask @ across.T >= threshold), (left, top)


def weights(start: int, end: int, low: float, high: float, cells: int) -> np.ndarray:
    """How much each cell counts for each pixel of start..end."""
    at = (np.arange(start, end) + 0.5 - low) / max(high - low, 1e-6) * cells - 0.5
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)[None, :])).astype(np.float32)


def draw(picture: Image.Image, seen: list[dict]) -> bytes:
    """The annotated picture as a JPEG; large things first."""
    pixels = np.array(picture)
    for one in sorted(seen, key=lambda one: -one["area"]):
        color = np.array([int(one["color"][at : at + 2], 16) for at in (1, 3, 5)])
        (left, top), crop = one["corner"], one["crop"]
        region = pixels[top : top + crop.shape[0], left : left + crop.shape[1]]
        region[crop] = region[crop] * 0.5 + color * 0.5
    annotated = Image.fromarray(pixels)
    pen = ImageDraw.Draw(annotated)
    for one in seen:
        text, corner = f"{one['label']} {one['score']:.0%}", one["corner"]
        pen.rectangle(pen.textbbox(corner, text), fill="black")
        pen.text(corner, text, fill=one["color"])
    file = io.BytesIO()
    annotated.save(file, "JPEG", quality=85)
    return file.getvalue()


def decode(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg)).convert("RGB")
