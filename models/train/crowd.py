"""Parts of frames, and parts laid onto the parts of another frame.

On the belt few parts lie on others, and those are the ones whose masks come out worst. A whole part is cut out of one
frame, turned, and laid with a shadow where it covers a part of another; what it hides leaves the masks below it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from config import PARTS

PAD = 6
"""Empty pixels kept around a mask so that resizing sees its outside."""
DEFECT = PARTS.index("defect")
LEAST_VISIBLE = 0.25
"""The share of its pixels below which a part that is covered counts as hidden."""
REACH = 0.7
"""How far from the middle of a part another one is laid, in shares of the way at which they would part."""
EDGE_BLUR_PX, SHADOW_BLUR_PX, SHADOW_SHIFT_PX, SHADOW_DEPTH = 0.6, 3.0, 5, 0.4


@dataclass(frozen=True)
class Part:
    """One annotated instance: 0-based class, box (x0, y0, x1, y1) and its mask inside the box, in frame pixels."""

    category: int
    box: tuple[int, int, int, int]
    bits: np.ndarray

    def inside(self) -> np.ndarray:
        """The mask of the box, true or false."""
        x0, y0, x1, y1 = self.box
        height, width = y1 - y0, x1 - x0
        return np.unpackbits(self.bits, count=height * width).reshape(height, width).astype(bool)

    def mask(self) -> np.ndarray:
        """The mask of the box with `PAD` empty pixels around it, 0 or 255."""
        return np.pad(self.inside() * np.uint8(255), PAD)

    def without(self, covered: np.ndarray) -> Part | None:
        """What is left of the part where a mask of the whole frame does not cover it; nothing when that is little."""
        x0, y0, x1, y1 = self.box
        hidden = covered[y0:y1, x0:x1]
        if not hidden.any():
            return self
        before = self.inside()
        left = before & ~hidden
        if left.sum() < LEAST_VISIBLE * before.sum():
            return None
        ys, xs = np.flatnonzero(left.any(1)), np.flatnonzero(left.any(0))
        box = (x0 + int(xs[0]), y0 + int(ys[0]), x0 + int(xs[-1]) + 1, y0 + int(ys[-1]) + 1)
        return Part(self.category, box, np.packbits(left[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]))


@dataclass(frozen=True)
class Scene:
    """The pixels of a frame [h,w,3] and the parts on it."""

    frame: np.ndarray
    parts: list[Part]


def crowd(scene: Scene, donors: list[Scene], random: np.random.Generator) -> Scene:
    """Lays a part of each donor onto one of the scene's own; a donor without a part that lies alone gives none."""
    for donor in donors:
        whole = [part for part in donor.parts if lies_alone(part, donor)]
        below = [part for part in scene.parts if part.category != DEFECT]
        if whole and below:
            scene = lay(scene, below[random.integers(len(below))], cut_out(whole, donor.frame, random), random)
    return scene


def lies_alone(part: Part, scene: Scene) -> bool:
    """Whether nothing else, no defect either, comes near a part, nor the frame's edge."""
    height, width = scene.frame.shape[:2]
    x0, y0, x1, y1 = part.box
    if part.category == DEFECT or x0 < PAD or y0 < PAD or x1 > width - PAD or y1 > height - PAD:
        return False
    others = (other.box for other in scene.parts if other is not part)
    return not any(a < x1 + PAD and c > x0 - PAD and b < y1 + PAD and d > y0 - PAD for a, b, c, d in others)


@dataclass(frozen=True)
class CutOut:
    """A part out of its frame: class, pixels [h,w,3] and mask [h,w]."""

    category: int
    pixels: np.ndarray
    mask: np.ndarray


def cut_out(whole: list[Part], frame: np.ndarray, random: np.random.Generator) -> CutOut:
    """One of the parts, with a margin of its surroundings, turned by quarters and flipped at random."""
    part = whole[random.integers(len(whole))]
    x0, y0, x1, y1 = part.box
    pixels, mask = frame[y0 - PAD : y1 + PAD, x0 - PAD : x1 + PAD], np.pad(part.inside(), PAD)
    turns = int(random.integers(4))
    pixels, mask = np.rot90(pixels, turns), np.rot90(mask, turns)
    if random.random() < 0.5:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    return CutOut(part.category, pixels, mask)


def lay(scene: Scene, below: Part, piece: CutOut, random: np.random.Generator) -> Scene:
    """The scene with a piece over one of its parts."""
    frame_height, frame_width = scene.frame.shape[:2]
    height, width = piece.mask.shape
    x0, y0, x1, y1 = below.box
    way_x, way_y = REACH * (x1 - x0 + width) / 2, REACH * (y1 - y0 + height) / 2
    left = int((x0 + x1 - width) / 2 + random.uniform(-way_x, way_x))
    top = int((y0 + y1 - height) / 2 + random.uniform(-way_y, way_y))
    if left < 0 or top < 0 or left + width > frame_width or top + height > frame_height:
        return scene
    place = (slice(top, top + height), slice(left, left + width))
    covered = np.zeros((frame_height, frame_width), bool)
    covered[place] = piece.mask
    pixels = shaded(scene.frame, covered, random)
    edge = blurred(piece.mask, EDGE_BLUR_PX)[:, :, None]
    pixels[place] = pixels[place] * (1 - edge) + piece.pixels * edge
    left_over = [rest for part in scene.parts if (rest := part.without(covered)) is not None]
    ys, xs = np.flatnonzero(piece.mask.any(1)), np.flatnonzero(piece.mask.any(0))
    box = (left + int(xs[0]), top + int(ys[0]), left + int(xs[-1]) + 1, top + int(ys[-1]) + 1)
    tight = piece.mask[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    laid = Part(piece.category, box, np.packbits(tight))
    return Scene(np.clip(pixels, 0, 255).astype(np.uint8), [*left_over, laid])


def shaded(frame: np.ndarray, covered: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The frame under the soft shadow of what lies on it."""
    shift = random.integers(-SHADOW_SHIFT_PX, SHADOW_SHIFT_PX + 1, 2)
    shadow = blurred(np.roll(covered, tuple(shift), (0, 1)), SHADOW_BLUR_PX)
    return frame * (1 - random.uniform(0, SHADOW_DEPTH) * shadow[:, :, None])


def blurred(mask: np.ndarray, radius_px: float) -> np.ndarray:
    """A mask with soft edges, 0 to 1."""
    picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius_px)), np.float32) / np.float32(255)
