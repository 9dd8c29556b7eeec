"""What a chart draws: one curve, its points or bars, with how it looks."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Series:
    """One curve: `x [n]` rising, `y [n]` (NaN: a gap), and a band from `low [n]` to `high [n]` if given.

    `colour` is `#rrggbb` or a theme's variable such as `$primary`; `shape` marks its last point and its name.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    colour: str
    shape: str = ""
    dashed: bool = False
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    kind: Literal["line", "points"] = "line"
    mean: "Series | None" = None
    """The running mean to draw over it, where it is known beforehand."""
    label: str | None = None
    """What the line over the chart calls it: its name if None, nothing if empty."""
    number: str = ""
    """Its mark in place of a shape where there is no colour to tell its place in an order."""
