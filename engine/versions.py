"""Which code this is: the release, the version of the numbers, and a digest of the engine's own files."""

import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from engine.presets.training_key import NUMERICS_VERSION


@lru_cache(maxsize=1)
def code_version() -> dict[str, Any]:
    """`version` of kshot, `numerics` (NUMERICS_VERSION), and `engine`, 8 hex digits of its sources."""
    try:
        release = metadata.version("kshot")
    except metadata.PackageNotFoundError:
        release = "not installed"
    return {"version": release, "numerics": NUMERICS_VERSION, "engine": _digest(Path(__file__).parent)}


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:8]
