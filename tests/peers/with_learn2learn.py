"""Second-order MAML by learn2learn, as in its own examples: a clone of the module for each task."""

import contextlib
import io
from importlib.metadata import version

from peer import asked, serve
from torch_net import Torch

with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
    import learn2learn  # what it imports warns at length of its own age


def main() -> None:
    path, problem, threads = asked()
    net = Torch(problem, threads)
    learner = learn2learn.algorithms.MAML(net.module, lr=problem.rate, first_order=False)

    def work() -> None:
        net.module.zero_grad()
        for support_x, support_y, query_x, query_y in net.tasks:
            clone = learner.clone()
            for _ in range(problem.steps):
                clone.adapt(net.loss(clone(support_x), support_y))
            net.loss(clone(query_x), query_y).backward()

    serve(path, version("learn2learn"), {"learn2learn": work}, net.mean_gradient)


if __name__ == "__main__":
    main()
