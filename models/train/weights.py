"""The network of `parts` with the weights of an exported graph, for what has to be computed in PyTorch."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torchvision.models.detection import MaskRCNN

from net import build

LAYERS = ("Conv", "ConvTranspose", "Gemm")


def read(path: Path) -> MaskRCNN:
    """The network of model.onnx; batch norms, which the export made part of the convolutions, only add their bias."""
    graph = onnx.load(path).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    model = build().eval()
    left = {name for name, module in model.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))}
    left |= {name for name, module in model.named_modules() if isinstance(module, nn.ConvTranspose2d)}
    for node in graph.node:
        if node.op_type in LAYERS and (name := module_name(node.name)) in left:
            weight, bias = (torch.from_numpy(tensors[tensor].copy()) for tensor in node.input[1:])
            fill(model, name, weight, bias)
            left.remove(name)
    if left:
        raise ValueError(f"{path} has no layers named {', '.join(sorted(left))}")
    return model


def module_name(node: str) -> str:
    """What the tracer called "/roi_heads/mask_head/mask_head.0/mask_head.0.0/Conv" is roi_heads.mask_head.0.0."""
    kept: list[str] = []
    for word in node.strip("/").split("/")[:-1]:
        if kept and word.startswith(kept[-1] + "."):
            kept.pop()
        kept.append(word)
    return ".".join(kept)


def fill(model: MaskRCNN, name: str, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Sets one layer; a convolution without a bias has it in the batch norm behind it."""
    layer = model.get_submodule(name)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if layer.bias is not None:
            layer.bias.copy_(bias)
            return
        parent, _, index = name.rpartition(".")
        norm = model.get_submodule(f"{parent}.{int(index) + 1}")
        norm.running_mean.zero_()
        norm.running_var.fill_(1)
        norm.weight.fill_((1 + norm.eps) ** 0.5)
        norm.bias.copy_(bias)
