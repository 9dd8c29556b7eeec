"""The chosen theme is there at the next start; a file that names none is as if there were none."""

import os
from pathlib import Path

import pytest
from runs_app import RunsApp, in_app, until
from textual.pilot import Pilot

from engine.folders import config_folder
from tui.remembered import remember_theme, remembered_theme
from tui.themes import CYCLE, DEFAULT_THEME


def test_the_chosen_theme_is_there_at_the_next_start(tmp_path: Path) -> None:
    async def choose(app: RunsApp, pilot: Pilot[int]) -> None:
        assert app.theme == DEFAULT_THEME
        await pilot.press("T", "T", "T")
        await until(pilot, lambda: remembered_theme(CYCLE) == CYCLE[3] == app.theme)

    async def look(app: RunsApp, pilot: Pilot[int]) -> None:
        assert app.theme == CYCLE[3]
        app.theme = "nord"  # as the palette sets it
        await until(pilot, lambda: remembered_theme(app.available_themes) == "nord")

    in_app(tmp_path, choose)
    in_app(tmp_path, look)
    assert [file.name for file in config_folder().iterdir()] == ["theme"]


@pytest.mark.parametrize(
    "content", [b"", b"no-such-theme", b"\xff\0\x1b[2J", b"nord" * 10**6, "pipe", "folder"]
)
def test_a_file_that_names_no_theme_is_ignored(tmp_path: Path, content: bytes | str) -> None:
    file = config_folder() / "theme"
    file.parent.mkdir(parents=True)
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    assert RunsApp(tmp_path).theme == DEFAULT_THEME


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    config_folder().parent.mkdir(parents=True)
    config_folder().write_text("a file where the folder should be")
    remember_theme("nord")
    assert remembered_theme(["nord"]) is None
