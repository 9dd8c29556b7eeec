"""Evaluation requests as a worker takes them up: checked, and with their checkpoint's bytes in hand."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from engine.devices import device_name
from engine.errors import RequestError
from engine.presets import Spec, spec_from_dict
from engine.runs import Run, pending_requests, read_verified, withdraw_request
from engine.runs.files import plain, write_whole

KIND = "evaluate"
ENDED = 3
"""A worker's exit code when it was asked to end before it had answered."""


@dataclass(frozen=True)
class Asked:
    """One request: the run, the request's name, the spec to test by, the checkpoint's name and bytes, and
    whatever else it says.

    Where it cannot be served `error` says why, and spec and bytes are None.
    """

    run: Run
    name: str
    device: str
    spec: Spec | None = None
    checkpoint: str = ""
    data: bytes | None = None
    error: str | None = None
    content: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, run: Run, name: str) -> Self:
        """Reads a request of a run and the checkpoint that it names."""
        request = pending_requests(run).get(name, {})
        try:
            spec = spec_from_dict(_mapping(request, "spec"), f"request {name}")
            checkpoint = str(request.get("checkpoint", ""))
            data = read_verified(run.checkpoints / checkpoint)
        except RequestError as error:
            return cls(run, name, "cpu", error=str(error))
        return cls(run, name, device_name(spec.device), spec, checkpoint, data, content=request)

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


def _mapping(request: dict[str, Any], key: str) -> dict[str, Any]:
    value = request.get(key)
    if not isinstance(value, dict):
        raise RequestError(f"a request needs {key}, a mapping")
    return value
