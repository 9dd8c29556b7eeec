"""The kernels, compiled once on the machine that they run on and kept in the cache folder."""

import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from engine.folders import cache_folder

FOLDER = Path(__file__).parent
FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-fopenmp")
COMPILE_SECONDS = 120.0


class NoKernelsError(Exception):
    """The kernels cannot be had here; its text is the reason."""


@lru_cache
def kernels(name: str = "kernels") -> ctypes.CDLL:
    """The compiled kernels of `NAME.cpp`, compiled now if they never were.

    Raises:
        NoKernelsError: off Linux, without a C++ compiler, or where it fails.
    """
    if sys.platform != "linux":
        raise NoKernelsError("compiled kernels are built on Linux alone")
    compiler, source = _compiler(), FOLDER / f"{name}.cpp"
    library = cache_folder() / "kernels" / f"{_fingerprint(compiler, source)}.so"
    try:
        if not library.exists():
            _compile(compiler, source, library)
        _share_threads()
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.SubprocessError) as fault:
        raise NoKernelsError(f"the kernels could not be compiled: {_first_line(fault)}") from None


def why_not() -> str | None:
    """Why there are no kernels here; None where there are."""
    try:
        kernels()
    except NoKernelsError as reason:
        return str(reason)
    return None


def _compiler() -> str:
    for name in (os.environ.get("CXX", ""), "g++", "c++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise NoKernelsError("there is no C++ compiler (g++) here")


def _fingerprint(compiler: str, source: Path) -> str:
    """Names what kernels depend on: their source, the compiler and its flags, and the processor."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=20).stdout
    text = source.read_text()
    headers = [(FOLDER / name).read_text() for name in re.findall(r'^#include "(.+)"', text, re.M)]
    parts = ("".join([text, *headers]).encode(), version, " ".join(FLAGS).encode(), _processor().encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:20]


def _processor() -> str:
    try:
        known = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    lines = [re.search(rf"^{name}\s*:.*$", known, re.M) for name in ("model name", "flags", "Features")]
    return platform.machine() + "".join(line[0] for line in lines if line)


def _compile(compiler: str, source: Path, library: Path) -> None:
    """Compiles beside its place and moves it there, so that a half-written library never stands there."""
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        compiled, linked = Path(folder) / "kernels.o", Path(folder) / "kernels.so"
        for command in (
            [compiler, *FLAGS, "-c", str(source), "-o", str(compiled)],
            # Without an OpenMP of its own: the threads are PyTorch's.
            [compiler, "-shared", str(compiled), "-o", str(linked)],
        ):
            subprocess.run(command, capture_output=True, check=True, timeout=COMPILE_SECONDS)
        linked.replace(library)


def _share_threads() -> None:
    """Lets the kernels find the OpenMP that PyTorch has loaded: two of them would fight for the cores."""
    import torch

    torch.get_num_threads()
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if re.search(r"/lib(gomp|iomp5|omp)[^/]*\.so", path):
            ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
            return


def _first_line(fault: Exception) -> str:
    said = getattr(fault, "stderr", None)
    text = said.decode(errors="replace") if isinstance(said, bytes) and said else str(fault)
    return next((line for line in text.splitlines() if "error" in line), text.splitlines()[0] if text else "")
