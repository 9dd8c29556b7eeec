"""A table as GitHub's Markdown."""

from collections.abc import Sequence

from tui.output import plain


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


def _cell(value: str) -> str:
    """Text that cannot break a Markdown table or become markup."""
    return "".join("\\" + character if character in "\\`*_|<[]" else character for character in plain(value))


def _line(row: Sequence[str]) -> str:
    return "| " + " | ".join(row) + " |"
