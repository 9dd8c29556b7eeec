"""The keys of the compare screen and of its table."""

from tui.keys import LOG, Key, scrolling

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
        "test what is not tested yet or failed; if all is, test all rows on more episodes",
        "tests are under way, or there is nothing to test",
    ),
    Key("x", "stop_tests", "Stop tests", "stop the tests under way", "no test is under way", in_footer=False),
    Key("i", "axis('steps')", "By steps", "the metric against inner steps", in_footer=False),
    Key("t", "axis('time')", "By time", "validation against training time", in_footer=False),
    Key("n", "axis('tasks')", "By tasks", "validation against tasks seen", in_footer=False),
    Key(
        "S",
        "seeds",
        "Seeds",
        "validation of each seed as a line of its own, or the mean of seeds again",
        "curves by time or tasks (t, n) of several seeds",
        in_footer=False,
    ),
    Key("m", "export('md')", "Markdown", "the table as Markdown", NO_TABLE),
    Key("v", "export('csv')", "CSV", "the table as CSV", NO_TABLE, in_footer=False),
    Key("J", "export('json')", "JSON", "the table as JSON", NO_TABLE, in_footer=False),
    Key("tab", "app.focus_next", "Panel", "to the charts, the notes under them, the table", in_footer=False),
    LOG,
)
TABLE_KEYS = (
    Key("up,k", "cursor_up", "Row up", "the row above; sentence and histogram follow", in_footer=False),
    Key("down,j", "cursor_down", "Row down", "the row below", in_footer=False),
    Key("left,h", "scroll_left", "Columns to the left", "what stands left of the columns", in_footer=False),
    Key("right,l", "scroll_right", "Columns to the right", "columns that do not fit", in_footer=False),
    Key("pageup", "page_up", "Page up", "a page of rows up", in_footer=False),
    Key("pagedown", "page_down", "Page down", "a page of rows down", in_footer=False),
    Key("home", "scroll_home", "First column", "all the way to the left", in_footer=False),
    Key("end", "scroll_end", "Last column", "all the way to the right", in_footer=False),
)
NOTES_KEYS = scrolling("footnotes and protocol")
