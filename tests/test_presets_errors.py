"""One line for each wrong request: where, what was found, what would be right."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import RequestError
from engine.presets import list_presets, load_comparison, load_preset, load_spec, resolve
from engine.presets.fields import every_key


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(task: str = "omniglot-5way-1shot", algorithm: str = "maml", **asked: object) -> str:
    with pytest.raises(RequestError) as caught:
        resolve(task, algorithm, **asked)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("adaptation.steps=-1", "must be at least 0, found -1"),
        ("training.iterations=many", 'must be a whole number, found "many"'),
        ("training.iterations=1.5", "must be a whole number, found 1.5"),
        ("training.iterations=true", "must be a whole number, found true"),
        ("adaptation.learning_rate=fast", 'must be a number, or two numbers [low, high], found "fast"'),
        ("outer.learning_rate=.inf", "must be a finite number, found Infinity"),
        ("adaptation.constant_memory=1", "must be true or false, found 1"),
        ("task.split=3", "must be a text, found 3"),
        ("outer.learning_rate=0", "must be above 0, found 0"),
        ("outer.drops.at=[0.5, 2]", "outer.drops.at[1] must be at most 1, found 2"),
        ("outer.drops.at=[]", "must not be empty, found []"),
        ("outer.drops.at=0.5", "must be a list, found 0.5"),
        ("training.keep=[100, x]", 'training.keep[1] must be a whole number, found "x"'),
        ("task.channels=2", "must be 1 or 3, found 2"),
        ("device=cudaa", 'must be auto, cpu, mps, cuda or cuda:N, found "cudaa"'),
        (
            "task.rotations=clases",
            'must be none, drawn or classes, found "clases" (nearest: classes)',
        ),
        (
            "task.dataset=omniglt",
            "must be glyphs, omniglot, miniimagenet, cifar-fs, fc100 or folder, "
            'found "omniglt" (nearest: omniglot)',
        ),
        ("adaptation.order=3", "must be 1 or 2, or a mapping {from, to, at}, found 3"),
        ("adaptation.order={from: 3}", "adaptation.order.from must be 1 or 2, found 3"),
        (
            "adaptation.parameters=heads",
            'must be all, head or body, or a list of texts, found "heads" (nearest: head)',
        ),
        (
            "evaluation.tune.head=[zero, mean]",
            "evaluation.tune.head[1] must be learned, zero, means, random or stored, "
            'found "mean" (nearest: means)',
        ),
        ("evaluation.tune=5", "must be a mapping of keys (learning_rate, head, "),
        ("adaptation.steps.x=3", "adaptation.steps holds a value and has no keys of its own"),
        ("adaptation.stps=3", "adaptation.stps is not a key of adaptation (nearest: steps)"),
        ("task.steps=3", "task.steps is not a key of task (nearest: adaptation.steps, evaluation.steps)"),
        ("zzz=3", "zzz is not a key of a spec (its keys: task, model, adaptation, outer, training, "),
        ("origin.task=x", "origin is not a key of a spec"),
        ("task.phase=[0, 1]", "task.phase is not a key of a task of images"),
        ("adaptation={steps: 1, stesp: 2}", "adaptation.stesp is not a key of adaptation (nearest: steps)"),
        ("adaptation.steps", "must be path.to.key=value"),
        ("=3", "must be path.to.key=value"),
        ("task..ways=3", "must be path.to.key=value"),
        ("adaptation.steps=", "there is no value; null restores the default"),
        ("task.ways=[", "the value is not readable: line 1, column 2: not YAML"),
        ("task=null", "task.dataset has no default: it says where the tasks come from"),
    ],
)
def test_each_wrong_override_has_its_answer(text: str, answer: str) -> None:
    message = refused(overrides=[text])
    assert message.startswith(f"--set {text}: {answer}")


def test_ranges_of_a_sine_task() -> None:
    def of(value: str) -> str:
        return refused("sine-10shot", overrides=[f"task.phase={value}"]).removeprefix(
            f"--set task.phase={value}: "
        )

    assert of("5") == "must be a list, found 5"
    assert of("[1]") == "must be two numbers [low, high], found [1]"
    assert of("[1, 2, 3]") == "must be two numbers [low, high], found [1, 2, 3]"
    assert of("[a, 3]") == 'task.phase[0] must be a number, found "a"'


def test_other_requests() -> None:
    assert refused(seed=-1) == "--seed -1: must be at least 0, found -1"
    assert refused(device="gpu") == '--device gpu: must be auto, cpu, mps, cuda or cuda:N, found "gpu"'
    assert refused(row_set={"adaptation.stps": 1}).startswith("row's set: adaptation.stps is not a key")
    twice = {"adaptation.steps": 1, "adaptation": {"steps": 2}}
    assert refused(comparison_set=twice) == "comparison's set: adaptation.steps is given twice"


def test_unknown_names_suggest_the_nearest() -> None:
    nearest = 'there is no task preset "omniglot-5way" (nearest: omniglot-5way-1shot); kshot tasks lists them'
    assert refused("omniglot-5way") == nearest
    assert refused(algorithm="mamll").startswith('there is no algorithm preset "mamll" (nearest: maml)')
    assert refused("zzzz") == 'there is no task preset "zzzz"; kshot tasks lists them'
    other = 'there is no task preset "maml": maml is an algorithm; kshot tasks lists the tasks'
    assert refused("maml") == other
    assert refused("./nope.yaml") == "nope.yaml: there is no such file"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("task:\n  dataset: glyphs\n  wyas: 3", ", line 3: task.wyas is not a key of task (nearest: ways)"),
        (
            "task:\n  dataset: glyphs\n  ways: five",
            ', line 3: task.ways must be a whole number, found "five"',
        ),
        (
            "task:\n  dataset: glyphs\n  wyas: 3\n  shots: 0\nbudgets: {paper: {trainin: 3}}",
            ", line 3: task.wyas is not a key of task (nearest: ways) (and 2 more)",
        ),
        ("task:\n  dataset: sine\n  ways: 3", ", line 3: task.ways is not a key of a sine task"),
        (
            "sumary: b\ntask: {dataset: glyphs}",
            ", line 1: sumary is not a key of a task file (nearest: summary)",
        ),
        ("summary: 3\ntask: {dataset: glyphs}", ", line 1: summary must be a text, found 3"),
        ("summary: |\n  a\n  b\ntask: {dataset: glyphs}", ", line 1: summary must be one line of text"),
        ("summary: a", ": task.dataset is missing"),
        ("task: 5", ", line 1: task must be a mapping of keys"),
        ("task: {dataset: glyphs}\nfor: {}", ", line 2: for is not a key of a task file"),
        ("task: {dataset: glyphs}\nbudgets: 3", ", line 2: budgets must be a mapping of names to keys"),
        (
            "task: {dataset: glyphs}\nbudgets:\n  quick:\n    outer: {clip: -1}",
            ", line 4: outer.clip must be above 0, found -1",
        ),
        (
            "task: {dataset: glyphs}\npublished:\n  maml: {value: x, source: y}",
            ', line 3: published.maml.value must be a number, found "x"',
        ),
        (
            "task: {dataset: glyphs}\npublished:\n  maml: {value: 3}",
            ", line 3: published.maml.source is missing",
        ),
        ("task: {dataset: glyphs}\npublished: {maml: 3}", ", line 2: published.maml must be a mapping"),
    ],
)
def test_task_files_name_line_and_key(folder: Path, text: str, answer: str) -> None:
    (folder / "my-task.yaml").write_text(text)
    assert refused("my-task.yaml").startswith(f"my-task.yaml{answer}")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            "for:\n  'omni*': {outer: {rul: joint}}",
            ", line 2: outer.rul is not a key of outer (nearest: rule)",
        ),
        ("for:\n  'other*': {steps: 5}", ", line 2: steps is not a key of a `for` entry"),
        ("for:\n  'other*': 5", ', line 2: for."other*" must be a mapping'),
        ("for: 5", ", line 1: for must be a mapping of name patterns"),
        ("for:\n  'x':\n    budgets: {quick: {seed: -1}}", ", line 3: seed must be at least 0, found -1"),
        ("published: {}", ", line 1: published is not a key of an algorithm file"),
        ("task: {wayz: 3}", ", line 1: task.wayz is not a key of task (nearest: ways)"),
    ],
)
def test_algorithm_files_name_line_and_key(folder: Path, text: str, answer: str) -> None:
    (folder / "mine.yaml").write_text(text)
    assert refused(algorithm="mine.yaml").startswith(f"mine.yaml{answer}")


def test_an_algorithm_that_does_not_fit_the_kind_of_task(folder: Path) -> None:
    (folder / "mine.yaml").write_text("task:\n  ways: 3")
    assert resolve("omniglot-5way-1shot", "mine.yaml").layers["task.ways"] == "algorithm mine"
    message = refused("sine-10shot", "mine.yaml")
    assert message.startswith("mine.yaml, line 2: task.ways is not a key of a sine task")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("rows: [maml]", ": tasks must be a list of task presets, found null"),
        ("tasks: [sine-10shot]\nrows: []", ", line 2: rows must be a list of algorithms"),
        (
            "tasks: [sine-10sht]\nrows: [maml]",
            ', line 1: there is no task preset "sine-10sht" (nearest: sine-10shot)',
        ),
        (
            "tasks: [sine-10shot]\nrows:\n  - maml\n  - mml",
            ', line 4: there is no algorithm preset "mml" (nearest: maml)',
        ),
        ("tasks: [sine-10shot]\nrows: [maml, maml]", ', line 2: row 2 has the label "maml" of row 1'),
        (
            "tasks: [sine-10shot]\nrows:\n  - {algorithm: maml, lable: x}",
            ", line 3: lable is not a key of a row (nearest: label)",
        ),
        ("tasks: [sine-10shot]\nrows:\n  - {label: x}", ", line 3: a row needs an algorithm"),
        (
            "tasks: [sine-10shot]\nrows:\n  - algorithm: maml\n    set: {adaptation.steps: -1}",
            ", line 4: adaptation.steps must be at least 0, found -1",
        ),
        ("tasks: [sine-10shot]\nrows: [maml]\nseeds: 0", ", line 3: seeds must be how many"),
        (
            "tasks: [sine-10shot]\nrows: [maml]\nbaseline: pret",
            ', line 3: there is no algorithm preset "pret" (nearest: pretrain)',
        ),
        ("tasks: [sine-10shot]\nrows: [maml]\nseeds: 99999999", ", line 3: seeds may be at most 1,000"),
        ("tasks: [sine-10shot]\nrows: [maml]\nset: {a: 1}", ", line 3: a is not a key of a spec"),
        (
            "tasks: [sine-10shot]\nrows: [{algorithm: maml, test_on: [nope]}]",
            ', line 2: there is no task preset "nope"',
        ),
    ],
)
def test_comparison_files_name_line_and_key(folder: Path, text: str, answer: str) -> None:
    (folder / "mine.yaml").write_text(text)
    with pytest.raises(RequestError) as caught:
        load_comparison("./mine.yaml")
    assert str(caught.value).startswith(f"mine.yaml{answer}")


def test_spec_files_name_line_and_key(folder: Path) -> None:
    path = folder / "spec.yaml"

    def of(text: str) -> str:
        path.write_text(text)
        with pytest.raises(RequestError) as caught:
            load_spec(path)
        return str(caught.value).removeprefix(f"{path}")

    assert of("task: {dataset: glyphs}\nfoo: 3").startswith(", line 2: foo is not a key of a spec")
    assert of("task: {dataset: glyphs}\nkind: x") == ', line 2: kind must be train, found "x"'
    assert of("task: {dataset: glyphs}\norigin: {tsk: x}").startswith(
        ", line 2: origin.tsk is not a key of origin"
    )
    assert of("seed: 3") == "task.dataset has no default: it says where the tasks come from"
    assert of("task: {dataset: glyphs}\nadaptation: {head: stored}").startswith(
        "adaptation.head stored keeps a head"
    )


def test_a_broken_file_of_the_user_does_not_hide_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "tasks").mkdir()
    (folder / "tasks" / "broken.yaml").write_text("task: {dataset: glyphs}\nwyas: 3")
    (folder / "tasks" / "sine-10shot.yaml").write_text("summary: my own\ntask: {dataset: sine, shots: 3}")
    monkeypatch.setenv("KSHOT_PRESETS", str(folder))
    listed = {preset.name: preset for preset in list_presets("tasks")}
    assert "line 2: wyas is not a key" in listed["broken"].problem
    assert listed["sine-10shot"].path == folder / "tasks" / "sine-10shot.yaml"
    assert listed["sine-10shot"].summary == "my own"
    assert listed["omniglot-5way-1shot"].problem == ""
    assert resolve("sine-10shot", "maml", overrides=["model.name=mlp"]).spec.task.shots == 3
    monkeypatch.setenv("KSHOT_PRESETS", str(folder / "gone"))
    with pytest.raises(RequestError, match=r"^KSHOT_PRESETS=.*gone: there is no such folder"):
        load_preset("tasks", "sine-10shot")


VALUES = st.one_of(
    st.text(alphabet="abc[]{}:, -.19e'\"#&*!\n", max_size=12),
    st.sampled_from(
        ["null", "true", "-1", "0", "1", "2", "1e-3", "[1, 2]", "all", "head", "zero", "{}", "gradient"]
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["omniglot-5way-1shot", "sine-10shot"]),
    st.sampled_from(["maml", "pretrain", "scratch"]),
    st.lists(st.tuples(st.sampled_from(every_key()), VALUES), min_size=1, max_size=3),
)
def test_any_override_is_taken_or_refused_in_one_line(
    task: str, algorithm: str, pairs: list[tuple[str, str]]
) -> None:
    try:
        resolve(task, algorithm, overrides=[f"{key}={value}" for key, value in pairs])
    except RequestError as error:
        assert "\n" not in str(error)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_to_a_file_is_taken_or_refused_in_one_line(folder: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["tasks", "algorithms", "comparisons"]))
    name = {"tasks": "omniglot-5way-1shot", "algorithms": "pretrain", "comparisons": "sine-vs-pretraining"}[
        kind
    ]
    text = load_preset(kind, name).path.read_text()  # type: ignore[arg-type]
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 8))
    inserted = data.draw(st.text(alphabet="ab:[]{}\n \t-'\"&*!1.,\\", max_size=4))
    path = folder / "damaged.yaml"
    path.write_text(text[:start] + inserted + text[start + length :])
    try:
        load_preset(kind, "./damaged.yaml")  # type: ignore[arg-type]
        if kind == "comparisons":
            load_comparison("./damaged.yaml")
    except RequestError as error:
        assert "\n" not in str(error)
