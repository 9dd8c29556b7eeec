"""The table's cells: numbers as text, words beside them, nothing told by colour alone."""

from collections.abc import Sequence

from rich.text import Text

from engine.runs.reports import verdict
from tui.compare.remarks import against_published, published_note, undecided_note
from tui.compare.view import Row, View
from tui.contrast import TEXT
from tui.marks import Mark, ink
from tui.numbers import MISSING, count, duration, interval
from tui.output import plain
from tui.table_notes import Footnotes, differs
from tui.tables import short_error

COLOURS = {"better": "#5fd75f", "worse": "#ff5f5f"}
COLUMNS = ("before", "after", "against", "published", "trained", "tasks seen", "seeds")


def headings(view: View) -> list[str]:
    """The columns' headings; the first is the rows' labels."""
    against = f"against {view.baseline}" if view.baseline else "no baseline"
    return ["", *(plain(against) if name == "against" else name for name in COLUMNS)]


def label_cell(row: Row, mark: Mark, note: str = "") -> Text:
    """The row's mark and label, and the mark of the note that says in what its protocol differs."""
    return Text.assemble((mark.shape, mark.colour), " ", plain(row["label"]), f" {note}" if note else "")


def cells(view: View, notes: Footnotes) -> list[list[Text]]:
    """A line of cells for each row of the table, the notes' marks in them."""
    return [_line(view, row, notes) for row in view.rows]


def _line(view: View, row: Row, notes: Footnotes) -> list[Text]:
    metric = view.table["metric"]
    seeds: Sequence[int] = row["seeds"]
    return [
        label_cell(row, view.marks[row["label"]], notes.mark(differs(row))),
        Text(interval(row["before"], metric)),
        Text(_after(row, metric)),
        _against(view, row, notes),
        Text(_published(view, row, notes)),
        Text(duration(row["train_seconds"])),
        Text(count(row["tasks_seen"])),
        Text(", ".join(map(str, seeds))),
    ]


def _after(row: Row, metric: str) -> str:
    """The result with the inner steps it was read at; for a row without one, why in a word or two."""
    after = row["after"]
    if after is None:
        return plain(short_error(row["error"]))
    shown = interval(after, metric)
    if row["before"] is None or len(row["steps"]) < 2:
        return shown
    return f"{shown} ({'by seed' if after['step'] is None else format(after['step'], ',')})"


def _against(view: View, row: Row, notes: Footnotes) -> Text:
    if row["label"] == view.baseline:
        return Text("baseline", style="italic")
    difference = row["vs_baseline"]
    if difference is None:
        return Text(MISSING)
    said = verdict(difference, view.table["higher_is_better"])
    shown = interval(difference, view.table["metric"], signed=True)
    if said is None:
        return Text(shown)
    mark = notes.mark(undecided_note(view, row))
    style = ink(COLOURS[said], TEXT) if said in COLOURS else ""
    return Text.assemble(f"{shown}  ", (said, style), f" {mark}" if mark else "")


def _published(view: View, row: Row, notes: Footnotes) -> str:
    published = row["published"]
    if published is None:
        return MISSING
    figure = {"mean": published["value"], "ci95": published["ci95"]}
    words = [interval(figure, view.table["metric"]), against_published(row)]
    words.append(notes.mark(published_note(view, row)))
    return plain(" ".join(word for word in words if word))
