"""`kshot doctor`: machine, device, data, terminal, or runs: what works and what does not."""

import json as reader
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import RequestError
from tui import options as given
from tui.output import columns, emit, emit_json, terminal_width, wrap

if TYPE_CHECKING:
    from engine.runs.diagnosis import Diagnosis

ASK_TORCH = (
    "import json, torch; m = getattr(torch.backends, 'mps', None); "
    "print(json.dumps({'version': torch.__version__, 'cuda': torch.cuda.is_available(), "
    "'names': [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())], "
    "'mps': bool(m and m.is_available()), 'sum': float(torch.ones(8).sum())}))"
)
Check = dict[str, Any]


Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN", help="Runs to look at; none: this machine.", autocompletion=given.complete_run
    ),
]


def doctor(
    runs: Runs = None,
    json: given.Json = False,
    runs_dir: given.RunsDir = None,
    data_dir: given.DataDir = None,
) -> int:
    """Say what works here, or what looks wrong with runs.

    With runs: what is wrong in a sentence each, and what to try. Exit code 1 where something that kshot needs
    does not work here, 2 for a run that is not there."""
    runs_folder, data_folder = given.folders(runs_dir, data_dir)
    if runs:
        return _doctor_runs(runs, runs_folder, json)
    checks = [_python(), *_torch(), _kernels(), _threads(), _slots(), _writable("runs folder", runs_folder)]
    checks += [_cache(), *_data(data_folder), *_presets(), _terminal()]
    ok = all(check["ok"] for check in checks if check.pop("needed"))
    if json:
        emit_json({"checks": checks, "ok": ok})
    else:
        emit(columns(["", "check", "detail"], _rows(checks)))
    return 0 if ok else 1


def _doctor_runs(names: list[str], runs_folder: Path, json: bool) -> int:
    from engine.runs import find_run
    from engine.runs.diagnosis import diagnose

    # All are found before the first is told: a wrong name leaves nothing on standard output.
    found = {run.path: run for run in (find_run(runs_folder, name) for name in names)}
    diagnoses = [diagnose(run) for run in found.values()]
    if json:
        emit_json([{"run": d.run.id, **finding.as_row()} for d in diagnoses for finding in d.findings])
    else:
        emit("\n\n".join(_diagnosis_text(each, terminal_width()) for each in diagnoses))
    return 0


def _diagnosis_text(diagnosis: "Diagnosis", width: int) -> str:
    """The run, its findings with what to try under each, and what is fine."""
    so_far = f", {diagnosis.done:,} of {diagnosis.planned:,} iterations" if diagnosis.planned else ""
    lines = [f"{diagnosis.run.id}: {diagnosis.state}{so_far}"]
    for finding in diagnosis.findings:
        lines.append(wrap(f"{finding.severity:<8} {finding.sentence}", width, " " * 9))
        lines.append(wrap(f"{'':<8} try: {finding.advice}", width, " " * 9))
    if diagnosis.fine:
        begin = "nothing looks wrong" if diagnosis.sound else "in order"
        lines.append(wrap(f"{begin}: {'; '.join(diagnosis.fine)}", width, " " * 9))
    elif diagnosis.sound and not diagnosis.note:
        lines.append("nothing looks wrong")
    if diagnosis.note:
        lines.append(wrap(diagnosis.note, width, " " * 9))
    return "\n".join(lines)


def _rows(checks: list[Check]) -> list[list[str]]:
    return [["ok" if check["ok"] else "no", check["name"], check["detail"]] for check in checks]


def _check(name: str, ok: bool, detail: str, needed: bool = True) -> Check:
    return {"name": name, "ok": ok, "detail": detail, "needed": needed}


def _python() -> Check:
    said = f"{platform.python_version()} at {sys.executable}, {platform.system()} {platform.machine()}"
    return _check("python", sys.version_info >= (3, 11), said)


def _torch() -> list[Check]:
    """torch's version and devices, asked in a process of its own: it takes seconds and may crash."""
    command = [sys.executable, "-P", "-c", ASK_TORCH]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        found = reader.loads(done.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        last = (
            done.stderr.strip().splitlines()[-1:]
            if isinstance(error, ValueError | IndexError)
            else [str(error)]
        )
        return [_check("torch", False, f"cannot be imported: {' '.join(last)}")]
    names = [f"cuda:{index} {name}" for index, name in enumerate(found["names"])] if found["cuda"] else []
    names += ["mps"] if found["mps"] else []
    devices = ", ".join(names) if names else "cpu only"
    return [_check("torch", found["sum"] == 8.0, found["version"]), _check("device", True, devices)]


def _kernels() -> Check:
    """Whether the fused path can be taken; the kernels are compiled now, if they never were."""
    from engine.fused.library import NoKernelsError, compiled
    from engine.whole_walks import kernels_off

    without = "PyTorch's operations do their work, several times slower"
    if (off := kernels_off()) is not None:
        return _check("kernels", True, f"{off}: {without}", needed=False)
    try:
        library = compiled("kernels")
    except NoKernelsError as reason:
        return _check("kernels", False, f"{reason}: {without}", needed=False)
    return _check("kernels", True, f"compiled, in {library.parent}", needed=False)


def _threads() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _check("threads", True, f"{cores} cores to train on, of {os.cpu_count()}")


def _slots() -> Check:
    from engine.runs.slots import slots_per_device

    try:
        slots = slots_per_device()
    except RequestError as error:
        return _check("slots", False, str(error))
    plural = "" if slots == 1 else "s"
    return _check("slots", True, f"{slots} training{plural} at a time on each device (KSHOT_SLOTS)")


def _cache() -> Check:
    from engine.data import cache_folder

    return _writable("cache folder", cache_folder())


def _writable(name: str, folder: Path) -> Check:
    """Whether a file can be made in the folder, or in the nearest one above it that exists."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".kshot-"):
            pass
    except OSError as error:
        return _check(name, False, f"{folder} cannot be written to: {error.strerror}")
    return _check(name, True, str(folder) if there == folder else f"{folder} (will be made)")


def _data(data_folder: Path) -> list[Check]:
    from engine.data import DATASETS, inspect
    from engine.presets.schema import ImageTask

    checks = []
    for name in DATASETS:
        if name == "folder":
            continue
        found = inspect(ImageTask.model_validate({"dataset": name}), data_folder)
        said = found.detail if found.present else "missing; kshot data list says how to get it"
        checks.append(_check(f"data: {name}", found.present, said, needed=False))
    return checks


def _presets() -> list[Check]:
    from engine.presets import list_presets

    try:
        presets = [preset for kind in ("tasks", "algorithms", "comparisons") for preset in list_presets(kind)]
    except RequestError as error:
        return [_check("presets", False, str(error))]
    broken = [f"{preset.name}: {preset.problem}" for preset in presets if preset.problem]
    return [_check("presets", bool(presets) and not broken, "; ".join(broken) or f"{len(presets)} found")]


def _terminal() -> Check:
    import shutil

    from tui.widgets.graphics import SETTING, drawn_by_terminal

    size = shutil.get_terminal_size()
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    colours = (
        "true colour"
        if os.environ.get("COLORTERM") in ("truecolor", "24bit")
        else os.environ.get("TERM", "none")
    )
    where = f"{size.columns} x {size.lines}" if sys.stdout.isatty() else "standard output is no terminal"
    fits = not sys.stdout.isatty() or (size.columns >= 80 and size.lines >= 24)
    ok = encoding == "utf8" and fits
    hint = "" if encoding == "utf8" else " (set LANG to a UTF-8 locale)"
    images = "drawn by it" if drawn_by_terminal() and colours == "true colour" else "in half blocks"
    said = f"{where}, {colours}, {sys.stdout.encoding}{hint}, images {images} ({SETTING})"
    return _check("terminal", ok, said, needed=False)
