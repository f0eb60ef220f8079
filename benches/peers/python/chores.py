"""Single stages of the job, for Pillow, numpy, pycocotools and ONNX Runtime.

Reads one request a line from stdin and answers each with one line on stdout. What is large goes through files. Each
request is done `count` times, and the answer says what CPU time all of it took; reading the work and writing the
results down is not counted.
"""

import json
import signal
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco

import look

# A chore that takes longer is ended with this process, and the benchmark with it.
LIMIT_S = 120


def timed(count: int, work) -> tuple[dict, object]:
    """What the last of `count` runs gave, and what all of them took."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        result = work()
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}, result


def tensor(request: dict) -> dict:
    """Decodes, shrinks and normalises a picture."""
    jpeg = Path(request["jpeg"]).read_bytes()
    mean, std = (np.array(request[name], dtype=np.float32)[:, None, None] for name in ("mean", "std"))
    factor, offset = 1 / (255 * std), mean / std

    def work() -> np.ndarray:
        numbers = look.tensor(look.decode(jpeg), request["resize"], bgr=False)
        # In place: as few passes over memory as numpy can.
        numbers *= factor
        numbers -= offset
        return numbers

    used, numbers = timed(request["count"], work)
    numbers.tofile(request["out"])
    return used | {"shape": numbers.shape}


class Masks:
    """Small masks, their boxes and colours, and the picture that they are drawn into."""

    def __init__(self, request: dict) -> None:
        work = json.loads(Path(request["work"]).read_text())
        self.size = tuple(work["size"])
        self.boxes = np.array(work["boxes"], dtype=np.float32)
        self.colors = np.array(work["colors"], dtype=np.float32)
        self.mask = np.array(work["mask"], dtype=np.float32)
        self.opacity = work["opacity"]
        pixels = np.fromfile(request["picture"], dtype=np.uint8)
        self.pixels = pixels.reshape(self.size[1], self.size[0], 3)

    def whole(self, crop: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
        """The mask as large as the picture, in the order in which pycocotools wants it."""
        whole = np.zeros((self.size[1], self.size[0]), dtype=np.uint8, order="F")
        whole[corner[1] : corner[1] + crop.shape[0], corner[0] : corner[0] + crop.shape[1]] = crop
        return whole

    def within_boxes(self) -> list[str]:
        """With care: pasted and blended within the boxes."""
        found = []
        for box, color in zip(self.boxes, self.colors):
            crop, (left, top) = look.paste(self.mask, box, self.size, 0.5)
            found.append(coco.encode(self.whole(crop, (left, top)))["counts"].decode())
            region = self.pixels[top : top + crop.shape[0], left : left + crop.shape[1]]
            region[crop] = region[crop] * (1 - self.opacity) + color * self.opacity
        return found

    def whole_frames(self) -> list[str]:
        """As it is usually written: a bitmap of the picture's size for every mask."""
        masks = np.zeros((len(self.boxes), self.size[1], self.size[0]), dtype=bool)
        for mask, box in zip(masks, self.boxes):
            crop, (left, top) = look.paste(self.mask, box, self.size, 0.5)
            mask[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        found = []
        for mask, color in zip(masks, self.colors):
            found.append(coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode())
            self.pixels[mask] = self.pixels[mask] * (1 - self.opacity) + color * self.opacity
        return found


def masks(request: dict) -> dict:
    """Pastes small masks, blends them into a picture and makes run lengths."""
    work = Masks(request)
    way = {"boxes": work.within_boxes, "frames": work.whole_frames}[request["way"]]
    used, found = timed(request["count"], way)
    if "out" in request:
        work.pixels.tofile(request["out"])
    return used | {"counts": found}


def runs(request: dict) -> dict:
    """Makes run lengths of masks that are there as bitmaps of their boxes."""
    work = json.loads(Path(request["work"]).read_text())
    bitmaps = np.fromfile(request["bitmaps"], dtype=np.uint8)
    crops, at = [], 0
    for one in work:
        left, top, width, height = one["crop"]
        crops.append((one["size"], (left, top), bitmaps[at : at + width * height].reshape(height, width)))
        at += width * height

    def encode() -> list[str]:
        found = []
        for (frame_width, frame_height), (left, top), crop in crops:
            # Zeroed by the system on first use, so that only the box costs memory traffic here.
            whole = np.zeros((frame_height, frame_width), dtype=np.uint8, order="F")
            whole[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
            found.append(coco.encode(whole)["counts"].decode())
        return found

    used, found = timed(request["count"], encode)
    return used | {"counts": found}


class Session:
    """One graph in ONNX Runtime, kept for the requests that follow."""

    model: look.Model | None = None

    @classmethod
    def run(cls, request: dict) -> dict:
        """Looks at a picture; the memory this takes is read from outside."""
        if cls.model is None:
            cls.model = look.Model(Path(request["model"]))
        picture = look.decode(Path(request["jpeg"]).read_bytes())
        used, seen = timed(request["count"], lambda: cls.model.look_at(picture))
        return used | {"things": len(seen)}


CHORES = {"tensor": tensor, "masks": masks, "runs": runs, "session": Session.run}

for line in sys.stdin:
    signal.alarm(LIMIT_S)
    wanted = json.loads(line)
    print(json.dumps(CHORES[wanted["chore"]](wanted)), flush=True)
    signal.alarm(0)
