"""A storm of faults over trainings: `fault_driver.py` reads what is wanted as JSON from standard input and
prints what came of it.

torch is imported once; each worker is a fork of this process, so that a kill costs a fraction of a second.
This process never computes. After every fault it looks at the run as readers do, and at the end every run
must have come to the very files of one that was never disturbed.
"""

import contextlib
import io
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from fault_breaking import DAMAGES, OBSTACLES, clear_away, files_of
from fault_injection import ERRORS, KILLS, Faults

from engine import journal, stopping, worker
from engine.checkpoint import unpack
from engine.errors import RequestError
from engine.fused.library import NoKernelsError, compiled
from engine.presets import resolve
from engine.runs import (
    EventWriter,
    Run,
    create_run,
    latest,
    list_checkpoints,
    list_runs,
    newest_good_checkpoint,
    processes,
    read_events,
    read_status,
    read_verified,
    resume_run,
    slots,
    start_worker,
)
from engine.runs.files import to_json

YEAR = 365 * 86400.0
CLOCKS = (0, 0, 0, YEAR, -YEAR, [0, -YEAR], [0, 3600.0])
RECORDS = ("train", "validation", "fit")


class Storm:
    """Trainings of one spec under faults."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.folder = Path(wanted["folder"])
        self.kills, self.random = wanted["kills"], random.Random(wanted["seed"])
        self.spec = resolve(wanted["task"], wanted["algorithm"], overrides=wanted["overrides"]).spec
        self.seconds, self.operations = 0.0, 0
        self.faults: dict[str, Any] = {}
        self.child = 0
        self.done: dict[str, Any] = {"kills": 0, "faults": {}, "runs": 0, "events": 0, "resumed": 0}
        self.broken: list[str] = []
        self.exact, self.told = True, True
        """Whether this run's files may be told from an undisturbed one's at all, and its events may."""
        self.problems: list[str] = []

    def spawn(self, arguments: Sequence[str], log: Path, data_dir: Any = None, descriptors: Any = ()) -> Any:
        """A worker as a fork of this process, in the place of `processes.spawn`."""
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            self.child = pid
            return SimpleNamespace(pid=pid)
        try:
            os.setsid()
            output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.environ["KSHOT_DATA"] = str(self.folder / "data")
            slots.SETTLE_SECONDS, slots.POLL_SECONDS, stopping.PATIENCE = 0.0, 0.01, 0.0
            run = Run(Path(arguments[1]))
            witness(run, self.witnessed(run))
            faults = Faults(within=str(run.path), **self.faults).install()
            code = worker.main(list(arguments))
            if not self.faults:
                (self.folder / "operations").write_text(str(faults.count))
        except BaseException:
            traceback.print_exc()
            code = 70
        os._exit(code)

    def witnessed(self, run: Run) -> Path:
        """Where a run's workers say what was certainly written."""
        return self.folder / f"{run.id}.witnessed"

    def go(self) -> None:
        """The undisturbed training, then disturbed ones until there were enough kills."""
        processes.spawn = self.spawn  # type: ignore[assignment]
        whole = self.begin("whole", {})
        begun = time.monotonic()
        self.wait()
        self.seconds = time.monotonic() - begun
        self.expect(read_status(whole).state == "finished", whole, "the undisturbed training did not finish")
        if self.problems:
            return
        self.operations = int((self.folder / "operations").read_text())
        while self.done["kills"] < self.kills and not self.problems:
            self.disturb(whole)
            print(f"{self.done['kills']} kills, {self.done['runs']} runs", file=sys.stderr, flush=True)

    def disturb(self, whole: Run) -> None:
        """One training with up to ten faults, from its beginning to its end."""
        run: Run | None = None
        left = self.random.randint(3, 10)
        self.exact = self.told = True
        self.broken = []
        while True:
            self.faults = self.drawn() if left > 0 else {"clock": self.random.choice(CLOCKS)}
            left -= 1
            if run is None:
                run = self.begin("broken", self.faults)
            else:
                if left > 0 and self.random.random() < 0.3:
                    self.break_one(run, whole)
                self.faults = self.drawn() if left > 0 else {"clock": self.random.choice(CLOCKS)}
                if read_status(run).state == "finished":
                    break  # it was, whatever its status said at the last look
                resume_run(run)
                self.done["resumed"] += 1
            self.hit(run)
            state = self.look(run)
            if state == "finished" or self.problems:
                break
            self.expect(left >= 0, run, f"it did not finish: {read_status(run)}")
        self.done["runs"] += 1
        self.compare(whole, run)

    def begin(self, name: str, faults: dict[str, Any]) -> Run:
        """A new run and its worker."""
        self.faults = faults
        run, lock = create_run(self.folder / name, self.spec)
        self.witnessed(run).touch()
        start_worker(run, lock)
        return run

    def drawn(self) -> dict[str, Any]:
        """A fault: at an operation in the process, or from without at any moment."""
        clock = self.random.choice(CLOCKS)
        if self.random.random() < 0.4:
            return {"how": self.random.choice(("kill", "kill", "kill", "term")), "clock": clock}
        how = self.random.choice((*KILLS, *KILLS, *KILLS, *KILLS, *ERRORS))
        at = self.random.randint(1, self.operations)
        return {"how": how, "at": at, "clock": clock, "seed": self.random.random()}

    def hit(self, run: Run) -> None:
        """Waits for the worker's end, which this process brings about where the fault is one from without."""
        how = self.faults.get("how", "none")
        if how in ("kill", "term"):
            time.sleep(self.random.random() * self.seconds)
            if self.random.random() < 0.3:
                self.suspend(run)
            self.exact = self.exact and how == "kill"
            os.kill(self.child, signal.SIGKILL if how == "kill" else signal.SIGTERM)
        killed = self.wait()
        counted = self.done["faults"]
        counted[how] = counted.get(how, 0) + 1
        self.done["kills"] += killed

    def suspend(self, run: Run) -> None:
        """A suspended worker is alive for readers, and nobody else may write; then it goes on."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, signal.SIGSTOP)
            if read_status(run).alive:
                try:
                    resume_run(run)
                    self.expect(False, run, "a second writer was let in")
                except RequestError as error:
                    self.expect("second writer" in str(error), run, str(error))
            os.kill(self.child, signal.SIGCONT)
            time.sleep(self.random.random() * self.seconds / 4)

    def wait(self) -> bool:
        """Reaps the worker; whether it was killed."""
        _, status = os.waitpid(self.child, 0)
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    def look(self, run: Run) -> str:
        """What readers find after a fault."""
        status = read_status(run)
        how = self.faults.get("how", "none")
        allowed = {"crashed", "finished"}
        if how in ERRORS or how == "term":
            allowed.add("stopped" if how == "term" else "failed")
        self.expect(status.state in allowed, run, f"{how}: {status}")
        if how in ERRORS and status.state == "failed":
            self.expect(os.strerror(ERRORS[how]) in (status.error or ""), run, f"{how}: {status.error}")
        self.expect(run.id in {each.id for each in list_runs(run.path.parent)}, run, "it is not listed")
        events = {event["seq"]: event for event in read_events(run.events_path)[0]}
        self.done["events"] = self.done["events"] + len(events)
        newest = newest_good_checkpoint(run)
        for line in self.witnessed(run).read_text().splitlines():
            kind, value = json.loads(line)
            if kind == "event":
                self.expect(plain(events.get(value["seq"])) == plain(value), run, f"event lost: {value}")
            else:
                self.expect(newest is not None and newest.step >= value, run, f"checkpoint {value} lost")
        return status.state

    def break_one(self, run: Run, whole: Run) -> None:
        """Breaks one file of a run that nobody writes. What stands in a writer's way is told and then cleared
        away by hand; a spec is put back."""
        path = self.random.choice(files_of(run))
        way = self.random.choice((*DAMAGES, *DAMAGES, *OBSTACLES))
        about = f"{way.__name__} {path.relative_to(run.path)}"
        way(path, self.random)
        counted = self.done["faults"]
        counted["broken files"] = counted.get("broken files", 0) + 1
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            from tui import cli

            for words in (["runs", "list"], ["runs", "show", run.id], ["doctor", run.id]):
                code = cli.run([*words, "--runs-dir", str(run.path.parent)])
                self.expect(code in (0, 2), run, f"{about}: kshot {words} ended with code {code}")
        if path == run.events_path:
            self.told = False
        elif path.parent == run.checkpoints:
            self.exact = False
        self.broken.append(about)
        self.witness_anew(run)
        if path == run.spec_path or way in OBSTACLES:
            self.faults = {"clock": 0}
            with contextlib.suppress(RequestError):
                resume_run(run)
                self.wait()
                state, log = read_status(run).state, run.log_path
                self.expect(state in ("failed", "finished", "crashed"), run, f"{about}: {state}")
                said = log.read_text(errors="replace") if log.is_file() else ""
                self.expect("Traceback" not in said, run, f"{about}: {said}")
            if read_status(run).state == "finished":
                return
            clear_away(path)
            if path == run.spec_path:
                path.write_bytes(whole.spec_path.read_bytes())
            self.witness_anew(run)

    def witness_anew(self, run: Run) -> None:
        """Certain is from here on what can be read now."""
        lines = [to_json(["event", event]) for event in read_events(run.events_path)[0]]
        newest = newest_good_checkpoint(run)
        lines += [] if newest is None else [to_json(["checkpoint", newest.step])]
        self.witnessed(run).write_bytes(b"".join(line + b"\n" for line in lines))

    def compare(self, whole: Run, run: Run) -> None:
        """Whether the disturbed training came to the same bytes, or (where a file of it was broken, or it was
        asked to end and so left other checkpoints) to the same parameters."""
        self.expect(last_state(run) == last_state(whole), run, "its parameters differ")
        self.expect(read_status(run).step == read_status(whole).step, run, "it ended at another step")
        if self.exact:
            names = [[each.path.name for each in list_checkpoints(one)] for one in (run, whole)]
            self.expect(names[0] == names[1], run, f"checkpoints {names[0]}")
            self.expect(read_status(run).best == read_status(whole).best, run, "another checkpoint is best")
        if self.told:
            kinds = (*RECORDS, "checkpoint") if self.exact else RECORDS
            self.expect(records(run, kinds) == records(whole, kinds), run, "its events differ")
        left = [path.name for path in run.path.rglob(".*")]
        # What could not be written could not be removed either.
        if self.faults.get("how") not in ERRORS:
            self.expect(not left, run, f"temporary files are left: {left}")
        with contextlib.redirect_stdout(io.StringIO()):
            from tui import cli

            for words in (["runs", "list"], ["runs", "show", run.id]):
                code = cli.run([*words, "--runs-dir", str(run.path.parent)])
                self.expect(code == 0, run, f"kshot {' '.join(words)} ended with code {code}")

    def expect(self, true: bool, run: Run, otherwise: str) -> None:
        """Notes what is not as it should be."""
        if not true:
            log = run.log_path.read_text(errors="replace")[-400:] if run.log_path.is_file() else ""
            self.problems.append(f"{run.path}: {otherwise} (fault {self.faults}, {self.broken})\n{log}")


def witness(run: Run, path: Path) -> None:
    """From here on this process says in `path` which events and checkpoints were written for certain."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    append, write = EventWriter.append, journal.write_checkpoint

    def appended(writer: EventWriter, kind: str, **values: Any) -> int:
        seq = append(writer, kind, **values)
        os.write(descriptor, to_json(["event", {"seq": seq, "kind": kind, **values}]) + b"\n")
        return seq

    def written(where: Run, step: int, data: bytes) -> Path:
        there = write(where, step, data)
        os.write(descriptor, to_json(["checkpoint", step]) + b"\n")
        return there

    EventWriter.append = appended  # type: ignore[method-assign]
    journal.write_checkpoint = written


def plain(event: dict[str, Any] | None) -> dict[str, Any] | None:
    """An event without what the clock says."""
    return None if event is None else {key: value for key, value in event.items() if key != "time"}


def last_state(run: Run) -> list[list[float]]:
    """Parameters and moments of the last checkpoint."""
    path = list_checkpoints(run)[-1].path
    state = unpack(read_verified(path), torch.device("cpu"), path.name)
    moments = [tensor for tensors in state["optimizer"].values() for tensor in tensors]
    return [tensor.flatten().tolist() for tensor in (*state["meta_parameters"].values(), *moments)]


def records(run: Run, kinds: Sequence[str]) -> list[dict[str, Any]]:
    """What the training saw: the events that count, without their numbers and times."""
    counted = [event for event in latest(read_events(run.events_path)[0]) if event["kind"] in kinds]
    stripped = [{k: v for k, v in event.items() if k not in ("seq", "time", "seconds")} for event in counted]
    return sorted(stripped, key=lambda event: (event["step"], event["kind"]))


def main() -> None:
    wanted = json.load(sys.stdin)
    with contextlib.suppress(NoKernelsError):
        for name in ("mlp", "kernels"):
            compiled(name)
    storm = Storm(wanted)
    storm.go()
    print(json.dumps({**storm.done, "operations": storm.operations, "problems": storm.problems}))


if __name__ == "__main__":
    main()
