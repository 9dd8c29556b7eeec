"""A task looked at before anything runs: some of its images, from its pack or its files; what is missing."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from data_sets import image_task, write_omniglot, write_own_images
from test_bench_screen import App, made, run_app, until
from textual.pilot import Pilot

from engine import data
from engine.data.glyphs import DRAWINGS, draw_classes
from engine.data.samples import samples
from engine.data.supply import supply_of
from engine.errors import RequestError
from tui.bench.catalog import TaskEntry
from tui.bench.choose import Choose
from tui.bench.choosing import TaskList
from tui.bench.panel import Panel
from tui.bench.previews import preview_of
from tui.snapshot import Snapshot
from tui.widgets.images import Pictures

OWN = {"dataset": "folder", "folder": "mine", "image_size": 6, "channels": 3, "ways": 3}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KSHOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


def every(chunks: Iterator[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(chunks))


def test_images_at_places_are_those_of_the_order(tmp_path: Path) -> None:
    write_own_images(tmp_path / "mine")
    task = image_task("folder", folder="mine", image_size=6, channels=3)
    supply = supply_of(task, tmp_path)
    whole = every(supply.chunks())
    places = [35, 0, 13, 13]
    np.testing.assert_array_equal(supply.images(places), whole[places])


def test_drawn_glyphs_at_places_are_those_of_their_class() -> None:
    glyphs = supply_of(image_task("glyphs", channels=3), Path())
    found = glyphs.images([DRAWINGS * 7 + 2, 5])
    assert found.shape == (2, 3, 28, 28)
    np.testing.assert_array_equal(found[0, 1], draw_classes([7])[0, 2])
    np.testing.assert_array_equal(found[1, 2], draw_classes([0])[0, 5])


def test_samples_are_the_same_from_files_and_from_the_pack(tmp_path: Path, cache: Path) -> None:
    write_own_images(tmp_path / "mine", classes=4, images=3)
    task = image_task("folder", folder="mine", image_size=6, channels=3)
    unpacked = samples(task, tmp_path, part="test", classes=2, images=5)
    assert not cache.exists(), "a look packs nothing"
    packed = data.load_images(task, tmp_path)
    again = samples(task, tmp_path, part="test", classes=2, images=5)
    part = packed.parts["test"]
    assert [each.name for each in unpacked] == [each.name for each in again] == ["test-class0", "test-class2"]
    for before, after, label in zip(unpacked, again, (0, 2), strict=True):
        begin = part.offsets[label]
        np.testing.assert_array_equal(before.images, after.images)
        np.testing.assert_array_equal(
            after.images, packed.images[begin : begin + 3].transpose(0, 2, 3, 1), "all three there are"
        )


def test_samples_of_data_that_are_not_here_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="to get it"):
        samples(image_task("omniglot"), tmp_path)


def test_an_image_task_is_previewed_by_rows_of_its_classes(tmp_path: Path) -> None:
    write_own_images(tmp_path / "mine")
    preview = preview_of(TaskEntry("mine", summary="my images", section=OWN), tmp_path)
    assert "training         3 classes, 4 images each" in preview.text
    assert [len(group.pictures) for group in preview.groups] == [3, 3, 3]
    assert [picture.caption for picture in preview.groups[0].pictures] == [
        f"train-class{label}" for label in range(3)
    ]
    assert preview.groups[1].pictures[0].pixels.shape == (6, 6, 3)
    assert preview.groups[0].pictures[0].pixels.tolist() != preview.groups[1].pictures[0].pixels.tolist()


def test_alphabets_are_left_out_of_captions(tmp_path: Path) -> None:
    write_omniglot(tmp_path / "omniglot", drawings=2)
    preview = preview_of(TaskEntry("omniglot", section={"dataset": "omniglot", "ways": 20}), tmp_path)
    captions = [picture.caption for picture in preview.groups[0].pictures]
    assert len(captions) == 5 and all(caption.startswith("character") for caption in captions)


def test_damaged_images_are_told_beside_the_counts(tmp_path: Path) -> None:
    write_own_images(tmp_path / "mine")
    for path in (tmp_path / "mine" / "train").rglob("*.png"):
        path.write_bytes(b"no image")
    preview = preview_of(TaskEntry("mine", section=OWN), tmp_path)
    assert "3 classes" in preview.text and "no image that can be read" in preview.text
    assert not preview.groups


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
def test_a_task_s_drawings_stand_on_the_bench(tmp_path: Path, size: tuple[int, int]) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        runs = made(tmp_path, "finished")
        await app.picture(pilot, Snapshot(1.0, runs))
        screen = app.screen
        tasks, drawings = screen.query_one(TaskList), screen.query_one("#drawings")
        tasks.focus()
        tasks.highlight("omniglot-5way-1shot")
        preview = screen.query_one("#preview", Panel)
        await until(pilot, lambda: preview.shown is not None and "is not here" in preview.shown.plain)
        assert "kshot data" in preview.shown.plain and not drawings.display  # type: ignore[union-attr]
        tasks.highlight("glyphs-5way-1shot")
        await until(pilot, lambda: drawings.display)
        pictures = screen.query_one(Pictures)
        assert [len(group.pictures) for group in pictures.groups] == [5, 5, 5]
        if size[0] == 80:
            await pilot.press("right_square_bracket")
            await app.picture(pilot, Snapshot(2.0, runs))
        await until(pilot, lambda: pictures.size.height > 10)
        assert drawings.region.height >= 6
        # Dots of braille: glyphs this small would fade as half blocks.
        row = pictures.render_line(2).text
        assert any("\u2801" <= character <= "\u28ff" for character in row)
        if size[0] == 80:
            await pilot.press("left_square_bracket")
        tasks.focus()
        tasks.highlight("sine-10shot")
        await until(pilot, lambda: not drawings.display)

    run_app(tmp_path, size, action)


def test_data_that_came_meanwhile_are_seen_when_the_bench_is_shown_again(tmp_path: Path) -> None:
    async def action(pilot: Pilot[int], app: App) -> None:
        choose = app.screen.query_one(Choose)
        tasks, name = choose.query_one(TaskList), "omniglot-5way-1shot"
        tasks.focus()
        tasks.highlight(name)
        await until(pilot, lambda: choose.preview is not None and "is not here" in choose.preview.text)
        await pilot.press("2")
        await until(pilot, lambda: app.current_mode == "runs")
        write_omniglot(tmp_path / "data" / "omniglot", drawings=1)
        await pilot.press("1")
        await until(pilot, lambda: bool((entry := choose.catalog.task(name)) and entry.present))
        await until(pilot, lambda: choose.preview is not None and "is not here" not in choose.preview.text)

    run_app(tmp_path, (120, 36), action)
