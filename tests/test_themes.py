"""Every theme: marks and words can be read on the page and on the cursor's row."""

from pathlib import Path

import pytest
from fake_runs import make_run
from rich.color import Color
from runs_app import RunsApp, in_app
from test_bench_screen import App, run_app
from textual.pilot import Pilot

from tui.bench.choosing import AlgorithmList
from tui.contrast import contrast, readable
from tui.marks import KNOWN, OTHERS, mark_of, stand_on
from tui.themes import DEFAULT_THEME, THEMES, grounds

BY_NAME = {theme.name: theme for theme in THEMES}
MADE_UP = [f"mine-{number}" for number in range(60)]
"""Enough names for every colour that an algorithm of one's own can get."""


def ratio(one: str, other: str) -> float:
    """WCAG 2.1's contrast ratio, written down once more from its definition."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.05 + 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    return max(light(one), light(other)) / min(light(one), light(other))


def test_contrast_of_known_pairs() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert contrast("#123456", "#abcdef") == contrast("#abcdef", "#123456")


def test_a_colour_that_can_be_read_stays() -> None:
    assert readable("#00afff", ("#121212",), 3.0) == "#00afff"
    assert ratio(readable("#ffd75f", ("#ffffff",), 3.0), "#ffffff") >= 3.0
    assert readable("#ffd75f", (), 3.0) == "#ffd75f"


@pytest.mark.parametrize("name", BY_NAME)
def test_marks_and_words_on_the_page_and_the_cursor_s_rows(name: str) -> None:
    theme = BY_NAME[name]
    under = grounds(theme)
    values = theme.to_color_system().generate()
    assert {values["background"].lower(), values["block-cursor-background"].lower()} <= set(under)
    stand_on(under)
    try:
        for algorithm in (*KNOWN, *MADE_UP):
            assert all(ratio(mark_of(algorithm).colour, ground) >= 3 for ground in under), algorithm
        if theme.dark:
            assert all(mark_of(algorithm) == mark for algorithm, mark in KNOWN.items())
    finally:
        stand_on(grounds(BY_NAME[DEFAULT_THEME]))
    for word, ground in (
        ("foreground", "background"),
        ("foreground", "panel"),
        ("secondary", "background"),
        ("accent", "background"),
        ("error", "background"),
        ("success", "background"),
        ("block-cursor-foreground", "block-cursor-background"),
        ("block-cursor-blurred-foreground", "block-cursor-blurred-background"),
    ):
        assert ratio(values[word], values[ground]) >= 4.5, (word, ground)
    assert len(OTHERS) == len({mark.colour + mark.shape for mark in OTHERS})


@pytest.mark.parametrize("name", BY_NAME)
def test_the_runs_table_as_it_is_drawn(tmp_path: Path, name: str) -> None:
    for seed, state in enumerate(("finished", "failed", "running", "stopped")):
        make_run(tmp_path, seed=seed, state=state, step=5, steps=40)

    async def act(app: RunsApp, pilot: Pilot[int]) -> None:
        app.theme = name
        await pilot.pause(0.1)
        table = app.runs.table
        for row in range(4):
            table.go_to(row)
            await pilot.pause()
            for y in range(1, 5):
                for text, style, _ in table.render_line(y):
                    if text.strip() and style is not None:
                        inks = [each.get_truecolor().hex for each in (style.color, style.bgcolor) if each]
                        least = 3.0 if text in {mark.shape for mark in KNOWN.values()} else 4.5
                        assert ratio(*inks) >= least, (text, inks)
        ground = BY_NAME[name].variables["block-cursor-background"]
        assert any(style.bgcolor == Color.parse(ground) for _, style, _ in table.render_line(4) if style)

    in_app(tmp_path, act)


def test_the_bench_s_lists_as_they_are_drawn(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", state="finished")

    async def action(pilot: Pilot[int], app: App) -> None:
        rows = app.screen.query_one(AlgorithmList)
        rows.focus()
        for name in BY_NAME:
            app.theme = name
            await pilot.pause(0.1)
            seen = set()
            for y in range(rows.scrollable_content_region.height):
                for text, style, _ in rows.render_line(y):
                    if text.strip(" ✔") and style and style.color and style.bgcolor:
                        inks = [each.get_truecolor().hex for each in (style.color, style.bgcolor)]
                        seen.add((text.strip(), *inks))
            assert {"Gradient-based", "◆"} <= {text for text, *_ in seen}
            poor = {each for each in seen if ratio(*each[1:]) < (3 if len(each[0]) == 1 else 4.5)}
            assert not poor, (name, poor)

    run_app(tmp_path, (120, 36), action)
