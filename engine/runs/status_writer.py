"""Keeps a run's status file: replaced atomically at each change and at least once a second."""

import contextlib
import os
import threading
import time
from dataclasses import fields
from types import TracebackType
from typing import Any, Self

from engine.runs.files import overwrite, sweep, to_json, write_whole
from engine.runs.locks import kept_lock
from engine.runs.status import STATES, Status, content_of, from_content, last_word, this_host
from engine.runs.store import Run

HEARTBEAT_SECONDS = 0.5
_PROMPT = frozenset(each.name for each in fields(Status)) - {"step", "updated", "more"}
"""Fields whose change is written at once."""


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
        self._content = {**content_of(last_word(run)), "pid": os.getpid(), "host": host, "boot": boot}
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
