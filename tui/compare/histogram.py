"""How the paired difference lies, episode by episode: a histogram round zero."""

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from tui.charts.ticks import x_axis
from tui.output import wrap

Differences = NDArray[np.float64]
_UP = " ▁▂▃▄▅▆▇█"
TAIL = 0.99
"""The share of episodes that the axis spans; the outermost bars hold those beyond it too."""
SAME = 1e-9
MOST_GRAINS = 400


def shares(differences: Differences, higher_is_better: bool) -> tuple[float, float, float]:
    """Percent of episodes in which the row is better, equal and worse; of those that are finite."""
    finite = differences[np.isfinite(differences)]
    if finite.size == 0:
        return 0.0, 0.0, 0.0
    gain = finite if higher_is_better else -finite
    better, worse = int((gain > SAME).sum()), int((gain < -SAME).sum())
    percent = 100 / finite.size
    return better * percent, (finite.size - better - worse) * percent, worse * percent


def shares_text(label: str, differences: Differences, higher_is_better: bool) -> str:
    """`maml better in 41 %, equal in 22 %, worse in 37 %`."""
    better, equal, worse = shares(differences, higher_is_better)
    return f"{label} better in {better:.0f} %, equal in {equal:.0f} %, worse in {worse:.0f} %"


def binned(differences: Differences, most: int) -> tuple[NDArray[np.int64], float, float]:
    """Counts in at most `most` bins of one width, and where the first begins and the last ends.

    Zero is the middle of a bin, so that equal episodes have one of their own.
    """
    finite = differences[np.isfinite(differences)]
    if finite.size == 0:
        return np.zeros(1, dtype=np.int64), -1.0, 1.0
    low, high = (float(np.quantile(finite, share)) for share in ((1 - TAIL) / 2, (1 + TAIL) / 2))
    low, high = min(low, 0.0), max(high, 0.0)
    number = max(1, min(most - 2, 2 * int(np.sqrt(finite.size)) + 1))
    width = _whole_grains(finite, (high - low) / number)
    if not width > 0:
        return np.array([finite.size]), -1.0, 1.0
    places = np.rint(np.clip(finite, low, high) / width).astype(np.int64)
    first, last = round(low / width), round(high / width)
    counts = np.bincount(places - first, minlength=last - first + 1)
    return counts, (first - 0.5) * width, (last + 0.5) * width


def _whole_grains(finite: Differences, width: float) -> float:
    """The width, or the next multiple of the grain in which accuracies of few queries come.

    Else every other bin of a fine histogram would be empty.
    """
    distinct = np.unique(np.round(finite, 6))
    if not 2 <= distinct.size <= MOST_GRAINS:
        return width
    grain = float(np.diff(distinct).min())
    return float(np.ceil(width / grain - SAME)) * grain


def histogram_lines(differences: Differences, width: int, height: int, unit: str = "") -> list[str]:
    """Bars `height` cells high over an axis, each line at most `width` cells wide."""
    counts, low, high = binned(differences, width)
    cells = max(1, width // counts.size)
    eighths = np.ceil(counts / max(1, counts.max()) * height * 8).astype(int)
    lines = [
        "".join(_UP[min(8, max(0, value - 8 * level))] * cells for value in eighths)
        for level in range(height - 1, -1, -1)
    ]
    return [*lines, x_axis(low, high, cells * counts.size, unit)]


class Histogram(Widget, can_focus=True):
    """The paired difference of one row, with how many episodes lie on which side."""

    DEFAULT_CSS = "Histogram { padding: 0 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._differences: Differences | None = None
        self._title, self._said, self._colour, self._unit = "", "", "", ""

    def show(
        self, differences: Differences | None, title: str, said: str, colour: str = "", unit: str = ""
    ) -> None:
        """Draws these differences `[episodes]` with a sentence under them; None: the sentence alone."""
        self._differences, self._title, self._said = differences, title, said
        self._colour, self._unit = colour, unit
        self.refresh()

    def text_to_copy(self) -> str:
        """The sentence, then every episode's difference on a line of its own."""
        values = [] if self._differences is None else [f"{value:.6g}" for value in self._differences]
        return "\n".join([self._said, *values])

    def render(self) -> RenderResult:
        width, height = self.content_size
        title = Text(self._title, style="bold" if self.has_focus else "")
        title.truncate(max(1, width), overflow="ellipsis")
        sentence = wrap(self._said, width)
        room = height - len(sentence.splitlines()) - 2
        lines = [title]
        if self._differences is not None and room > 0 and width >= 12:
            *bars, axis = histogram_lines(self._differences, width, room, self._unit)
            lines += [*(Text(bar, style=self._colour) for bar in bars), Text(axis)]
        return Text("\n", no_wrap=True).join([*lines, Text(sentence)])
