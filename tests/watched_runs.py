"""Runs made up for watching: `python tests/watched_runs.py RUNS COUNT RATE` trains COUNT runs by writing
events as the engine does, RATE a second each, until it is ended."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from engine.presets import Spec
from engine.runs import EventWriter, Run, StatusWriter, create_run

ALGORITHMS = ("maml", "anil", "fomaml", "pretrain")
K = 5
RECORD_EVERY = 20
VALIDATE_EVERY = 1000
ITERATIONS = 60_000
BEFORE = 600
"""Events that each run has when the writer starts: a run that has gone on for a while."""


def spec_of(algorithm: str, iterations: int, seed: int = 0) -> Spec:
    """A small image task, so that accuracy is the metric."""
    return Spec.model_validate(
        {
            "origin": {"task": "glyphs-5way-1shot", "algorithm": algorithm},
            "task": {"dataset": "glyphs", "ways": 5, "shots": 1},
            "model": {"name": "conv4"},
            "adaptation": {"learning_rate": 0.1, "steps": K},
            "training": {"iterations": iterations, "record_every": RECORD_EVERY},
            "seed": seed,
        }
    )


def train_event(step: int, rng: np.random.Generator, speed: float) -> dict[str, object]:
    """What a MAML iteration records, with numbers as long as the engine's."""
    learned = 1 - np.exp(-step * speed)
    noise = rng.normal(0, 0.05, K + 1)
    down = np.linspace(1.6, 1.6 - 1.4 * learned, K + 1)
    up = np.linspace(0.2, 0.2 + 0.7 * learned, K + 1)
    return {
        "outer_loss": float(np.float32(abs(down[-1] + 2 * noise[0]))),
        "support_loss": np.abs(down + noise).astype(np.float32).tolist(),
        "query_loss": np.abs(down + 2 * noise).astype(np.float32).tolist(),
        "accuracy": np.clip(up + noise, 0, 1).astype(np.float32).tolist(),
        "meta_gradient_norms": np.abs(1 + noise[:K]).astype(np.float32).tolist(),
        "step": step,
        "gradient_norm": float(np.float32(0.5 + abs(noise[1]))),
        "rates": {"outer": 0.001 * (1 - step / (2 * ITERATIONS))},
    }


def validation(step: int, rng: np.random.Generator, speed: float) -> dict[str, object]:
    """Accuracy before and after each inner step with its interval."""
    learned = 1 - np.exp(-step * speed)
    metric = np.linspace(0.2, 0.2 + 0.7 * learned, K + 1) + rng.normal(0, 0.01, K + 1)
    return {"step": step, "steps": list(range(K + 1)), "metric": metric.tolist(), "ci95": [0.011] * (K + 1)}


class Training:
    """One run that is written on and on."""

    def __init__(self, runs_dir: Path, algorithm: str, number: int) -> None:
        self.run, self.lock = create_run(runs_dir, spec_of(algorithm, ITERATIONS))
        self.rng, self.speed = np.random.default_rng(number), 1e-4 / (1 + number / 3)
        self.status = StatusWriter(self.run, state="running", phase="training")
        self.events = EventWriter(self.run.events_path)
        self.step = 0

    def go_on(self) -> None:
        """The next record, and what comes with it."""
        self.step += RECORD_EVERY
        self.events.append("train", **train_event(self.step, self.rng, self.speed))
        if self.step % (5 * RECORD_EVERY) == 0:
            self.events.append("speed", step=self.step, iterations_per_second=500.0, memory_bytes=7e8)
            self.status.update(iterations_per_second=500.0, memory_bytes=7e8)
        if self.step % VALIDATE_EVERY == 0:
            self.events.append("validation", **validation(self.step, self.rng, self.speed))
        self.status.update(step=self.step)


def write_on(runs_dir: Path, count: int, rate: float) -> None:
    """Begins the runs and writes until killed, or until they have come to their end."""
    trainings = [Training(runs_dir, ALGORITHMS[number], number) for number in range(count)]
    for training in trainings:
        for _ in range(BEFORE):
            training.go_on()
    print("ready", flush=True)
    begun, written = time.monotonic(), 0
    while trainings[0].step < ITERATIONS and os.getppid() != 1:
        # Not all at once: four trainings do not keep step.
        trainings[written % count].go_on()
        written += 1
        time.sleep(max(0.0, begun + written / (rate * count) - time.monotonic()))


def long_run(runs_dir: Path, events: int) -> Run:
    """A finished run with that many events; a hundred train events are made, the rest are like them."""
    run, lock = create_run(runs_dir, spec_of("maml", events))
    rng = np.random.default_rng(0)
    # 20 apart in learning, so that the curve goes down.
    made = [json.dumps(train_event(1, rng, number / 20)) for number in range(100)]
    parts = [line.partition('"step": 1,') for line in made]
    seq = step = 0
    with run.events_path.open("w") as file:

        def head(kind: str) -> str:
            return f'{{"seq": {seq}, "time": {1.7e9 + step / 50:.6f}, "kind": "{kind}", '

        while seq < events:
            seq, step = seq + 1, step + RECORD_EVERY
            before, _, behind = parts[min(99, 100 * seq // events)]
            file.write(f'{head("train")}{before[1:]}"step": {step},{behind}\n')
            if step % (5 * RECORD_EVERY) == 0:
                seq += 1
                file.write(
                    f'{head("speed")}"step": {step}, "iterations_per_second": 500.25, "memory_bytes": 7e8}}\n'
                )
            if step % VALIDATE_EVERY == 0:
                seq += 1
                file.write(head("validation") + json.dumps(validation(step, rng, 1e-6))[1:] + "\n")
    StatusWriter(run, state="finished", phase="", step=step, steps=step).close()
    os.close(lock)
    return run


if __name__ == "__main__":
    write_on(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
