"""Exports an RF-DETR segmentation network in Detectron2's convention: top queries, 28x28 masks in their boxes."""

from __future__ import annotations

import rfdetr
import torch
from torch import nn

import recipe

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class QueriesToInstances(nn.Module):
    """Selects detections as RF-DETR's own post-processing does, then cuts the masks to their boxes."""

    def __init__(self, network: nn.Module, class_count: int, *, most: int, score: float, mask_side: int) -> None:
        super().__init__()
        self.network, self.class_count, self.most, self.score = network, class_count, most, score
        self.masks_in_boxes = recipe.MasksInBoxes(mask_side)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """`image` `[3, h, w]`, RGB in 0-1, at the network's own size."""
        height, width = int(image.shape[1]), int(image.shape[2])
        centres, logits, masks = self.network(((image - self.mean) / self.std)[None])
        # Each class has its own sigmoid, so one query may answer for two classes.
        top, index = logits[0, :, : self.class_count].sigmoid().flatten().topk(self.most)
        kept = top > self.score
        scores, index = top[kept], index[kept]
        query = torch.div(index, self.class_count, rounding_mode="floor")
        x, y, w, h = centres[0][query].unbind(dim=1)
        corners = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=1).clamp(0, 1)
        boxes = corners * torch.tensor([width, height, width, height], dtype=corners.dtype)
        found_masks = self.masks_in_boxes(masks[0][query], boxes, (height, width))
        return boxes, index % self.class_count, scores, found_masks, recipe.size_of(image)


def main() -> None:
    """Builds, loads, exports and describes the network."""
    parser = recipe.arguments(__doc__)
    parser.add_argument("--arch", default="RFDETRSegNano", help="a segmentation class of the rfdetr package")
    parser.add_argument("--background", choices=["last", "none"], default="last",
                        help="last: fine-tuned weights, the slot after the labels is background; none: COCO weights")
    parser.add_argument("--score", type=float, default=0.05, help="detections below it are dropped inside the graph")
    recipe.add_mask_side(parser)
    args = parser.parse_args()

    labels = recipe.read_labels(args.labels)
    torch.manual_seed(7)
    settings = {"num_classes": len(labels) if args.background == "last" else len(labels) - 1, "device": "cpu"}
    # None must be said: the default is to fetch the published weights.
    settings["pretrain_weights"] = None if args.random_weights else str(args.weights)
    built = getattr(rfdetr, args.arch)(**settings)
    if not built.model_config.segmentation_head:
        raise SystemExit(f"{args.arch} predicts no masks; take one of the RFDETRSeg classes")
    network, side = built.model.model.cpu().eval(), built.model.resolution
    network.export()
    most = min(built.model_config.num_select, network.num_queries * len(labels))
    model = QueriesToInstances(
        network, len(labels), most=most, score=args.score, mask_side=args.mask_side
    ).eval()
    image = recipe.trial_image(side, side) / 255
    with torch.no_grad():
        slots = network(image[None])[1].shape[-1]
    if slots != settings["num_classes"] + 1:
        raise SystemExit(f"the network has {slots} class slots; with --background {args.background} it takes "
                         f"{slots - (args.background == 'last')} labels, {args.labels} holds {len(labels)}")

    path = recipe.version_folder(args.out, args.name) / "model.onnx"
    recipe.export(model, image, path, recipe.instance_axes())
    recipe.write_sheet(
        args.out,
        recipe.Sheet(
            name=args.name, task="instance-segmentation", layout="chw", channels="rgb", value_range="0-1",
            resize={"mode": "fixed", "width": side, "height": side}, convention="detectron2",
            labels=labels, thresholds={"score": 0.5, "mask": 0.5},
        ),
    )


if __name__ == "__main__":
    main()
