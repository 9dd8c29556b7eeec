"""Watching costs little: the fan moves seldom, and a text of the same shape lays nothing out anew."""

import asyncio

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import Static

from tui.bench.inner import FAN, fan_rows
from tui.bench.live import Panel


def test_few_records_are_all_in_the_fan() -> None:
    assert fan_rows(1) == [0]
    assert fan_rows(4) == [0, 1, 2, 3]
    assert fan_rows(20) == [14, 15, 16, 17, 18, 19]


def test_of_many_records_only_the_last_curve_moves_with_each() -> None:
    moved = 0
    for count in range(600, 700):
        before, after = fan_rows(count), fan_rows(count + 1)
        assert len(after) == FAN and after[-1] == count and sorted(set(after)) == after
        moved += before[:-1] != after[:-1]
    # A record in sixteen joins the others.
    assert moved <= 7


@pytest.mark.parametrize(
    ("text", "laid_out"),
    [
        ("  1 ███▏ 0.92\n  2 ██   0.5", False),
        ("  1 ███▏ 0.92\n  2 ██   0.5\n  3 █", True),
        ("  1 ███▏ 0.92\n  2 ██   0.5 and so much more that it needs another line", True),
    ],
)
def test_a_panel_is_laid_out_anew_only_where_its_height_may_change(
    text: str, laid_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    update = Static.update

    def note_update(self: Static, content: Text, *, layout: bool = True) -> None:
        asked.append(layout)
        update(self, content, layout=layout)

    class One(App[None]):
        def compose(self) -> ComposeResult:
            yield Panel("Meta-gradient norm by step", id="norms")

    async def run() -> None:
        app = One()
        async with app.run_test(size=(40, 12)) as pilot:
            panel = app.query_one(Panel)
            panel.put(Text("  1 ███  0.91\n  2 ██   0.5"))
            await pilot.pause()
            monkeypatch.setattr(Static, "update", note_update)
            panel.put(Text(text))
            await pilot.pause()
            # Four columns are frame or padding here; whatever stands in it is there whole.
            lines = [panel.render_line(row).text for row in range(panel.size.height)]
            assert text.split()[-1] in " ".join(lines)

    asyncio.run(run())
    assert asked == [laid_out]
