"""Runs whose events were made up for a diagnosis: sound unless told otherwise."""

import os
from collections.abc import Callable, Mapping, Sequence
from math import exp
from pathlib import Path
from typing import Any

from engine.presets import resolve
from engine.presets.names import parameter_names
from engine.runs import EventWriter, Run, StatusWriter, create_run

ITERATIONS = 1000
Changes = Callable[[int], Mapping[str, Any]]
"""What an event of that iteration says otherwise."""


def nothing(step: int) -> Mapping[str, Any]:
    """No changes."""
    return {}


def made_run(
    runs_dir: Path,
    task: str = "glyphs-5way-1shot",
    algorithm: str = "maml",
    settings: Sequence[str] = ("adaptation.steps=3",),
    *,
    train: Changes = nothing,
    validation: Changes = nothing,
    speed: Changes = nothing,
    until: int = ITERATIONS,
    **status: Any,
) -> Run:
    """A run of 1,000 iterations with a record every 10, a speed every 50 and a validation every 100."""
    every = ["training.record_every=10", "training.validation.every=100", "evaluation.statistics=one"]
    length = [] if algorithm == "scratch" else [f"training.iterations={ITERATIONS}", *every[:2]]
    spec = resolve(task, algorithm, overrides=[*length, every[2], *settings]).spec
    run, descriptor = create_run(runs_dir, spec)
    sine, joint = task.startswith("sine"), spec.outer.rule == "joint"
    steps = spec.adaptation.steps if spec.adaptation.rule == "gradient" and not joint else 0
    layers = {name.rpartition(".")[0] for name in parameter_names(spec.model)}
    with EventWriter(run.events_path) as writer:
        for step in range(10, until + 1, 10):
            losses = [1.6 * 0.5**inner for inner in range(steps + 1)]
            answers = losses if sine else [0.9 - 0.7 * 0.3**inner for inner in range(steps + 1)]
            event: dict[str, Any] = {
                "step": step,
                "outer_loss": losses[-1],
                "support_loss": losses if steps else [],
                "query_loss": losses,
                "error" if sine else "accuracy": answers,
                "meta_gradient_norms": [1.0] * steps,
                "gradient_norm": 1.0 + 0.1 * (step % 30 == 0),
                "rates": {"outer": 0.001},
            }
            if steps:
                event["moved"] = dict.fromkeys(layers, 0.01)
            if joint:
                told = ("step", "outer_loss", "gradient_norm", "rates")
                event = {key: event[key] for key in told} | {"joint_metric": 0.5}
            writer.append("train", **event | dict(train(step)))
            if step % 50 == 0:
                writer.append("speed", **{"step": step, "iterations_per_second": 10.0} | dict(speed(step)))
            if step % 100 == 0:
                risen = 1 - exp(-step / 400)
                value = 0.6 - 0.4 * risen if sine else 0.86 * risen
                asked = list(range(steps + 1)) if steps else [1]
                before = [3.0 if sine else 0.2] * steps
                seen = {"step": step, "steps": asked, "metric": [*before, value], "best": False}
                seen["ci95"] = [0.02 if sine else 0.008] * len(asked)
                writer.append("validation", **seen | dict(validation(step)))
    state = {"state": "finished" if until == ITERATIONS else "stopped", "step": until} | status
    StatusWriter(run, **state).close()
    os.close(descriptor)
    return run
