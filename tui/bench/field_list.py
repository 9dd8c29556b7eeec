"""The list of the settings form: every key under its section, or those that have some words."""

from collections.abc import Iterable

from rich.text import Text

from tui.bench.choosing import GroupedList
from tui.bench.form import Field
from tui.output import cells, pad, plain

LABEL = 30


class FieldList(GroupedList):
    """Keys with their values; what a change replaces and why a key has no effect beside them."""

    def draw(self, fields: Iterable[Field]) -> None:
        """Shows these fields, which stand together by section."""
        rows: list[tuple[str | None, Text]] = []
        section = ""
        for field in fields:
            if field.section != section:
                section = field.section
                rows.append((None, Text(section.capitalize(), style="dim")))
            rows.append((field.path, _row(field)))
        self.show_rows(rows)


def found_by(field: Field, words: str) -> bool:
    """Whether every word stands somewhere in the key's name or description."""
    haystack = f"{field.path} {field.about}".casefold()
    return all(word in haystack for word in words.casefold().split())


def about(field: Field) -> str:
    """What a key is, what it takes and where its value comes from."""
    parts = [field.about, field.locked, f"takes {field.takes}" if field.takes else ""]
    parts.append(f"from {plain(field.layer)}" if field.layer else "")
    return "; ".join(part for part in parts if part)


def _row(field: Field) -> Text:
    label = field.path.removeprefix(f"{field.section}.")
    style = "dim" if field.locked else "bold" if field.was is not None else ""
    text = Text("● " if field.was is not None else "  ", no_wrap=True, overflow="ellipsis")
    text.append(pad(plain(label), max(LABEL, cells(label))) + " ", style=style)
    text.append(plain(field.value), style=style)
    if field.was is not None:
        text.append(f"   replaces {plain(field.was)}", style="dim")
    if field.locked:
        text.append(f"   {field.locked}", style="dim")
    return text
