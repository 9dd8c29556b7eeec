"""A run's status: one small JSON file, replaced atomically at each change and at least once a second."""

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.runs.files import from_json, overwrite, plain, read_small, sweep, to_json, write_whole
from engine.runs.locks import kept_lock, probe
from engine.runs.store import Run

LIVE = frozenset({"queued", "starting", "running"})
STATES = frozenset({*LIVE, "paused", "stopped", "finished", "failed"})
SILENT_SECONDS = 60.0
LARGEST = 10**15
"""No count, speed or metric of a training comes near; a file that says more is not believed."""
FIGURES = ("iterations_per_second", "memory_bytes", "seconds")
"""What of `Status.more` is a number, or absent."""
HEARTBEAT_SECONDS = 0.5


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
    return _content(queued)


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


class StatusWriter:
    """Keeps a run's status file: written at once when something changes, and at least once a second.

    `step` and unknown fields go with the next heartbeat, so that they may be updated at every iteration. Only
    the holder of the run's lock may have one. When the run's directory is gone, `gone` becomes true and
    nothing is written any more; the same when the file that `lock` holds was taken away and another writer
    holds the one that has come in its place. Used as a context manager, or closed by `close()`.
    """

    def __init__(self, run: Run, lock: int | None = None, **changes: Any) -> None:
        self.run = run
        self._lock = self._given = lock
        # Writers that were killed left them; all who may write here hold the lock.
        sweep(run.path, older_than=0, pattern=f".{run.status_path.name}.*")
        self._guard = threading.RLock()
        self._closed = threading.Event()
        self._directory_gone = threading.Event()
        host, boot = this_host()
        self._content = {**_content(last_word(run)), "pid": os.getpid(), "host": host, "boot": boot}
        self._kept: dict[str, Any] = {}
        """What was last written to stay."""
        self.update(**{"state": "starting", "error": None, **changes})
        self._thread = threading.Thread(target=self._beat, name="kshot-heartbeat", daemon=True)
        self._thread.start()

    @property
    def gone(self) -> bool:
        """Whether the run's directory was moved away or removed, or is another's: the worker should end."""
        return self._directory_gone.is_set()

    @property
    def status(self) -> Status:
        """What was last given, written or not."""
        with self._guard:
            return from_content(self._content)

    def update(self, **changes: Any) -> None:
        """Change fields of `Status`, or any others; writes at once unless only progress changed.

        Raises OSError when the file cannot be written, ValueError for a state that is none.
        """
        if changes.get("state", "queued") not in STATES:
            raise ValueError(f"{changes['state']!r} is no state; the states are {', '.join(sorted(STATES))}")
        with self._guard:
            before = dict(self._content)
            self._content.update(changes)
            if self._content["state"] in ("starting", "running") and not self._content.get("started"):
                self._content["started"] = time.time()
            changed = {key for key, value in self._content.items() if before.get(key) != value}
            if changed & _PROMPT:
                self._write(durable=True)

    def close(self) -> None:
        """Write the last state, unless it stands there, and end the heartbeat; the caller then lets go of the
        lock.

        On a full disk it is written over the one before. Raises OSError.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        self._thread.join()
        # A kill in writing a finished run's status once more would leave a temporary file for good.
        if self._content != self._kept:
            self.write_last()

    def let_go(self) -> None:
        """Lets go of a lock that was taken anew in the place of the one given."""
        if self._lock is not None and self._lock != self._given:
            os.close(self._lock)
        self._lock = None

    def write_last(self) -> None:
        """Write the state, if need be over the one before, where no new file fits. Raises OSError."""
        with self._guard:
            try:
                self._write(durable=True)
            except OSError:
                overwrite(self.run.status_path, to_json(self._content, indent=1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_SECONDS):
            # A full disk must not end a training: the next beat tries again.
            with self._guard, contextlib.suppress(OSError):
                self._keep_lock()
                self._write(durable=False)

    def _keep_lock(self) -> None:
        """Somebody who takes the lock's file away must not let a second writer in."""
        if self._lock is not None and self.run.path.is_dir():
            kept = kept_lock(self._lock, self.run.lock_path)
            if kept is None:
                self._directory_gone.set()
            self._lock = kept

    def _write(self, *, durable: bool) -> None:
        if self.gone:
            return
        self._content["updated"] = time.time()
        try:
            write_whole(self.run.status_path, to_json(self._content, indent=1), durable=durable)
        except (FileNotFoundError, NotADirectoryError):
            self._directory_gone.set()
            return
        if durable:
            self._kept = dict(self._content)


_PROMPT = frozenset(each.name for each in fields(Status)) - {"step", "updated", "more"}


def _content(status: Status) -> dict[str, Any]:
    content = _as_fields(status)
    return {**{key: value for key, value in content.items() if key != "more"}, **status.more}
