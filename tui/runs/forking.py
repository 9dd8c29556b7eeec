"""The question that a fork begins with: what is changed, and the new run's name."""

from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Input, Static

from engine.errors import RequestError
from engine.runs import Summary
from tui.runs import requests
from tui.runs.rows import run_label
from tui.screens.questions import AskText

HINT = (
    "path=value, several with spaces: adaptation.steps=5 outer.learning_rate=3e-3 seed=1; "
    "tab goes to the name, enter begins, esc goes back"
)


class AskFork(AskText):
    """Asks for changed settings, and for a name, which follows the settings until it is edited."""

    DEFAULT_CSS = """
    AskFork #name { margin: 0 0 1 0; }
    """

    def __init__(self, run: Summary, data_dir: Path) -> None:
        super().__init__(
            f"Fork {run_label(run)}", HINT, lambda text: requests.what_changes(run.run, text, data_dir)
        )
        self._forked = run
        self._derived = _derived_name(run, "")
        self.name_given: str | None = None
        """The name that was given at the end; None for none."""

    def more(self) -> ComposeResult:
        """The line for the name."""
        yield Static(Text("name"), classes="hint")
        yield Input(self._derived, id="name", select_on_focus=False, max_length=requests.LONGEST_NAME)

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id != "name":
            super().on_input_changed(event)
            name = self.query_one("#name", Input)
            follows = name.value == self._derived
            self._derived = _derived_name(self._forked, event.value)
            if follows:
                name.value = self._derived
        event.stop()

    def end_if_right(self) -> None:
        self.name_given = self.query_one("#name", Input).value.strip() or None
        super().end_if_right()


def _derived_name(run: Summary, text: str) -> str:
    """The name for what was typed so far."""
    try:
        return requests.derived_name(run, requests.overrides_in(text))
    except RequestError:
        return requests.derived_name(run, [])
