"""Crammer and Singer's multi-class support vector machine: the dual quadratic programmes of all tasks at
once, by a primal-dual interior point, and their derivative from the optimality conditions.

For support kernel G `[S, S]`, labels y and cost C, over z `[N, S]` (one row a class):

    minimise  ½ Σₖ zₖᵀ G zₖ − Σₙ z[yₙ, n]
    so that   z[k, n] ≤ C where k = yₙ, and ≤ 0 elsewhere;   Σₖ z[k, n] = 0 for each example n

(Lee 2019, equation 7.) The classes meet in the last condition alone, so each Newton step is N systems of size
S and one more, not one of size N·S.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

STEPS = 50
"""Of the interior point at most; ten to twenty are enough for TOLERANCE."""
TOLERANCE = 1e-13
"""Of complementarity: the mean product of slacks and multipliers, in units of C."""
INSIDE = 0.99
"""How much of the way to the boundary a step goes."""


class Newton(NamedTuple):
    """The optimality conditions linearised: G + diag(w) for each class, coupled by one multiplier an
    example. `inverses [T, N, S, S]` are those of each class, `coupling [T, S, S]` the Cholesky factor of
    their sum."""

    inverses: Tensor
    coupling: Tensor

    def solve(self, right: Tensor) -> tuple[Tensor, Tensor]:
        """d `[T, N, S]` and ν `[T, S]` with (G + diag(wₖ)) dₖ + ν = rightₖ and Σₖ dₖ = 0."""
        free = (self.inverses @ right.unsqueeze(-1)).squeeze(-1)
        shared = torch.cholesky_solve(free.sum(1).unsqueeze(-1), self.coupling).squeeze(-1)
        return free - (self.inverses @ shared[:, None, :, None]).squeeze(-1), shared


def newton(kernel: Tensor, weights: Tensor) -> Newton:
    """For the kernel `[T, S, S]` and the weights w `[T, N, S]` that the constraints put on the diagonal."""
    matrices = kernel.unsqueeze(1) + torch.diag_embed(weights)
    inverses = torch.cholesky_inverse(torch.linalg.cholesky(matrices))
    return Newton(inverses, torch.linalg.cholesky(inverses.sum(1)))


@torch.no_grad()
def interior_point(kernel: Tensor, membership: Tensor, cost: float) -> tuple[Tensor, Tensor]:
    """The solutions z `[T, N, S]`, and the weights of the constraints there (0 where one is slack, without
    bound where it holds z).

    Mehrotra's predictor and corrector (1992), from a start that is feasible: so only roundings have to be
    held off.

    Args:
        kernel: G `[T, S, S]`, positive definite, float64.
        membership: 1 where an example is of the class, `[T, N, S]`.
        cost: C.
    """
    classes = membership.shape[1]
    # In units of C all numbers are of the order of one.
    kernel, upper = kernel * cost, membership
    z = (membership - (1 - membership) / (classes - 1)) / 2
    slack = upper - z
    push = membership - z @ kernel
    multiplier = push - push.amin(1, keepdim=True) + 1
    shared = (push - multiplier)[:, 0]
    for _ in range(STEPS):
        gap = (slack * multiplier).mean((1, 2), keepdim=True)
        if float(gap.max()) < TOLERANCE:
            break
        system = newton(kernel, multiplier / slack)
        residual = z @ kernel - membership + multiplier + shared.unsqueeze(1)
        aim = -slack * multiplier
        moves = _moves(system, residual, aim, slack, multiplier)
        reach = _reach(slack, multiplier, moves).clamp(max=1)
        ahead = ((slack - reach * moves[0]) * (multiplier + reach * moves[1])).mean((1, 2), keepdim=True)
        centre = (ahead / gap) ** 3 * gap
        moves = _moves(system, residual, aim + centre + moves[0] * moves[1], slack, multiplier)
        # A task that is there stays there, whatever company it is in.
        reach = INSIDE * _reach(slack, multiplier, moves) * (gap >= TOLERANCE)
        z = z + reach * moves[0]
        slack = slack - reach * moves[0]
        multiplier = multiplier + reach * moves[1]
        shared = shared + reach.squeeze(-1) * moves[2]
    return z * cost, multiplier / slack / cost


def _moves(
    system: Newton, residual: Tensor, aim: Tensor, slack: Tensor, multiplier: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of z, multipliers and shared multipliers: (G + diag(u/s)) dz + dν = −residual − aim / s."""
    moved, shared = system.solve(-residual - aim / slack)
    return moved, (aim + multiplier * moved) / slack, shared


def _reach(slack: Tensor, multiplier: Tensor, moves: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The longest step `[T, 1, 1]`, at most 1 over INSIDE, that keeps slacks and multipliers positive."""
    shrinking = torch.maximum(moves[0] / slack, -moves[1] / multiplier).amax((1, 2), keepdim=True)
    return 1 / shrinking.clamp(min=INSIDE)


class CrammerSinger(torch.autograd.Function):
    """z `[T, N, S]` of kernel, membership and cost; its derivative is that of the optimality conditions at
    the solution, whatever steps led there.

    Where dG moves the kernel, (G + diag(w)) dzₖ + dν = −dG zₖ and Σₖ dzₖ = 0: the last Newton system.
    """

    @staticmethod
    def forward(ctx: Any, kernel: Tensor, membership: Tensor, cost: float) -> Tensor:
        # A task that has gone bad has no solution, and holds up none of the others.
        sound = kernel.isfinite().all(-1).all(-1)[:, None, None]
        identity = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
        kernel = torch.where(sound, kernel, identity)
        solution, weights = interior_point(kernel, membership, cost)
        solution = torch.where(sound, solution, torch.nan)
        ctx.save_for_backward(kernel, solution, weights)
        return solution

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        kernel, solution, weights = ctx.saved_tensors
        adjoint, _ = newton(kernel, weights).solve(gradient)
        share = -adjoint.transpose(1, 2) @ solution
        return (share + share.transpose(1, 2)) / 2, None, None


def crammer_singer(kernel: Tensor, membership: Tensor, cost: float) -> Tensor:
    """The dual solutions z `[T, N, S]`, differentiable once in the kernel `[T, S, S]` (float64)."""
    found: Tensor = CrammerSinger.apply(kernel, membership, cost)
    return found
