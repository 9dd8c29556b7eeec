"""Finished runs with evaluations that were made up, for what reads tables from the runs folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.presets import resolve
from engine.runs import Run, StatusWriter, create_run, read_status, write_checkpoint, write_result
from engine.runs.testing import digest_in

TASK = "glyphs-5way-1shot"


def finished_run(
    runs_dir: Path,
    algorithm: str,
    *,
    task: str = TASK,
    seed: int = 0,
    settings: Sequence[str] = (),
    state: str = "finished",
) -> Run:
    """A run in that state with one checkpoint, never tested."""
    spec = resolve(task, algorithm, seed=seed, overrides=["training.iterations=500", *settings]).spec
    run, descriptor = create_run(runs_dir, spec)
    checkpoint = write_checkpoint(run, 500, os.urandom(8))
    best = {"step": 500, "value": 0.8, "file": checkpoint.name}
    StatusWriter(run, state=state, step=500, seconds=214.0, best=best).close()
    os.close(descriptor)
    return run


def accuracies(
    after: float, episodes: int = 60, steps: int = 5, seed: int = 0, before: float = 0.2
) -> list[list[float]]:
    """Accuracies [episodes][steps + 1] that rise from `before` to about `after`."""
    random = np.random.default_rng(seed)
    path = before + (after - before) * (1 - 0.4 ** np.arange(steps + 1)) / (1 - 0.4**steps)
    values = path + random.normal(0, 0.05, (episodes, steps + 1))
    rounded: list[list[float]] = np.round(np.clip(values, 0, 1) * 75).astype(float).tolist()
    return [[value / 75 for value in episode] for episode in rounded]


def add_result(run: Run, values: list[list[float]], name: str = "a" * 16, **more: Any) -> dict[str, Any]:
    """Writes an evaluation of the run, every episode's value at steps 0, 1, ..."""
    status = read_status(run)
    summary = status.summary
    accuracy = summary["metric"] == "accuracy"
    steps = list(range(len(values[0]) if values else 2))
    result = {
        "kind": "evaluate",
        "id": name,
        "checkpoint": digest_in(str((status.best or {}).get("file"))),
        "checkpoint_step": 500,
        "task": summary["task"],
        "algorithm": summary["algorithm"],
        "split": "standard" if accuracy else "",
        "split_hash": "abcdef" if accuracy else "",
        "images_hash": "",
        "protocol": protocol_of(summary["metric"], len(values)),
        "metric": summary["metric"],
        "higher_is_better": accuracy,
        "steps": steps,
        "values": values,
        "after_step": steps[-1],
        "before_step": 0,
        "chosen": None,
        "seconds": 0.1,
        "train_seconds": 214.0,
        "train_iterations": 500,
    } | more
    write_result(run, name, result)
    return result


def protocol_of(metric: str, episodes: int) -> dict[str, Any]:
    """The protocol that a worker writes."""
    shape = {"ways": 5, "shots": 1, "queries": 15, "dataset": "glyphs"}
    if metric == "mse":
        shape = {"shots": 10, "queries": 10, "dataset": "sine"}
    more = {"episodes": episodes, "evaluation_seed": 0, "statistics": "query", "model": "single"}
    return {**shape, **more, "checkpoint": "best on validation", "budget": "quick", "seed": 0}


def run_with_result(runs_dir: Path, algorithm: str, after: float, **how: Any) -> Run:
    """A finished run with one evaluation; `episodes` and `values_seed` are the evaluation's."""
    episodes, number = how.pop("episodes", 60), how.pop("values_seed", 0)
    run = finished_run(runs_dir, algorithm, **how)
    add_result(run, accuracies(after, episodes, seed=number))
    return run
