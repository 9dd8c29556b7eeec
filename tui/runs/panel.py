"""The panel under the table: the selected run in words, its files read off the loop when they change."""

import os
import time
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from engine.runs import Summary
from tui.keys import place
from tui.output import pad
from tui.runs.detail import Filed, facts, read_filed, sentence
from tui.runs.keys import PANEL_KEYS
from tui.runs.rows import run_label
from tui.snapshot import Snapshot

LOOK_SECONDS = 0.1
"""How long the cursor must rest before a run's files are read."""


class RunPanel(VerticalScroll, can_focus=True):
    """What a run is, what can be done with it, its results and its spec; scrolls."""

    PLACE = "run-panel"
    BINDINGS: ClassVar[list[BindingType]] = place(PLACE, PANEL_KEYS)
    DEFAULT_CSS = """
    RunPanel {
        height: 45%; max-height: 18; border-top: solid $secondary; padding: 0 1; scrollbar-size-vertical: 1;
    }
    RunPanel:focus { border-top: solid $primary; }
    RunPanel Static { height: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._run: Summary | None = None
        self._snapshot = Snapshot()
        self._filed: dict[str, Filed] = {}
        self._timer: Timer | None = None
        self._looked_at: tuple[str, float | None] | None = None
        self._told: Text | None = None

    def compose(self) -> ComposeResult:
        yield Static("")

    def show(self, run: Summary, snapshot: Snapshot) -> None:
        """Tells of this run from now on."""
        if self._run is None or self._run.id != run.id:
            self.scroll_home(animate=False)
        self._run, self._snapshot = run, snapshot
        filed = self._filed.get(run.id)
        asked = snapshot.asked.get(run.id, frozenset())
        said = sentence(run, asked, filed, snapshot.ahead_of(run), os.uname().nodename, time.time())
        test = snapshot.tests.get(run.id)
        told = Text(f"{test.told}; {said}" if test is not None else said, style="bold")
        for name, text in facts(run, filed, time.time()):
            told.append(f"\n{pad(name, 11)}", style="not bold dim").append(text, style="not bold")
        self._tell(told, run_label(run))
        if self._looked_at != (run.id, run.status.updated):
            self._looked_at = (run.id, run.status.updated)
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(LOOK_SECONDS, self._look)

    def say(self, text: str) -> None:
        """One sentence, where there is no run."""
        self._run = None
        self._tell(Text(text), "")

    def has_spec(self, run_id: str) -> bool:
        """Whether the run's spec is there to be trained again, as far as its files were read."""
        filed = self._filed.get(run_id)
        return filed is None or filed.stamp[0] != 0

    def _tell(self, told: Text, title: str) -> None:
        if told == self._told:
            return
        self._told = told
        self.query_one(Static).update(told)
        self.border_title = Text(title)

    def _look(self) -> None:
        if self._run is not None:
            self._read(self._run)

    @work(thread=True, exclusive=True, group="files")
    def _read(self, run: Summary) -> None:
        known = self._filed.get(run.id)
        filed = read_filed(run, known)
        if filed is not known:
            self.app.call_from_thread(self._have_read, run.id, filed)

    def _have_read(self, run_id: str, filed: Filed) -> None:
        self._filed[run_id] = filed
        if self._run is not None and self._run.id == run_id and self.is_attached:
            self.show(self._run, self._snapshot)
