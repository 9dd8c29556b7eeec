"""Run directories: made locked, found again, and one writer only."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from fake_runs import make_run, make_spec

from engine.errors import RequestError
from engine.presets import load_spec, training_key
from engine.runs import Run, acquire, adopt, all_runs, create_run, find_run, is_held, read_status, runs_folder
from engine.runs.store import check_unchanged


def test_a_new_run_holds_its_spec_and_is_queued(tmp_path: Path) -> None:
    spec = make_spec(seed=3)
    run, descriptor = create_run(tmp_path / "deep" / "runs", spec)
    assert load_spec(run.spec_path) == spec
    assert yaml.safe_load(run.spec_path.read_text())["key"] == training_key(spec)
    status = read_status(run)
    assert (status.state, status.step, status.steps, status.pid) == ("queued", 0, 40, None)
    assert run.id.endswith(run.id[-4:]) and "-maml-sine-10shot-s3-" in run.id
    assert [path.name for path in run.path.parent.iterdir()] == [run.id]
    os.close(descriptor)


def test_a_name_becomes_a_folder_that_cannot_leave_the_runs_folder(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec(), "../../etc/[bold]évil\n")
    os.close(descriptor)
    assert run.path.parent == tmp_path
    assert "/" not in run.id and "[" not in run.id and "\n" not in run.id
    assert read_status(run).summary["name"] == "../../etc/[bold]évil\n"


def test_a_launch_that_meets_another_of_its_name_leaves_that_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runs.store.new_id", lambda spec, name: "same")
    other = tmp_path / ".new-same"
    (other / "control").mkdir(parents=True)
    with pytest.raises(RequestError, match="cannot make a run in"):
        create_run(tmp_path, make_spec())
    assert [path.name for path in other.iterdir()] == ["control"]


@pytest.mark.parametrize("text", ["x" * 5000, "y" * 300 + "/z", "a\0b", "~" + "y" * 5000])
def test_what_no_run_can_be_named_is_told_in_a_line(tmp_path: Path, text: str) -> None:
    make_run(tmp_path)
    with pytest.raises(RequestError, match=r"^no run '.{1,210}' in ") as caught:
        find_run(tmp_path, text)
    assert len(str(caught.value)) < 500


def test_the_lock_is_never_free_while_a_run_is_made(tmp_path: Path) -> None:
    """Readers that look as fast as they can see every run locked from the first instant it has a name."""
    free: list[str] = []
    over = threading.Event()
    looks = 0

    def look() -> None:
        nonlocal looks
        while not over.is_set():
            for run in all_runs(tmp_path):
                looks += 1
                if not is_held(run) or read_status(run).state != "queued":
                    free.append(run.id)

    reader = threading.Thread(target=look)
    reader.start()
    made = [create_run(tmp_path, make_spec(seed)) for seed in range(12)]
    over.set()
    reader.join()
    assert looks and not free
    for _, descriptor in made:
        os.close(descriptor)


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec())
    with pytest.raises(RequestError, match="second writer"):
        acquire(run, wait=0.1)
    os.close(descriptor)
    again = acquire(run, wait=0.1)
    assert is_held(run)
    os.close(again)
    assert not is_held(run)


def test_a_writer_waits_out_a_reader_that_looks(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    reader = os.open(run.lock_path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    threading.Timer(0.3, os.close, [reader]).start()
    os.close(acquire(run))


def test_a_run_that_is_gone_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no run gone"):
        acquire(Run(tmp_path / "gone"))


def test_adopting_another_file_is_refused(tmp_path: Path) -> None:
    run, descriptor = create_run(tmp_path, make_spec())
    stranger = os.open(run.status_path, os.O_RDONLY)
    with pytest.raises(RequestError, match="does not hold"):
        adopt(run.lock_path, stranger)
    with pytest.raises(RequestError, match="does not hold"):
        adopt(run.lock_path, 999)
    other = os.open(run.lock_path, os.O_RDONLY)
    with pytest.raises(RequestError, match="does not hold"):
        adopt(run.lock_path, other)
    os.set_inheritable(descriptor, True)
    adopt(run.lock_path, descriptor)
    assert not os.get_inheritable(descriptor)
    for each in (stranger, other, descriptor):
        os.close(each)


def test_a_folder_that_cannot_hold_runs_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=r"cannot make a run in .*--runs-dir"):
        create_run(tmp_path / "file", make_spec())
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    if not os.access(locked, os.W_OK):
        with pytest.raises(RequestError, match="cannot make a run"):
            create_run(locked, make_spec())


def test_nothing_is_left_when_making_a_run_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.runs.store._write_first_files", full)
    with pytest.raises(RequestError, match="No space left"):
        create_run(tmp_path, make_spec())
    assert list(tmp_path.iterdir()) == []


def test_runs_are_found_by_id_part_name_and_path(tmp_path: Path) -> None:
    first, second = make_run(tmp_path, seed=1), make_run(tmp_path, seed=2, name="tuned [x]")
    third = make_run(tmp_path, seed=3, name="tuned [x]")
    assert find_run(tmp_path, first.id) == first
    assert find_run(tmp_path, first.id[-9:]) == first
    assert find_run(tmp_path, f"{first.id[4:8]}-{first.id.rpartition('-')[2]}") == first
    assert find_run(tmp_path, str(second.path)) == second
    assert find_run(tmp_path, "tuned [x]") == third
    with pytest.raises(RequestError, match="fits 2 runs"):
        find_run(tmp_path, "tuned-x")
    with pytest.raises(RequestError, match=f"nearest: {first.id}"):
        find_run(tmp_path, first.id[:-2] + "zz")
    for text in ("", "/", ".", ".trash"):
        with pytest.raises(RequestError, match="no run"):
            find_run(tmp_path, text)


def test_the_runs_folder_is_the_first_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("KSHOT_RUNS", raising=False)
    assert runs_folder() == tmp_path / "data" / "kshot" / "runs"
    monkeypatch.setenv("KSHOT_RUNS", str(tmp_path / "given"))
    assert runs_folder() == tmp_path / "given"
    assert runs_folder(Path("mine")) == Path.cwd() / "mine"


def test_importing_the_store_costs_neither_torch_nor_pydantic() -> None:
    code = "import sys, engine.runs; print(*{'torch', 'pydantic', 'yaml', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_spec_with_a_flipped_bit_trains_nothing_else_silently(tmp_path: Path) -> None:
    run = make_run(tmp_path, seed=3)
    summary = read_status(run).summary
    check_unchanged(run, load_spec(run.spec_path), summary)
    whole = run.spec_path.read_text()
    for old, new in (("iterations: 40", "iterations: 42"), ("seed: 3", "seed: 2")):
        assert old in whole
        run.spec_path.write_text(whole.replace(old, new))
        with pytest.raises(RequestError, match=r"spec\.yaml is not what the run was begun with"):
            check_unchanged(run, load_spec(run.spec_path), summary)
        # Another version's keys say nothing.
        check_unchanged(run, load_spec(run.spec_path), {**summary, "numerics": 0})
