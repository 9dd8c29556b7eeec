"""A run played back from what it recorded, at a chosen speed."""

import time
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static
from textual.worker import get_current_worker

from engine.runs import Run, Summary
from tui.charts.ticks import Unit
from tui.keys import Key, place
from tui.numbers import count, duration, metric_value
from tui.output import cells, plain
from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot
from tui.views import value_text
from tui.widgets.chart import Chart

if TYPE_CHECKING:
    from tui.runs.playback import Playback

NOTHING = "nothing was recorded that could be played"
KEYS = (
    Key("space", "play", "Play or pause", "let it run, or hold it", NOTHING),
    Key(
        "w",
        "inner",
        "Inner loop",
        "the inner loop, and a sine task's fit, in the place of the outer one, or back",
        "no inner steps or fits were recorded, or there is room for both",
    ),
    Key("left", "seek(-0.05)", "Back", "a twentieth back", NOTHING),
    Key("right", "seek(0.05)", "On", "a twentieth on", NOTHING),
    Key("plus,equals_sign", "speed(1)", "Faster", "up to 1,000 times as fast as it was", NOTHING),
    Key("minus", "speed(-1)", "Slower", "down to the speed that it had", NOTHING),
    Key("0,home", "start", "Start", "to the beginning", NOTHING),
    Key("end", "finish", "End", "to the end", NOTHING, in_footer=False),
    Key("escape", "back", "Back", "to the runs"),
)
FRAME_SECONDS = 0.1


WIDE = 110
"""Columns from which the inner loop stands beside the outer one."""


class ReplayScreen(PlaceScreen):
    """Validation and outer loss up to the play head, with its iteration and training time. Where they were
    recorded the inner loop and the fit of a sine task stand beside, or in the same place by a key."""

    PLACE = "replay"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = place(PLACE, KEYS)
    DEFAULT_CSS = """
    ReplayScreen #heading { height: 1; color: $secondary; text-wrap: nowrap; text-overflow: ellipsis; }
    ReplayScreen #outer { width: 2fr; }
    ReplayScreen #inner { width: 1fr; margin: 0 0 0 1; display: none; }
    ReplayScreen #gain { height: auto; margin: 1 0; }
    ReplayScreen #bar { height: 1; color: $primary; }
    ReplayScreen #values { height: 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, run: Run, metric: str = "accuracy") -> None:
        super().__init__()
        self.run_shown = run
        self.summary: Summary | None = None
        self.metric = metric
        self.playback: Playback | None = None
        self.head, self.speed, self.playing = 0.0, 1, False
        self._last = 0.0
        self._drawn: tuple[int, int] | None = None
        self._has_inner, self._inner_alone = False, False

    def compose_body(self) -> ComposeResult:
        percent = self.metric == "accuracy"
        title = "Validation accuracy after adaptation" if percent else "Validation error after adaptation"
        yield Static("", id="heading")
        with Horizontal():
            with Vertical(id="outer"):
                unit: Unit = "percent" if percent else "error"
                yield Chart(title, unit=unit, x_label="iterations", id="validation")
                yield Chart("Outer loss", unit="loss", x_label="iterations", smoothable=True, id="loss")
            with Vertical(id="inner"):
                fan_chart = Chart("Inner loop, support loss", unit="loss", x_label="inner steps", id="fan")
                fan_chart.names_first = True
                yield fan_chart
                yield Static("", id="gain")
                yield Chart("One validation task", unit="number", x_label="x", id="fit")
        yield Static("", id="bar")
        yield Static("", id="values")

    def on_mount(self) -> None:
        self._say("reading what the run recorded")
        self._read()
        self.set_interval(FRAME_SECONDS, self._frame)

    def draw(self, snapshot: Snapshot) -> None:
        """Only the name stands in the picture; what is played was read once."""
        self._draw_heading()

    @work(thread=True, exclusive=True, group="read")
    def _read(self) -> None:
        from engine.runs import summarise
        from engine.runs.columns import HistoryReader
        from tui.runs.playback import Playback

        worker, reader = get_current_worker(), HistoryReader(self.run_shown)
        history, before = reader.read(), -1.0
        while history.progress < 1 and history.progress > before and not worker.is_cancelled:
            before = history.progress
            self.app.call_from_thread(self._say, f"reading what the run recorded: {history.progress:.0%}")
            history = reader.read()
        self.app.call_from_thread(self._have_read, summarise(self.run_shown), Playback(history))

    def _have_read(self, summary: Summary, playback: "Playback") -> None:
        if not self.is_attached:
            return
        self.summary, self.playback = summary, playback
        self.speed, self.playing = playback.first_speed(), playback.length > 0
        has_loops = bool(playback.inner_loops(summary.algorithm, playback.length))
        has_fits = bool(playback.fit(summary.algorithm, playback.length))
        self._has_inner = has_loops or has_fits
        for name, is_shown in (("#fan", has_loops), ("#gain", has_loops), ("#fit", has_fits)):
            self.query_one(name).display = is_shown
        self._last = time.monotonic()
        self._draw_heading()
        if playback.length:
            self._show_head()
        else:
            self._say(NOTHING)
        self.refresh_bindings()

    def _frame(self) -> None:
        """Moves the head by the time that has gone by."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        if self.playback is None or not self.playing or not self.is_current:
            return
        self._move_to(self.head + passed * self.speed)
        if self.head >= self.playback.length:
            self.playing = False
            self._show_head()

    def _move_to(self, head: float) -> None:
        assert self.playback is not None
        self.head = min(max(0.0, head), self.playback.length)
        self._show_head()

    def _show_head(self) -> None:
        playback = self.playback
        assert playback is not None
        reached = playback.trained(self.head), playback.validated(self.head)
        if reached != self._drawn:
            self._drawn = reached
            name = plain(self.summary.algorithm if self.summary else "") or "run"
            history = playback.history
            last = max((*history.train_step[-1:].tolist(), *history.validation_step[-1:].tolist(), 1.0))
            validation = self.query_one("#validation", Chart)
            validation.show(playback.validation_series(name, self.head), whole=(0.0, last))
            self.query_one("#loss", Chart).show(playback.loss_series(name, self.head), whole=(0.0, last))
            self._draw_inner(playback)
        self._draw_lines(playback)

    def _draw_inner(self, playback: "Playback") -> None:
        """The inner loop at the play head, with room for it from the first on where there is one."""
        algorithm = self.summary.algorithm if self.summary else ""
        inner, is_wide = self.query_one("#inner"), self.size.width >= WIDE
        inner.display = self._has_inner and (is_wide or self._inner_alone)
        self.query_one("#outer").display = is_wide or not inner.display
        if inner.display:
            self.query_one("#fan", Chart).show(playback.inner_loops(algorithm, self.head))
            self.query_one("#fit", Chart).show(playback.fit(algorithm, self.head))
            width = self.size.width // 3 if is_wide else self.size.width
            gain = playback.gain(self.metric, self.head, max(1, width - 2))
            self.query_one("#gain", Static).update(gain or "")

    def on_resize(self) -> None:
        if self.playback is not None and self.playback.length:
            self._drawn = None
            self._show_head()
            self.refresh_bindings()

    def _draw_lines(self, playback: "Playback") -> None:
        width = max(1, self.size.width)
        done = round(self.head / playback.length * width) if playback.length else 0
        self.query_one("#bar", Static).update(Text("━" * done + "─" * (width - done)))
        steps = self.summary.status.steps if self.summary else 0
        loss, before, after = playback.values(self.head)
        parts = [
            f"{'▶' if self.playing else '‖'} ×{count(self.speed)}",
            f"iteration {count(playback.iteration(self.head))}{f' of {count(steps)}' if steps else ''}",
            f"{duration(self.head)} of {duration(playback.length)}",
        ]
        parts += [f"outer loss {metric_value(loss, 'loss')}"] if loss is not None else []
        arrow = f"{value_text(before, self.metric)} → " if before is not None else ""
        parts += [f"{arrow}{value_text(after, self.metric)}"] if after is not None else []
        while len(parts) > 3 and cells("   ".join(parts)) > width:
            parts.pop(-2 if len(parts) > 4 else -1)
        self._say("   ".join(parts))

    def _say(self, text: str) -> None:
        if self.is_attached:
            self.query_one("#values", Static).update(Text(text))

    def _draw_heading(self) -> None:
        run = self.summary
        about = f"  {run.algorithm} on {run.task}, seed {run.seed}" if run else ""
        text = Text(plain(f"Replay  {self.run_shown.id}{about}"))
        self.query_one("#heading", Static).update(text)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """None, greyed, until there is something to play."""
        if action in ("play", "seek", "speed", "start", "finish"):
            return (self.playback is not None and self.playback.length > 0) or None
        if action == "inner":
            return (self._has_inner and self.size.width < WIDE) or None
        return True

    def action_play(self) -> None:
        """Plays, from the beginning where it had come to the end; or holds."""
        assert self.playback is not None
        self.playing = not self.playing
        if self.playing and self.head >= self.playback.length:
            self.head = 0.0
        self._show_head()

    def action_seek(self, share: float) -> None:
        """Some part of the run on or back."""
        assert self.playback is not None
        self._move_to(self.head + share * self.playback.length)

    def action_speed(self, places: int) -> None:
        """Faster or slower."""
        from tui.runs.playback import SPEEDS

        index = SPEEDS.index(self.speed) + places
        self.speed = SPEEDS[min(max(0, index), len(SPEEDS) - 1)]
        self._show_head()

    def action_start(self) -> None:
        """To the beginning."""
        self._move_to(0.0)

    def action_finish(self) -> None:
        """To the end."""
        assert self.playback is not None
        self._move_to(self.playback.length)

    def action_inner(self) -> None:
        """The inner loop in the place of the outer one, or the other way round."""
        self._inner_alone = not self._inner_alone
        self._drawn = None
        self._show_head()

    def action_back(self) -> None:
        """Leaves."""
        self.dismiss(None)
