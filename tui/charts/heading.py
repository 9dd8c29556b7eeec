"""The lines above a chart: its title, the curves' names with their shapes, and remarks at the right."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

Piece = tuple[str, int]
"""A text and which curve it belongs to; TITLE and REMARK belong to none."""

TITLE, REMARK = -1, -2
_SPACE = 2
_SHORTEST_NAME = 4
_SHORTEST_TITLE = 6


def heading(
    title: str, names: Sequence[tuple[str, str]], remark: str, width: int, *, names_first: bool = False
) -> list[Piece]:
    """Pieces that fill `width` cells exactly. `names` are (shape, name); those without room are counted.

    What gives way first: the names' ends, then names, then the remark, then the title's end; with
    `names_first` the remark, then the title's end, then the names.
    """
    wanted = sum(_SPACE + cell_len(f"{shape} {name}") for shape, name in names)
    if names_first and wanted + cell_len(title) + (_SPACE + cell_len(remark) if remark else 0) > width:
        remark = ""
        title = shortened(title, max(_SHORTEST_TITLE, width - wanted))
    title = shortened(title, width)
    remark_width = cell_len(remark) + _SPACE if remark else 0
    if remark_width + cell_len(title) > width:
        remark, remark_width = "", 0
    pieces: list[Piece] = [(title, TITLE)]
    free = width - remark_width - cell_len(title)
    names = _fitted(names, free)
    for index, (shape, name) in enumerate(names):
        text = " " * _SPACE + f"{shape} {name}".strip()
        left = len(names) - index - 1
        rest = f"  +{left + 1}"
        if cell_len(text) + (cell_len(f"  +{left}") if left else 0) > free:
            if cell_len(rest) <= free:
                pieces.append((rest, REMARK))
                free -= cell_len(rest)
            break
        pieces.append((text, index))
        free -= cell_len(text)
    if free > 0:
        pieces.append((" " * free, REMARK))
    if remark:
        pieces.append((" " * _SPACE + remark, REMARK))
    return pieces


def headings(
    title: str,
    names: Sequence[tuple[str, str]],
    remark: str,
    width: int,
    *,
    most: int = 1,
    names_first: bool = False,
) -> list[list[Piece]]:
    """The same on one line, or, where the names do not fit there whole, on up to `most` lines, each of which
    fills `width` cells."""
    wanted = sum(_SPACE + cell_len(f"{shape} {name}") for shape, name in names)
    if most < 2 or min(cell_len(title), _SHORTEST_TITLE) + wanted <= width:
        return [heading(title, names, remark, width, names_first=names_first)]
    lines: list[list[Piece]] = [[(shortened(title, width), TITLE)]]
    for index, (shape, name) in enumerate(names):
        text = shortened(" " * _SPACE + f"{shape} {name}".strip(), width)
        left = len(names) - index - 1
        if len(lines) == most and left and cell_len(f"{text}  +{left}") > _free(lines[-1], width):
            lines[-1].append((shortened(f"  +{left + 1}", _free(lines[-1], width)), REMARK))
            break
        if cell_len(text) > _free(lines[-1], width):
            if len(lines) == most:
                text = shortened(text, _free(lines[-1], width))
            else:
                lines.append([])
        lines[-1].append((text, index))
    if remark and cell_len(remark) + _SPACE <= _free(lines[-1], width):
        lines[-1].append((" " * (_free(lines[-1], width) - cell_len(remark)) + remark, REMARK))
    return [[*line, (" " * _free(line, width), REMARK)] if _free(line, width) else line for line in lines]


def _free(line: Sequence[Piece], width: int) -> int:
    return width - sum(cell_len(text) for text, _ in line)


def _fitted(names: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """The names, the longest shortened until all fit side by side, or each is at its shortest."""
    around = sum(_SPACE + cell_len(shape) + 1 for shape, _ in names)
    longest = max((cell_len(name) for _, name in names), default=0)
    while longest > _SHORTEST_NAME and around + sum(min(longest, cell_len(n)) for _, n in names) > width:
        longest -= 1
    return [(shape, shortened(name, longest)) for shape, name in names]


def shortened(text: str, width: int) -> str:
    """The text in at most `width` cells, its loss shown as `…`."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""
