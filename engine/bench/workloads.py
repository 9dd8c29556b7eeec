"""What the bench measures: named settings, each of which fixes the mathematics."""

from typing import Literal, NamedTuple

from engine.presets.schema import Spec


class Workload(NamedTuple):
    """One meta-iteration of second-order MAML over `tasks` tasks; or the evaluation of as many episodes,
    asked after the last step. `recomputed`: also with each step's graph made anew on the way back."""

    name: str
    ways: int
    steps: int
    queries: int
    tasks: int
    filters: int = 64
    pooling: str = "max"
    what: Literal["meta-gradient", "evaluation"] = "meta-gradient"
    recomputed: bool = False


WORKLOADS = (
    Workload("omniglot-5way-1shot-1step-1query", 5, 1, 1, 32),
    Workload("omniglot-5way-1shot-1step-15query", 5, 1, 15, 32),
    Workload("omniglot-20way-1shot-5step-1query", 20, 5, 1, 16),
    Workload("omniglot-20way-1shot-5step-15query", 20, 5, 15, 16),
    Workload("omniglot-5way-1shot-1step-1query-strided", 5, 1, 1, 32, 64, "stride"),
    Workload("omniglot-5way-1shot-1step-1query-strided-32filters", 5, 1, 1, 32, 32, "stride"),
    Workload("omniglot-5way-1shot-20step-1query", 5, 20, 1, 4, recomputed=True),
    Workload("omniglot-5way-1shot-3step-15query-evaluation", 5, 3, 15, 600, what="evaluation"),
    Workload("sine-10shot-1step", 1, 1, 10, 25),
)

_RATES = {1: 0.4, 20: 0.01}


def spec_of(workload: Workload) -> Spec:
    """The workload as what a training would be asked for."""
    training = {"tasks_per_batch": workload.tasks}
    if workload.name.startswith("sine"):
        return Spec.model_validate(
            {
                "task": {"dataset": "sine", "queries": workload.queries},
                "model": {"name": "mlp", "norm": "none"},
                "training": training,
            }
        )
    # Drawn characters stand in for Omniglot's: a meta-iteration costs the same whatever the pixels are.
    return Spec.model_validate(
        {
            "task": {"dataset": "glyphs", "ways": workload.ways, "queries": workload.queries},
            "model": {"filters": workload.filters, "pooling": workload.pooling},
            "adaptation": {"steps": workload.steps, "learning_rate": _RATES.get(workload.steps, 0.1)},
            "training": training,
        }
    )
