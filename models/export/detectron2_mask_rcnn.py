"""Exports a Detectron2 Mask R-CNN by its own `TracingAdapter`: raw image in, 28x28 masks out, no resize inside."""

from __future__ import annotations

from pathlib import Path

import torch
from detectron2 import model_zoo
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import CfgNode, get_cfg
from detectron2.data import MetadataCatalog
from detectron2.export import TracingAdapter
from detectron2.modeling import GeneralizedRCNN, build_model

import recipe


def read_config(source: str, options: list[str]) -> CfgNode:
    """The configuration at a path, or the one of that name in Detectron2's model zoo."""
    config = get_cfg()
    config.merge_from_file(source if Path(source).is_file() else model_zoo.get_config_file(source))
    config.merge_from_list(options)
    config.MODEL.DEVICE = "cpu"
    # Weights are loaded by this script; the configuration's own would be fetched from the network.
    config.MODEL.WEIGHTS = ""
    if not config.MODEL.MASK_ON:
        raise SystemExit(f"{source} has MODEL.MASK_ON false; the detector needs masks")
    return config


def named_outputs(network: GeneralizedRCNN, inputs: list[dict[str, torch.Tensor]]) -> tuple[torch.Tensor, ...]:
    """The tensors in the order of `recipe.INSTANCE_OUTPUTS`; left alone, the adapter sorts fields by name."""
    found = network.inference(inputs, do_postprocess=False)[0]
    size = recipe.size_of(inputs[0]["image"])
    return found.pred_boxes.tensor, found.pred_classes, found.scores, found.pred_masks, size


def labels_of(config: CfgNode, path: Path | None) -> list[str]:
    """The labels of the file, or those of the test data set that the configuration names."""
    if path:
        labels = recipe.read_labels(path)
    else:
        labels = MetadataCatalog.get(config.DATASETS.TEST[0]).get("thing_classes", [])
    if len(labels) != config.MODEL.ROI_HEADS.NUM_CLASSES:
        raise SystemExit(
            f"{len(labels)} labels for {config.MODEL.ROI_HEADS.NUM_CLASSES} classes; pass --labels FILE, class 0 first"
        )
    return labels


def main() -> None:
    """Builds, loads, exports and describes the network."""
    parser = recipe.arguments(__doc__, labels_required=False)
    parser.add_argument("--config", default="COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml",
                        help="a configuration file, or its name in the model zoo")
    parser.add_argument("--score", type=float, default=0.05, help="detections below it are dropped inside the graph")
    parser.add_argument("--opts", nargs="*", default=[], help="KEY VALUE pairs that override the configuration")
    args = parser.parse_args()

    config = read_config(args.config, args.opts)
    config.MODEL.ROI_HEADS.SCORE_THRESH_TEST = args.score
    labels = labels_of(config, args.labels)
    torch.manual_seed(7)
    network = build_model(config).eval()
    shortest, longest = config.INPUT.MIN_SIZE_TEST, config.INPUT.MAX_SIZE_TEST
    image = recipe.trial_image(shortest, min(round(shortest * 4 / 3), longest))
    if args.random_weights:
        recipe.calibrate_batch_norm(network, lambda: named_outputs(network, [{"image": image}]))
        recipe.spread_logits(
            network.roi_heads.box_predictor.cls_score, lambda: named_outputs(network, [{"image": image}])
        )
    else:
        DetectionCheckpointer(network).load(str(args.weights))

    adapter = TracingAdapter(network, [{"image": image}], named_outputs)
    path = recipe.version_folder(args.out, args.name) / "model.onnx"
    recipe.export(adapter, image, path, recipe.instance_axes(), inputs={"image": {1: "h", 2: "w"}})
    recipe.write_sheet(
        args.out,
        recipe.Sheet(
            name=args.name, task="instance-segmentation", layout="chw", channels=config.INPUT.FORMAT.lower(),
            value_range="0-255", resize={"mode": "shortest-edge", "shortest": shortest, "longest": longest},
            convention="detectron2", labels=labels, thresholds={"score": 0.5, "mask": 0.5},
        ),
    )


if __name__ == "__main__":
    main()
