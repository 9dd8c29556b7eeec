"""Seconds per meta-iteration on this machine: the generic path and the fused one against the plain loop over
tasks, which the bench checks against each other before it times them; and several seeds in one process
against one by one, whose equality the tests check."""

import json
from collections.abc import Sequence

from engine.bench.measuring import measure
from engine.bench.seeds import NAME as SEEDS_NAME
from engine.bench.seeds import measure_seeds
from engine.bench.ways import Bench, prepare
from engine.bench.workloads import WORKLOADS, Workload, spec_of
from engine.devices import device_name
from engine.errors import RequestError
from engine.torch_device import torch_device

__all__ = ["WORKLOADS", "Bench", "Workload", "main", "measure", "prepare"]


def main(options: Sequence[str]) -> int:
    """Prints a row of JSON a line for every workload whose name holds the given text; `--device`,
    `--seconds`.

    Raises:
        RequestError: no workload fits.
    """
    settings = dict(zip(options[::2], options[1::2], strict=False))
    wanted = settings.get("--workload", "")
    chosen = [w for w in WORKLOADS if wanted in w.name]
    if not chosen and wanted not in SEEDS_NAME:
        names = [*(w.name for w in WORKLOADS), SEEDS_NAME]
        raise RequestError(f'no workload is called "{wanted}"; there are {", ".join(names)}')
    asked = settings.get("--device", "auto")
    device = torch_device(device_name(asked), asked)
    for workload in chosen:
        for row in measure(workload, device, float(settings.get("--seconds", "3"))):
            print(json.dumps(row), flush=True)
    if wanted in SEEDS_NAME and device.type == "cpu":
        for row in measure_seeds(spec_of(WORKLOADS[-1]), float(settings.get("--seconds", "3"))):
            print(json.dumps(row), flush=True)
    return 0
