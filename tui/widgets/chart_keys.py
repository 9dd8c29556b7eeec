"""The keys of a chart."""

from tui.keys import Key

NOTHING_CLOSER = "there is nothing to look closer at yet"
CHART_KEYS = (
    Key("l", "log", "Log scale", "log scale, or linear again", "no value is above zero"),
    Key(
        "z",
        "quarter",
        "Zoom",
        "the last quarter, following the newest point; or everything again",
        NOTHING_CLOSER,
    ),
    Key("plus,equals_sign", "zoom(2)", "Closer", "closer", NOTHING_CLOSER, in_footer=False),
    Key("minus", "zoom(0.5)", "Farther", "farther", "everything is shown already", in_footer=False),
    Key("left", "pan(-0.25)", "Earlier", "earlier, while zoomed", "zoom first (z)", in_footer=False),
    Key(
        "right",
        "pan(0.25)",
        "Later",
        "later, while zoomed; at the end it follows",
        "zoom first (z)",
        in_footer=False,
    ),
    Key("0", "whole", "Everything", "everything again", "everything is shown already", in_footer=False),
    Key(
        "f",
        "fit",
        "Fit",
        "fit the x axis to what is there so far, or to the whole training again",
        "what is there fills the axis",
        in_footer=False,
    ),
    Key("m", "smooth", "Smooth", "running mean over the raw curve, or raw only", "nothing here to smooth"),
)
GREYED = (
    ("log", 0),
    ("quarter", 0),
    ("zoom", 2),
    ("zoom", 0.5),
    ("pan", 0),
    ("whole", 0),
    ("fit", 0),
    ("smooth", 0),
)
"""Actions that are greyed while they could do nothing, each with an argument to ask about."""
