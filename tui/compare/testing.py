"""Tests that the compare screen asks for: begun and followed in a thread of their own."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine.errors import RequestError
from engine.runs.standing import Standing
from engine.runs.testing import Tests
from tui.compare.asking import wanted_tests
from tui.snapshot import TestNow

LOOK_EVERY = 0.25


class TestRound:
    """One round of tests. `carry_out` runs in a thread; `stop` may be called from any."""

    __test__ = False

    def __init__(self, standing: Standing, episodes: int | None, data_dir: Path) -> None:
        self.standing, self.episodes, self.data_dir = standing, episodes, data_dir
        self._stopped = threading.Event()

    @property
    def resulting_key(self) -> str:
        """The key of the table that the results will stand in."""
        if self.episodes is None:
            return self.standing.key
        protocol = {**self.standing.protocol, "episodes": self.episodes}
        return replace(self.standing, protocol=protocol).key

    def stop(self) -> None:
        """Ends the round; tests that are not answered are withdrawn."""
        self._stopped.set()

    def carry_out(self, tell: Callable[[tuple[TestNow, ...]], object], left: Callable[[], bool]) -> str:
        """Asks and waits; returns a sentence on how it went. Raises RequestError or OSError.

        `left` says that nobody is looking any more: the evaluation worker goes on then without us.
        """
        wanted, refused = wanted_tests(self.standing, self.episodes, self.data_dir)
        tests = Tests(self.data_dir)
        tests.request(wanted)
        while not tests.done:
            if self._stopped.is_set():
                tests.cancel()
                return "tests stopped"
            if left():
                return ""
            tests.poll()
            found = [(test.label, test.progress()) for test in tests.tests]
            tell(tuple(TestNow(label, *progress) for label, progress in found if progress is not None))
            time.sleep(LOOK_EVERY)
        faults = [f"{test.label}: {test.error}" for test in tests.tests if test.error] + refused
        if faults:
            raise RequestError("; ".join(faults))
        number = len(tests.tests)
        return f"{number} run{'' if number == 1 else 's'} tested" if number else "nothing is left to test"


def progress_text(tests: tuple[TestNow, ...]) -> str:
    """`testing maml: 340 of 600 episodes; pretrain: waiting for the device`."""
    shown = [
        f"{test.label}: {f'{test.phase} {test.done:,} of {test.total:,}' if test.total else test.phase}"
        for test in tests
    ]
    return f"Testing {'; '.join(shown)}" if shown else "Testing"
