"""Static int8 of the exported graphs: QDQ, per channel, calibrated on frames of the refinement.

Only convolutions and dense layers are quantised. What makes boxes out of numbers stays in fp32, and so do the first
convolution (its input range is the whole picture's) and the layers whose outputs are box deltas and class scores:
they are a fraction of the work and most of the loss.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image
from tqdm import tqdm

from data import picture_path
from evaluate import network_image

QUANTISED = ["Conv", "ConvTranspose", "Gemm"]
SENSITIVE = ("/stem/", "/box_predictor/", "/rpn/head/cls_logits", "/rpn/head/bbox_pred", "/mask_fcn_logits/")
"""Parts of node names that stay in fp32."""


class CalibrationFrames(CalibrationDataReader):
    """Evenly spaced frames of a COCO folder, resized as the product does."""

    def __init__(self, split: Path, count: int) -> None:
        images = json.loads((split / "annotations.json").read_text())["images"]
        chosen = np.linspace(0, len(images) - 1, count).astype(int)
        paths = [picture_path(split, images[index]) for index in chosen]
        self.left = iter(tqdm(paths, desc="calibrate", unit="frame"))

    def get_next(self) -> dict[str, np.ndarray] | None:
        path = next(self.left, None)
        return None if path is None else {"image": network_image(Image.open(path))}


def quantise(source: Path, target: Path, split: Path, count: int = 48) -> None:
    """Writes the int8 form of a single graph."""
    logging.getLogger().setLevel(logging.ERROR)
    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    kept = [node.name for node in onnx.load(prepared).graph.node if any(part in node.name for part in SENSITIVE)]
    quantize_static(
        str(prepared),
        str(target),
        CalibrationFrames(split, count),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=QUANTISED,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=kept,
    )
    prepared.unlink()
