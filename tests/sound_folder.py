"""A runs folder as kshot writes it, to be broken by tests."""

import json
from pathlib import Path

from fake_runs import make_run
from tested_runs import run_with_result

from engine.runs import EventWriter, Run, write_checkpoint
from engine.runs.testing import digest_in


def make_sound(folder: Path, checkpoint: bytes | None = None, error: str = "the loss is not finite") -> Path:
    """Two tested runs, one that failed with that error, one that crashed.

    The tested ones have these bytes as their last checkpoint where they are given.
    """
    for algorithm, after in (("maml", 0.9), ("pretrain", 0.7)):
        run = run_with_result(folder, algorithm, after)
        written = next(run.checkpoints.iterdir())
        if checkpoint is not None:
            written = write_checkpoint(run, 600, checkpoint)
        result = run.results / f"{'a' * 16}.json"
        digest = digest_in(written.name)
        result.write_text(json.dumps({**json.loads(result.read_text()), "checkpoint": digest}))
        _tell(run, written.name)
        run.log_path.write_text("a word\n")
    make_run(folder, seed=1, state="failed", step=3, steps=40, error=error)
    make_run(folder, seed=2, name="crash", state="running", step=20, steps=40)
    return folder


def _tell(run: Run, checkpoint: str) -> None:
    """Events of each kind."""
    with EventWriter(run.events_path) as events:
        for step in range(1, 60):
            losses = {"support_loss": [2.0, 1.0], "query_loss": [2.0, 1.0], "accuracy": [0.2, 0.6]}
            events.append("train", step=step, outer_loss=1.0 / step, meta_gradient_norms=[1.0], **losses)
        events.append("validation", step=50, metric=[0.2, 0.8], ci95=[0.1, 0.1], best=True)
        events.append("speed", step=50, iterations_per_second=100.0, memory_bytes=5e8)
        events.append("checkpoint", step=600, file=checkpoint, seconds=1.0)
