"""How an algorithm looks: one colour and one shape, the same on every screen.

Colours are of the xterm-256 cube, so that a terminal of 256 colours shows them as they are; in a theme on
whose rows one could not be read it is darker or lighter.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tui.contrast import MARKS, readable


@dataclass(frozen=True)
class Mark:
    """A colour (`#rrggbb`), a shape of one cell, and whether its curves are dashed."""

    colour: str
    shape: str
    dashed: bool = False


# Shapes are all different, so that nothing is told by colour alone; those of a family are alike.
KNOWN = {
    "maml": Mark("#00afff", "◆"),
    "fomaml": Mark("#ffaf00", "▲"),
    "anil": Mark("#5fd75f", "●"),
    "boil": Mark("#ff5f87", "▼"),
    "nil": Mark("#87d787", "◔"),
    "reptile": Mark("#d787ff", "■"),
    "meta-sgd": Mark("#00d7af", "★"),
    "maml-layer-rates": Mark("#87d7d7", "◬"),
    "maml-negative-rate": Mark("#d75f5f", "◈"),
    "maml++": Mark("#5f87ff", "✚"),
    "maml-msl": Mark("#00d7ff", "◐"),
    "maml-da": Mark("#ff8700", "◑"),
    "maml-bnrs": Mark("#87d700", "◒"),
    "maml-bnwb": Mark("#ff5faf", "◓"),
    "maml-bn": Mark("#afd7ff", "◧"),
    "maml-lslr": Mark("#af87ff", "◨"),
    "maml-ca": Mark("#d7af00", "◩"),
    "maml-no-conv": Mark("#5fd7d7", "◪"),
    "protonet": Mark("#ffd75f", "⬟"),
    "matching": Mark("#ff875f", "▣"),
    "matching-full-context": Mark("#ffaf87", "▦"),
    "siamese": Mark("#d787af", "▥"),
    "r2d2": Mark("#5fafaf", "◢"),
    "metaoptnet": Mark("#87af5f", "◤"),
    "metaoptnet-ridge": Mark("#afaf5f", "◥"),
    "multitask-union": Mark("#8787d7", "◍"),
    "pretrain": Mark("#bcbcbc", "┄", dashed=True),
    "pretrain-head": Mark("#949494", "╌", dashed=True),
    "pretrain-nearest": Mark("#afafd7", "┅", dashed=True),
    "pretrain-centroid": Mark("#afd7af", "┈", dashed=True),
    "pretrain-cosine": Mark("#d7afaf", "╍", dashed=True),
    "scratch": Mark("#af875f", "○"),
    "random-init": Mark("#d7875f", "◌"),
    "pixel-nearest": Mark("#87875f", "□"),
    "oracle": Mark("#eeeeee", "◎"),
}
OTHERS = tuple(
    Mark(colour, shape)
    for shape in "◇△▽☆"
    for colour in ("#ff875f", "#87d7ff", "#afd75f", "#ff87d7", "#d7af5f", "#87afaf")
)
SPARE = "◉▤▨▧▩⬢⬠⬡✦✧✱0123456789"
"""Shapes that no algorithm has, for its second row and those after it."""


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


def marks_of(algorithms: Sequence[str]) -> list[Mark]:
    """A mark for each row of a chart or table: the first row of an algorithm has its own, each one after it
    the same colour with a shape that no other row has, dashed. Only past 21 such rows are shapes alike."""
    found: list[Mark] = []
    taken: set[str] = set()
    for algorithm in algorithms:
        mark = mark_of(algorithm)
        if mark in found:
            free = [shape for shape in SPARE if shape not in taken] or list(SPARE)
            mark = replace(mark, shape=free[0], dashed=True)
            taken.add(free[0])
        found.append(mark)
    return found
