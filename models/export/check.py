"""Runs an exported model by ONNX Runtime as the detector would and says whether it can be served.

    python check.py models/NAME/1/model.onnx [--image photo.jpg]

Reads the `model.toml` above the version folder. Exit code 0: servable. 1: not, with the reasons.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image, ImageDraw

from sheet_rules import sheet_faults

SERVED_DOMAINS = {"", "ai.onnx"}
INSTANCE_SHAPES = {"boxes": (4,), "classes": (), "scores": ()}
INSTANCE_TYPES = {
    "boxes": "tensor(float)", "classes": "tensor(int64)", "scores": "tensor(float)",
    "masks": "tensor(float)", "image_size": "tensor(int64)",
}


def drawn_picture() -> Image.Image:
    """A 640x480 scene of shapes for those who give no photo."""
    picture = Image.new("RGB", (640, 480), (86, 98, 90))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((60, 80, 260, 280), fill=(190, 60, 50), outline=(20, 20, 20), width=4)
    draw.rectangle((320, 60, 560, 200), fill=(60, 90, 190))
    draw.polygon([(350, 420), (450, 250), (560, 440)], fill=(220, 200, 70))
    draw.line((20, 400, 300, 330), fill=(240, 240, 240), width=18)
    return picture


def input_size(sheet: dict, width: int, height: int) -> tuple[int, int]:
    """Width and height of the network's input for a frame of this size."""
    resize = sheet["input"]["resize"]
    if resize["mode"] != "shortest-edge":
        return resize["width"], resize["height"]
    scale = min(resize["shortest"] / min(width, height), resize["longest"] / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def tensor_from(picture: Image.Image, sheet: dict) -> np.ndarray:
    """The picture as the network's input: resized, in its channel order, range and layout."""
    declared = sheet["input"]
    size = input_size(sheet, *picture.size)
    if declared["resize"]["mode"] == "letterbox":
        scale = min(size[0] / picture.width, size[1] / picture.height)
        content = picture.resize(
            (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BILINEAR
        )
        pad = declared["resize"].get("pad", 114)
        resized = Image.new("RGB", size, (pad, pad, pad))
        resized.paste(content, ((size[0] - content.width) // 2, (size[1] - content.height) // 2))
    else:
        resized = picture.resize(size, Image.Resampling.BILINEAR)
    if declared["channels"] == "gray":
        values = np.asarray(resized.convert("L"), np.float32)[:, :, None]
    else:
        values = np.asarray(resized, np.float32)
        if declared["channels"] == "bgr":
            values = values[:, :, ::-1]
    if declared["range"] == "0-1":
        values = values / 255
    values = (values - np.float32(declared.get("mean", 0))) / np.float32(declared.get("std", 1))
    values = np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)
    return values[None] if declared["layout"] == "nchw" else values


def graph_faults(path: Path, session: onnxruntime.InferenceSession, sheet: dict) -> list[str]:
    """What the file itself does wrong, before anything runs."""
    faults = []
    model = onnx.load(path, load_external_data=False)
    opsets = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import)
    print(f"opset {opsets}, IR {model.ir_version}, {path.stat().st_size / 1e6:.1f} MB")
    foreign = sorted({f"{node.domain}::{node.op_type}" for node in model.graph.node
                      if node.domain not in SERVED_DOMAINS})
    if foreign:
        faults.append(f"operators outside ai.onnx: {', '.join(foreign)}; export without them")
    if any(weight.data_location == onnx.TensorProto.EXTERNAL for weight in model.graph.initializer):
        faults.append("the weights lie in a second file; save with onnx.save(onnx.load(path), path) into one")
    inputs = session.get_inputs()
    for tensor in [*inputs, *session.get_outputs()]:
        print(f"  {'in ' if tensor in inputs else 'out'} {tensor.name}: {tensor.type} {tensor.shape}")
    if [tensor.name for tensor in inputs] != [sheet["input"]["name"]]:
        faults.append(f"inputs are {[tensor.name for tensor in inputs]}, model.toml says {sheet['input']['name']!r}")
    elif inputs[0].type != "tensor(float)":
        faults.append(f"the input is {inputs[0].type}; the detector feeds float32")
    elif len(inputs[0].shape) != {"chw": 3, "nchw": 4}[sheet["input"]["layout"]]:
        faults.append(f"the input has shape {inputs[0].shape}, model.toml says {sheet['input']['layout']}")
    outputs = {tensor.name: tensor.type for tensor in session.get_outputs()}
    if sheet["output"]["convention"] == "detectron2":
        for name, kind in INSTANCE_TYPES.items():
            if name not in outputs:
                faults.append(f"no output {name!r}")
            elif outputs[name] != kind:
                faults.append(f"output {name!r} is {outputs[name]}, not {kind}")
    elif len(outputs) > 1 and "name" not in sheet["output"]:
        faults.append("several outputs; name the one with the classes as `name` under [output]")
    return faults


def instance_faults(outputs: dict[str, np.ndarray], tensor: np.ndarray, sheet: dict) -> list[str]:
    """What Detectron2's convention forbids in one answer."""
    faults = []
    count = len(outputs["boxes"])
    for name, tail in INSTANCE_SHAPES.items():
        if outputs[name].shape != (count, *tail):
            faults.append(f"{name} has shape {outputs[name].shape}, not {(count, *tail)}")
    masks = outputs["masks"].shape
    if len(masks) not in (3, 4) or masks[0] != count or masks[1:-2] not in ((), (1,)) or 0 in masks[-2:]:
        faults.append(f"masks has shape {masks}, not {(count, 1, 28, 28)}")
    height, width = tensor.shape[-2:]
    if outputs["image_size"].tolist() != [height, width]:
        faults.append(f"image_size is {outputs['image_size'].tolist()}, the input was {[height, width]}")
    if faults or count == 0:
        return faults
    boxes, classes = outputs["boxes"], outputs["classes"]
    if not all(np.isfinite(outputs[name]).all() for name in ("boxes", "scores", "masks")):
        return ["not every number is finite"]
    limit = np.array([width, height, width, height]) + 0.5
    if (boxes < -0.5).any() or (boxes > limit).any():
        faults.append(f"boxes reach outside the input of {width}x{height}: another coordinate frame?")
    elif boxes.max() <= 1.5 and min(height, width) > 8:
        faults.append("boxes look normalised to 0-1; the convention wants pixels of the input")
    if (boxes[:, 2:] < boxes[:, :2]).any():
        faults.append("corners are out of order: the convention is left, top, right, bottom")
    if classes.min() < 0 or classes.max() >= len(sheet["labels"]):
        faults.append(f"classes {classes.min()} to {classes.max()} for {len(sheet['labels'])} labels")
    for name in ("scores", "masks"):
        if outputs[name].min() < -1e-4 or outputs[name].max() > 1.0001:
            faults.append(f"{name} lie outside 0-1: are they logits?")
    return faults


def class_faults(answer: np.ndarray, batch: int, sheet: dict) -> list[str]:
    """What is wrong with one answer of a classifier."""
    if answer.shape != (batch, len(sheet["labels"])):
        return [f"the answer has shape {answer.shape}, not {(batch, len(sheet['labels']))}"]
    if not np.isfinite(answer).all():
        return ["not every number is finite"]
    sums_to_one = bool((answer >= 0).all() and np.allclose(answer.sum(axis=1), 1, atol=1e-3))
    if sheet["output"]["convention"] == "probabilities" and not sums_to_one:
        return ["the answer does not sum to 1: is the convention `logits`?"]
    if sheet["output"]["convention"] == "logits" and sums_to_one:
        return ["the answer sums to 1: is the convention `probabilities`?"]
    return []


def run(session: onnxruntime.InferenceSession, tensor: np.ndarray, sheet: dict) -> tuple[list[str], str, int]:
    """Faults, a line to print and the number of detections (or rows) of one run."""
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {sheet["input"]["name"]: tensor}), strict=True))
    if sheet["output"]["convention"] == "detectron2":
        count = len(outputs["scores"])
        best = f", best score {outputs['scores'].max():.3f}" if count else ""
        return instance_faults(outputs, tensor, sheet), f"{count} detections{best}", count
    batch = tensor.shape[0] if tensor.ndim == 4 else 1
    answer = outputs[sheet["output"].get("name", names[0])]
    answer = answer[None] if answer.ndim == 1 else answer
    found = class_faults(answer, batch, sheet)
    line = "" if found else f"class {answer[0].argmax()} ({sheet['labels'][answer[0].argmax()]['name']})"
    return found, line, batch


def main() -> int:
    """Checks sheet, file and answers, and prints the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="models/NAME/VERSION/model.onnx")
    parser.add_argument("--image", type=Path, help="a photo; without one a drawn scene is used")
    args = parser.parse_args()
    sheet_path = args.model.resolve().parent.parent / "model.toml"
    sheet = tomllib.loads(sheet_path.read_text(encoding="utf-8"))
    faults = sheet_faults(sheet, sheet_path.parent.name, args.model.name)
    if faults:
        return verdict([f"{sheet_path}: {fault}" for fault in faults])

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
    faults = graph_faults(args.model, session, sheet)
    if faults:
        return verdict(faults)

    picture = Image.open(args.image).convert("RGB") if args.image else drawn_picture()
    pictures = {
        "picture": picture,
        "empty": Image.new("RGB", (640, 480)),
        "odd size": picture.resize((517, 333)),
        "tall": picture.resize((211, 607)),
        "tiny": picture.resize((23, 17)),
    }
    counts = []
    for name, each in pictures.items():
        tensor = tensor_from(each, sheet)
        found, line, count = run(session, tensor, sheet)
        counts.append(count)
        print(f"  {name} {each.width}x{each.height} as {list(tensor.shape)}: {line or 'wrong'}")
        faults += [f"{name}: {fault}" for fault in found]
    most = sheet.get("batching", {}).get("max_batch_size", 1)
    if most > 1:
        tensors = [tensor_from(pictures[name], sheet) for name in ("picture", "empty")]
        found, _, count = run(session, np.concatenate([tensors[index % 2] for index in range(most)]), sheet)
        print(f"  batch of {count}: {'wrong' if found else 'fine'}")
        faults += [f"batch: {fault}" for fault in found]
    if sheet["output"]["convention"] == "detectron2" and 0 not in counts:
        print("  note: no picture gave zero detections, so that case was not seen; export once with a high --score")
    return verdict(faults)


def verdict(faults: list[str]) -> int:
    """Prints the last word and turns it into the exit code."""
    for fault in faults:
        print(f"fault: {fault}")
    print("not servable" if faults else "servable")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
