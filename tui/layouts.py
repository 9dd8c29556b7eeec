"""A widget that changes again while it waits to be laid out is laid out as it is then.

Textual 8.2 keeps a widget's size by how often it has asked for a layout, and does not count while it waits
for one. When the screen is laid out for another widget in between, the size that is kept then is of the older
content, and stays: on a busy machine a table stood there with no height until the window was resized.
"""

from typing import Any

from textual.widget import Widget

_hand_on = Widget._check_refresh


def _counted(widget: Widget) -> None:
    """What Textual calls when a widget hands on what it asked for: that counts as asked for now."""
    if widget._layout_required:
        widget._layout_updates += 1
    _hand_on(widget)


def mend() -> None:
    """Makes it so for every widget of this process."""
    kind: Any = Widget
    kind._check_refresh = _counted
