"""Evaluation requests as a worker takes them up: checked, and with their checkpoint's bytes in hand."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from engine.devices import device_name
from engine.errors import RequestError
from engine.presets import Spec, spec_from_dict
from engine.runs import Run, pending_requests, read_verified, withdraw_request
from engine.runs.checkpoints import NAME as CHECKPOINT_NAME
from engine.runs.files import plain, to_json, write_whole

KIND = "evaluate"
ENDED = 3
"""A worker's exit code when it was asked to end before it had answered."""


@dataclass(frozen=True)
class Asked:
    """One request: the run, the request's name, the spec to test by, the names and bytes of its checkpoints
    (one, or those that predict together, the best first), and whatever else it says.

    Where it cannot be served `error` says why, and spec and bytes are None.
    """

    run: Run
    name: str
    device: str
    spec: Spec | None = None
    checkpoints: tuple[str, ...] = ()
    data: tuple[bytes, ...] | None = None
    error: str | None = None
    content: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, run: Run, name: str) -> Self:
        """Reads a request of a run and the checkpoint that it names."""
        request = pending_requests(run).get(name, {})
        try:
            spec = spec_from_dict(_mapping(request, "spec"), f"request {name}")
            checkpoints = _names(request)
            data = tuple(read_verified(run.checkpoints / name) for name in checkpoints)
        except RequestError as error:
            return cls(run, name, "cpu", error=str(error))
        return cls(run, name, device_name(spec.device), spec, checkpoints, data, content=request)

    @property
    def checkpoint(self) -> str:
        """What the request tests, as text: its checkpoints' names."""
        return " ".join(self.checkpoints)

    def tell(self, phase: str) -> None:
        """Says what is being done for it before the test has begun; nothing where that cannot be written."""
        with suppress(OSError):
            told = to_json({"phase": phase, "done": 0, "total": 0})
            write_whole(self.run.results / f".{self.name}.progress", told, durable=False)

    def refuse(self, reason: str) -> None:
        """Leaves one line where the asker looks for it, and takes the request away.

        Where that cannot be written (the disk is full, the run is gone) others must still be served.
        """
        with suppress(OSError):
            write_whole(self.run.results / f".{self.name}.error", plain(reason, 500).encode())
        withdraw_request(self.run, self.name)


def evaluations(run: Run) -> list[str]:
    """The names of a run's pending evaluation requests, the oldest first."""
    return [name for name, request in pending_requests(run).items() if request.get("kind") == KIND]


def _names(request: dict[str, Any]) -> tuple[str, ...]:
    """The checkpoints that a request names: `checkpoint`, or `checkpoints`. A name is that of a file in the
    run's own folder: no path may lead out of it."""
    names = request.get("checkpoints") or [request.get("checkpoint", "")]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError("a request needs checkpoint, a file's name, or checkpoints, a list of them")
    strange = next((name for name in names if not CHECKPOINT_NAME.fullmatch(name)), None)
    if strange is not None:
        raise RequestError(f"a request names checkpoints by STEP-DIGEST.pt alone, not {plain(repr(strange))}")
    if len(set(names)) < len(names):
        raise RequestError("a request names a checkpoint twice; those that predict together differ")
    return tuple(names)


def _mapping(request: dict[str, Any], key: str) -> dict[str, Any]:
    value = request.get(key)
    if not isinstance(value, dict):
        raise RequestError(f"a request needs {key}, a mapping")
    return value
