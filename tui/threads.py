"""Threads that leaving does not wait for."""

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


def use_abandonable_threads(loop: Any) -> None:
    """Lets this event loop's calls in threads be abandoned at its end."""
    loop.set_default_executor(AbandonableThreads())
