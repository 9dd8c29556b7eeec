"""Texts, paths and flags on the command line, read without pydantic.

Newer typer imports pydantic to convert any value, given or left out: a tenth of a second and more in front of
every command. Texts need no conversion. Where typer has no such hook, nothing is done, nothing lost but time.
"""

from pathlib import Path
from typing import Any

import typer.core


def read_texts_plainly() -> None:
    """Makes typer read texts, paths, flags and lists of texts by `PlainReader`, other types as before."""
    usual = getattr(typer.core, "build_runtime_param", None)
    if usual is None or getattr(usual, "reads_plainly", False):
        return

    def build(descriptor: Any) -> Any:
        kind = descriptor.annotation
        return PlainReader(kind) if kind in (str, Path, bool, list[str]) else usual(descriptor)

    build.reads_plainly = True  # type: ignore[attr-defined]
    typer.core.build_runtime_param = build


class PlainReader:
    """Converts what stood on the command line to one text, one path, a flag or a list of texts."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as the command takes it; a parameter that was not given stays None, a list empty."""
        if self.kind == list[str]:
            return [str(item) for item in value or ()]
        return None if value is None else self.kind(value)
