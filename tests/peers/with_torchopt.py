"""Second-order MAML by TorchOpt, as in its own examples: the module moves and is set back after each task."""

from importlib.metadata import version

import torchopt
from peer import asked, serve
from torch_net import Torch


def main() -> None:
    path, problem, threads = asked()
    net = Torch(problem, threads)
    inner = torchopt.MetaSGD(net.module, lr=problem.rate)
    parameters = list(net.module.parameters())

    def work() -> None:
        for parameter in parameters:
            parameter.grad = None
        start = torchopt.extract_state_dict(net.module, by="reference", detach_buffers=True)
        inner_start = torchopt.extract_state_dict(inner, by="reference")
        for support_x, support_y, query_x, query_y in net.tasks:
            for _ in range(problem.steps):
                inner.step(net.loss(net.module(support_x), support_y))
            net.loss(net.module(query_x), query_y).backward()
            torchopt.recover_state_dict(net.module, start)
            torchopt.recover_state_dict(inner, inner_start)

    serve(path, version("torchopt"), {"TorchOpt": work}, net.mean_gradient)


if __name__ == "__main__":
    main()
