"""The multi-class support vector machine's solver against SciPy's, and its derivative against differences."""

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from scipy.optimize import minimize
from torch import Tensor

from engine.adaptation.crammer_singer import crammer_singer

COST = 0.1


def machine(tasks: int, ways: int, shots: int, size: int, scale: float) -> tuple[Tensor, Tensor]:
    """Features `[T, S, D]` and membership `[T, N, S]`, examples in any order."""
    generator = torch.Generator().manual_seed(ways * shots)
    x = scale * torch.randn(tasks, ways * shots, size, generator=generator, dtype=torch.float64).relu()
    labels = torch.arange(ways).repeat_interleave(shots)
    labels = torch.stack([labels[torch.randperm(len(labels), generator=generator)] for _ in range(tasks)])
    return x, functional.one_hot(labels, ways).double().transpose(1, 2)


def kernel_of(x: Tensor) -> Tensor:
    return x @ x.transpose(1, 2) + torch.eye(x.shape[1], dtype=x.dtype)


def solved_by_scipy(kernel: np.ndarray, membership: np.ndarray) -> np.ndarray:
    """The programme as Lee 2019 writes it (equation 7), in all N·S unknowns, by sequential least squares."""
    ways, examples = membership.shape
    whole = np.kron(np.eye(ways), kernel)
    linear = membership.ravel()
    found = minimize(
        lambda z: 0.5 * z @ whole @ z - linear @ z,
        np.zeros(ways * examples),
        jac=lambda z: whole @ z - linear,
        bounds=[(None, COST * one) for one in linear],
        constraints={
            "type": "eq",
            "fun": lambda z: z.reshape(ways, examples).sum(0),
            "jac": lambda z: np.kron(np.ones((1, ways)), np.eye(examples)),
        },
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    assert found.success
    return found.x.reshape(ways, examples)


@pytest.mark.parametrize("shape", [(5, 1, 12, 1.0), (3, 3, 2, 1.0), (3, 2, 9, 3.0), (2, 4, 5, 0.1)])
def test_the_programme_is_solved_as_scipy_solves_it(shape: tuple[int, int, int, float]) -> None:
    x, membership = machine(3, *shape)
    kernel = kernel_of(x)
    found = crammer_singer(kernel, membership, COST)
    for t in range(3):
        expected = solved_by_scipy(kernel[t].numpy(), membership[t].numpy())
        assert np.abs(found[t].numpy() - expected).max() < 1e-7 * COST


@pytest.mark.parametrize("shape", [(20, 1, 64, 1.0), (5, 15, 64, 1.0), (5, 5, 8, 10.0)])
def test_the_optimality_conditions_hold(shape: tuple[int, int, int, float]) -> None:
    """No constraint is broken, and nothing is gained by moving an example's weight from a class to one that
    may grow."""
    x, membership = machine(2, *shape)
    kernel = kernel_of(x)
    found = crammer_singer(kernel, membership, COST)
    bound = COST * membership
    assert float(found.sum(1).abs().max()) < 1e-12
    assert float((found - bound).max()) < 1e-12
    gain = membership - found @ kernel
    may_grow = bound - found > 1e-5 * COST
    best = gain.masked_fill(~may_grow, -torch.inf).amax(1)
    assert float((best - gain.amin(1)).max()) < 1e-6


def test_a_task_is_solved_alike_in_any_company() -> None:
    x, membership = machine(4, 5, 2, 16, 1.0)
    kernel = kernel_of(x)
    together = crammer_singer(kernel, membership, COST)
    for t in range(4):
        alone = crammer_singer(kernel[t : t + 1], membership[t : t + 1], COST)
        assert torch.allclose(alone[0], together[t], rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", [(5, 1, 12, 1.0), (3, 3, 2, 1.0), (3, 2, 9, 3.0)])
def test_derivatives_are_those_of_finite_differences(shape: tuple[int, int, int, float]) -> None:
    x, membership = machine(2, *shape)

    def weights(x: Tensor) -> Tensor:
        return crammer_singer(kernel_of(x), membership, COST) @ x

    assert torch.autograd.gradcheck(weights, (x.requires_grad_(),), eps=1e-6, atol=1e-6, rtol=1e-5)


def test_a_task_that_is_not_a_number_holds_up_no_other() -> None:
    x, membership = machine(3, 4, 2, 6, 1.0)
    kernel = kernel_of(x)
    wanted = crammer_singer(kernel, membership, COST)
    kernel[1, 0, 0] = torch.nan
    kernel.requires_grad_()
    found = crammer_singer(kernel, membership, COST)
    assert found[1].isnan().all()
    assert torch.equal(found[[0, 2]], wanted[[0, 2]])
    (slope,) = torch.autograd.grad(found[[0, 2]].sum(), kernel)
    assert slope[[0, 2]].isfinite().all()
