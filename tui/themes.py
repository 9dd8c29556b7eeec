"""Colour themes on the xterm-256 grid, so that SSH with 256 colours shows what was meant."""

from textual.theme import Theme

DEFAULT_THEME = "kshot-dark"
THEMES = (
    Theme(
        "kshot-dark",
        primary="#00afff",
        secondary="#5f87af",
        accent="#ffaf00",
        warning="#ffaf00",
        error="#ff5f5f",
        success="#5fd75f",
        foreground="#d0d0d0",
        background="#121212",
        surface="#1c1c1c",
        panel="#262626",
        dark=True,
        variables={
            "block-cursor-background": "#0000af",
            "block-cursor-foreground": "#ffffff",
            "block-cursor-blurred-background": "#262626",
            "block-cursor-blurred-foreground": "#d0d0d0",
        },
    ),
    Theme(
        "kshot-light",
        primary="#005faf",
        secondary="#005f87",
        accent="#af5f00",
        warning="#af5f00",
        error="#af0000",
        success="#008700",
        foreground="#262626",
        background="#ffffff",
        surface="#eeeeee",
        panel="#e4e4e4",
        dark=False,
        variables={
            "block-cursor-background": "#afd7ff",
            "block-cursor-foreground": "#000000",
            "block-cursor-blurred-background": "#e4e4e4",
            "block-cursor-blurred-foreground": "#262626",
        },
    ),
    Theme(
        "kshot-contrast",
        primary="#ffffff",
        secondary="#ffff00",
        accent="#ffff00",
        warning="#ffff00",
        error="#ff5f5f",
        success="#00ff00",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#000000",
        dark=True,
        variables={
            "block-cursor-background": "#0000af",
            "block-cursor-foreground": "#ffffff",
            "block-cursor-blurred-background": "#303030",
            "block-cursor-blurred-foreground": "#ffffff",
        },
    ),
)
CYCLE = (*(theme.name for theme in THEMES), "ansi-dark", "ansi-light")
"""The themes that one key goes through: ours, and the terminal's own sixteen colours."""


def after(name: str) -> str:
    """The theme after that one; the first after any that is not of the cycle."""
    return CYCLE[(CYCLE.index(name) + 1) % len(CYCLE)] if name in CYCLE else CYCLE[0]


def grounds(theme: Theme) -> tuple[str, ...]:
    """What marks and words stand on in a theme (`#rrggbb`): the page, a panel, the cursor's row with the
    focus and without. None where the terminal's own colours are used, unless it is light."""
    cursors = (theme.variables.get(f"block-cursor-{name}") for name in ("background", "blurred-background"))
    known = [each for each in (theme.background, theme.panel, *cursors) if each and each.startswith("#")]
    return tuple(known) or (() if theme.dark else ("#ffffff",))
