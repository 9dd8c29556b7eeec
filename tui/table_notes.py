"""What stands under a comparison's table: notes with marks in cells, what rows chose, which ended early."""

from collections.abc import Mapping
from typing import Any

from tui.numbers import duration

MARKS = "¹²³⁴⁵⁶⁷⁸⁹"
Table = Mapping[str, Any]
Row = Mapping[str, Any]


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


def differs(row: Row) -> str | None:
    """In what a row's protocol card differs from the other rows': `network conv4 (the others: mlp)`."""
    parts = []
    for each in row.get("differs") or ():
        others = f"(the others: {each['others']})" if each["others"] else "by seed"
        parts.append(f"{each['what']} {each['here']} {others}")
    return "; ".join(parts) or None


def published_note(entry: Mapping[str, Any], budget: str | None = None) -> str:
    """A published figure's source, what its ± is, how it was tested, and what ours differs from it in."""
    parts = [entry["source"]]
    if entry.get("plus_minus"):
        parts.append(f"± {entry['plus_minus']}")
    parts += [entry["protocol"]] if entry.get("protocol") else []
    parts += entry.get("reasons") or []
    parts += [f"ours at the {budget} budget"] if budget not in (None, "paper") else []
    return "; ".join(parts)


def remarks(table: Table, notes: Footnotes) -> list[str]:
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
