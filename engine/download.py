"""Fetches a data set's archives through torchvision: a program of its own, `python download.py NAME FOLDER`.

It is run as a file by `engine.data.fetching`, which must not import torchvision, because that imports torch.
Exit code 3: torchvision is not installed.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

NO_TORCHVISION = 3


def main(name: str, folder: Path) -> int:
    """Downloads `omniglot`, or CIFAR-100 for `cifar-fs` (images.npy `[60000, 32, 32, 3]` and labels.json)."""
    try:
        sets: Any = importlib.import_module("torchvision.datasets")
    except ImportError as error:
        print(error, file=sys.stderr)
        return NO_TORCHVISION
    if name == "omniglot":
        for background in (True, False):
            sets.Omniglot(str(folder), background=background, download=True)
        return 0
    parts = [sets.CIFAR100(str(folder), train=train, download=True) for train in (True, False)]
    np.save(folder / "images.npy", np.concatenate([part.data for part in parts]))
    labels = [int(label) for part in parts for label in part.targets]
    text = json.dumps({"labels": labels, "classes": parts[0].classes})
    (folder / "labels.json").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
