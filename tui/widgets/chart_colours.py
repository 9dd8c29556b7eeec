"""A chart's colours as a theme and a terminal show them."""

from collections.abc import Mapping

from rich.style import Style
from textual.color import Color, ColorParseError


def style_of(
    name: str, faint: bool, foreground: Color, background: Color, variables: Mapping[str, str]
) -> Style:
    """The style of a curve of that colour (`#rrggbb` or a theme's variable; none: the foreground's own)."""
    if name:
        foreground = _colour(name, foreground, background, variables)
    if faint and (foreground.ansi is not None or background.ansi is not None):
        return Style(color=foreground.rich_color, bgcolor=background.rich_color, dim=True)
    if faint:
        foreground = foreground.blend(background, 0.5)
    return Style(color=foreground.rich_color, bgcolor=background.rich_color)


def _colour(name: str, foreground: Color, background: Color, variables: Mapping[str, str]) -> Color:
    """A curve's colour as this theme shows it: its variables resolved, pale ones darkened on white."""
    value = variables.get(name[1:], "") if name.startswith("$") else name
    try:
        colour = Color.parse(value)
    except ColorParseError:
        return foreground
    if colour.ansi is None and background.ansi is None and background.brightness > 0.6:
        while colour.brightness > 0.5:
            colour = colour.blend(Color(0, 0, 0), 0.15)
    return colour
