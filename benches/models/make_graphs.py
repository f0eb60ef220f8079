"""Makes the models of the frame tax: they take the input of a real Mask R-CNN and always give the same answer.

    python make_graphs.py                # needs onnx; writes the model repository it lies in

- `ten`: 10 things of 360x360 pixels in a frame of 1920x1080
- `hundred`: 100 things of 180x180 pixels in such a frame

Each thing is a disc, as a mask of 28x28. The input is looked at in one pixel alone, so the network costs nothing and
all that is left is the way of a frame through the pipeline.
"""

import math
import pathlib

import onnx
from onnx import TensorProto, helper

OPSET = 17
ROOT = pathlib.Path(__file__).parent
FRAME_WIDTH, FRAME_HEIGHT = 1920, 1080
MASK = 28
LABELS = {
    "bolt": "#e6194b",
    "nut": "#3cb44b",
    "washer": "#4363d8",
    "gear": "#f58231",
    "bracket": "#911eb4",
    "spring": "#42d4f4",
}
MANIFEST = """# {comment}; made by make_graphs.py.
name = "{name}"
task = "instance-segmentation"

[input]
name = "image"
layout = "chw"
channels = "bgr"
range = "0-255"
resize = {{ mode = "shortest-edge", shortest = 800, longest = 1333 }}

[output]
convention = "detectron2"

[thresholds]
score = 0.5
mask = 0.5

[files]
fp32 = "model.onnx"
"""


def boxes(columns: int, rows: int, side: int) -> list[float]:
    """Left, top, right, bottom as shares of the frame, in rows from the top left."""
    found = []
    for row in range(rows):
        for column in range(columns):
            left = (FRAME_WIDTH - side) * column / (columns - 1) / FRAME_WIDTH
            top = (FRAME_HEIGHT - side) * row / (rows - 1) / FRAME_HEIGHT
            found += [left, top, left + side / FRAME_WIDTH, top + side / FRAME_HEIGHT]
    return found


def disc() -> list[float]:
    """Probabilities that cross 0.5 on the circle that touches all four sides."""
    middle = (MASK - 1) / 2
    radius = MASK / 2
    distance = (math.hypot(x - middle, y - middle) for y in range(MASK) for x in range(MASK))
    return [min(max(0.5 + (radius - d) / 4, 0.0), 1.0) for d in distance]


def make(name: str, comment: str, grid: tuple[int, int, int]) -> None:
    columns, rows, side = grid
    count = columns * rows
    nodes = [
        helper.make_node("Shape", ["image"], ["image_size"], start=1),
        helper.make_node("Cast", ["image_size"], ["size"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["size", "x_y_x_y"], ["edges"]),
        helper.make_node("Mul", ["edges", "shares"], ["boxes"]),
        # A graph that does not look at its input loses it to the optimiser.
        helper.make_node("Slice", ["image", "first", "second"], ["pixel"]),
        helper.make_node("Reshape", ["pixel", "one"], ["value"]),
        helper.make_node("Mul", ["value", "zero"], ["nothing"]),
        helper.make_node("Add", ["base_scores", "nothing"], ["scores"]),
        helper.make_node("Identity", ["base_classes"], ["classes"]),
        helper.make_node("Expand", ["disc", "masks_shape"], ["masks"]),
    ]
    constants = [
        helper.make_tensor("x_y_x_y", TensorProto.INT64, [4], [1, 0, 1, 0]),
        helper.make_tensor("shares", TensorProto.FLOAT, [count, 4], boxes(columns, rows, side)),
        helper.make_tensor("first", TensorProto.INT64, [3], [0, 0, 0]),
        helper.make_tensor("second", TensorProto.INT64, [3], [1, 1, 1]),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("base_scores", TensorProto.FLOAT, [count], [0.99 - 0.004 * n for n in range(count)]),
        helper.make_tensor("base_classes", TensorProto.INT64, [count], [n % len(LABELS) for n in range(count)]),
        helper.make_tensor("disc", TensorProto.FLOAT, [1, 1, MASK, MASK], disc()),
        helper.make_tensor("masks_shape", TensorProto.INT64, [4], [count, 1, MASK, MASK]),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [3, "height", "width"])]
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [count, 4]),
        helper.make_tensor_value_info("classes", TensorProto.INT64, [count]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [count]),
        helper.make_tensor_value_info("masks", TensorProto.FLOAT, [count, 1, MASK, MASK]),
        helper.make_tensor_value_info("image_size", TensorProto.INT64, [2]),
    ]
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    save(name, comment, graph)


def save(name: str, comment: str, graph: onnx.GraphProto) -> None:
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, producer_name="kadr-benches")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    folder = ROOT / name / "1"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    labels = [f'\n[[labels]]\nname = "{label}"\ncolor = "{color}"\n' for label, color in LABELS.items()]
    (ROOT / name / "model.toml").write_text(MANIFEST.format(name=name, comment=comment) + "".join(labels))
    print(f"{name}: {(folder / 'model.onnx').stat().st_size} bytes")


if __name__ == "__main__":
    make("ten", "Ten things, always the same", (5, 2, 360))
    make("hundred", "A hundred things, always the same", (10, 10, 180))
