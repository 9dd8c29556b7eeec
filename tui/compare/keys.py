"""The compare screen's keys."""

from tui.keys import Key

NO_TABLE = "there is no table yet: no run has finished"
KEYS = (
    Key("enter", "open_episode", "Episode", "look at one test episode of the selected row", NO_TABLE),
    Key(
        "left_square_bracket",
        "table(-1)",
        "Table before",
        "the table before: another task, budget or protocol",
        "there is one table only",
        in_footer=False,
    ),
    Key("right_square_bracket", "table(1)", "Next table", "the next table", "there is one table only"),
    Key("b", "baseline", "Baseline", "pair the rows with the next baseline", NO_TABLE),
    Key(
        "e",
        "test",
        "Test more",
        "test what is not tested yet; if all is, test all rows on more episodes",
        "tests are under way, or there is nothing to test",
    ),
    Key("x", "stop_tests", "Stop tests", "stop the tests under way", "no test is under way", in_footer=False),
    Key("i", "axis('steps')", "By steps", "the metric against inner steps", in_footer=False),
    Key("t", "axis('time')", "By time", "validation against training time", in_footer=False),
    Key("n", "axis('tasks')", "By tasks", "validation against tasks seen", in_footer=False),
    Key("m", "export('md')", "Markdown", "the table as Markdown", NO_TABLE),
    Key("v", "export('csv')", "CSV", "the table as CSV", NO_TABLE, in_footer=False),
    Key("J", "export('json')", "JSON", "the table as JSON", NO_TABLE, in_footer=False),
)
