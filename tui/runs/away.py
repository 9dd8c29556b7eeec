"""While you were away: what ended since the app was last closed, on a card that any key puts away."""

import time
from collections.abc import Sequence
from pathlib import Path

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

SEEN = ".seen"
MOST_BESTS = 3


def read_closed(runs_dir: Path) -> float | None:
    """When the app was last closed on this runs folder, seconds since 1970; None: never, or not readable."""
    try:
        content = from_json(read_small(runs_dir / SEEN, 4096))
    except (OSError, ValueError):
        return None
    closed = content.get("closed") if isinstance(content, dict) else None
    return float(closed) if isinstance(closed, int | float) and closed > 0 else None


def write_closed(runs_dir: Path, now: float) -> None:
    """Remembers the time of closing. Raises OSError; nothing is written where there is no runs folder."""
    if runs_dir.is_dir():
        write_whole(runs_dir / SEEN, to_json({"closed": now}), durable=False)


def while_away(runs: Sequence[Summary], closed: float | None, now: float) -> tuple[str, ...]:
    """What ended after `closed`, in lines; none where nothing did."""
    if closed is None:
        return ()
    ended = [run for run in runs if (run.status.updated or 0.0) > closed]
    counts = [
        f"{len(of_state)} {word}"
        for word in ("finished", "failed", "crashed")
        if (of_state := [run for run in ended if run.state == word])
    ]
    if not counts:
        return ()
    first = f"While you were away ({duration(now - closed)}): {', '.join(counts)}."
    return (first, *_bests([run for run in ended if run.state == "finished"]))


def _bests(finished: Sequence[Summary]) -> list[str]:
    """The best run of each task, on validation."""
    best: dict[str, tuple[float, Summary]] = {}
    for run in finished:
        value = best_of(run)
        if value is None:
            continue
        rank = value if run.metric == "mse" else -value
        if run.task not in best or rank < best[run.task][0]:
            best[run.task] = (rank, run)
    lines = [
        f"Best: {run.algorithm} {value_text(best_of(run), run.metric)} on {run.task} (validation)."
        for _, run in best.values()
    ]
    more = len(lines) - MOST_BESTS
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
        text = Text("\n".join(plain(line) for line in self._lines))
        yield Static(text + "\n\nany key goes on")

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.dismiss(None)

    def on_click(self) -> None:
        self.dismiss(None)


class Absence:
    """The time of the last closing, read at the start and written at the end; the card is shown once."""

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

    def end(self) -> None:
        """Remembers that the app is closed now; a folder that cannot be written to is no fault at the end."""
        try:
            write_closed(self.runs_dir, time.time())
        except OSError:
            return
