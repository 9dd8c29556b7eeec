"""A worker without torch that trains and tests by making numbers up: `train RUN LOCK ...`, `evaluate RUN...`.

STANDIN_FAILS names an algorithm whose training fails, STANDIN_DIES one whose test ends without a word,
STANDIN_SECONDS is the time of an iteration.
"""

import os
import sys
import time
from pathlib import Path

import yaml

from engine.runs import (
    EventWriter,
    Run,
    StatusWriter,
    adopt,
    asked,
    clear,
    pending_requests,
    write_checkpoint,
    write_result,
)

# The mean accuracy after adaptation that each algorithm is given, and how far its episodes lie round it.
SKILL = {"maml": 0.9, "pretrain": 0.7}
SPREAD = (-0.05, 0.0, 0.05, 0.1, -0.1)


def main() -> None:
    if sys.argv[1] == "train":
        for folder, lock in zip(sys.argv[2::2], sys.argv[3::2], strict=True):
            train(Run(Path(folder)), int(lock))
    else:
        for folder in sys.argv[2:]:
            evaluate(Run(Path(folder)))


def train(run: Run, descriptor: int) -> None:
    adopt(run.lock_path, descriptor)
    clear(run)
    spec = yaml.safe_load(run.spec_path.read_text())
    seconds = float(os.environ.get("STANDIN_SECONDS", "0"))
    with (
        StatusWriter(run, state="running", phase="training") as status,
        EventWriter(run.events_path) as events,
    ):
        if spec["origin"]["algorithm"] == os.environ.get("STANDIN_FAILS"):
            status.update(state="failed", error="the loss of iteration 1 is not finite")
            return
        steps = status.status.steps
        for step in range(status.status.step + 1, steps + 1):
            time.sleep(seconds)
            events.append("train", step=step, outer_loss=1.0 / step)
            status.update(step=step)
            if asked(run) & {"stop", "pause"}:
                write_checkpoint(run, step, b"%d" % step)
                state = "stopped" if "stop" in asked(run) else "paused"
                clear(run)
                status.update(state=state)
                return
        events.append("speed", step=steps, iterations_per_second=100.0, memory_bytes=5e8)
        events.append("validation", step=steps, metric=[0.2, 0.8], ci95=[0.1, 0.1], best=True)
        path = write_checkpoint(run, steps, os.urandom(8))
        status.update(best={"step": steps, "value": 0.8, "file": path.name})
        status.update(state="finished", seconds=12.5)


def evaluate(run: Run) -> None:
    for name, request in pending_requests(run).items():
        spec = request["spec"]
        algorithm, episodes = spec["origin"]["algorithm"], spec["evaluation"]["episodes"]
        if algorithm == os.environ.get("STANDIN_DIES"):
            sys.exit(3)
        after = SKILL.get(algorithm, 0.5)
        values = [[0.2, after + SPREAD[number % 5] + spec["seed"] / 100] for number in range(episodes)]
        step, _, digest = request["checkpoints"][0].removesuffix(".pt").partition("-")
        accuracy = spec["task"]["dataset"] != "sine"
        result = {
            "kind": "evaluate",
            "id": name,
            "checkpoint": digest,
            "checkpoint_step": int(step),
            "task": spec["origin"]["task"],
            "algorithm": algorithm,
            "split": "standard" if accuracy else "",
            "split_hash": "abcdef" if accuracy else "",
            "protocol": {"shots": spec["task"]["shots"], "statistics": spec["evaluation"]["statistics"]},
            "metric": "accuracy" if accuracy else "mse",
            "higher_is_better": accuracy,
            "steps": [0, 1],
            "values": values,
            "after_step": 1,
            "before_step": 0,
            "chosen": None,
            "seconds": 0.1,
            "train_seconds": 12.5,
            "train_iterations": int(step),
        }
        write_result(run, name, result)


if __name__ == "__main__":
    main()
