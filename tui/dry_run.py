"""`--dry-run`: the merged specs, what would be reused, and what time and memory the rest may take."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.presets import spec_to_dict
from engine.runs.comparison import Plan, Training
from engine.runs.estimate import Estimate, estimate, measured_runs
from engine.runs.store import yaml_text
from tui.following import label_of
from tui.numbers import duration, size
from tui.output import columns, emit, emit_json
from tui.spec_text import told

BEGUN = ("train", "retrain", "resume")
WORDS = {
    "reuse": "finished, reused",
    "wait": "under way, waited for",
    "resume": "resumed",
    "retrain": "failed before, trained anew",
    "train": "trained",
}


def show_plan(plan: Plan, runs_dir: Path, json: bool) -> int:
    """Prints what `compare` would do, starting nothing."""
    specs = {row.label: next(iter(row.tests.values()))[0] for row in plan.rows}
    return _show(plan.trainings, specs, runs_dir, json, list(plan.notes))


def show_trainings(trainings: Sequence[Training], runs_dir: Path, json: bool, merged: Any) -> int:
    """Prints what `train` would do, starting nothing."""
    return _show(trainings, {merged.origin.algorithm: merged}, runs_dir, json, [])


def _show(
    trainings: Sequence[Training], specs: dict[str, Any], runs_dir: Path, json: bool, notes: Sequence[str]
) -> int:
    measured = measured_runs(runs_dir)
    estimates = [estimate(training.spec, measured) for training in trainings]
    left = [seconds_left(training, guess) for training, guess in zip(trainings, estimates, strict=True)]
    if json:
        emit_json(
            {
                "specs": {label: spec_to_dict(spec) for label, spec in specs.items()},
                "trainings": [
                    _training(training, guess, seconds)
                    for training, guess, seconds in zip(trainings, estimates, left, strict=True)
                ],
                "seconds": sum(left),
                "memory_bytes": max((guess.memory_bytes or 0 for guess in estimates), default=0),
                "notes": list(notes),
            }
        )
        return 0
    rows = [
        [
            label_of(training, trainings),
            WORDS[training.action],
            training.run.id if training.run else "",
            duration(seconds) if seconds else "",
            size(guess.memory_bytes) if training.action in BEGUN else "",
        ]
        for training, guess, seconds in zip(trainings, estimates, left, strict=True)
    ]
    emit(columns(["training", "would be", "run", "time", "memory"], rows))
    for guess in dict.fromkeys(
        g.source for g, t in zip(estimates, trainings, strict=True) if t.action in BEGUN
    ):
        emit(f"  {guess}")
    for note in notes:
        emit(f"  {note}")
    emit(f"About {duration(sum(left))} of training in all, one after the other; testing comes on top.")
    for label, spec in specs.items():
        shown, _ = told(spec)
        emit(f"\n# {label}\n{yaml_text(shown).rstrip()}")
    return 0


def seconds_left(training: Training, guess: Estimate) -> float:
    """Seconds still to train: nothing for what is reused, the rest for what is resumed or waited for."""
    if training.action == "reuse" or guess.seconds is None:
        return 0.0
    if training.run is None or training.action not in ("resume", "wait"):
        return guess.seconds
    from engine.runs import read_status

    status = read_status(training.run)
    return guess.seconds * (1 - status.step / status.steps) if status.steps else guess.seconds


def _training(training: Training, guess: Estimate, seconds: float) -> dict[str, Any]:
    return {
        "rows": training.labels,
        "seed": training.seed,
        "key": training.key,
        "action": training.action,
        "run": training.run.id if training.run else None,
        "seconds": seconds,
        "memory_bytes": guess.memory_bytes,
        "estimate": guess.source,
    }
