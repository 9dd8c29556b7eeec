"""A chart of streaming curves."""

from collections.abc import Sequence
from typing import Literal

from textual.widget import Widget

from tui.charts.series import Series

Unit = Literal["percent", "loss", "error", "number"]


class Chart(Widget, can_focus=True):
    """Curves with axes that stay, drawn in braille; only what changed goes over the line."""

    def __init__(
        self,
        title: str,
        *,
        unit: Unit = "number",
        x_label: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.title, self.unit, self.x_label = title, unit, x_label

    def show(self, series: Sequence[Series], note: str = "") -> None:
        """Draws these curves from now on; `note` is a short remark beside the title."""
