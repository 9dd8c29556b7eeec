"""Seconds per meta-iteration on this machine: the generic path and the fused one against the plain loop over
tasks.

The plain loop is what a paper's own code does: one task after the other, PyTorch's own layers, one autograd
graph through the inner loop. All compute the same meta-gradient; the bench checks that before it times them.
"""

import ctypes
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.adaptation import meta_gradient
from engine.adaptation.heads import BIAS, WEIGHT
from engine.data import data_folder
from engine.devices import device_name, threads
from engine.errors import RequestError
from engine.learner import Learner
from engine.models import Parameters
from engine.paths import FUSED, GENERIC
from engine.portions import mean_gradient, walks
from engine.presets.schema import Spec
from engine.tasks import build_tasks
from engine.tasks.episodes import Episodes, TaskDistribution
from engine.train_job import torch_device


class Workload(NamedTuple):
    """A named setting: its name fixes the mathematics."""

    name: str
    ways: int
    steps: int
    queries: int
    tasks: int
    filters: int = 64
    pooling: str = "max"


WORKLOADS = (
    Workload("omniglot-5way-1shot-1step-1query", 5, 1, 1, 32),
    Workload("omniglot-5way-1shot-1step-15query", 5, 1, 15, 32),
    Workload("omniglot-20way-1shot-5step-1query", 20, 5, 1, 16),
    Workload("omniglot-20way-1shot-5step-15query", 20, 5, 15, 16),
    Workload("omniglot-5way-1shot-1step-1query-strided", 5, 1, 1, 32, 64, "stride"),
    Workload("omniglot-5way-1shot-1step-1query-strided-32filters", 5, 1, 1, 32, 32, "stride"),
    Workload("sine-10shot-1step", 1, 1, 10, 25),
)


def _spec(workload: Workload) -> Spec:
    training = {"tasks_per_batch": workload.tasks, "queries": workload.queries}
    if workload.name.startswith("sine"):
        return Spec.model_validate(
            {"task": {"dataset": "sine"}, "model": {"name": "mlp", "norm": "none"}, "training": training}
        )
    # Drawn characters stand in for Omniglot's: a meta-iteration costs the same whatever the pixels are.
    return Spec.model_validate(
        {
            "task": {"dataset": "glyphs", "ways": workload.ways},
            "model": {"filters": workload.filters, "pooling": workload.pooling},
            "adaptation": {"steps": workload.steps, "learning_rate": 0.4 if workload.steps == 1 else 0.1},
            "training": training,
        }
    )


def _plain_features(parameters: Parameters, x: Tensor, spec: Spec) -> Tensor:
    if spec.model.name == "mlp":
        for layer in range(1, len(spec.model.hidden) + 1):
            x = functional.linear(
                x, parameters[f"linear{layer}.weight"], parameters[f"linear{layer}.bias"]
            ).relu()
        return x
    strided = spec.model.pooling == "stride"
    for block in range(1, 5):
        x = functional.conv2d(x, parameters[f"conv{block}.weight"], None, 2 if strided else 1, 1)
        scale, shift = parameters[f"norm{block}.scale"], parameters[f"norm{block}.shift"]
        x = functional.relu(functional.batch_norm(x, None, None, scale, shift, training=True))
        x = x if strided else functional.max_pool2d(x, 2)
    return x.flatten(1)


def plain_loop(spec: Spec, meta_parameters: Parameters, episodes: Episodes) -> Parameters:
    """Second-order MAML, one task after the other: the mean over tasks of ∂ query loss / ∂ initialisation."""
    leaves = {n: p.detach().requires_grad_() for n, p in meta_parameters.items()}

    def loss(parameters: Parameters, x: Tensor, y: Tensor) -> Tensor:
        outputs = functional.linear(
            _plain_features(parameters, x, spec), parameters[WEIGHT], parameters[BIAS]
        )
        return (
            functional.mse_loss(outputs, y)
            if spec.task.dataset == "sine"
            else functional.cross_entropy(outputs, y)
        )

    total = {n: torch.zeros_like(p) for n, p in leaves.items()}
    tasks = len(episodes.indices)
    for task in range(tasks):
        adapted = leaves
        for _ in range(spec.adaptation.steps):
            inner = loss(adapted, episodes.support_x[task], episodes.support_y[task])
            gradients = torch.autograd.grad(inner, list(adapted.values()), create_graph=True)
            rate = spec.adaptation.learning_rate
            assert isinstance(rate, float)
            adapted = {n: p - rate * g for (n, p), g in zip(adapted.items(), gradients, strict=True)}
        outer = loss(adapted, episodes.query_x[task], episodes.query_y[task])
        for name, gradient in zip(leaves, torch.autograd.grad(outer, list(leaves.values())), strict=True):
            total[name] += gradient / tasks
    return total


CHECKED_TASKS = 4
"""How many tasks the ways are checked on, in float64: in float32 a max-pool's choice that is nearly a tie may
fall either way, and after five second-order steps one such choice is worth per cents of the meta-gradient."""


class Bench(NamedTuple):
    """A workload made ready: each way to one meta-iteration by its name, the plain loop first."""

    spec: Spec
    tasks: TaskDistribution
    learner: Learner
    ways: dict[str, Callable[[], Parameters]]
    not_fused: str | None
    """Why there is no fused way; None where there is."""


def prepare(workload: Workload, device: torch.device) -> Bench:
    """The workload's ways, which have been checked against each other. Sets PyTorch's number of threads.

    Raises:
        RuntimeError: a way disagrees with the plain loop; then no timing means anything.
    """
    spec = _spec(workload)
    torch.set_num_threads(threads(spec))
    if device.type != "mps":  # which has no float64
        few = min(CHECKED_TASKS, workload.tasks)
        _check(workload, _ways(spec, device, torch.float64, few).ways)
    return _ways(spec, device, torch.float32, workload.tasks)


def _ways(spec: Spec, device: torch.device, dtype: torch.dtype, count: int) -> Bench:
    tasks = build_tasks(spec, data_folder(), device, dtype)
    learner = Learner(spec, tasks, device, dtype)
    index = torch.arange(count)
    rule, parameters = learner.training_rule(), learner.meta_parameters
    path = learner.path

    def loop() -> Parameters:
        return plain_loop(spec, parameters, tasks.episodes("train", index))

    def engine_way(path: str) -> Parameters:
        learner.take(path)
        batch, at_once = tasks.episodes("train", index), learner.tasks_at_once
        walk = partial(meta_gradient, rule, parameters, second_order=True, constant_memory=False)
        return mean_gradient(walks(walk, batch, at_once))

    ways: dict[str, Callable[[], Parameters]] = {"loop": loop, GENERIC: partial(engine_way, GENERIC)}
    if path == FUSED:
        ways[FUSED] = partial(engine_way, FUSED)
    return Bench(spec, tasks, learner, ways, None if path == FUSED else path.removeprefix(f"{GENERIC}: "))


def _check(workload: Workload, ways: dict[str, Callable[[], Parameters]]) -> None:
    theirs = ways["loop"]()
    for path, work in ways.items():
        if path == "loop":
            continue
        ours = work()
        for name, gradient in theirs.items():
            if (gradient - ours[name]).norm() > 1e-6 * gradient.norm() + 1e-9:
                raise RuntimeError(f"{workload.name}: the {path} path and the plain loop disagree on {name}")


def median_seconds(work: Callable[[], object], device: torch.device, least: float) -> float:
    """The median time of a call, over at least three calls and `least` seconds."""
    work()
    times: list[float] = []
    while len(times) < 3 or sum(times) < least:
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return sorted(times)[len(times) // 2]


def measure(workload: Workload, device: torch.device, least: float) -> list[dict[str, object]]:
    """Rows for the loop and for the engine's paths, timed in turns; where there is no fused path, a note that
    says why.

    Raises:
        RuntimeError: a path computes something else than the loop.
    """
    bench = prepare(workload, device)
    peaks = [peak_bytes(work, device) for work in bench.ways.values()]
    turns = [[median_seconds(work, device, least / 2) for work in bench.ways.values()] for _ in range(2)]
    seconds = [min(column) for column in zip(*turns, strict=True)]
    rows = [
        _row(workload, path, own, seconds[0], peak)
        for path, own, peak in zip(bench.ways, seconds, peaks, strict=True)
    ]
    if bench.not_fused is not None:
        rows.append({"note": f"{workload.name}: no row for the fused path: {bench.not_fused}"})
    return rows


def peak_bytes(work: Callable[[], object], device: torch.device) -> int | None:
    """The most memory held during a call: by the device, or by the process where Linux tells; else None."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device)
    try:
        # What earlier calls let go of counts no more.
        ctypes.CDLL(None).malloc_trim(0)
        # Writing 5 there resets the high-water mark of resident memory (man 5 proc).
        Path("/proc/self/clear_refs").write_text("5")
        work()
        status = Path("/proc/self/status").read_text()
    except (OSError, AttributeError):
        return None
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _row(
    workload: Workload, path: str, seconds: float, loop_seconds: float, memory: int | None
) -> dict[str, object]:
    return {
        "workload": workload.name,
        "path": path,
        "seconds_per_iteration": seconds,
        "ratio_to_loop": loop_seconds / seconds,
        "peak_bytes": memory,
    }


def main(options: Sequence[str]) -> int:
    """Prints a row of JSON a line for every workload whose name holds the given text; `--device`,
    `--seconds`.

    Raises:
        RequestError: no workload fits.
    """
    settings = dict(zip(options[::2], options[1::2], strict=False))
    wanted = settings.get("--workload", "")
    chosen = [w for w in WORKLOADS if wanted in w.name]
    if not chosen:
        raise RequestError(
            f'no workload is called "{wanted}"; there are {", ".join(w.name for w in WORKLOADS)}'
        )
    asked = settings.get("--device", "auto")
    device = torch_device(device_name(asked), asked)
    for workload in chosen:
        for row in measure(workload, device, float(settings.get("--seconds", "3"))):
            print(json.dumps(row), flush=True)
    return 0
