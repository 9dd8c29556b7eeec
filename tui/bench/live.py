"""The middle and right columns: curves of the runs shown, and the inner loop of one of them."""

import time
from collections.abc import Sequence
from typing import Any, ClassVar, TypeGuard

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll

from engine.runs import Summary
from engine.runs.columns import History
from tui.bench.curves import loss_curves, validation_curves
from tui.bench.inner import fan, meta_gain, norm_bars
from tui.bench.layers import has_layers, layer_curves, move_rows, rate_rows
from tui.bench.panel import Panel, Preview
from tui.bench.progress_lines import session_lines
from tui.bench.run_facts import run_facts
from tui.bench.shown import row_marks, row_names
from tui.bench.waves import fit_curves
from tui.charts.series import Series
from tui.keys import Key, place
from tui.marks import mark_of
from tui.output import plain
from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot
from tui.widgets.chart import Chart
from tui.widgets.images import Group, Pictures

TEXT_SECONDS = 0.9
"""Numbers that change faster than this cannot be read."""
PICTURE_SECONDS = 0.4
"""Within this the next picture comes, if there is one."""


def _is_partial(history: History | None) -> TypeGuard[History]:
    return history is not None and history.progress < 1


KEYS = (
    Key("i", "axis('steps')", "By steps", "the curves against iterations", "it is so already", False),
    Key("t", "axis('time')", "By time", "the curves against minutes of training", "it is so already", False),
)


class Curves(Vertical):
    """Validation after adaptation of all runs shown; below it training of one, a fit, or a preview."""

    PLACE = "curves"
    BINDINGS: ClassVar[list[BindingType]] = place(PLACE, KEYS)
    by_time = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greyed where the axis is that one already."""
        return None if action == "axis" and (parameters[0] == "time") == self.by_time else True

    def action_axis(self, axis: str) -> None:
        """The x axis of the curves: iterations or minutes of training."""
        self.by_time = axis == "time"
        for name in ("accuracy", "error", "loss"):
            chart = self.query_one(f"#{name}", Chart)
            chart.x_label = "min of training" if self.by_time else "iterations"
            chart.action_whole()
        self.refresh_bindings()
        if isinstance(self.screen, PlaceScreen):
            self.screen.refresh_picture()

    def compose(self) -> ComposeResult:
        yield Chart(
            "Validation accuracy after adaptation", unit="percent", x_label="iterations", id="accuracy"
        )
        yield Chart("Validation error after adaptation", unit="error", x_label="iterations", id="error")
        yield Chart("Outer loss", unit="loss", x_label="iterations", smoothable=True, id="loss")
        yield Chart("Waves", unit="number", x_label="x", id="waves")
        yield Panel("Task", id="preview")
        with VerticalScroll(id="drawings"):
            yield Pictures(id="pictures")
        with VerticalScroll(id="said"):
            yield Panel("Session", id="session")

    def draw(
        self,
        snapshot: Snapshot,
        runs: Sequence[Summary],
        looked_at: Summary | None,
        preview: Preview | None,
        said: str,
    ) -> None:
        """Draws the picture; `preview` replaces the lower chart, `said` is shown
        before a session is there."""
        error = bool(runs) and runs[0].metric != "accuracy"
        used, other = ("#error", "#accuracy") if error else ("#accuracy", "#error")
        curves, waiting = validation_curves(snapshot, runs, self.by_time)
        task = plain(runs[0].task) if runs else ""
        self.query_one(other, Chart).display = False
        chart = self.query_one(used, Chart)
        chart.display = True
        word = "error" if error else "accuracy"
        chart.names_first = len(curves) > len(runs)  # one run's training beside its validation
        chart.title = f"{word.capitalize() if chart.names_first else f'Validation {word}'} after adaptation"
        whole = (0.0, float(max((summary.status.steps for summary in runs), default=0)))
        note = "; ".join(part for part in (task, waiting) if part) or "no run yet"
        chart.show(curves, note, whole=whole if whole[1] and not self.by_time else None)
        self._lower(snapshot, runs, looked_at, preview)
        lines = Text(said) if said else session_lines(snapshot)
        self.query_one("#said").display = bool(lines.plain)
        self.query_one("#session", Panel).put(lines if lines.plain else None)

    def _lower(
        self,
        snapshot: Snapshot,
        runs: Sequence[Summary],
        looked_at: Summary | None,
        preview: Preview | None,
    ) -> None:
        loss, waves = self.query_one("#loss", Chart), self.query_one("#waves", Chart)
        history = snapshot.histories.get(looked_at.id) if looked_at is not None else None
        shown: Chart | None = loss
        text: Text | None = None
        groups: tuple[Group, ...] = ()
        if preview is not None and preview.text:
            shown, text, groups = None, Text(preview.text), preview.groups
        elif preview is not None:
            shown = waves
            waves.show(preview.curves, preview.title)
        elif history is not None and looked_at is not None:
            name = plain(row_names(runs).get(looked_at.id, looked_at.algorithm))
            mark = row_marks(runs).get(looked_at.id) or mark_of(looked_at.algorithm)
            fit = fit_curves(history.fit, mark.colour, mark.shape) if history.fit else []
            if fit:
                shown = waves
                waves.show(fit, f"{name}, one validation task")
            else:
                steps = float(looked_at.status.steps)
                note = f"{name}, read to {history.progress:.0%}" if _is_partial(history) else name
                whole = (0.0, steps) if steps and not self.by_time else None
                loss.show(loss_curves(history, mark, self.by_time), note, whole=whole)
        else:
            loss.show([])
        loss.display, waves.display = shown is loss, shown is waves
        self._show_preview(text, groups)

    def _show_preview(self, text: Text | None, groups: tuple[Group, ...]) -> None:
        self.query_one("#preview", Panel).put(text)
        drawings, pictures = self.query_one("#drawings"), self.query_one(Pictures)
        drawings.display = bool(groups)
        if groups and pictures.groups is not groups:
            pictures.show(groups)


class Inner(VerticalScroll):
    """The inner loop of one run, by step (fan, meta-gain, meta-gradient) or by layer (learned rates, how far
    layers move), and the run's own figures."""

    wants_layers = False
    """Whether it is to be shown by layer, where the run says anything by layer."""
    can_show_layers = False

    def compose(self) -> ComposeResult:
        fan_chart = Chart("Inner loop, support loss", unit="loss", x_label="inner steps", id="fan")
        fan_chart.names_first = True
        yield fan_chart
        yield Panel("Meta-gain", id="gain")
        yield Panel("Meta-gradient norm by step", id="norms")
        yield Chart("Learned rates", unit="number", x_label="iterations", id="layers")
        yield Panel("Learned rates", id="rates")
        yield Panel("How far layers move", id="moved")
        yield Panel("This run", id="facts")

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._told: tuple[object, ...] = ()
        self._told_at, self._untold, self._waits = 0.0, False, False
        self._latest: tuple[Snapshot, Sequence[Summary], Summary | None, History | None] | None = None

    def draw(self, snapshot: Snapshot, runs: Sequence[Summary], looked_at: Summary | None) -> None:
        """Draws the run that is looked at; its texts at most once a second, while they say the same things of
        the same run in other numbers."""
        history = snapshot.histories.get(looked_at.id) if looked_at is not None else None
        self.can_show_layers = has_layers(history)
        self._draw_chart(looked_at, history)
        state = looked_at and (looked_at.id, looked_at.state, looked_at.status.phase, looked_at.status.error)
        asked = looked_at and snapshot.asked.get(looked_at.id)
        ids = [summary.id for summary in runs]
        about = (state, asked, ids, history is None, self.by_layer, self.size)
        self._latest = snapshot, runs, looked_at, history
        wait = self._told_at + TEXT_SECONDS - time.monotonic()
        if about != self._told or wait <= 0:
            self._told = about
            self._tell()
        else:
            self._untold = True
            self._tell_later()

    def on_resize(self) -> None:
        """What was told fits the width that there was, which is none while the column is out of sight."""
        if self._latest is not None:
            self._tell()

    @property
    def by_layer(self) -> bool:
        """Whether it is shown by layer."""
        return self.wants_layers and self.can_show_layers

    def _draw_chart(self, looked_at: Summary | None, history: History | None) -> None:
        steps, layers = self.query_one("#fan", Chart), self.query_one("#layers", Chart)
        curves: list[Series] = []
        if history is not None and looked_at is not None and self.by_layer:
            layers.title, curves = layer_curves(history, mark_of(looked_at.algorithm).colour)
            whole = (0.0, float(looked_at.status.steps)) if looked_at.status.steps else None
            layers.show(curves, whole=whole)
        elif history is not None and looked_at is not None:
            curves = fan(history, looked_at)
            if curves:
                steps.show(curves)
        layers.display = bool(curves) and self.by_layer
        steps.display = bool(curves) and not self.by_layer

    def _tell_later(self) -> None:
        """A picture may be the last for long: what it says is told all the same, unless the next one is."""
        if not self._waits:
            self._waits = True
            wait = self._told_at + TEXT_SECONDS - time.monotonic()
            self.set_timer(max(0.0, wait) + PICTURE_SECONDS, self._tell_late)

    def _tell_late(self) -> None:
        self._waits = False
        if self._untold and time.monotonic() - self._told_at >= TEXT_SECONDS:
            self._tell()
        elif self._untold:
            self._tell_later()

    def _tell(self) -> None:
        assert self._latest is not None
        snapshot, runs, looked_at, history = self._latest
        self._told_at, self._untold = time.monotonic(), False
        width = max(20, self.scrollable_content_region.width - 4)
        texts: dict[str, Text | None] = {}
        if history is not None and looked_at is not None and self.by_layer:
            width = min(width, self.outer_size.width - 5)  # beside a scrollbar, there or not yet
            colour = mark_of(looked_at.algorithm).colour
            texts = {"rates": rate_rows(history, width, colour), "moved": move_rows(history, width)}
            at = f"iteration {int(history.train_step[-1]):,}"
            for name in texts:
                self.query_one(f"#{name}", Panel).border_subtitle = at
        elif history is not None and looked_at is not None:
            texts = {"gain": meta_gain(history, looked_at.metric, width), "norms": norm_bars(history, width)}
        for name in ("gain", "norms", "rates", "moved"):
            self.query_one(f"#{name}", Panel).put(texts.get(name))
        self.query_one("#facts", Panel).put(self._facts(snapshot, runs, looked_at, history))

    def _facts(
        self,
        snapshot: Snapshot,
        runs: Sequence[Summary],
        looked_at: Summary | None,
        history: History | None,
    ) -> Text:
        if looked_at is None:
            return Text("no run yet")
        text = Text(f"reading its events: {history.progress:.0%}\n" if _is_partial(history) else "")
        text.append_text(run_facts(snapshot, looked_at, history, row_marks(runs).get(looked_at.id)))
        if len(runs) > 1:
            place = [summary.id for summary in runs].index(looked_at.id) + 1
            text.append(f"\nrun {place} of {len(runs)}; o shows the next", style="dim")
        return text
