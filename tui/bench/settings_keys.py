"""The keys of the settings form."""

from tui.keys import Key

KEYS = (
    Key("enter", "edit", "Change", "change the value under the cursor"),
    Key(
        "space",
        "next_choice",
        "Next choice",
        "the next of few choices",
        why_not="there are not a few choices",
    ),
    Key("a", "scope", "For all / one", "changes are for all algorithms, or for the one shown alone"),
    Key(
        "u", "undo", "Undo", "the value under the cursor as the presets have it", why_not="it is not changed"
    ),
    Key("U", "undo_all", "Undo all", "every value as the presets have it", why_not="nothing is changed"),
    Key("tab", "next_algorithm", "Algorithm", "the settings of the next algorithm", why_not="there is one"),
    Key("slash", "find", "Find", "keep the list to keys with some words in name or description"),
    Key("escape", "leave", "Back", "the whole list again; back to the bench with these settings"),
    Key("question_mark", "help", "Help", "every key of this form"),
)
