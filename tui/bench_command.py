"""`kshot bench`: seconds per meta-iteration on this machine, measured by a worker process."""

import json as reader
import subprocess
import tempfile
from typing import Annotated

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
    from engine.runs.processes import worker_command, worker_environment
    from tui.numbers import size

    if device is not None:
        option_layer("--device", "device", device)
    command = worker_command(
        "bench", "--device", device or "auto", "--workload", workload, "--seconds", str(seconds)
    )
    rows = []
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
                say(f"{rows[-1]['workload']}, {rows[-1]['path']}: {rows[-1]['seconds_per_iteration']:.4f} s")
        except KeyboardInterrupt:
            child.terminate()
            raise
        child.wait()
        said_there.seek(0)
        said = said_there.read().strip()
    if child.returncode == 2:
        say(said.splitlines()[-1] if said else "kshot: the bench was refused")
        return 2
    if child.returncode != 0:
        say(f"kshot: the bench ended with code {child.returncode}: {(said or 'no word').splitlines()[-1]}")
        return 1
    if json:
        emit_json({"rows": rows})
        return 0
    shown = [
        [
            row["workload"],
            row["path"],
            f"{row['seconds_per_iteration']:.4g} s",
            f"{row['ratio_to_loop']:.2f}",
            size(row["peak_bytes"]),
        ]
        for row in rows
    ]
    emit(
        columns(
            ["workload", "path", "an iteration", "times the loop's speed", "peak memory"],
            shown,
            right=(2, 3, 4),
        )
    )
    return 0
