"""The compare screen: algorithms against pretraining, from what the runs folder holds."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable, Static
from textual.worker import get_current_worker

from engine.errors import RequestError
from engine.runs.listing import Summary
from tui.compare.curves import X_LABELS, Axis, runs_of, step_series, validation_series
from tui.compare.export import ExportScreen
from tui.compare.histogram import Histogram, shares_text
from tui.compare.keys import KEYS
from tui.compare.remarks import more_episodes, protocol_line, remarks
from tui.compare.testing import TestRound, progress_text
from tui.compare.view import Row, View, Views, holds, next_baseline
from tui.compare.widgets import Notes, ResultTable
from tui.compare.words import NOTHING, has_finished, title_of, untested, why_no_difference
from tui.keys import place
from tui.marks import mark_of
from tui.output import plain
from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot, TestNow
from tui.tables import Footnotes
from tui.widgets.chart import Chart

LOOK_EVERY = 1.0
"""Seconds between looks at the results folders while the screen is shown."""
TWO_CHARTS = 100
"""Columns from which both charts stand side by side."""


class CompareScreen(PlaceScreen):
    """One table of the folder's results, its curves, and how certain its differences are."""

    PLACE = "compare"
    BINDINGS: ClassVar[list[BindingType]] = place("compare", KEYS)
    DEFAULT_CSS = """
    CompareScreen #compare-body { height: 1fr; }
    CompareScreen #compare-title { height: auto; padding: 0 1; text-style: bold; }
    CompareScreen #compare-tests { height: auto; padding: 0 1; color: $accent; display: none; }
    CompareScreen #compare-table { height: auto; max-height: 16; margin: 0 0 1 0; }
    CompareScreen #compare-charts { layout: horizontal; height: 1fr; min-height: 12; }
    CompareScreen.narrow #compare-charts { layout: vertical; height: auto; }
    CompareScreen #compare-curves { width: 3fr; height: 100%; }
    CompareScreen #compare-histogram { width: 2fr; height: 100%; }
    CompareScreen.narrow #compare-curves, CompareScreen.narrow #compare-histogram { width: 100%; height: 12; }
    CompareScreen #compare-notes { height: auto; padding: 0 1; }
    CompareScreen #compare-notes:focus { background: $surface; }
    CompareScreen.empty #compare-table, CompareScreen.empty #compare-charts { display: none; }
    CompareScreen.empty #compare-notes { display: none; }
    """

    class Looked(Message):
        """The folder's tables were read; the chosen one is drawn."""

        def __init__(self, view: View | None) -> None:
            super().__init__()
            self.view = view

    class Testing(Message):
        """How the tests stand; None when they are over, and then what to say of it."""

        def __init__(self, tests: tuple[TestNow, ...] | None, said: str = "", failed: bool = False) -> None:
            super().__init__()
            self.tests, self.said, self.failed = tests, said, failed

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, CompareScreen.Testing) and message.tests is not None

    def __init__(self) -> None:
        super().__init__()
        self.view: View | None = None
        self.axis: Axis = "steps"
        self._key: str | None = None
        self._focus: str | None = None
        self._baseline: str | None = None
        self._views = Views()
        self._looking, self._again = False, False
        self._runs: object = None
        self._round: TestRound | None = None

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(id="compare-body", can_focus=False):
            yield Static("", id="compare-title", markup=False)
            yield Static("", id="compare-tests", markup=False)
            yield ResultTable(id="compare-table")
            with Container(id="compare-charts"):
                yield Chart("Against inner steps", id="compare-curves")
                yield Histogram(id="compare-histogram")
            yield Notes(id="compare-notes")

    def on_mount(self) -> None:
        self.query_one(ResultTable).focus()
        # Results come without a change in any run, so that no new picture tells of them.
        self.set_interval(LOOK_EVERY, self._look_again)

    def _look_again(self) -> None:
        if self.is_current:
            self._ask_for_view()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width < TWO_CHARTS, "narrow")

    def on_screen_resume(self) -> None:
        # Another screen may have asked for other runs' histories meanwhile, or opened another run.
        self._watch()
        self._ask_for_view()

    # Reading, off the event loop

    def draw(self, snapshot: Snapshot) -> None:
        runs = [(each.id, each.state) for each in snapshot.runs]
        if runs != self._runs:
            self._runs = runs
            self._ask_for_view()
        if self.axis != "steps":
            self._draw_curves()

    def _ask_for_view(self) -> None:
        """Has the tables read again; one reading at a time."""
        self._again = self._looking
        if self._looking:
            return
        self._looking = True
        run_id = self.workbench.run_in_focus
        if run_id != self._focus:
            # Another run was opened since: its table is the one to see, unless it is in this one.
            self._focus = run_id
            if self.view is not None and run_id is not None and not holds(self.view.standing, run_id):
                self._key, self._baseline = None, None
        self._look(self.workbench.snapshot.runs, self._key, run_id, self._baseline)

    @work(thread=True, group="compare-look")
    def _look(
        self, runs: Sequence[Summary], key: str | None, run_id: str | None, baseline: str | None
    ) -> None:
        self.post_message(self.Looked(self._views.view(runs, key, run_id, baseline)))

    def on_compare_screen_looked(self, message: Looked) -> None:
        """Draws what was read, if it is new."""
        self._looking = False
        if message.view is not self.view or message.view is None:
            self.view = message.view
            self._key = self.view.standing.key if self.view else self._key
            self._draw_view()
        if self._again:
            self._ask_for_view()

    # Drawing

    def _draw_view(self) -> None:
        """Draws the whole view."""
        title = self.query_one("#compare-title", Static)
        self.set_class(self.view is None, "empty")
        if self.view is None:
            title.update(Text(NOTHING))
        else:
            title.update(Text(title_of(self.view)))
            footnotes = Footnotes()
            self.query_one(ResultTable).show(self.view, footnotes)
            lines = [*footnotes.lines, *remarks(self.view), protocol_line(self.view)]
            self.query_one(Notes).show(lines)
            self._watch()
            self._draw_curves()
            self._draw_histogram()
        self.refresh_bindings()

    def _draw_curves(self) -> None:
        view, chart = self.view, self.query_one(Chart)
        if view is None:
            return
        accuracy = view.table["metric"] == "accuracy"
        chart.unit = "percent" if accuracy else "error"
        word = "accuracy" if accuracy else "error"
        if self.axis == "steps":
            chart.title = f"{word.capitalize()} against inner steps, 95 % intervals"
            series, chart.x_label = step_series(view)
            chart.show(series, "" if series else "no results yet")
            return
        chart.title = f"Validation {word} against {'training time' if self.axis == 'time' else 'tasks seen'}"
        chart.x_label = X_LABELS[self.axis]
        series = validation_series(view, self.workbench.snapshot.histories, self.axis)
        chart.show(series, "" if series else "reading the runs")

    def _draw_histogram(self) -> None:
        view, histogram = self.view, self.query_one(Histogram)
        row = self.selected_row
        if view is None or row is None:
            return
        label = plain(row["label"])
        title = f"Difference to {plain(view.baseline)}, episode by episode" if view.baseline else "Difference"
        differences = view.differences.get(row["label"])
        if differences is None:
            histogram.show(None, title, why_no_difference(view, row))
            return
        said = shares_text(label, differences, view.table["higher_is_better"])
        unit = "points" if view.table["metric"] == "accuracy" else view.table["metric"]
        histogram.show(differences, title, said, mark_of(row["algorithm"]).colour, unit)

    def _watch(self) -> None:
        if self.view is not None and self.axis != "steps":
            self.workbench.reader.watch(runs_of(self.view))

    @property
    def selected_row(self) -> Row | None:
        """The table's row under the cursor."""
        return self.view.row(self.query_one(ResultTable).selected) if self.view else None

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """The histogram follows the cursor."""
        self._draw_histogram()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """A click on the selected row opens it."""
        self.action_open_episode()

    def text_to_copy(self) -> str | None:
        """The table as Markdown."""
        from tui.compare.export import exported

        return exported(self.view.table, "md") if self.view else None

    # What the keys do

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys what is impossible now."""
        view = self.view
        possible = {
            "table": view is not None and view.of > 1,
            "stop_tests": self._round is not None,
            "test": view is not None and self._round is None and has_finished(view),
            "open_episode": bool(row["runs"]) if (row := self.selected_row) else False,
        }
        if action in ("baseline", "export"):
            return True if view is not None else None
        return True if possible.get(action, True) else None

    def action_table(self, by: int) -> None:
        """Another task, budget or protocol."""
        if self.view is not None:
            self._key, self._baseline = self.view.keys[(self.view.number + by) % self.view.of], None
            self._ask_for_view()

    def action_baseline(self) -> None:
        """Pairs the rows with another one."""
        if self.view is not None:
            self._baseline = next_baseline(self.view)
            self._ask_for_view()

    def action_axis(self, axis: Axis) -> None:
        """What the curves are drawn against."""
        self.axis = axis
        self._watch()
        self._draw_curves()

    def action_open_episode(self) -> None:
        """One test episode of the selected row."""
        row = self.selected_row
        if row is not None and row["runs"]:
            self.workbench.open_run(row["runs"][0], "episode")

    def action_export(self, kind: str) -> None:
        """The table as text."""
        if self.view is not None:
            self.app.push_screen(ExportScreen(self.view.table, kind))

    def action_test(self) -> None:
        """Tests what is not tested yet, else all rows on more episodes."""
        view = self.view
        if view is None or self._round is not None:
            return
        episodes = None if untested(view) else more_episodes(view, self.selected_row)
        if episodes is None and not untested(view):
            self.workbench.tell("every row is tested on as many episodes as this key asks for")
            return
        if episodes is not None:
            self.workbench.tell(f"testing every row on {episodes:,} episodes")
        self._round = TestRound(view.standing, episodes, self.workbench.data_dir)
        self._carry_out(self._round)
        self.refresh_bindings()

    def action_stop_tests(self) -> None:
        """Ends the tests under way."""
        if self._round is not None:
            self._round.stop()

    @work(thread=True, group="compare-tests")
    def _carry_out(self, tests: TestRound) -> None:
        worker = get_current_worker()
        try:
            said = tests.carry_out(
                lambda now: self.post_message(self.Testing(now)), lambda: worker.is_cancelled
            )
        except (RequestError, OSError) as fault:
            self.post_message(self.Testing(None, str(fault), failed=True))
        else:
            self.post_message(self.Testing(None, said))

    def on_compare_screen_testing(self, message: Testing) -> None:
        """Shows how the tests stand; at their end the table that they make is the one to look at."""
        line = self.query_one("#compare-tests", Static)
        line.display = message.tests is not None
        if message.tests is not None:
            line.update(Text(plain(progress_text(message.tests))))
            return
        if message.failed:
            self.workbench.complain(message.said)
        elif message.said:
            self.workbench.tell(message.said)
        if self._round is not None and not message.failed:
            self._key = self._round.resulting_key
        self._round = None
        self._ask_for_view()
        self.refresh_bindings()
