"""Preset names by looking at folders alone, for the shell's completion: no file is opened."""

import os
from pathlib import Path

from engine.folders import at_home


def preset_names(kind: str) -> list[str]:
    """The names of all presets of a kind, shipped and the user's (KSHOT_PRESETS), sorted."""
    shipped = Path(__file__).resolve().parent.parent / "presets"
    own = os.environ.get("KSHOT_PRESETS", "")
    folders = [shipped, *([at_home(own)] if own else [])]
    return sorted({path.stem for folder in folders for path in (folder / kind).glob("*.yaml")})
