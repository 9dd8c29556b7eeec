"""A run's status, read from its one small JSON file; `status_writer.py` keeps that."""

import functools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from engine.runs.files import from_json, plain, read_small
from engine.runs.locks import probe
from engine.runs.store import Run

LIVE = frozenset({"queued", "starting", "running"})
STATES = frozenset({*LIVE, "paused", "stopped", "finished", "failed"})
SILENT_SECONDS = 60.0
LARGEST = 10**15
"""No count, speed or metric of a training comes near; a file that says more is not believed."""
FIGURES = ("iterations_per_second", "memory_bytes", "seconds")
"""What of `Status.more` is a number, or absent."""


@dataclass(frozen=True)
class Status:
    """What a run last said of itself, `crashed` derived. Times: seconds since 1970; steps: iterations."""

    state: str
    phase: str = ""
    step: int = 0
    steps: int = 0
    pid: int | None = None
    host: str = ""
    boot: str = ""
    device: str = ""
    created: float | None = None
    started: float | None = None
    updated: float | None = None
    error: str | None = None
    best: Mapping[str, Any] | None = None
    """The checkpoint that is best on validation: {"step", "value", "file"}."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """For lists, so that they need no spec: name, kind, task, algorithm, budget, seed, metric, key."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the worker wrote, such as its speed."""

    @property
    def alive(self) -> bool:
        """Queued, starting or running, and not crashed."""
        return self.state in LIVE


@functools.cache
def this_host() -> tuple[str, str]:
    """This machine's name and its boot's identity, empty where the system has none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return os.uname().nodename, boot


def first_status(*, steps: int, device: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a run that was just made: queued, written by the launcher of this machine."""
    host, boot = this_host()
    now = time.time()
    queued = Status(
        "queued",
        "queued",
        steps=steps,
        host=host,
        boot=boot,
        device=device,
        created=now,
        updated=now,
        summary=summary,
    )
    return content_of(queued)


def read_status(run: Run) -> Status:
    """The run's status with `crashed` derived; never raises for what a folder may hold.

    A live state is believed while the lock is held (same machine) or `updated` is younger than 60 s (other).
    """
    status = last_word(run)
    while status.state in LIVE and not _vouched(run, status):
        # The writer may have said its last word and let go between our two looks: look again.
        again = last_word(run)
        if again == status:
            return _crashed(status)
        status = again
    return status


class StatusWatcher:
    """Reads one run's status again and again; on another machine what counts is that `updated` moves.

    Clocks of two machines may differ, so `updated` is compared with itself, by this machine's own clock.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._updated: float | None = None
        self._moved = time.monotonic()
        self._looked = False

    def read(self) -> Status:
        """The status now. Raises nothing."""
        status = last_word(self.run)
        if status.updated != self._updated:
            self._updated = status.updated
            # The first look cannot tell movement: it trusts the clock, as a single read does.
            self._moved = time.monotonic() if self._looked else self._moved - _age(status)
            self._looked = True
        if status.state in LIVE and not _is_here(status):
            return _crashed(status) if time.monotonic() - self._moved > SILENT_SECONDS else status
        return read_status(self.run)


def _vouched(run: Run, status: Status) -> bool:
    held = probe(run.lock_path) if _is_here(status) else None
    return _age(status) <= SILENT_SECONDS if held is None else held


def _is_here(status: Status) -> bool:
    return (status.host, status.boot) == this_host()


def _age(status: Status) -> float:
    return max(0.0, time.time() - (status.updated or 0.0))


def _crashed(status: Status) -> Status:
    return _with(status, state="crashed", error=status.error or "its process ended without a word")


def _with(status: Status, **changes: Any) -> Status:
    return Status(**{**_as_fields(status), **changes})


def _as_fields(status: Status) -> dict[str, Any]:
    return {each.name: getattr(status, each.name) for each in fields(Status)}


def last_word(run: Run) -> Status:
    """What the status file says, without asking whether its writer lives. Raises nothing."""
    try:
        content = from_json(read_small(run.status_path, 1 << 20))
    except FileNotFoundError:
        return _unreadable(run, "there is no status.json")
    except (OSError, ValueError) as error:
        return _unreadable(run, f"status.json cannot be read: {plain(error)}")
    state = content.get("state") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(state, str) or state not in STATES:
        return _unreadable(run, "status.json holds no state that kshot knows")
    return from_content(content)


def _unreadable(run: Run, why: str) -> Status:
    held = probe(run.lock_path) is True
    return Status(state="running" if held else "crashed", error=why)


def from_content(content: Mapping[str, Any]) -> Status:
    """A status from the JSON object of a status file; a value of the wrong type counts as absent."""
    known: dict[str, Any] = {"state": content["state"]}
    for name in ("phase", "host", "boot", "device"):
        known[name] = plain(content.get(name)) if isinstance(content.get(name), str) else ""
    for name in ("step", "steps"):
        known[name] = whole if type(whole := content.get(name)) is int and 0 <= whole < LARGEST else 0
    known["pid"] = pid if type(pid := content.get("pid")) is int and pid > 0 else None
    for name in ("created", "started", "updated"):
        value = content.get(name)
        known[name] = float(value) if isinstance(value, int | float) and abs(value) < 1e12 else None
    known["error"] = plain(content["error"], 2000) if isinstance(content.get("error"), str) else None
    known["best"] = _best(content.get("best"))
    known["summary"] = summary if isinstance(summary := content.get("summary"), dict) else {}
    known["more"] = {
        key: value
        for key, value in content.items()
        if key not in known and (key not in FIGURES or _is_figure(value))
    }
    return Status(**known)


def _best(content: Any) -> dict[str, Any] | None:
    """What stands there of the best checkpoint, without what is of the wrong type."""
    if not isinstance(content, dict):
        return None
    sound: dict[str, Callable[[Any], bool]] = {
        "step": lambda value: type(value) is int and 0 <= value < LARGEST,
        "value": lambda value: value is None or _is_figure(value),
        "file": _is_file_name,
        "files": lambda value: isinstance(value, list) and all(_is_file_name(name) for name in value),
    }
    return {key: value for key, value in content.items() if key not in sound or sound[key](value)}


def _is_figure(value: Any) -> bool:
    """Whether this is a number that can be counted with and told."""
    return type(value) in (int, float) and abs(value) < LARGEST


def _is_file_name(value: Any) -> bool:
    """Whether this names a file within its folder."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= 100 and "/" not in value


def content_of(status: Status) -> dict[str, Any]:
    """The JSON object of a status file; the inverse of `from_content`."""
    content = _as_fields(status)
    return {**{key: value for key, value in content.items() if key != "more"}, **status.more}
