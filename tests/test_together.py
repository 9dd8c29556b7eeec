"""Several seeds in lockstep: each has, bit for bit, what a trainer by itself has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoint import pack
from engine.divergence import Diverged
from engine.fused.library import why_not
from engine.learner import Learner
from engine.presets import resolve
from engine.tasks import build_tasks
from engine.together.lockstep import Lockstep, unfit
from engine.training import Trainer

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"no kernels: {why_not()}")

CPU, SEEDS = torch.device("cpu"), (3, 0, 8)
SMALL = (
    *("model.hidden=[9, 13]", "training.tasks_per_batch=6", "training.queries=4", "training.iterations=20"),
    *("training.record_every=7", "training.validation.episodes=5"),
)
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "maml": ("maml", ()),
    "three steps": ("maml", ("adaptation.steps=3",)),
    "no steps": ("maml", ("adaptation.steps=0",)),
    "fomaml": ("fomaml", ("adaptation.steps=2",)),
    "anil": ("anil", ("adaptation.steps=2",)),
    "boil": ("boil", ()),
    "meta-sgd": ("meta-sgd", ()),
    "reptile": ("reptile", ("adaptation.update=sgd", "adaptation.moments=reset", "adaptation.batch=null")),
    "rates by layer and step": ("maml", ("adaptation.learned_rates=layer-step", "adaptation.steps=2")),
    "annealed": (
        "maml",
        ("adaptation.order={from: 1, to: 2, at: 0.5}", "adaptation.loss=multi-step", "adaptation.steps=2"),
    ),
    "random heads": ("maml", ("adaptation.head=random", "adaptation.parameters=body")),
    "stored heads": ("maml", ("adaptation.head=stored", "training.tasks=5")),
    "stored heads of the outer loop": (
        "maml",
        ("adaptation.head=stored", "adaptation.stored_heads=outer", "training.tasks=5"),
    ),
    "momentum": ("maml", ("outer.optimizer=nesterov", "outer.clip=0.01")),
}


def trainers(
    algorithm: str, changes: Sequence[str] = (), dtype: torch.dtype = torch.float64, seeds: Any = SEEDS
) -> list[Trainer]:
    found = []
    for seed in seeds:
        spec = resolve("sine-10shot", algorithm, overrides=[*SMALL, *changes], seed=seed).spec
        tasks = build_tasks(spec, Path("/nowhere"), CPU, dtype)
        found.append(Trainer(Learner(spec, tasks, CPU, dtype)))
    return found


def lockstep(group: Sequence[Trainer], threads: int = 1) -> Lockstep:
    assert unfit(group) is None
    return Lockstep(group, threads)


def same(group: Sequence[Trainer], singles: Sequence[Trainer]) -> None:
    """All that a checkpoint keeps, byte for byte."""
    for ours, plain in zip(group, singles, strict=True):
        assert ours.iteration == plain.iteration
        assert pack(ours.state()) == pack(plain.state())


@pytest.mark.parametrize(
    ("dtype", "threads"), [(torch.float64, 1), (torch.float32, 2)], ids=["float64", "float32, two threads"]
)
@pytest.mark.parametrize("name", CASES)
def test_a_group_has_the_bits_of_single_trainings(
    name: str, dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters, optimizer, what is kept besides, records and validations, after 20 iterations."""
    monkeypatch.setattr("engine.fused.groups.TASKS_WORTH_A_THREAD", 1)
    group, singles = trainers(*CASES[name], dtype), trainers(*CASES[name], dtype)
    together = lockstep(group, threads)
    assert len(together.teams) == threads
    for _ in range(20):
        assert together.step() == [each.step() for each in singles]
    assert [each.validate() for each in group] == [each.validate() for each in singles]
    same(group, singles)
    assert not torch.equal(*(next(iter(each.learner.meta_parameters.values())) for each in group[:2]))


def test_neither_threads_nor_seeds_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor blocks of tasks drawn ahead: 70 iterations reach into the second."""
    monkeypatch.setattr("engine.fused.groups.TASKS_WORTH_A_THREAD", 1)
    changes = ("training.iterations=70",)
    one, two = (lockstep(trainers("maml", changes, seeds=s), t) for s, t in (((8, 3), 1), (SEEDS, 2)))
    for _ in range(70):
        one.step()
        two.step()
    same(one.trainers, [two.trainers[2], two.trainers[0]])


def test_one_leaves_and_goes_on_alone_while_the_others_go_on() -> None:
    group, singles = trainers("maml"), trainers("maml")
    together = lockstep(group)
    for _ in range(8):
        together.step()
    together.close()
    smaller = lockstep([group[0], group[2]])
    for _ in range(12):
        smaller.step()
        group[1].step()
    for each in singles:
        for _ in range(20):
            each.step()
    same(group, singles)


def test_one_that_diverges_has_not_moved_and_the_others_have() -> None:
    group, singles = trainers("maml"), trainers("maml")
    for each in (*group, *singles):
        each.step()
    for each in (group[1], singles[1]):
        each.learner.meta_parameters["linear2.weight"][0, 0] = float("nan")
    bad = pack(group[1].state())
    outcomes = lockstep(group).step()
    assert isinstance(outcomes[1], Diverged) and outcomes[0] is outcomes[2] is None
    with pytest.raises(Diverged) as alone:
        singles[1].step()
    assert str(outcomes[1]) == str(alone.value)
    assert pack(group[1].state()) == bad
    for each in (singles[0], singles[2]):
        each.step()
    same([group[0], group[2]], [singles[0], singles[2]])


def test_a_reckless_step_is_taken_back_as_alone() -> None:
    changes = ("outer.optimizer=sgd", "outer.learning_rate=1e30", "outer.schedule=constant")
    group, singles = (trainers("maml", changes, torch.float32) for _ in range(2))
    outcomes = lockstep(group).step()
    for ours, plain in zip(outcomes, singles, strict=True):
        try:
            assert plain.step() == ours
        except Diverged as fault:
            assert str(ours) == str(fault)
    same(group, singles)


def test_what_cannot_go_in_lockstep_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "memory" in (unfit(trainers("maml", ("training.tasks_at_once=2",))) or "")
    assert "joint" in (unfit(trainers("pretrain")) or "")
    monkeypatch.setenv("KSHOT_KERNELS", "0")
    assert unfit(trainers("maml")) == "the path is generic: KSHOT_KERNELS is 0"
