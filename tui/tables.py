"""A comparison's table as text, Markdown or CSV, from the JSON form of contracts §4 alone."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.runs.reports import verdict
from tui.numbers import MISSING, count, duration, interval
from tui.output import cells, columns, plain, wrap
from tui.undecided import cannot_tell

MARKS = "¹²³⁴⁵⁶⁷⁸⁹"
SELECTED_STEPS = (1, 10, 100)
METHODS = {"bootstrap-t": "bootstrap-t", "t": "Student's t", "bootstrap": "bootstrap over seeds and episodes"}
CODE = ("version", "numerics", "engine")
"""A protocol's keys that say which code tested."""
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
    lines += [wrap(note, width, "  ") for note in _remarks(table, notes)]
    lines.append(wrap(protocol_line(table), width, "  "))
    return "\n".join(lines)


def markdown(table: Table) -> str:
    """The table as GitHub's Markdown, with its footnotes and protocol under it."""
    notes = Footnotes()
    headings, rows = _body(table, notes, whole=True)
    return markdown_lines(_title(table), headings, rows, [*_remarks(table, notes), protocol_line(table)])


def markdown_lines(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]
) -> str:
    """A title, a table whose first column is flush left, and notes under it, as GitHub's Markdown."""
    clean = [[_cell(cell) for cell in row] for row in (headings, *rows)]
    lines = [
        f"**{_cell(title)}**",
        "",
        _line(clean[0]),
        _line(["---", *["---:"] * (len(headings) - 1)]),
    ]
    lines += [_line(row) for row in clean[1:]]
    return "\n".join([*lines, "", *(f"{_cell(note)}  " for note in notes)])


def comma_separated(tables: Sequence[Table]) -> str:
    """One line a row, full precision; several tables follow one another under one heading line.

    Tables that have a view at equal seconds of training have its columns last.
    """
    from tui import equal_seconds  # which is drawn with what stands here

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


class Footnotes:
    """Notes in the order of their marks; the same text has one mark."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def mark(self, note: str | None) -> str:
        """The mark of a note; nothing for none."""
        if note is None:
            return ""
        if note not in self._texts:
            self._texts.append(note)
        number = self._texts.index(note)
        return MARKS[number] if number < len(MARKS) else f"({number + 1})"

    @property
    def lines(self) -> list[str]:
        """The notes, each after its mark."""
        return [f"{self.mark(note)} {note}" for note in self._texts]


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


def differs(row: Row) -> str | None:
    """In what a row's protocol card differs from the other rows': `network conv4 (the others: mlp)`."""
    parts = []
    for each in row.get("differs") or ():
        others = f"(the others: {each['others']})" if each["others"] else "by seed"
        parts.append(f"{each['what']} {each['here']} {others}")
    return "; ".join(parts) or None


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


def published_note(entry: Mapping[str, Any], budget: str | None = None) -> str:
    """A published figure's source, what its ± is, how it was tested, and what ours differs from it in."""
    parts = [entry["source"]]
    if entry.get("plus_minus"):
        parts.append(f"± {entry['plus_minus']}")
    parts += [entry["protocol"]] if entry.get("protocol") else []
    parts += entry.get("reasons") or []
    parts += [f"ours at the {budget} budget"] if budget not in (None, "paper") else []
    return "; ".join(parts)


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
    names = {"accuracy": "accuracy in percent", "mse": "mean squared error, lower is better"}
    return f"{table['task']}: {names.get(table['metric'], table['metric'])}, {tested}"


def _remarks(table: Table, notes: Footnotes) -> list[str]:
    """What stands under a table before its protocol."""
    return [*notes.lines, *choices(table), *_cut_short(table), *_errors(table)]


def choices(table: Table) -> list[str]:
    """What rows chose on validation episodes, such as a baseline's rate, head and steps; a line for all the
    seeds that chose the same."""
    lines = []
    for row in table["rows"]:
        found: dict[str, list[int]] = {}
        for place, choice in enumerate(row.get("chosen") or ()):
            found.setdefault(choice_text(choice), []).append(place)
        # A seed without a result has no choice: then the places do not say whose it is.
        named = len(row["seeds"]) > 1 and sum(map(len, found.values())) == len(row["seeds"])
        for said, places in found.items():
            seeds = [str(row["seeds"][place]) for place in places] if named else []
            whose = f", seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}" if seeds else ""
            lines.append(f"{row['label']}{whose}: {said}")
    return lines


def choice_text(choice: Mapping[str, Any]) -> str:
    """`learning rate 0.01, head zero, 5 steps, chosen on 200 validation episodes from 54 tries`."""
    parts = []
    if choice.get("learning_rate") is not None:
        parts.append(f"learning rate {choice['learning_rate']:g}")
    if choice.get("head") is not None:
        parts.append(f"{choice['head']} head")
    if choice.get("parameters") is not None:
        parts.append(f"{choice['parameters']} parameters adapted")
    steps = choice.get("steps")
    if steps is not None:
        parts.append(f"{steps:,} step{'' if steps == 1 else 's'}")
    tries = choice.get("tried")
    told = f" from {tries} {'try' if tries == 1 else 'tries'}" if tries else ""
    return f"{', '.join(parts)}, chosen on {choice.get('episodes', '?')} validation episodes{told}"


def _errors(table: Table) -> list[str]:
    return [f"{row['label']}: {row['error']}" for row in table["rows"] if row["error"]]


def _cut_short(table: Table) -> list[str]:
    """Which trainings the time limit ended early, and after how many iterations."""
    lines = []
    for row in table["rows"]:
        done = row["protocol"].get("iterations_done")
        if done:
            counts = ", ".join(f"{number:,}" for number in done)
            asked, limit = row["protocol"]["iterations_asked"], row["protocol"]["time_limit"]
            lines.append(
                f"{row['label']}: training ended after {duration(limit)}, {counts} of {asked:,} iterations"
            )
    return lines


def protocol_line(table: Table) -> str:
    """How all rows were tested, and what their intervals are over."""
    return "Protocol: " + "; ".join([*protocol_parts(table["protocol"]), *_intervals(table)])


def _kinds(table: Table) -> set[str]:
    """What the rows' intervals are over."""
    return {row["after"].get("over") for row in table["rows"] if row["after"] is not None}


def _intervals(table: Table) -> list[str]:
    means = over_what([row["after"] for row in table["rows"] if row["after"] is not None])
    paired = over_what([row["vs_baseline"] for row in table["rows"] if row["vs_baseline"]])
    if not paired:
        return [means] if means else []
    also = f", {paired}" if paired != means else ""
    return [means, f"differences paired episode by episode{also}"]


def over_what(entries: Sequence[Mapping[str, Any]]) -> str:
    """`± 95 % interval over test episodes`: what the intervals of these entries are over, and how they are
    made where they are not mean ± 1.96 standard errors; nothing for no entries."""
    over = {entry.get("over") for entry in entries}
    if not over:
        return ""
    several = "over training seeds" + (", of one seed over test episodes" if len(over) > 1 else "")
    methods = [word for method, word in METHODS.items() if any(e.get("method") == method for e in entries)]
    how = f" ({', '.join(methods)})" if methods else ""
    return f"± 95 % interval {several if 'seeds' in over else 'over test episodes'}{how}"


def protocol_parts(protocol: Mapping[str, Any]) -> list[str]:
    """A protocol as readable pieces; keys that it may hold and this does not know are shown as they are."""
    statistics = {
        "query": "batch statistics over all queries",
        "support": "batch statistics of the support set",
        "one": "batch statistics of the support set and one query at a time",
    }
    parts = []
    for key, value in protocol.items():
        if value is None or value == "" or key in ("episodes", "queries_sharing", *CODE):
            continue
        name = key.replace("_", " ")
        if key == "statistics":
            said = statistics.get(str(value), f"batch statistics: {value}")
            sharing = protocol.get("queries_sharing") if value == "query" else None
            parts.append(f"{said}{f', {sharing} a task' if sharing else ''}")
        elif key == "seeds":
            seeds = ", ".join(str(seed) for seed in value)
            parts.append(f"seed{'s' if len(value) > 1 else ''} {seeds}")
        elif key == "budget":
            parts.append(f"{value} budget")
        elif key in ("ways", "shots", "queries"):
            parts.append(
                f"{value} {name if value != 1 else name.removesuffix('s').replace('querie', 'query')}"
            )
        elif key == "model":
            parts.append(f"{value} model")
        elif key == "copy":
            parts.append(f"copy of the images: {value}")
        elif key == "trained_by":
            parts.append(f"training {value}")
        elif value is True:
            parts.append(name)
        elif value is not False:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            parts.append(f"{name} {shown}")
    code = [f"{name.replace('version', 'kshot')} {protocol[name]}" for name in CODE if protocol.get(name)]
    return [*parts, *([f"code: {', '.join(code)}"] if code else [])]


def _cell(value: str) -> str:
    """Text that cannot break a Markdown table or become markup."""
    return "".join("\\" + character if character in "\\`*_|<[]" else character for character in plain(value))


def _line(row: Sequence[str]) -> str:
    return "| " + " | ".join(row) + " |"
