"""Small data sets for the tests: written in a temporary folder, shaped as the real ones."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from engine.presets.schema import ImageTask, Spec

_EVALUATION = """
Angelic Atemayar_Qelisayer Atlantean Aurek-Besh Avesta Ge_ez Glagolitic Gurmukhi Kannada Keble Malayalam
Manipuri Mongolian Old_Church_Slavonic_(Cyrillic) Oriya Sylheti Syriac_(Serto) Tengwar Tibetan ULOG
"""
EVALUATION_ALPHABETS = _EVALUATION.split()


def image_task(dataset: str, **keys: object) -> ImageTask:
    return ImageTask.model_validate({"dataset": dataset, **keys})


def spec(task: dict[str, object], **keys: object) -> Spec:
    return Spec.model_validate({"task": task, **keys})


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


def photograph(seed: int, height: int = 12, width: int = 12) -> bytes:
    return encoded(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def write_zip(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)


def write_own_images(home: Path, classes: int = 3, images: int = 4) -> None:
    """Parts train, val and test with CLASS/IMAGE.png, every image another."""
    for number, part in enumerate(("train", "val", "test")):
        for label in range(classes):
            folder = home / part / f"{part}-class{label}"
            folder.mkdir(parents=True)
            for index in range(images):
                (folder / f"{index}.png").write_bytes(photograph(1000 * number + 100 * label + index))


def omniglot_characters() -> list[str]:
    lists = Path(__file__).parents[1] / "engine/data/splits/omniglot-vinyals.txt"
    characters = set()
    for line in lists.read_text().splitlines():
        if not line.startswith("#"):
            _, alphabet, numbers = line.split()
            first, last = numbers.split("-")
            characters |= {f"{alphabet}/character{n:02d}" for n in range(int(first), int(last) + 1)}
    return sorted(characters)


def write_omniglot(home: Path, drawings: int = 2) -> None:
    """All 1,623 characters; drawing d of character c (in order) has c % 105 white and then black columns."""
    files: dict[str, list[tuple[str, bytes]]] = {"images_background": [], "images_evaluation": []}
    for number, character in enumerate(omniglot_characters()):
        evaluation = character.split("/")[0] in EVALUATION_ALPHABETS
        group = "images_evaluation" if evaluation else "images_background"
        pixels = np.ones((105, 105), bool)
        pixels[:, number % 105 :] = False
        content = encoded(pixels)
        files[group] += [(f"{group}/{character}/{number:04d}_{d:02d}.png", content) for d in range(drawings)]
    for group, members in files.items():
        write_zip(home / f"{group}.zip", members)
