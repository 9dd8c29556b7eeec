"""Diagnosis: each finding on a run that has it, and not on one that nearly has it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.runs import Run
from engine.runs.diagnosis import Diagnosis, diagnose
from tests.diagnosed_runs import made_run
from tests.tested_runs import add_result


def names(run: Run) -> set[str]:
    return {finding.name for finding in diagnose(run).findings}


def say(**values: Any) -> Callable[[int], Mapping[str, Any]]:
    """Every event says these."""
    return lambda step: values


def at(
    when: Callable[[int], bool], otherwise: float = 1.0, **values: float
) -> Callable[[int], dict[str, float]]:
    """Events of some iterations say these, the others `otherwise`."""
    return lambda step: {name: value if when(step) else otherwise for name, value in values.items()}


def validated(value: Callable[[int], float], ci95: float = 0.008, before: float = 0.2) -> dict[str, Any]:
    """Validations of that value by iteration, after steps that gain."""
    return {
        "validation": lambda step: {"metric": [before, before, before, value(step)], "ci95": [ci95] * 4}
    }


def trained(accuracy: float) -> dict[str, Any]:
    return {"train": say(accuracy=[0.2, 0.6, 0.7, accuracy])}


def inner(*losses: float, query: float | None = None) -> dict[str, Any]:
    """Support losses within the inner loop, and query losses as they are or with another last one."""
    answers = [*losses[:-1], losses[-1] if query is None else query]
    return {"train": say(support_loss=list(losses), query_loss=answers)}


def moved(conv2: float | None) -> dict[str, Any]:
    layers = {"conv1": 0.01, "conv3": 0.01, "conv4": 0.01, "head": 0.5}
    layers |= {f"norm{number}": 0.01 for number in range(1, 5)}
    return {"train": say(moved=layers if conv2 is None else layers | {"conv2": conv2})}


def learned(rate: float) -> dict[str, Any]:
    rates = {"conv1.weight": [0.1, 0.1, 0.1], "head.bias": [0.1, rate, 0.12], "outer": 0.001}
    return {"train": say(rates=rates)}


def peak(end: float) -> Callable[[int], float]:
    """Rises to 0.86 until iteration 500, and falls or stays after."""
    return lambda step: min(0.86, 0.4 + step / 1000) + (end - 0.86) * max(0, step - 500) / 500


def swing(by: float) -> Callable[[int], float]:
    return lambda step: 0.85 + by * (-1) ** (step // 100)


STEPS = ("adaptation.steps=3",)
QUERY = (*STEPS, "evaluation.statistics=query")
LEARNED = (*STEPS, "adaptation.learned_rates=layer-step", "adaptation.learning_rate=0.1")


@dataclass
class Case:
    """A finding, a run that has it and ones that nearly have it."""

    name: str
    has: dict[str, Any]
    nearly: list[dict[str, Any]]
    settings: tuple[str, ...] = STEPS
    figures: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case(
        "adaptation-gains-nothing",
        validated(lambda step: 0.605, before=0.6),
        [
            validated(lambda step: 0.62, before=0.6),
            validated(lambda step: 0.605, before=0.6) | {"until": 190},
        ],
        figures={"iteration": 1000, "inner_steps": 3, "before": 60.0, "after": 60.5},
    ),
    Case(
        "adaptation-harms",
        validated(lambda step: 0.55, before=0.6),
        [validated(lambda step: 0.595, before=0.6)],
        figures={"gain": -5.0},
    ),
    Case(
        "at-chance",
        validated(lambda step: 0.205),
        [validated(lambda step: 0.22), validated(lambda step: 0.205) | {"until": 190}],
        figures={"chance": 20.0},
    ),
    Case(
        "inner-rate-too-high",
        inner(1.6, 0.8, 0.4, 0.45),
        [
            inner(1.6, 0.8, 0.4, 0.43),
            inner(1.6, 0.8, 0.4, 0.45, query=0.3),
            {"train": lambda step: inner(1.6, 0.8, 0.4, 0.45)["train"](step) if step % 30 == 0 else {}},
        ],
        figures={"inner_step": 3, "share": 1.0},
    ),
    Case(
        "dead-layer",
        moved(1e-7),
        [moved(2e-6), moved(1e-7) | {"until": 100}],
        figures={"layers": ["conv2"], "moved": {"conv2": pytest.approx(1e-7)}},
    ),
    Case("dead-layer", moved(None), [], figures={"layers": ["conv2"], "moved": {"conv2": 0.0}}),
    Case("dead-layer", {"train": say(moved={"head": 0.5})}, [], (*STEPS, "adaptation.parameters=[conv1.*]")),
    Case(
        "learned-rate-far-from-start",
        learned(1.2),
        [learned(0.95)],
        LEARNED,
        figures={
            "start": 0.1,
            "rates": [{"tensor": "head.bias", "inner_step": 2, "value": pytest.approx(1.2)}],
        },
    ),
    Case("learned-rate-negative", learned(-0.02), [learned(-0.005)], LEARNED),
    Case(
        "meta-gradient-explodes",
        {"train": say(meta_gradient_norms=[11.0, 3.0, 1.0])},
        [{"train": say(meta_gradient_norms=[9.0, 3.0, 1.0])}],
        figures={"factor": 11.0, "norm_at_first_step": 11.0},
    ),
    Case(
        "meta-gradient-explodes",
        {"train": say(meta_gradient_norms=[31.0, 3.0, 1.0])},
        [{"train": say(meta_gradient_norms=[11.0, 3.0, 1.0])}],
        (*STEPS, "adaptation.loss=multi-step"),
    ),
    Case(
        "meta-gradient-vanishes",
        {"train": say(meta_gradient_norms=[0.009, 0.1, 1.0])},
        [{"train": say(meta_gradient_norms=[0.02, 0.1, 1.0])}],
    ),
    Case(
        "meta-gradient-grows",
        {"train": at(lambda step: step > 400, gradient_norm=12.0)},
        [{"train": at(lambda step: step > 400, gradient_norm=9.0)}],
        figures={"norm": 12.0, "early_norm": 1.0},
    ),
    Case(
        "meta-gradient-spikes",
        {"train": at(lambda step: step % 200 == 0, gradient_norm=12.0)},
        [
            {"train": at(lambda step: step % 200 == 0, gradient_norm=9.0)},
            {"train": at(lambda step: step == 600, gradient_norm=100.0)},
        ],
        figures={"spikes": 5, "largest": 12.0},
    ),
    Case("meta-gradient-nothing", {"train": say(gradient_norm=1e-7)}, [{"train": say(gradient_norm=1e-5)}]),
    Case(
        "overfits-training-classes",
        trained(0.97) | validated(peak(0.8)),
        [trained(0.97) | validated(peak(0.85)), trained(0.87) | validated(peak(0.8))],
        QUERY,
        figures={"best_iteration": 500, "training": 97.0},
    ),
    Case("validation-fell", validated(peak(0.8)), [validated(peak(0.85))]),
    Case(
        "generalisation-gap",
        trained(0.99) | validated(lambda step: 0.8 + 0.08 * step / 1000),
        [trained(0.97) | validated(lambda step: 0.8 + 0.08 * step / 1000)],
        QUERY,
    ),
    Case(
        "plateau",
        validated(lambda step: 0.85),
        [
            validated(lambda step: 0.85 + 0.02 * step / 1000),
            validated(lambda step: 0.85) | {"until": 900},
            validated(peak(0.8)),
        ],
        figures={"first": 85.0, "last": 85.0, "iterations": [400, 1000]},
    ),
    Case(
        "never-annealed",
        validated(swing(0.02)),
        [validated(swing(0.001)), validated(swing(0.02)) | {"until": 800}],
        (*STEPS, "outer.schedule=constant"),
    ),
    Case(
        "too-few-validation-episodes",
        validated(swing(0.003), ci95=0.02),
        [validated(swing(0.003), ci95=0.009), validated(swing(0.0015), ci95=0.02)],
    ),
    Case(
        "slower-than-before",
        {"speed": at(lambda step: step > 700, 10.0, iterations_per_second=4.0)},
        [
            {"speed": at(lambda step: step > 700, 10.0, iterations_per_second=6.0)},
            {"speed": at(lambda step: step == 1000, 10.0, iterations_per_second=1.0)},
        ],
        figures={"now": 4.0, "before": 10.0},
    ),
    Case(
        "slower-than-before",
        {"speed": at(lambda step: step > 800, 10.0, iterations_per_second=4.0)},
        [{"speed": at(lambda step: step > 500, 10.0, iterations_per_second=4.0)}],
        (*STEPS, "adaptation.order={from: 1, to: 2, at: 0.5}"),
    ),
    Case(
        "validation-not-finite",
        {"validation": lambda step: {"metric": [0.2, 0.5, 0.6, None]} if step == 1000 else {}},
        [{"validation": lambda step: {"metric": [0.2, 0.5, 0.6, None]} if step == 900 else {}}],
        figures={"iteration": 1000},
    ),
    Case(
        "not-finite",
        {"state": "failed", "step": 499, "until": 490, "error": "the loss of iteration 500 is not finite"},
        [{"state": "failed", "step": 499, "until": 490, "error": "the disk is full"}],
        figures={"iteration": 500, "usual_norm": 1.0},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_finding_and_what_nearly_is_one(tmp_path: Path, case: Case) -> None:
    found = diagnose(made_run(tmp_path, settings=case.settings, **case.has))
    told = {finding.name: finding for finding in found.findings}
    assert case.name in told
    finding = told[case.name]
    assert finding.sentence.endswith(".") and finding.advice
    assert "\n" not in finding.sentence + finding.advice
    for key, value in case.figures.items():
        assert finding.figures[key] == (pytest.approx(value) if isinstance(value, float) else value), key
    assert finding.severity == "hint" or not found.sound
    json.dumps(finding.as_row(), allow_nan=False)
    for nearly in case.nearly:
        assert case.name not in names(made_run(tmp_path, settings=case.settings, **nearly))


def test_a_rate_far_from_its_start_is_a_warning_where_nothing_is_gained(tmp_path: Path) -> None:
    for before, severity in ((0.2, "hint"), (0.85, "warning")):
        changes = learned(1.2) | validated(lambda step: 0.85, before=before)
        found = diagnose(made_run(tmp_path, settings=LEARNED, **changes)).findings
        assert [f.severity for f in found if f.name == "learned-rate-far-from-start"] == [severity]


def test_what_to_try_where_nothing_is_gained(tmp_path: Path) -> None:
    """A mean spoilt by tasks that diverge wants a lower rate, as do steps that fit the support set alone; a
    loss that hardly moves wants a larger one."""
    for after, ci95, support, advice in (
        (16.0, 23.7, 3.5, "on some tasks it diverges"),
        (3.55, 0.3, 1.0, "fit the support set"),
        (3.55, 0.3, 3.5, "try a larger"),
    ):
        told = {"metric": [3.6, 3.6, 3.6, after], "ci95": [ci95] * 4}
        seen = {"support_loss": [3.6, 3.6, 3.6, support], "error": [3.6, 3.6, 3.6, after]}
        run = made_run(tmp_path, "sine-10shot", train=say(**seen), validation=say(**told))
        found = diagnose(run).findings
        assert [advice in f.advice for f in found if f.name == "adaptation-gains-nothing"] == [True]


def test_a_gain_too_small_for_validation_s_interval_is_told_by_training(tmp_path: Path) -> None:
    """Waves differ by more than adaptation gains; meta-batches before and after it are the same waves."""
    told = {"metric": [3.6, 3.6, 3.6, 3.2], "ci95": [0.6] * 4}
    for after, expected in ((3.2, set()), (3.58, {"adaptation-gains-nothing"})):
        run = made_run(
            tmp_path,
            "sine-10shot",
            train=lambda step, after=after: {"error": [3.6 + step % 7, 3.6, 3.6, after + step % 7]},
            validation=say(**told),
        )
        assert names(run) - {"plateau"} == expected


def test_an_error_that_falls_slowly_is_no_plateau(tmp_path: Path) -> None:
    """Its interval is mostly that waves differ: they are the same waves in each validation."""
    for fall, expected in ((0.02, {"plateau"}), (0.1, set())):
        told = lambda step, fall=fall: {  # noqa: E731
            "metric": [4.0, 4.0, 4.0, 2.0 * (1 - fall * step / 1000)],
            "ci95": [0.7] * 4,
        }
        seen = say(error=[4.0, 4.0, 4.0, 1.9])
        assert names(made_run(tmp_path, "sine-10shot", train=seen, validation=told)) == expected


def test_tasks_that_are_few(tmp_path: Path) -> None:
    """Advice suits what there is: classes of images, or a finite set of tasks."""
    for settings, word in (((), "training.augment"), (("training.tasks=10",), "training.tasks=null")):
        case = trained(0.99) | validated(lambda step: 0.8 + 0.08 * step / 1000)
        found = diagnose(made_run(tmp_path, settings=(*QUERY, *settings), **case)).findings
        assert [word in finding.advice for finding in found] == [True]


def test_a_head_of_zeros_blocks_the_first_step(tmp_path: Path) -> None:
    for settings, expected in (
        (("adaptation.steps=1",), {"dead-layer"}),
        (("adaptation.steps=2",), set()),
        (("adaptation.steps=1", "adaptation.parameters=head"), set()),
    ):
        assert names(made_run(tmp_path, settings=(*settings, "adaptation.head=zero"))) == expected


def test_a_clipped_gradient_may_spike_and_an_uphill_rate_may_rise(tmp_path: Path) -> None:
    spiking = at(lambda step: step % 200 == 0, gradient_norm=12.0)
    assert names(made_run(tmp_path, settings=(*STEPS, "outer.clip=10"), train=spiking)) == set()
    rising = inner(1.6, 1.7, 1.8, 1.9)
    run = made_run(tmp_path, settings=(*STEPS, "adaptation.learning_rate=-0.1"), **rising)
    assert names(run) == set()


@pytest.mark.parametrize(
    ("task", "algorithm"),
    [
        ("glyphs-5way-1shot", "maml"),
        ("glyphs-5way-1shot", "anil"),
        ("glyphs-5way-1shot", "reptile"),
        ("glyphs-5way-1shot", "protonet"),
        ("glyphs-5way-1shot", "r2d2"),
        ("glyphs-5way-1shot", "pretrain"),
        ("glyphs-5way-1shot", "maml++"),
        ("glyphs-5way-1shot", "meta-sgd"),
        ("sine-10shot", "maml"),
        ("sine-10shot", "pretrain"),
        ("sine-10shot", "oracle"),
        ("sine-10shot", "scratch"),
    ],
)
def test_sound_runs_have_no_findings(tmp_path: Path, task: str, algorithm: str) -> None:
    statistics = ("evaluation.statistics=running",) if algorithm == "maml++" else ()
    until = 0 if algorithm == "scratch" else 1000
    found = diagnose(made_run(tmp_path, task, algorithm, statistics, until=until))
    assert found.findings == ()
    assert found.fine or found.note == "it is not trained, so that there is no training to judge"
    before = diagnose(made_run(tmp_path, task, algorithm, statistics, until=0, state="queued"))
    assert before.findings == () and before.note


def scored(values: list[float], steps: int = 1) -> list[list[float]]:
    """Accuracies of 60 episodes after 0..k steps, about these."""
    spread = np.linspace(-0.1, 0.1, 60)
    return [[value + each for value in values] for each in spread]


def test_statistics_that_leak_are_measured(tmp_path: Path) -> None:
    def tested(together: float, alone: float | None, **more: Any) -> dict[str, Any]:
        run = made_run(tmp_path, state="finished")
        protocol = {"statistics": "query", "steps_in_testing": 3}
        add_result(run, scored([0.2, together]), "a" * 16, protocol=protocol)
        if alone is not None:
            add_result(run, scored([0.2, alone]), "b" * 16, protocol=protocol | {"statistics": "one"}, **more)
        return {finding.name: finding for finding in diagnose(run).findings}

    assert tested(0.85, 0.84)["statistics-leak"].severity == "hint"
    found = tested(0.85, 0.80)["statistics-leak"]
    assert found.severity == "warning" and found.figures["queries"] == 75
    assert found.figures["difference"] == pytest.approx(5.0)
    assert "statistics-leak" not in tested(0.85, 0.847)
    assert "statistics-leak" not in tested(0.85, 0.80, checkpoint="another")
    assert "statistics-leak" not in tested(0.85, None)


def test_statistics_of_all_queries_are_told_where_they_were_used(tmp_path: Path) -> None:
    for settings, expected in (
        (["evaluation.statistics=query"], {"statistics-of-all-queries"}),
        (["evaluation.statistics=query", "model.norm=none"], set()),
        (["evaluation.statistics=query", "task.queries=1"], set()),
        (["evaluation.statistics=one"], set()),
    ):
        run = made_run(tmp_path, settings=settings)
        assert names(run) == set()  # never tested
        add_result(run, scored([0.2, 0.85]), protocol={"statistics": "query"})
        assert names(run) == expected


def test_too_many_steps_in_testing(tmp_path: Path) -> None:
    for last, expected in ((0.7, {"too-many-test-steps"}), (0.797, set()), (0.85, set())):
        run = made_run(tmp_path)
        add_result(run, scored([0.2, 0.8, last]), protocol={})
        assert names(run) == expected


def test_a_test_s_gain_is_paired(tmp_path: Path) -> None:
    """Episodes differ by far more than adaptation gains; the same episodes before and after tell it."""
    run = made_run(tmp_path, **validated(lambda step: 0.605, before=0.6))
    assert "adaptation-gains-nothing" in names(run)
    values = [[value, value + 0.02 + 0.001 * (at % 2)] for at, value in enumerate(np.linspace(0.3, 0.9, 60))]
    add_result(run, values, protocol={}, checkpoint_step=1000)
    assert "adaptation-gains-nothing" not in names(run)


def whole(run: Run) -> Diagnosis:
    found = diagnose(run)
    json.dumps([finding.as_row() for finding in found.findings], allow_nan=False)
    return found


def test_half_written_runs(tmp_path: Path) -> None:
    run = made_run(tmp_path, state="running")
    data = run.events_path.read_bytes()
    for part in range(12):
        run.events_path.write_bytes(data[: len(data) * part // 12])
        assert whole(run).findings == ()
    run.events_path.unlink()
    run.status_path.unlink()
    assert whole(run).findings == ()
    run.spec_path.write_text("task: {dataset: nothing}\n")
    assert [finding.name for finding in whole(run).findings] == ["spec-unreadable"]


@pytest.mark.parametrize("value", [None, "text", -1, 1e308, [], [None] * 4, [[1]], {"a": None}, 0])
def test_events_may_hold_anything(tmp_path: Path, value: Any) -> None:
    lists = ("support_loss", "query_loss", "accuracy", "meta_gradient_norms", "rates", "moved")
    for key in (*lists, "gradient_norm"):
        whole(made_run(tmp_path, settings=LEARNED, train=say(**{key: value}), until=300))
    for key in ("metric", "ci95", "steps"):
        whole(made_run(tmp_path, validation=say(**{key: value})))
    whole(made_run(tmp_path, speed=say(iterations_per_second=value)))
