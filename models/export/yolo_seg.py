"""Turns the ONNX file of a YOLO-seg exporter into Detectron2's convention, by appending NMS and mask crops to it.

Imports no YOLO package: it works on the file that your own exporter wrote. See README.md for the
command, and for the licence of Ultralytics and of weights trained with it.
"""

from __future__ import annotations

import argparse
import ast
import tempfile
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, compose, helper
from torch import nn
from torchvision.ops import nms

import recipe


def mixed_masks(weights: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """Mask logits `[n, h, w]` of the whole input, each a weighted sum of the prototypes `[1, k, h, w]`."""
    height, width = prototypes.shape[-2:]
    return (weights @ prototypes[0].flatten(1)).reshape(-1, height, width)


class AnchorsToInstances(nn.Module):
    """`[1, 4+classes+k, anchors]` and prototypes `[1, k, h, w]` to instances."""

    def __init__(self, classes: int, size: tuple[int, int], args: argparse.Namespace) -> None:
        super().__init__()
        self.classes, self.size = classes, size
        self.score, self.iou, self.most = args.score, args.iou, args.detections
        self.masks_in_boxes = recipe.MasksInBoxes(args.mask_side)

    def forward(self, predictions: torch.Tensor, prototypes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Boxes come as centre and size in input pixels, class scores after their sigmoid."""
        rows = predictions[0].transpose(0, 1)
        scores, classes = rows[:, 4 : 4 + self.classes].max(dim=1)
        candidates = scores > self.score
        rows, scores, classes = rows[candidates], scores[candidates], classes[candidates]
        centres, half = rows[:, :2], rows[:, 2:4] / 2
        boxes = torch.cat([centres - half, centres + half], dim=1)
        # Shifting each class to its own place keeps classes from suppressing each other.
        shifted = boxes + classes.to(boxes.dtype)[:, None] * (2.0 * max(self.size))
        kept = nms(shifted, scores, self.iou)[: self.most]
        masks = mixed_masks(rows[kept][:, 4 + self.classes :], prototypes)
        return self.finish(boxes[kept], classes[kept], scores[kept], masks)

    def finish(
        self, boxes: torch.Tensor, classes: torch.Tensor, scores: torch.Tensor, masks: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Clips the boxes and cuts the masks, `[n, h, w]` logits, to them."""
        height, width = self.size
        boxes = torch.stack([
            boxes[:, 0].clamp(0, width), boxes[:, 1].clamp(0, height),
            boxes[:, 2].clamp(0, width), boxes[:, 3].clamp(0, height),
        ], dim=1)
        return boxes, classes, scores, self.masks_in_boxes(masks, boxes, self.size), torch.tensor(self.size)


class RowsToInstances(AnchorsToInstances):
    """The end-to-end layout, `[1, rows, 6+k]`: corners, score, class; NMS has been done or is not needed."""

    def forward(self, predictions: torch.Tensor, prototypes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Rows below the score are padding."""
        rows = predictions[0]
        rows = rows[rows[:, 4] > self.score]
        masks = mixed_masks(rows[:, 6:], prototypes)
        return self.finish(rows[:, :4], rows[:, 5].to(torch.int64), rows[:, 4], masks)


def fixed_shape(value: onnx.ValueInfoProto) -> list[int]:
    """The shape of a float32 tensor without open axes."""
    tensor = value.type.tensor_type
    shape = [axis.dim_value for axis in tensor.shape.dim]
    if 0 in shape or tensor.elem_type != TensorProto.FLOAT:
        raise SystemExit(f"{value.name} must be float32 of a fixed shape: export with dynamic=False half=False")
    return shape


def labels_of(model: onnx.ModelProto, path: Path | None) -> list[str]:
    """The labels of the file, or the `names` that the exporter stored in the graph."""
    if path:
        return recipe.read_labels(path)
    stored = {entry.key: entry.value for entry in model.metadata_props}.get("names")
    if stored is None:
        raise SystemExit("the file stores no names; pass --labels FILE, one label per line, class 0 first")
    names = ast.literal_eval(stored)
    return [names[index] for index in sorted(names)] if isinstance(names, dict) else list(names)


def tail_of(model: onnx.ModelProto, args: argparse.Namespace, class_count: int) -> onnx.ModelProto:
    """The graph that follows the exporter's, at the same opset and IR version."""
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if not 16 <= opset <= 20:
        raise SystemExit(f"the file has opset {opset}; export with opset={recipe.OPSET}")
    size = tuple(fixed_shape(model.graph.input[0])[-2:])
    first, second = (fixed_shape(output) for output in model.graph.output[:2])
    k = second[1]
    if first[2] == 6 + k and first[1] != 4 + class_count + k:
        tail = RowsToInstances(class_count, size, args)
    elif first[1] == 4 + class_count + k:
        tail = AnchorsToInstances(class_count, size, args)
    else:
        raise SystemExit(f"outputs {first} and {second} fit no known layout for {class_count} labels")
    print(f"layout: {type(tail).__name__}, {k} prototypes")
    # Random rows pass the score, so every step is traced with detections; their number stays open.
    example = torch.rand(first)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tail.onnx"
        recipe.export(tail, (example, torch.randn(second)), path, recipe.instance_axes(),
                      inputs={"predictions": {}, "prototypes": {}}, opset=opset)
        loaded = onnx.load(path)
    loaded.ir_version = model.ir_version
    return loaded


def joined(model: onnx.ModelProto, tail: onnx.ModelProto) -> onnx.ModelProto:
    """Both graphs in one, behind an input `image` without the batch axis."""
    names = [output.name for output in model.graph.output[:2]]
    head = compose.add_prefix(model, "net/")
    whole = compose.merge_models(
        head, tail, io_map=[("net/" + names[0], "predictions"), ("net/" + names[1], "prototypes")]
    )
    batched = whole.graph.input[0]
    shape = fixed_shape(batched)
    whole.graph.initializer.append(helper.make_tensor("batch_axis", TensorProto.INT64, [1], [0]))
    whole.graph.node.insert(0, helper.make_node("Unsqueeze", ["image", "batch_axis"], [batched.name]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape[1:])
    del whole.graph.input[:]
    whole.graph.input.append(image)
    # Merging lists the same operator set once per graph.
    opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in whole.opset_import}
    del whole.opset_import[:]
    whole.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in opsets.items())
    onnx.checker.check_model(whole)
    return whole


def main() -> None:
    """Reads the exported file, appends the tail and describes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="the .onnx file that your exporter wrote")
    parser.add_argument("--out", type=Path, required=True, help="model repository to write into, for example models")
    parser.add_argument("--name", required=True, help="name of the model, and of its folder")
    parser.add_argument("--labels", type=Path, help="one label per line; default: the names stored in the file")
    parser.add_argument("--score", type=float, default=0.05, help="detections below it are dropped inside the graph")
    parser.add_argument("--iou", type=float, default=0.7, help="overlap above which NMS drops the weaker box")
    parser.add_argument("--detections", type=int, default=100, help="most detections per image")
    recipe.add_mask_side(parser)
    args = parser.parse_args()

    model = onnx.load(args.weights)
    labels = labels_of(model, args.labels)
    whole = joined(model, tail_of(model, args, len(labels)))
    onnx.save(whole, recipe.version_folder(args.out, args.name) / "model.onnx")
    height, width = fixed_shape(whole.graph.input[0])[-2:]
    recipe.write_sheet(
        args.out,
        recipe.Sheet(
            name=args.name, task="instance-segmentation", layout="chw", channels="rgb", value_range="0-1",
            resize={"mode": "letterbox", "width": width, "height": height}, convention="detectron2",
            labels=labels, thresholds={"score": 0.5, "mask": 0.5},
        ),
    )


if __name__ == "__main__":
    main()
