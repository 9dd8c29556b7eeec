"""How an algorithm looks: one colour and one shape, the same on every screen.

Colours are of the xterm-256 cube, so that a terminal of 256 colours shows them as they are; in a theme on
whose rows one could not be read it is darker or lighter.
"""

import zlib
from dataclasses import dataclass, replace

from tui.contrast import MARKS, readable

BASELINE = "pretrain"


@dataclass(frozen=True)
class Mark:
    """A colour (`#rrggbb`), a shape of one cell, and whether its curves are dashed."""

    colour: str
    shape: str
    dashed: bool = False


KNOWN = {
    "maml": Mark("#00afff", "◆"),
    "fomaml": Mark("#ffaf00", "▲"),
    "anil": Mark("#5fd75f", "●"),
    "boil": Mark("#ff5f87", "▼"),
    "reptile": Mark("#d787ff", "■"),
    "meta-sgd": Mark("#00d7af", "★"),
    "maml++": Mark("#5f87ff", "✚"),
    "protonet": Mark("#ffd75f", "⬟"),
    "pretrain": Mark("#bcbcbc", "┄", dashed=True),
    "pretrain-head": Mark("#949494", "╌", dashed=True),
    "scratch": Mark("#af875f", "○"),
    "pixel-nearest": Mark("#87875f", "□"),
}
OTHERS = tuple(
    Mark(colour, shape)
    for shape in "◇△▽☆"
    for colour in ("#ff875f", "#87d7ff", "#afd75f", "#ff87d7", "#d7af5f", "#87afaf")
)


_grounds: tuple[str, ...] = ()


def stand_on(grounds: tuple[str, ...]) -> None:
    """From now on colours are such as can be read on all of these (`#rrggbb`)."""
    global _grounds
    _grounds = grounds


def ink(colour: str, least: float = MARKS) -> str:
    """The colour as the theme in use shows it, with at least that contrast."""
    return readable(colour, _grounds, least)


def mark_of(algorithm: str) -> Mark:
    """The algorithm's mark; one that kshot does not ship gets one by its name."""
    mark = KNOWN.get(algorithm) or OTHERS[zlib.crc32(algorithm.encode()) % len(OTHERS)]
    return replace(mark, colour=ink(mark.colour))
