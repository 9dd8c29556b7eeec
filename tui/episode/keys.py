"""The episode screen's part of the table of keys."""

from tui.keys import LOG, Key

TWO_STEPS = "an answer with more than one step"

KEYS = (
    Key("left", "step(-1)", "Step back", "the inner step before", TWO_STEPS, in_footer=False),
    Key("right", "step(1)", "Step", "the next inner step", TWO_STEPS),
    Key("space", "play", "Play", "play the inner steps, or stop", TWO_STEPS),
    Key("n", "episode(1)", "Next", "the next test episode", "a finished run"),
    Key("p", "episode(-1)", "Previous", "the test episode before", "a finished run", in_footer=False),
    Key(
        "h",
        "hardest",
        "Hardest",
        "the episode with the worst result; again: the next",
        "a test of this run (3)",
    ),
    Key("r", "random", "Random", "any test episode", "a finished run", in_footer=False),
    Key("g", "ask_number", "Go to", "go to an episode by its number", "a finished run"),
    Key("a", "algorithm", "Algorithm", "the next algorithm of this task", "finished runs of two algorithms"),
    Key("down,j", "pick_query(1)", "Query", "the next query", "a task of images"),
    Key("up,k", "pick_query(-1)", "Query before", "the query before", "a task of images", in_footer=False),
    Key("pagedown", "scroll_body(1)", "Scroll down", "scroll what does not fit", in_footer=False),
    Key("pageup", "scroll_body(-1)", "Scroll up", "scroll back", in_footer=False),
    LOG,
    Key("escape", "close_line", "Close", "put the number's line away", in_footer=False),
)
