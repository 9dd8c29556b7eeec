"""A comparison's table as text, Markdown or CSV, from the JSON form of contracts §4 alone."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.runs.reports import verdict
from tui import equal_seconds
from tui.markdown import markdown_lines
from tui.numbers import MISSING, count, duration, interval, metric_words
from tui.output import cells, columns, plain, wrap
from tui.protocol_text import protocol_line
from tui.table_notes import Footnotes, differs, published_note, remarks
from tui.undecided import cannot_tell

SELECTED_STEPS = (1, 10, 100)
SEED = re.compile(r"^seed -?\d+: ")
Table = Mapping[str, Any]
Row = Mapping[str, Any]


def text(table: Table, width: int) -> str:
    """The table for a terminal of that many columns; what does not fit stands in a second block below."""
    notes = Footnotes()
    headings, rows = _body(table, notes)
    lines = [wrap(_title(table), width), ""]
    for part in _blocks(headings, rows, width):
        chosen = [[row[index] for index in part] for row in rows]
        lines += [columns([headings[index] for index in part], chosen, right=range(1, len(part))), ""]
    lines += [wrap(note, width, "  ") for note in remarks(table, notes)]
    lines.append(wrap(protocol_line(table), width, "  "))
    return "\n".join(lines)


def markdown(table: Table) -> str:
    """The table as GitHub's Markdown, with its footnotes and protocol under it."""
    notes = Footnotes()
    headings, rows = _body(table, notes, whole=True)
    return markdown_lines(_title(table), headings, rows, [*remarks(table, notes), protocol_line(table)])


def comma_separated(tables: Sequence[Table]) -> str:
    """One line a row, full precision; several tables follow one another under one heading line.

    Tables that have a view at equal seconds of training have its columns last.
    """
    cut = any("equal_seconds" in table for table in tables)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ["before", "after", "vs_baseline", "published"]
    writer.writerow(
        ["task", "metric", "label", "algorithm", "trained_on", "baseline", "runs", "seeds", "after_step"]
        + [f"{name}{part}" for name in names for part in ("", "_ci95")]
        + ["ci95_over", "episodes"]
        + ["verdict", "published_verdict", "iterations", "train_seconds", "tasks_seen", "training_ways"]
        + ["statistics", "error"]
        + (list(equal_seconds.CSV_COLUMNS) if cut else [])
    )
    for table in tables:
        for row in table["rows"]:
            more = equal_seconds.csv_values(table["equal_seconds"], row["label"]) if cut else []
            writer.writerow(["" if value is None else value for value in [*_csv_row(table, row), *more]])
    return out.getvalue().rstrip("\n")


def _csv_row(table: Table, row: Row) -> list[Any]:
    after = row["after"] or {}
    values: list[Any] = [table["task"], table["metric"], plain(row["label"]), plain(row["algorithm"])]
    values += [row["trained_on"], table["baseline"] or "", " ".join(row["runs"])]
    values += [" ".join(map(str, row["seeds"])), after.get("step", "")]
    for name in ("before", "after", "vs_baseline", "published"):
        entry = row[name] or {}
        values += [entry.get("mean", entry.get("value")), entry.get("ci95")]
    values += [after.get("over"), table["protocol"].get("episodes")]
    values += [verdict(row["vs_baseline"], table["higher_is_better"]) or ""]
    values += [(row["published"] or {}).get("verdict")]
    values += [row["iterations"], row["train_seconds"], row.get("tasks_seen")]
    return [*values, row.get("training_ways"), row.get("statistics"), row["error"] or ""]


def _body(table: Table, notes: Footnotes, whole: bool = False) -> tuple[list[str], list[list[str]]]:
    """Headings and cells; the baseline's row comes last; a column that says nothing is left out.

    Whose batch statistics tests use has a column where rows differ, or the table is `whole`.
    """
    rows = sorted(table["rows"], key=lambda row: row["label"] == table["baseline"])
    steps = _selected(table)
    against = f"against {table['baseline']}" if table["baseline"] else ""
    found: list[tuple[str, list[str]]] = [
        ("", [_label(row, notes) for row in rows]),
        ("before", [_mean(row, "before", table) for row in rows]),
        ("after (steps)", [_after(row, table, notes) for row in rows]),
        (against, [_against(row, table, notes) for row in rows]),
    ]
    for step in steps:
        cells_ = [_at(row, step, table) for row in rows]
        found.append((f"{step} step{'s' if step > 1 else ''}", cells_))
    found += [
        ("published", [_published(row, table, notes) for row in rows]),
        ("trained", [duration(row["train_seconds"]) for row in rows]),
        ("tasks seen", [count(row.get("tasks_seen")) for row in rows]),
        ("training ways", [count(row.get("training_ways")) for row in rows]),
    ]
    statistics = [row.get("statistics") or MISSING for row in rows]
    if whole or len(set(statistics) - {MISSING}) > 1:
        found.append(("batch statistics", statistics))
    kept = [pair for index, pair in enumerate(found) if index == 0 or _says_something(*pair)]
    return [name for name, _ in kept], [
        list(row) for row in zip(*(column for _, column in kept), strict=True)
    ]


def _says_something(heading: str, column: Sequence[str]) -> bool:
    return bool(heading) and (heading.startswith("after") or any(cell != MISSING for cell in column))


def takes_steps(report: Mapping[str, Any]) -> bool:
    """Whether a row or an evaluation is of a rule that shows steps (`before` may be missing all the same)."""
    return len(report["steps"] or ()) > 1


def _selected(table: Table) -> list[int]:
    """Steps worth a column of their own: recorded by some row, and not what `after` shows in every row."""
    stepped = [row for row in table["rows"] if takes_steps(row)]
    chosen = []
    for step in SELECTED_STEPS:
        there = [row for row in stepped if any(entry["step"] == step for entry in row["steps"])]
        longest = max((row["steps"][-1]["step"] or 0 for row in there), default=0)
        if there and longest >= 10 and any(row["after"]["step"] != step for row in there):
            chosen.append(step)
    return chosen


def _label(row: Row, notes: Footnotes) -> str:
    """The row's label, with a mark where its protocol differs from the others' in something that matters."""
    return " ".join(part for part in (row["label"], notes.mark(differs(row))) if part)


def _mean(row: Row, name: str, table: Table) -> str:
    return interval(row[name], table["metric"])


def _after(row: Row, table: Table, notes: Footnotes) -> str:
    if row["after"] is None:
        return short_error(row["error"])
    shown = interval(row["after"], table["metric"])
    step = row["after"]["step"]
    steps = f"({f'{step:,}' if step is not None else 'by seed'})" if takes_steps(row) else ""
    alone = row["after"].get("over") == "episodes" and "seeds" in _kinds(table)
    mark = notes.mark("one seed: its interval is over test episodes") if alone else ""
    return " ".join(part for part in (shown, steps, mark) if part)


def _kinds(table: Table) -> set[str]:
    """What the rows' intervals are over."""
    return {row["after"].get("over") for row in table["rows"] if row["after"] is not None}


def short_error(error: str | None) -> str:
    """Why a row has no result in a word or two; of several seeds the first one's reason."""
    first = SEED.sub("", error or MISSING).split("; ")[0]
    return first.split(": ")[0].split(" at ")[0]


def _at(row: Row, step: int, table: Table) -> str:
    if not takes_steps(row):
        return MISSING
    return interval(next((entry for entry in row["steps"] if entry["step"] == step), None), table["metric"])


def _against(row: Row, table: Table, notes: Footnotes) -> str:
    if row["label"] == table["baseline"]:
        return "baseline"
    difference = row["vs_baseline"]
    if difference is None:
        return MISSING
    said = verdict(difference, table["higher_is_better"])
    shown = interval(difference, table["metric"], signed=True)
    why = [cannot_tell(difference)] if said == "undecided" else []
    if row["after"] is not None and difference.get("over") != row["after"].get("over"):
        why.append("one seed in common: the difference's interval is over test episodes")
    mark = notes.mark("; ".join(why) or None)
    return " ".join(part for part in (f"{shown} ", said, mark) if part) if said else shown


def _published(row: Row, table: Table, notes: Footnotes) -> str:
    entry = row["published"]
    if not entry:
        return MISSING
    shown = interval({"mean": entry["value"], "ci95": entry["ci95"]}, table["metric"])
    parts = (shown, entry.get("verdict"), notes.mark(published_note(entry, table["protocol"].get("budget"))))
    return " ".join(part for part in parts if part)


def _blocks(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[int]]:
    """Column numbers split into blocks that fit the width; each block begins with the labels."""
    widths = [max(cells(plain(row[index])) for row in (headings, *rows)) for index in range(len(headings))]
    blocks, current, used = [], [0], widths[0]
    for index in range(1, len(headings)):
        if used + 2 + widths[index] > width and len(current) > 1:
            blocks.append(current)
            current, used = [0], widths[0]
        current.append(index)
        used += 2 + widths[index]
    return [*blocks, current]


def _title(table: Table) -> str:
    episodes = table["protocol"].get("episodes")
    tested = f"{episodes:,} test episodes, the same for all rows" if episodes else "no results"
    return f"{table['task']}: {metric_words(table['metric'], direction=True)}, {tested}"
