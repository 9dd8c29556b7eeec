"""How long a training may take, in how much memory: from earlier runs of its shape, else a rough formula."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

from engine.devices import device_name, threads
from engine.presets import Spec
from engine.presets.names import RESIDUAL_BLOCKS
from engine.presets.schema import ImageTask
from engine.runs.events import read_events
from engine.runs.listing import Summary, list_runs
from engine.runs.sound_results import number
from engine.runs.status import this_host

# Operations a second of one thread on the convolutions of conv4, and a low guess for a large device.
OPERATIONS_PER_THREAD = 4.5e10
OPERATIONS_ON_DEVICE = 5e12
SECONDS_PER_PASS = 4e-4
PROCESS_BYTES = 4e8
LAST_BYTES = 256 * 1024
SLOWEST = 1e-6
"""Iterations a second; a file that says less measured nothing."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of a training and its memory; `source` says whether it is measured or rough."""

    seconds: float | None
    memory_bytes: float | None
    source: str


@dataclass(frozen=True)
class Measured:
    """Speed and memory of an earlier run on this machine, by what its speed depends on."""

    shape: Mapping[str, Any]
    iterations_per_second: float
    memory_bytes: float | None
    run: str


def measured_runs(runs_dir: Path) -> list[Measured]:
    """The last speed of the newest run of each training on each device of this machine, newest first."""
    host = this_host()[0]
    found: list[Measured] = []
    known: set[tuple[str, str]] = set()
    for summary in reversed(list_runs(runs_dir)):
        training = (summary.key, summary.status.device)
        if summary.status.host != host or (summary.key and training in known):
            continue
        if summary.status.more.get("processes", 1) != 1:  # another speed than that of one process
            continue
        if summary.status.more.get("seeds_together"):  # nor that of one run in its process
            continue
        last = _last_speed(summary)
        speed = number(last.get("iterations_per_second"))
        if speed is None or speed < SLOWEST:
            continue
        shape = _shape_of(summary.run.spec_path)
        if shape is None:
            continue
        known.add(training)
        found.append(Measured(shape, speed, number(last.get("memory_bytes")), summary.run.id))
    return found


def _shape_of(spec_path: Path) -> Mapping[str, Any] | None:
    """What a run's speed depends on; None where its spec tells nothing. Kept while the file is the same."""
    try:
        about = spec_path.stat()
    except OSError:
        return None
    return _shape_in(spec_path, (about.st_mtime_ns, about.st_size, about.st_ino))


@lru_cache(maxsize=4096)
def _shape_in(spec_path: Path, stamp: tuple[int, ...]) -> Mapping[str, Any] | None:
    from engine.presets import load_spec

    try:
        return speed_shape(load_spec(spec_path))
    except Exception:  # a run of another version has a spec that this one cannot read; it tells nothing
        return None


def _last_speed(summary: Summary) -> Mapping[str, Any]:
    """What a run last said of its speed: in its status, else among its last events."""
    if summary.status.more.get("iterations_per_second"):
        return summary.status.more
    path = summary.run.events_path
    try:
        begin = max(0, path.stat().st_size - LAST_BYTES)
    except OSError:
        return {}
    speeds = [event for event in read_events(path, begin)[0] if event["kind"] == "speed"]
    return speeds[-1] if speeds else {}


def estimate(spec: Spec, measured: list[Measured]) -> Estimate:
    """Time and memory of this training; validation costs about a tenth more and is not counted.

    Both infinite where a number of the spec is beyond what can be counted with.
    """
    try:
        return _estimate(spec, measured)
    except OverflowError:
        return Estimate(inf, inf, "rough: its numbers are beyond any machine")


def _estimate(spec: Spec, measured: list[Measured]) -> Estimate:
    if spec.outer.rule == "none":
        return Estimate(0.0, PROCESS_BYTES, "nothing is trained")
    shape = speed_shape(spec)
    for run in measured:
        if run.shape == shape:
            seconds = spec.training.iterations / run.iterations_per_second
            return Estimate(
                _limited(spec, seconds), run.memory_bytes, f"as fast as {run.run} was on this machine"
            )
    seconds = spec.training.iterations * _seconds_an_iteration(spec)
    return Estimate(_limited(spec, seconds), _memory(spec), "rough: no run of this shape was timed here yet")


def speed_shape(spec: Spec) -> dict[str, Any]:
    """What the time of an iteration depends on."""
    training, task = spec.training, spec.task
    images = isinstance(task, ImageTask)
    return {
        "model": spec.model,
        "images": _image_shape(spec) if images else None,
        "ways": (training.ways or task.ways) if isinstance(task, ImageTask) else None,
        "shots": training.shots or task.shots,
        "queries": training.queries or task.queries,
        "tasks": training.tasks_per_batch,
        "examples": training.examples_per_batch,
        "rule": (
            spec.adaptation.rule,
            spec.adaptation.steps,
            spec.adaptation.order,
            spec.adaptation.parameters,
        ),
        "memory": spec.adaptation.constant_memory,
        "outer": spec.outer.rule,
        "device": device_name(spec.device),
    }


def _limited(spec: Spec, seconds: float) -> float:
    limit = spec.training.time_limit
    return seconds if limit is None else min(seconds, limit)


def _seconds_an_iteration(spec: Spec) -> float:
    support, query = _examples(spec)
    operations, passes = _operations(spec), 4.0
    if spec.outer.rule == "joint":
        cost = 3 * (support + query) * operations
    else:
        steps = max(1, spec.adaptation.steps) if spec.adaptation.rule == "gradient" else 1
        second = spec.adaptation.rule == "gradient" and spec.adaptation.order != 1
        cost = ((10 if second else 3) * steps * support + 3 * query) * operations
        passes += (6 if second else 3) * steps
    device = device_name(spec.device)
    rate = OPERATIONS_PER_THREAD * threads(spec) if device == "cpu" else OPERATIONS_ON_DEVICE
    return cost / rate + passes * SECONDS_PER_PASS


def _memory(spec: Spec) -> float:
    support, query = _examples(spec)
    one = spec.adaptation.constant_memory or spec.adaptation.rule != "gradient"
    steps = 1 if one or spec.outer.rule == "joint" else max(1, spec.adaptation.steps)
    return PROCESS_BYTES + 4 * 6 * _units(spec) * (support * steps + query)


def _examples(spec: Spec) -> tuple[int, int]:
    """Support and query examples of a meta-batch."""
    training, task = spec.training, spec.task
    ways = (training.ways or task.ways) if isinstance(task, ImageTask) else 1
    tasks = training.tasks_per_batch * ways
    return tasks * (training.shots or task.shots), tasks * (training.queries or task.queries)


def _layers(spec: Spec) -> list[tuple[float, float]]:
    """(operations, units) of each layer's forward pass over one example."""
    if spec.model.name == "mlp":
        sizes = [_inputs(spec), *spec.model.hidden]
        return [(2.0 * a * b, float(b)) for a, b in pairwise(sizes)]
    if spec.model.name == "pixels":
        return [(0.0, float(_inputs(spec)))]
    size, channels = _image_shape(spec)
    if spec.model.name in ("resnet12", "torchvision"):
        return _residual_layers(spec, size, channels)
    layers, filters = [], spec.model.filters
    for _ in range(4):
        half = (size + 1) // 2 if spec.model.pooling == "stride" else size // 2
        computed = half if spec.model.pooling == "stride" else size
        layers.append((2.0 * 9 * channels * filters * computed**2, float(filters * computed**2)))
        size, channels = max(1, half), filters
    return layers


def _residual_layers(spec: Spec, size: int, channels: int) -> list[tuple[float, float]]:
    """The same of the residual networks: their blocks' convolutions, and what lies before them."""
    found = []

    def convolution(inputs: int, outputs: int, kernel: int) -> None:
        positions = size**2
        found.append((2.0 * kernel**2 * inputs * outputs * positions, float(outputs * positions)))

    if spec.model.name == "resnet12":
        for outputs in (spec.model.filters * times // 2 for times in (2, 5, 10, 20)):
            for inputs, kernel in ((channels, 3), (outputs, 3), (outputs, 3), (channels, 1)):
                convolution(inputs, outputs, kernel)
            size, channels = max(1, size // 2), outputs
        return found
    size = -(-size // 2)
    convolution(channels, 64, 7)
    size, channels = -(-size // 2), 64
    for layer, blocks in enumerate(RESIDUAL_BLOCKS[spec.model.backbone]):
        outputs, size = 64 * 2**layer, size if layer == 0 else -(-size // 2)
        for _ in range(blocks):
            convolution(channels, outputs, 3)
            convolution(outputs, outputs, 3)
            channels = outputs
    return found


def _operations(spec: Spec) -> float:
    return sum(operations for operations, _ in _layers(spec))


def _units(spec: Spec) -> float:
    return sum(units for _, units in _layers(spec))


def _inputs(spec: Spec) -> int:
    if not isinstance(spec.task, ImageTask):
        return 1
    size, channels = _image_shape(spec)
    return size * size * channels


def _image_shape(spec: Spec) -> tuple[int, int]:
    from engine.data import image_shape

    assert isinstance(spec.task, ImageTask)
    return image_shape(spec.task)
