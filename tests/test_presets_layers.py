"""Which layer wins, and that each value knows its layer."""

from pathlib import Path

import pytest

from engine.errors import RequestError
from engine.presets import Spec, load_comparison, load_spec, resolve, spec_from_dict, spec_to_dict
from engine.presets.layers import leaves
from engine.presets.source import Source, read_file

TASK = """
summary: a task
task: {dataset: glyphs, ways: 3}
adaptation: {steps: 2, learning_rate: 0.2}
training: {iterations: 20, checkpoint_every: 7}
outer: {clip: 5}
budgets:
  quick: {adaptation: {steps: 9}, training: {iterations: 50, tasks_per_batch: 5}}
  long: {training: {iterations: 51}}
"""
ALGORITHM = """
summary: an algorithm
family: mine
adaptation: {steps: 3, parameters: head}
training: {record_every: 3}
budgets: {quick: {training: {tasks_per_batch: 6, queries: 6}}}
for:
  "my-*":
    adaptation: {steps: 4}
    budgets: {quick: {training: {queries: 8}}}
  "other-*": {adaptation: {steps: 90}}
  "*task": {adaptation: {steps: 5}, training: {checkpoint_every: 5}, outer: {clip: null}}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my-task.yaml").write_text(TASK)
    (tmp_path / "mine.yaml").write_text(ALGORITHM)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_later_layers_win(files: Path) -> None:
    spec = resolve("my-task.yaml", "mine.yaml").spec
    assert spec.task.ways == 3  # type: ignore[union-attr]
    assert spec.adaptation.learning_rate == 0.2  # the task's file
    assert spec.adaptation.parameters == "head"  # the algorithm's file
    # The last matching `for` entry; also before the task's budget: an algorithm is what its file says.
    assert spec.adaptation.steps == 5
    assert spec.training.iterations == 50  # the task's budget beats the task's file
    assert spec.training.tasks_per_batch == 6  # the algorithm's budget beats the task's
    assert spec.training.queries == 8  # the `for` entry's budget beats both
    assert spec.training.record_every == 3
    assert spec.outer.clip is None  # null restores the default


def test_a_file_is_read_once_until_it_changes(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(path: Path, name: str) -> Source:
        read.append(path.name)
        return read_file(path, name)

    monkeypatch.setattr("engine.presets.files.read_file", reading)
    for _ in range(3):
        assert resolve("my-task.yaml", "mine.yaml").spec.adaptation.learning_rate == 0.2
    assert read == ["my-task.yaml", "mine.yaml"]
    # The same size: only its time, or its place on the disk, tells that it is another.
    (files / "my-task.yaml").write_text(TASK.replace("0.2", "0.3"))
    assert resolve("my-task.yaml", "mine.yaml").spec.adaptation.learning_rate == 0.3
    (files / "my-task.yaml").unlink()
    with pytest.raises(RequestError, match="there is no such file"):
        resolve("my-task.yaml", "mine.yaml")


def test_a_comparison_is_checked_again_though_it_has_not_changed(files: Path) -> None:
    (files / "both.yaml").write_text("tasks: [./my-task.yaml]\nrows: [./mine.yaml]\n")
    assert len(load_comparison("./both.yaml").rows) == 1
    (files / "mine.yaml").unlink()
    with pytest.raises(RequestError, match="line 2: there is no file"):
        load_comparison("./both.yaml")


def test_each_value_knows_its_layer(files: Path) -> None:
    layers = resolve("my-task.yaml", "mine.yaml", overrides=["task.shots=2", "task.ways=null"], seed=3).layers
    expected = {
        "task.dataset": "task my-task",
        "task.ways": "schema default, restored by --set",
        "task.shots": "--set",
        "adaptation.learning_rate": "task my-task",
        "adaptation.parameters": "algorithm mine",
        "adaptation.steps": "algorithm mine, for *task",
        "training.iterations": "budget quick of task my-task",
        "training.tasks_per_batch": "budget quick of algorithm mine",
        "training.queries": "budget quick of algorithm mine, for my-*",
        "outer.clip": "schema default, restored by algorithm mine, for *task",
        "outer.rule": "schema default",
        "seed": "--seed",
        "device": "schema default",
    }
    assert {key: layers[key] for key in expected} == expected


def test_layers_cover_every_key_of_the_spec(files: Path) -> None:
    resolved = resolve("my-task.yaml", "mine.yaml")
    keys = {".".join(path) for path, _ in leaves(spec_to_dict(resolved.spec))}
    assert set(resolved.layers) == {key for key in keys if not key.startswith(("origin", "kind"))}


def test_sets_and_overrides_in_order(files: Path) -> None:
    def steps(**asked: object) -> int:
        return resolve("my-task.yaml", "mine.yaml", **asked).spec.adaptation.steps  # type: ignore[arg-type]

    table = {"comparison_set": {"adaptation.steps": 6}}
    assert steps(**table) == 6
    assert steps(**table, row_set={"adaptation": {"steps": 7}}) == 7
    assert steps(**table, row_set={"adaptation.steps": 7}, overrides=["adaptation.steps=8"]) == 8
    assert steps(overrides=["adaptation.steps=8", "adaptation.steps=9"]) == 9
    assert steps(overrides=["adaptation.steps=8", "adaptation={learning_rate: 1}"]) == 8
    assert steps(overrides=["adaptation.steps=8", "adaptation=null"]) == 1
    asked = resolve(
        "my-task.yaml", "mine.yaml", overrides=["seed=4", "device=cpu"], seed=5, device="cuda:1"
    ).spec
    assert (asked.seed, asked.device) == (5, "cuda:1")


def test_budgets_are_those_of_the_files(files: Path) -> None:
    assert resolve("my-task.yaml", "mine.yaml", budget="long").spec.training.iterations == 51
    with pytest.raises(RequestError, match=r'^my-task and mine have no budget "papr".*quick, long'):
        resolve("my-task.yaml", "mine.yaml", budget="papr")
    (files / "plain.yaml").write_text("summary: no budgets\n")
    (files / "bare.yaml").write_text("summary: no budgets\ntask: {dataset: glyphs}\n")
    assert resolve("bare.yaml", "plain.yaml").spec.training.iterations == 5000


def test_mappings_merge_and_all_else_replaces(files: Path) -> None:
    def order(*texts: str) -> object:
        return spec_to_dict(resolve("my-task.yaml", "mine.yaml", overrides=texts).spec)["adaptation"]["order"]

    assert order("adaptation.order=1") == 1
    assert order("adaptation.order=1", "adaptation.order.at=0.25") == {"from": 1, "to": 2, "at": 0.25}
    both = ("adaptation.order={from: 2, to: 1}", "adaptation.order.at=0.75")
    assert order(*both) == {"from": 2, "to": 1, "at": 0.75}
    assert order(*both, "adaptation.order=1") == 1
    keep = resolve("my-task.yaml", "mine.yaml", overrides=["training.keep=[1, 2]", "training.keep=[3]"]).spec
    assert keep.training.keep == (3,)


def test_origin_says_where_a_spec_came_from(files: Path) -> None:
    origin = resolve("my-task.yaml", "mine.yaml").spec.origin
    assert (origin.task, origin.algorithm, origin.budget) == ("my-task", "mine", "quick")
    assert (origin.family, origin.summary) == ("mine", "an algorithm")
    assert origin.published is None


def test_published_figures_belong_to_the_task_as_it_is() -> None:
    def published(*texts: str) -> float | None:
        figure = resolve("omniglot-5way-1shot", "maml", overrides=texts).spec.origin.published
        return figure.value if figure else None

    assert published() == 98.7
    assert published("adaptation.steps=2", "task.queries=5") == 98.7
    assert published("task.ways=10") is None


def test_a_key_of_another_kind_of_task_is_never_dragged_along() -> None:
    with pytest.raises(RequestError) as caught:
        resolve("omniglot-5way-1shot", "maml", overrides=["task.dataset=sine"])
    message = str(caught.value)
    assert message.startswith("--set task.dataset=sine: omniglot-5way-1shot.yaml, line ")
    assert "task.ways" in message
    assert "task.rotations" in message


def test_specs_come_back_from_their_files(tmp_path: Path) -> None:
    import yaml

    for task, algorithm in [
        ("omniglot-5way-1shot", "pretrain"),
        ("sine-li-5shot", "maml"),
        ("glyphs-20way-1shot", "anil"),
    ]:
        spec = resolve(
            task, algorithm, overrides=["adaptation.order=2", "outer.learning_rate=1e-5"], seed=7
        ).spec
        content = spec_to_dict(spec)
        assert spec_from_dict(content, "it") == spec
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump({**content, "key": "0123456789abcdef"}, sort_keys=False))
        assert load_spec(path) == spec
        changed = load_spec(path, overrides=["adaptation.steps=9", "outer.clip=null"])
        assert changed == spec.model_copy(
            update={"adaptation": spec.adaptation.model_copy(update={"steps": 9}), "outer": spec.outer}
        )


def test_annealed_order_comes_back(tmp_path: Path) -> None:
    spec = resolve("glyphs-5way-1shot", "maml", overrides=["adaptation.order={from: 1, to: 2, at: 0.5}"]).spec
    assert spec_from_dict(spec_to_dict(spec), "it") == spec
    assert isinstance(spec, Spec)
