"""The command line from outside: exit codes, where words go, what is never imported, bad requests."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tui import output
from tui.options import seconds
from tui.progress import Counting

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def runs(own_folders, tmp_path, monkeypatch):
    """The runs folder of this test, which nobody has made yet; there are no data."""
    monkeypatch.setenv("KSHOT_DATA", str(tmp_path / "data"))
    return Path(os.environ["KSHOT_RUNS"])


def imported_by(arguments, environment=None):
    """Names of all modules that a command has imported when it ends, and what it printed."""
    script = (
        "import sys; from tui import cli; code = cli.run(sys.argv[1:]); "
        "print('\\n'.join(['', '<<<', *sys.modules])); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    printed, _, modules = done.stdout.partition("\n<<<\n")
    return printed, set(modules.split()), done


@pytest.mark.parametrize(
    "arguments", [["--help"], ["runs", "list"], ["runs", "list", "--json"], ["--version"]]
)
def test_light_commands_import_nothing_heavy(arguments):
    _, modules, done = imported_by(arguments)
    assert done.returncode == 0, done.stderr
    assert "tui.commands" in modules
    assert not modules & {"torch", "pydantic", "rich", "numpy"}


@pytest.mark.parametrize(
    ("words", "last", "expected"),
    [
        ("kshot ru", 1, {"runs"}),
        ("kshot compare glyphs-5way-1", 2, {"glyphs-5way-1shot"}),
        ("kshot compare glyphs-5way-1shot mam", 3, {"maml"}),
        ("kshot train sine-10shot mam", 3, {"maml"}),
    ],
)
def test_completion_knows_commands_and_presets_without_torch(words, last, expected):
    environment = {"_KSHOT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(last)}
    script = (
        "import atexit, sys; "
        "atexit.register(lambda: print('<<<' + ' '.join(sys.modules))); "
        "from tui import cli; sys.exit(cli.run([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )
    completions, _, modules = done.stdout.partition("<<<")
    assert expected <= set(completions.split()), done.stderr
    assert "tui.commands" in modules.split()
    assert not {"torch", "rich"} & set(modules.split())


UNREAD = (
    "adaptation.momentum is read by nothing in maml: needs adaptation.update momentum "
    "[adaptation.momentum: --set adaptation.momentum=0.5]"
)
BAD = [
    (["frobnicate"], "frobnicate"),
    (["train", "--no-such-option"], "--no-such-option"),
    (["train", "glyphs-5way-1shot"], "name an algorithm"),
    (["train", "sine-10shot", "maml", "fomaml"], "kshot compare"),
    (["train", "sine-10shot", "maml", "--data-dir", "nowhere"], "--data-dir nowhere"),
    (["train", "sine-10shot", "maml", "--set", "task.steps=3"], "adaptation.steps, evaluation.steps"),
    (["compare", "sine-10shot"], "name algorithms after it, e.g. kshot compare sine-10shot maml pretrain"),
    (["algorithms", "show", "maml", "--all"], "--task"),
    (["algorithms", "show", "maml", "--budget", "paper"], "--task"),
    (["algorithms", "show", "maml", "--set", "seed=1"], "--task"),
    (["data", "check", "--data-dir", "nowhere"], "--data-dir nowhere"),
    (["train", "sine-10shot", "mamml"], "maml"),
    (["compare", "glyphs-5way-1shott", "maml"], "glyphs-5way-1shot"),
    (["compare", "sine-10shot", "maml", "--seeds", "0"], "--seeds"),
    (["compare", "sine-10shot", "maml", "--seed", "one"], "--seed"),
    (["compare", "sine-10shot", "maml", "--format", "html"], "markdown"),
    (["compare", "sine-10shot", "maml", "--budget", "huge"], "huge"),
    (["compare", "sine-10shot", "maml", "--baseline", "pretrian"], "pretrain"),
    (["compare", "sine-10shot", "maml", "--set", "adaptation.steps"], "path.to.key=value"),
    (["compare", "sine-10shot", "maml", "--set", "adaptation.stepz=3"], "steps"),
    (["compare", "sine-10shot", "maml", "--set", "adaptation.steps=-1"], "adaptation.steps"),
    (["compare", "sine-10shot", "maml", "--set", "mamml:adaptation.steps=3"], "maml"),
    (["train", "sine-10shot", "maml", "--set", "adaptation.momentum=0.5"], UNREAD),
    (["compare", "sine-10shot", "maml", "anil", "--set", "maml:adaptation.momentum=0.5"], UNREAD),
    (["compare", "sine-10shot", "maml", "--time-limit", "soon"], "10m"),
    (["train", "sine-10shot", "maml", "--time-limit", "1h30"], "1h30m"),
    (["train", "~nobody-of-that-name/spec.yaml"], "~nobody-of-that-name/spec.yaml"),
    (["train", "sine-10shot", "maml", "--data-dir", "~nobody-of-that-name"], "--data-dir ~nobody"),
    (["runs", "show", "~nobody-of-that-name/run"], "no run '~nobody-of-that-name/run'"),
    (["compare", "glyphs-5way-1shot", "maml", "--set", "task.shots=25"], "25"),
    (["compare", "miniimagenet-5way-1shot", "maml"], "miniimagenet"),
    (["evaluate", "no-such-run"], "no-such-run"),
    (["runs", "show", "no-such-run"], "no-such-run"),
    (["runs", "remove"], "name the runs"),
    (["runs", "export", "--format", "xml"], "csv"),
    (["runs", "--json", "stop", "any"], "kshot runs stop prints no JSON"),
    (["tasks", "show", "glyphs"], "glyphs"),
    (["algorithms", "show", "maml", "--task", "sine"], "sine"),
    (["data", "check", "omniglott"], "omniglot"),
    (["bench", "--seconds", "0"], "--seconds"),
    (["bench", "--device", "cudaa"], "cuda:N"),
]


@pytest.mark.parametrize(
    ("arguments", "named"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_wrong_request_is_one_line_and_nothing_else(kshot, runs, arguments, named):
    code, out, err = kshot(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("kshot: ") and err.count("\n") == 1 and named in err
    assert not runs.exists()


def test_a_runs_folder_that_cannot_be_written(kshot, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    code, out, err = kshot("train", "sine-10shot", "maml", "--runs-dir", str(blocked / "runs"), "--detach")
    assert (code, out) == (2, "") and str(blocked) in err and err.count("\n") == 1


def test_ctrl_c_is_130(kshot, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.runs.list_runs", interrupted)
    assert kshot("runs", "list")[0] == 130


def test_windows_is_refused_in_one_line(kshot, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    code, out, err = kshot("--help")
    assert (code, out) == (2, "") and "WSL" in err and err.count("\n") == 1


def test_a_foreign_engine_is_refused(tmp_path):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("")
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.path.insert(0, {str(tmp_path)!r}); "
    script += "from tui.cli import run; sys.exit(run(['--help']))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd="/", check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "environment of its own" in done.stderr


def test_no_command_prints_help(kshot):
    code, out, err = kshot()
    assert code == 0 and "compare" in out and err == ""


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m tui.cli tasks | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["tasks", "algorithms", "comparisons"])
def test_listings(kshot, kind):
    code, out, _ = kshot(kind, "--json")
    listed = json.loads(out)
    assert code == 0 and listed and all({"name", "summary"} <= set(item) for item in listed)
    code, text, _ = kshot(kind)
    assert code == 0 and all(item["name"] in text for item in listed)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert kshot(kind, "list")[1] == text
    code, shown, _ = kshot(kind, "show", listed[0]["name"], "--json")
    assert code == 0 and json.loads(shown)["name"] == listed[0]["name"]


def test_a_users_broken_preset_does_not_hide_the_others(kshot, tmp_path, monkeypatch):
    folder = tmp_path / "own" / "algorithms"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("summary: mine\nadaptation: {stepz: 1}\n")
    monkeypatch.setenv("KSHOT_PRESETS", str(tmp_path / "own"))
    listed = {item["name"]: item for item in json.loads(kshot("algorithms", "--json")[1])}
    assert "stepz" in listed["mine"]["problem"] and "maml" in listed


def test_the_layer_of_each_value_is_shown(kshot):
    arguments = ("algorithms", "show", "maml", "--task", "sine-10shot", "--set", "adaptation.steps=3")
    code, out, _ = kshot(*arguments)
    line = next(line.split() for line in out.splitlines() if line.startswith("adaptation.steps"))
    assert code == 0 and line[1:] == ["3", "--set"]
    merged = json.loads(kshot(*arguments, "--json")[1])
    assert merged["spec"]["adaptation"]["steps"] == 3 and merged["layers"]["adaptation.steps"] == "--set"


def test_what_has_no_effect_is_counted_not_shown(kshot):
    command = ("algorithms", "show", "protonet", "--task", "glyphs-5way-1shot")
    short, whole = kshot(*command)[1].splitlines(), kshot(*command, "--all")[1].splitlines()
    paths = [{line.split()[0] for line in lines if "." in line.split("  ")[0]} for lines in (short, whole)]
    assert {"adaptation.distance", "training.ways", "model.filters"} <= paths[0] < paths[1]
    assert not {"adaptation.steps", "adaptation.ridge.strength", "model.hidden", "training.tasks"} & paths[0]
    left = len(whole) - len(short) + 1
    assert short[-1] == f"{left} keys have no effect here and are not shown; --all shows them"


def test_algorithms_are_told_with_their_choices_and_papers(kshot):
    text = " ".join(kshot("algorithms")[1].split())
    wanted = "inner: gradient, head alone; outer: meta-gradient, second order; tasks: endless Raghu, Raghu"
    assert wanted in text
    listed = {item["name"]: item for item in json.loads(kshot("algorithms", "--json")[1])}
    assert len(listed) >= 30 and all(item["family"] for item in listed.values())
    assert {name for name, item in listed.items() if not item["paper"]} == {"scratch", "random-init"}
    assert listed["multitask-union"]["choices"]["tasks"] == "1,000 in all"
    shown = kshot("algorithms", "show", "protonet", "--task", "omniglot-5way-1shot")[1]
    assert "  inner: prototypes\n" in shown and "trained with 60 ways" in shown and "Snell" in shown


def test_folders_that_task_presets_name_are_checked(kshot, tmp_path, monkeypatch):
    folder = tmp_path / "own" / "tasks"
    folder.mkdir(parents=True)
    (tmp_path / "data").mkdir()
    preset = "summary: {0}\ntask: {{dataset: folder, folder: {0}, image_size: 28, channels: 1}}\n"
    for name in ("letters", "absent"):
        (folder / f"{name}.yaml").write_text(preset.format(name))
    for part in ("train", "val", "test"):
        (tmp_path / "data" / "letters" / part / f"{part}-class").mkdir(parents=True)
        (tmp_path / "data" / "letters" / part / f"{part}-class" / "broken.png").write_text("no image")
    monkeypatch.setenv("KSHOT_PRESETS", str(tmp_path / "own"))
    code, out, err = kshot("data", "check", "--json")
    assert code == 1 and {item["data"] for item in json.loads(out)} == {"letters"}
    assert err == ""
    assert kshot("data", "check")[2] == "checking letters: 3 images\n"  # no terminal: nothing is rewritten


def test_on_a_terminal_a_check_s_count_is_rewritten_in_place(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    with Counting("checking omniglot") as counting:
        for done in range(32_461):
            counting.show(done, 32_460)
    *rewritten, end = terminal.getvalue().split("\r")[1:]
    assert end == "checking omniglot: 32,460 of 32,460 ima\x1b[K\n"
    assert rewritten[0] == "checking omniglot: 0 of 32,460 images\x1b[K"
    # A few times a second, never once an image.
    assert len(rewritten) < 1000 and all("\n" not in line for line in rewritten)


def test_run_ids_are_wrapped_whole():
    identity = "20261121-091502-maml-omniglot-5way-1shot-s0-7f3a"
    for text in (
        output.wrap(f"run {identity} of some task", 30),
        output.columns(["a", "b"], [["x", f"run {identity}"]], width=30),
    ):
        assert identity in text


def test_no_help_breaks_off(kshot):
    for command in ([], ["runs"], ["data"], ["tasks"], ["algorithms"], ["comparisons"]):
        listed = kshot(*command, "--help")[1].partition("Commands:")[2]
        assert listed and "..." not in listed
    for command in (["compare"], ["runs", "stop"], ["runs", "export"]):
        assert "......" not in (out := kshot(*command, "--help")[1].replace("}", "").replace("]", "")), out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data-dir", "{here}", "tasks", "--json"],
        ["--data-dir", "nowhere", "tasks", "--data-dir", "{here}", "list", "--json"],
        ["tasks", "--json", "--data-dir", "{here}", "list"],
        ["tasks", "list", "--json", "--data-dir", "{here}"],
    ],
)
def test_general_options_may_stand_before_the_command(kshot, tmp_path, arguments):
    (tmp_path / "here" / "omniglot").mkdir(parents=True)
    for name in ("images_background", "images_evaluation"):
        (tmp_path / "here" / "omniglot" / name).mkdir()
    code, out, err = kshot(*(text.format(here=tmp_path / "here") for text in arguments))
    assert (code, err) == (0, "")
    assert {"omniglot-5way-1shot": True, "miniimagenet-5way-1shot": False}.items() <= {
        item["name"]: item["data"]["present"] for item in json.loads(out)
    }.items()


def test_every_general_option_holds_for_every_command(kshot, tmp_path):
    """What the top help lists reaches each command that takes it, through groups that do not."""
    assert str(tmp_path / "mine") in kshot("--runs-dir", str(tmp_path / "mine"), "runs", "list")[2]
    for command in ("data check", "train sine-10shot maml", "runs resume any", "doctor"):
        code, out, err = kshot("--data-dir", "nowhere", *command.split())
        assert (code, out) == (2, "") and "--data-dir nowhere is no folder" in err
    assert kshot("--data-dir", "nowhere", "algorithms", "show", "maml")[0] == 0  # which reads no data


def test_data_list(kshot):
    listed = {item["name"]: item for item in json.loads(kshot("data", "--json")[1])}
    assert listed["glyphs"]["present"] and not listed["omniglot"]["present"]
    assert "fetch" in listed["omniglot"]["how"]


def test_dry_run_starts_nothing(kshot, runs):
    code, out, _ = kshot("compare", "sine-10shot", "maml", "--dry-run", "--json", "--seeds", "2")
    said = json.loads(out)
    assert code == 0 and not runs.exists()
    assert set(said["specs"]) == {"maml", "pretrain"}
    assert [t["action"] for t in said["trainings"]] == ["train"] * 4
    assert said["seconds"] > 0 and said["memory_bytes"] > 0 and "rough" in said["trainings"][0]["estimate"]
    code, text, _ = kshot("train", "sine-10shot", "maml", "--dry-run", "--time-limit", "5s")
    assert code == 0 and "time_limit: 5.0" in text and "rough" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("1h30m", 5400), ("2 min", 120)],
)
def test_time_limits(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("command", ["train", "compare"])
def test_help_says_what_a_time_limit_without_a_unit_is(kshot, command):
    assert "a number alone is seconds" in " ".join(kshot(command, "--help")[1].split())


def test_json_has_no_number_that_is_not_finite(capsys):
    output.emit_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": (1,)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": [1]}
