"""Exports a torchvision classifier as `image -> logits`, normalisation inside, any batch."""

from __future__ import annotations

import torch
import torchvision
from torch import nn

import recipe

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class NormalisedClassifier(nn.Module):
    """Takes RGB in 0-1, so that `model.toml` needs no mean and std and nobody can forget them."""

    def __init__(self, network: nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """`image` `[n, 3, h, w]` to logits `[n, classes]`."""
        return self.network((image - self.mean) / self.std)


def main() -> None:
    """Builds, loads, exports and describes the network."""
    parser = recipe.arguments(__doc__)
    parser.add_argument("--arch", default="mobilenet_v3_small", help="a name that torchvision.models.get_model knows")
    parser.add_argument("--size", type=int, default=224, help="side of the square input the weights were trained for")
    parser.add_argument("--mean", type=float, nargs=3, default=IMAGENET_MEAN, help="RGB, in 0-1 units")
    parser.add_argument("--std", type=float, nargs=3, default=IMAGENET_STD, help="RGB, in 0-1 units")
    parser.add_argument("--max-batch", type=int, default=8)
    args = parser.parse_args()

    labels = recipe.read_labels(args.labels)
    network = torchvision.models.get_model(args.arch, weights=None, num_classes=len(labels)).eval()
    model = NormalisedClassifier(network, args.mean, args.std).eval()
    example = recipe.trial_image(args.size, args.size)[None] / 255
    if args.random_weights:
        torch.manual_seed(7)
        batch = torch.cat([example, example.flip(2), example.flip(3), 1 - example])
        recipe.calibrate_batch_norm(network, lambda: model(batch))
    else:
        recipe.load_state(network, args.weights)

    path = recipe.version_folder(args.out, args.name) / "model.onnx"
    recipe.export(model, example, path, {"logits": {0: "n"}}, inputs={"image": {0: "n"}})
    recipe.write_sheet(
        args.out,
        recipe.Sheet(
            name=args.name, task="classification", layout="nchw", channels="rgb", value_range="0-1",
            resize={"mode": "fixed", "width": args.size, "height": args.size}, convention="logits",
            labels=labels, max_batch_size=args.max_batch,
        ),
    )


if __name__ == "__main__":
    main()
