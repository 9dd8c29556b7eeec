"""While you were away: what ended since the app was last open, on a card that any key puts away."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.runs import Summary
from engine.runs.files import from_json, read_small, to_json, write_whole
from tui.numbers import duration
from tui.output import plain
from tui.runs.rows import best_of
from tui.views import value_text

if TYPE_CHECKING:
    from tui.runs.away_tests import Tested

SEEN = ".seen"
SEEN_SECONDS = 30.0
"""How often it is written while the app is open: a lost line gives no time to write it at the end."""
MOST_BESTS = 3


def read_closed(runs_dir: Path) -> float | None:
    """When the app was last open on this runs folder, seconds since 1970; None: never, or not readable."""
    try:
        content = from_json(read_small(runs_dir / SEEN, 4096))
    except (OSError, ValueError):
        return None
    closed = content.get("closed") if isinstance(content, dict) else None
    return float(closed) if isinstance(closed, int | float) and closed > 0 else None


def write_closed(runs_dir: Path, now: float) -> None:
    """Remembers when the app was open, where there is a runs folder. Raises OSError."""
    if runs_dir.is_dir():
        write_whole(runs_dir / SEEN, to_json({"closed": now}), durable=False)


def while_away(
    runs: Sequence[Summary], closed: float | None, now: float, tests: "Mapping[str, Tested] | None" = None
) -> tuple[str, ...]:
    """What ended after `closed`, in lines; none where nothing did. `tests` are what `tested` finds."""
    ended = ended_since(runs, closed)
    counts = [
        f"{len(of_state)} {word}"
        for word in ("finished", "failed", "crashed")
        if (of_state := [run for run in ended if run.state == word])
    ]
    if not counts or closed is None:
        return ()
    first = f"While you were away ({duration(now - closed)}): {', '.join(counts)}."
    finished = [run for run in ended if run.state == "finished"]
    all_tested = all(each.all_tested for each in (tests or {}).values())
    missing = [] if all_tested else ["Not all are tested yet: 3, then e tests what is missing."]
    return (first, *_bests(finished, tests or {}), *missing)


def ended_since(runs: Sequence[Summary], closed: float | None) -> list[Summary]:
    """The runs last heard of after `closed`."""
    return [run for run in runs if closed is not None and (run.status.updated or 0.0) > closed]


def _bests(finished: Sequence[Summary], tests: "Mapping[str, Tested]") -> list[str]:
    """The best of each task: on the test episodes where there are results, else on validation."""
    best: dict[str, tuple[float, Summary]] = {}
    for run in finished:
        value = best_of(run)
        if value is None:
            continue
        rank = value if run.metric == "mse" else -value
        if run.task not in best or rank < best[run.task][0]:
            best[run.task] = (rank, run)
    told = {task: each.best for task, each in tests.items() if each.best}
    for task, (_, run) in best.items():
        shown = value_text(best_of(run), run.metric)
        told.setdefault(task, f"Best: {run.algorithm} {shown} on {task} (validation).")
    lines, more = list(told.values()), len(told) - MOST_BESTS
    return lines[:MOST_BESTS] + ([f"{more} more tasks in the list."] if more > 0 else [])


class AwayCard(ModalScreen[None]):
    """The card. Any key or click puts it away."""

    DEFAULT_CSS = """
    AwayCard { align: center middle; }
    AwayCard Static {
        width: auto; max-width: 90%; height: auto; padding: 1 2;
        background: $surface; border: round $primary;
    }
    """

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        yield Static(self._text())

    def _text(self) -> Text:
        return Text("\n".join(plain(line) for line in self._lines)) + "\n\nany key goes on"

    def say(self, lines: Sequence[str]) -> None:
        """Other lines, where the card is still there."""
        self._lines = lines
        for text in self.query(Static):
            text.update(self._text())

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.dismiss(None)

    def on_click(self) -> None:
        self.dismiss(None)


class Absence:
    """When the app was last open, read at the start and written while it is open; the card is shown once."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.closed = read_closed(runs_dir)
        self._shown = False

    def card(self, runs: Sequence[Summary]) -> AwayCard | None:
        """The card for the first picture; None where there is nothing to say and from then on."""
        if self._shown:
            return None
        self._shown = True
        lines = while_away(runs, self.closed, time.time())
        return AwayCard(lines) if lines else None

    def with_tests(self, runs: Sequence[Summary]) -> tuple[str, ...]:
        """The card's lines with what the tests say. Reads files: never on the event loop."""
        from tui.runs.away_tests import tested

        found = tested(runs, ended_since(runs, self.closed))
        return while_away(runs, self.closed, time.time(), found)

    def note(self) -> None:
        """Remembers that the app is open now; a folder that cannot be written to is no fault. As above."""
        try:
            write_closed(self.runs_dir, time.time())
        except OSError:
            return
