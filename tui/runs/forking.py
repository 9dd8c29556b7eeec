"""The question that a fork begins with: what is changed, and the new run's name."""

from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Input, Static

from engine.errors import RequestError
from engine.runs import Summary
from tui.output import plain
from tui.runs import requests
from tui.runs.rows import run_label
from tui.screens.questions import AskText

HINT = (
    "path=value, several with spaces: adaptation.steps=5 outer.learning_rate=3e-3 seed=1; "
    "tab goes to the name, enter begins, esc goes back"
)
LONGEST_NAME = 80
UNSAID = ("adaptation", "training", "task")
"""Sections that a name leaves out: `steps 5`, but `outer learning rate 0.003`."""


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
        self._derived = derived_name(run, "")
        self.name_given: str | None = None
        """The name that was given at the end; None for none."""

    def more(self) -> ComposeResult:
        """The line for the name."""
        yield Static(Text("name"), classes="hint")
        yield Input(self._derived, id="name", select_on_focus=False, max_length=LONGEST_NAME)

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id != "name":
            super().on_input_changed(event)
            name = self.query_one("#name", Input)
            follows = name.value == self._derived
            self._derived = derived_name(self._forked, event.value)
            if follows:
                name.value = self._derived
        event.stop()

    def end_if_right(self) -> None:
        self.name_given = self.query_one("#name", Input).value.strip() or None
        super().end_if_right()


def derived_name(run: Summary, text: str) -> str:
    """`maml, steps 5, seed 1`: the run's name or its algorithm, and what the `path=value` texts change."""
    try:
        changed = [part.partition("=") for part in requests.overrides_in(text)]
    except RequestError:
        changed = []
    words = [f"{_leaf(path)} {value}" for path, equals, value in changed if equals]
    return plain(", ".join([run.name or run.algorithm, *(words or ["again"])]))[:LONGEST_NAME]


def _leaf(path: str) -> str:
    section, _, rest = path.strip().rpartition(".")
    words = rest.replace("_", " ")
    return words if section.partition(".")[0] in ("", *UNSAID) else f"{section.rpartition('.')[2]} {words}"
