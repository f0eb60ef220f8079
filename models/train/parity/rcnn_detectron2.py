"""A tiny Detectron2 Mask R-CNN, exported by `TracingAdapter` as its own tool does: with masks in their boxes, and pasted."""

from __future__ import annotations

import torch
from detectron2.config import get_cfg
from detectron2.export import TracingAdapter
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone, build_model
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Instances
from torch import nn

from common import PICTURES, Fixture, detection, feed, picture, scramble, spread, threshold_for

LABELS = ["bolt", "nut", "gear"]
WIDTH = 12
SHORTEST, LONGEST = 96, 192


@BACKBONE_REGISTRY.register()
class TinyBackbone(Backbone):
    """Three convolutions in place of a ResNet."""

    def __init__(self, _config, _shape) -> None:
        super().__init__()
        stages = [nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.SiLU(), nn.Conv2d(12, WIDTH, 3, 2, 1), nn.SiLU()]
        self.stages = nn.Sequential(*stages)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"p3": self.stages(image)}

    def output_shape(self) -> dict[str, ShapeSpec]:
        return {"p3": ShapeSpec(channels=WIDTH, stride=8)}


def configuration():
    config = get_cfg()
    config.merge_from_list([
        "MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", "", "MODEL.MASK_ON", True,
        "MODEL.META_ARCHITECTURE", "GeneralizedRCNN", "MODEL.BACKBONE.NAME", "TinyBackbone",
        "MODEL.PIXEL_STD", [58.0, 57.0, 57.0],
        "MODEL.RPN.IN_FEATURES", ["p3"], "MODEL.ANCHOR_GENERATOR.SIZES", [[16, 32, 64]],
        "MODEL.RPN.PRE_NMS_TOPK_TEST", 100, "MODEL.RPN.POST_NMS_TOPK_TEST", 40,
        "MODEL.ROI_HEADS.NAME", "StandardROIHeads", "MODEL.ROI_HEADS.IN_FEATURES", ["p3"],
        "MODEL.ROI_HEADS.NUM_CLASSES", len(LABELS), "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.05,
        "MODEL.ROI_HEADS.NMS_THRESH_TEST", 0.3, "TEST.DETECTIONS_PER_IMAGE", 12,
        "MODEL.ROI_BOX_HEAD.NAME", "FastRCNNConvFCHead", "MODEL.ROI_BOX_HEAD.NUM_FC", 1,
        "MODEL.ROI_BOX_HEAD.FC_DIM", 32, "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 3,
        "MODEL.ROI_MASK_HEAD.NAME", "MaskRCNNConvUpsampleHead", "MODEL.ROI_MASK_HEAD.NUM_CONV", 1,
        "MODEL.ROI_MASK_HEAD.CONV_DIM", WIDTH, "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", 14,
    ])
    return config


def pasted(network: nn.Module, inputs: list[dict]) -> tuple[torch.Tensor, ...]:
    """The post-processed answer, its masks as large as the input."""
    height, width = inputs[0]["image"].shape[-2:]
    found = detector_postprocess(network.inference(inputs, do_postprocess=False)[0], height, width)
    return found.pred_boxes.tensor, found.pred_classes, found.pred_masks, found.scores


def in_boxes(network: nn.Module, inputs: list[dict]) -> tuple[torch.Tensor, ...]:
    """The answer by the names of its fields, as the adapter sorts them."""
    found = network.inference(inputs, do_postprocess=False)[0]
    size = torch.stack([torch.as_tensor(side) for side in inputs[0]["image"].shape[-2:]])
    return found.pred_boxes.tensor, found.pred_classes, found.pred_masks, found.scores, size


def decode(network: nn.Module, tensor: torch.Tensor, placement, least: float, as_pasted: bool) -> list[dict]:
    """What the framework itself says of a picture, its masks pasted by the framework into the frame.

    Of the pasted graph nobody has the masks before they are pasted, so the pasted ones are enlarged.
    """
    found: Instances = network.inference([{"image": tensor}], do_postprocess=False)[0]
    height, width = tensor.shape[-2:]
    if as_pasted:
        answer = detector_postprocess(found, height, width)
        masks = [placement.field_in_frame(mask[None].float())[0] >= 0.5 for mask in answer.pred_masks]
        boxes = placement.boxes_in_frame(answer.pred_boxes.tensor)
    else:
        answer = detector_postprocess(found, placement.frame[1], placement.frame[0])
        masks, boxes = answer.pred_masks, answer.pred_boxes.tensor
    kept = torch.nonzero(answer.scores >= least).flatten().tolist()
    return [detection(answer.pred_classes[at], answer.scores[at], boxes[at], masks[at]) for at in kept]


@torch.no_grad()
def make(name: str, as_pasted: bool) -> None:
    resize = {"mode": "shortest-edge", "shortest": SHORTEST, "longest": LONGEST}
    sheet = {"name": "image", "layout": "chw", "channels": "bgr", "range": "0-255", "resize": resize}
    network = scramble(build_model(configuration()), seed=61)
    fed = [feed(picture(*each), sheet) for each in PICTURES]
    scene = fed[0][0]
    run = lambda: network.inference([{"image": scene}], do_postprocess=False)
    head, predictor = network.proposal_generator.rpn_head, network.roi_heads.box_predictor
    spread(head.objectness_logits, run, 2.0)
    spread(head.anchor_deltas, run, 0.3)
    spread(predictor.cls_score, run, 2.0)
    spread(predictor.bbox_pred, run, 0.5)
    spread(network.roi_heads.mask_head.predictor, run, 2.0)
    least = threshold_for([decode(network, *each, 0.05, as_pasted) for each in fed], empty=(2, 5))
    fixture = Fixture(
        name=name, task="instance-segmentation", input=sheet, output={"convention": "detectron2"}, labels=LABELS,
        thresholds={"score": least},
    )
    names = ["pred_boxes", "pred_classes", "pred_masks", "scores"] + ([] if as_pasted else ["image_size"])
    axes = {"image": {1: "height", 2: "width"}} | {each: {0: "n"} for each in names[:4]}
    if as_pasted:
        axes["pred_masks"] |= {1: "height", 2: "width"}
    adapter = TracingAdapter(network, [{"image": scene}], pasted if as_pasted else in_boxes)
    fixture.export(adapter, scene, names, axes, slim=not as_pasted)
    fixture.write([decode(network, *each, least, as_pasted) for each in fed])


def main() -> None:
    make("detectron2", as_pasted=False)
    make("detectron2-pasted", as_pasted=True)


if __name__ == "__main__":
    main()
