"""What is sent sparingly leaves the same on the terminal as all of it would, and is little."""

import numpy as np
import pyte
import pytest
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip

from tui import sparing
from tui.sparing import Sent

WIDTH, HEIGHT = 40, 6
STYLES = [
    None,
    Style(),
    Style(color="#00afff", bgcolor="#121212"),
    Style(color="#00afff", bgcolor="#121212", bold=True),
    Style(bold=True, reverse=True),
    Style(color="red"),
    Style(color="bright_red", bgcolor="color(123)", italic=True, underline=True),
    Style(bgcolor="white", dim=True),
    Style(color="default", bgcolor="default"),
]
TEXTS = ["", " ", "maml", "⣀⡠⠔", "95.1 ± 0.5", "日本", "x日", "      ", "─────┤"]
CONSOLE = Console(color_system="truecolor", width=WIDTH)


class Screens:
    """Two terminals: one is sent everything as Textual writes it, the other what `Sent` says."""

    def __init__(self) -> None:
        self.all, self.little = (pyte.Screen(WIDTH, HEIGHT) for _ in range(2))
        self.sent = Sent()

    def whole(self, rows: list[list[Strip]]) -> int:
        for y, strips in enumerate(rows):
            self._write(y, 0, strips)
        self.sent.forget(Size(WIDTH, HEIGHT))
        return self._feed(self.sent.parts(((y, 0, row) for y, row in enumerate(rows)), ColorSystem.TRUECOLOR))

    def part(self, y: int, x: int, strips: list[Strip]) -> int:
        self._write(y, x, strips)
        return self._feed(self.sent.parts([(y, x, strips)], ColorSystem.TRUECOLOR))

    def _write(self, y: int, x: int, strips: list[Strip]) -> None:
        text = f"\x1b[{y + 1};{x + 1}H" + "".join(strip.render(CONSOLE) for strip in strips)
        pyte.Stream(self.all).feed(text)

    def _feed(self, text: str) -> int:
        pyte.Stream(self.little).feed(text)
        return len(text.encode())

    def check(self) -> None:
        for y in range(HEIGHT):
            for x in range(WIDTH):
                one, other = self.all.buffer[y][x], self.little.buffer[y][x]
                assert one == other, f"row {y} column {x}: {one} sent whole, {other} sent sparingly"


def strip(text: str, style: Style | None = None) -> Strip:
    return Strip([Segment(text, style)])


def blank() -> list[list[Strip]]:
    return [[strip(" " * WIDTH)] for _ in range(HEIGHT)]


def test_any_frames_leave_the_same_cells() -> None:
    rng = np.random.default_rng(0)

    def piece(room: int) -> Strip:
        chosen: list[Segment] = []
        while room > 0 and rng.random() < 0.8:
            text = TEXTS[rng.integers(len(TEXTS))]
            segment = Segment(text, STYLES[rng.integers(len(STYLES))])
            if segment.cell_length <= room:
                chosen.append(segment)
                room -= segment.cell_length
        return Strip(chosen)

    for _ in range(20):
        screens = Screens()
        screens.whole([[piece(WIDTH).adjust_cell_length(WIDTH)] for _ in range(HEIGHT)])
        screens.check()
        # Ten columns to a widget: what one draws never cuts a wide character of its neighbour in two.
        screens.whole(blank())
        for _ in range(60):
            y, x = int(rng.integers(HEIGHT)), 10 * int(rng.integers(4))
            screens.part(y, x, [piece(10).adjust_cell_length(10)])
            screens.check()


def test_what_stands_there_is_not_sent_again() -> None:
    screens = Screens()
    screens.whole(blank())
    style = Style(color="#00afff", bgcolor="#121212")
    assert screens.part(2, 5, [strip("validation 95.1 of 100", style)]) > 22
    assert screens.part(2, 5, [strip("validation 95.1 of 100", style)]) == 0
    # Move, colours, one character, reset.
    assert screens.part(2, 5, [strip("validation 95.2 of 100", style)]) <= len(
        "\x1b[3;20H\x1b[38;2;0;175;255;48;2;18;18;18m2\x1b[0m"
    )
    screens.check()


def test_one_colour_is_set_once_for_a_frame() -> None:
    screens = Screens()
    screens.whole(blank())
    style = Style(color="#00afff", bgcolor="#121212")
    parts = [(row, 3, [strip("⣀⡠⠔", style)]) for row in range(5)]
    text = screens.sent.parts(parts, ColorSystem.TRUECOLOR)
    assert text.count("38;2;0;175;255") == 1 and text.endswith("\x1b[0m")


def test_what_another_program_wrote_is_healed_once_it_is_forgotten() -> None:
    screens = Screens()
    screens.whole(blank())
    pyte.Stream(screens.little).feed("\x1b[3;4Hwall: the machine goes down")
    screens.whole(blank())
    screens.check()


def test_fewer_colours_are_sent_where_the_terminal_has_fewer() -> None:
    sent = Sent()
    sent.forget(Size(WIDTH, HEIGHT))
    text = sent.parts([(0, 0, [strip("x", Style(color="#00afff"))])], ColorSystem.EIGHT_BIT)
    assert "38;5;39" in text and "38;2" not in text


def test_a_screen_stands_again_as_it_was_left() -> None:
    screens, words = Screens(), ["Bench", "日本 maml", "─────┤ 95.1"]
    screens.whole(blank())
    for y, style in enumerate(STYLES[: HEIGHT - 1]):
        screens.part(y, 3 * y, [strip(words[y % len(words)], style)])
    left = screens.sent.rows
    screens.sent.forget(Size(WIDTH, HEIGHT))
    screens.sent.parts(((y, 0, row) for y, row in enumerate(blank())), ColorSystem.TRUECOLOR)
    screens.little.reset()
    pyte.Stream(screens.little).feed("\x1b[2;2Hanother screen" + screens.sent.all_of(left))
    screens.check()
    assert screens.part(2, 6, [strip(words[2], STYLES[2])]) == 0
    assert screens.part(2, 6, [strip("Runs", STYLES[4])]) > 0
    screens.check()


def test_styles_that_never_come_again_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparing, "MOST_PENS", 50)
    screens = Screens()
    screens.whole(blank())
    for number in range(200):
        style = Style(color=f"#{number:02x}8040")
        screens.part(number % HEIGHT, number % 30, [strip("x", style)])
        assert len(screens.sent._pens) <= 50
    screens.check()
