"""A comparison cut at equal seconds of training: hand-made events, and figures worked out by hand."""

import csv
import io
import json
import os
import sys
from pathlib import Path

import pytest
from tested_runs import finished_run, run_with_result

from engine.runs import EventWriter, Run, StatusWriter, list_runs, processes
from engine.runs.equal_seconds import equal_seconds
from engine.runs.standings import Standings
from engine.runs.validations import read_validations
from tui import equal_seconds as shown
from tui import tables
from tui.compare_command import with_seconds

STANDIN = Path(__file__).with_name("standin_worker.py")


def validated(run: Run, *found: tuple[int, float, float]) -> None:
    """Appends validations (iteration, seconds of training, accuracy after adaptation) as a worker does."""
    with EventWriter(run.events_path) as events:
        for step, seconds, after in found:
            events.append("train", step=step, outer_loss=1.0)
            events.append("validation", step=step, steps=[0, 5], metric=[0.2, after], ci95=[0.1, 0.02])
            events.append("checkpoint", step=step, file=f"{step}-0.pt", seconds=seconds)


def table_of(runs: Path) -> dict:
    found = Standings().look(list_runs(runs))
    assert found is not None
    return found[0].table(found[0].default_baseline)


def cut(runs: Path, seconds: float | None = None) -> tuple[dict, dict]:
    """The view at these seconds, and its rows by label."""
    made = equal_seconds(table_of(runs), runs, seconds)
    json.dumps(made, allow_nan=False)
    return made, {row["label"]: row for row in made["rows"]}


def flat(made: dict, width: int = 200) -> str:
    return " ".join(shown.text(made, width).split())


@pytest.fixture
def two_seeds(tmp_path):
    """maml takes 30 and 36 s, pretrain 14 and 15 s."""
    events = {
        ("maml", 0): [(100, 10.0, 0.5), (200, 20.0, 0.7), (500, 30.0, 0.8)],
        ("maml", 1): [(100, 12.0, 0.4), (200, 24.0, 0.6), (500, 36.0, 0.9)],
        ("pretrain", 0): [(250, 7.0, 0.3), (500, 14.0, 0.4)],
        ("pretrain", 1): [(250, 7.5, 0.3), (500, 15.0, 0.5)],
    }
    for (algorithm, seed), found in events.items():
        validated(run_with_result(tmp_path, algorithm, 0.8, seed=seed), *found)
    return tmp_path


def test_the_shortest_training_is_where_all_are_cut(two_seeds):
    made, rows = cut(two_seeds)
    assert (made["seconds"], made["shortest"]) == (14.0, True)
    maml, pretrain = rows["maml"], rows["pretrain"]
    # 50 and 40 at 10 and 12 s; half-width t(1) · sd / √2 = 12.706 · √50 / √2 = 63.53.
    assert (maml["mean"], maml["seconds"], maml["iterations"]) == (pytest.approx(45), 11.0, 100)
    assert (maml["ci95"], maml["over"]) == (pytest.approx(63.53), "seeds")
    assert maml["tasks_seen"] == 100 * 16 and maml["seeds"] == [0, 1]
    # Seed 0 ends at 14 s with 40; seed 1 has only its first validation by then: 30 at 7.5 s.
    assert (pretrain["mean"], pretrain["iterations"]) == (pytest.approx(35), 375)
    assert pretrain["seconds"] == pytest.approx(10.75)
    whole = maml["whole"]
    assert (whole["mean"], whole["iterations"], whole["seconds"]) == (pytest.approx(85), 500, 33.0)


def test_at_seconds_that_are_asked(two_seeds):
    made, rows = cut(two_seeds, 24.0)
    assert not made["shortest"] and rows["maml"]["mean"] == pytest.approx(65)
    assert rows["pretrain"]["mean"] == pytest.approx(45) and rows["pretrain"]["iterations"] == 500
    early, rows = cut(two_seeds, 7.2)
    assert rows["maml"]["mean"] is None and rows["maml"]["iterations"] is None
    assert rows["pretrain"]["seeds"] == [0] and rows["pretrain"]["mean"] == pytest.approx(30)
    said = flat(early)
    assert "maml: seed 0: its first validation came after 10.0 s" in said
    assert "pretrain: seed 1: its first validation came after 7.5 s" in said


def test_of_one_seed_the_interval_is_that_of_its_episodes(tmp_path):
    validated(run_with_result(tmp_path, "maml", 0.9), (500, 30.0, 0.8))
    _, rows = cut(tmp_path)
    assert (rows["maml"]["ci95"], rows["maml"]["over"]) == (pytest.approx(2), "episodes")


def test_what_a_resumed_run_repeats_counts_once(tmp_path):
    run = run_with_result(tmp_path, "maml", 0.9)
    validated(run, (100, 10.0, 0.5), (200, 20.0, 0.6))
    # Killed between a validation and its checkpoint, resumed at 200: iteration 300 is repeated.
    with EventWriter(run.events_path) as events:
        events.append("validation", step=300, metric=[0.2, 0.1], ci95=[0.1, 0.1])
        events.append("resumed", step=200)
    assert [each.step for each in read_validations(run)] == [100, 200]
    validated(run, (300, 30.0, 0.7))
    assert [(v.step, v.seconds, v.value) for v in read_validations(run)][-1] == (300, 30.0, 0.7)
    # Fallen back further: the later of two seconds of one iteration counts.
    validated(run, (200, 21.0, 0.65))
    assert [(v.step, v.seconds) for v in read_validations(run)] == [(100, 10.0), (200, 21.0), (300, 30.0)]


def test_rows_without_validations_say_so(tmp_path):
    validated(run_with_result(tmp_path, "maml", 0.9), (500, 30.0, 0.8))
    run_with_result(tmp_path, "anil", 0.8)
    untimed = run_with_result(tmp_path, "boil", 0.7)
    with EventWriter(untimed.events_path) as events:
        events.append("validation", step=500, metric=[0.2, 0.8], ci95=[0.1, 0.1])
        events.append("validation", step="x", metric="none")
        events.append("checkpoint", step=500, seconds="soon")
    paused = run_with_result(tmp_path, "reptile", 0.7)
    StatusWriter(paused, state="paused").close()
    made, rows = cut(tmp_path)
    assert made["seconds"] == 30 and rows["anil"]["mean"] is None and rows["anil"]["whole"] is None
    said = flat(made)
    assert "anil: seed 0: it has no events, and so no validations" in said
    assert "boil: seed 0: its events have no validation with the seconds of training beside it" in said
    assert "reptile: seed 0: paused, not counted" in said
    assert "anil none – –" in said


def test_nothing_at_all_is_still_a_view(tmp_path):
    run_with_result(tmp_path, "maml", 0.9)
    made, _ = cut(tmp_path)
    assert made["seconds"] is None and "no training here has a validation" in flat(made)


def test_what_was_not_finite_is_said(tmp_path):
    validated(run_with_result(tmp_path, "maml", 0.9), (500, 30.0, float("nan")))
    made, rows = cut(tmp_path)
    assert rows["maml"]["mean"] is None and "not finite" in flat(made)


def test_rows_that_train_nothing_are_left_out_and_schedules_are_marked(tmp_path):
    finished_run(tmp_path, "random-init")
    constant = run_with_result(tmp_path, "maml", 0.9, settings=["outer.schedule=constant"])
    validated(constant, (100, 10.0, 0.5), (500, 50.0, 0.8))
    cosine = run_with_result(tmp_path, "fomaml", 0.9, settings=["outer.schedule=cosine"])
    validated(cosine, (100, 5.0, 0.4), (500, 25.0, 0.8))
    made, rows = cut(tmp_path, 12.0)
    assert made["left_out"] == ["random-init"] and set(rows) == {"maml", "fomaml"}
    assert rows["maml"]["planned"] == []
    said = flat(made)
    assert "left out, since nothing is trained for them: random-init" in said
    assert "40.0 ± 2.0 ¹" in said and "50.0 ± 2.0 ¹" not in said
    assert (
        "¹ its outer rate falls to zero over the whole budget (cosine): cut early it may look worse than a "
        "training sized for that time" in said
    )
    # A training that ends within the time is not cut.
    assert cut(tmp_path, 25.0)[1]["fomaml"]["planned"] == []


def test_it_says_that_these_are_validation_episodes_and_how_many(two_seeds):
    made, _ = cut(two_seeds)
    number = made["validation"]["episodes"]
    said = flat(made)
    assert f"Of {number} validation episodes, the same for all rows, not of the test episodes above" in said
    assert "within 14 s, the shortest training" in said and "over seeds" in said
    # At 14 s the rows stand at 11 and 10.75 s; at 7.2 s the only one that stands does so at 7.0.
    assert "validates seldom" in said and "validates seldom" not in flat(cut(two_seeds, 7.2)[0])
    other = ["training.validation.episodes=7", "evaluation.statistics=one"]
    run = run_with_result(two_seeds, "anil", 0.8, settings=other)
    validated(run, (500, 40.0, 0.8))
    made, _ = cut(two_seeds)
    assert "episodes" not in made["validation"] and "anil 7" in flat(made)
    assert "batch statistics in validation:" in flat(made) and "anil one" in flat(made)


def test_a_row_that_shares_its_training_says_whose_validations_these_are(tmp_path):
    run = run_with_result(tmp_path, "maml", 0.9)
    validated(run, (500, 30.0, 0.8))
    table = table_of(tmp_path)
    table["rows"].append({**table["rows"][0], "label": "nil", "algorithm": "nil"})
    table["task"] = "glyphs-5way-5shot"
    made = equal_seconds(table, tmp_path)
    assert made["rows"][1]["mean"] == pytest.approx(80)
    assert "nil: one training with maml, validated as maml adapts" in flat(made)
    assert "maml: validated on glyphs-5way-1shot, which it was trained on" in flat(made)


def test_seconds_that_seeds_shared_are_told_beside_those_of_runs_by_themselves(two_seeds):
    together = [run for run in list_runs(two_seeds) if run.algorithm == "maml"]
    assert all(row["seeds_together"] == [1, 1] for row in cut(two_seeds)[0]["rows"])
    for summary in together:
        StatusWriter(summary.run, state="finished", seeds_together=2).close()
    made, rows = cut(two_seeds)
    assert (rows["maml"]["seeds_together"], rows["pretrain"]["seeds_together"]) == ([2, 2], [1, 1])
    said = "maml (2 seeds): trained together in one process, of whose seconds each seed counts its share"
    assert said in flat(made) and "as those of pretrain did" in flat(made)
    for run in list_runs(two_seeds):
        StatusWriter(run.run, state="finished", seeds_together=2).close()
    assert "one process" not in flat(cut(two_seeds)[0])


def test_forms(two_seeds):
    made, _ = cut(two_seeds)
    text = shown.text(made, 80)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "45.0 ± 63.5" in text and "11 s" in text and "1,600" in text
    assert "85.0" in shown.text(made, 120) and "33 s" in shown.text(made, 120)
    body = [line for line in shown.markdown(made).splitlines() if line.startswith("|")]
    assert len(body) == 4 and len({line.count("|") for line in body}) == 1
    table = {**table_of(two_seeds), "equal_seconds": made}
    (maml,) = (
        line
        for line in csv.DictReader(io.StringIO(tables.comma_separated([table])))
        if line["label"] == "maml"
    )
    assert (maml["equal_seconds"], maml["validation_iterations"]) == ("14.0", "100")
    assert float(maml["validation"]) == pytest.approx(45) and maml["validation_seconds"] == "11.0"
    plain = tables.comma_separated([table_of(two_seeds)])
    assert "equal_seconds" not in plain


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["a", "--equal-seconds"], ["a", "--equal-seconds", "shortest"]),
        (["--equal-seconds", "a", "maml"], ["--equal-seconds", "shortest", "a", "maml"]),
        (["--equal-seconds", "--json"], ["--equal-seconds", "shortest", "--json"]),
        (["--equal-seconds", "1h30m", "a"], ["--equal-seconds", "1h30m", "a"]),
        (["--equal-seconds=60", "a"], ["--equal-seconds=60", "a"]),
        (["--", "--equal-seconds"], ["--", "--equal-seconds"]),
    ],
)
def test_the_option_may_stand_without_a_number(given, read):
    assert with_seconds(given) == read


def test_compare_prints_the_second_view(kshot, monkeypatch):
    command = [sys.executable, "-P", str(STANDIN)]
    monkeypatch.setattr("tui.progress.LOOK_EVERY", 0.02)
    monkeypatch.setattr(processes, "worker_command", lambda *arguments: [*command, *arguments])
    short = ("--set", "training.iterations=3", "--set", "evaluation.episodes=5")
    compare = ("compare", "glyphs-5way-1shot", "maml", "pretrain", *short)
    code, out, _ = kshot(*compare, "--equal-seconds")
    assert code == 0 and "no training here has a validation with its time" in " ".join(out.split())
    for summary in list_runs(Path(os.environ["KSHOT_RUNS"])):
        seconds = 4.0 if summary.algorithm == "maml" else 9.0
        with EventWriter(summary.run.events_path) as events:
            events.append("checkpoint", step=3, seconds=seconds)
    code, out, _ = kshot(*compare, "--json", "--equal-seconds")
    view = json.loads(out)["equal_seconds"]
    assert code == 0 and (view["seconds"], view["shortest"]) == (4.0, True)
    rows = {row["label"]: row for row in view["rows"]}
    assert rows["maml"]["mean"] == pytest.approx(80) and rows["maml"]["tasks_seen"] == 3 * 16
    assert rows["pretrain"]["notes"] == ["seed 0: its first validation came after 9.0 s"]
    out = kshot(*compare, "--equal-seconds", "10s", "--format", "markdown")[1]
    assert out.count("\n| ---") == 2 and "within 10 s" in out
    assert "validation_iterations" in kshot(*compare, "--equal-seconds=10", "--format", "csv")[1]
    assert "equal_seconds" not in kshot(*compare, "--json")[1]
    for wrong in ("0", "5x"):
        code, out, err = kshot(*compare, "--equal-seconds", wrong)
        assert (code, out) == (2, "") and f'--equal-seconds "{wrong}" is no time' in err
    code, out, err = kshot(*compare, "--equal-seconds", "--detach")
    assert (code, out) == (2, "") and "do not go together" in err
