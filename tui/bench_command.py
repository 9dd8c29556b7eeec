"""`kshot bench`: seconds per meta-iteration on this machine, measured by a worker process."""

import json as reader
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from tui import options as given
from tui.output import columns, emit, emit_json, say


def bench(
    workload: Annotated[
        str, typer.Option("--workload", metavar="TEXT", help="Only workloads whose name holds this.")
    ] = "",
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="How long to time each way at least.")
    ] = 3.0,
    device: given.Device = None,
    json: given.Json = False,
) -> int:
    """Time a meta-iteration of named workloads.

    The plain loop over tasks is timed beside the engine's own ways."""
    from engine.presets.layers import option_layer
    from engine.runs.processes import worker_command

    if device is not None:
        option_layer("--device", "device", device)
    command = worker_command(
        "bench", "--device", device or "auto", "--workload", workload, "--seconds", str(seconds)
    )
    rows, code = _measured(command)
    if code:
        return code
    if json:
        emit_json({"rows": rows})
        return 0
    emit(
        columns(
            ["workload", "path", "an iteration", "times the loop's speed", "peak memory"],
            [_cells(row) for row in rows],
            right=(2, 3, 4),
        )
    )
    return 0


def _measured(command: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
    """The rows that a worker measures, each said when it comes; and the exit code, whose reason is said."""
    from engine.runs.processes import worker_environment

    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryFile("w+") as said_there,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said_there, text=True, env=worker_environment()
        ) as child,
    ):
        assert child.stdout is not None
        try:
            for line in child.stdout:
                row = reader.loads(line)
                if "note" in row:
                    say(row["note"])
                    continue
                rows.append(row)
                say(f"{row['workload']}, {row['path']}: {row['seconds_per_iteration']:.4f} s")
        except KeyboardInterrupt:
            child.terminate()
            raise
        child.wait()
        said_there.seek(0)
        said = said_there.read().strip()
    if child.returncode == 2:
        say(said.splitlines()[-1] if said else "kshot: the bench was refused")
        return rows, 2
    if child.returncode != 0:
        say(f"kshot: the bench ended with code {child.returncode}: {(said or 'no word').splitlines()[-1]}")
        return rows, 1
    return rows, 0


def _cells(row: Mapping[str, Any]) -> list[str]:
    from tui.numbers import size

    pace, ratio = row["seconds_per_iteration"], row["ratio_to_loop"]
    return [row["workload"], row["path"], f"{pace:.4g} s", f"{ratio:.2f}", size(row["peak_bytes"])]
