"""Threads that leaving does not wait for, threads that it does wait for, and calls in the order asked."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")
LEAVING_SECONDS = 0.7


class AbandonableThreads(ThreadPoolExecutor):
    """An event loop's threads, a daemon for each call.

    The loop's own ones are joined at its end and again at the interpreter's, however long a call still takes.
    Here calls under way have a moment to end, which is enough for one that writes a file.
    """

    def __init__(self) -> None:
        super().__init__(max_workers=1)  # never used: the loop takes no other kind of executor
        self._busy: set[threading.Thread] = set()

    def submit(
        self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs
    ) -> Future[Result]:
        """Calls the function in a thread of its own."""
        future: Future[Result] = Future()

        def call() -> None:
            try:
                if future.set_running_or_notify_cancel():
                    future.set_result(fn(*args, **kwargs))
            except BaseException as fault:
                future.set_exception(fault)
            finally:
                self._busy.discard(threading.current_thread())

        thread = threading.Thread(target=call, name="kshot-call", daemon=True)
        self._busy.add(thread)
        thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Waits for calls under way, together no longer than `LEAVING_SECONDS`."""
        end = time.monotonic() + LEAVING_SECONDS
        for thread in list(self._busy) if wait else []:
            thread.join(max(0.0, end - time.monotonic()))


class Turns:
    """Calls in several threads that are made one after the other, in the order in which they were asked."""

    def __init__(self) -> None:
        self._last = threading.Event()
        self._last.set()

    def after_others(self, call: Callable[[], Result]) -> Callable[[], Result]:
        """The call, which waits for all those asked before it. It has to be made, or others wait for ever."""
        before, mine = self._last, threading.Event()
        self._last = mine

        def in_turn() -> Result:
            before.wait()
            try:
                return call()
            finally:
                mine.set()

        return in_turn


class Unbroken:
    """A call in a thread of its own, under way from the start on, which leaving waits for."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._thread = threading.Thread(target=call, name="kshot-unbroken", daemon=True)
        self._thread.start()

    @property
    def is_finished(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> bool:
        """Waits for its end; whether it came."""
        self._thread.join(max(0.0, seconds))
        return self.is_finished


def use_abandonable_threads(loop: Any) -> None:
    """Lets this event loop's calls in threads be abandoned at its end."""
    loop.set_default_executor(AbandonableThreads())
