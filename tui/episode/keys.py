"""The episode screen's part of the table of keys."""

from tui.keys import LOG, Key

TWO_STEPS = "there are no inner steps to go through"
NO_RUN = "no run has finished yet"
NO_IMAGES = "only on tasks of images"
NO_OTHER = "no other algorithm has finished on this task"

KEYS = (
    Key("left", "step(-1)", "Step back", "the inner step before", TWO_STEPS, in_footer=False),
    Key("right", "step(1)", "Step", "the next inner step", TWO_STEPS),
    Key("space", "play", "Play", "play the inner steps, or stop", TWO_STEPS),
    Key("n", "episode(1)", "Next", "the next test episode", NO_RUN),
    Key("p", "episode(-1)", "Previous", "the test episode before", NO_RUN, in_footer=False),
    Key(
        "h",
        "hardest",
        "Hardest",
        "the episode with the worst result; again: the next",
        "this run is not tested yet; e on 3 tests it",
    ),
    Key("r", "random", "Random", "any test episode", NO_RUN, in_footer=False),
    Key("g", "ask_number", "Go to", "go to an episode by its number", NO_RUN),
    Key("a", "algorithm", "Algorithm", "the next algorithm of this task", NO_OTHER),
    Key("down,j", "pick_query(1)", "Query", "the next query", NO_IMAGES),
    Key("up,k", "pick_query(-1)", "Query before", "the query before", NO_IMAGES, in_footer=False),
    Key("pagedown", "scroll_body(1)", "Scroll down", "scroll what does not fit", in_footer=False),
    Key("pageup", "scroll_body(-1)", "Scroll up", "scroll back", in_footer=False),
    LOG,
    Key("escape", "close_line", "Close", "put the number's line away", in_footer=False),
)
