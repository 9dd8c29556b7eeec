"""The keys of the bench."""

from tui.keys import LOG, Key

KEYS = (
    Key(
        "space",
        "choose_algorithm",
        "Choose",
        "choose the algorithm under the cursor, or let go of it",
        why_not="works in the list of algorithms (tab)",
    ),
    Key(
        "enter",
        "take",
        "Take",
        "in the lists take what is under the cursor; on the start line start",
        why_not="works in the lists and on the start line (tab)",
    ),
    Key(
        "g",
        "start",
        "Start",
        "start every chosen algorithm on the chosen task, with the pretraining baseline",
        why_not="choose a task and an algorithm first",
    ),
    Key(
        "s",
        "settings",
        "Settings",
        "change what will be started: budget, seeds, device and every value of the spec",
        why_not="choose a task and an algorithm first",
    ),
    Key(
        "c",
        "copy_command",
        "Command",
        "copy the headless command that does the same",
        why_not="choose a task and an algorithm first",
    ),
    Key("slash", "find", "Find", "keep the lists to what has some words in name or description"),
    Key("escape", "find_no_more", "All again", "the whole lists again", why_not="the lists are whole"),
    Key(
        "o",
        "next_run",
        "Other run",
        "show the training and inner loop of the next run",
        why_not="one run",
        in_footer=False,
    ),
    Key(
        "w",
        "layers",
        "Layers",
        "the inner loop by layer: learned rates, how far layers move; or by step again",
        why_not="the run shown records nothing by layer",
    ),
    LOG,
    Key("tab", "panel(1)", "Panel", "the next panel, after a column's last the next column", in_footer=False),
    Key("shift+tab", "panel(-1)", "Panel back", "the panel before", in_footer=False),
    Key("right_square_bracket", "column(1)", "Column", "the next of the three columns", in_footer=False),
    Key("left_square_bracket", "column(-1)", "Column back", "the column before", in_footer=False),
)
