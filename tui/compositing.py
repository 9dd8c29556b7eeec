"""Of a frame only those widgets are asked for rows in which something changed.

For a frame in which parts of some widgets changed, Textual asks all widgets within the smallest rectangle
around those parts for all of their rows, those underneath too. With charts at opposite corners that is the
whole screen, four times a second, and was a quarter of what watching a run cost.
"""

from collections.abc import Iterable, Iterator

from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class SparingCompositor(Compositor):
    """A compositor that asks few widgets for few rows; what it draws is the same."""

    def __init__(self) -> None:
        super().__init__()
        self._boxes: list[Region] = []
        """Around what changed of each widget."""
        self._boxed: set[Region] = set()
        self._wanted: list[Region] | None = None
        """What a partial update is about, while it is made."""

    def update_widgets(self, widgets: set[Widget]) -> None:
        """Takes up what these widgets want drawn anew."""
        visible = self.visible_widgets
        for widget in visible.keys() & widgets:
            if widget._repaint_regions:
                region, clip = visible[widget]
                changed = Region.from_union(widget._repaint_regions).translate(region.offset)
                self._boxes.append(clip.intersection(changed))
        before = self._dirty_regions.copy()
        super().update_widgets(widgets)
        self._boxed |= self._dirty_regions - before

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        """All of the screen."""
        self._forget()
        return super().render_full_update(simplify)

    def render_partial_update(self) -> ChopsUpdate | None:
        """What changed of the screen, if anything did."""
        self._wanted = [*self._boxes, *(self._dirty_regions - self._boxed)]
        try:
            return super().render_partial_update()
        finally:
            self._forget()

    def _forget(self) -> None:
        self._boxes.clear()
        self._boxed.clear()
        self._wanted = None

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        return super()._get_renders(crop) if self._wanted is None else self._wanted_renders(self._wanted)

    def _wanted_renders(self, wanted: list[Region]) -> Iterator[tuple[Region, Region, list[Strip]]]:
        """Rows of widgets, those in front first; what one of them covers is wanted of none behind it."""
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            met = [part for part in wanted if shown.overlaps(part)]
            if not met:
                continue
            top, bottom = min(part.y for part in met), max(part.bottom for part in met)
            rows = shown.intersection(Region(shown.x, top, shown.width, bottom - top))
            yield region, rows, widget.render_lines(rows.translate(-region.offset))
            wanted = [part for part in wanted if not shown.contains_region(part)]
            if not wanted:
                break
