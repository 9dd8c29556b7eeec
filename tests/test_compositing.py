"""Rows asked for sparingly leave the same on the screen as asking every widget for all of its rows."""

import asyncio
import random

from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tui.compositing import SparingCompositor
from tui.sparing import _parts

SIZE = (40, 16)


class Letters(Widget):
    """Rows of one letter each, counted how often they are asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self.letters = [chr(ord("e") + (ord(name) + row) % 20) for row in range(30)]
        self.asked = 0

    def render_line(self, y: int) -> Strip:
        return Strip([Segment(self.letters[y] * self.size.width)], self.size.width)

    def render_lines(self, crop: Region) -> list[Strip]:
        self.asked += crop.height
        return super().render_lines(crop)


class Sparing(Screen[None]):
    CSS = """
    Letters { width: 1fr; height: 1fr; }
    #x { layer: above; offset: 5 3; width: 12; height: 6; border: round white; }
    Sparing { layers: below above; }
    #scrolled { overflow-y: auto; } #d { height: 30; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._compositor = SparingCompositor()

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Letters("a")
            with Vertical():
                yield Letters("b")
                yield Letters("c")
            with Vertical(id="scrolled"):
                yield Letters("d")
        yield Letters("x")


class Shown(App[None]):
    def get_default_screen(self) -> Sparing:
        return Sparing()


def cells(strips: list[Strip]) -> list[str]:
    return [strip.text for strip in strips]


def test_random_changes_leave_the_same_cells() -> None:
    asyncio.run(change_at_random())


async def change_at_random() -> None:
    chance = random.Random(0)
    app = Shown()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        screen = app.screen
        compositor = screen._compositor
        widgets = list(screen.query(Letters))
        boxes = list(screen.query(Vertical))
        spared = 0
        for turn in range(200):
            if turn % 20 == 19:
                screen.query_one("#scrolled").scroll_to(y=chance.randrange(12), animate=False)
                screen._refresh_layout(scroll=True)
            whole = cells(compositor.render_strips())
            chosen: list[Widget] = list(chance.sample(widgets, chance.randint(1, 2)))
            for widget in chosen:
                for _ in range(chance.randint(1, 3)):
                    widget.refresh(Region(0, chance.randrange(widget.size.height), widget.size.width, 1))
            if turn % 3 == 0:  # a part of several widgets
                chosen.append(chance.choice(boxes))
                chosen[-1].refresh(Region(1, 1, 9, chance.randint(2, 14)))
            if turn % 5 == 0:  # a part that no widget told
                wide = chance.randint(1, 20)
                compositor._dirty_regions.add(
                    Region(chance.randrange(40 - wide), chance.randrange(8), wide, 3)
                )
            for widget in widgets:
                widget.asked = 0
            compositor.update_widgets(set(chosen))
            dirty = {place for part in compositor._dirty_regions for place in places(part)}
            update = compositor.render_partial_update()
            screen._dirty_widgets.clear()
            shown = {
                (x + at, y): letter
                for y, x, strips in (() if update is None else _parts(update))
                for at, letter in enumerate("".join(strip.text for strip in strips))
            }
            assert shown == {(x, y): whole[y][x] for x, y in dirty}, turn
            spared += sum(widget.asked == 0 for widget in widgets)
        assert spared > 200


def places(part: Region) -> list[tuple[int, int]]:
    inside = part.intersection(Region(0, 0, *SIZE))
    return [(x, y) for x in range(inside.x, inside.right) for y in range(inside.y, inside.bottom)]
