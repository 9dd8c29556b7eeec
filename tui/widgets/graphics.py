"""Images as pixels, where the terminal draws them in the place of characters (Kitty's graphics protocol).

An image is sent once, under a number, and is said to take so many columns and lines. From then on a cell
shows its part of it: the character U+10EEEE in a colour that is the number, with two diacritics for line and
column (https://sw.kovidgoyal.net/kitty/graphics-protocol, "Unicode placeholders"). So pictures scroll, are
covered and come back like any text, and nothing is sent for them in a frame. Sixels have no such cells: they
are lost where text is written over them, and do not scroll.
"""

import base64
import io
import itertools
import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

SETTING = "KSHOT_GRAPHICS"
"""`kitty` or `blocks`; what the terminal says of itself decides where it is neither."""
PLACEHOLDER = "\U0010eeee"
# In the protocol's own order; no image here takes more cells either way.
_NUMBERS = (
    *(0x305, 0x30D, 0x30E, 0x310, 0x312, 0x33D, 0x33E, 0x33F, 0x346, 0x34A, 0x34B, 0x34C, 0x350, 0x351),
    *(0x352, 0x357, 0x35B, *range(0x363, 0x370), *range(0x483, 0x488), *range(0x592, 0x596)),
    *(0x597, 0x598, 0x599, *range(0x59C, 0x5A2), 0x5A8, 0x5A9, 0x5AB, 0x5AC, 0x5AF, 0x5C4),
    *(*range(0x610, 0x618), 0x657, 0x658, 0x659, 0x65A, 0x65B, 0x65D, 0x65E, *range(0x6D6, 0x6DD)),
    *(0x6DF, 0x6E0, 0x6E1, 0x6E2, 0x6E4, 0x6E7, 0x6E8, 0x6EB, 0x6EC),
)
NUMBERS = "".join(map(chr, _NUMBERS))
MOST = len(NUMBERS)
PORTION = 4096
"""Characters of an image's data that the protocol takes at once."""
FIRST = 0x4B5348
"""Where the numbers of images begin: other programs on the terminal begin elsewhere."""


def drawn_by_terminal(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal draws images in the place of characters, by the setting or by its name.

    In tmux and screen it does not: they pass on neither images nor what their cells would say.
    """
    wanted = environment.get(SETTING, "").lower()
    if wanted in ("kitty", "blocks"):
        return wanted == "kitty"
    if environment.get("TMUX") or environment.get("STY"):
        return False
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "").lower()
    return term in ("xterm-kitty", "xterm-ghostty") or program in ("kitty", "ghostty")


def sent(number: int, pixels: NDArray[np.uint8], columns: int, lines: int) -> str:
    """What gives the terminal an image `[h, w, C]` under a number, `columns` by `lines` cells large."""
    data = base64.b64encode(_as_png(pixels)).decode("ascii")
    portions = [data[begin : begin + PORTION] for begin in range(0, len(data), PORTION)]
    keys = f"a=T,U=1,f=100,i={number},c={columns},r={lines},q=2,"
    written = []
    for index, portion in enumerate(portions):
        more = int(index < len(portions) - 1)
        written.append(f"\x1b_G{keys if not index else 'q=2,'}m={more};{portion}\x1b\\")
    return "".join(written)


def forgotten(number: int) -> str:
    """What takes the image of that number from the terminal."""
    return f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\"


def placeholders(number: int, columns: int, lines: int) -> list[list[Segment]]:
    """The cells of an image as lines of segments, one a cell: nothing cuts it from its diacritics."""
    style = Style(color=Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255))
    return [
        [Segment(f"{PLACEHOLDER}{NUMBERS[line]}{NUMBERS[column]}", style) for column in range(columns)]
        for line in range(lines)
    ]


def _as_png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    shown = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(shown)).save(buffer, "PNG")
    return buffer.getvalue()


# They come round again after so many that the first are long gone.
_free = itertools.cycle(range(FIRST, FIRST + 0x4000))


class Gallery:
    """The images that the terminal has of one widget, by what they show."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int, int], int] = {}

    def cells(
        self, pixels: NDArray[np.uint8], columns: int, lines: int
    ) -> tuple[str, list[list[Segment]]]:
        """What has still to be sent for an image, and its cells."""
        key = (id(pixels), columns, lines)
        news = ""
        if key not in self._numbers:
            self._numbers[key] = next(_free)
            news = sent(self._numbers[key], pixels, columns, lines)
        return news, placeholders(self._numbers[key], columns, lines)

    def keep(self, known: frozenset[int] = frozenset()) -> str:
        """What takes from the terminal all images but those of these arrays, by their identities."""
        gone = [key for key in self._numbers if key[0] not in known]
        return "".join(forgotten(self._numbers.pop(key)) for key in gone)
