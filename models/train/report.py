"""What people see of a training run: figures as tables, the loss curve, example pictures.

Tables are written between `<!-- figures -->` and `<!-- /figures -->` of a model's README; the prose around them is
kept by hand.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot
from PIL import Image, ImageDraw, ImageFont
from pycocotools import mask as rle

from config import KINDS, PART_COLOURS, PARTS
from evaluate import FIGURES, Predict, instances

BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
SCORE = 0.5


def insert(readme: Path, text: str) -> None:
    """Replaces what stands between the two marks."""
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}\n{text.strip()}\n{END}{after}")


def parts_tables(scored: dict, folder: Path, speed: dict[str, str]) -> str:
    """AP of both forms, files with their hashes and speed."""
    lines = []
    for kind, title in (("segm", "Masks"), ("bbox", "Boxes")):
        columns = [f"{form} {figure}" for form in scored for figure in FIGURES]
        lines += [f"{title}, {next(iter(scored.values()))['frames']} unseen frames:", ""]
        lines += [f"| class | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
        for name in ("all", *PARTS):
            values = [f"{scored[form][kind][name][figure]:.3f}" for form in scored for figure in FIGURES]
            lines.append(f"| {name} | {' | '.join(values)} |")
        lines.append("")
    lines += files_table(folder, speed)
    return "\n".join(lines)


def files_table(folder: Path, speed: dict[str, str]) -> list[str]:
    """Size, hash and speed of every graph of a version folder."""
    lines = ["| file | MB | CPU ms | sha256 |", "|---|---:|---:|---|"]
    for path in sorted(folder.rglob("*.onnx")):
        name = path.relative_to(folder).as_posix()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"| `{name}` | {path.stat().st_size / 1e6:.1f} | {speed.get(name, '')} | `{digest}` |")
    return lines


def kind_tables(scored: dict, folder: Path, speed: dict[str, str]) -> str:
    """Accuracy, confusion matrix and file."""
    lines = [f"Top-1 on {scored['crops']} crops of unseen seeds: **{scored['top1']:.4f}**.", ""]
    lines += [f"| truth \\ said | {' | '.join(KINDS)} |", "|---|" + "---:|" * len(KINDS)]
    for name, row in zip(KINDS, scored["confusion"]):
        lines.append(f"| {name} | {' | '.join(str(count) for count in row)} |")
    return "\n".join([*lines, "", *files_table(folder, speed)])


def loss_curve(record: dict, path: Path) -> None:
    """Total loss, its parts and the mask AP of the checks against time."""
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "kadr"
    history, checks = record["history"], record["checks"]
    names = [name for name in history[0] if name.startswith("loss_")]
    figure, left = pyplot.subplots(figsize=(8, 4))
    minutes = [entry["minutes"] for entry in history]
    left.plot(minutes, smooth([sum(entry[name] for name in names) for entry in history]), "k", label="total")
    for name in names:
        left.plot(minutes, smooth([entry[name] for entry in history]), linewidth=0.8, label=name.removeprefix("loss_"))
    left.set(xlabel="minutes", ylabel="loss", yscale="log", title=f"parts: {record['iterations']} iterations")
    left.legend(fontsize=7, loc="lower left", ncols=2)
    right = left.twinx()
    right.plot([check["minutes"] for check in checks], [check["AP"] for check in checks], "s--", color="#e6194b")
    right.set(ylim=(0, 1), ylabel="mask AP on 60 validation frames (squares)")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def smooth(values: list[float], window: int = 5) -> np.ndarray:
    """A moving mean of the same length."""
    padded = np.pad(np.array(values), window // 2, mode="edge")
    return np.convolve(padded, np.ones(window) / window, mode="valid")


def draw(predict: Predict, picture: Image.Image) -> Image.Image:
    """The picture with masks, outlines and labels of what the model found."""
    pixels = np.asarray(picture.convert("RGB")).astype(np.float32)
    found = [instance for instance in instances(predict, picture) if instance["score"] >= SCORE]
    for instance in found:
        mask = rle.decode(instance["segmentation"]).astype(bool)
        inner = mask.copy()
        inner[1:-1, 1:-1] = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
        colour = np.array(rgb(PARTS[instance["category_id"]]), np.float32)
        pixels[mask] = 0.65 * pixels[mask] + 0.35 * colour
        pixels[mask & ~inner] = colour
    drawn = Image.fromarray(pixels.astype(np.uint8))
    canvas = ImageDraw.Draw(drawn)
    for instance in found:
        x0, y0, width, height = instance["bbox"]
        canvas.rectangle((x0, y0, x0 + width, y0 + height), outline=rgb(PARTS[instance["category_id"]]))
    # Labels last, so that no other instance's box crosses them.
    for instance in found:
        label(canvas, instance, picture.width)
    return drawn


def label(canvas: ImageDraw.ImageDraw, instance: dict, width: int) -> None:
    """The name and score of an instance in white on a dark box at the top of its own box, inside the picture."""
    text, font = f"{PARTS[instance['category_id']]} {instance['score']:.0%}", ImageFont.load_default(12)
    _, _, right, bottom = canvas.textbbox((0, 0), text, font=font)
    x = min(max(instance["bbox"][0], 0), width - right - 6)
    y = max(instance["bbox"][1] - bottom - 4, 0)
    canvas.rectangle((x, y, x + right + 5, y + bottom + 4), fill=(24, 24, 28))
    canvas.text((x + 3, y + 2), text, fill="white", font=font)


def rgb(name: str) -> tuple[int, int, int]:
    """A class colour as numbers."""
    return tuple(bytes.fromhex(PART_COLOURS[name][1:]))
