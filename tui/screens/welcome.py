"""The first start: what kshot is, and one key that shows it."""

from rich.text import Text
from textual.widgets import Static

from engine.baseline import BASELINE

FIRST_COMPARISON = ("sine-10shot", "maml", BASELINE)


class Welcome(Static, can_focus=True):
    """Three lines in place of the charts while there are no runs at all."""

    def __init__(self) -> None:
        text = Text.assemble(
            "kshot trains few-shot learners and shows, live, whether adaptation helps and who is ahead.\n\n",
            ("enter", "bold"),
            "  starts sine waves: MAML against pretraining (about a minute, no download)\n\n",
            ("?", "bold"),
            "  for the rest: choose other tasks and algorithms, start them with g",
        )
        super().__init__(text, id="welcome")
