"""Exports a torchvision Mask R-CNN in Detectron2's convention: resize outside, 28x28 masks, classes from 0."""

from __future__ import annotations

import importlib

import torch
import torchvision
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList

import recipe


class HeadsOnly(nn.Module):
    """The network without its own resize and without its mask paste."""

    def __init__(self, network: MaskRCNN) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """`image` `[3, h, w]`, RGB in 0-1, already resized; answers in that same frame."""
        network = self.network
        padded = network.transform.batch_images([network.transform.normalize(image)])
        images = ImageList(padded, [image.shape[-2:]])
        features = network.backbone(images.tensors)
        proposals, _ = network.rpn(images, features)
        found = network.roi_heads(features, proposals, images.image_sizes)[0][0]
        # torchvision counts background as class 0; the convention has no background.
        return found["boxes"], found["labels"] - 1, found["scores"], found["masks"], recipe.size_of(image)


def build(factory: str, class_count: int) -> MaskRCNN:
    """`factory` is a builder of torchvision, or `module:function` of your own taking `num_classes`."""
    if ":" in factory:
        module, function = factory.split(":", 1)
        network = getattr(importlib.import_module(module), function)(num_classes=class_count)
    else:
        builder = getattr(torchvision.models.detection, factory)
        network = builder(weights=None, weights_backbone=None, num_classes=class_count)
    if not isinstance(network, MaskRCNN):
        raise SystemExit(f"{factory} built a {type(network).__name__}; this recipe exports a torchvision MaskRCNN")
    return network.eval()


def main() -> None:
    """Builds, loads, exports and describes the network."""
    parser = recipe.arguments(__doc__)
    parser.add_argument("--factory", default="maskrcnn_resnet50_fpn", help="torchvision builder or module:function")
    parser.add_argument("--score", type=float, default=0.05, help="detections below it are dropped inside the graph")
    parser.add_argument("--detections", type=int, default=100, help="most detections per image")
    parser.add_argument("--shortest", type=int, help="shortest edge at inference; default: the network's min_size")
    parser.add_argument("--longest", type=int, help="longest edge at inference; default: the network's max_size")
    parser.add_argument("--batch-norm-eps", type=float, help="0 for torchvision's own COCO_V1 ResNet-50 weights")
    args = parser.parse_args()

    labels = recipe.read_labels(args.labels)
    torch.manual_seed(7)
    network = build(args.factory, len(labels) + 1)
    network.roi_heads.score_thresh = args.score
    network.roi_heads.detections_per_img = args.detections
    model = HeadsOnly(network).eval()
    shortest = args.shortest or network.transform.min_size[-1]
    longest = args.longest or network.transform.max_size
    example = recipe.trial_image(shortest, min(round(shortest * 4 / 3), longest)) / 255
    if args.random_weights:
        recipe.calibrate_batch_norm(network, lambda: model(example))
        recipe.spread_logits(network.roi_heads.box_predictor.cls_score, lambda: model(example))
    else:
        recipe.load_state(network, args.weights)
    if args.batch_norm_eps is not None:
        for layer in network.backbone.body.modules():
            if hasattr(layer, "running_var"):
                layer.eps = args.batch_norm_eps

    path = recipe.version_folder(args.out, args.name) / "model.onnx"
    recipe.export(model, example, path, recipe.instance_axes(), inputs={"image": {1: "h", 2: "w"}})
    recipe.write_sheet(
        args.out,
        recipe.Sheet(
            name=args.name, task="instance-segmentation", layout="chw", channels="rgb", value_range="0-1",
            resize={"mode": "shortest-edge", "shortest": shortest, "longest": longest}, convention="detectron2",
            labels=labels, thresholds={"score": 0.5, "mask": 0.5},
        ),
    )


if __name__ == "__main__":
    main()
