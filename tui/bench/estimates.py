"""What starting would take: time and memory of the trainings that are not there yet, asked off the loop."""

import time
from dataclasses import dataclass
from pathlib import Path

from engine.errors import RequestError
from tui.bench.selection import Selection
from tui.numbers import duration, size

MEASURED_FOR = 30.0
"""Seconds for which the speeds of earlier runs are kept."""


@dataclass(frozen=True)
class Outlook:
    """A sentence or two about what starting would do; `problem` where it would be refused."""

    text: str
    problem: bool = False


class Estimator:
    """Asks what a selection would take; keeps the speeds of earlier runs for a while. Reads files."""

    def __init__(self, runs_dir: Path, data_dir: Path) -> None:
        self.runs_dir, self.data_dir = runs_dir, data_dir
        self._measured: tuple[float, list] = (float("-inf"), [])

    def outlook(self, selection: Selection) -> Outlook:
        """The sentence for this selection; what is wrong with it is said in the engine's words."""
        from engine.runs.estimate import estimate
        from tui.dry_run import BEGUN, seconds_left
        from tui.session import planned

        try:
            plan = planned(selection.what, selection.options, self.runs_dir, self.data_dir)
            guesses = [estimate(training.spec, self._speeds()) for training in plan.trainings]
        except (RequestError, OSError) as fault:
            return Outlook(str(fault), problem=True)
        begun = [t for t in plan.trainings if t.action in BEGUN]
        reused = sum(training.action == "reuse" for training in plan.trainings)
        waiting = len(plan.trainings) - len(begun) - reused
        seconds = sum(seconds_left(t, guess) for t, guess in zip(plan.trainings, guesses, strict=True))
        memory = max((guess.memory_bytes or 0 for guess in guesses), default=0)
        parts = []
        if begun or waiting:
            number = len(begun) + waiting
            rough = any(
                guess.source.startswith("rough")
                for t, guess in zip(plan.trainings, guesses, strict=True)
                if t.action in BEGUN
            )
            text = f"about {duration(seconds)} for {number} training{'' if number == 1 else 's'}"
            parts.append(f"{text}, {size(memory)}{' (a rough guess)' if rough else ''}")
        if reused:
            parts.append(f"{reused} finished, reused")
        if waiting:
            parts.append(f"{waiting} under way already")
        return Outlook("; ".join([*parts, *plan.notes]))

    def _speeds(self) -> list:
        from engine.runs.estimate import measured_runs

        taken, measured = self._measured
        if time.monotonic() - taken > MEASURED_FOR:
            measured = measured_runs(self.runs_dir)
            self._measured = (time.monotonic(), measured)
        return measured
