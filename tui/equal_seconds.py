"""A comparison's second view, cut at equal seconds of training, as text, Markdown or columns of a CSV."""

from collections.abc import Mapping, Sequence
from typing import Any

from tui.markdown import markdown_lines
from tui.numbers import MISSING, count, duration, interval, metric_words
from tui.output import columns, wrap
from tui.table_notes import Footnotes

Cut = Mapping[str, Any]
EARLY = 0.9
"""Below this share of the time it is said that a row's last validation was before its end."""
CSV_COLUMNS = (
    "equal_seconds",
    "validation",
    "validation_ci95",
    "validation_ci95_over",
    "validation_iterations",
    "validation_tasks_seen",
    "validation_seconds",
)


def text(cut: Cut, width: int) -> str:
    """The view for a terminal of that many columns; where it is too wide, without the whole trainings."""
    notes = Footnotes()
    headings, rows = _body(cut, notes)
    shown = columns(headings, rows, right=range(1, len(headings)))
    if max(map(len, shown.split("\n"))) > width:
        of_both = len(headings) - len(_WHOLE)
        shown = columns(headings[:of_both], [row[:of_both] for row in rows], right=range(1, of_both))
    said = [wrap(line, width, "  ") for line in _remarks(cut, notes)]
    return "\n".join([wrap(title(cut), width), "", *([shown, ""] if rows else []), *said])


def markdown(cut: Cut) -> str:
    """The view as GitHub's Markdown, its notes under it."""
    notes = Footnotes()
    headings, rows = _body(cut, notes)
    return markdown_lines(title(cut), headings, rows, _remarks(cut, notes))


def csv_values(cut: Cut, label: str) -> list[Any]:
    """What stands in CSV_COLUMNS for the row of that label; nothing where it has no such validation."""
    row: Mapping[str, Any] = next((row for row in cut["rows"] if row["label"] == label), {})
    names = ("mean", "ci95", "over", "iterations", "tasks_seen", "seconds")
    return [cut["seconds"], *(row.get(name) for name in names)]


def title(cut: Cut) -> str:
    """What is shown, and at how many seconds."""
    metric = metric_words(cut["metric"], direction=True)
    if cut["seconds"] is None:
        return f"At equal seconds of training: {metric}; no training here has a validation with its time"
    why = ", the shortest training" if cut["shortest"] else ""
    return (
        f"At equal seconds of training: validation {metric} at each row's last validation within "
        f"{duration(cut['seconds'])}{why}"
    )


_WHOLE = ("at its end", "after")


def _body(cut: Cut, notes: Footnotes) -> tuple[list[str], list[list[str]]]:
    """Headings and cells, those of the whole training last."""
    headings = ["", "validation", "at", "iterations", "tasks seen", *_WHOLE]
    return headings, [_line(row, cut["metric"], notes) for row in cut["rows"]]


def _line(row: Mapping[str, Any], metric: str, notes: Footnotes) -> list[str]:
    if row["whole"] is None:
        return [row["label"], "none", *[MISSING] * 5]
    whole = row["whole"]
    return [
        row["label"],
        " ".join([interval(_entry(row), metric), *([notes.mark(_early(row))] if row["planned"] else [])]),
        duration(row["seconds"]),
        _count(row["iterations"]),
        _count(row["tasks_seen"]),
        interval(_entry(whole), metric),
        duration(whole["seconds"]),
    ]


def _early(row: Mapping[str, Any]) -> str:
    """What of the row was planned over its whole budget, and how that tells in an early cut."""
    return f"{' and '.join(row['planned'])}: cut early it may look worse than a training sized for that time"


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"mean": row["mean"], "ci95": row["ci95"]}


def _count(number: float | None) -> str:
    """A count, or a mean of counts rounded to whole."""
    return count(None if number is None else round(number))


def _remarks(cut: Cut, notes: Footnotes) -> list[str]:
    lines = [_measure(cut), *notes.lines]
    for row in cut["rows"]:
        lines += [f"{row['label']}: {note}" for note in row["notes"]]
    lines += [*_shared_seconds(cut), *_unlike(cut)]
    if cut["left_out"]:
        lines.append(f"left out, since nothing is trained for them: {', '.join(cut['left_out'])}")
    return lines


def _measure(cut: Cut) -> str:
    """That these are validation episodes, how many, and what the figures are means of."""
    shared = cut["validation"]
    number = f"{shared['episodes']:,} validation" if "episodes" in shared else "validation"
    same = ", the same for all rows" if {"episodes", "episodes_key"} <= shared.keys() else ""
    several = any(len(row["seeds"]) > 1 for row in cut["rows"])
    means = "; means over seeds, ± 95 % interval over seeds" if several else "; ± 95 % interval over episodes"
    times = [row["seconds"] for row in cut["rows"] if row["seconds"] is not None]
    early = cut["seconds"] is not None and min(times, default=cut["seconds"]) < EARLY * cut["seconds"]
    seldom = "; a row that validates seldom stands at less than the whole time" if early else ""
    return (
        f"Of {number} episodes{same}, not of the test episodes above; seconds of training alone, without "
        f"validations{seldom}{means}"
    )


def _shared_seconds(cut: Cut) -> Sequence[str]:
    """That seconds are not measured alike where some seeds had a process for themselves and others shared
    one."""
    shared = {row["label"]: max(row["seeds_together"], default=1) for row in cut["rows"]}
    named = ", ".join(f"{label} ({most} seeds)" for label, most in shared.items() if most > 1)
    alone = ", ".join(row["label"] for row in cut["rows"] if 1 in row["seeds_together"])
    if not named or not alone:
        return []
    return [
        f"{named}: trained together in one process, of whose seconds each seed counts its share; that is not "
        f"what a run takes by itself, as those of {alone} did"
    ]


def _unlike(cut: Cut) -> Sequence[str]:
    """How the rows' validations differ, where they do."""
    lines = []
    told = [row for row in cut["rows"] if row["validation"]]
    words = {"episodes": "validation episodes", "statistics": "batch statistics in validation"}
    for name, word in words.items():
        if told and name not in cut["validation"]:
            each = ", ".join(f"{row['label']} {row['validation'][name] or 'none'}" for row in told)
            lines.append(f"{word}: {each}")
    if told and "episodes_key" not in cut["validation"]:
        lines.append("not all rows were validated on the same episodes")
    return lines
