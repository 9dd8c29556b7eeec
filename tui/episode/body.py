"""What the episode screen shows of an answer: figures by step, images or curves, and what adaptation did."""

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.geometry import Region
from textual.widgets import Static

from tui.charts.series import Series
from tui.episode import drawing, texts
from tui.episode.answers import Adapted, CurveEpisode, ImageEpisode
from tui.output import plain
from tui.widgets.chart import Chart
from tui.widgets.images import Pictures

TWO_CHARTS = 110
"""From this width on the panels stand beside each other, and the baseline has a chart of its own."""
LONG_LABELS = 170
"""From this width on two charts have room for the long labels of their curves."""

Shown = ImageEpisode | CurveEpisode


class EpisodeBody(Vertical):
    """One episode as the run in focus, and after it the baseline, adapts to it."""

    DEFAULT_CSS = """
    EpisodeBody #episode-head, EpisodeBody #episode-film { height: auto; }
    EpisodeBody #episode-mean { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    EpisodeBody #episode-panels { height: 1fr; }
    EpisodeBody #episode-main { width: 3fr; }
    EpisodeBody #episode-charts { height: 1fr; }
    EpisodeBody #episode-side { width: 2fr; padding: 0 0 0 1; }
    EpisodeBody #episode-side Static { margin: 0 0 1 0; }
    EpisodeBody Chart { width: 1fr; height: 1fr; }
    EpisodeBody #episode-chart-baseline { margin: 0 0 0 1; }
    EpisodeBody.-narrow #episode-panels { layout: vertical; }
    EpisodeBody.-narrow #episode-main { width: 1fr; height: 1fr; }
    EpisodeBody.-narrow #episode-side { width: 1fr; height: 9; padding: 0; }
    EpisodeBody.-narrow.-curves #episode-side { height: 5; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.shown: Sequence[Shown] = ()
        self.step = self.query_at = self.episodes = 0

    def compose(self) -> ComposeResult:
        yield Static("", id="episode-head", markup=False)
        yield Static("", id="episode-film", markup=False)
        yield Static("", id="episode-mean", markup=False)
        with Horizontal(id="episode-panels"):
            with VerticalScroll(id="episode-main", can_focus=False):
                yield Pictures(id="episode-pictures")
                with Horizontal(id="episode-charts"):
                    yield Chart("Adaptation", x_label="x", id="episode-chart")
                    yield Chart("Baseline", x_label="x", id="episode-chart-baseline")
            with VerticalScroll(id="episode-side", can_focus=False):
                for name in ("query", "confusion", "layers", "classes"):
                    yield Static("", id=f"episode-{name}", markup=False)

    @property
    def images(self) -> list[ImageEpisode]:
        """What is shown, where it is of images."""
        return [each for each in self.shown if isinstance(each, ImageEpisode)]

    @property
    def curves(self) -> list[CurveEpisode]:
        """What is shown, where it is of curves."""
        return [each for each in self.shown if isinstance(each, CurveEpisode)]

    def show(self, shown: Sequence[Shown], step: int, episodes: int) -> None:
        """Draws these answers, all to the same episode, after `step` inner steps."""
        self.shown, self.step, self.episodes = shown, step, episodes
        self.set_class(bool(self.curves), "-curves")
        self.set_class(self.whole_width < TWO_CHARTS, "-narrow")
        self.draw()

    @property
    def whole_width(self) -> int:
        """The screen's width, which is known before anything is laid out."""
        return self.screen.size.width

    def on_resize(self) -> None:
        """What is drawn depends on the panels' widths, which are known after the layout."""
        self.set_class(self.whole_width < TWO_CHARTS, "-narrow")
        self.call_after_refresh(self.draw)

    def draw(self) -> None:
        """Draws what is shown at the present step."""
        if not self.shown:
            return
        first, width = self.shown[0], self.whole_width
        total = max(self.episodes, first.number + 1)
        self._say("head", texts.heading(first.number, total, self.shown, width))
        self._say("film", texts.filmstrip(self.shown, self.step, width))
        # As wide as it is beside a scroll bar, whether there is one or not yet.
        side = max(20, self.query_one("#episode-side").size.width - 3)
        self._say("layers", texts.layers(self.shown, self.step, side))
        images, curves = self.images, self.curves
        mean = texts.from_mean(curves)
        self._say("mean", mean)
        self.query_one("#episode-mean").display = bool(mean)
        self.query_one(Pictures).display = bool(images)
        self.query_one("#episode-charts").display = bool(curves)
        for name in ("query", "confusion", "classes"):
            self.query_one(f"#episode-{name}").display = bool(images)
        if images:
            self._draw_images(images, side)
        if curves:
            self._draw_curves(curves)

    def _draw_images(self, images: list[ImageEpisode], side: int) -> None:
        self.query_at = min(self.query_at, len(images[0].query_labels) - 1)
        self._say("query", texts.query_lines(images, self.query_at, self.step, side))
        self._say("confusion", Text("\n").join(texts.confusion(each, self.step) for each in images))
        self._say("classes", texts.names_line(images[0]))
        self.query_one(Pictures).show(drawing.groups(images, self.step, self.query_at))

    def _draw_curves(self, curves: list[CurveEpisode]) -> None:
        first, other = curves[0], curves[1] if len(curves) > 1 else None
        beside = other is not None and self.whole_width >= TWO_CHARTS
        short = beside and self.whole_width < LONG_LABELS
        chart = self.query_one("#episode-chart", Chart)
        baseline = self.query_one("#episode-chart-baseline", Chart)
        # Of two charts the first names what both have, and the line over them says whose mean it is.
        means = ("mean", "" if short else "mean") if beside else ("family's mean", "")
        series = drawing.curve_series(
            first, self.step, None if beside else other, short=short, mean_label=means[0]
        )
        self._chart(chart, first, series)
        baseline.display = beside
        if other is not None and beside:
            series = drawing.curve_series(other, self.step, short=short, mean_label=means[1])
            self._chart(baseline, other, series)

    def _chart(self, chart: Chart, episode: CurveEpisode, series: list[Series]) -> None:
        # Its error stands above; the line over a chart has just room for the names of its curves.
        chart.title = plain(episode.algorithm)
        chart.show(series)

    def _say(self, name: str, text: Text) -> None:
        self.query_one(f"#episode-{name}", Static).update(text)

    def pick_query(self, by: int) -> None:
        """The next or the previous query, in the order in which they are drawn."""
        first = self.images[0]
        order = sorted(range(len(first.query_labels)), key=first.query_labels.__getitem__)
        self.query_at = order[(order.index(self.query_at) + by) % len(order)]
        self.draw()
        begin, end = self.query_one(Pictures).lines_of(first.query_images[self.query_at])
        main = self.query_one("#episode-main", VerticalScroll)
        main.scroll_to_region(Region(0, begin, 1, end - begin), animate=False)

    def scroll_panels(self, by: int) -> None:
        """Scrolls what does not fit, by a panel's height."""
        for name in ("#episode-main", "#episode-side"):
            panel = self.query_one(name, VerticalScroll)
            panel.scroll_relative(y=by * max(1, panel.size.height - 2), animate=False)

    def as_text(self) -> str:
        """The figures as text, to be copied."""
        if not self.shown:
            return ""
        shown: Sequence[Adapted] = self.shown
        head = texts.heading(shown[0].number, max(self.episodes, shown[0].number + 1), shown, 10_000)
        lines = [head, texts.filmstrip(shown, self.step, 10_000), texts.from_mean(self.curves)]
        return "\n".join(line.plain for line in lines if line)
