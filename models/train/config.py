"""What the recipe and the product must agree on: classes, colours, sizes, places and seeds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "models"
WORK = Path(os.environ.get("KADR_TRAIN_DIR", REPOSITORY / ".kadr" / "train"))

# In class order: the index is the 0-based class of the exported graphs, the colour is the one in model.toml.
PART_COLOURS = {
    "bolt": "#e6194b",
    "nut": "#3cb44b",
    "washer": "#4363d8",
    "gear": "#f58231",
    "bracket": "#911eb4",
    "spring": "#42d4f4",
    "defect": "#ffe119",
}
PARTS = list(PART_COLOURS)
KINDS = [name for name in PARTS if name != "defect"]

SHORTEST, LONGEST = 320, 640
"""The input convention of `parts`: shortest edge 320 px, unless the longest would pass 640 px."""

CROP = 320
"""Side of the square training crops, in network pixels."""

MASK_SIDE = 28
KIND_SIDE = 96


@dataclass(frozen=True)
class Seeds:
    """Every random choice of the recipe starts from one of these."""

    training: int = 1
    refinement: int = 2
    moves: int = 11
    unseen: int = 900_001
    crops: int = 5
    crops_unseen: int = 900_005
    weights: int = 7


SEEDS = Seeds()


def network_size(height: int, width: int) -> tuple[int, int]:
    """The (height, width) to which the product resizes a frame before the graph."""
    scale = min(SHORTEST / min(height, width), LONGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
