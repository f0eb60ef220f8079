"""Training of `parts`: one process per core (or one on CUDA), gradients averaged, a schedule in minutes.

On a CPU one thread per process is used: the layers are small, and two processes that meet once per iteration lose
less than two threads that meet in every layer. The learning rate follows the share of the time budget that is
spent, so a slower machine does fewer iterations and still ends with a rate of zero.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing
from torch import nn
from torchvision.models.detection import MaskRCNN
from tqdm import tqdm

import weights
from config import SEEDS
from data import Batches, Frames
from evaluate import Outputs, Predict, evaluate
from net import build

LOSS_WEIGHTS = {"loss_box_reg": 2.0}
"""Anything unnamed counts once. Box regression is averaged over background samples too, hence the two."""
WARM_UP_ITERATIONS = 120
CHECKPOINT_ITERATIONS = 100
HISTORY_ITERATIONS = 10
STATISTICS_BATCHES = 60
CHECKS = (0.1, 0.25, 0.5, 0.75)
"""Shares of the budget at which a few validation frames are scored."""
CHECK_FRAMES = 60


@dataclass(frozen=True)
class Fit:
    """What `fit` is asked to do."""

    cache: Path
    validation: Path
    work: Path
    minutes: float
    batch: int = 3
    workers: int = 0
    rate: float = 2e-3
    decay: float = 0.03
    mask_weight: float = 1.0
    crowding: float = 0.0
    """How often parts of other frames are laid onto a frame."""
    start: Path | None = None
    """The exported graph whose weights are trained further; its batch norms are part of its convolutions and stay so."""


def fit(task: Fit) -> None:
    """Trains to the end of the time budget, from the last checkpoint when there is one."""
    task.work.mkdir(parents=True, exist_ok=True)
    if torch.cuda.is_available():
        work_on(0, 1, task)
        return
    world = task.workers or min(4, len(os.sched_getaffinity(0)))
    rendezvous = task.work.resolve() / "rendezvous"
    rendezvous.unlink(missing_ok=True)
    multiprocessing.spawn(join_and_work, (world, task, rendezvous), nprocs=world)


def join_and_work(rank: int, world: int, task: Fit, rendezvous: Path) -> None:
    """Entry of a CPU process."""
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all processes are on this machine
    distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=world)
    work_on(rank, world, task)
    distributed.destroy_process_group()


def work_on(rank: int, world: int, task: Fit) -> None:
    """The training loop of one process; rank 0 keeps the checkpoint, the history and the progress bar."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(SEEDS.weights)
    run = Run(beginning(task).to(device), task, rank, world)
    run.restore()
    torch.manual_seed(SEEDS.weights + 1000 * (rank + 1) + run.iteration)
    seed = SEEDS.weights + run.iteration
    batches = Batches(Frames(task.cache), task.batch, seed, (rank, world), task.crowding)
    bar = tqdm(total=100, unit="%", disable=rank > 0, bar_format="{l_bar}{bar}| {elapsed} {postfix}", mininterval=5)
    while run.share < 1.0:
        losses = run.step(*to_device(batches.next(), device))
        if rank == 0:
            run.keep(losses)
            bar.n = round(100 * min(run.share, 1.0), 1)
            bar.set_postfix(iteration=run.iteration, loss=run.smooth_loss(), refresh=False)
            bar.update(0)
    if rank == 0:
        run.finish(batches, device)


def beginning(task: Fit) -> MaskRCNN:
    """The network before the first step, in training mode."""
    if task.start is None:
        return build().train()
    model = weights.read(task.start).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def to_device(batch: tuple[list, list], device: torch.device) -> tuple[list, list]:
    """Pictures and targets on the training device."""
    pictures, targets = batch
    moved = [{key: value.to(device) for key, value in target.items()} for target in targets]
    return [picture.to(device) for picture in pictures], moved


class Run:
    """Weights, optimiser, averaged weights and the clock of one training run."""

    def __init__(self, model: MaskRCNN, task: Fit, rank: int, world: int) -> None:
        self.model, self.task, self.rank, self.world = model, task, rank, world
        self.loss_weights = LOSS_WEIGHTS | {"loss_mask": task.mask_weight}
        matrices = [weight for weight in model.parameters() if weight.ndim > 1]
        vectors = [weight for weight in model.parameters() if weight.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": task.decay}, {"params": vectors, "weight_decay": 0.0}], lr=task.rate
        )
        self.average = {key: value.clone() for key, value in floats(model).items()}
        self.iteration, self.share, self.spent = 0, 0.0, 0.0
        self.history: list[dict] = []
        self.checks: list[dict] = []
        self.recent: list[dict[str, float]] = []
        self.clock = time.monotonic()

    def step(self, pictures: list, targets: list) -> dict[str, float]:
        """One optimiser step on the mean gradient of all processes."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.task.rate * self.rate_factor()
        losses = self.model(pictures, targets)
        self.optimiser.zero_grad(set_to_none=False)
        sum(self.loss_weights.get(name, 1.0) * value for name, value in losses.items()).backward()
        self.exchange()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        self.iteration += 1
        self.follow()
        return {name: float(value.detach()) for name, value in losses.items()}

    def rate_factor(self) -> float:
        """Linear warm-up by iterations, then a half cosine over the time budget."""
        return min(1.0, (self.iteration + 1) / WARM_UP_ITERATIONS) * 0.5 * (1 + math.cos(math.pi * min(self.share, 1)))

    def exchange(self) -> None:
        """Averages the gradients and agrees on the clock of rank 0, so that all processes stop together."""
        now = time.monotonic()
        self.spent, self.clock = self.spent + now - self.clock, now
        self.share = self.spent / (60 * self.task.minutes)
        if self.world == 1:
            return
        gradients = [w.grad if w.grad is not None else torch.zeros_like(w) for w in self.model.parameters()]
        mine = torch.tensor([self.share if self.rank == 0 else 0.0])
        flat = torch.cat([gradient.flatten() for gradient in gradients] + [mine])
        distributed.all_reduce(flat)
        self.share = float(flat[-1])
        flat /= self.world
        start = 0
        for weight, gradient in zip(self.model.parameters(), gradients):
            weight.grad = flat[start : start + gradient.numel()].view_as(gradient)
            start += gradient.numel()

    def follow(self) -> None:
        """Moves the averaged weights and batch statistics towards the current ones."""
        keep = min(0.998, (1 + self.iteration) / (20 + self.iteration))
        current = floats(self.model)
        torch._foreach_lerp_(list(self.average.values()), [current[key] for key in self.average], 1 - keep)

    def smooth_loss(self) -> float:
        """Mean total loss since the last line of the history."""
        return round(float(np.mean([sum(losses.values()) for losses in self.recent] or [0.0])), 3)

    def keep(self, losses: dict[str, float]) -> None:
        """History, checkpoint and the occasional check on validation frames."""
        self.recent.append(losses)
        if self.iteration % HISTORY_ITERATIONS == 0:
            means = {name: float(np.mean([entry[name] for entry in self.recent])) for name in losses}
            self.history.append({"iteration": self.iteration, "minutes": self.spent / 60, **means})
            self.recent.clear()
        if self.iteration % CHECKPOINT_ITERATIONS == 0:
            self.save()
        if len(self.checks) < sum(self.share >= due for due in CHECKS):
            self.check()

    def check(self) -> None:
        """Scores the averaged weights on a few validation frames."""
        scored = evaluate(torch_predictor(self.averaged()), self.task.validation, CHECK_FRAMES, progress=False)
        self.checks.append({"iteration": self.iteration, "minutes": self.spent / 60, **scored["segm"]["all"]})
        tqdm.write(json.dumps(self.checks[-1] | {"defect": scored["segm"].get("defect"), "box": scored["bbox"]["all"]}))

    def averaged(self) -> MaskRCNN:
        """A copy of the network with the averaged weights, for inference."""
        model = build()
        model.load_state_dict(model.state_dict() | {key: value.cpu() for key, value in self.average.items()})
        return model.eval()

    def save(self) -> None:
        """Writes the checkpoint so that an interruption leaves the old one or the new one."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "iteration": self.iteration,
            "spent": self.spent,
            "history": self.history,
            "checks": self.checks,
        }
        torch.save(state, self.task.work / "checkpoint.new")
        (self.task.work / "checkpoint.new").replace(checkpoint(self.task))

    def restore(self) -> None:
        """Continues from the checkpoint when there is one."""
        if not checkpoint(self.task).exists():
            return
        state = torch.load(checkpoint(self.task), weights_only=True, map_location="cpu")
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for key, value in self.average.items():
            value.copy_(state["average"][key])
        self.iteration, self.spent = state["iteration"], state["spent"]
        self.history, self.checks = state["history"], state["checks"]
        self.share = self.spent / (60 * self.task.minutes)

    def finish(self, batches: Batches, device: torch.device) -> None:
        """Saves everything, then measures the batch statistics anew for the averaged weights, unless they are frozen."""
        self.save()
        model = self.averaged().to(device)
        if self.task.start is None:
            measure_statistics(model, batches, device)
        torch.save(model.cpu().state_dict(), self.task.work / "weights.pt")
        record = {
            "iterations": self.iteration,
            "minutes": round(self.spent / 60, 1),
            "batch": self.task.batch * self.world,
            "workers": self.world,
            "device": str(device),
            "history": self.history,
            "checks": self.checks,
        }
        (self.task.work / "fit.json").write_text(json.dumps(record, indent=1))


def floats(model: nn.Module) -> dict[str, torch.Tensor]:
    """Weights and statistics that can be averaged."""
    return {key: value.detach() for key, value in model.state_dict().items() if value.is_floating_point()}


def checkpoint(task: Fit) -> Path:
    """Where a run keeps its state."""
    return task.work / "checkpoint.pt"


def measure_statistics(model: MaskRCNN, batches: Batches, device: torch.device) -> None:
    """Replaces the running statistics of batch norm by their plain mean over some batches."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
    model.train()
    with torch.no_grad():
        for _ in tqdm(range(STATISTICS_BATCHES), desc="batch statistics", unit="batch"):
            model(*to_device(batches.next(), device))
    model.eval()


def torch_predictor(model: MaskRCNN) -> Predict:
    """Runs the network in PyTorch under the names of the exported graph."""

    def predict(image: np.ndarray) -> Outputs:
        with torch.no_grad():
            found = model([torch.from_numpy(image)])[0]
        return {
            "boxes": found["boxes"].numpy(),
            "classes": found["labels"].numpy() - 1,
            "scores": found["scores"].numpy(),
            "masks": found["masks"].numpy(),
        }

    return predict


def trained(work: Path) -> MaskRCNN:
    """The finished network of a run."""
    model = build()
    model.load_state_dict(torch.load(work / "weights.pt", weights_only=True))
    return model.eval()
