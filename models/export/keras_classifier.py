"""Exports a Keras 3 classifier by its own `model.export(format="onnx")`: channels first, any batch, our names."""

from __future__ import annotations

import os

# Before keras is imported: the torch backend needs neither TensorFlow nor tf2onnx for the export.
os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import onnx

import recipe


def trial_network(size: int, class_count: int) -> keras.Model:
    """An untrained MobileNetV3 whose BatchNorm and class layer are set so that answers differ."""
    keras.utils.set_random_seed(7)
    network = keras.applications.MobileNetV3Small(
        input_shape=(size, size, 3), weights=None, classes=class_count, dropout_rate=0.0, classifier_activation=None
    )
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    example = recipe.trial_image(size, size).permute(1, 2, 0)[None]
    batch = keras.ops.concatenate([example, 255 - example, keras.ops.flip(example, 1)])
    network(batch, training=True)
    last = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    last.kernel.assign(last.kernel / keras.ops.maximum(keras.ops.std(network(batch)), 1e-6))
    return keras.Model(network.inputs, keras.layers.Softmax()(network.outputs[0]))


def channels_first(network: keras.Model) -> keras.Model:
    """The network behind an input `image` `[n, channels, h, w]`, which is what the detector feeds."""
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise SystemExit("this recipe exports classifiers with one input and one output")
    _, height, width, channels = network.inputs[0].shape
    if None in (height, width) or channels not in (1, 3):
        raise SystemExit(f"the network's input is {network.inputs[0].shape}; it needs fixed (height, width, 1 or 3)")
    image = keras.Input((channels, height, width), name="image")
    model = keras.Model(image, network(keras.layers.Permute((2, 3, 1))(image)))
    # The exporter refuses a model that has never run.
    model(keras.ops.zeros((1, channels, height, width)))
    return model


def rename_output(path: str, name: str) -> None:
    """Keras numbers its ONNX outputs; the file gets the name of its convention and one open batch axis."""
    model = onnx.load(path)
    output = model.graph.output[0]
    for node in model.graph.node:
        for index, each in enumerate(node.output):
            if each == output.name:
                node.output[index] = name
        for index, each in enumerate(node.input):
            if each == output.name:
                node.input[index] = name
    output.name = name
    output.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main() -> None:
    """Loads, wraps, exports and describes the network."""
    parser = recipe.arguments(__doc__)
    parser.add_argument("--range", choices=["0-255", "0-1"], default="0-255",
                        help="what the network itself expects; keras.applications with built-in preprocessing: 0-255")
    parser.add_argument("--output", choices=["probabilities", "logits"], default="probabilities",
                        help="whether the network ends in softmax")
    parser.add_argument("--size", type=int, default=96, help="side of the trial network; ignored with --weights")
    parser.add_argument("--max-batch", type=int, default=8)
    args = parser.parse_args()

    labels = recipe.read_labels(args.labels)
    if args.random_weights:
        network = trial_network(args.size, len(labels))
    else:
        network = keras.models.load_model(args.weights, compile=False)
    model = channels_first(network)
    if model.output_shape[-1] != len(labels):
        raise SystemExit(f"{args.labels} holds {len(labels)} labels, the network has {model.output_shape[-1]} classes")

    path = recipe.version_folder(args.out, args.name) / "model.onnx"
    # No input_signature: a fixed one takes another exporter, which ignores the opset and fixes the batch.
    model.export(str(path), format="onnx", opset_version=recipe.OPSET, verbose=False)
    rename_output(str(path), args.output)
    _, channels, height, width = model.input_shape
    recipe.write_sheet(
        args.out,
        recipe.Sheet(
            name=args.name, task="classification", layout="nchw", channels="rgb" if channels == 3 else "gray",
            value_range=args.range, resize={"mode": "fixed", "width": width, "height": height},
            convention=args.output, labels=labels, max_batch_size=args.max_batch,
        ),
    )


if __name__ == "__main__":
    main()
