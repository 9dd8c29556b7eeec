"""Images that the terminal draws: what it is sent for them, the cells that show them, which terminals do."""

import asyncio
import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult

from tui.sparing import Sent, Sparing
from tui.widgets.graphics import NUMBERS, PLACEHOLDER, drawn_by_terminal, forgotten, placeholders, sent
from tui.widgets.images import Group, Picture, Pictures

COMMAND = re.compile(r"\x1b_G([^;\x1b]*)(?:;([^\x1b]*))?\x1b\\")


def told(text: str) -> list[tuple[dict[str, str], str]]:
    """The protocol's commands in a text: keys and data of each. Nothing else is in it."""
    assert COMMAND.sub("", text) == ""
    return [(dict(pair.split("=") for pair in keys.split(",")), data) for keys, data in COMMAND.findall(text)]


@pytest.mark.parametrize(
    ("environment", "by_terminal"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default,1,0"}, False),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, True),
        ({"TERM": "xterm-kitty", "KSHOT_GRAPHICS": "blocks"}, False),
        ({"TERM": "xterm-256color", "TMUX": "x", "KSHOT_GRAPHICS": "kitty"}, True),
        ({}, False),
    ],
)
def test_the_terminal_s_name_tells_unless_it_is_set(environment: dict[str, str], by_terminal: bool) -> None:
    assert drawn_by_terminal(environment) == by_terminal


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_sent_is_the_image_in_portions(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (84, 60, channels), dtype=np.uint8)
    commands = told(sent(77, pixels, 20, 14))
    first = commands[0][0]
    wanted = {"a": "T", "U": "1", "f": "100", "i": "77", "c": "20", "r": "14", "q": "2"}
    assert {key: first[key] for key in wanted} == wanted
    assert [keys["m"] for keys, _ in commands] == ["1"] * (len(commands) - 1) + ["0"] and len(commands) > 1
    assert all(len(data) <= 4096 and len(data) % 4 == 0 for _, data in commands)
    image = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in commands))))
    assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)
    assert told(forgotten(77)) == [({"a": "d", "d": "I", "i": "77", "q": "2"}, "")]


def test_a_cell_says_image_line_and_column_and_stays_whole() -> None:
    """The protocol's first numbers are U+0305, U+030D, U+030E."""
    lines = placeholders(0x123456, 3, 2)
    texts = [[segment.text for segment in line] for line in lines]
    assert texts[1] == [f"{PLACEHOLDER}\u030d{number}" for number in "\u0305\u030d\u030e"]
    colour = lines[0][0].style.color  # type: ignore[union-attr]
    assert colour is not None and tuple(colour.triplet or ()) == (0x12, 0x34, 0x56)
    assert len(set(NUMBERS)) == len(NUMBERS) > 84
    terminal = Sent()
    terminal.forget(App().size.with_width(10))
    from textual.strip import Strip

    line = Strip([*lines[0], Segment("x", Style())])
    assert line.cell_length == 4
    terminal.parts([(0, 2, [line])], ColorSystem.TRUECOLOR)
    assert terminal.rows[0].characters[2:6] == [*texts[0], "x"]


def test_an_image_is_sent_once_and_forgotten_when_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHOT_GRAPHICS", "kitty")
    written: list[str] = []
    images = [np.full((28, 28, 1), shade, np.uint8) for shade in (0, 128, 255)]

    def group(*numbers: int) -> Group:
        return Group("Query", [Picture(images[number], str(number), Style()) for number in numbers])

    class Shown(Sparing[None]):
        def compose(self) -> ComposeResult:
            yield Pictures()

    async def go() -> None:
        app = Shown()
        app.console._color_system = ColorSystem.TRUECOLOR
        async with app.run_test(size=(60, 20)) as pilot:
            assert app._driver is not None
            monkeypatch.setattr(app._driver, "write", written.append)
            pictures = app.query_one(Pictures)
            pictures.show([group(0, 1)])
            await pilot.pause()
            first = told("".join(written))
            assert len(first) == 2 and {keys["a"] for keys, _ in first} == {"T"}
            columns, lines = int(first[0][0]["c"]), int(first[0][0]["r"])
            cells = [
                segment
                for y in range(pictures.size.height)
                for segment in pictures.render_line(y)
                if PLACEHOLDER in segment.text
            ]
            assert len(cells) == 2 * columns * lines
            numbers = {int.from_bytes(bytes(cell.style.color.triplet)) for cell in cells}  # type: ignore[union-attr,arg-type]
            assert numbers == {int(keys["i"]) for keys, _ in first}
            written.clear()
            pictures.show([group(1, 0)])
            await pilot.pause()
            assert not written
            pictures.show([group(1, 2)])
            await pilot.pause()
            again = told("".join(written))
            assert [keys["a"] for keys, _ in again] == ["d", "T"]
            assert again[0][0]["i"] == first[0][0]["i"] and again[1][0]["i"] not in {str(n) for n in numbers}

    asyncio.run(go())
