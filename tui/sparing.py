"""Only what changed goes over the line: cells that the terminal shows already are not sent again.

Textual sends a changed row of a widget from the widget's left edge on, each piece of text with all of its
colours and a reset. Over a slow line that is most of what watching costs, so what the terminal shows is kept
here, and of a frame only other cells are sent, with those colours only that are not set already.
"""

from collections.abc import Iterable, Iterator
from typing import Generic
from weakref import WeakKeyDictionary

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App, ReturnType
from textual.geometry import Size
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import AwaitMount

CHEAP_TO_REPEAT = 3
"""Up to so many unchanged cells between changed ones are sent again: moving the cursor costs as much."""
MOST_PENS = 16_384
_OTHER_HALF = ""
_UNKNOWN = "\0"
Pen = tuple[frozenset[str], str, str]
"""Attributes, foreground and background, as SGR codes; an empty one is the terminal's own."""
PLAIN: Pen = (frozenset(), "", "")


class Row:
    """A row of cells: a character each (the second half of a wide one is empty) and what it is drawn with."""

    def __init__(self, width: int) -> None:
        self.characters = [_UNKNOWN] * width
        self.pens = [PLAIN] * width

    def changed(self, at: int, characters: list[str], pens: list[Pen]) -> list[tuple[int, int]]:
        """Stretches (first, last + 1) that differ from new cells which begin at that column."""
        end = at + len(characters)
        if self.characters[at:end] == characters and self.pens[at:end] == pens:
            return []
        old = zip(self.characters[at:end], self.pens[at:end], strict=True)
        new = zip(characters, pens, strict=True)
        stretches: list[tuple[int, int]] = []
        for column, (one, other) in enumerate(zip(old, new, strict=True), start=at):
            if one == other:
                continue
            if stretches and column - stretches[-1][1] <= CHEAP_TO_REPEAT:
                stretches[-1] = (stretches[-1][0], column + 1)
            else:
                stretches.append((column, column + 1))
        return stretches

    def put(self, at: int, characters: list[str], pens: list[Pen]) -> None:
        """Takes new cells."""
        self.characters[at : at + len(characters)] = characters
        self.pens[at : at + len(pens)] = pens


class Sent:
    """What the terminal shows, and what has to be sent for it to show something else."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._pens: dict[Style, Pen] = {}
        self._system = ColorSystem.TRUECOLOR

    def forget(self, size: Size) -> None:
        """The terminal has that size now and may show anything."""
        self.rows = [Row(size.width) for _ in range(size.height)]

    def all_of(self, rows: list[Row]) -> str:
        """Everything of rows that were shown before; from here on the terminal shows them."""
        self.rows = rows
        pieces, pen = [], PLAIN
        for y, row in enumerate(rows):
            text, pen = _written(row, 0, len(row.characters), pen)
            pieces.append(_moved((-1, -1), (y, 0)) + text)
        return "".join(pieces) + ("\x1b[0m" if pen != PLAIN else "")

    def parts(self, parts: Iterable[tuple[int, int, Iterable[Strip]]], system: ColorSystem) -> str:
        """What changed of parts (row, column, strips) of the screen."""
        self._take(system)
        pieces, pen, place = [], PLAIN, (-1, -1)
        for y, x, strips in parts:
            if not 0 <= y < len(self.rows):
                continue
            row = self.rows[y]
            room = len(row.characters) - x
            if room <= 0:
                continue  # the terminal has become narrower since this was drawn
            characters, pens = self._cells(strips)
            characters, pens = characters[:room], pens[:room]
            stretches = row.changed(x, characters, pens)
            row.put(x, characters, pens)
            for begin, end in stretches:
                if row.characters[begin] == _OTHER_HALF and begin > 0:
                    begin -= 1
                while end < len(row.characters) and row.characters[end] == _OTHER_HALF:
                    end += 1
                text, pen = _written(row, begin, end, pen)
                pieces.append(_moved(place, (y, begin)) + text)
                place = (y, end) if end < len(row.characters) else (-1, -1)
        return "".join(pieces) + ("\x1b[0m" if pen != PLAIN else "")

    def _take(self, system: ColorSystem) -> None:
        if system != self._system:
            self._system = system
            self._pens.clear()

    def _cells(self, strips: Iterable[Strip]) -> tuple[list[str], list[Pen]]:
        characters: list[str] = []
        pens: list[Pen] = []
        for strip in strips:
            for text, style, control in strip:
                if control:
                    continue
                if text.isascii() or cell_len(text) == len(text):
                    characters.extend(text)
                else:
                    characters.extend(_wide(text))
                pen = PLAIN if style is None else self._pen(style)
                pens.extend([pen] * (len(characters) - len(pens)))
        return characters, pens

    def _pen(self, style: Style) -> Pen:
        if style not in self._pens:
            if len(self._pens) >= MOST_PENS:
                self._pens.clear()  # each picture in colours brings thousands that never come again
            # Rich writes a style in one sequence before the text.
            written = style.render("x", color_system=self._system, legacy_windows=False)
            codes = written[2 : written.index("m")].split(";") if written.startswith("\x1b[") else []
            self._pens[style] = _pen_of(codes)
        return self._pens[style]


class Sparing(App[ReturnType], Generic[ReturnType]):
    """An app that sends changed cells alone."""

    def __init__(self, ansi_color: bool = False) -> None:
        super().__init__(ansi_color=ansi_color)
        self._sent = Sent()
        self._shown: tuple[Screen, Size] | None = None
        self._left: WeakKeyDictionary[Screen, tuple[Size, str, list[Row]]] = WeakKeyDictionary()
        """What the terminal showed of other screens when they were left, and in which theme."""

    def switch_mode(self, mode: str) -> AwaitMount:
        """Shows the other screen as it was left, at once; what has changed in it since follows."""
        if mode in self._screen_stacks and mode != self.current_mode:
            self._recall(self._screen_stacks[mode][-1])
        return super().switch_mode(mode)

    def _recall(self, screen: Screen) -> None:
        """Sends what the terminal showed of a screen when it was left, unless that looks otherwise now."""
        size, theme, rows = self._left.get(screen, (None, "", []))
        if (size, theme) == (self.size, self.theme):
            self._stand_before(screen)
            super()._display(self.screen, LeftUpdate(self._sent, rows))

    def _stand_before(self, screen: Screen) -> None:
        if self._shown is not None and self._shown[1] == self.size:
            self._left[self._shown[0]] = self.size, self.theme, self._sent.rows
        self._shown = screen, self.size

    def _display(self, screen: Screen, renderable: RenderableType | None) -> None:
        if isinstance(renderable, ChopsUpdate | LayoutUpdate):
            if self._shown is None:
                self.app_resume_signal.subscribe(self, self._forget, immediate=True)
            if (screen, self.size) != self._shown:
                # A resized terminal shows something else; another screen heals what others wrote over this.
                self._stand_before(screen)
                self._sent.forget(self.size)
            renderable = SparingUpdate(renderable, self._sent)
        super()._display(screen, renderable)

    def _forget(self, _: object) -> None:
        self._left.clear()
        self._sent.forget(self.size)


class SparingUpdate(CompositorUpdate):
    """Textual's update of a frame, written sparingly. It is written at most once."""

    def __init__(self, update: ChopsUpdate | LayoutUpdate, sent: Sent) -> None:
        self.update, self.sent = update, sent

    def __rich__(self) -> RenderableType:
        return self.update

    def render_segments(self, console: Console) -> str:
        """The bytes for the terminal, as text."""
        system = console._color_system or ColorSystem.TRUECOLOR
        return self.sent.parts(_parts(self.update), system)


class LeftUpdate(CompositorUpdate):
    """A screen as it was left."""

    def __init__(self, sent: Sent, rows: list[Row]) -> None:
        self.sent, self.rows = sent, rows

    def __rich__(self) -> RenderableType:
        return ""

    def render_segments(self, console: Console) -> str:
        """The bytes for the terminal, as text."""
        return self.sent.all_of(self.rows)


def _parts(update: ChopsUpdate | LayoutUpdate) -> Iterator[tuple[int, int, Iterable[Strip]]]:
    """Which pieces of rows were drawn anew: (row, column, strips)."""
    if isinstance(update, LayoutUpdate):
        for y, row in enumerate(update.strips, update.region.y):
            yield y, update.region.x, row
        return
    for y, begin, end in update.spans:
        for right, (left, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and left < end and right > begin:
                first = max(left, begin)
                yield y, first, [strip.crop(first - left, min(right, end) - left)]


def _pen_of(codes: list[str]) -> Pen:
    """The pen of a sequence of SGR codes."""
    attributes, colours = [], ["", ""]
    at = 0
    while at < len(codes):
        code = codes[at]
        length = {"5": 3, "2": 5}[codes[at + 1]] if code in ("38", "48") else 1
        whole, at = ";".join(codes[at : at + length]), at + length
        if code == "0" or not code:
            continue
        if code in ("38", "39") or "30" <= code <= "37" or "90" <= code <= "97":
            colours[0] = whole
        elif code in ("48", "49") or "40" <= code <= "47" or len(code) == 3:
            colours[1] = whole
        else:
            attributes.append(whole)
    return frozenset(attributes), colours[0], colours[1]


def _change(before: Pen, after: Pen) -> str:
    """The sequence from one pen to another."""
    if before == after:
        return ""
    if after == PLAIN:
        return "\x1b[0m"
    if before[0] <= after[0]:
        codes = sorted(after[0] - before[0])
        for one, other, own in ((before[1], after[1], "39"), (before[2], after[2], "49")):
            if one != other:
                codes.append(other or own)
    else:
        codes = ["0", *sorted(after[0]), *filter(None, after[1:])]
    return f"\x1b[{';'.join(codes)}m"


def _written(row: Row, begin: int, end: int, pen: Pen) -> tuple[str, Pen]:
    """Cells of a row as they are sent, and the pen that is set afterwards."""
    pieces = []
    for character, wanted in zip(row.characters[begin:end], row.pens[begin:end], strict=True):
        if wanted is not pen and character != _OTHER_HALF:
            pieces.append(_change(pen, wanted))
            pen = wanted
        pieces.append(" " if character == _UNKNOWN else character)
    return "".join(pieces), pen


def _moved(place: tuple[int, int], wanted: tuple[int, int]) -> str:
    """The sequence that moves the cursor from one (row, column) to another."""
    if place == wanted:
        return ""
    if place[0] == wanted[0] and wanted[1] > place[1]:
        return f"\x1b[{wanted[1] - place[1]}C"
    return f"\x1b[{wanted[0] + 1};{wanted[1] + 1}H"


def _wide(text: str) -> list[str]:
    """The cells of a text with wide characters; what has no width belongs to the cell before it."""
    cells: list[str] = []
    for character in text:
        width = cell_len(character)
        if width == 0 and cells:
            cells[-2 if cells[-1] == _OTHER_HALF else -1] += character
        else:
            cells += [character, *[_OTHER_HALF] * (width - 1)]
    length = cell_len(text)
    # Characters that make one sign together have a width of their own.
    return cells if len(cells) == length else [text, *[_OTHER_HALF] * (length - 1)][:length]
