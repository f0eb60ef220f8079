"""What every recipe shares: arguments, the export call, trial weights and the model's folder."""

from __future__ import annotations

import argparse
import colorsys
import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

OPSET = 17
INSTANCE_OUTPUTS = ["boxes", "classes", "scores", "masks", "image_size"]
"""Detectron2's convention, by the names under which the detector looks the tensors up."""


@dataclass(frozen=True)
class Sheet:
    """The contents of one `model.toml`; the fields bear the names of its keys."""

    name: str
    task: str
    layout: str
    channels: str
    value_range: str
    resize: dict[str, int | str]
    convention: str
    labels: list[str]
    thresholds: dict[str, float] = field(default_factory=dict)
    max_batch_size: int = 1
    input_name: str = "image"

    def text(self) -> str:
        """The sheet as TOML."""
        resize = ", ".join(f"{key} = {json.dumps(value)}" for key, value in self.resize.items())
        lines = [
            f"name = {_quoted(self.name)}",
            f'task = "{self.task}"',
            "",
            "[input]",
            f"name = {_quoted(self.input_name)}",
            f'layout = "{self.layout}"',
            f'channels = "{self.channels}"',
            f'range = "{self.value_range}"',
            f"resize = {{ {resize} }}",
            "",
            "[output]",
            f'convention = "{self.convention}"',
            "",
            *(["[thresholds]", *(f"{key} = {value}" for key, value in self.thresholds.items()), ""]
              if self.thresholds else []),
            "[batching]",
            f"max_batch_size = {self.max_batch_size}",
            "",
            "[files]",
            'fp32 = "model.onnx"',
        ]
        for index, label in enumerate(self.labels):
            colour = _colour(index, len(self.labels))
            lines += ["", "[[labels]]", f"name = {_quoted(label)}", f'color = "{colour}"']
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # JSON's escapes are a subset of those of TOML's basic strings.
    return json.dumps(text, ensure_ascii=False)


def _colour(index: int, count: int) -> str:
    red, green, blue = colorsys.hsv_to_rgb(index / max(count, 1), 0.85 if index % 2 else 0.65, 0.95)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def arguments(description: str, labels_required: bool = True) -> argparse.ArgumentParser:
    """The arguments of every recipe; each adds its own."""
    parser = argparse.ArgumentParser(description=description)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", type=Path, help="the trained weights")
    source.add_argument(
        "--random-weights", action="store_true", help="try the route without weights; the result knows nothing"
    )
    parser.add_argument("--out", type=Path, required=True, help="model repository to write into, for example models")
    parser.add_argument("--name", required=True, help="name of the model, and of its folder")
    parser.add_argument(
        "--labels", type=Path, required=labels_required, help="text file, one label per line, class 0 first"
    )
    return parser


def read_labels(path: Path) -> list[str]:
    """One label per line, class 0 first."""
    labels = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not labels:
        raise SystemExit(f"{path} holds no label; write one per line, class 0 first")
    return labels


def load_state(network: nn.Module, weights: Path) -> None:
    """Loads a state dict, or a training checkpoint that holds one under `model` or `state_dict`."""
    state = torch.load(weights, map_location="cpu", weights_only=True)
    for key in ("model", "state_dict"):
        if isinstance(state.get(key), dict):
            state = state[key]
    network.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})


def version_folder(out: Path, name: str) -> Path:
    """The folder of version 1, made if it is missing."""
    folder = out / name / "1"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def add_mask_side(parser: argparse.ArgumentParser) -> None:
    """For networks whose masks cover the whole image."""
    parser.add_argument(
        "--mask-side", type=int, default=28, help="side of the mask cut for each box; more keeps large outlines sharper"
    )


def write_sheet(out: Path, sheet: Sheet) -> None:
    """Writes `model.toml` beside the version folder and says what to do next."""
    path = out / sheet.name / "model.toml"
    path.write_text(sheet.text(), encoding="utf-8")
    model = out / sheet.name / "1" / "model.onnx"
    print(f"wrote {model} ({model.stat().st_size / 1e6:.1f} MB) and {path}")
    print(f"next: python {Path(__file__).with_name('check.py')} {model}")


def export(
    module: nn.Module, examples: torch.Tensor | tuple[torch.Tensor, ...], path: Path,
    outputs: dict[str, dict[int, str]], *, inputs: dict[str, dict[int, str]] | None = None, opset: int = OPSET,
) -> None:
    """Traces `module` on `examples` into `path`; `inputs` and `outputs` map each name to its moving axes."""
    inputs = inputs or {"image": {}}
    # The exporter puts children back into the wrapper's mode: a wrapper in train mode undoes their eval().
    module.eval()
    axes = {name: moving for name, moving in (inputs | outputs).items() if moving}
    examples = (examples,) if isinstance(examples, torch.Tensor) else examples
    with warnings.catch_warnings(), torch.no_grad():
        # Detection code trips many harmless tracer warnings; check.py runs other sizes than the traced one.
        for category in (torch.jit.TracerWarning, DeprecationWarning, UserWarning):
            warnings.simplefilter("ignore", category=category)
        torch.onnx.export(
            module, examples, str(path), input_names=list(inputs), output_names=list(outputs),
            dynamic_axes=axes, opset_version=opset, do_constant_folding=True, dynamo=False,
        )


def instance_axes() -> dict[str, dict[int, str]]:
    """The moving axes of Detectron2's outputs: only the number of detections."""
    return {name: {} if name == "image_size" else {0: "n"} for name in INSTANCE_OUTPUTS}


def size_of(image: torch.Tensor) -> torch.Tensor:
    """`[height, width]` as a traced int64 tensor, so that it follows the input."""
    return torch.onnx.operators.shape_as_tensor(image)[-2:]


def trial_image(height: int, width: int) -> torch.Tensor:
    """Hard-edged blocks, smooth light and noise in 0-255, `[3, height, width]`: as lively as a photo."""
    generator = torch.Generator().manual_seed(7)
    blocks = torch.rand(1, 3, 9, 12, generator=generator)
    light = torch.rand(1, 3, 4, 5, generator=generator)
    image = 0.6 * nn.functional.interpolate(blocks, size=(height, width), mode="nearest")[0]
    image += 0.4 * nn.functional.interpolate(light, size=(height, width), mode="bilinear", align_corners=False)[0]
    noise = torch.randn(3, height, width, generator=generator) * 0.05
    return (image + noise).clamp(0, 1) * 255


def calibrate_batch_norm(network: nn.Module, run_once) -> int:
    """Gives every BatchNorm, frozen or not, the statistics of one forward pass.

    Random weights without them explode, and saturated scores prove nothing. Layers are set in
    the order in which they run, each on what the calibrated ones before it put out.
    """

    def set_statistics(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        values = inputs[0].detach()
        layer.running_mean.copy_(values.mean(dim=(0, 2, 3)))
        layer.running_var.copy_(values.var(dim=(0, 2, 3), unbiased=False).clamp_min(1e-3))

    layers = [layer for layer in network.modules() if getattr(layer, "running_var", None) is not None]
    handles = [layer.register_forward_pre_hook(set_statistics) for layer in layers]
    with torch.no_grad():
        run_once()
    for handle in handles:
        handle.remove()
    return len(layers)


def spread_logits(layer: nn.Linear, run_once, spread: float = 1.0) -> None:
    """Centres and scales an untrained class layer, so that logits differ between regions and some pass a threshold."""
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output.flatten(0, -2)))
    with torch.no_grad():
        run_once()
        scale = spread / seen[0].std(dim=0).mean().clamp_min(1e-6)
        # The mean over all regions says nothing; only what differs between them shall decide.
        layer.bias.copy_((layer.bias - seen[0].mean(dim=0)) * scale)
        layer.weight.mul_(scale)
    handle.remove()


class MasksInBoxes(nn.Module):
    """Cuts whole-image mask logits to a square of probabilities inside each box.

    The way from one-stage networks to Detectron2's convention. Pooling comes before the sigmoid,
    so that probability 0.5 lies where the network's own logit 0 lies.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, logits: torch.Tensor, boxes: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
        """`logits` `[n, h, w]` cover the whole image, `boxes` `[n, 4]` are corners in image pixels."""
        from torchvision.ops import roi_align

        scale = torch.tensor(
            [logits.shape[-1] / image_size[1], logits.shape[-2] / image_size[0]] * 2, dtype=boxes.dtype
        )
        # One mask per "image" of the batch: the first column of a region is its row in `logits`.
        rows = torch.arange(boxes.shape[0]).to(boxes.dtype)[:, None]
        regions = torch.cat([rows, boxes * scale], dim=1)
        return roi_align(logits[:, None], regions, output_size=self.side, sampling_ratio=2, aligned=True).sigmoid()
