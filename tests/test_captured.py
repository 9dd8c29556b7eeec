"""Training by graphs, with the CPU's stand-in for them: the plain trainer's numbers, from tensors that stay
where they are, and nothing asked of the device."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from plain_loop import CPU, close, image_tasks
from test_training import IMAGES, NOWHERE, SINE, STORED, spec_of

from engine.captured import uncaptured
from engine.captured.graphs import Called, Work
from engine.captured.recipe import AHEAD
from engine.captured.ring import SLOTS
from engine.captured.trainer import CapturedTrainer
from engine.captured.watching import CannotCaptureError, watched
from engine.divergence import Diverged
from engine.learner import Learner
from engine.outer.optimizer import OuterOptimizer
from engine.paths import GENERIC
from engine.presets import resolve
from engine.presets.schema import Outer, Spec
from engine.runs import StatusWriter, create_run, read_events, read_status
from engine.tasks import build_tasks
from engine.train_job import train_run
from engine.training import Trainer

OUTER_STEPS = 20
RUN = {"training": {"iterations": OUTER_STEPS, "record_every": 3, "tasks_per_batch": 3}}
ANNEALED = {"order": {"from": 1, "to": 2, "at": 0.4}, "loss": "multi-step", "steps": 3}
PLUS = {
    **ANNEALED,
    "multi_step": {"until": 0.6, "floor": 0.05},
    "learned_rates": "layer-step",
    "per_step_norms": True,
    "running_statistics": True,
}
COSINE = {"outer": {"schedule": "cosine", "final_learning_rate": 1e-5, "clip": 10.0}}
CASES: dict[str, tuple[dict, ...]] = {
    "maml on waves": (SINE, {"adaptation": {"steps": 2}}),
    "first order": (SINE, {"adaptation": {"steps": 2, "order": 1}}),
    "meta-sgd": (SINE, {"adaptation": {"learned_rates": "parameter", "learning_rate": [0.005, 0.1]}}),
    "annealed on waves": (SINE, {"adaptation": ANNEALED}, {"outer": {"optimizer": "nesterov"}}),
    "reptile": (
        SINE,
        {"adaptation": {"update": "adam", "moments": "carried", "batch": 3, "steps": 4}},
        {"outer": {"rule": "interpolate", "optimizer": "sgd", "learning_rate": 0.1, "schedule": "linear"}},
    ),
    "joint on waves": (SINE, {"outer": {"rule": "joint", "learning_rate": 0.01}}),
    "finite waves for an oracle": (
        SINE,
        {"task": {"oracle": True, "frequency": [0.5, 1.5]}, "training": {"tasks": 5}},
    ),
    "maml on images": (IMAGES, {"adaptation": {"steps": 2}}),
    "anil in portions": (
        IMAGES,
        {"adaptation": {"parameters": "head", "steps": 2, "constant_memory": True}},
        {"training": {"tasks_at_once": 2, "augment": "affine"}, "task": {"rotations": "drawn"}},
    ),
    "maml++": (IMAGES, {"adaptation": PLUS}, COSINE),
    "joint on images": (
        IMAGES,
        {"outer": {"rule": "joint"}, "adaptation": {"running_statistics": True}},
        {"training": {"examples_per_batch": 12}},
    ),
}


@pytest.fixture(autouse=True)
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is computed by them, and compiling them takes longer than all of this."""
    monkeypatch.setenv("KSHOT_KERNELS", "0")


class Unseeing(Called):
    """The stand-in with the host's numbers made nonsense while work is done again: a graph sees none of
    them."""

    def __init__(self) -> None:
        super().__init__()
        self.trainer: CapturedTrainer | None = None

    def capture(self, work: Work) -> Work:
        again, trainer = super().capture(work), self.trainer
        assert trainer is not None

        def unseeing() -> None:
            kept = {name: getattr(trainer, name) for name in ("iteration", "stream", "bests")}
            for name in kept:
                setattr(trainer, name, None)
            again()
            for name, value in kept.items():
                setattr(trainer, name, value)

        return unseeing


class Late(Called):
    """The stand-in of a device that is never done before it is waited for."""

    waited = 0

    def landed(self) -> Any:
        return SimpleNamespace(query=lambda: False, synchronize=self._wait)

    def _wait(self) -> None:
        self.waited += 1


def learner_of(spec: Spec, dtype: torch.dtype = torch.float64) -> Learner:
    waves = spec.task.dataset == "sine"
    tasks = build_tasks(spec, NOWHERE, CPU, dtype) if waves else image_tasks(spec, dtype=dtype)
    learner = Learner(spec, tasks, CPU, dtype)
    learner.take(f"{GENERIC}: compared")
    return learner


def captured_of(spec: Spec, dtype: torch.dtype = torch.float64) -> CapturedTrainer:
    graphs = Unseeing()
    graphs.trainer = CapturedTrainer(learner_of(spec, dtype), graphs)
    return graphs.trainer


def trained(trainer: Trainer, until: int) -> list[dict[str, Any]]:
    """The records of the iterations up to `until`, in the order in which they came."""
    found = []
    while trainer.iteration < until:
        record = trainer.step()
        found += [*trainer.late, *([record] if record is not None else [])]
        trainer.late.clear()
        if trainer.iteration == until:
            trainer.settle()  # which may go back
    return found + trainer.late


def tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    """All that a training changes."""
    assert trainer.optimizer is not None
    moments = {f"{name} {at}": t for name, all in trainer.optimizer.kept.items() for at, t in enumerate(all)}
    return trainer.learner.meta_parameters | trainer.learner.kept | moments


def same(found: Any, wanted: Any, tolerance: float = 1e-10) -> bool:
    """Whether two records say the same, to `tolerance`."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[n], wanted[n], tolerance) for n in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(
            same(one, other, tolerance) for one, other in zip(found, wanted, strict=True)
        )
    return bool(found == wanted) or math.isclose(found, wanted, rel_tol=tolerance, abs_tol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_the_plain_trainers_numbers(case: str) -> None:
    """Parameters, moments, what is kept and every record, to 1e-12 in float64."""
    spec = spec_of(*CASES[case], RUN)
    plain, captured = Trainer(learner_of(spec)), captured_of(spec)
    wanted, found = trained(plain, OUTER_STEPS), trained(captured, OUTER_STEPS)
    assert [each["step"] for each in found] == [1, *range(3, OUTER_STEPS, 3), OUTER_STEPS]
    assert captured.learner.path == f"{GENERIC}: compared" and len(captured.replays) > 1
    there = tensors(captured)
    for name, tensor in tensors(plain).items():
        assert close(there[name], tensor, 1e-12), name
    assert all(same(one, other) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("case", ["maml++", "reptile", "joint on waves"])
def test_it_reads_and_writes_what_stays_where_it_is(case: str) -> None:
    """Besides constants it touches the training's own tensors, the images and its own counts and rows alone;
    and none of them is ever another tensor."""
    spec = spec_of(*CASES[case], RUN)
    trainer = captured_of(spec)
    trainer.step()
    recipe, ring, tasks = trainer.recipe, trainer.recipe.ring, trainer.learner.tasks
    own = [recipe.done, recipe.halted, recipe.rates, recipe.weights, ring.written, ring.rows]
    own += [*tensors(trainer).values(), *([] if spec.task.dataset == "sine" else [tasks.images])]
    places = {each.untyped_storage().data_ptr() for each in own}
    held = trainer.graphs.held
    strange = [each for each in held if each.untyped_storage().data_ptr() not in places]
    # Keys and positions of draws, and where classes begin.
    assert all(each.dtype == torch.int64 for each in strange)
    before = [each.clone() for each in strange]
    trained(trainer, OUTER_STEPS)
    assert all(torch.equal(one, other) for one, other in zip(strange, before, strict=True))
    assert {each.untyped_storage().data_ptr() for each in tensors(trainer).values()} <= places


def test_forms_share_a_graph() -> None:
    """One for each order, each set of weights that count, and each of recorded or not."""
    until = {"multi_step": {"until": 0.6}}
    trainer = captured_of(spec_of(*CASES["annealed on waves"], {"adaptation": until}, RUN))
    trained(trainer, OUTER_STEPS)
    forms = {(form.second_order, sum(form.counts), form.recorded) for form in trainer.replays}
    orders = [(False, 3), (True, 3), (True, 0)]
    assert forms == {(*each, recorded) for each in orders for recorded in (False, True)}


def test_capturing_changes_nothing() -> None:
    """Though every form is done on trial before it is used, also where its numbers are not finite."""
    trainer = captured_of(spec_of(*CASES["maml++"], RUN))
    trained(trainer, 3)
    trainer.learner.meta_parameters["conv1.weight"][0, 0, 0, 0] = torch.nan
    before = {name: tensor.clone() for name, tensor in tensors(trainer).items()}
    for iteration in range(0, OUTER_STEPS, 5):
        trainer.recipe.stand(iteration)
        trainer.recipe.halted.fill_(1)
        trainer.recipe.iterate(trainer.recipe.form(iteration, recorded=iteration % 2 == 0))
        assert trainer.recipe.done == iteration
    for name, tensor in tensors(trainer).items():
        assert torch.equal(tensor.nan_to_num(7.0), before[name].nan_to_num(7.0)), name


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "nesterov"])
def test_a_guarded_step_is_a_step_or_none(optimizer: str) -> None:
    generator = torch.Generator().manual_seed(0)
    start = {n: torch.randn(3, 4, generator=generator, dtype=torch.float64) for n in "ab"}
    outer = Outer(optimizer=optimizer, clip=0.5)  # type: ignore[arg-type]
    mine, plain = ({n: t.clone() for n, t in start.items()} for _ in range(2))
    guarded, usual = OuterOptimizer(outer, mine), OuterOptimizer(outer, plain)
    for number in range(4):
        gradient = {n: torch.randn(3, 4, generator=generator, dtype=torch.float64) for n in "ab"}
        rate = 0.1 / (number + 1)
        broken = {n: torch.full_like(t, torch.nan) for n, t in gradient.items()}
        guarded.guarded_step(broken, torch.tensor(rate, dtype=torch.float64), torch.ones(()))
        guarded.guarded_step(gradient, torch.tensor(rate, dtype=torch.float64), torch.zeros(()))
        usual.step(gradient, rate)
    assert all(close(mine[n], plain[n], 1e-14) for n in "ab")
    for name, kept in usual.kept.items():
        assert all(close(one, other, 1e-14) for one, other in zip(guarded.kept[name], kept, strict=True))


BAD = 25
"""The number of the first task that is not sound: one of iteration 9's."""


def diverging(trainer: Trainer) -> tuple[list[dict], Diverged]:
    """What a training tells before its tasks go bad, and how it ends."""
    tasks = trainer.learner.tasks
    sound = tasks.episodes

    def episodes(part: Any, index: torch.Tensor) -> Any:
        found = sound(part, index)
        return found._replace(query_y=found.query_y.masked_fill((index >= BAD)[:, None, None], torch.inf))

    tasks.episodes = episodes  # type: ignore[method-assign]
    with pytest.raises(Diverged) as fault:
        trained(trainer, OUTER_STEPS)
    return trainer.late, fault.value


@pytest.mark.parametrize("every", [2, 50])
def test_divergence_is_told_as_of_its_iteration(every: int) -> None:
    """With the parameters and moments of before it, though more iterations were launched."""
    spec = spec_of(SINE, RUN, {"training": {"record_every": every, "iterations": 4 * OUTER_STEPS}})
    plain, captured = Trainer(learner_of(spec)), captured_of(spec)
    captured.fits = lambda number: False  # type: ignore[method-assign]
    launched = []
    captured.recipe.schedule = counted(captured.recipe.schedule, launched)  # type: ignore[method-assign]
    wanted, found = diverging(plain)[1], diverging(captured)[1]
    assert wanted.iteration == 9 and launched[-1] >= 8 + (every == 50)
    assert (found.iteration, found.what, str(found)) == (wanted.iteration, wanted.what, str(wanted))
    assert captured.iteration == plain.iteration == wanted.iteration - 1
    there = captured.copied()
    assert there["iteration"] == plain.iteration
    for name, tensor in tensors(plain).items():
        assert close(tensors(captured)[name], tensor, 1e-12), name


def counted(work: Callable[[int], None], calls: list[int]) -> Callable[[int], None]:
    def call(number: int) -> None:
        calls.append(number)
        work(number)

    return call


def test_a_step_that_might_break_is_the_plain_trainers() -> None:
    """At a rate beyond all reason, whose steps are clamped to sense: each is looked at, and they go on."""
    wild = {"outer": {"optimizer": "sgd", "learning_rate": 1e25, "clip": 1e-28}}
    spec = spec_of(SINE, RUN, wild)
    plain, captured = Trainer(learner_of(spec)), captured_of(spec)
    wanted, found = trained(plain, 7), trained(captured, 7)
    assert [each["step"] for each in found] == [each["step"] for each in wanted]
    for name, tensor in tensors(plain).items():
        assert close(tensors(captured)[name], tensor, 1e-12), name


def test_a_resumed_training_goes_on_to_the_same_numbers() -> None:
    spec = spec_of(*CASES["annealed on waves"], RUN)
    whole, first, second = captured_of(spec), captured_of(spec), captured_of(spec)
    records = trained(whole, OUTER_STEPS)
    before = trained(first, 8)
    second.load(first.copied())
    after = trained(second, OUTER_STEPS)
    assert [*before, *after] == records
    assert all(torch.equal(tensors(second)[name], tensor) for name, tensor in tensors(whole).items())


def test_records_wait_in_the_ring() -> None:
    """Until they are asked for, or have no more room: and come in their order, each once."""

    total = 3 * SLOTS
    often = {"training": {"iterations": total, "record_every": 1, "validation": {"every": 1000}}}
    spec = spec_of(SINE, RUN, often, {"training": {"checkpoint_every": 1000, "keep": [SLOTS // 2]}})
    graphs = Late()
    trainer = CapturedTrainer(learner_of(spec), graphs)
    trainer.fits = lambda number: False  # type: ignore[method-assign]
    came = []
    for number in range(1, total + 1):
        assert trainer.step() is None
        came.append(len(trainer.late))
        assert len(trainer.awaited) < SLOTS
        if number == SLOTS // 2:
            assert came[-1] == number and came[-2] == 1
    assert [each["step"] for each in trainer.late] == [*range(1, total + 1)]
    assert graphs.waited == total and came[-2] < total - SLOTS // 2
    wanted = trained(Trainer(learner_of(spec)), total)
    assert all(same(one, other) for one, other in zip(trainer.late, wanted, strict=True))


def test_what_no_graph_can_hold_is_told_and_done_without() -> None:
    """Stored heads are picked by a mask: it says so, and goes on to the plain trainer's numbers."""
    spec = spec_of(IMAGES, STORED, RUN, {"training": {"tasks": 9, "iterations": 4}})
    plain, captured = Trainer(learner_of(spec)), captured_of(spec)
    assert trained(captured, 4) == trained(plain, 4)
    assert "in no graph: it asks the device" in captured.learner.path
    assert len(captured.notes) == 1 and "no graph holds an iteration" in captured.notes[0]
    assert all(torch.equal(tensors(captured)[name], tensor) for name, tensor in tensors(plain).items())


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
        lambda x: torch.linalg.solve(torch.eye(3) + x, x),
    ],
)
def test_questions_to_the_device_are_seen(work: Callable[[torch.Tensor], Any]) -> None:
    x = torch.arange(3.0)
    with pytest.raises(CannotCaptureError, match="it asks the device"):
        watched(lambda: work(x))
    assert [each is x for each in watched(lambda: x.mul_(2).add_(torch.ones(3)))] == [True]


def test_rates_are_brought_in_blocks() -> None:
    """The second block of rates is there when its first iteration is."""
    spec = spec_of(SINE, RUN, COSINE, {"training": {"iterations": AHEAD + 3}})
    plain, captured = Trainer(learner_of(spec)), captured_of(spec)
    for trainer in (plain, captured):
        trainer.load(trainer.copied() | {"iteration": AHEAD - 2})
    trained(plain, AHEAD + 3), trained(captured, AHEAD + 3)
    for name, tensor in tensors(plain).items():
        assert close(tensors(captured)[name], tensor, 1e-12), name


def test_reasons() -> None:
    """Which trainings are known to fit into no graph."""

    def reason(algorithm: str, *overrides: str) -> str | None:
        return uncaptured(resolve("glyphs-5way-1shot", algorithm, overrides=overrides).spec)

    fitting = ("maml", "maml++", "anil", "boil", "meta-sgd", "reptile", "protonet", "siamese", "pretrain")
    assert [reason(each) for each in fitting] == [None] * len(fitting)
    assert "systems" in (reason("r2d2") or "") and "systems" in (reason("metaoptnet") or "")
    assert "stored heads" in (reason("maml", "adaptation.head=stored", "training.tasks=20") or "")
    several = uncaptured(resolve("sine-10shot", "maml").spec, processes=2)
    assert several == "several processes share each batch"


def told_by_a_run(folder: Path, graphs: Called | None, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """The events of a run that was stopped once and resumed, by graphs or by the plain trainer."""
    if graphs is not None:
        monkeypatch.setattr(
            "engine.building.trainer_of", lambda learner, ranks: CapturedTrainer(learner, graphs, ranks)
        )
    changes = ["iterations=40", "record_every=3", "checkpoint_every=10", "validation.every=20"]
    overrides = [f"training.{each}" for each in (*changes, "validation.episodes=4", "tasks_per_batch=3")]
    spec = resolve("sine-10shot", "maml", overrides=[*overrides, "model.hidden=[6, 6]"], device="cpu").spec
    run, lock = create_run(folder, spec)
    for words, descriptor in (([None] * 25 + ["stop"], lock), ([None] * 40, None)):
        stop = SimpleNamespace(computing=nullcontext(), word=iter(words).__next__, saved=lambda: None)
        with StatusWriter(run, descriptor, state="starting") as status:
            assert train_run(run, spec, "cpu", status, stop) == 0
    assert read_status(run).state == "finished"
    return read_events(run.events_path)[0]


def test_a_run_tells_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though records come late: each is told once, in order, and before the validation that follows it."""
    wanted = told_by_a_run(tmp_path / "plain", None, monkeypatch)
    found = told_by_a_run(tmp_path / "captured", Late(), monkeypatch)
    kinds = ("train", "validation", "checkpoint", "resumed", "fit")
    orders = [[(e["kind"], e["step"]) for e in each if e["kind"] in kinds] for each in (found, wanted)]
    assert [e for e in orders[0] if e[0] != "train"] == [e for e in orders[1] if e[0] != "train"]
    for kind in ("train", "validation"):
        mine, others = ([e for e in each if e["kind"] == kind] for each in (found, wanted))
        assert [e["step"] for e in mine] == [e["step"] for e in others]
        unequal = ("time", "seq")
        for one, other in zip(mine, others, strict=True):
            one, other = ({n: v for n, v in e.items() if n not in unequal} for e in (one, other))
            assert same(one | {"kind": 0}, other | {"kind": 0}, 1e-3)
    for step in (20, 40):
        before = orders[0][: orders[0].index(("validation", step))]
        assert [s for kind, s in before if kind == "train"] == [
            1,
            *range(3, step + 1, 3),
            *([40] * (step == 40)),
        ]
