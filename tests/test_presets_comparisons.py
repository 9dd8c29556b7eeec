"""Each shipped comparison can be planned at every budget, and no two of its rows are the same."""

from pathlib import Path
from typing import Any

import pytest

from engine.presets import ImageTask, Spec, list_presets, load_comparison, resolve, test_adaptation
from engine.presets.resolving import Resolved
from engine.runs.comparison import Plan, plan, requested_comparison
from engine.runs.rows import Options

COMPARISONS = [preset.name for preset in list_presets("comparisons")]
# Images of each class, as each data set's own lists say: no data are needed to plan.
CLASSES = {
    "glyphs": ({"train": 1100, "validation": 100, "test": 400}, 20),
    "omniglot": ({"train": 1100, "validation": 100, "test": 423}, 20),
    "miniimagenet": ({"train": 64, "validation": 16, "test": 20}, 600),
}


def counts(task: ImageTask, data_dir: Path | None = None) -> dict[str, list[int]]:
    parts, images = CLASSES[task.dataset]
    return {part: [images] * classes for part, classes in parts.items()}


def at_test_time(spec: Spec) -> tuple[Any, ...]:
    """What testing alone may make of a training."""
    later = spec.evaluation
    return test_adaptation(spec), later.tune, later.statistics, later.ensemble


@pytest.fixture
def planned(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr("engine.data.fitting.class_counts", counts)
    name, budget = request.param
    return plan(requested_comparison([name], None), Options(budget=budget), tmp_path / "runs", tmp_path)


ALL = [(name, budget) for name in COMPARISONS for budget in ("quick", "paper")]


@pytest.mark.parametrize("planned", ALL, indirect=True, ids="-".join)
def test_every_comparison_is_planned_and_no_two_rows_are_the_same(planned: Plan) -> None:
    assert not [note for note in planned.notes if "not paired" in note]
    assert len(planned.trainings) == len({(each.key, each.seed) for each in planned.trainings})
    assert all(training.action == "train" for training in planned.trainings)
    seen: dict[tuple[Any, ...], str] = {}
    for row in planned.rows:
        assert len(row.trainings) == len(planned.seeds)
        for task, specs in row.tests.items():
            assert len(specs) == len(planned.seeds)
            same = (row.trainings[0].key, task, *at_test_time(specs[0]))
            assert seen.setdefault(same, row.label) == row.label, f"on {task}: {row.label} is {seen[same]}"
    labels = {row.label for row in planned.rows if row.is_baseline}
    assert len({label.split(" (trained on ")[0] for label in labels}) <= 1


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_s_baseline_is_one_of_its_rows(name: str) -> None:
    comparison = load_comparison(name)
    assert comparison.baseline == "none" or comparison.baseline in {row.label for row in comparison.rows}


def test_each_row_is_resolved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: list[tuple[str, str]] = []

    def counting(task: str, algorithm: str, **settings: Any) -> Resolved:
        resolved.append((task, algorithm))
        return resolve(task, algorithm, **settings)

    monkeypatch.setattr("engine.runs.rows.resolve", counting)
    plan(requested_comparison(["sine-10shot", "maml", "anil"], None), Options(), tmp_path / "runs", tmp_path)
    assert resolved == [("sine-10shot", name) for name in ("maml", "anil", "pretrain")]
