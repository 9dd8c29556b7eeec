"""Testing runs: the spec of a test, asked by request files of one background worker, and its answers."""

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.data import image_shape, split_hash
from engine.devices import device_name
from engine.errors import RequestError
from engine.presets import ImageTask, Spec, spec_to_dict
from engine.presets.contradictions import contradiction
from engine.runs.checkpoints import list_checkpoints
from engine.runs.files import from_json, plain, read_small
from engine.runs.processes import spawn
from engine.runs.results import (
    evaluation_id,
    pending_requests,
    read_evaluation,
    withdraw_request,
    write_request,
)
from engine.runs.slots import waiting_text
from engine.runs.status import Status, read_status
from engine.runs.store import Run


def spec_of_test(trained: Spec, asked: Spec, label: str) -> Spec:
    """The spec that tests a trained run as `asked`: its training as it was, that task, that evaluation.

    Raises RequestError where a model trained so cannot be tested so.
    """
    if input_shape(asked) != input_shape(trained):
        raise RequestError(
            f"{label}: a model trained on {trained.origin.task} cannot be tested on {asked.origin.task}: "
            f"their inputs differ ({input_shape(trained)} and {input_shape(asked)})"
        )
    spec = trained.model_copy(
        update={
            "task": asked.task,
            "training": _trained_shape(trained),
            "evaluation": asked.evaluation,
            "device": asked.device,
            "origin": trained.origin.model_copy(
                update={"task": asked.origin.task, "published": asked.origin.published}
            ),
        }
    )
    ways, adaptation = spec.training.ways, spec.adaptation
    found = contradiction(spec)
    reason = found.reason if found else None
    if (
        isinstance(spec.task, ImageTask)
        and ways != spec.task.ways
        and spec.outer.rule != "joint"
        and (adaptation.rule, adaptation.head) == ("gradient", "learned")
    ):
        reason = f"its head was learned for {ways} ways and cannot serve {spec.task.ways}"
    if reason is not None:
        raise RequestError(
            f"{label}: trained on {trained.origin.task}, "
            f"it cannot be tested so on {asked.origin.task}: {reason}"
        )
    return spec


def input_shape(spec: Spec) -> str:
    """What a model's input depends on, as text."""
    if not isinstance(spec.task, ImageTask):
        return "numbers with what their wave is" if spec.task.oracle else "numbers"
    size, channels = image_shape(spec.task)
    return f"{channels} x {size} x {size}"


def _trained_shape(spec: Spec) -> Any:
    """The training section with its episodes' shape written out, which else follows the task tested on."""
    task, training = spec.task, spec.training
    shape = {"shots": training.shots or task.shots, "queries": training.queries or task.queries}
    if isinstance(task, ImageTask):
        shape["ways"] = training.ways or task.ways
    return training.model_copy(update=shape)


@dataclass
class Test:
    """One evaluation wanted: of a run, under a spec. Its id is known once its checkpoint is."""

    run: Run
    spec: Spec
    label: str
    id: str | None = None
    checkpoints: tuple[str, ...] = ()
    result: dict[str, Any] | None = None
    error: str | None = None
    handed_over: bool = False

    @property
    def done(self) -> bool:
        """Whether it is answered, well or not."""
        return self.result is not None or self.error is not None

    def progress(self) -> tuple[str, int, int] | None:
        """The phase, and how much of how much is done (0 of 0 before a worker is at it); None when over."""
        if self.id is None or self.done:
            return None
        try:
            value = from_json(read_small(_progress_path(self), 1 << 16))
            return plain(value["phase"], 60), int(value["done"]), int(value["total"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return waiting_text(device_name(self.spec.device)), 0, 0


class Tests:
    """Evaluations asked by request files of one background worker at a time, and their answers."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.tests: list[Test] = []
        self.worker: subprocess.Popen[bytes] | None = None

    def request(self, tests: Iterable[Test]) -> None:
        """Takes up these tests: what is answered already is read, the rest is asked."""
        for test in tests:
            self.tests.append(test)
            test.checkpoints, test.error = tested_checkpoints(test.run, test.spec.evaluation.ensemble)
            if test.error is not None:
                continue
            digest = "-".join(digest_in(name) for name in test.checkpoints)
            test.id = evaluation_id(test.spec, digest, _split_hash(test.spec, self.data_dir))
            test.result = read_evaluation(test.run, test.id)
            if test.result is None:
                for left in (_error_path(test), _progress_path(test)):
                    left.unlink(missing_ok=True)
                request = {"kind": "evaluate", "id": test.id, "spec": spec_to_dict(test.spec)}
                write_request(test.run, test.id, request | {"checkpoints": list(test.checkpoints)})

    def poll(self) -> None:
        """Looks for answers, and starts a worker where there are questions and none is at them.

        A test that was there when a worker began, and is unanswered when that ends, has an error.
        """
        # Asked before answers are looked for: a worker that ends just after its last answer is no error.
        ended = self.worker.poll() if self.worker is not None else None
        for test in self.tests:
            if not test.done and test.id is not None:
                test.result = read_evaluation(test.run, test.id)
                if test.result is None:
                    test.error = _told_error(test)
        if ended is not None:
            for test in self.tests:
                if not test.done and test.handed_over:
                    test.error = f"the test's process ended with code {ended}; see {test.run.log_path}"
            self.worker = None
        waiting = [test for test in self.tests if not test.done]
        if waiting and self.worker is None:
            self.worker = start_evaluation([test.run for test in waiting], self.data_dir)
            for test in waiting:
                test.handed_over = True

    @property
    def done(self) -> bool:
        """Whether every test taken up is answered."""
        return all(test.done for test in self.tests)

    def cancel(self) -> None:
        """Ends the worker; unanswered requests are withdrawn."""
        if self.worker is not None and self.worker.poll() is None:
            self.worker.terminate()
        for test in self.tests:
            if not test.done and test.id is not None:
                withdraw_request(test.run, test.id)


def tested_checkpoint(run: Run, status: Status) -> str | None:
    """The file name of the checkpoint that tests use: best on validation, else the last; None without any."""
    names = [checkpoint.path.name for checkpoint in list_checkpoints(run)]
    best = (status.best or {}).get("file")
    return str(best) if best in names else names[-1] if names else None


def tested_checkpoints(run: Run, members: int) -> tuple[tuple[str, ...], str | None]:
    """The file names of the checkpoints that a test of `members` together uses, or why there are none."""
    status = read_status(run)
    if members == 1:
        one = tested_checkpoint(run, status)
        return ((one,), None) if one else ((), "there is no checkpoint to test")
    names = {checkpoint.path.name for checkpoint in list_checkpoints(run)}
    there = [str(name) for name in (status.best or {}).get("files") or () if name in names]
    if len(there) < members:
        kept = f"{len(there)} of its best checkpoints are kept"
        return (), f"an ensemble of {members} is asked for, but {kept}"
    return tuple(there[:members]), None


def digest_in(name: str) -> str:
    """The digest in a checkpoint's file name."""
    return name.removesuffix(".pt").rpartition("-")[2]


def start_evaluation(runs: Sequence[Run], data_dir: Path) -> "subprocess.Popen[bytes]":
    """One detached worker that answers these runs' pending requests; what it says goes to the first's log."""
    folders = list(dict.fromkeys(str(run.path) for run in runs if pending_requests(run)))
    try:
        return spawn(["evaluate", *folders], runs[0].log_path, data_dir)
    except OSError as error:
        raise RequestError(
            f"cannot start a worker to test {runs[0].id}: {error.strerror or error}"
        ) from error


def _split_hash(spec: Spec, data_dir: Path) -> str:
    return split_hash(spec.task, data_dir) if isinstance(spec.task, ImageTask) else ""


def _told_error(test: Test) -> str | None:
    """Why the worker could not answer; None where it has not said so."""
    try:
        told = read_small(_error_path(test), 1 << 20)
    except OSError:
        return None
    return plain(told.decode("utf-8", "replace"), 500).strip() or "the test failed"


def _progress_path(test: Test) -> Path:
    return test.run.results / f".{test.id}.progress"


def _error_path(test: Test) -> Path:
    return test.run.results / f".{test.id}.error"
