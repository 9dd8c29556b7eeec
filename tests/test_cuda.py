"""Training on a GPU: graphs against the plain trainer there and on the CPU, nothing waited for in a step,
less precision where it is asked for. All are skipped where there is no GPU."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_loop import close, packed_images
from real_runs import wait
from test_captured import CASES, RUN, same, tensors, trained
from test_training import IMAGES, SINE, spec_of

from engine.captured import trainer_of
from engine.captured.trainer import CapturedTrainer
from engine.divergence import Diverged
from engine.learner import Learner
from engine.outer.joint import joint_gradient
from engine.paths import CAPTURED, GENERIC
from engine.precision import arithmetic, in_full
from engine.presets import resolve
from engine.presets.schema import Spec
from engine.presets.shapes import training_shape
from engine.ranks.alone import Ranks
from engine.runs import ask, create_run, read_events, read_status, resume_run, start_worker
from engine.tasks import build_tasks
from engine.tasks.images import ImageEpisodes
from engine.training import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here for CUDA to use")
CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
EXACT = {"outer": {"learning_rate": 2.0**-6, "optimizer": "sgd"}}
"""A rate that float32 holds as it is, and steps that are in proportion to the gradient."""


@pytest.fixture(autouse=True)
def in_full_precision() -> Iterator[None]:
    in_full()
    yield
    torch.cuda.set_sync_debug_mode("default")


def learner_of(spec: Spec, device: torch.device, dtype: torch.dtype) -> Learner:
    if spec.task.dataset == "sine":
        return Learner(spec, build_tasks(spec, Path("/nonexistent"), device, dtype), device, dtype)
    task, training = spec.task, spec.training
    packed = packed_images({"train": [20] * 12, "validation": [20] * 8, "test": [20] * 8})
    shape = training_shape(spec)
    shapes: Any = {"train": shape, "validation": shape, "test": shape}
    seeds = (spec.seed, spec.evaluation.seed)
    tasks = ImageEpisodes(
        packed, task.rotations, shapes, *seeds, training.tasks, device, dtype, training.augment
    )
    return Learner(spec, tasks, device, dtype)


def captured_of(spec: Spec, dtype: torch.dtype = torch.float64) -> CapturedTrainer:
    found = trainer_of(learner_of(spec, GPU, dtype), Ranks())
    assert isinstance(found, CapturedTrainer) and found.learner.path == CAPTURED
    return found


def plain_of(spec: Spec, device: torch.device, dtype: torch.dtype = torch.float64) -> Trainer:
    learner = learner_of(spec, device, dtype)
    learner.take(f"{GENERIC}: compared")
    return Trainer(learner)


def agree(one: Trainer, other: Trainer, tolerance: float) -> None:
    there = tensors(other)
    for name, tensor in tensors(one).items():
        assert close(tensor.cpu(), there[name].cpu(), tolerance), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_the_cpus_numbers(case: str, dtype: torch.dtype) -> None:
    """After 5 iterations, to 1e-4 in float32 (an inner Adam's first steps are signs: 1e-3) and 1e-9 in
    float64."""
    spec = spec_of(*CASES[case], RUN, EXACT, {"outer": {"schedule": "constant"}})
    captured, plain = captured_of(spec, dtype), plain_of(spec, CPU, dtype)
    found, wanted = trained(captured, 5), trained(plain, 5)
    assert captured.learner.path == CAPTURED, captured.notes
    tolerance = 1e-9 if dtype is torch.float64 else 1e-3 if spec.adaptation.update == "adam" else 1e-4
    agree(captured, plain, tolerance)
    assert [each["step"] for each in found] == [each["step"] for each in wanted]


@pytest.mark.parametrize("optimizer", ["adam", "nesterov"])
@pytest.mark.parametrize("case", ["annealed on waves", "maml++", "anil in portions", "joint on images"])
def test_a_replay_has_the_numbers_of_the_same_kernels_launched_one_by_one(case: str, optimizer: str) -> None:
    spec = spec_of(*CASES[case], RUN, EXACT, {"outer": {"optimizer": optimizer, "schedule": "constant"}})
    captured, plain = captured_of(spec), plain_of(spec, GPU)
    found, wanted = trained(captured, 20), trained(plain, 20)
    assert captured.learner.path == CAPTURED, captured.notes
    agree(captured, plain, 1e-9)
    assert all(same(one, other, 1e-8) for one, other in zip(found, wanted, strict=True))


def test_a_resumed_training_goes_on_to_the_same_numbers() -> None:
    spec = spec_of(*CASES["maml++"], RUN)
    whole, first, second = captured_of(spec), captured_of(spec), captured_of(spec)
    records = trained(whole, 20)
    before = trained(first, 8)
    second.load(first.copied())
    after = trained(second, 20)
    assert all(same(one, other, 1e-9) for one, other in zip([*before, *after], records, strict=True))
    agree(second, whole, 1e-10)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_divergence_is_told_as_of_its_iteration(optimizer: str) -> None:
    outer = {"outer": {"optimizer": optimizer, "learning_rate": {"sgd": 32.0, "adam": 1e12}[optimizer]}}
    spec = spec_of(SINE, RUN, outer, {"training": {"record_every": 50}})
    seen = []
    for trainer in (captured_of(spec), plain_of(spec, GPU)):
        with pytest.raises(Diverged) as fault:
            trained(trainer, 20)
        seen.append((fault.value.iteration, fault.value.what, trainer.iteration))
        assert all(torch.isfinite(each).all() for each in trainer.learner.meta_parameters.values())
    assert seen[0] == seen[1]


def test_a_step_waits_for_nothing() -> None:
    """Neither for the device nor for a copy, also in iterations that are recorded; then all records are
    there."""
    apart = {"record_every": 2, "iterations": 500, "checkpoint_every": 400, "validation": {"every": 400}}
    spec = spec_of(IMAGES, RUN, {"training": apart})
    trainer = captured_of(spec, torch.float32)
    records = trained(trainer, 5)
    torch.cuda.set_sync_debug_mode("error")
    for _ in range(20):
        assert trainer.step() is None
    torch.cuda.set_sync_debug_mode("default")
    trainer.settle()
    records += trainer.late
    assert [each["step"] for each in records] == [1, *range(2, 26, 2)]
    plain = plain_of(spec, GPU, torch.float32)
    for mine, other in zip(records, trained(plain, 25), strict=True):
        assert mine["step"] == other["step"] and abs(mine["outer_loss"] - other["outer_loss"]) < 0.05


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("case", ["maml on images", "maml++", "joint on images", "maml on waves"])
def test_less_precision_is_near_and_leaves_no_trace(case: str, precision: str) -> None:
    spec = spec_of(*CASES[case], RUN, {"training": {"precision": precision}})
    trainer = captured_of(spec, torch.float32)
    records = trained(trainer, 20)
    assert trainer.learner.path == CAPTURED, trainer.notes
    assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
    assert not torch.is_autocast_enabled("cuda")
    assert all(each.dtype == torch.float32 for each in trainer.learner.meta_parameters.values())
    full = trained(captured_of(spec_of(*CASES[case], RUN), torch.float32), 20)
    assert abs(records[0]["outer_loss"] - full[0]["outer_loss"]) < 0.05 * abs(full[0]["outer_loss"]) + 0.02


def test_less_precision_changes_products() -> None:
    x = torch.randn(256, 256, device=GPU)
    exact = x.double() @ x.double()
    errors = []
    for precision in ("full", "tf32", "bf16"):
        with arithmetic(precision, GPU):
            errors.append(float(((x @ x).double() - exact).abs().max()))
    assert errors[0] < errors[1] < errors[2]


def test_joint_outputs_are_float32_whatever_they_were_computed_in() -> None:
    spec = spec_of(IMAGES, {"outer": {"rule": "joint"}})
    learner = learner_of(spec, GPU, torch.float32)
    examples = learner.tasks.examples(torch.arange(8, device=GPU))
    with arithmetic("bf16", GPU):
        gradient, loss, outputs = joint_gradient(learner.body, "classes", learner.meta_parameters, examples)
    assert loss.dtype == outputs.dtype == torch.float32
    assert all(each.dtype == torch.float32 for each in gradient.values())


def test_a_run_by_graphs_is_stopped_and_resumed(tmp_path: Path) -> None:
    """From its directory: every record once and in order, a path that says so."""
    changes = ["training.iterations=3000", "training.validation.episodes=20", "model.filters=8"]
    spec = resolve("glyphs-5way-1shot", "maml", overrides=changes, device="cuda").spec
    run, lock = create_run(tmp_path, spec)
    start_worker(run, lock, tmp_path / "no-data")
    wait(run, "running", step=300)
    ask(run, "stop")
    wait(run, "stopped", "finished")
    if read_status(run).state == "stopped":
        resume_run(run)
        wait(run, "finished")
    assert read_status(run).more["path"] == CAPTURED
    steps = [event["step"] for event in read_events(run.events_path)[0] if event["kind"] == "train"]
    assert steps == [1, *range(20, 3001, 20)]


@pytest.mark.long
def test_how_long_a_published_training_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints, and asserts nothing of time: 5-way 1-shot MAML, conv4-64, 32 tasks, one step, by graphs and
    without; what 60,000 iterations come to."""
    task = {"ways": 5, "shots": 1, "queries": 1}
    lines = [f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}"]
    for precision in ("full", "tf32", "bf16"):
        spec = spec_of(
            IMAGES,
            {"task": task, "model": {"filters": 64, "pooling": "max"}, "adaptation": {"learning_rate": 0.4}},
            {"training": {"iterations": 60_000, "tasks_per_batch": 32, "record_every": 20}},
            {"training": {"precision": precision, "validation": {"every": 100_000}}},
            {"training": {"checkpoint_every": 100_000}},
        )
        for trainer in (captured_of(spec, torch.float32), plain_of(spec, GPU, torch.float32)):
            count = 2000 if trainer.learner.path == CAPTURED else 100
            trained(trainer, 40)
            begun = time.monotonic()
            trained(trainer, 40 + count)
            each = (time.monotonic() - begun) / count
            lines.append(
                f"{precision} {trainer.learner.path.partition(':')[0]}: {1000 * each:.3f} ms an iteration, "
                f"60,000 in {60_000 * each:.0f} s, {torch.cuda.max_memory_allocated() / 2**20:.0f} MB"
            )
    with capsys.disabled():
        print("", *lines, sep="\n")
