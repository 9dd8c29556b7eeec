"""Workers: handed the lock without a gap, killed, stopped, resumed, forked; and the queue for a device."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_runs import kill, launch, make_run, make_spec, use_fake_worker, wait_until

from engine.errors import RequestError
from engine.presets import load_spec
from engine.runs import (
    Run,
    ask,
    asked,
    clear,
    create_run,
    fork_run,
    is_held,
    processes,
    read_events,
    read_status,
    resume_run,
    start_worker,
)


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    yield
    for child in processes._children:
        kill(child.pid)
        child.wait()
    processes._children.clear()


def _steps(run: Run) -> list[int]:
    return [event["step"] for event in read_events(run.events_path)[0] if event["kind"] == "train"]


def test_a_run_trains_detached_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, 5, 0.02)
    run, pid = launch(tmp_path)
    assert os.getsid(pid) == pid != os.getsid(0)
    wait_until(lambda: read_status(run).state == "finished")
    assert read_status(run).pid == pid and _steps(run) == [1, 2, 3, 4, 5]
    wait_until(lambda: not is_held(run))
    assert run.log_path.read_bytes() == b""


def test_the_lock_is_handed_over_without_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From before the worker starts until it says `running`, no look finds the lock free."""
    use_fake_worker(monkeypatch, 1000, 0.05)
    run, descriptor = create_run(tmp_path, make_spec())
    looks: list[bool] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            looks.append(is_held(run) and read_status(run).state != "crashed")

    reader = threading.Thread(target=look)
    reader.start()
    start_worker(run, descriptor)
    wait_until(lambda: read_status(run).state == "running")
    over.set()
    reader.join()
    assert len(looks) > 50 and all(looks)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_kill_9_is_a_crash_and_resume_finishes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, 12, 0.05)
    run, pid = launch(tmp_path)
    wait_until(lambda: read_status(run).step >= 2)
    with pytest.raises(RequestError, match=f"second writer.*process {pid}"):
        resume_run(run)
    kill(pid)
    wait_until(lambda: read_status(run).state == "crashed")
    with pytest.raises(RequestError, match="is crashed"):
        ask(run, "stop")
    (run.control / "stop").touch()  # asked of the worker that died; the next one is not meant
    resume_run(run)
    wait_until(lambda: read_status(run).state == "finished")
    assert set(_steps(run)) == set(range(1, 13)) and read_status(run).error is None
    assert "resumed" in [event["kind"] for event in read_events(run.events_path)[0]]
    with pytest.raises(RequestError, match="is finished"):
        resume_run(run)


def test_a_suspended_worker_still_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, 1000, 0.05)
    run, pid = launch(tmp_path)
    wait_until(lambda: read_status(run).state == "running")
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.3)
    assert read_status(run).state == "running"
    os.kill(pid, signal.SIGCONT)


def test_stop_is_asked_by_a_file_and_obeyed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, 1000, 0.02)
    run, _ = launch(tmp_path)
    ask(run, "stop")  # at once, while it is still queued: not lost
    assert asked(run) == {"stop"}
    wait_until(lambda: read_status(run).state == "stopped")
    assert asked(run) == set()
    for word in ("pause", "checkpoint"):
        (run.control / word).touch()
    (run.control / "dance").touch()
    assert asked(run) == {"pause", "checkpoint"}
    clear(run, "pause")
    assert asked(run) == {"checkpoint"}
    clear(run)
    assert asked(run) == set()
    with pytest.raises(RequestError, match="cannot be asked to 'dance'"):
        ask(run, "dance")


def test_closing_the_launchers_terminal_leaves_the_run(tmp_path: Path) -> None:
    """A launcher that is hung up, interrupted and killed takes no worker with it."""
    code = (
        "import sys, signal, time; sys.path.insert(0, sys.argv[2])\n"
        "import pytest; from pathlib import Path; from fake_runs import launch, use_fake_worker\n"
        "use_fake_worker(pytest.MonkeyPatch(), 20, 0.03)\n"
        "run, pid = launch(Path(sys.argv[1])); print(run.path, pid, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert launcher.stdout is not None
    folder, pid = launcher.stdout.readline().split()
    run = Run(Path(folder))
    wait_until(lambda: read_status(run).state == "running")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
        os.killpg(launcher.pid, number)
    launcher.wait()
    launcher.stdout.close()
    wait_until(lambda: read_status(run).state == "finished")
    assert read_status(run).pid == int(pid)


def test_a_worker_that_cannot_be_started_is_a_failed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "worker_command", lambda *_: [str(tmp_path / "no-such-program")])
    run, descriptor = create_run(tmp_path, make_spec())
    with pytest.raises(RequestError, match="cannot start a worker"):
        start_worker(run, descriptor)
    now = read_status(run)
    assert now.state == "failed" and "cannot start a worker" in (now.error or "") and not is_held(run)


def test_a_worker_that_dies_at_once_is_a_crash_with_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = [sys.executable, "-c", "import sys; sys.exit('no such library')"]
    monkeypatch.setattr(processes, "worker_command", lambda *_: program)
    run, _ = launch(tmp_path)
    wait_until(lambda: read_status(run).state == "crashed")
    assert b"no such library" in run.log_path.read_bytes()


def test_workers_import_this_engine_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder `engine` where the user stands does not shadow ours."""
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('the wrong engine')")
    monkeypatch.chdir(tmp_path)
    code = "import engine.errors, os; print(os.environ['KSHOT_DATA'], engine.__file__)"
    command = [*processes.worker_command()[:2], "-c", code]
    environment = processes.worker_environment(Path("/data"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    import engine

    assert done.stdout.split() == ["/data", engine.__file__]


def test_a_fork_is_a_new_run_with_other_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, 2, 0.01)
    run = make_run(tmp_path, state="stopped", step=9)
    forked, _ = fork_run(run, ["adaptation.learning_rate=0.5", "seed=4"], tmp_path, tmp_path, "faster")
    spec = load_spec(forked.spec_path)
    assert spec.adaptation.learning_rate == 0.5 and spec.seed == 4
    assert load_spec(run.spec_path).adaptation.learning_rate == 0.01
    wait_until(lambda: read_status(forked).state == "finished")
    assert read_status(forked).summary["name"] == "faster" and read_status(run).step == 9
    before = set(tmp_path.iterdir())
    with pytest.raises(RequestError, match="learning_rate"):
        fork_run(run, ["adaptation.learning_rat=0.5"], tmp_path, tmp_path)
    assert set(tmp_path.iterdir()) == before


def test_a_resumed_run_s_data_are_where_they_were(
    kshot: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, other, moved = (tmp_path / name for name in ("began", "other", "moved"))
    for folder in (began, other, moved):
        folder.mkdir()
    seen: list[Path] = []

    def spawn(arguments: object, log: Path, data_dir: Path, descriptors: object) -> SimpleNamespace:
        seen.append(data_dir)
        return SimpleNamespace(pid=1)  # and dies at once

    monkeypatch.setattr(processes, "spawn", spawn)
    monkeypatch.setenv("KSHOT_DATA", str(other))
    run, descriptor = create_run(tmp_path / "runs", make_spec())
    resume = ("--runs-dir", str(run.path.parent), "runs", "resume", run.id, "--detach")
    start_worker(run, descriptor, began)
    resume_run(run, other)  # as the workbench does
    said = kshot(*resume)[2]
    assert f"{run.id}: its data sets are in {began}, as when it began" in said
    kshot(*resume, "--data-dir", str(moved))
    kshot(*resume)
    moved.rmdir()
    assert "as when it began" not in kshot(*resume)[2]
    assert seen == [began, began, began, moved, moved, other]


def test_a_run_without_a_spec_cannot_go_on(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.spec_path.unlink()
    with pytest.raises(RequestError, match=r"no spec\.yaml"):
        resume_run(run)
    assert not is_held(run)


def test_a_run_whose_status_was_lost_goes_on_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lists and reuse look for is in its spec."""
    use_fake_worker(monkeypatch, 3, 0.01)
    run = make_run(tmp_path, seed=4)
    before = dict(read_status(run).summary)
    run.status_path.write_bytes(b"\0" * 300)
    resume_run(run)
    wait_until(lambda: read_status(run).state == "finished")
    found = read_status(run)
    names = ("kind", "task", "algorithm", "budget", "seed", "metric", "key")
    assert {name: found.summary[name] for name in names} == {name: before[name] for name in names}
    assert found.created is not None
