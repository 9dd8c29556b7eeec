"""The runs screen: all runs of the folder, what each is about, and what can be done with it."""

import shlex
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.timer import Timer
from textual.widgets import Input, Static

from engine.runs import Run, Summary
from engine.runs.processes import RESUMABLE
from tui.keys import place
from tui.runs import requests
from tui.runs.families import nested
from tui.runs.heading import heading, why_empty
from tui.runs.keys import KEYS, can_stop, is_possible
from tui.runs.panel import RunPanel
from tui.runs.rows import NESTED, ORDERS, filtered, ordered
from tui.runs.table import RunTable
from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot
from tui.threads import Turns

REST_SECONDS = 0.03
AGES_SECONDS = 20.0
"""How often the ages are drawn anew while nothing else changes."""


class RunsScreen(PlaceScreen):
    """Runs in a table over the selected one in words."""

    PLACE = "runs"
    BINDINGS: ClassVar[list[BindingType]] = place(PLACE, KEYS)
    DEFAULT_CSS = """
    RunsScreen #heading { height: 1; color: $secondary; text-wrap: nowrap; text-overflow: ellipsis; }
    RunsScreen #filter { height: 1; border: none; padding: 0 1; background: $panel; display: none; }
    RunsScreen #filter.open { display: block; }
    RunsScreen #filter:focus { border: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self.order = ORDERS[0]
        self.chosen: set[str] = set()
        self._trash = Turns()
        self._removed: list[list[str]] = []
        """What was removed, by key press; for the calls that take turns at the trash."""
        self._awaited: str | None = None
        """A run that was put back: the cursor goes to it when it is seen."""
        self._possible: tuple[bool, ...] = ()
        self._rest: Timer | None = None

    def compose_body(self) -> ComposeResult:
        yield Static("", id="heading")
        yield RunTable()
        yield Input(placeholder="words in id, name, task, algorithm, state", id="filter")
        yield RunPanel()

    def on_mount(self) -> None:
        self.query_one(RunTable).focus()
        self.set_interval(AGES_SECONDS, self._renew_ages)

    def _renew_ages(self) -> None:
        if self.is_current:
            self.refresh_picture()

    @property
    def table(self) -> RunTable:
        """The table."""
        return self.query_one(RunTable)

    @property
    def panel(self) -> RunPanel:
        """The selected run in words."""
        return self.query_one(RunPanel)

    @property
    def current(self) -> Summary | None:
        """The run under the cursor."""
        return self.table.current

    def meant(self) -> list[Summary]:
        """The marked runs, or the one under the cursor where none is marked."""
        if self.chosen:
            return [run for run in self.workbench.snapshot.runs if run.id in self.chosen]
        return [self.current] if self.current else []

    # What is drawn

    def draw(self, snapshot: Snapshot) -> None:
        self.chosen &= {run.id for run in snapshot.runs} if self.chosen else set()
        rows = ordered(filtered(snapshot, self.words), self.order)
        rows, depths = nested(rows) if self.order in NESTED else (rows, {})
        self.table.show(rows, snapshot.asked, frozenset(self.chosen), depths, snapshot.tests)
        self._go_to_awaited()
        self._draw_heading(snapshot, len(rows))
        self._draw_panel()
        self._renew_keys()

    def _go_to_awaited(self) -> None:
        places = [place for place, run in enumerate(self.table.rows) if run.id == self._awaited]
        if places:
            self._awaited = None
            self.table.go_to(places[0])

    def _draw_heading(self, snapshot: Snapshot, shown: int) -> None:
        text = heading(snapshot, shown, self.order, self.words, len(self.chosen))
        self.query_one("#heading", Static).update(Text(text))

    def _draw_panel(self) -> None:
        snapshot, run = self.workbench.snapshot, self.current
        if run is None:
            self.panel.say(why_empty(snapshot, self.words, self.workbench.runs_dir))
        else:
            self.panel.show(run, snapshot)

    # What is possible

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """None, greyed, for what the meant runs cannot do now."""
        if not self.query(RunTable):
            return True
        return is_possible(action, self.meant(), self.current, self.workbench.snapshot.asked) or None

    def _renew_keys(self) -> None:
        possible = tuple(self.check_action(key.action, ()) is True for key in KEYS)
        if possible != self._possible:
            self._possible = possible
            self.refresh_bindings()

    def on_run_table_moved(self) -> None:
        """The table answers at once; what is told of the run follows when the cursor rests."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST_SECONDS, self._rested)

    def _rested(self) -> None:
        self._draw_panel()
        self._renew_keys()

    def on_run_table_opened(self) -> None:
        self.action_open()

    # What the keys do

    def action_open(self) -> None:
        """Looks at the run on Bench, or at the marked ones of one task laid over each other."""
        meant = self.meant()
        first = self.current if self.current in meant else next(iter(meant), None)
        if first is None:
            return
        together = [first.id, *(run.id for run in meant if run.task == first.task and run.id != first.id)]
        if len(together) > 1:
            self.workbench.open_together(together)
        else:
            self.workbench.open_run(first.id)
        if len(together) < len(meant):
            left_out = len(meant) - len(together)
            self.workbench.tell(f"{left_out} of another task left out: their episodes are others")

    def action_pause(self) -> None:
        """Asks the meant runs that are under way to pause."""
        self._ask(requests.pause, lambda run: run.status.alive)

    def action_stop(self) -> None:
        """Asks the meant runs that are under way to stop; paused ones are stopped from then on."""
        self._ask(requests.stop, can_stop)

    def action_resume(self) -> None:
        """Resumes the meant runs that can be."""
        data_dir = self.workbench.data_dir
        self._ask(lambda runs: requests.resume(runs, data_dir), lambda run: run.state in RESUMABLE)

    def action_remove(self) -> None:
        """Moves the meant runs that are not under way to the trash."""

        def remove(runs: Sequence[Run]) -> str:
            batch: list[str] = []
            self._removed.append(batch)
            return requests.move_to_trash(runs, batch.append)

        self._ask(remove, lambda run: not run.status.alive, self._trash)

    def action_undo(self) -> None:
        """Puts back what was removed last, also where it is not in the trash yet."""
        runs_dir = self.workbench.runs_dir

        def undo() -> str:
            batch: list[str] = []
            while self._removed and not batch:
                batch = self._removed.pop()
            said = requests.put_back(runs_dir, batch)
            self._awaited = batch[-1] if batch else None
            return said

        self.workbench.ask_off_loop(self._trash.after_others(undo))

    def _ask(
        self,
        request: Callable[[Sequence[Run]], str],
        fits: Callable[[Summary], bool],
        turns: Turns | None = None,
    ) -> None:
        runs = [run.run for run in self.meant() if fits(run)]
        if not runs:
            return
        call = partial(request, runs)
        self.workbench.ask_off_loop(turns.after_others(call) if turns is not None else call)
        if self.chosen:
            self.chosen.clear()
            self.refresh_picture()

    def action_fork(self) -> None:
        """Asks for changed settings and trains a new run with them."""
        run = self.current
        if run is None:
            return
        from tui.runs.forking import AskFork

        question = AskFork(run, self.workbench.data_dir)

        def begin(text: str | None) -> None:
            if text is not None:
                app, name = self.workbench, question.name_given
                app.ask_off_loop(
                    lambda: requests.fork(
                        run.run, requests.overrides_in(text), app.runs_dir, app.data_dir, name
                    )
                )

        self.app.push_screen(question, begin)

    @property
    def run_to_read(self) -> Run | None:
        return self.current.run if self.current is not None else None

    def action_replay(self) -> None:
        """Plays the run back."""
        if self.current is not None:
            from tui.screens.replay import ReplayScreen

            self.app.push_screen(ReplayScreen(self.current.run, self.current.metric))

    def action_order(self) -> None:
        """The next order."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self.refresh_picture()

    def action_mark(self) -> None:
        """Marks the run, or takes its mark away, and goes to the next."""
        if self.current is not None:
            self.chosen ^= {self.current.id}
            self.refresh_picture()
            self.table.action_move(1)

    def action_find(self) -> None:
        """Opens the filter."""
        line = self.query_one("#filter", Input)
        line.add_class("open")
        line.focus()

    def action_back(self) -> None:
        """Drops the filter, or the marks where there is none."""
        line = self.query_one("#filter", Input)
        if self.words or line.has_class("open"):
            line.value = ""
            line.remove_class("open")
            self.words = ""
        else:
            self.chosen.clear()
        self.table.focus()
        self.refresh_picture()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filters while one types."""
        self.words = event.value.strip()
        self.refresh_picture()

    def on_input_submitted(self) -> None:
        """Keeps the filter and goes back to the runs."""
        self.query_one("#filter", Input).set_class(False, "open")
        self.table.focus()

    def text_to_copy(self) -> str | None:
        """The command that repeats the run, or shows it where there is no spec to repeat."""
        run = self.current
        if run is None:
            return None
        if not self.panel.has_spec(run.id):
            return f"kshot runs show {shlex.quote(run.id)}"
        return f"kshot train {shlex.quote(str(run.run.spec_path))}"
