"""The kernels, compiled once on the machine that they run on and kept."""

import ctypes
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from engine.errors import RequestError
from engine.fused.place import kernels_folder, open_to_others

FOLDER = Path(__file__).parent
FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-fopenmp")
COMPILE_SECONDS = 600.0
"""Four seconds of work; on a machine that does other things it may take a hundred times as long."""


class NoKernelsError(Exception):
    """The kernels cannot be had here; its text is the reason."""


def kernels(name: str = "kernels", bits: int = 32) -> ctypes.CDLL:
    """The compiled kernels of `NAME.cpp` for numbers of so many bits, compiled now if they never were.

    Raises:
        NoKernelsError: off Linux, without a C++ compiler, or where it fails.
    """
    found = _tried(name, bits)
    if isinstance(found, NoKernelsError):
        raise NoKernelsError(str(found))
    return found


@lru_cache
def _tried(name: str, bits: int) -> ctypes.CDLL | NoKernelsError:
    """The kernels, or why there are none; a process tries once, as a compiler may take minutes to fail."""
    try:
        library = compiled(name, bits)
        _share_threads()
        try:
            return ctypes.CDLL(str(library))
        except OSError:
            # Torn by a crash, or from a system with other libraries.
            library.unlink(missing_ok=True)
            return ctypes.CDLL(str(compiled(name, bits)))
    except OSError as fault:
        return NoKernelsError(f"the kernels cannot be loaded: {fault}")
    except NoKernelsError as reason:
        return reason


def compiled(name: str, bits: int = 32) -> Path:
    """Where the library of `NAME.cpp` for numbers of so many bits lies, compiled now if it never was. Imports
    no torch.

    Raises:
        NoKernelsError: there is no compiler, or it fails.
    """
    compiler, source = _compiler(), FOLDER / f"{name}.cpp"
    flags = (*FLAGS, f"-DBITS={bits}")
    try:
        folder, elsewhere = kernels_folder()
        if elsewhere is not None:
            _say(elsewhere)
        library = folder / f"{_fingerprint(compiler, source, flags)}.so"
        if not _is_ours(library):
            with library.with_suffix(".lock").open("w") as lock:
                # Whoever comes second finds it compiled.
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not _is_ours(library):
                    _compile(compiler, source, flags, library)
    except subprocess.TimeoutExpired:
        raise NoKernelsError(f"{compiler} did not end within {COMPILE_SECONDS:.0f} s") from None
    except (OSError, RequestError, subprocess.SubprocessError) as fault:
        raise NoKernelsError(f"the kernels could not be compiled: {_first_line(fault)}") from None
    return library


def why_not() -> str | None:
    """Why there are no kernels here; None where there are."""
    try:
        kernels()
    except NoKernelsError as reason:
        return str(reason)
    return None


def _is_ours(library: Path) -> bool:
    """Whether it is there to be loaded; one that may be another user's work is as good as none."""
    try:
        fault = open_to_others(library)
    except FileNotFoundError:
        return False
    if fault is not None:
        _say(f"{fault}, so it is compiled anew")
    return fault is None


@lru_cache
def _say(line: str) -> None:
    """Once, where a worker's words go: to the run's log."""
    print(f"kshot: {line}", file=sys.stderr, flush=True)


def _compiler() -> str:
    if sys.platform != "linux":
        raise NoKernelsError("compiled kernels are built on Linux alone")
    for name in (os.environ.get("CXX", ""), "g++", "c++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise NoKernelsError("there is no C++ compiler (g++) here")


def _fingerprint(compiler: str, source: Path, flags: Sequence[str]) -> str:
    """Names what kernels depend on: their source, the compiler and its flags, and the processor."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=20).stdout
    texts: dict[Path, str] = {}
    _read(source, texts)
    parts = ("".join(texts.values()).encode(), version, " ".join(flags).encode(), _processor().encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:20]


def _read(source: Path, texts: dict[Path, str]) -> None:
    """Adds its text, and those of what it includes of ours."""
    if source not in texts:
        texts[source] = source.read_text()
        for name in re.findall(r'^#include "(.+)"', texts[source], re.M):
            _read(FOLDER / name, texts)


def _processor() -> str:
    try:
        known = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    lines = [re.search(rf"^{name}\s*:.*$", known, re.M) for name in ("model name", "flags", "Features")]
    return platform.machine() + "".join(line[0] for line in lines if line)


def _compile(compiler: str, source: Path, flags: Sequence[str], library: Path) -> None:
    """Compiles beside its place and moves it there, so that a half-written library never stands there."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        compiled, linked = Path(folder) / "kernels.o", Path(folder) / "kernels.so"
        for command in (
            [compiler, *flags, "-c", str(source), "-o", str(compiled)],
            # Without an OpenMP of its own: those of its threads are PyTorch's.
            [compiler, "-shared", str(compiled), "-o", str(linked)],
        ):
            subprocess.run(command, capture_output=True, check=True, timeout=COMPILE_SECONDS)
        linked.chmod(linked.stat().st_mode & ~0o022)
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
    if isinstance(fault, subprocess.CalledProcessError):
        said = fault.stderr.decode(errors="replace").splitlines() if fault.stderr else []
        said = [line for line in said if "error" in line] or said
        return said[0] if said else f"{Path(fault.cmd[0]).name} ended with {fault.returncode}"
    return str(fault)
