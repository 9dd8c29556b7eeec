"""Faults of the machine, one after another: a full disk, a quota, folders that cannot be written, data that
are gone. `fault_scenes.py FOLDER [mounts]` prints what was not as it should be, as JSON; with `mounts` it may
mount file systems (it then runs in a name space of its own)."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import data_sets
from fault_driver import Storm

from engine.errors import RequestError
from engine.runs import Run, create_run, processes, read_status, resume_run, start_worker

SINE = [
    "training.iterations=120",
    "training.record_every=5",
    "training.checkpoint_every=20",
    "training.validation.every=40",
    "training.validation.episodes=5",
    "training.tasks_per_batch=4",
    "training.keep=[20,40,60,80,100]",
]
IMAGES = [
    *SINE,
    "training.iterations=24",
    "training.checkpoint_every=4",
    "training.validation.every=8",
    "training.keep=[]",
    "task.dataset=folder",
    "task.folder=mine",
    "task.image_size=8",
    "task.channels=3",
    "task.ways=2",
    "task.queries=1",
    "training.queries=1",
    "model.filters=2",
]


class Scenes(Storm):
    """Runs of one spec, each under a fault that lasts until it is mended by hand."""

    def __init__(self, folder: Path, task: str, overrides: list[str]) -> None:
        wanted = {"folder": str(folder), "kills": 0, "seed": 0, "task": task, "algorithm": "maml"}
        super().__init__({**wanted, "overrides": overrides})
        folder.mkdir(exist_ok=True)
        self.limit = 0

    def spawn(self, arguments: Any, log: Path, data_dir: Any = None, descriptors: Any = ()) -> Any:
        """A worker that may write no file beyond `limit` bytes, where there is a limit."""
        # The limit is inherited; this process writes only small files, and its own is put back.
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        if self.limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, before[1]))
        try:
            return super().spawn(arguments, log, data_dir, descriptors)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def undisturbed(self) -> Run:
        """The training as it should be."""
        processes.spawn = self.spawn  # type: ignore[assignment]
        whole = self.begin("whole", {})
        self.wait()
        self.expect(read_status(whole).state == "finished", whole, f"{read_status(whole)}")
        return whole

    def failing(self, name: str, reason: str, spoil: Callable[[Run], object]) -> Run:
        """A run that something is done to before its worker begins; it must fail for that reason, in one line
        that says how to go on."""
        self.faults = {"clock": 0}
        run, lock = create_run(self.folder / name, self.spec)
        self.witnessed(run).touch()
        spoil(run)
        start_worker(run, lock)
        self.wait()
        self.failed(run, reason)
        return run

    def failed(self, run: Run, reason: str) -> None:
        """Whether the run says that it failed, and why."""
        status = read_status(run)
        self.expect((status.state, reason in (status.error or "")) == ("failed", True), run, f"{status}")
        said = run.log_path.read_text() if run.log_path.is_file() else ""
        self.expect("Traceback" not in said, run, said)

    def mended(self, whole: Run, run: Run) -> None:
        """Goes on with the run, which must come to the undisturbed one's bytes."""
        resume_run(run)
        self.wait()
        self.expect(read_status(run).state == "finished", run, f"{read_status(run)}")
        if not self.problems:
            self.compare(whole, run)


def of_files(folder: Path, mounts: bool) -> list[str]:
    """What a disk and its folders may do to a training."""
    scenes = Scenes(folder, "sine-10shot", SINE)
    whole = scenes.undisturbed()

    scenes.limit = 16 * 1024
    run = scenes.failing("quota", "File too large", lambda run: None)
    scenes.limit = 0
    scenes.mended(whole, run)

    def in_the_way(run: Run) -> None:
        run.checkpoints.rmdir()
        run.checkpoints.write_text("no folder")

    run = scenes.failing("file", "checkpoints: File exists", in_the_way)
    run.checkpoints.unlink()
    scenes.mended(whole, run)

    if mounts:
        small = folder / "small"
        small.mkdir()
        mount("-t", "tmpfs", "-o", "size=160k", "none", str(small))
        run = scenes.failing("small", "No space left on device; the last good checkpoint", lambda run: None)
        mount("-o", "remount,size=16m", str(small))
        scenes.mended(whole, run)

        def read_only(run: Run) -> None:
            mount("--bind", str(run.checkpoints), str(run.checkpoints))
            mount("-o", "remount,ro,bind", str(run.checkpoints))

        run = scenes.failing("closed", "Read-only file system", read_only)
        subprocess.run(["umount", str(run.checkpoints)], check=True)
        scenes.mended(whole, run)
    return scenes.problems


def of_data(folder: Path) -> list[str]:
    """The data are unplugged under a training that was stopped."""
    scenes = Scenes(folder, "glyphs-5way-1shot", IMAGES)
    data_sets.write_own_images(folder / "data" / "mine")
    os.environ["KSHOT_DATA"] = str(folder / "data")
    whole = scenes.undisturbed()
    run = scenes.begin("unplugged", {"how": "before", "at": 50})
    scenes.wait()
    shutil.move(folder / "data" / "mine", folder / "away")
    shutil.rmtree(os.environ["KSHOT_CACHE"] + "/images", ignore_errors=True)
    scenes.faults = {"clock": 0}
    try:
        resume_run(run)
        scenes.wait()
        scenes.failed(run, "mine")
    except RequestError as error:
        scenes.expect("mine" in str(error), run, str(error))
    shutil.move(folder / "away", folder / "data" / "mine")
    scenes.mended(whole, run)
    return scenes.problems


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def main() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    problems = of_files(folder / "files", "mounts" in sys.argv[2:]) + of_data(folder / "images")
    print(json.dumps(problems))


if __name__ == "__main__":
    main()
