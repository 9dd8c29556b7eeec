"""The chart widget: its keys, what it says, what it copies, and that only changed cells are drawn again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.color import Color
from textual.geometry import Region
from textual.pilot import Pilot

from tui.bench.inner import fan_of
from tui.charts import rendering
from tui.charts.series import Series
from tui.themes import THEMES
from tui.widgets.chart import CHART_KEYS, Chart


class Bench(App[None]):
    """One chart."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.options = options
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "kshot-dark"

    def compose(self) -> ComposeResult:
        yield Chart("Outer loss", unit="loss", x_label="its", **self.options)  # type: ignore[arg-type]


def check(
    steps: Callable[[Pilot[None], Chart], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
    **options: object,
) -> None:
    """Runs the steps against a chart on a screen of that size."""

    async def run() -> None:
        app = Bench(**options)
        async with app.run_test(size=size) as pilot:
            app.query_one(Chart).focus()
            await pilot.pause()
            await steps(pilot, app.query_one(Chart))

    asyncio.run(run())


def screen(chart: Chart) -> list[str]:
    return [chart.render_line(row).text for row in range(chart.size.height)]


def curve(count: int = 1000, name: str = "maml", **more: object) -> Series:
    x = np.arange(1, count + 1.0)
    options: dict[str, object] = {"colour": "#00afff", "shape": "◆", **more}
    return Series(name, x, 2 * np.exp(-x / 300) + 0.1, **options)  # type: ignore[arg-type]


def ticks_below(chart: Chart) -> str:
    return screen(chart)[-1]


def test_nothing_recorded_is_said_and_never_blank() -> None:
    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        assert any("no losses recorded yet" in row for row in screen(chart))
        assert screen(chart)[0].startswith("Outer loss")
        chart.show([Series("a", np.arange(3.0), np.full(3, np.nan), "#ffffff")])
        assert any("no finite values so far" in row for row in screen(chart))
        chart.show([Series("a", np.arange(3.0), np.array([-1.0, -2, -3]), "#ffffff")])
        assert chart.check_action("log", ()) is None
        assert chart.text_to_copy().text.splitlines() == ["its\ta", "0\t-1", "1\t-2", "2\t-3"]
        chart.show([])
        assert chart.text_to_copy().text == "" and any("no losses" in row for row in screen(chart))

    check(steps)


def test_heading_axes_and_shape_are_shown() -> None:
    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve(), curve(name="fomaml", shape="▲")], "0.17")
        rows = screen(chart)
        assert rows[0].startswith("Outer loss  ◆ maml  ▲ fomaml") and rows[0].endswith("0.17")
        assert any("2.0┤" in row for row in rows) and "└0──" in rows[-1] and rows[-1].endswith("its")
        assert all(len(row) == chart.size.width for row in rows)
        assert any("▲" in row for row in rows[1:])

    check(steps)


def test_with_the_focus_every_name_is_there() -> None:
    names = [f"maml seed {number} 95.1 ± 0.5" for number in range(6)]

    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve(name=name) for name in names], "omniglot-5way-1shot")
        rows = screen(chart)
        assert all(any(name in row for row in rows[:3]) for name in names) and "│" in rows[3]
        assert all(len(row) == chart.size.width for row in rows) and "its" in rows[-1]
        pilot.app.set_focus(None)
        await pilot.pause()
        rows = screen(chart)
        assert "mam…" in rows[0] and "│" in rows[1] and "its" in rows[-1]

    check(steps, size=(80, 12))


def test_log_scale_and_back() -> None:
    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve()])
        linear = screen(chart)
        await pilot.press("l")
        assert any("0.5┤" in row for row in screen(chart)) and "log" in screen(chart)[0]
        await pilot.press("l")
        assert screen(chart) == linear

    check(steps)


def test_zoom_pan_and_the_whole() -> None:
    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve()])
        whole = screen(chart)
        assert chart.check_action("pan", (0.25,)) is None and chart.check_action("whole", ()) is None
        await pilot.press("right", "0", "minus")
        assert screen(chart) == whole
        await pilot.press("z")
        assert "900" in ticks_below(chart) and "200" not in ticks_below(chart)
        assert "zoom 4×" in screen(chart)[0]
        await pilot.press("left", "left", "left", "left")
        assert "600" in ticks_below(chart) and "900" not in ticks_below(chart)
        await pilot.press("right", "right", "right", "right")
        assert chart.window.end is None
        await pilot.press("plus")
        assert chart.window.factor == 8
        await pilot.press("minus", "minus", "minus")
        assert screen(chart) == whole
        await pilot.press("plus", "0")
        assert screen(chart) == whole
        await pilot.press("z", "z")
        assert screen(chart) == whole

    check(steps)


def test_what_is_zoomed_follows_the_newest_point() -> None:
    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve(1000)])
        await pilot.press("z")
        chart.show([curve(4000)])
        assert "3,800" in ticks_below(chart)

    check(steps)


def test_a_copy_holds_what_is_shown() -> None:
    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve(1000)])
        assert len(chart.text_to_copy().text.splitlines()) == 1001
        await pilot.press("z")
        lines = chart.text_to_copy().text.splitlines()
        assert lines[0] == "its\tmaml" and lines[1].startswith("750\t") and lines[-1].startswith("1000\t")

    check(steps)


def test_the_running_mean_lies_over_the_raw_curve() -> None:
    rng = np.random.default_rng(0)
    x = np.arange(2000.0)
    noisy = Series("maml", x, 1 + rng.normal(0, 0.2, len(x)), "#00afff", "◆")

    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([noisy])
        assert "smoothed" in screen(chart)[0]
        both = screen(chart)
        await pilot.press("m")
        assert "smoothed" not in screen(chart)[0] and screen(chart)[1:] != both[1:]
        chart.show([curve(5)])
        assert chart.check_action("smooth", ()) is None

    check(steps, smoothable=True)

    async def plain_chart(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([noisy])
        assert chart.check_action("smooth", ()) is None
        before = screen(chart)
        await pilot.press("m")
        assert screen(chart) == before

    check(plain_chart)


def test_only_changed_cells_are_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    refreshed: list[Region] = []

    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve(500)], whole=(0, 1000))
        await pilot.pause()

        def note_regions(chart: Chart, *regions: Region, **_: object) -> Chart:
            refreshed.extend(regions or [chart.size.region])
            return chart

        monkeypatch.setattr(Chart, "refresh", note_regions)
        chart.show([curve(500)], whole=(0, 1000))
        assert refreshed == []
        before = screen(chart)
        chart.show([curve(520)], whole=(0, 1000))
        assert refreshed and sum(region.area for region in refreshed) < 12
        changed = [row for row, (a, b) in enumerate(zip(before, screen(chart), strict=True)) if a != b]
        assert sorted({region.y for region in refreshed}) == changed

    check(steps)


def test_any_size_is_filled() -> None:
    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve(), curve(name="a name [bold]with markup[/] and 宽 characters")], "a remark")
        for width, height in ((1, 1), (2, 3), (5, 2), (20, 5), (24, 4), (80, 24), (200, 60)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert all(chart.render_line(row).cell_length == width for row in range(height))
        assert "[bold]" in screen(chart)[0]

    check(steps)


def test_colours_come_from_the_theme_and_follow_it() -> None:
    def ink_of(chart: Chart) -> set[object]:
        return {
            segment.style.color.triplet.hex
            for row in range(1, chart.size.height - 1)
            for segment in chart.render_line(row)
            if any("\u2800" <= character <= "\u28ff" for character in segment.text)
            and segment.style is not None
            and segment.style.color is not None
            and segment.style.color.triplet is not None
        }

    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve(colour="$accent")])
        assert ink_of(chart) == {Color.parse(pilot.app.theme_variables["accent"]).hex.lower()}
        pilot.app.theme = "kshot-light"
        await pilot.pause()
        assert ink_of(chart) == {Color.parse(pilot.app.theme_variables["accent"]).hex.lower()}
        chart.show([curve(colour="#ffd75f")])
        (pale,) = ink_of(chart)
        assert pale != "#ffd75f"
        chart.show([curve(colour="$no-such-variable")])
        assert len(ink_of(chart)) == 1
        pilot.app.theme = "ansi-dark"
        await pilot.pause()
        assert any("⣀" in row or "⠉" in row or "⠤" in row for row in screen(chart))

    check(steps)


def test_without_colours_shapes_tell_curves_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve(), curve(name="fomaml", shape="▲")])
        body = "".join(screen(chart)[1:])
        assert body.count("◆") >= 3 and body.count("▲") >= 3
        losses = np.array([[2.0, 1.9], [2.0, 1.5], [2.0, 1.0]])
        chart.show(fan_of(losses, np.array([10.0, 20, 30]), "maml"))
        assert "1 it 10" in screen(chart)[0] and "◆ now, 30" in screen(chart)[0]
        body = "".join(screen(chart)[1:])
        assert body.count("2") >= 2 and body.count("◆") >= 2

    check(steps)


def test_every_key_is_in_the_table_with_its_words() -> None:
    keys = {name for key in CHART_KEYS for name in key.keys.split(",")}
    assert {"l", "z", "m", "plus", "minus", "left", "right", "0"} <= keys
    assert all(key.label and key.help for key in CHART_KEYS)


def test_the_axis_spans_the_training_or_what_is_there() -> None:
    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve(500)], whole=(0, 20_000))
        assert "15,000" in ticks_below(chart) and chart.check_action("fit", ()) is True
        whole = screen(chart)
        await pilot.press("f")
        assert "400" in ticks_below(chart) and "15,000" not in ticks_below(chart)
        await pilot.press("f")
        assert screen(chart) == whole
        chart.show([curve(500)])
        assert chart.check_action("fit", ()) is None

    check(steps)


def test_what_is_shown_already_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[int]] = []
    draw = rendering.chart

    def note_drawing(curves: Sequence[Series], *rest: Any) -> rendering.Grid:
        drawn.append([len(one.x) for one in curves])
        return draw(curves, *rest)

    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        monkeypatch.setattr(rendering, "chart", note_drawing)
        chart.show([curve(500)], "a note", whole=(0, 1000))
        chart.show([curve(500)], "a note", whole=(0, 1000))
        assert len(drawn) == 1
        chart.show([curve(501)], "a note", whole=(0, 1000))
        chart.show([curve(501)], "another note", whole=(0, 1000))
        chart.show([curve(501)], "another note", whole=(0, 2000))
        assert len(drawn) == 4

    check(steps)


def test_a_million_points_are_drawn_from_few(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    draw = rendering.chart

    def note_drawing(curves: Sequence[Series], *rest: Any) -> rendering.Grid:
        drawn.append(sum(len(one.x) for one in curves))
        return draw(curves, *rest)

    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        monkeypatch.setattr(rendering, "chart", note_drawing)
        chart.show([curve(1_000_000)])
        for key in "zl0":
            await pilot.press(key)
        assert len(drawn) == 4 and max(drawn) < 70_000

    check(steps, smoothable=True)


def test_the_chart_that_has_the_focus_is_the_one_that_is_marked() -> None:
    class Two(App[None]):
        def compose(self) -> ComposeResult:
            yield Chart("One")
            yield Chart("Two")

    async def run() -> None:
        app = Two()
        async with app.run_test(size=(80, 24)) as pilot:
            charts = list(app.query(Chart))
            for focused in (*charts, *charts):
                focused.focus()
                await pilot.pause()
                strips = app.screen._compositor.render_strips()
                marked = [s.text for strip in strips for s in strip if s.style and s.style.reverse]
                assert marked == [focused.title]

    asyncio.run(run())


def test_curves_taken_away_while_it_is_out_of_sight_are_not_drawn_when_it_is_seen_again() -> None:
    async def steps(pilot: Pilot[None], chart: Chart) -> None:
        chart.show([curve(), curve(name="anil", colour="#ffaf00")])
        assert "anil" in screen(chart)[0]
        chart.display = False
        await pilot.pause()
        chart.show([curve(name="boil")])
        chart.display = True
        # As soon as it has room it may be drawn, whatever it has heard of that.
        while not chart.size.width:
            await asyncio.sleep(0)
        assert not any("anil" in row for row in screen(chart))
        await pilot.pause()
        assert "boil" in screen(chart)[0]

    check(steps)
