"""A widget's size is that of its newest content, whatever was laid out while it waited."""

import asyncio

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Static

import tui.app  # noqa: F401  (it mends Textual)


class Two(App[None]):
    CSS = "#text, DataTable { height: auto; }"

    def compose(self) -> ComposeResult:
        yield Static("one line", id="text")
        yield DataTable()


def test_what_changes_twice_round_another_layout_has_the_room_of_what_came_last() -> None:
    async def go() -> None:
        app = Two()
        async with app.run_test(size=(40, 20)) as pilot:
            text = app.query_one("#text", Static)
            table: DataTable[str] = app.query_one(DataTable)
            # Nothing else runs between these: the screen is laid out for others before the two have handed on
            # what they ask for.
            text.update("another")
            table.refresh(layout=True)
            app.screen._refresh_layout()
            text.update("three\nlines\nnow")
            table.add_column("a column")
            table.add_rows([["a row"], ["another"]])
            await pilot.pause()
            await pilot.pause()
            assert (text.size.height, table.size.height) == (3, 3)

    asyncio.run(go())
