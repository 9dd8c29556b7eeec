"""Files from strangers: nothing in them runs, fills memory, leaves its folder or opens anything to others."""

import ast
import io
import os
import pickle
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import encoded, image_task, photograph, write_own_images
from fake_runs import make_run, wait_until
from hostile_data import ABSURD, png
from patience import PATIENCE

from engine import data
from engine.data import cache, decoding, fetching, sources
from engine.data.sources import Source
from engine.errors import LONGEST, RequestError
from engine.folders import at_home, data_folder
from engine.presets import list_presets, resolve
from engine.presets.source import read_text
from engine.runs import (
    EventWriter,
    create_run,
    find_run,
    processes,
    read_status,
    runs_folder,
    start_worker,
    write_checkpoint,
    write_request,
    write_result,
)
from engine.runs.episodes import Asking, question
from engine.runs.slots import slots_folder
from tui import cli
from tui.compare.export import write_new
from tui.names import preset_names

ROOT = Path(__file__).resolve().parent.parent
OWN = {"folder": "mine", "image_size": 6, "channels": 3}


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small folder of one's own images in the data folder."""
    monkeypatch.setenv("KSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KSHOT_DATA", str(tmp_path))
    write_own_images(tmp_path / "mine", classes=2, images=2)
    return tmp_path / "mine"


def refusal(folder: Path) -> str:
    with pytest.raises(RequestError) as caught:
        data.load_images(image_task("folder", **OWN), folder)
    return str(caught.value)


# --- code


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    """Every call in the two packages with its dotted name."""
    for path in sorted([*(ROOT / "engine").rglob("*.py"), *(ROOT / "tui").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield path, node, ast.unparse(node.func)


def test_nothing_is_loaded_that_could_run_and_no_shell_is_asked() -> None:
    loads = 0
    for path, call, name in calls():
        given = {word.arg: ast.unparse(word.value) for word in call.keywords}
        where = f"{path}:{call.lineno}"
        if name == "torch.load":
            loads += 1
            assert given.get("weights_only") == "True", where
        assert name not in ("os.system", "os.popen", "eval", "exec", "pickle.load", "pickle.loads"), where
        assert name not in ("yaml.unsafe_load", "yaml.full_load", "shutil.unpack_archive"), where
        assert not name.endswith((".extractall", ".extract", ".listen")), where
        assert given.get("shell", "False") == "False" and given.get("allow_pickle", "False") == "False", where
        if name == "yaml.load":
            assert "Safe" in ast.unparse(call), where
    assert loads


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


def test_a_checkpoint_that_would_run_a_program_runs_none(tmp_path: Path) -> None:
    import torch

    from engine.checkpoint import unpack

    buffer = io.BytesIO()
    torch.save({"format": 3, "x": Evil(tmp_path / "ran")}, buffer)
    for content in (buffer.getvalue(), pickle.dumps(Evil(tmp_path / "ran"))):
        with pytest.raises(RequestError, match="mine is no checkpoint that can be loaded"):
            unpack(content, torch.device("cpu"), "mine")
    assert not (tmp_path / "ran").exists()


# --- archives


def test_an_archive_that_lies_about_its_size_is_unpacked_no_further(mine: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(mine / "val.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/0.png", bytes(300 * 2**20))
    content = (mine / "val.zip").read_bytes()
    told = struct.pack("<I", 300 * 2**20)
    assert content.count(told) == 2
    (mine / "val.zip").write_bytes(content.replace(told, struct.pack("<I", 1000)))
    source = Source(mine / "val.zip")
    tracemalloc.start()
    with pytest.raises(RequestError, match=r"a/0\.png cannot be read"):
        source.read(source.members()[0])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30 * 2**20


def test_what_an_archive_unpacks_to_is_bounded(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "ALWAYS_ALLOWED", 10**6)
    with zipfile.ZipFile(mine / "val.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"a/{number}.bmp", bytes(10**6))
    assert "and would unpack to 20,000,000; 100 times its size is the limit" in refusal(tmp_path)
    monkeypatch.setattr(sources, "ALWAYS_ALLOWED", 10**9)
    assert "a/0.bmp is no image" in refusal(tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bound_are_refused(mine: Path, tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(mine / "val.zip", "w", method) as archive:
        archive.writestr("a/0.png", photograph(0))
    assert "a/0.png is packed by another method than deflate" in refusal(tmp_path)


def test_a_file_that_grows_while_it_is_read_is_bounded(mine: Path) -> None:
    source = Source(mine / "val")
    member = source.members()[0]
    (mine / "val" / member.name).unlink()
    (mine / "val" / member.name).symlink_to("/dev/zero")
    with pytest.raises(RequestError, match="more than 67,108,864 bytes"):
        source.read(member)


# --- images


def test_a_file_is_read_as_the_formats_of_photographs_alone() -> None:
    from PIL import Image

    Image.init()
    assert "EPS" in Image.OPEN
    postscript = next(content() for content in ABSURD if content().startswith(b"%!PS"))
    with pytest.raises(RequestError, match="is no image that can be read"):
        decoding.decode(postscript, "x.png", size=8, channels=3)


CHILD = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
import numpy
from engine.data import decoding
from engine.errors import RequestError
decoding.LARGE = 1_000_000
room = 420_000_000
resource.setrlimit(resource.RLIMIT_DATA, (room, room))
def read(path):
    try:
        return str(decoding.decode(open(path, "rb").read(), path, size=84, channels=3).shape)
    except RequestError as error:
        return str(error)
with ThreadPoolExecutor(8) as pool:
    print("\\n".join(pool.map(read, sys.argv[1:])))
"""


def test_eight_bombs_at_once_take_no_more_memory_than_one(tmp_path: Path) -> None:
    large = np.zeros((3000, 3000, 4), np.uint8)
    large[..., 3] = 7
    contents = [encoded(large)] * 8 + [png(2**31 - 1, 2**31 - 1), png(2, 2, text=bytes(60_000_000))]
    paths = [tmp_path / f"{number}.png" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, paths)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:8] == ["(3, 84, 84)"] * 8 and "damaged image" in lines[8]


# --- presets


def test_aliases_never_become_gigabytes() -> None:
    bomb = f"[&a '{'y' * 50_000}'" + ", *a" * 1_000 + "]"
    for key in ("adaptation.steps", "adaptation.parameters", "evaluation.tune.head", "task.folder"):
        tracemalloc.start()
        with pytest.raises(RequestError, match=key) as caught:
            resolve("glyphs-5way-1shot", "maml", overrides=[f"{key}={bomb}"])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 20 * 2**20 and len(str(caught.value)) <= LONGEST + 5


@pytest.mark.parametrize(
    "tag", ["object/apply:os.system", "object/new:os.system", "name:os.system", "module:os"]
)
def test_yaml_makes_plain_values_alone(tag: str) -> None:
    with pytest.raises(RequestError, match="line 1: a value of the YAML type python/"):
        read_text(f"a: !!python/{tag} ['true']", "mine")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training.iterations", 10**9 + 1),
        ("task.ways", 10**30),
        ("adaptation.steps", 10**18),
        ("task.image_size", 1025),
        ("seed", 10**18 + 1),
        ("evaluation.seed", 2**64),
    ],
)
def test_counts_beyond_any_machine_are_refused(key: str, value: int) -> None:
    with pytest.raises(RequestError, match=f"{key}={value}: must be at most 1,0"):
        resolve("glyphs-5way-1shot", "maml", overrides=[f"{key}={value}"])


def test_images_that_neither_disk_nor_memory_holds_are_refused(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = cache.shutil.disk_usage(tmp_path)._replace(free=12 * 108 - 1)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: full)
    note = data.load_images(image_task("folder", **OWN), tmp_path).notes[-1]
    assert note.startswith("held in memory") and "No space left on device" in note
    assert not list((tmp_path / "cache").rglob("*.tmp"))
    monkeypatch.setattr(os, "sysconf", lambda name: 30)
    assert "12 images of 6 x 6 pixels take 0 GB, memory has 0" in refusal(tmp_path)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: full._replace(free=12 * 108))
    assert len(data.load_images(image_task("folder", **OWN), tmp_path).images) == 12


# --- names


@pytest.mark.parametrize("text", ["~a\0b/x.yaml", "~\udfff", "~" + "y" * 5000])
def test_a_name_that_no_user_can_have_is_no_home(text: str) -> None:
    assert at_home(text) == Path(text)


@pytest.mark.parametrize("text", ["~nobody-of-that-name/x.yaml", "~nobody-of-that-name"])
def test_a_home_that_nobody_has_is_no_traceback(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert at_home(text) == Path(text)
    monkeypatch.setenv("KSHOT_PRESETS", text)
    with pytest.raises(RequestError, match=r"KSHOT_PRESETS=~nobody.*: there is no such folder"):
        list_presets("tasks")
    monkeypatch.delenv("KSHOT_PRESETS")
    with pytest.raises(RequestError, match="there is no"):
        resolve(text, "maml")
    monkeypatch.setenv("KSHOT_DATA", text)
    with pytest.raises(RequestError, match="omniglot is not here"):
        data.check("omniglot")
    with pytest.raises(RequestError, match="no data set is named"):
        data.check(text)


def test_a_home_that_nobody_has_is_a_folder_like_any_other_for_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "~nobody-of-that-name"
    assert runs_folder(Path(name)) == tmp_path / name
    monkeypatch.setenv("KSHOT_RUNS", name)
    assert runs_folder() == tmp_path / name
    with pytest.raises(RequestError, match="no run '~nobody"):
        find_run(tmp_path, name)
    monkeypatch.setenv("KSHOT_PRESETS", name)
    assert "maml" in preset_names("algorithms")
    monkeypatch.delenv("KSHOT_PRESETS")
    with pytest.raises(RequestError, match=r"cannot write ~nobody.*No such file"):
        write_new(Path(name) / "table.md", "")
    own = ["task.folder=~nobody-of-that-name/mine", "task.image_size=6", "task.channels=3"]
    spec = resolve("glyphs-5way-1shot", "maml", overrides=["task.dataset=folder", *own]).spec
    assert getattr(spec.task, "folder", "") == str(tmp_path / name / "mine")


def test_no_home_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("KSHOT_DATA", "KSHOT_RUNS", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lost)
    with pytest.raises(RequestError, match="set HOME, or XDG_DATA_HOME"):
        data_folder()
    with pytest.raises(RequestError, match="set HOME, or XDG_DATA_HOME"):
        runs_folder()


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "a\0b/c", "/" + "y" * 300])
def test_names_that_no_file_can_have_are_told(name: str, tmp_path: Path) -> None:
    task = image_task("folder", **{**OWN, "folder": name})
    presence = data.inspect(task, tmp_path)
    assert not presence.present and len(presence.detail) < 2000
    with pytest.raises(RequestError):
        data.check(name, tmp_path)


def test_class_names_of_strangers_are_only_shown(
    mine: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(
        ("a\x1b[31m", "$(touch ran)", "`touch ran`", "[red]x[/]", "b\nc", "\udcff", "..x")
    ):
        folder = mine / "train" / name
        folder.mkdir(parents=True)
        (folder / "0.png").write_bytes(photograph(50 + number))
    (mine / "train" / "b\nc" / "1.png").write_text("no image")
    assert cli.run(["data", "check", "mine"]) == 1
    said = capfd.readouterr()
    assert "train: b c/1.png is no image that can be read" in said.out
    assert "\x1b" not in said.out + said.err and "\udcff" not in said.out
    assert not (tmp_path / "ran").exists()


# --- the network and other users


def test_no_worker_can_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "watched.txt"
    monkeypatch.setenv("KSHOT_WATCHED", str(told))
    watched = str(Path(__file__).with_name("watched_worker.py"))
    monkeypatch.setattr(processes, "worker_command", lambda *asked: [sys.executable, "-P", watched, *asked])
    tiny = ["training.iterations=20", "training.validation.episodes=2"]
    runs = tmp_path / "runs"
    run, lock = create_run(runs, resolve("sine-10shot", "maml", overrides=tiny).spec)
    start_worker(run, lock, data_folder())
    wait_until(lambda: not read_status(run).alive, 3 * PATIENCE)
    assert read_status(run).state == "finished", run.log_path.read_text()
    asking = Asking(question(run, 0, data_folder()), data_folder())
    wait_until(lambda: asking.look().answer is not None, 3 * PATIENCE)
    processes._children[-1].terminate()
    wait_until(lambda: told.exists() and told.read_text().count("ended") == 2)
    assert sorted(told.read_text().splitlines()) == ["attend ended with 0", "train ended with 0"]


@pytest.fixture
def mask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_what_is_written_is_open_to_nobody_beyond_the_umask(
    mask: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    run = make_run(runs, state="finished")
    write_checkpoint(run, 5, b"x")
    write_result(run, "a", {"kind": "evaluate"})
    write_request(run, "b", {})
    with EventWriter(run.events_path) as events:
        events.append("note", text="x")
    data.load_images(image_task("folder", **OWN), tmp_path)
    written = [path for top in (runs, tmp_path / "cache") for path in (top, *top.rglob("*"))]
    assert {"spec.yaml", "events.jsonl", "a.json", "b.json"} < {path.name for path in written}
    assert any(path.suffix == ".pack" for path in written)
    for path in written:
        assert stat.S_IMODE(path.lstat().st_mode) & 0o027 == 0, path


def test_what_is_private_is_so_whatever_the_umask(
    mask: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.umask(0)
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert stat.S_IMODE(slots_folder().stat().st_mode) == 0o700
    slots_folder().chmod(0o777)
    assert stat.S_IMODE(slots_folder().stat().st_mode) == 0o700
    seen = []

    def run(name: str, scratch: Path, size: float, tell: object) -> None:
        seen.append(stat.S_IMODE(scratch.stat().st_mode))
        raise RequestError("enough")

    monkeypatch.setattr(fetching, "_run", run)
    with pytest.raises(RequestError, match="enough"):
        data.fetch("omniglot", tmp_path / "new")
    assert seen == [0o700] and not list((tmp_path / "new").iterdir())


def test_a_link_where_a_pack_is_to_be_written_is_not_followed(mine: Path, tmp_path: Path) -> None:
    supply = data.packing.supply_of(image_task("folder", **OWN), tmp_path)
    path = cache.pack_path("folder", supply)
    path.parent.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.symlink_to(precious)
    with pytest.raises(OSError, match="File exists"):
        cache._write(temporary, supply, lambda fraction: None)
    assert precious.read_text() == "mine"
    assert len(data.load_images(image_task("folder", **OWN), tmp_path).images) == 12
    assert precious.read_text() == "mine"
