"""Entry of the training recipe: the stages of `parts` and `part-kind`, one after the other or alone."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import fixtures
import kind
import report
import weights
from check import CutModel, check
from config import KIND_SIDE, MODELS, PARTS, REPOSITORY, SEEDS, WORK
from data import build_cache, class_names, picture_path
from evaluate import evaluate, network_image, onnx_predictor, session
from export import export
from fit import Fit, fit, torch_predictor, trained
from net import PYRAMID_CHANNELS
from quantise import quantise
from refine import STEPS, MaskHead, Quality, judge, refine
from regions import pool

TRAIN, REFINE, UNSEEN = WORK / "data" / "train", WORK / "data" / "refine", WORK / "data" / "unseen"
CROPS, CROPS_UNSEEN = WORK / "data" / "crops", WORK / "data" / "crops-unseen"
CACHE, RUN, FURTHER = WORK / "cache", WORK / "parts", WORK / "parts-further"
PARTS_FOLDER, KIND_FOLDER = MODELS / "parts", MODELS / "part-kind"
VERSION = "1"
FURTHER_BATCH, FURTHER_RATE, FURTHER_MASK_WEIGHT, FURTHER_CROWDING = 4, 7e-4, 2.0, 0.6
"""How `further` differs from the fit: slower, with an eye on masks, and parts laid on parts more often than not."""
EXAMPLES = (3, 57, 140, 333)
"""Frames of the unseen set that are drawn for the README; chosen by number, not by result."""


def parts_data(_: argparse.Namespace) -> None:
    """Lets the belt draw the frames."""
    draw_training()
    draw_unseen()
    draw_refinement()


def draw_training() -> None:
    """The frames of the fit."""
    draw(TRAIN, "export", "--count", 4000, "--seed", SEEDS.training, "--size", "640x480", "--val-fraction", 0.05)


def draw_unseen() -> None:
    """The frames that models are scored on."""
    draw(UNSEEN, "export", "--count", 500, "--seed", SEEDS.unseen, "--size", "640x480", "--val-fraction", 0)


def draw_refinement() -> None:
    """Frames that the fit has not seen, for the refinement and the calibration of int8."""
    draw(REFINE, "export", "--count", 1300, "--seed", SEEDS.refinement, "--size", "640x480", "--val-fraction", 0.231)


def parts_fit(options: argparse.Namespace) -> None:
    """Decodes the frames and trains."""
    if class_names(TRAIN / "train") != PARTS:
        raise SystemExit(f"classes of {TRAIN} are {class_names(TRAIN / 'train')}, expected {PARTS}")
    build_cache(TRAIN / "train", CACHE)
    fit(Fit(CACHE, TRAIN / "val", RUN, options.minutes, workers=options.workers))


def parts_export(_: argparse.Namespace) -> None:
    """Writes the graphs and compares their two forms."""
    cut = PARTS_FOLDER / VERSION / "cut"
    export(trained(RUN), PARTS_FOLDER / VERSION, cut)
    compare_forms()


def parts_further(options: argparse.Namespace) -> None:
    """Trains the whole network of the exported graph further, on frames where parts lie on parts, and exports it anew."""
    draw_training()
    draw_unseen()
    draw_refinement()
    build_cache(TRAIN / "train", CACHE)
    folder = PARTS_FOLDER / VERSION
    task = Fit(CACHE, TRAIN / "val", FURTHER, options.minutes, FURTHER_BATCH, options.workers)
    task = replace(task, rate=FURTHER_RATE, mask_weight=FURTHER_MASK_WEIGHT, crowding=FURTHER_CROWDING)
    fit(replace(task, start=folder / "model.onnx"))
    before = mask_quality()
    export(trained(FURTHER), folder, folder / "cut")
    compare_forms()
    for name, after in mask_quality().items():
        print(f"{name}: {before[name]}; further {after}")


def mask_quality() -> dict[str, Quality]:
    """How the masks of the exported graphs fit on the val split of the refinement's frames."""
    cut = PARTS_FOLDER / VERSION / "cut"
    return judge(MaskHead(cut / "mask_head.onnx"), pool(REFINE / "val", cut, None))


def parts_refine(options: argparse.Namespace) -> None:
    """Trains the mask head of the exported graphs further and writes it back into both forms."""
    draw_refinement()
    folder = PARTS_FOLDER / VERSION
    head = refine(REFINE, folder / "cut", options.steps)
    for path in (folder / "cut" / "mask_head.onnx", folder / "model.onnx"):
        head.store(path)
    compare_forms()


def compare_forms() -> None:
    """Holds the cut form against the single graph."""
    folder = PARTS_FOLDER / VERSION
    images = [network_image(picture) for picture in unseen_pictures(20).values()]
    print("cut form against single graph:", check(folder / "model.onnx", CutModel(folder / "cut"), images))


def parts_quantise(_: argparse.Namespace) -> None:
    """Writes the int8 graph."""
    draw_refinement()
    quantise(PARTS_FOLDER / VERSION / "model.onnx", PARTS_FOLDER / VERSION / "model.int8.onnx", REFINE / "train")


def parts_evaluate(_: argparse.Namespace) -> None:
    """Scores both forms on unseen frames and measures their speed."""
    scored, folder = {}, PARTS_FOLDER / VERSION
    for form, name in (("fp32", "model.onnx"), ("int8", "model.int8.onnx")):
        scored[form] = evaluate(onnx_predictor(folder / name), UNSEEN / "train")
        print(form, json.dumps(scored[form]["segm"]))
    (PARTS_FOLDER / "figures.json").write_text(json.dumps(scored, indent=1) + "\n")


def parts_report(_: argparse.Namespace) -> None:
    """Writes tables, loss curve and example pictures beside the model, and the detector's fixtures."""
    folder, pictures = PARTS_FOLDER / VERSION, unseen_pictures(max(EXAMPLES) + 1)
    images = [network_image(picture) for picture in list(pictures.values())[:20]]
    speed = parts_speed(folder, images)
    scored = json.loads((PARTS_FOLDER / "figures.json").read_text())
    report.insert(PARTS_FOLDER / "README.md", report.parts_tables(scored, folder, speed))
    if (RUN / "fit.json").exists():
        report.loss_curve(json.loads((RUN / "fit.json").read_text()), PARTS_FOLDER / "loss.svg")
    predict, names = onnx_predictor(folder / "model.onnx"), list(pictures)
    for number, index in enumerate(EXAMPLES, 1):
        report.draw(predict, pictures[names[index]]).save(PARTS_FOLDER / f"example-{number}.jpg", quality=88)
    chosen = {f"belt-{number}": pictures[names[index]] for number, index in enumerate(EXAMPLES[:2], 1)}
    chosen["nothing"] = Image.new("RGB", (640, 480), (96, 96, 96))
    network = weights.read(folder / "model.onnx")
    fixtures.write(torch_predictor(network), chosen, REPOSITORY / "detector" / "tests" / "fixtures" / "parts")


def kind_data(_: argparse.Namespace) -> None:
    """Lets the belt draw pictures of single parts."""
    draw(CROPS, "crops", "--count", 12000, "--seed", SEEDS.crops, "--size", KIND_SIDE)
    draw(CROPS_UNSEEN, "crops", "--count", 1500, "--seed", SEEDS.crops_unseen, "--size", KIND_SIDE)


def kind_fit(options: argparse.Namespace) -> None:
    """Trains and exports the classifier."""
    started = time.monotonic()
    model, losses = kind.fit(kind.load(CROPS), rounds=6, threads=options.workers or 1)
    kind.export(model, KIND_FOLDER / VERSION / "model.onnx")
    print(f"part-kind: {time.monotonic() - started:.0f} s, losses {[round(loss, 3) for loss in losses]}")


def kind_evaluate(_: argparse.Namespace) -> None:
    """Scores the exported classifier on unseen parts and writes its tables."""
    folder = KIND_FOLDER / VERSION
    scored = kind.score(folder / "model.onnx", kind.load(CROPS_UNSEEN))
    print(json.dumps(scored))
    one = {"images": np.zeros((1, 3, KIND_SIDE, KIND_SIDE), np.float32)}
    speed = {"model.onnx": speed_of(folder / "model.onnx", [one] * 20)}
    report.insert(KIND_FOLDER / "README.md", report.kind_tables(scored, folder, speed))


def draw(folder: Path, command: str, *arguments: object) -> None:
    """Runs the belt's command line, unless the folder has been drawn already."""
    done = folder / "drawn"
    if done.exists():
        return
    words = [command, "--out", folder, "--force", *arguments]
    recipe = ["cargo", "run", "--release", "-p", "belt", "--", *map(str, words)]
    subprocess.run(recipe, cwd=REPOSITORY, check=True)
    done.touch()


def unseen_pictures(count: int) -> dict[str, Image.Image]:
    """The first frames of the unseen set, in the order of their names."""
    images = json.loads((UNSEEN / "train" / "annotations.json").read_text())["images"][:count]
    return {image["file_name"]: Image.open(picture_path(UNSEEN / "train", image)) for image in images}


def speed_of(path: Path, inputs: list[dict[str, np.ndarray]]) -> str:
    """Median CPU milliseconds of a run on one thread, the graph alone; unlike wall time it stands a busy machine."""
    running, spent = session(path), []
    for values in inputs:
        started = time.process_time()
        running.run(None, values)
        spent.append(1000 * (time.process_time() - started))
    return f"{np.median(spent):.1f}"


def parts_speed(folder: Path, images: list[np.ndarray]) -> dict[str, str]:
    """CPU milliseconds of every graph: whole pictures, 150 proposals, 10 instances."""
    pictures = [{"image": image} for image in images]
    boxes = [{"regions": np.ones((150, PYRAMID_CHANNELS, 7, 7), np.float32)}] * len(images)
    regions = np.ones((10, PYRAMID_CHANNELS, 14, 14), np.float32)
    masks = [{"regions": regions, "classes": np.arange(10) % len(PARTS)}] * len(images)
    inputs = {"cut/box_head.onnx": boxes, "cut/mask_head.onnx": masks}
    names = ("model.onnx", "model.int8.onnx", "cut/trunk.onnx", *inputs)
    return {name: speed_of(folder / name, inputs.get(name, pictures)) for name in names}


Stages = dict[str, Callable[[argparse.Namespace], None]]
MODEL_STAGES: dict[str, Stages] = {
    "parts": {
        "data": parts_data,
        "fit": parts_fit,
        "export": parts_export,
        "further": parts_further,
        "refine": parts_refine,
        "quantise": parts_quantise,
        "evaluate": parts_evaluate,
        "report": parts_report,
    },
    "part-kind": {"data": kind_data, "fit": kind_fit, "evaluate": kind_evaluate},
}


def main() -> None:
    """Parses the command line and runs the stages."""
    parser = argparse.ArgumentParser(prog="models/train/train", description="Trains and exports the shipped models.")
    parser.add_argument("model", nargs="?", default="all", choices=["all", *MODEL_STAGES])
    parser.add_argument("--stage", help="run one stage alone: " + ", ".join(MODEL_STAGES["parts"]))
    parser.add_argument("--minutes", type=float, default=55, help="time budget of the fit of parts (default 55)")
    parser.add_argument("--workers", type=int, default=0, help="training processes on a CPU (default: cores, up to 4)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"steps of the refinement (default {STEPS})")
    parser.add_argument("--fresh", action="store_true", help="forget the checkpoint instead of resuming from it")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(RUN, ignore_errors=True)
    for model, stages in MODEL_STAGES.items():
        if options.model in ("all", model):
            run(stages, options, alone=options.model == model)


def run(stages: Stages, options: argparse.Namespace, alone: bool) -> None:
    """Runs all stages of a model, or the one that was asked for."""
    if options.stage is None:
        for stage in stages.values():
            stage(options)
    elif options.stage in stages:
        stages[options.stage](options)
    elif alone:
        raise SystemExit(f"{options.model} has no stage {options.stage}; it has {', '.join(stages)}")


if __name__ == "__main__":
    main()
