"""Getting data sets whose licence allows it, through torchvision's sources, into the data folder's layout.

torchvision imports torch, so it runs in a process of its own.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from engine.data.datasets import dataset_named
from engine.data.parts import published_classes
from engine.data.supply import locate
from engine.errors import RequestError
from engine.folders import data_folder
from engine.presets.schema import ImageTask

Progress = Callable[[str, float], None]

_NO_TORCHVISION = 3
_PROGRAM = Path(__file__).parent.parent / "download.py"
_FILE_OF_PART = {"train": "train", "validation": "val", "test": "test"}


def fetch(name: str, data_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """Fetch a data set and return the folder that now holds it; nothing is done where it is there already.

    Tells progress(what, fraction). Raises RequestError for a data set that cannot be fetched, no torchvision,
    a failed download or a data folder that cannot be written.
    """
    dataset = dataset_named(name)
    cifar = (169e6, _place_cifar)
    steps = {"omniglot": (15.8e6, _place_omniglot), "cifar-fs": cifar, "fc100": cifar}
    if name not in steps:
        raise RequestError(f"{name} cannot be fetched: {dataset.how}")
    folder = data_folder() if data_dir is None else data_dir
    here = _already(name, folder)
    if here is not None:
        return here
    size, place = steps[name]
    tell = progress or (lambda what, fraction: None)
    home = folder / dataset.folders[0]
    scratch = folder / f".fetch-{name}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(mode=0o700)
        _run(name, scratch, size, lambda fraction: tell(f"fetching {name}", fraction))
        place(scratch, home, lambda fraction: tell(f"placing {name} in {home}", fraction))
    except OSError as error:
        raise RequestError(f"{error.filename or folder} cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return home


def _already(name: str, folder: Path) -> Path | None:
    try:
        return next(iter(locate(ImageTask.model_validate({"dataset": name}), folder).values())).parent
    except RequestError:
        return None


def _run(name: str, scratch: Path, size: float, tell: Callable[[float], None]) -> None:
    log = scratch / "log.txt"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), name, str(scratch)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            while True:
                try:
                    code = child.wait(0.5)
                    break
                except subprocess.TimeoutExpired:
                    archives = (path for path in scratch.rglob("*") if path.suffix in (".zip", ".gz"))
                    tell(min(1.0, sum(path.stat().st_size for path in archives) / size))
        finally:
            child.kill()
            child.wait()
    if code == _NO_TORCHVISION:
        raise RequestError(
            "fetching needs torchvision, which is not installed: in a checkout say "
            "`uv run --extra fetch kshot data fetch ...`, elsewhere install torchvision beside kshot"
        )
    if code != 0:
        said = log.read_text(errors="replace").strip().splitlines()
        raise RequestError(f"fetching failed: {said[-1] if said else f'torchvision ended with code {code}'}")
    tell(1.0)


def _place_omniglot(scratch: Path, home: Path, tell: Callable[[float], None]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    for name in ("images_background.zip", "images_evaluation.zip"):
        (scratch / "omniglot-py" / name).replace(home / name)
    tell(1.0)


def _place_cifar(scratch: Path, home: Path, tell: Callable[[float], None]) -> None:
    """CIFAR-100's images, training and test ones together, by the class lists of CIFAR-FS: 600 a class."""
    images = np.load(scratch / "images.npy", mmap_mode="r")
    told = json.loads((scratch / "labels.json").read_text())
    labels, names = np.array(told["labels"]), told["classes"]
    parts = published_classes("cifar-fs")
    if parts is None or set(names) != frozenset().union(*parts.values()):
        raise RequestError(
            "fetching failed: the classes of torchvision's CIFAR-100 are not those of CIFAR-FS"
        )
    home.mkdir(parents=True, exist_ok=True)
    done = 0
    for part, listed in parts.items():
        archive = scratch / f"{_FILE_OF_PART[part]}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
            for name in sorted(listed):
                for number, index in enumerate(np.flatnonzero(labels == names.index(name))):
                    content = io.BytesIO()
                    Image.fromarray(images[index]).save(content, "PNG")
                    file.writestr(f"{_FILE_OF_PART[part]}/{name}/{number:04d}.png", content.getvalue())
                done += 1
                tell(done / len(names))
        archive.replace(home / archive.name)
