"""Second-order MAML by higher, as in its own examples: a functional copy of the module for each task."""

from importlib.metadata import version

import higher
import torch
from peer import asked, serve
from torch_net import Torch


def main() -> None:
    path, problem, threads = asked()
    net = Torch(problem, threads)
    inner = torch.optim.SGD(net.module.parameters(), lr=problem.rate)

    def work() -> None:
        net.module.zero_grad()
        for support_x, support_y, query_x, query_y in net.tasks:
            with higher.innerloop_ctx(net.module, inner, copy_initial_weights=False) as (copy, steps):
                for _ in range(problem.steps):
                    steps.step(net.loss(copy(support_x), support_y))
                net.loss(copy(query_x), query_y).backward()

    serve(path, version("higher"), {"higher": work}, net.mean_gradient)


if __name__ == "__main__":
    main()
