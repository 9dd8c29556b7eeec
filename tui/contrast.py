"""How well one colour can be read on another, and the nearest colour that can be."""

from functools import lru_cache

MARKS, TEXT = 3.0, 4.5
"""Least ratios for shapes and for text (WCAG 2.1, criteria 1.4.11 and 1.4.3)."""
STEPS = 20


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (`#rrggbb`), from 1 to 21 (WCAG 2.1)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=512)
def readable(colour: str, backgrounds: tuple[str, ...], least: float) -> str:
    """The colour where its contrast with every background is at least that, else as little darker or lighter
    as will do; black or white where nothing will. Its hue stays."""
    for step in range(STEPS + 1):
        for end in (0, 255):
            found = _blend(colour, end, step / STEPS)
            if all(contrast(found, background) >= least for background in backgrounds):
                return found
    return max(("#000000", "#ffffff"), key=lambda end: min(contrast(end, each) for each in backgrounds))


def _blend(colour: str, end: int, share: float) -> str:
    return "#" + "".join(f"{round(part + share * (end - part)):02x}" for part in _parts(colour))


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    shares = [part / 255 for part in _parts(colour)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
