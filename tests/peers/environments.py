"""An environment for each peer, made by `uv` outside the repository and kept for the next time."""

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

INSTALL_SECONDS = 1800.0


class Peer(NamedTuple):
    """A library to measure: its name, its program here, and how it is installed."""

    name: str
    program: str
    installs: tuple[tuple[str, ...], ...]
    """What `uv pip install` is given, one call after the other; `{torch}` stands for kshot's own PyTorch."""


PEERS = (
    Peer(
        "learn2learn",
        "with_learn2learn.py",
        (
            # What `import learn2learn` needs; the rest of what it asks for is for solvers and downloads.
            ("{torch}", "numpy", "torchvision", "scipy", "requests", "tqdm", "gym"),
            # Its C sources were made for Pythons before 3.11; `build_ext` makes them anew.
            ("--no-deps", "--no-binary", "learn2learn", "-C--build-option=build_ext", "learn2learn"),
        ),
    ),
    Peer("higher", "with_higher.py", (("{torch}", "numpy", "higher"),)),
    Peer("TorchOpt", "with_torchopt.py", (("{torch}", "numpy", "torchopt"),)),
    Peer("JAX", "with_jax.py", (("jax", "numpy"),)),
)


class NoPeerError(Exception):
    """A peer cannot be had here; its text is the reason in one line."""


def environment(peer: Peer, folder: Path) -> Path:
    """The Python of the peer's own environment in `folder`, made now if it never was.

    Raises:
        NoPeerError: there is no uv, or it could not install the peer.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise NoPeerError("there is no uv here")
    torch = f"torch=={version('torch').partition('+')[0]}"
    calls = [[argument.format(torch=torch) for argument in call] for call in peer.installs]
    made_of = repr((sys.version_info[:3], calls))
    home = folder / f"{peer.name.lower()}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
    python, whole = home / "bin" / "python", home / "whole"
    if whole.exists():
        return python
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    print(f"{peer.name}: making its environment", file=sys.stderr, flush=True)
    _call([uv, "venv", "--python", sys.executable, str(home)])
    for call in calls:
        _call([uv, "pip", "install", "--python", str(python), *call])
    whole.touch()
    return python


def _call(command: list[str]) -> None:
    surroundings = {n: v for n, v in os.environ.items() if n not in ("VIRTUAL_ENV", "PYTHONPATH")}
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS, env=surroundings
        )
    except subprocess.CalledProcessError as fault:
        raise NoPeerError(_reason(fault.stderr)) from None
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise NoPeerError(str(fault)) from None


def _reason(said: str) -> str:
    """The line of an error output that says most: the last one with an error in it, or the last one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()]
    return (telling or lines or ["uv failed without a word"])[-1]
