"""The bench: choose a task and algorithms, start them, watch."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import BindingType
from textual.message import Message
from textual.widget import MountError, Widget

from tui.bench.choose import Choose
from tui.bench.choosing import AlgorithmList, GroupedList, StartLine
from tui.bench.columns import NARROW
from tui.bench.keys import KEYS
from tui.bench.looks import LAYOUT
from tui.bench.opening import KEYS_WAIT, holds_runs, in_time, opening_columns
from tui.bench.shown import looked_at, shown_runs
from tui.bench.starting import WATCHING, StartingScreen
from tui.keys import place
from tui.screens.welcome import Welcome
from tui.snapshot import Snapshot

if TYPE_CHECKING:
    from engine.runs import Run, Summary
    from tui.bench.panel import Preview

STARTING = "starting: reading the presets, checking the data, making the runs"
INNER = 2
"""The column of the inner loop."""


class BenchScreen(StartingScreen):
    """Three columns: what can be chosen, the curves of the runs, the inner loop of one of them."""

    PLACE = "bench"
    NAMES = (("choose", "choose"), ("curves", "curves"), ("inner", "inner loop"))
    BINDINGS: ClassVar[list[BindingType]] = place("bench", KEYS)
    CSS = LAYOUT
    AUTO_FOCUS = "#algorithms"

    class Imported(Message):
        """What draws the curves is there."""

    class LookedLate(Message):
        """Whether the folder holds runs, known only after the first frame."""

        def __init__(self, holds: bool) -> None:
            super().__init__()
            self.holds = holds

    def __init__(self) -> None:
        super().__init__()
        self._first_start = False
        self._knows_runs = False
        """Whether it is known if there are runs."""
        self._keys_wait_until = time.monotonic() + KEYS_WAIT
        self.is_whole = False
        """Whether the columns of curves and inner loop are there; they need NumPy, which the first frame does
        not wait for."""
        self._chosen_run: str | None = None
        self._one: Summary | None = None
        """The run whose inner loop is shown."""
        self._came_for: tuple[str | None, tuple[str, ...]] = (None, ())
        self._states: list[tuple[str, bool]] = []
        self._welcomed = False
        self._has_layers = False

    def columns(self) -> Iterator[Widget]:
        """Choose, curves, inner loop."""
        yield Choose(self.workbench.runs_dir, self.workbench.data_dir, id="choose")
        holds = in_time(lambda: holds_runs(self.workbench.runs_dir), None, self._looked_late)
        self._knows_runs, self._first_start = holds is not None, holds is False
        yield from opening_columns(self._first_start)

    def _looked_late(self, holds: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the app has been left
            self.post_message(self.LookedLate(holds))

    def on_bench_screen_looked_late(self, message: LookedLate) -> None:
        """As if it had been known in time, unless a picture has told it meanwhile."""
        self._learn(message.holds)

    def _learn(self, holds: bool) -> None:
        if not self._knows_runs:
            self._knows_runs, self._first_start = True, not holds
            if self._first_start:
                self._welcome()

    def on_mount(self) -> None:
        self._show_welcome(self._first_start)
        if self._first_start:
            self._welcome_once()
        self.call_after_refresh(self._read_on)

    @work(thread=True, group="read on")
    def _read_on(self) -> None:
        """After the first frame: what is still to be imported and read, first what is missed most."""
        steps = [self._import_columns, self.choose.read]
        for step in reversed(steps) if self._first_start else steps:
            step()

    def _import_columns(self) -> None:
        import tui.bench.live  # noqa: F401

        self.post_message(self.Imported())

    async def on_bench_screen_imported(self) -> None:
        """Puts the columns in the place of what stood there in the first frame."""
        from tui.bench.live import Curves, Inner

        with self.app.batch_update():
            await self.query_one("#curves .waiting").remove()
            await self.query_one("#inner").remove()
            with contextlib.suppress(MountError):  # the app is being left
                curves = Curves()
                curves.display = not self.query_one(Welcome).display
                await self.query_one("#curves").mount(curves)
                await self.query_one("#bench").mount(Inner(id="inner", classes="column"))
            if not (self.query(Curves) and self.query("#facts")):
                return  # the app is being left
            self.is_whole = True
            self.show_column(self.column)
            self.refresh_picture()

    @property
    def takes_keys(self) -> bool:
        """Not before something has the focus, and it is known whether that is the welcome."""
        is_known = self._knows_runs or time.monotonic() > self._keys_wait_until
        return is_known and self.focused is not None

    def on_screen_resume(self) -> None:
        self.choose.look_again()
        come_for = (self.workbench.run_in_focus, self.workbench.laid_over)
        if come_for != self._came_for:
            self._came_for = come_for
            self._chosen_run, self.choose.looking_at_tasks = None, False
            self.show_column(WATCHING if come_for[0] is not None else self.column)

    def on_descendant_focus(self) -> None:
        self.choose.about()
        self.refresh_bindings()

    def on_choose_changed(self) -> None:
        """Another selection or preview."""
        self.refresh_picture()

    @property
    def runs_to_watch(self) -> "Sequence[str]":
        return [summary.id for summary in self._runs_of(self.workbench.snapshot)]

    @property
    def run_to_read(self) -> "Run | None":
        return self._one.run if self._one is not None else None

    def draw(self, snapshot: Snapshot) -> None:
        """Draws the runs shown, the inner loop of one of them, and the session's progress."""
        runs = self._runs_of(snapshot)
        one = looked_at(runs, self._chosen_run, self.workbench.run_in_focus)
        if snapshot.taken:
            self._learn(bool(snapshot.runs))
        if one is not self._one:
            had, self._one = self._one, one
            if (had is None) != (one is None):
                self.refresh_bindings()
        if self.is_whole:
            self._draw_columns(snapshot, runs, one)
        self._draw_choices(snapshot)

    def look_at_all(self) -> None:
        self._chosen_run, self._came_for = None, (None, ())

    def _runs_of(self, snapshot: Snapshot) -> "tuple[Summary, ...]":
        return shown_runs(snapshot, self.workbench.run_in_focus, self.workbench.laid_over)

    def draw_anew(self) -> None:
        self.choose.draw()

    def _draw_columns(
        self, snapshot: Snapshot, runs: "Sequence[Summary]", one: "Summary | None"
    ) -> None:
        from tui.bench.live import Curves, Inner

        no_runs = snapshot.taken > 0 or self._first_start
        if no_runs and not snapshot.runs and snapshot.session is None and not self.is_starting:
            self._welcome()
        else:
            said = STARTING if self.is_starting else ""
            preview = self._shown_preview(snapshot, runs)
            self.query_one(Curves).draw(snapshot, runs, one, preview, said)
            self._show_welcome(False)
        inner = self.query_one(Inner)
        inner.draw(snapshot, runs, one)
        if inner.can_show_layers != self._has_layers:
            self._has_layers = inner.can_show_layers
            self.refresh_bindings()

    def _draw_choices(self, snapshot: Snapshot) -> None:
        """The start line, and a new estimate when a run was begun or has ended."""
        if self.choose.starting != self.is_starting:
            self.choose.starting = self.is_starting
            self.choose.draw_start()
        states = [(summary.id, summary.status.alive) for summary in snapshot.runs]
        if states != self._states:
            self._states = states
            self.choose.estimate_anew()
            self.refresh_bindings()

    def _shown_preview(self, snapshot: Snapshot, runs: "Sequence[Summary]") -> "Preview | None":
        """The preview, while nothing trains and nothing was asked to be seen since a task was looked at."""
        session = snapshot.session
        going = session is not None and not session.done
        if going or self.is_starting or any(summary.status.alive for summary in runs):
            return None
        return self.choose.preview if self.choose.looking_at_tasks or not runs else None

    def _welcome(self) -> None:
        self._show_welcome(True)
        self._welcome_once()

    def _show_welcome(self, shown: bool) -> None:
        """The first start's lines in the place of the curves, or of the word that stands there before them;
        what goes out of sight hands the focus on."""
        had_focus = isinstance(self.focused, Welcome)
        for each in self.query_one("#curves").children:
            each.display = isinstance(each, Welcome) == shown
        if had_focus and not shown:
            self.set_focus(next(iter(self.panels(WATCHING)), None))

    def _welcome_once(self) -> None:
        """Puts the first start's key under the finger, unless one has gone elsewhere already."""
        if not self._welcomed:
            self._welcomed = True
            if not isinstance(self.focused, AlgorithmList | None):
                return
            self.show_column(WATCHING)
            self.set_focus(self.query_one(Welcome))

    def action_next_run(self) -> None:
        """Looks at the next of the runs shown."""
        runs = self._runs_of(self.workbench.snapshot)
        one = looked_at(runs, self._chosen_run, self.workbench.run_in_focus)
        if one is not None and len(runs) > 1:
            self.choose.looking_at_tasks = False
            self._chosen_run = runs[(runs.index(one) + 1) % len(runs)].id
            self.refresh_picture()

    def action_layers(self) -> None:
        """The inner loop by layer, or by step again; where there is one column, that one."""
        from tui.bench.live import Inner
        from tui.widgets.chart import Chart

        inner = self.query_one(Inner)
        inner.wants_layers = not inner.by_layer
        if isinstance(self.focused, Chart) and inner in self.focused.ancestors:
            inner.focus()  # its chart goes out of sight
        elif self.size.width < NARROW and self.column != INNER:
            self.go_to(INNER, inner)
        self.refresh_picture()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys what is impossible now; what belongs to another panel is not in the footer."""
        if action in ("start", "settings", "copy_command"):
            return True if self.selection.complete else None
        if action == "find_no_more":
            return self.is_mounted and self.choose.is_finding
        if action == "next_run":
            several = len(self._runs_of(self.workbench.snapshot)) > 1
            return True if several else None
        if action == "log":
            return True if self.run_to_read is not None else None
        if action == "layers":
            return True if self._has_layers else None
        if action == "choose_algorithm":
            return isinstance(self.focused, AlgorithmList)
        if action == "take":
            return isinstance(self.focused, StartLine | Welcome | GroupedList)
        return True
