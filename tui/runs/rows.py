"""A run as a row: its cells as text, the columns that fit a width, what a filter finds, the orders."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from engine.runs import Summary
from tui.marks import mark_of
from tui.numbers import age
from tui.output import cells, pad, plain
from tui.snapshot import TESTING, Snapshot, TestNow, state_word
from tui.views import value_text

STATE_MARKS = {
    "queued": "○",
    "starting": "●",
    "running": "●",
    "paused": "‖",
    "stopped": "■",
    "finished": "✔",
    "failed": "✖",
    "crashed": "✖",
}
TONES = {"running": "live", "starting": "live", "finished": "good", "failed": "bad", "crashed": "bad"}
"""States whose mark has a colour of its own; the others are dim."""
BY_STATE = ("running", "starting", "queued", "crashed", "failed", "paused", "stopped", "finished")
ORDERS = ("newest", "state", "task", "algorithm", "best", "name")
NESTED = ("newest", "task", "algorithm", "name")
"""The orders in which forks stand under what they were forked from; the others are about each run itself."""
FULL, EMPTY = "━", "─"


@dataclass(frozen=True)
class Column:
    """A column: its least and greatest width in cells, and from which width of the table on it is shown."""

    name: str
    heading: str
    least: int
    most: int
    right: bool = False
    from_width: int = 0


COLUMNS = (
    Column("mark", "", 2, 2),
    Column("run", "run", 14, 44),
    Column("algorithm", "algorithm", 10, 18),
    Column("task", "task", 12, 28),
    Column("seed", "seed", 4, 4, right=True, from_width=92),
    Column("state", "state", 8, 15),
    Column("bar", "progress", 8, 20, from_width=104),
    Column("percent", "", 5, 5, right=True),
    Column("best", "best", 7, 9, right=True),
    Column("started", "started", 11, 11, right=True, from_width=86),
)


def layout(width: int) -> list[tuple[Column, int]]:
    """The columns shown at that width with their widths, a space between them.

    Spare cells go to the run, the task, the state, the algorithm and the bar, in that order.
    """
    shown = [column for column in COLUMNS if width >= column.from_width]
    widths = {column.name: column.least for column in shown}
    spare = width - sum(widths.values()) - len(shown) + 1
    comfortable = {"task": 20, "state": 9, "run": 24, "algorithm": 13, "best": 9}
    for limits in (comfortable, {column.name: column.most for column in shown}):
        for name, limit in limits.items():
            if name in widths and spare > 0:
                more = min(spare, max(0, limit - widths[name]))
                widths[name] += more
                spare -= more
    return [(column, widths[column.name]) for column in shown]


def cut(text: str, width: int, right: bool = False) -> str:
    """The text in exactly that many cells, its end replaced by `…` where it is longer."""
    if text.isascii() and len(text) <= width:
        return text.rjust(width) if right else text.ljust(width)
    if cells(text) > width:
        while text and cells(text) > width - 1:
            text = text[:-1]
        text += "…"
    return pad(text, width, right)


def run_label(summary: Summary, width: int = 0) -> str:
    """What names a run in that room: its own name, else its id, or the day and the end of it."""
    if summary.name:
        return plain(summary.name)
    run_id = plain(summary.id)
    if cells(run_id) <= width:
        return run_id
    parts = run_id.split("-")
    if len(parts) > 3 and len(parts[0]) == 8 and parts[0].isdigit():
        return f"{parts[0][4:]}-{parts[-1]}"
    return run_id


def best_of(summary: Summary) -> float | None:
    """The best validation value: accuracy as a fraction, or an error; None where the file has no number."""
    value = (summary.status.best or {}).get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


def state_told(summary: Summary, asked: Collection[str], test: TestNow | None = None) -> str:
    """The state in a word, or what the run was asked and has not done yet, or how its test stands."""
    if test is not None and test.share is not None and not summary.status.alive:
        return TESTING
    if summary.status.alive and asked:
        return (
            "stopping" if "stop" in asked else "pausing" if "pause" in asked else state_word(summary.status)
        )
    return state_word(summary.status)


def fraction_of(summary: Summary) -> float | None:
    """How far the training is, 0 to 1; None where there is nothing to train."""
    status = summary.status
    if not status.steps:
        return None
    return 1.0 if status.step >= status.steps else status.step / status.steps


def row_cells(
    summary: Summary,
    asked: Collection[str],
    widths: Sequence[tuple[Column, int]],
    now: float,
    depth: int = 0,
    test: TestNow | None = None,
) -> tuple[str, ...]:
    """The texts of a row, each exactly as wide as its column; a fork's label stands `depth` steps in. `test`
    is its test, whose progress stands there while it is under way."""
    texts = []
    branch = "  " * (depth - 1) + "└ " if depth else ""
    for column, width in widths:
        room = width - len(branch) if column.name == "run" else width
        text = _cell(column.name, summary, asked, room, now, test)
        if branch and column.name == "run":
            # The algorithm has a column of its own: room for what is changed.
            text = text.removeprefix(f"{summary.algorithm}, ")
        texts.append(cut(branch + text if column.name == "run" else text, width, column.right))
    return tuple(texts)


def _cell(
    name: str, summary: Summary, asked: Collection[str], width: int, now: float, test: TestNow | None
) -> str:
    status, tested = summary.status, test.share if test is not None else None
    done = fraction_of(summary) if tested is None else tested
    waits = status.state == "queued" and not status.step
    match name:
        case "mark":
            return f" {STATE_MARKS.get(status.state if tested is None else 'running', '?')}"
        case "run":
            return run_label(summary, width)
        case "algorithm":
            shown = plain(summary.algorithm)
            return f"{mark_of(summary.algorithm).shape} {shown}" if shown else ""
        case "task":
            return plain(summary.task)
        case "seed":
            return "" if summary.seed is None else str(summary.seed)
        case "state":
            told = plain(state_told(summary, asked, test))
            return told if cells(told) <= width else status.state
        case "bar":
            full = int((done or 0.0) * width)
            return "" if done is None or waits else FULL * full + EMPTY * (width - full)
        case "percent":
            return "" if done is None or waits else f"{int(done * 100)} %"
        case "best":
            best = best_of(summary)
            return "" if best is None else value_text(best, summary.metric)
        case _:
            began = status.started or status.created
            return age(now - began) if began else ""


def found_by(
    summary: Summary, words: Sequence[str], asked: Collection[str] = (), test: TestNow | None = None
) -> bool:
    """Whether every word stands somewhere in id, name, task, algorithm or state."""
    texts = (summary.id, summary.name or "", summary.task, summary.algorithm, summary.state)
    haystack = " ".join((*texts, state_told(summary, asked, test))).casefold()
    return all(word in haystack for word in words)


def filtered(snapshot: Snapshot, words: str) -> list[Summary]:
    """The picture's runs that a filter finds, in the picture's order."""
    wanted = words.casefold().split()
    if not wanted:
        return list(snapshot.runs)
    return [
        run
        for run in snapshot.runs
        if found_by(run, wanted, snapshot.asked.get(run.id, ()), snapshot.tests.get(run.id))
    ]


def ordered(runs: Iterable[Summary], order: str) -> list[Summary]:
    """The runs, newest first, in one of ORDERS; what is equal stays newest first."""
    match order:
        case "state":
            return sorted(runs, key=lambda run: _place(run.state, BY_STATE))
        case "task":
            return sorted(runs, key=lambda run: run.task)
        case "algorithm":
            return sorted(runs, key=lambda run: run.algorithm)
        case "best":
            return sorted(runs, key=_by_best)
        case "name":
            return sorted(runs, key=lambda run: run_label(run).casefold())
    return list(runs)


def _by_best(run: Summary) -> tuple[str, bool, float]:
    """Within a task the best first, runs without a value last: values of two tasks do not compare."""
    best = best_of(run)
    if best is None:
        return run.task, True, 0.0
    return run.task, False, best if run.metric == "mse" else -best


def _place(word: str, words: Sequence[str]) -> int:
    return words.index(word) if word in words else len(words)
