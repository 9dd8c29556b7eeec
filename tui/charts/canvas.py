"""A canvas of braille dots, two across and four down in every cell of the terminal."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
Inks = NDArray[np.int16]

NO_INK = -1
_BLANK = ord(" ")
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)
"""The bit of each dot within the code of its cell `[4, 2]`, as Unicode numbers them."""


class Canvas:
    """`width` by `height` cells; dots count from the upper left, `2 * width` across and `4 * height` down.

    An ink is a small number which the widget turns into a colour. Where several curves share a cell, the last
    drawn colours it; light dots (bands) show only in cells that nothing else uses.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._dots = np.zeros((height, width), dtype=np.uint8)
        self._ink: Inks = np.full((height, width), NO_INK, dtype=np.int16)
        self._light_dots = np.zeros((height, width), dtype=np.uint8)
        self._light_ink: Inks = np.full((height, width), NO_INK, dtype=np.int16)
        self._marks: Codes = np.zeros((height, width), dtype=np.uint32)

    def stamp(self, x: Ints, y: Ints, ink: int, light: bool = False) -> None:
        """Sets dots at `x [n]`, `y [n]`; those outside are left out."""
        inside = (x >= 0) & (x < 2 * self.width) & (y >= 0) & (y < 4 * self.height)
        x, y = x[inside], y[inside]
        cells = (y >> 2) * self.width + (x >> 1)
        dots, inks = (self._light_dots, self._light_ink) if light else (self._dots, self._ink)
        np.bitwise_or.at(dots.reshape(-1), cells, DOTS[y & 3, x & 1])
        inks.reshape(-1)[cells] = ink

    def mark(self, column: int, row: int, character: str, ink: int) -> None:
        """Puts one character into a cell, over whatever dots are there."""
        if 0 <= column < self.width and 0 <= row < self.height:
            self._marks[row, column] = ord(character)
            self._ink[row, column] = ink

    def is_marked(self, column: int, row: int) -> bool:
        """Whether a character stands in that cell."""
        return bool(0 <= column < self.width and 0 <= row < self.height and self._marks[row, column] != 0)

    def picture(self) -> tuple[Codes, Inks]:
        """Every cell's code point and ink `[height, width]`; an empty cell is a blank without ink."""
        bare = (self._dots == 0) & (self._marks == 0)
        dots = np.where(bare, self._light_dots, self._dots).astype(np.uint32)
        codes = np.where(dots == 0, _BLANK, dots + 0x2800)
        codes = np.where(self._marks > 0, self._marks, codes).astype(np.uint32)
        return codes, np.where(bare, self._light_ink, self._ink)


def segments(x0: Ints, y0: Ints, x1: Ints, y1: Ints) -> tuple[Ints, Ints]:
    """The dots of straight segments from `(x0, y0) [n]` to `(x1, y1) [n]`, ends included, in order."""
    lengths = np.maximum(np.abs(x1 - x0), np.abs(y1 - y0))
    counts = lengths + 1
    which = np.repeat(np.arange(len(counts)), counts)
    along = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = along / np.maximum(lengths, 1)[which]
    x = np.floor(x0[which] + (x1 - x0)[which] * share + 0.5).astype(np.int64)
    y = np.floor(y0[which] + (y1 - y0)[which] * share + 0.5).astype(np.int64)
    return x, y
