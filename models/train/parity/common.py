"""What the parity scripts share: pictures, the detector's way of feeding them, masks, and the files of a fixture.

The pictures are formulas, so that the Rust tests draw the same ones. The feeding is written down here a second time,
with Pillow: if the detector feeds a network differently from what `model.toml` says, its answers leave the fixtures'.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import zlib

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pycocotools import mask as coco
from torch import nn

ROOT = pathlib.Path(__file__).parents[3] / "detector/tests/fixtures/parity"
OPSET = 17

# A scene, the odd ones, one that is far too large, and one with nothing in it.
PICTURES = [
    ("scene", 160, 120), ("scene", 97, 131), ("scene", 1, 1), ("scene", 3000, 40), ("scene", 3840, 2160), ("plain", 120, 90),
]


def picture(kind: str, width: int, height: int) -> np.ndarray:
    """Rows of RGB bytes: a gradient under seven discs, or one grey."""
    if kind == "plain":
        return np.full((height, width, 3), 118, np.uint8)
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    pixels = np.stack([40 + x * 100 // width, 40 + y * 100 // height, np.full_like(x, 90)], axis=2)
    side = max(min(width, height), 1)
    for disc in range(7):
        centre_x, centre_y = width * (disc * 37 % 100 + 5) // 110, height * (disc * 53 % 100 + 5) // 110
        radius = side * (10 + disc * 3) // 100 + 1
        inside = (x - centre_x) ** 2 + (y - centre_y) ** 2 < radius**2
        pixels[inside] = [(disc * 90 + 200) % 256, (disc * 60 + 30) % 256, (disc * 140 + 10) % 256]
    return pixels.astype(np.uint8)


@dataclasses.dataclass
class Placement:
    """Where a frame lies in the network's input: resized to `content`, from `left`, `top` on."""

    frame: tuple[int, int]
    content: tuple[int, int]
    size: tuple[int, int]
    left: int = 0
    top: int = 0

    def boxes_in_frame(self, boxes: torch.Tensor) -> torch.Tensor:
        """Corners in network pixels to corners in frame pixels, cut to the frame."""
        scale = torch.tensor([self.frame[0] / self.content[0], self.frame[1] / self.content[1]]).repeat(2)
        offset = torch.tensor([self.left, self.top]).repeat(2)
        frame = torch.tensor(self.frame).repeat(2)
        return torch.minimum(((boxes - offset) * scale).clamp(min=0), frame)

    def field_in_frame(self, field: torch.Tensor) -> torch.Tensor:
        """A field `[c, h, w]` over the network's input, read at the middle of every frame pixel."""
        if self.content == self.size:
            return F.interpolate(field[None], self.frame[::-1], mode="bilinear", align_corners=False)[0]
        x = self.left + (torch.arange(self.frame[0]) + 0.5) * self.content[0] / self.frame[0]
        y = self.top + (torch.arange(self.frame[1]) + 0.5) * self.content[1] / self.frame[1]
        grid_y, grid_x = torch.meshgrid(y / self.size[1] * 2 - 1, x / self.size[0] * 2 - 1, indexing="ij")
        grid = torch.stack([grid_x, grid_y], dim=2)[None].float()
        return F.grid_sample(field[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]

    def nearest_in_frame(self, field: torch.Tensor) -> torch.Tensor:
        """The same by the cell that the middle of a frame pixel lies in."""
        rows, columns = field.shape[-2:]
        x = self.left + (torch.arange(self.frame[0], dtype=torch.float64) + 0.5) * self.content[0] / self.frame[0]
        y = self.top + (torch.arange(self.frame[1], dtype=torch.float64) + 0.5) * self.content[1] / self.frame[1]
        column = (x / self.size[0] * columns).long().clamp(0, columns - 1)
        row = (y / self.size[1] * rows).long().clamp(0, rows - 1)
        return field[..., row[:, None], column[None, :]]


def half_up(value: float) -> int:
    return max(int(np.floor(value + 0.5)), 1)


def place(frame: tuple[int, int], resize: dict) -> Placement:
    """The rules of `resize` in models/README.md."""
    width, height = frame
    mode = resize["mode"]
    if mode == "fixed":
        size = (resize["width"], resize["height"])
        return Placement(frame, size, size)
    if mode == "letterbox":
        size = (resize["width"], resize["height"])
        scale = min(size[0] / width, size[1] / height)
        content = (min(half_up(width * scale), size[0]), min(half_up(height * scale), size[1]))
        return Placement(frame, content, size, (size[0] - content[0]) // 2, (size[1] - content[1]) // 2)
    if mode == "shortest-edge":
        scale = min(resize["shortest"] / min(frame), resize["longest"] / max(frame))
    else:
        scale = min(1, resize["longest"] / max(frame))
    size = (half_up(width * scale), half_up(height * scale))
    return Placement(frame, size, size)


def feed(pixels: np.ndarray, sheet: dict) -> tuple[torch.Tensor, Placement]:
    """The tensor `[c, h, w]` of a picture, by the `[input]` of `sheet`, and where the picture lies in it."""
    placement = place((pixels.shape[1], pixels.shape[0]), sheet["resize"])
    image = Image.fromarray(pixels)
    if placement.content != placement.frame:
        image = image.resize(placement.content, Image.Resampling.BILINEAR)
    canvas = np.full((placement.size[1], placement.size[0], 3), sheet["resize"].get("pad", 114), np.float32)
    left, top = placement.left, placement.top
    canvas[top : top + placement.content[1], left : left + placement.content[0]] = np.asarray(image)
    if sheet["channels"] == "gray":
        canvas = canvas @ np.array([[0.299], [0.587], [0.114]], np.float32)
    elif sheet["channels"] == "bgr":
        canvas = canvas[:, :, ::-1]
    if sheet["range"] == "0-1":
        canvas = canvas / np.float32(255)
    canvas = (canvas - np.array(sheet.get("mean", [0.0]), np.float32)) / np.array(sheet.get("std", [1.0]), np.float32)
    return torch.from_numpy(np.ascontiguousarray(canvas.transpose(2, 0, 1), dtype=np.float32)), placement


def rle(mask: torch.Tensor) -> dict:
    """COCO's compressed run lengths of a mask `[h, w]` of truth values."""
    coded = coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
    return {"size": [int(side) for side in coded["size"]], "counts": coded["counts"].decode()}


def inside_box(mask: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """The mask where the middles of its pixels lie in the box."""
    rows, columns = mask.shape
    x, y = torch.arange(columns) + 0.5, torch.arange(rows) + 0.5
    return mask & ((x >= box[0]) & (x < box[2]))[None, :] & ((y >= box[1]) & (y < box[3]))[:, None]


def detection(label: int, score: float, box: torch.Tensor, mask: torch.Tensor | None = None) -> dict:
    found = {"class": int(label), "score": round(float(score), 6), "box": [round(float(edge), 4) for edge in box]}
    if mask is not None:
        found["mask"] = rle(mask)
    return found


def scramble(network: nn.Module, seed: int, gain: float = 1.0) -> nn.Module:
    """Random weights whose activations neither vanish nor explode: the same variance in as out."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
            parameter.data = torch.randn(parameter.shape, generator=generator) * gain * (2 / fan_in) ** 0.5
        else:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return network.eval()


@torch.no_grad()
def spread(layer: nn.Module, run, wanted: float, centre: float = 0.0) -> None:
    """Scales a last layer so that what it answers to `run` has this deviation and this mean, in every channel."""
    seen = []
    hook = layer.register_forward_hook(lambda _module, _input, output: seen.append(output))
    run()
    hook.remove()
    answers = seen[0] if isinstance(layer, nn.Linear) else seen[0].movedim(1, -1)
    answers = answers.flatten(0, -2)
    deviation, mean = answers.std(0) + 1e-6, answers.mean(0)
    axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    shape = [1] * layer.weight.dim()
    shape[axis] = -1
    layer.weight.mul_((wanted / deviation).reshape(shape))
    layer.bias.copy_((layer.bias - mean) * wanted / deviation + centre)


def threshold_for(cases: list[list[dict]], scene: int = 3, empty: tuple[int, ...] = ()) -> float:
    """A score threshold far from every score: with some answers to the scene, small and large, and none to some picture.

    `empty` are pictures on which everything scores the same, so that what comes first is chance: they must stay empty.
    """
    scores = sorted({0.0, 1.0, *(found["score"] for case in cases for found in case)})
    gaps = []
    for low, high in zip(scores, scores[1:]):
        middle = (low + high) / 2
        counts = [sum(found["score"] >= middle for found in case) for case in cases]
        if counts[0] >= scene and counts[4] >= 2 and max(counts) <= 12 and min(counts) == 0 and not any(counts[at] for at in empty):
            gaps.append((high - low, middle))
    if not gaps:
        raise SystemExit(f"no threshold suits these scores: {[[f['score'] for f in case] for case in cases]}")
    return round(max(gaps)[1], 4)


def toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml_value(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


@dataclasses.dataclass
class Fixture:
    """One model with what its framework answers."""

    name: str
    task: str
    input: dict
    output: dict
    labels: list[str]
    thresholds: dict = dataclasses.field(default_factory=dict)
    max_batch_size: int = 1

    def folder(self) -> pathlib.Path:
        folder = ROOT / self.name / "1"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def export(self, network: nn.Module, example: torch.Tensor, outputs: list[str], axes: dict, slim: bool = True) -> None:
        """Writes the graph, made as small as it goes."""
        import onnx
        import onnxslim

        path = self.folder() / "model.onnx"
        torch.onnx.export(
            network.eval(), (example,), str(path), input_names=[self.input["name"]], output_names=outputs,
            dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )
        if slim:
            onnx.save(onnxslim.slim(onnx.load(path)), path)
        print(f"{self.name}: {path.stat().st_size / 1000:.0f} kB")

    def write(self, cases: list[list[dict]], key: str = "detections", pictures: list = PICTURES) -> None:
        """Writes `model.toml` and the answers to the pictures, in their order."""
        lines = [f"# Random weights; made by models/train/parity.\nname = {toml_value(self.name)}", f"task = {toml_value(self.task)}"]
        for title, table in [("input", self.input), ("output", self.output), ("thresholds", self.thresholds)]:
            lines += [f"\n[{title}]"] + [f"{field} = {toml_value(value)}" for field, value in table.items()]
        lines += [f"\n[batching]\nmax_batch_size = {self.max_batch_size}", '\n[files]\nfp32 = "model.onnx"']
        lines += [f"\n[[labels]]\nname = {toml_value(label)}" for label in self.labels]
        self.folder().parent.joinpath("model.toml").write_text("\n".join(lines) + "\n")
        expected = []
        for (kind, width, height), answers in zip(pictures, cases, strict=True):
            pixels = picture(kind, width, height)
            expected.append(
                {"kind": kind, "width": width, "height": height, "adler32": zlib.adler32(pixels.tobytes()), key: answers}
            )
        text = ",\n".join(json.dumps(case) for case in expected)
        self.folder().parent.joinpath("expected.json").write_text(f"[\n{text}\n]\n")
        print(f"{self.name}: {[len(answers) for answers in cases]} answers")
