"""Checkpoints as files: digests that find a flipped byte, and which files are kept."""

import hashlib
import os
import threading
from pathlib import Path

import pytest
from fake_runs import make_run
from patience import PATIENCE

from engine.runs import (
    CheckpointError,
    Run,
    checkpoint_name,
    damaged_checkpoints,
    list_checkpoints,
    newest_good_checkpoint,
    prune_checkpoints,
    read_verified,
    write_checkpoint,
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path)


def test_a_pipe_among_the_checkpoints_keeps_nobody(run: Run) -> None:
    good = write_checkpoint(run, 3, b"whole")
    pipe = run.checkpoints / f"5-{'0' * 16}.pt"
    os.mkfifo(pipe)
    found: list[object] = []

    def look() -> None:
        with pytest.raises(CheckpointError, match="no regular file"):
            read_verified(pipe)
        found.extend([newest_good_checkpoint(run), damaged_checkpoints(run)])

    reader = threading.Thread(target=look, daemon=True)
    reader.start()
    reader.join(PATIENCE)
    assert found == [list_checkpoints(run)[0], []]
    assert list_checkpoints(run)[0].path == good


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_the_name_holds_step_and_digest(run: Run) -> None:
    path = write_checkpoint(run, 500, b"weights")
    assert (
        path.name
        == f"500-{hashlib.sha256(b'weights').hexdigest()[:16]}.pt"
        == checkpoint_name(500, b"weights")
    )
    assert read_verified(path) == b"weights"
    assert [name.name for name in run.checkpoints.iterdir()] == [path.name]


@pytest.mark.parametrize("at", [0, 3, -1])
def test_one_flipped_bit_is_found_and_the_one_before_is_used(run: Run, at: int) -> None:
    good = write_checkpoint(run, 90, b"before")
    bad = write_checkpoint(run, 1000, b"weights")
    _flip(bad, at)
    with pytest.raises(CheckpointError, match=f"{bad.name} is damaged"):
        read_verified(bad)
    newest = newest_good_checkpoint(run)
    assert newest is not None and (newest.step, newest.path) == (90, good)
    _flip(good, at)
    assert newest_good_checkpoint(run) is None


def test_a_checkpoint_that_is_gone_or_none_is_named(run: Run) -> None:
    with pytest.raises(CheckpointError, match="cannot read checkpoint"):
        read_verified(run.checkpoints / checkpoint_name(1, b""))
    with pytest.raises(CheckpointError, match=r"STEP-DIGEST\.pt"):
        read_verified(run.status_path)


def test_steps_are_numbers_and_strangers_are_passed_over(run: Run) -> None:
    for step in (1000, 20, 300):
        write_checkpoint(run, step, b"%d" % step)
    for stranger in (".500-0123456789abcdef.pt.1.aa", "note.txt", "12-xyz.pt", "-1-0123456789abcdef.pt"):
        (run.checkpoints / stranger).write_bytes(b"")
    assert [checkpoint.step for checkpoint in list_checkpoints(run)] == [20, 300, 1000]


def test_kept_are_the_best_the_last_two_and_what_was_asked(run: Run) -> None:
    paths = {step: write_checkpoint(run, step, b"%d" % step) for step in range(100, 800, 100)}
    torn = run.checkpoints / ".800-0123456789abcdef.pt.77.ab"
    torn.write_bytes(b"half")
    prune_checkpoints(run, {300, 50}, [paths[200].name])
    assert [checkpoint.step for checkpoint in list_checkpoints(run)] == [200, 300, 600, 700]
    assert not torn.exists()


def test_of_one_step_the_newer_file_is_kept_and_the_best_too(run: Run) -> None:
    """A run that crashed and was resumed may write a step twice with other bytes."""
    older, best = write_checkpoint(run, 100, b"a"), write_checkpoint(run, 100, b"b")
    newer = write_checkpoint(run, 100, b"c")
    for age, path in enumerate((newer, best, older)):
        os.utime(path, (1e9 - age, 1e9 - age))
    newest = newest_good_checkpoint(run)
    assert newest is not None and newest.path == newer
    prune_checkpoints(run, best_files=[best.name])
    assert {checkpoint.path for checkpoint in list_checkpoints(run)} == {newer, best}


def test_a_write_that_fails_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.runs.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(run, 1, b"weights")
    assert list(run.checkpoints.iterdir()) == []


def test_damaged_checkpoints_are_none_of_the_last_two(run: Run) -> None:
    """Else those that a resumed run writes after them would push out the last good ones."""
    paths = [write_checkpoint(run, step, b"%d" % step) for step in (100, 200, 300, 400)]
    for path in paths[2:]:
        _flip(path, 0)
    damaged = [each.path.name for each in damaged_checkpoints(run)]
    assert damaged == [path.name for path in paths[2:]]
    prune_checkpoints(run, damaged=damaged)
    assert [each.path for each in list_checkpoints(run)] == paths[:2]
