"""Questions about single test episodes: asked by request files, answered by one resident worker.

A question says all that its answer depends on, so its name is their digest and an answer that is there is
never asked for again. Answers are of a kind of their own, which lists of evaluations pass over.
"""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.errors import RequestError
from engine.runs.files import from_json, plain, read_small, to_json, write_whole
from engine.runs.locks import lock_within, probe
from engine.runs.processes import spawn
from engine.runs.results import (
    has_request,
    pending_requests,
    read_evaluations,
    read_result,
    withdraw_request,
    write_request,
)
from engine.runs.slots import slots_folder
from engine.runs.status import read_status
from engine.runs.store import Run
from engine.runs.testing import tested_checkpoint

if TYPE_CHECKING:
    from engine.presets import Spec
    from engine.presets.schema import Section

Part = TypeVar("Part", bound="Section")

KIND = "episode"
PREFIX = "episode-"
VERSION = 2
"""Raised when answers change their form, so that old ones are asked for anew."""
KEPT = 40
"""Answers kept beside a run, the newest; each holds its images."""
STARTS = 2
"""How often a worker is started for one question before it counts as failed."""
TUNED = ("learning_rate", "head", "parameters")


@dataclass(frozen=True)
class Question:
    """Episode `number` of the test part under a run's tested checkpoint; `content` is the request.

    `hardest` are the episodes of the run's evaluation from the worst after adaptation to the best, empty
    without one; `episodes` is how many its evaluation has, or would have.
    """

    run: Run
    id: str
    number: int
    content: Mapping[str, Any]
    hardest: tuple[int, ...]
    episodes: int


@dataclass(frozen=True)
class Seen:
    """What there is of an answer: itself, or what is being done, or why there will be none."""

    answer: Mapping[str, Any] | None = None
    phase: str = ""
    error: str | None = None


def question(run: Run, number: int, data_dir: Path) -> Question:
    """The question about one test episode, as the run's own evaluation tests it where there is one.

    Raises RequestError for a run without a checkpoint or a spec.
    """
    from engine.presets import load_spec, spec_to_dict, test_adaptation

    checkpoint = tested_checkpoint(run, read_status(run))
    if checkpoint is None:
        raise RequestError(f"run {run.id} has no checkpoint to look at")
    spec = load_spec(run.spec_path)
    result = evaluation_of(run, spec, checkpoint)
    if result is not None:
        spec = _as_tested(spec, result)
    after = result["after_step"] if result is not None else test_adaptation(spec).steps
    content = {
        "kind": KIND,
        "version": VERSION,
        "checkpoint": checkpoint,
        "spec": spec_to_dict(spec),
        "part": "test",
        "episode": number,
        "after_step": after,
        "data_dir": str(data_dir),
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    order = hardest(result) if result is not None else ()
    return Question(run, PREFIX + digest, number, content, order, len(order) or spec.evaluation.episodes)


def evaluation_of(run: Run, spec: "Spec", checkpoint: str) -> dict[str, Any] | None:
    """The newest evaluation of that checkpoint on the task that the run was trained for."""
    digest = checkpoint.removesuffix(".pt").rpartition("-")[2]
    shape = {"shots": spec.task.shots, "queries": spec.task.queries, "ways": getattr(spec.task, "ways", None)}
    fitting = [
        result
        for result in read_evaluations(run)
        if (result["task"], result.get("checkpoint")) == (spec.origin.task, digest)
        and all(result["protocol"].get(name) == size for name, size in shape.items())
    ]
    return fitting[-1] if fitting else None


def _as_tested(spec: "Spec", result: Mapping[str, Any]) -> "Spec":
    """The spec with what its evaluation chose on validation, and with that evaluation's episodes."""
    protocol, chosen = result["protocol"], result.get("chosen") or {}
    tuned = {name: chosen.get(name) for name in TUNED}
    evaluation = spec.evaluation.model_copy(update={"adaptation": _with(spec.evaluation.adaptation, tuned)})
    names = {"seed": "evaluation_seed", "statistics": "statistics", "steps": "steps_in_testing"}
    told = {ours: protocol.get(theirs) for ours, theirs in names.items()}
    return spec.model_copy(update={"evaluation": _with(evaluation, told)})


def _with(section: "Part", values: Mapping[str, Any]) -> "Part":
    """The section with those of these values that its schema takes; a file may hold any others."""
    for name, value in values.items():
        if value is not None:
            changed = {**section.model_dump(by_alias=True), name: value}
            with contextlib.suppress(ValueError, OverflowError):
                section = type(section).model_validate(changed)
    return section


def hardest(result: Mapping[str, Any]) -> tuple[int, ...]:
    """An evaluation's episodes from the worst after adaptation to the best; what is not finite is worst."""
    at, sign = result["steps"].index(result["after_step"]), 1 if result["higher_is_better"] else -1
    after = [values[at] for values in result["values"]]
    heights = [float("-inf") if value is None else sign * value for value in after]
    return tuple(sorted(range(len(heights)), key=heights.__getitem__))


@dataclass
class _Wanted:
    """How many in this process wait for one question's answer, and whether any of them has asked it."""

    by: int = 0
    asked: bool = False


_wanted: dict[tuple[Path, str], _Wanted] = {}
_wanted_lock = threading.Lock()


class Asking:
    """One question under way, until `withdraw`. `look` reads and writes files: never on the event loop.

    The same question may be asked several times at once, in this process and by others: they share a file.
    """

    def __init__(self, asked: Question, data_dir: Path) -> None:
        self.question, self.data_dir = asked, data_dir
        self.begun, self.starts = False, 0
        self._key = (asked.run.path, asked.id)
        with _wanted_lock:
            self._shared = _wanted.setdefault(self._key, _Wanted())
            self._shared.by += 1

    def look(self) -> Seen:
        """The answer where it is there; else the question is asked, and a worker started where none is."""
        run, name = self.question.run, self.question.id
        # Before the answer is looked for: an answer is written before its request is taken away.
        there = has_request(run, name)
        answer = read_result(run, name)
        if answer is not None and answer.get("kind") == KIND:
            return Seen(answer)
        if not self.begun:
            _beside(run, name, "error").unlink(missing_ok=True)
        else:
            with contextlib.suppress(OSError):
                told = read_small(_beside(run, name, "error"), 1 << 20)
                return Seen(error=plain(told.decode("utf-8", "replace")).strip())
        if not (self.begun and there):
            # Also when somebody else who had asked it has taken it back.
            self._shared.asked = self.begun = True
            write_request(run, name, self.question.content)
        if not attended(run.path.parent):
            if self.starts >= STARTS:
                withdraw_request(run, name)
                return Seen(error=f"the worker that adapts the model ended; see {run.log_path}")
            if start_attending(run, self.data_dir):
                self.starts += 1
        return Seen(phase=_phase(run, name))

    def withdraw(self) -> None:
        """Nobody looks for this answer any more; the last in this process who wanted it takes it back."""
        with _wanted_lock:
            shared, self._shared = self._shared, _Wanted(1)
            shared.by -= 1
            if shared.by == 0 and _wanted.get(self._key) is shared:
                del _wanted[self._key]
                if shared.asked:
                    withdraw_request(self.question.run, self.question.id)


def _phase(run: Run, name: str) -> str:
    try:
        told = from_json(read_small(_beside(run, name, "progress"), 1 << 16))
        return plain(told["phase"], 60)
    except (OSError, ValueError, KeyError, TypeError):
        return "starting a worker"


def attendance_lock(runs_dir: Path) -> Path:
    """The lock of the one worker that answers this user's questions about a runs folder."""
    digest = hashlib.sha256(str(runs_dir.resolve()).encode()).hexdigest()[:16]
    return slots_folder() / f"attend-{digest}.lock"


def attended(runs_dir: Path) -> bool:
    """Whether a worker is there to answer, or just being started."""
    return bool(probe(attendance_lock(runs_dir)))


def start_attending(run: Run, data_dir: Path) -> bool:
    """Starts the worker for the run's folder, unless somebody else just did; what it says goes to the log.

    The lock is taken here and handed over, so that two are never started. Raises RequestError.
    """
    runs_dir = run.path.parent
    try:
        descriptor = lock_within(attendance_lock(runs_dir), 0)
        if descriptor is None:
            return False
        try:
            spawn(["attend", str(runs_dir), str(descriptor)], run.log_path, data_dir, [descriptor])
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RequestError(f"cannot start a worker for {run.id}: {error.strerror or error}") from error
    return True


def waiting(runs_dir: Path) -> Iterator[tuple[Run, str]]:
    """The questions that nobody has answered yet, in whatever order."""
    with contextlib.suppress(OSError):
        for folder in os.scandir(runs_dir):
            with contextlib.suppress(OSError):
                for file in os.scandir(f"{folder.path}/requests"):
                    if file.name.startswith(PREFIX) and file.name.endswith(".json"):
                        yield Run(runs_dir / folder.name), file.name.removesuffix(".json")


def is_waiting(run: Run, name: str) -> bool:
    """Whether the question has not been taken back."""
    return pending_requests(run).get(name, {}).get("kind") == KIND


def tell(run: Run, name: str, phase: str) -> None:
    """Says what the worker is doing for this question; nothing is said where that cannot be written."""
    with contextlib.suppress(OSError):
        run.results.mkdir(exist_ok=True)
        write_whole(_beside(run, name, "progress"), to_json({"phase": phase}), durable=False)


def told_all(run: Run, name: str) -> None:
    """The question is answered: no more is said of it, and only the newest answers of the run are kept."""
    _beside(run, name, "progress").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        answers = sorted(run.results.glob(f"{PREFIX}*.json"), key=lambda path: path.stat().st_mtime_ns)
        for path in answers[:-KEPT]:
            path.unlink(missing_ok=True)


def _beside(run: Run, name: str, what: str) -> Path:
    return run.results / f".{name}.{what}"
