"""A chart of streaming curves."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.charts import rendering
from tui.charts.axes import Range, StickyRange, Window, whole_extent
from tui.charts.curve import Curve, same_series
from tui.charts.plot import Frame
from tui.charts.reach import can_smooth, y_extent
from tui.charts.rendering import AXIS, PLAIN, Grid, Look
from tui.charts.series import Series
from tui.charts.table import as_table
from tui.charts.ticks import Unit
from tui.keys import place
from tui.offers import Offer
from tui.output import plain
from tui.widgets.chart_colours import style_of
from tui.widgets.chart_head import ChartHead
from tui.widgets.chart_keys import CHART_KEYS, GREYED

_NOUNS: dict[Unit, str] = {"percent": "accuracy", "loss": "losses", "error": "errors", "number": "values"}


class Chart(Widget, can_focus=True):
    """Curves with axes that stay, drawn in braille; only what changed goes over the line."""

    PLACE = "chart"
    ALLOW_SELECT = False
    DEFAULT_CSS = "Chart { height: 1fr; overflow: hidden hidden; }"
    BINDINGS: ClassVar[list[BindingType]] = place("chart", CHART_KEYS)

    def __init__(
        self,
        title: str,
        *,
        unit: Unit = "number",
        x_label: str = "",
        smoothable: bool = False,
        empty: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`smoothable`: a running mean lies over the raw curve, until `m`. `empty`: the sentence shown while
        nothing is recorded."""
        super().__init__(id=id, classes=classes)
        self.title, self.unit, self.x_label = title, unit, x_label
        self.smoothable, self.empty = smoothable, empty or f"no {_NOUNS[unit]} recorded yet"
        self.log_scale, self.smooth, self.window = False, smoothable, Window()
        self.fitted = False
        """Whether the x axis ends at the data, not where the training will."""
        self._curves: tuple[Curve, ...] = ()
        self.names_first = False
        """Whether the title gives way to the curves' names, as it does with the focus."""
        self._note = ""
        self._whole: Range | None = None
        self._sticky = StickyRange()
        self._grid = Grid.blank(0, 0)
        self._head = ChartHead()
        self._styles_by_ink: dict[int, Style] = {}
        self._strips: dict[int, Strip] = {}
        self._possible: tuple[bool | None, ...] = ()

    def show(self, series: Sequence[Series], note: str = "", *, whole: Range | None = None) -> None:
        """Draws these curves from now on; `note` is a short remark beside the title.

        `whole` is the x axis' extent where it is known beforehand, such as (0, iterations of the run).
        """
        given, before = tuple(series), self._curves
        remark = plain(note)
        curves = tuple(
            old if old is not None and new is not None and same_series(old.given, new) else Curve(new)
            for old, new in zip_longest(before[: len(given)], given)
            if new is not None
        )
        if curves == before and (remark, whole) == (self._note, self._whole):
            return
        self._curves, self._note, self._whole = curves, remark, whole
        recoloured = [one.given.colour for one in before] != [one.given.colour for one in curves]
        if recoloured:
            self._styles_by_ink.clear()
        self._redraw(anew=recoloured)

    def text_to_copy(self) -> Offer:
        """The values shown, as recorded, as tab-separated text; nothing while there is nothing."""
        frame = self._frame()
        series = [one.whole for one in self._curves]
        return Offer("") if isinstance(frame, str) else as_table(series, frame.x, self.x_label)

    # What is drawn

    def _frame(self) -> Frame | str:
        """The ranges to draw, or why there is nothing to draw."""
        if not any(len(one.whole.y) for one in self._curves):
            return self.empty
        data = self._extent()
        if data is None:
            return "no finite values so far"
        x = self.window.range(whole_extent(data, None if self.fitted else self._whole), data)
        y = self._y_extent(x, self.log_scale)
        if y is None and self.log_scale and self._y_extent(x, False) is not None:
            return "nothing above zero to show on a log scale (l: linear)"
        if y is None:
            return "nothing recorded in this part (0 shows everything)"
        return Frame(x, self._sticky.around(*y, self.unit, self.log_scale), self.log_scale)

    def _extent(self) -> Range | None:
        """From the first to the last x with a value."""
        known = [one.extent for one in self._curves if one.extent is not None]
        return (min(low for low, _ in known), max(high for _, high in known)) if known else None

    def _y_extent(self, x: Range, log: bool) -> Range | None:
        return y_extent([one.part(x, smooth=False) for one in self._curves], x, log, self.unit)

    def _redraw(self, anew: bool = False) -> None:
        """Draws and asks Textual to refresh those cells only that changed; everything if `anew`."""
        width, height = self.size
        if not width or not height:
            # What was drawn is of curves that may be no more, should there be room before the next drawing.
            self._grid = Grid.blank(0, 0)
            self._head.clear()
            self._strips.clear()
            return
        look = Look(
            self.unit,
            self.x_label,
            self.smoothable and self.smooth,
            self._without_colour(),
            all(one.counted for one in self._curves),
        )
        head_before = self._head.marks()
        self._write_heading()
        frame = self._frame()
        room = (width, max(0, height - len(self._head.strips)))
        grid = (
            rendering.sentence(frame, *room)
            if isinstance(frame, str)
            else rendering.chart(
                [one.part(frame.x, look.smooth) for one in self._curves], frame, look, *room
            )
        )
        before, self._grid = self._grid, grid
        if anew or before.codes.shape != grid.codes.shape:
            self._strips.clear()
            self.refresh()
        else:
            self._refresh_changes(before, head_before)
        self._refresh_footer()

    def _refresh_changes(self, before: Grid, head_before: list[list[tuple[str, int]]]) -> None:
        regions, top = self._head.changes(head_before), len(self._head.strips)
        for row, begin, end in self._grid.changes(before):
            self._strips.pop(row + top, None)
            regions.append(Region(begin, row + top, end - begin, 1))
        if regions:
            self.refresh(*regions)

    def _without_colour(self) -> bool:
        """Whether the terminal's colours are too few to tell curves apart."""
        return self.app.no_color or self.app.console.color_system in (None, "standard", "windows")

    # How it becomes strips

    def render_line(self, y: int) -> Strip:
        """The chart's row `y` over its whole width."""
        width, heads = self.size.width, self._head.strips
        if y < len(heads) and heads[y].cell_length == width:
            return heads[y]
        row = y - len(heads)
        if not 0 <= row < len(self._grid.codes) or self._grid.codes.shape[1] != width:
            return Strip.blank(width, self._style(PLAIN))
        if y not in self._strips:
            runs = self._grid.runs(row)
            self._strips[y] = Strip([Segment(text, self._style(ink)) for text, ink in runs], width)
        return self._strips[y]

    def _write_heading(self) -> None:
        closer = f"zoom {self.window.factor:.3g}×" if self.window.zoomed else ""
        states = ["log" if self.log_scale else "", closer, "smoothed" if self._is_smoothed() else ""]
        self._head.write(
            [one.whole for one in self._curves],
            self.title,
            "  ".join(word for word in (", ".join(filter(None, states)), self._note) if word),
            self.size,
            self._style,
            names_first=self.names_first,
            has_focus=self.has_focus,
            numbered=self._without_colour(),
        )

    def _is_smoothed(self) -> bool:
        return self.smoothable and self.smooth and self._can_smooth()

    def _can_smooth(self) -> bool:
        return any(can_smooth(one.whole) for one in self._curves)

    def _style(self, ink: int) -> Style:
        if ink not in self._styles_by_ink:
            self._styles_by_ink[ink] = self._style_of(ink)
        return self._styles_by_ink[ink]

    def _style_of(self, ink: int) -> Style:
        _, _, background, foreground = self.colors
        name = self._curves[ink // 2].whole.colour if ink >= 0 else ""
        faint = ink == AXIS or (ink >= 0 and ink % 2 == 1)
        return style_of(name, faint, foreground, background, self.app.theme_variables)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self.is_mounted and self._style_of(PLAIN) != self._styles_by_ink.get(PLAIN):
            self._styles_by_ink.clear()
            self._redraw(anew=True)

    def on_resize(self) -> None:
        self._redraw(anew=True)

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self._redraw()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greyed (None) where a key could do nothing now."""
        possible = {
            "log": self.log_scale or self._has_positive(),
            "quarter": self.window.zoomed or self._x_data() is not None,
            "whole": self.window.zoomed,
            "pan": self.window.zoomed,
            "fit": self.fitted or self._has_room(),
            "smooth": self.smoothable and self._can_smooth(),
        }
        if action == "zoom":
            closer = isinstance(parameters[0], int | float) and parameters[0] > 1
            possible["zoom"] = (closer or self.window.zoomed) and self._x_data() is not None
        return True if possible.get(action, True) else None

    def action_log(self) -> None:
        """Log scale, or linear again."""
        self.log_scale = not self.log_scale
        self._redraw()

    def action_smooth(self) -> None:
        """Running mean over the raw curve, or raw only."""
        self.smooth = not self.smooth
        self._redraw()

    def action_quarter(self) -> None:
        """The last quarter, or everything again."""
        self.window.quarter()
        self._look_elsewhere()

    def action_whole(self) -> None:
        """Everything."""
        self.window.whole()
        self._look_elsewhere()

    def action_fit(self) -> None:
        """What is there, or the whole training again."""
        self.fitted = not self.fitted
        self._look_elsewhere()

    def action_zoom(self, times: float) -> None:
        """Closer or farther."""
        if (data := self._x_data()) is not None:
            self.window.zoom(times, data)
            self._look_elsewhere()

    def action_pan(self, share: float) -> None:
        """Earlier or later by a share of what is shown."""
        if (data := self._x_data()) is not None:
            self.window.pan(share, data)
            self._look_elsewhere()

    def _look_elsewhere(self) -> None:
        self._sticky.forget()
        self._redraw()

    def _x_data(self) -> Range | None:
        """From the first to the last x; None where there is nothing to look closer at."""
        data = self._extent()
        return data if data is not None and data[1] > data[0] else None

    def _has_room(self) -> bool:
        """Whether the whole training reaches beyond what is there so far."""
        data = self._extent()
        return data is not None and whole_extent(data, self._whole) != whole_extent(data, None)

    def _has_positive(self) -> bool:
        return any(one.has_positive for one in self._curves)

    def _refresh_footer(self) -> None:
        """Tells the footer when a key became possible or impossible; it draws itself anew each time."""
        if not self.has_focus:
            return
        possible = tuple(self.check_action(action, (times,)) for action, times in GREYED)
        if possible != self._possible:
            self._possible = possible
            self.refresh_bindings()
