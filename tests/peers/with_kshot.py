"""kshot's own ways and the plain loop, as `kshot bench` has them; writes the problem that all others solve.

Started with the problem's file, a workload's name, and tasks and filters in place of its own (0 keeps them).
"""

import sys
from pathlib import Path
from typing import cast

import torch
from peer import Arrays, Problem, serve, write_problem

from engine.bench import WORKLOADS, Bench, prepare
from engine.models import Parameters


def _arrays(values: Parameters) -> Arrays:
    return {name: value.numpy() for name, value in values.items()}


def _problem(bench: Bench, tasks: int) -> Problem:
    episodes = bench.tasks.episodes("train", torch.arange(tasks))
    model, adaptation = bench.spec.model, bench.spec.adaptation
    return Problem(
        model.name == "conv4",
        model.name == "conv4" and model.pooling == "stride",
        adaptation.steps,
        cast(float, adaptation.learning_rate),
        (episodes.support_x.numpy(), episodes.support_y.numpy()),
        (episodes.query_x.numpy(), episodes.query_y.numpy()),
        _arrays(bench.learner.meta_parameters),
    )


def main() -> None:
    path, name, tasks, filters = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    workload = next(each for each in WORKLOADS if each.name == name)
    workload = workload._replace(tasks=tasks or workload.tasks, filters=filters or workload.filters)
    bench = prepare(workload, torch.device("cpu"))
    write_problem(path, _problem(bench, workload.tasks))
    serve(
        path,
        f"torch {torch.__version__}, {torch.get_num_threads()} threads",
        bench.ways,
        lambda found: _arrays(cast(Parameters, found)),
        bench.not_fused or "",
    )


if __name__ == "__main__":
    main()
