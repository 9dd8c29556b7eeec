"""Tests that the compare screen asks for: begun and followed in a thread of their own, told in one line."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.text import Text
from textual import work
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from engine.runs.standing import Standing
from engine.runs.testing import Tests
from tui.compare.asking import wanted_tests
from tui.output import plain
from tui.reader import in_one_sentence
from tui.snapshot import TestNow

LOOK_EVERY = 0.25
FAILED = "its test failed"
"""How the reason begins of a test that may go well another time."""


@dataclass(frozen=True)
class Outcome:
    """How a round of tests ended: a sentence, how many tests have a result, and by run id why others have
    none and need not be asked again."""

    said: str = ""
    tested: int = 0
    faults: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False


class TestRound:
    """One round of tests. `carry_out` runs in a thread; `stop` may be called from any."""

    __test__ = False

    def __init__(
        self, standing: Standing, episodes: int | None, data_dir: Path, left_alone: Collection[str] = ()
    ) -> None:
        self.standing, self.episodes, self.data_dir = standing, episodes, data_dir
        self.left_alone = left_alone
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

    def carry_out(self, tell: Callable[[tuple[TestNow, ...]], object], left: Callable[[], bool]) -> Outcome:
        """Asks and waits; returns how it went. Raises RequestError or OSError where nothing can be asked.

        `left` says that nobody is looking any more: the evaluation worker goes on then without us.
        """
        wanted, refused = wanted_tests(self.standing, self.episodes, self.data_dir, self.left_alone)
        tests = Tests(self.data_dir)
        tests.request(wanted)
        while not tests.done:
            if self._stopped.is_set():
                tests.cancel()
                return Outcome("tests stopped", sum(test.result is not None for test in tests.tests))
            if left():
                return Outcome()
            tests.poll()
            found = [(test.label, test.progress()) for test in tests.tests]
            tell(tuple(TestNow(label, *progress) for label, progress in found if progress is not None))
            time.sleep(LOOK_EVERY)
        return self._outcome(tests, refused)

    def _outcome(self, tests: Tests, refused: Mapping[str, str]) -> Outcome:
        labels = {run.id: row.label for row in self.standing.rows for run in self.standing.runs[row.label]}
        failed = {test.run.id: f"{FAILED}: {test.error}" for test in tests.tests if test.error}
        faults = {**refused, **failed}
        number = sum(test.result is not None for test in tests.tests)
        said = [f"{number} run{'' if number == 1 else 's'} tested"] if number else []
        said += [f"{labels[run_id]}: {why}" for run_id, why in faults.items()]
        # A result that does not come to stand in the table all the same would be asked for again and again.
        elsewhere = "was tested, but by another protocol: its result stands in another table"
        told = {test.run.id: elsewhere for test in tests.tests} | faults
        return Outcome("; ".join(said) or "nothing is left to test", number, told, bool(faults))


def progress_text(tests: tuple[TestNow, ...]) -> str:
    """`testing maml: 340 of 600 episodes; pretrain: waiting for the device`."""
    shown = [
        f"{test.label}: {f'{test.phase} {test.done:,} of {test.total:,}' if test.total else test.phase}"
        for test in tests
    ]
    return f"Testing {'; '.join(shown)}" if shown else "Testing"


class TestLine(Static):
    """The line that tells how a round of tests stands; shows nothing where none is under way."""

    __test__ = False
    DEFAULT_CSS = "TestLine { height: auto; padding: 0 1; color: $accent; display: none; }"

    class Ended(Message):
        """The round is over."""

        def __init__(self, round_: TestRound, outcome: Outcome) -> None:
            super().__init__()
            self.round, self.outcome = round_, outcome

    class _Stands(Message):
        def __init__(self, tests: tuple[TestNow, ...]) -> None:
            super().__init__()
            self.tests = tests

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, TestLine._Stands)

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._round: TestRound | None = None

    @property
    def under_way(self) -> bool:
        """Whether a round is under way."""
        return self._round is not None

    def begin(self, tests: TestRound) -> None:
        """Carries out a round, of which there is none yet."""
        self._round = tests
        self._carry_out(tests)

    def stop(self) -> None:
        """Ends the round."""
        if self._round is not None:
            self._round.stop()

    @work(thread=True, group="compare-tests")
    def _carry_out(self, tests: TestRound) -> None:
        worker = get_current_worker()
        try:
            outcome = tests.carry_out(
                lambda now: self.post_message(self._Stands(now)), lambda: worker.is_cancelled
            )
        except Exception as fault:  # else the round would be under way for ever
            outcome = Outcome(in_one_sentence(fault), failed=True)
        self.post_message(self.Ended(tests, outcome))

    def on_test_line__stands(self, message: _Stands) -> None:
        """Shows how the tests stand."""
        if self._round is not None:
            self.display = True
            self.update(Text(plain(progress_text(message.tests))))

    def on_test_line_ended(self, message: Ended) -> None:
        """Shows nothing any more; the message goes on to the screen."""
        self._round = None
        self.display = False
