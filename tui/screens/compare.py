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

from engine.runs import Run
from engine.runs.listing import Summary
from tui.compare.answer import answer
from tui.compare.curves import Axis, has_seeds, runs_of
from tui.compare.drawing import draw_curves, draw_histogram
from tui.compare.export import ExportScreen
from tui.compare.histogram import Histogram
from tui.compare.keys import KEYS
from tui.compare.notes import Notes
from tui.compare.remarks import more_episodes
from tui.compare.result_table import ResultTable
from tui.compare.testing import TestLine, TestRound
from tui.compare.view import Row, View, Views, holds, next_baseline
from tui.compare.words import NOTHING, failed, has_finished, title_of, untested
from tui.keys import place
from tui.reader import in_one_sentence
from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot
from tui.table_notes import Footnotes
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
    CompareScreen #compare-answer { height: auto; padding: 0 1; text-style: bold; }
    CompareScreen #compare-title { height: auto; padding: 0 1; color: $secondary; }
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

        def __init__(self, view: View | None, fault: str = "") -> None:
            super().__init__()
            self.view, self.fault = view, fault

    def __init__(self) -> None:
        super().__init__()
        self.view: View | None = None
        self.axis: Axis = "steps"
        self.each_seed = False
        """Whether validation is drawn of each seed, not the mean of a row's seeds."""
        self._key: str | None = None
        self._focus: str | None = None
        self._baseline: str | None = None
        self._views = Views()
        self._looking, self._again = False, False
        self._runs: object = None
        self._tests = TestLine()
        self._fault = ""
        """What was last said of the reading of the tables."""
        self._asked_again: frozenset[str] = frozenset()
        """The runs, by id, whose failed tests were asked for once more since more episodes were."""

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(id="compare-body", can_focus=False):
            yield Static("", id="compare-answer", markup=False)
            yield Static("", id="compare-title", markup=False)
            yield self._tests
            yield ResultTable(id="compare-table")
            with Container(id="compare-charts"):
                yield Chart("Against inner steps", id="compare-curves")
                yield Histogram(id="compare-histogram")
            yield Notes(id="compare-notes")

    def on_mount(self) -> None:
        self.query_one(ResultTable).focus(scroll_visible=False)
        # Results come without a change in any run, so that no new picture tells of them.
        self.set_interval(LOOK_EVERY, self._look_again)

    def _look_again(self) -> None:
        if self.is_current:
            self._ask_for_view()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width < TWO_CHARTS, "narrow")

    def on_screen_resume(self) -> None:
        # Another run may have been opened meanwhile.
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
        try:
            self.post_message(self.Looked(self._views.view(runs, key, run_id, baseline)))
        except Exception as fault:  # else nothing would be read any more
            self.post_message(self.Looked(self.view, in_one_sentence(fault)))

    def on_compare_screen_looked(self, message: Looked) -> None:
        """Draws what was read, if it is new."""
        self._looking = False
        if message.fault not in ("", self._fault):
            self.workbench.complain(message.fault)
        self._fault = message.fault
        if message.view is not self.view or message.view is None:
            self.view = message.view
            if self.view is not None and not self._again:  # else another table may have been asked for since
                self._key = self.view.standing.key
            self._draw_view()
        if self._again:
            self._ask_for_view()

    # Drawing

    def _draw_view(self) -> None:
        """Draws the whole view."""
        title = self.query_one("#compare-title", Static)
        self.set_class(self.view is None, "empty")
        if self.view is None:
            title.update(Text(NOTHING if self.workbench.snapshot.taken else "looking at the runs folder"))
            self.query_one("#compare-answer", Static).update("")
        else:
            title.update(Text(title_of(self.view)))
            footnotes = Footnotes()
            self.query_one(ResultTable).show(self.view, footnotes)
            self.query_one(Notes).show(self.view, footnotes)
            self._draw_cut()
            self.ask_for_histories()
            self._draw_curves()
            self._draw_row()
            if self.focused is None:
                # A table that was hidden while there was nothing to show has lost the focus.
                self.query_one(ResultTable).focus(scroll_visible=False)
        self.refresh_bindings()

    def draw_anew(self) -> None:
        self._draw_view()

    def _draw_curves(self) -> None:
        if self.view is not None:
            histories = self.workbench.snapshot.histories
            draw_curves(self.query_one(Chart), self.view, self.axis, histories, self.each_seed)

    def _draw_cut(self) -> None:
        """Beside curves by time stand the rows at equal seconds."""
        self.query_one(Notes).show_cut(self.workbench.runs_dir, self.axis == "time")

    def _draw_row(self) -> None:
        """Draws what is said of the selected row."""
        row = self.selected_row
        if self.view is not None and row is not None:
            self.query_one("#compare-answer", Static).update(Text(answer(self.view, row)))
            draw_histogram(self.query_one(Histogram), self.view, row)

    @property
    def runs_to_watch(self) -> Sequence[str] | None:
        return runs_of(self.view) if self.view is not None and self.axis != "steps" else None

    @property
    def selected_row(self) -> Row | None:
        """The table's row under the cursor."""
        return self.view.row(self.query_one(ResultTable).selected) if self.view else None

    @property
    def run_to_read(self) -> Run | None:
        row = self.selected_row
        run = self.workbench.snapshot.run(row["runs"][0]) if row is not None and row["runs"] else None
        return run.run if run is not None else None

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """The sentence and the histogram follow the cursor."""
        self._draw_row()

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
            "stop_tests": self._tests.under_way,
            "test": view is not None and not self._tests.under_way and has_finished(view),
            "seeds": view is not None and self.axis != "steps" and has_seeds(view),
            "log": self.run_to_read is not None,
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
        self.ask_for_histories()
        self._draw_curves()
        self._draw_cut()

    def action_seeds(self) -> None:
        """Each seed a line, or their mean again."""
        self.each_seed = not self.each_seed
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
        """Tests what is not tested yet, and once more what failed; else all rows on more episodes."""
        view = self.view
        if view is None or self._tests.under_way:
            return
        # What fails twice must not keep the others from more episodes; the press after that asks it again.
        again = failed(view) - self._asked_again
        episodes = None if untested(view) or again else more_episodes(view, self.selected_row)
        if episodes is None and not untested(view) and not again:
            self.workbench.tell("every row is tested on as many episodes as this key asks for")
            self._asked_again = frozenset()
            return
        self._asked_again = frozenset() if episodes is not None else self._asked_again | again
        if episodes is not None:
            self.workbench.tell(f"testing every row on {episodes:,} episodes")
        left_alone = view.left_alone.keys() - again
        wanted = TestRound(view.standing, episodes, self.workbench.data_dir, left_alone)
        self._tests.begin(wanted)
        self.refresh_bindings()

    def action_stop_tests(self) -> None:
        """Ends the tests under way."""
        self._tests.stop()

    def on_test_line_ended(self, message: TestLine.Ended) -> None:
        """Says how the tests went; the table that they make is the one to look at."""
        tests, outcome = message.round, message.outcome
        self._views.leave_alone(tests.resulting_key, outcome.faults)
        if outcome.failed:
            self.workbench.complain(outcome.said)
        elif outcome.said:
            self.workbench.tell(outcome.said)
        if outcome.tested:
            self._key = tests.resulting_key
        self._ask_for_view()
        self.refresh_bindings()
