"""Images in the terminal: its own where it draws images; else half blocks of two colours, two pixels a cell;
shades where colours are few; small drawings in braille, eight dots a cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from tui.charts.canvas import DOTS
from tui.widgets.graphics import MOST, Gallery, drawn_by_terminal

Pixels = NDArray[np.uint8]
SHADES = " ░▒▓█"
LEVELS = 8
"""Brightness is told in steps of this many: cells that look alike then go over the line as one."""
SMALLEST, LARGE = 9, 12
SMALL = 0.75
"""A drawing shown at less than this part of its width is drawn in dots, which are four times as many."""
GAP = 1


@dataclass(frozen=True, eq=False)
class Picture:
    """One image `[h, w, C]` with what stands under it, and how that is written."""

    pixels: Pixels
    caption: str
    style: Style


@dataclass(frozen=True, eq=False)
class Group:
    """Pictures under one heading, all of one size: `large` ones take the room there is."""

    heading: str
    pictures: Sequence[Picture]
    large: bool = False


def scaled(pixels: Pixels, width: int) -> Pixels:
    """An image `[h, w, C]` at `width` pixels across, each the mean of the area that it covers.

    A drawing's thin strokes would fade so: images without colours are stretched to their full contrast.
    """
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    small = _spread(_spread(pixels.astype(np.float64), height, 0), width, 1)
    if small.shape[2] == 1 and np.ptp(small) > 0:
        small = (small - small.min()) * (np.ptp(pixels) / np.ptp(small)) + pixels.min()
    return small.round().clip(0, 255).astype(np.uint8)


def _spread(values: NDArray[np.float64], size: int, axis: int) -> NDArray[np.float64]:
    """The values along an axis as means over `size` equal parts of it."""
    length = values.shape[axis]
    edges = np.linspace(0, length, size + 1)
    sums = np.concatenate([np.zeros_like(values.take([0], axis)), values.cumsum(axis)], axis)
    whole = np.minimum(edges.astype(int), length - 1)
    shape = [1] * values.ndim
    shape[axis] = -1
    part = (edges - whole).reshape(shape)
    at_edges = sums.take(whole, axis) + part * values.take(whole, axis)
    return np.asarray(np.diff(at_edges, axis=axis) / (length / size))


def cells(pixels: Pixels, colours: bool) -> list[list[Segment]]:
    """An image as lines of segments: `[h, w, C]` takes w columns and h / 2 lines."""
    height, width, channels = pixels.shape
    if height % 2:
        pixels = np.concatenate([pixels, np.zeros((1, width, channels), np.uint8)])
    pairs = zip(pixels[::2], pixels[1::2], strict=True)
    return [_in_colours(top, bottom) if colours else _in_shades(top, bottom) for top, bottom in pairs]


def _in_colours(top: Pixels, bottom: Pixels) -> list[Segment]:
    both = np.concatenate([np.broadcast_to(top, (len(top), 3)), np.broadcast_to(bottom, (len(top), 3))], 1)
    levels = (both.astype(int) // LEVELS * LEVELS * 255 // (255 // LEVELS * LEVELS)).tolist()
    segments: list[Segment] = []
    start = 0
    for at in range(1, len(levels) + 1):
        if at == len(levels) or levels[at] != levels[start]:
            segments.append(Segment("▀" * (at - start), _style(*levels[start])))
            start = at
    return segments


@lru_cache(maxsize=16384)
def _style(*channels: int) -> Style:
    return Style(color=Color.from_rgb(*channels[:3]), bgcolor=Color.from_rgb(*channels[3:]))


def _in_shades(top: Pixels, bottom: Pixels) -> list[Segment]:
    bright = (top.mean(-1) + bottom.mean(-1)) / 2
    places = (bright * len(SHADES) / 256).astype(int)
    return [Segment("".join(SHADES[place] for place in places))]


def dots(pixels: Pixels) -> list[list[Segment]]:
    """A drawing without colours as lines of braille: `[h, w, 1]` takes w / 2 columns and h / 4 lines."""
    ink = pixels[..., 0] > (int(pixels.min()) + int(pixels.max())) / 2
    ink = np.pad(ink, ((0, -len(ink) % 4), (0, ink.shape[1] % 2)))
    high, wide = ink.shape[0] // 4, ink.shape[1] // 2
    codes = (ink.reshape(high, 4, wide, 2) * DOTS[:, None, :].astype(np.int64)).sum((1, 3))
    return [[Segment("".join(chr(0x2800 + code) for code in row))] for row in codes.tolist()]


class Pictures(Widget):
    """Groups of images, wrapped to the width; as high as they need, so put into something that scrolls."""

    DEFAULT_CSS = "Pictures { height: auto; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.groups: Sequence[Group] = ()
        self._lines: list[Strip] = []
        self._places: list[tuple[Pixels, int, int]] = []
        self._laid_out: tuple[int, bool] | None = None
        self._images: dict[tuple[int, int, bool], list[list[Segment]]] = {}
        self._gallery = Gallery()
        self._by_terminal = drawn_by_terminal()

    def on_mount(self) -> None:
        self.app.app_resume_signal.subscribe(self, self._send_again)

    def on_unmount(self) -> None:
        self._send(self._gallery.keep())

    def show(self, groups: Sequence[Group]) -> None:
        """Draws these groups from now on."""
        height, known = (
            len(self._lines),
            {id(picture.pixels) for group in groups for picture in group.pictures},
        )
        self.groups, self._laid_out = groups, None
        self._images = {key: lines for key, lines in self._images.items() if key[0] in known}
        self._send(self._gallery.keep(frozenset(known)))
        self._lay_out(self.size.width)
        self.refresh(layout=len(self._lines) != height)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the pictures need at that width."""
        self._lay_out(width)
        return max(1, len(self._lines))

    def render_line(self, y: int) -> Strip:
        """One line of pictures or captions."""
        self._lay_out(self.size.width)
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        return self._lines[y].adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)

    def lines_of(self, pixels: Pixels) -> tuple[int, int]:
        """The lines that an image and its caption take, from the first to behind the last."""
        return next(((begin, end) for each, begin, end in self._places if each is pixels), (0, 0))

    @property
    def _colours(self) -> bool:
        console = self.app.console
        return console.color_system in ("256", "truecolor") and not self.app.no_color

    @property
    def _as_pixels(self) -> bool:
        """Whether the terminal draws them; the numbers of images are colours, which none may change."""
        console = self.app.console
        return self._by_terminal and console.color_system == "truecolor" and not self.app.no_color

    def _lay_out(self, width: int) -> None:
        key = (width, self._colours)
        if self._laid_out == key or width <= 0:
            return
        self._laid_out = key
        self._lines, self._places = [], []
        for group in self.groups:
            self._lines.append(Strip([Segment(group.heading, Style(bold=True))]))
            size = _size(group, width)
            across = max(1, (width + GAP) // (size + GAP))
            for begin in range(0, len(group.pictures), across):
                self._row(group.pictures[begin : begin + across], size)

    def _row(self, row: Sequence[Picture], size: int) -> None:
        gap = Segment(" " * GAP)
        begin = len(self._lines)
        images = [self._image(picture, size) for picture in row]
        for lines in zip(*images, strict=True):
            self._lines.append(Strip([segment for line in lines for segment in (*line, gap)]))
        captions = [Segment(f"{each.caption:<{size}.{size}}", each.style) for each in row]
        self._lines.append(Strip([segment for caption in captions for segment in (caption, gap)]))
        self._places += [(picture.pixels, begin, len(self._lines)) for picture in row]

    def _send_again(self, _: object) -> None:
        """The terminal was another program's meanwhile, and has none of them any more."""
        self._gallery.keep()
        self._images.clear()
        self._laid_out = None
        self.refresh()

    def _send(self, told: str) -> None:
        driver = self.app._driver
        if told and driver is not None:
            driver.write(told)

    def _image(self, picture: Picture, size: int) -> list[list[Segment]]:
        key = (id(picture.pixels), size, self._colours)
        if key not in self._images:
            height, width, channels = picture.pixels.shape
            lines = (max(1, round(height * size / width)) + 1) // 2
            if self._as_pixels and max(size, lines) <= MOST:
                news, self._images[key] = self._gallery.cells(picture.pixels, size, lines)
                self._send(news)
                return self._images[key]
            small = channels == 1 and size < SMALL * width
            drawn = dots(scaled(picture.pixels, 2 * size)) if small else None
            self._images[key] = drawn or cells(scaled(picture.pixels, size), self._colours)
        return self._images[key]


def _size(group: Group, width: int) -> int:
    """Columns of each picture: all in one row where they stay large enough to be seen, and never enlarged."""
    own = max((picture.pixels.shape[1] for picture in group.pictures), default=1)
    smallest = LARGE if group.large else SMALLEST
    fitting = (width + GAP) // max(1, len(group.pictures)) - GAP
    most = own if group.large else own // 2 + own % 2
    return max(1, min(width, most, max(min(smallest, most), fitting)))
