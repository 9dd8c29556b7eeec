"""The episode screen: one test task under the microscope, adaptation step by step."""

from random import randrange

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from tui.charts.series import Series
from tui.episode import drawing, texts
from tui.episode.answers import Adapted, CurveEpisode, ImageEpisode
from tui.episode.asking import Told, ask
from tui.episode.choosing import Pair, next_algorithm, pair
from tui.episode.keys import KEYS
from tui.keys import place
from tui.output import plain
from tui.screens.base import PlaceScreen
from tui.snapshot import Snapshot
from tui.widgets.chart import Chart
from tui.widgets.images import Pictures

PLAY_SECONDS = 0.7
TWO_CHARTS = 110
NO_RUNS = "There is no finished run yet. On 1, enter starts one; its test tasks can be looked at here then."


class EpisodeScreen(PlaceScreen):
    """One episode, under the run in focus and under the baseline."""

    PLACE = "episode"
    BINDINGS = place("episode", KEYS)
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    EpisodeScreen #episode-head, EpisodeScreen #episode-film, EpisodeScreen #episode-wait { height: auto; }
    EpisodeScreen #episode-wait { color: $warning; }
    EpisodeScreen #episode-go { height: 3; display: none; }
    EpisodeScreen #episode-body { height: 1fr; }
    EpisodeScreen #episode-main { width: 3fr; }
    EpisodeScreen #episode-charts { height: 1fr; }
    EpisodeScreen #episode-side { width: 2fr; padding: 0 0 0 1; }
    EpisodeScreen #episode-side Static { margin: 0 0 1 0; }
    EpisodeScreen.-narrow #episode-body { layout: vertical; }
    EpisodeScreen.-narrow #episode-main { width: 1fr; height: 1fr; }
    EpisodeScreen.-narrow #episode-side { width: 1fr; height: 9; padding: 0; }
    EpisodeScreen Chart { width: 1fr; height: 1fr; }
    """

    class Heard(Message):
        """Something is known of an answer; `asked` is which asking it belongs to."""

        def __init__(self, asked: int, told: Told) -> None:
            super().__init__()
            self.asked, self.told = asked, told

    def __init__(self) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (TWO_CHARTS, "-wide")]
        self.pair: Pair | None = None
        self.number, self.episodes = 0, 0
        self.step = self.query_at = 0
        self.hardest: tuple[int, ...] = ()
        self._picked: str | None = None
        self._picked_under: str | None = None
        self._asked = 0
        self._told: dict[str, Told] = {}
        self._shown: dict[str, ImageEpisode | CurveEpisode] = {}
        self._player: Timer | None = None

    def compose_body(self) -> ComposeResult:
        yield Static("", id="episode-head", markup=False)
        yield Static("", id="episode-film", markup=False)
        yield Static("", id="episode-wait", markup=False)
        yield Input(id="episode-go", type="integer", placeholder="episode number")
        with Horizontal(id="episode-body"):
            with VerticalScroll(id="episode-main", can_focus=False):
                yield Pictures(id="episode-pictures")
                with Horizontal(id="episode-charts"):
                    yield Chart("Adaptation", x_label="x", id="episode-chart")
                    yield Chart("Baseline", x_label="x", id="episode-chart-baseline")
            with VerticalScroll(id="episode-side", can_focus=False):
                for name in ("query", "confusion", "layers", "classes"):
                    yield Static("", id=f"episode-{name}", markup=False)

    def on_mount(self) -> None:
        self.query_one("#episode-body").display = False
        super().on_mount()

    # What is asked.

    def draw(self, snapshot: Snapshot) -> None:
        """Asks anew when the runs to look at are others than before."""
        focus = self.workbench.run_in_focus
        if focus != self._picked_under:
            self._picked, self._picked_under = None, focus
        found = pair(snapshot, self._picked or focus)
        if found is None:
            self.pair = None
            self._wait(NO_RUNS)
            return
        if self.pair is None or found.ids != self.pair.ids:
            other_task = self.pair is None or found.focus.task != self.pair.focus.task
            self.pair, self.hardest = found, ()
            self.go_to(0 if other_task else self.number)

    def go_to(self, number: int) -> None:
        """Asks for an episode of the test part; what is shown stays until the answer is there."""
        if self.pair is not None:
            self.number = number % self.episodes if self.episodes else number
            self._asked += 1
            self._told = {}
            self._ask(self.pair, self.number, self._asked)
            self._say_waiting()

    @work(thread=True, exclusive=True, group="episode")
    def _ask(self, asked: Pair, number: int, serial: int) -> None:
        runs = [summary.run for summary in asked.runs]
        worker = get_current_worker()

        def tell(told: Told) -> None:
            self.post_message(self.Heard(serial, told))

        ask(runs, number, self.workbench.data_dir, tell, lambda: worker.is_cancelled)

    def on_episode_screen_heard(self, message: Heard) -> None:
        """Takes up an answer, or says what is being done for it."""
        told = message.told
        if message.asked != self._asked or self.pair is None:
            return
        self._told[told.run_id] = told
        if told.run_id == self.pair.focus.id:
            self.hardest, self.episodes = told.hardest, told.episodes or self.episodes
        if told.answer is not None:
            first = not self._shown
            self._shown = {
                run_id: shown
                for run_id, shown in self._shown.items()
                if run_id in self.pair.ids and shown.number == told.number
            }
            self._shown[told.run_id] = told.answer
            if told.run_id == self.pair.focus.id and (first or self.step not in self._steps()):
                self.step = told.answer.steps[told.answer.after]
            self._draw_episode()
        self._say_waiting()
        self.refresh_bindings()

    # What is shown.

    def _list(self) -> list[ImageEpisode | CurveEpisode]:
        ids = self.pair.ids if self.pair is not None else ()
        found = [self._shown[run_id] for run_id in ids if run_id in self._shown]
        return [each for each in found if type(each) is type(found[0])]

    def _steps(self) -> list[int]:
        return sorted({step for shown in self._list() for step in shown.steps})

    def _say_waiting(self) -> None:
        lines = []
        for summary in self.pair.runs if self.pair is not None else ():
            told = self._told.get(summary.id)
            if told is None or told.phase:
                words = told.phase if told is not None else "asking"
                lines.append(f"{summary.algorithm}, episode {self.number + 1:,}: {words}")
            elif told.error is not None:
                lines.append(f"{summary.algorithm}, episode {self.number + 1:,}: {told.error}")
        self._wait("\n".join(lines))

    def _wait(self, text: str) -> None:
        waiting = self.query_one("#episode-wait", Static)
        waiting.update(plain_lines(text))
        waiting.display = bool(text)

    def _draw_episode(self) -> None:
        shown = self._list()
        if not shown:
            return
        self.query_one("#episode-body").display = True
        total = max(self.episodes, shown[0].number + 1)
        self._say("head", texts.heading(shown[0].number, total, shown[0].task, shown))
        images = [each for each in shown if isinstance(each, ImageEpisode)]
        curves = [each for each in shown if isinstance(each, CurveEpisode)]
        self.query_one(Pictures).display = bool(images)
        self.query_one("#episode-charts").display = bool(curves)
        self._draw_step(images, curves)

    def _draw_step(self, images: list[ImageEpisode], curves: list[CurveEpisode]) -> None:
        shown: list[Adapted] = [*images, *curves]
        self._say("film", texts.filmstrip(shown, self.step, self.size.width))
        side = self.query_one("#episode-side").content_size.width or self.size.width * 2 // 5
        self._say("layers", texts.layers(shown, self.step, side))
        if images:
            self.query_at = min(self.query_at, len(images[0].query_labels) - 1)
            self._say("query", texts.query_lines(images, self.query_at, self.step, side))
            confused = Text("\n").join(texts.confusion(each, self.step) for each in images)
            self._say("confusion", confused)
            self._say("classes", texts.names_line(images[0]))
            self.query_one(Pictures).show(drawing.groups(images, self.step, self.query_at))
        for name in ("query", "confusion", "classes"):
            self.query_one(f"#episode-{name}").display = bool(images)
        if curves:
            self._draw_curves(curves)

    def _draw_curves(self, curves: list[CurveEpisode]) -> None:
        first, other = curves[0], curves[1] if len(curves) > 1 else None
        beside = other is not None and self.size.width >= TWO_CHARTS
        chart, baseline = (
            self.query_one("#episode-chart", Chart),
            self.query_one("#episode-chart-baseline", Chart),
        )
        self._chart(chart, first, drawing.curve_series(first, self.step, None if beside else other))
        baseline.display = beside
        if other is not None and beside:
            self._chart(baseline, other, drawing.curve_series(other, self.step))

    def _chart(self, chart: Chart, episode: CurveEpisode, series: list[Series]) -> None:
        at = episode.at(self.step)
        chart.title = plain(episode.algorithm)
        chart.show(series, f"error {texts.figure(episode, at)} after {episode.steps[at]}")

    def _say(self, name: str, text: Text) -> None:
        self.query_one(f"#episode-{name}", Static).update(text)

    def _redraw(self) -> None:
        shown = self._list()
        images = [each for each in shown if isinstance(each, ImageEpisode)]
        curves = [each for each in shown if isinstance(each, CurveEpisode)]
        if shown:
            self._draw_step(images, curves)
        self.refresh_bindings()

    def on_resize(self) -> None:
        self.call_after_refresh(self._redraw)

    def text_to_copy(self) -> str:
        """The episode's figures as text."""
        shown = self._list()
        if not shown:
            return ""
        head = texts.heading(shown[0].number, max(self.episodes, 1), shown[0].task, shown)
        return f"{head.plain}\n{texts.filmstrip(shown, self.step, 10_000).plain}"

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys what is impossible now."""
        if action in ("step", "play"):
            return True if len(self._steps()) > 1 else None
        if action in ("episode", "random", "ask_number"):
            return True if self.pair is not None else None
        if action == "hardest":
            return True if self.hardest else None
        if action == "pick_query":
            return True if any(isinstance(each, ImageEpisode) for each in self._list()) else None
        if action == "algorithm":
            return True if self._next_algorithm() is not None else None
        return True

    def action_step(self, by: int) -> None:
        """To another recorded inner step; playing ends."""
        self._stop()
        self._move(by)

    def _move(self, by: int) -> bool:
        steps = self._steps()
        if not steps:
            return False
        at = max((place for place, step in enumerate(steps) if step <= self.step), default=0)
        to = max(0, min(len(steps) - 1, at + by))
        self.step = steps[to]
        self._redraw()
        return to != at

    def action_play(self) -> None:
        """Plays the steps from here, or from the first when at the last."""
        if self._player is not None:
            self._stop()
            return
        steps = self._steps()
        if steps and self.step == steps[-1]:
            self.step = steps[0]
            self._redraw()
        self._player = self.set_interval(PLAY_SECONDS, self._play_on)

    def _play_on(self) -> None:
        if not self._move(1):
            self._stop()

    def _stop(self) -> None:
        if self._player is not None:
            self._player.stop()
            self._player = None

    def action_episode(self, by: int) -> None:
        """The next or the previous episode."""
        self.go_to(self.number + by)

    def action_hardest(self) -> None:
        """The episode with the worst result after adaptation; again: the next worst."""
        at = self.hardest.index(self.number) if self.number in self.hardest else -1
        again = at >= 0 and self._last_hard == self.number
        self.go_to(self.hardest[(at + 1) % len(self.hardest) if again else 0])
        self._last_hard = self.number

    _last_hard: int | None = None

    def action_random(self) -> None:
        """Any episode."""
        self.go_to(randrange(self.episodes or 600))

    def action_ask_number(self) -> None:
        """Opens the line for an episode's number."""
        line = self.query_one("#episode-go", Input)
        line.placeholder = f"episode 1 to {self.episodes:,}" if self.episodes else "episode number"
        line.value, line.display = "", True
        line.focus()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Goes to the number that was written."""
        number = int(message.value) if message.value.isdigit() else 0
        self.action_close_line()
        if number >= 1:
            self.go_to(min(number, self.episodes or number) - 1)

    def action_close_line(self) -> None:
        """Puts the line away."""
        self.query_one("#episode-go").display = False
        self.set_focus(None)

    def action_pick_query(self, by: int) -> None:
        """The next or the previous query."""
        images = [each for each in self._list() if isinstance(each, ImageEpisode)]
        order = sorted(range(len(images[0].query_labels)), key=images[0].query_labels.__getitem__)
        self.query_at = order[(order.index(self.query_at) + by) % len(order)]
        self._redraw()
        picture = images[0].query_images[self.query_at]
        pictures = self.query_one(Pictures)
        main = self.query_one("#episode-main", VerticalScroll)
        main.scroll_to(y=max(0, pictures.line_of(picture) - 2), animate=False)

    def action_scroll_body(self, by: int) -> None:
        """Scrolls what does not fit."""
        for name in ("#episode-main", "#episode-side"):
            panel = self.query_one(name, VerticalScroll)
            panel.scroll_relative(y=by * max(1, panel.size.height - 2), animate=False)

    def action_algorithm(self) -> None:
        """The next algorithm that this task was learned by."""
        found = self._next_algorithm()
        if found is not None:
            self._picked = found
            self.draw(self.workbench.snapshot)

    def _next_algorithm(self) -> str | None:
        return next_algorithm(self.workbench.snapshot, self.pair.focus) if self.pair is not None else None


def plain_lines(text: str) -> str:
    """Lines of text without control characters."""
    return "\n".join(plain(line) for line in text.split("\n"))
