"""Training by CUDA graphs: a whole meta-iteration, sampling included, as one launch.

On a small model the host takes far longer to launch an iteration's kernels than the device to run them. Here
they are recorded once for each kind of iteration and launched together from then on; the host does nothing
but count, and looks at what came of it every few iterations.
"""

import os

from engine.captured.graphs import CudaGraphs
from engine.captured.trainer import CapturedTrainer
from engine.learner import Learner
from engine.paths import CAPTURED, GENERIC
from engine.presets.schema import Spec
from engine.presets.solved_contradictions import SOLVED_RULES
from engine.ranks.alone import Ranks
from engine.training import Trainer

__all__ = ["CapturedTrainer", "trainer_of", "uncaptured"]


def trainer_of(learner: Learner, ranks: Ranks) -> Trainer:
    """The trainer of a learner: on CUDA by graphs where they can hold what its spec says. The learner's path
    then says which, and why."""
    if learner.device.type != "cuda":
        return Trainer(learner, ranks)
    reason = uncaptured(learner.spec, ranks.count)
    if reason is not None:
        learner.take(f"{GENERIC}: in no graph: {reason}")
        return Trainer(learner, ranks)
    learner.take(CAPTURED)
    return CapturedTrainer(learner, CudaGraphs(learner.device), ranks)


def uncaptured(spec: Spec, processes: int = 1) -> str | None:
    """Why no graph can hold a spec's iterations; None if it is not known that none can."""
    if spec.outer.rule == "none":
        return "there is no training"
    if os.environ.get("KSHOT_GRAPHS", "1") == "0":
        return "KSHOT_GRAPHS is 0"
    if processes > 1:
        return "several processes share each batch"
    if spec.outer.rule == "joint":
        return None
    if spec.adaptation.rule in SOLVED_RULES:
        return f"the rule {spec.adaptation.rule} asks the device whether its systems were solved"
    if spec.adaptation.rule == "gradient" and spec.adaptation.head == "stored":
        return "stored heads are picked by which tasks a batch holds"
    return None
