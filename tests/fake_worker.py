"""A worker that only counts: `fake_worker.py train RUN LOCK ITERATIONS SECONDS [slot]`."""

import sys
import time
from pathlib import Path

from engine.runs import (
    EventWriter,
    Run,
    StatusWriter,
    adopt,
    asked,
    clear,
    hold_slot,
    read_status,
    write_checkpoint,
)


def main() -> None:
    run, descriptor = Run(Path(sys.argv[2])), int(sys.argv[3])
    iterations, seconds, wants_slot = int(sys.argv[4]), float(sys.argv[5]), "slot" in sys.argv[6:]
    adopt(run.lock_path, descriptor)
    with StatusWriter(run, state="queued") as status:
        if wants_slot:
            created = read_status(run).created or 0.0
            with hold_slot("cpu", created, lambda: "stop" in asked(run)) as held:
                train(run, status, iterations, seconds) if held else status.update(state="stopped")
        else:
            train(run, status, iterations, seconds)


def train(run: Run, status: StatusWriter, iterations: int, seconds: float) -> None:
    first = status.status.step + 1
    with EventWriter(run.events_path) as events:
        if first > 1:
            events.append("resumed", step=first - 1)
        status.update(state="running", phase="training", steps=iterations)
        for step in range(first, iterations + 1):
            time.sleep(seconds)
            events.append("train", step=step, outer_loss=1.0 / step)
            status.update(step=step)
            if status.gone:
                return
            if "stop" in asked(run):
                write_checkpoint(run, step, b"%d" % step)
                clear(run, "stop")
                status.update(state="stopped")
                return
    status.update(state="finished", phase="")


if __name__ == "__main__":
    main()
