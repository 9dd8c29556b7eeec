"""Run folders and checkpoints that were broken: every reader has a word for them, none falls over."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from fault_breaking import DAMAGES, OBSTACLES, files_of
from hostile_runs import spoil
from sound_folder import make_sound

from engine.checkpoint import pack, unpack
from engine.errors import RequestError
from engine.runs import Run, all_runs, newest_good_checkpoint, processes
from engine.runs.columns import HistoryReader
from tui.reader import Looker

USUAL, ALL, REAL = 24, 1000, 20
"""Broken folders of the usual run, of the long one, and those that the real commands are tried on."""
STATE = {
    "iteration": 500,
    "meta_parameters": {"head.weight": torch.arange(60.0).reshape(5, 12), "head.bias": torch.zeros(5)},
    "kept": {},
    "optimizer": {"first": [torch.zeros(5)], "steps": [torch.tensor(7.0)]},
    "bests": [(500, 0.5)],
    "threads": 1,
    "path": "fused",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with real checkpoints and their columns."""
    folder = make_sound(tmp_path_factory.mktemp("sound") / "runs", pack(STATE | {"iteration": 600}))
    for run in all_runs(folder):
        HistoryReader(run).read()
    return folder


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is asked for ends at once."""
    monkeypatch.setattr(processes, "worker_command", lambda *asked: [shutil.which("true") or "true"])


def break_folder(runs: Path, seed: int) -> None:
    """Either a few files in the ways of `fault_breaking`, or up to twelve in those of `hostile_runs`."""
    if seed % 2:
        spoil(runs, seed)
        return
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        run = chance.choice(list(all_runs(runs)) or [Run(runs)])
        if files := files_of(run):
            chance.choice((*DAMAGES, *DAMAGES, *OBSTACLES))(chance.choice(files), chance)


@pytest.fixture
def broken(sound: Path, tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A broken copy of the sound folder for a seed; it is gone with the next."""
    runs = tmp_path / "runs"

    def copy(seed: int) -> Path:
        if runs.exists():
            for folder in (each for each in runs.rglob("*") if each.is_dir() and not each.is_symlink()):
                folder.chmod(0o755)
            shutil.rmtree(runs)
        shutil.copytree(sound, runs)
        break_folder(runs, seed)
        return runs

    yield copy
    for path in runs.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def commands(run: str) -> list[list[str]]:
    """What a person would look with, and try."""
    return [
        ["runs", "list"],
        ["runs", "list", "--json"],
        ["runs", "show", run],
        ["runs", "show", run, "--json"],
        ["runs", "export", run],
        ["runs", "export", run, "--format", "json"],
        ["doctor", run],
        ["runs", "resume", run, "--detach"],
        ["runs", "pause", run],
        ["runs", "remove", run],
        ["runs", "prune", "--failed", "--dry-run"],
    ]


def look(runs: Path, kshot: Callable[..., tuple[int, str, str]], seed: int) -> None:
    """All readers in this process; the commands on one run of the folder."""
    for run in all_runs(runs):
        newest = newest_good_checkpoint(run)
        assert newest is None or newest.step in (500, 600), seed
        HistoryReader(run).read()
    looker = Looker(runs)
    looker.watched = tuple(run.id for run in all_runs(runs))
    assert looker.picture().error is None, (seed, looker.picture().error)
    names = [run.id for run in all_runs(runs)]
    chosen = random.Random(seed).choice(names) if names else "none"
    for words in commands(chosen):
        code, _, said = kshot(*words, "--runs-dir", str(runs))
        assert code in (0, 1, 2) and "Traceback" not in said, (seed, words, said)
        assert code != 2 or (said.startswith("kshot: ") and said.count("\n") == 1), (seed, words, said)


def test_readers_have_a_word_for_every_broken_folder(
    broken: Callable[[int], Path], kshot: Callable[..., tuple[int, str, str]]
) -> None:
    for seed in range(USUAL):
        look(broken(seed), kshot, seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(USUAL, ALL, 122))
def test_readers_have_a_word_for_a_thousand(
    broken: Callable[[int], Path], kshot: Callable[..., tuple[int, str, str]], first: int
) -> None:
    for seed in range(first, min(first + 122, ALL)):
        look(broken(seed), kshot, seed)


@pytest.mark.long
def test_the_real_commands_have_a_word(broken: Callable[[int], Path]) -> None:
    for seed in range(REAL):
        runs = broken(seed)
        name = next((run.id for run in all_runs(runs)), "none")
        words = commands(name)[seed % 7]
        start = "from tui.cli import main; main()"
        command = [sys.executable, "-c", start, *words, "--runs-dir", str(runs)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=120)
        assert done.returncode in (0, 1, 2) and "Traceback" not in done.stderr, (seed, words, done.stderr)


@pytest.mark.parametrize(
    "count", [pytest.param(60, id="some"), pytest.param(2000, id="many", marks=pytest.mark.long)]
)
def test_bytes_that_are_no_checkpoint_are_refused_in_one_line(tmp_path: Path, count: int) -> None:
    """Also where a digest was made for them: what is loaded runs no code and never falls over."""
    whole = pack(STATE)
    path = tmp_path / "checkpoint"
    loaded = 0
    for seed in range(count):
        chance = random.Random(seed)
        path.write_bytes(whole)
        for _ in range(chance.randint(1, 3)):
            if path.is_file():
                chance.choice(DAMAGES[:5])(path, chance)
        try:
            state = unpack(path.read_bytes(), torch.device("cpu"), "500-x.pt")
        except RequestError as error:
            assert str(error).startswith("500-x.pt ") and "\n" not in str(error)
        else:
            loaded += isinstance(state, dict)
    assert loaded < count
