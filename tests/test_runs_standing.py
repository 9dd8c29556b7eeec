"""Tables from the runs folder as it stands: what is grouped, what stands together, what is passed over."""

import json
from pathlib import Path

import numpy as np
import pytest
from tested_runs import TASK, accuracies, add_result, finished_run, protocol_of, run_with_result

from engine.runs import list_runs
from engine.runs.standing import NOT_TESTED, Standing
from engine.runs.standings import Standings
from tui import tables


def standings(runs: Path) -> tuple[Standing, ...]:
    found = Standings().look(list_runs(runs))
    assert found is not None
    return found


def only(runs: Path) -> Standing:
    (found,) = standings(runs)
    return found


def rows_of(runs: Path) -> dict:
    found = only(runs)
    return {row["label"]: row for row in found.table(found.default_baseline)["rows"]}


def test_rows_by_algorithm_against_pretraining(tmp_path):
    maml = run_with_result(tmp_path, "maml", 0.9)
    run_with_result(tmp_path, "pretrain", 0.7, values_seed=1)
    run_with_result(tmp_path, "anil", 0.8, values_seed=2)
    found = only(tmp_path)
    table = found.table(found.default_baseline)
    assert (found.task, found.budget, table["baseline"]) == (TASK, "quick", "pretrain")
    assert [row["label"] for row in table["rows"]] == ["maml", "anil", "pretrain"]
    first = table["rows"][0]
    assert first["runs"] == [maml.id] and first["train_seconds"] == 214 and first["iterations"] == 500
    mine, theirs = accuracies(0.9), accuracies(0.7, seed=1)
    expected = np.array([100 * (a[-1] - b[-1]) for a, b in zip(mine, theirs, strict=True)])
    assert first["vs_baseline"]["mean"] == pytest.approx(expected.mean())
    assert found.differences("pretrain")["maml"] == pytest.approx(expected)
    assert table["protocol"]["episodes"] == 60 and table["protocol"]["statistics"] == "query"
    assert first["tasks_seen"] == pytest.approx(500 * found.tasks_each["maml"])
    json.dumps(table, allow_nan=False)


def test_what_is_not_tested_is_a_row_that_says_so(tmp_path):
    run_with_result(tmp_path, "maml", 0.9)
    finished_run(tmp_path, "anil")
    rows = rows_of(tmp_path)
    assert rows["anil"]["after"] is None and rows["anil"]["error"] == NOT_TESTED
    assert rows["maml"]["error"] is None


def test_without_results_the_table_knows_how_it_would_be_tested(tmp_path):
    finished_run(tmp_path, "maml")
    found = only(tmp_path)
    assert found.protocol["episodes"] == 600 and found.metric == "accuracy"
    assert tables.text(found.table(None), 80)


def test_seeds_of_one_training_are_one_row(tmp_path):
    for seed in (0, 1):
        run_with_result(tmp_path, "maml", 0.9, seed=seed, values_seed=seed)
    finished_run(tmp_path, "maml", seed=2)
    row = rows_of(tmp_path)["maml"]
    assert row["seeds"] == [0, 1, 2] and row["after"]["over"] == "seeds"
    assert row["error"] == f"seed 2: {NOT_TESTED}"
    each = only(tmp_path).tasks_each["maml"]
    assert row["train_seconds"] == 2 * 214 and row["tasks_seen"] == pytest.approx(2 * 500 * each)


def test_the_baseline_is_the_pretraining_that_pairs_with_most_seeds(tmp_path):
    for seed in (0, 1):
        run_with_result(tmp_path, "maml", 0.9, seed=seed)
        run_with_result(tmp_path, "pretrain", 0.7, seed=seed)
    run_with_result(tmp_path, "pretrain", 0.8, seed=7, settings=["outer.learning_rate=0.5"])
    found = only(tmp_path)
    chosen = next(row for row in found.rows if row.label == found.default_baseline)
    assert chosen.seeds == (0, 1)
    table = found.table(found.default_baseline)
    assert next(row for row in table["rows"] if row["label"] == "maml")["vs_baseline"] is not None


def test_a_known_reason_stands_in_place_of_not_tested(tmp_path):
    run_with_result(tmp_path, "maml", 0.9)
    run = finished_run(tmp_path, "maml", seed=1)
    found = only(tmp_path)
    assert [each.id for _, each in found.untested()] == [run.id]
    told = found.explained({run.id: "cannot be tested: why"}).table(None)["rows"][0]
    assert told["error"] == "seed 1: cannot be tested: why" and told["after"] is not None


def test_changed_settings_make_rows_of_their_own_named_by_what_differs(tmp_path):
    run_with_result(tmp_path, "maml", 0.9)
    run_with_result(tmp_path, "maml", 0.8, settings=["adaptation.learning_rate=0.123"])
    rows = rows_of(tmp_path)
    assert "maml, learning rate 0.123" in rows and len(rows) == 2
    assert rows["maml, learning rate 0.123"]["set"] == {"adaptation.learning_rate": 0.123}


def test_the_newest_finished_run_of_a_training_counts(tmp_path):
    older, newer = run_with_result(tmp_path, "maml", 0.5), run_with_result(tmp_path, "maml", 0.9)
    late = max((older, newer), key=lambda run: run.id)
    assert rows_of(tmp_path)["maml"]["runs"] == [late.id]


def test_the_newest_result_counts(tmp_path):
    import os

    run = run_with_result(tmp_path, "maml", 0.5)
    old = run.results / f"{'a' * 16}.json"
    os.utime(old, (1, 1))
    add_result(run, accuracies(0.9), "b" * 16)
    assert rows_of(tmp_path)["maml"]["after"]["mean"] == pytest.approx(90, abs=2)


def test_other_test_episodes_stand_in_another_table_the_commonest_first(tmp_path):
    maml, pretrain = run_with_result(tmp_path, "maml", 0.9), run_with_result(tmp_path, "pretrain", 0.7)
    add_result(maml, accuracies(0.9, 200), "b" * 16)
    first, second = standings(tmp_path)
    assert (first.protocol["episodes"], second.protocol["episodes"]) == (60, 200)
    assert [bool(row.finished) for row in second.rows] == [row.algorithm == "maml" for row in second.rows]
    add_result(pretrain, accuracies(0.7, 200), "b" * 16)
    add_result(run_with_result(tmp_path, "anil", 0.7, episodes=200), accuracies(0.7, 200), "c" * 16)
    assert standings(tmp_path)[0].protocol["episodes"] == 200
    assert first.key != second.key


@pytest.mark.parametrize(
    "other", [{"split_hash": "other"}, {"images_hash": "x"}, {"protocol": {"evaluation_seed": 5}}]
)
def test_results_that_cannot_be_paired_never_share_a_table(tmp_path, other):
    run_with_result(tmp_path, "maml", 0.9)
    run = finished_run(tmp_path, "pretrain")
    if "protocol" in other:
        other = {"protocol": protocol_of("accuracy", 60) | other["protocol"]}
    add_result(run, accuracies(0.7), **other)
    for found in standings(tmp_path):
        assert sum(bool(row.finished) for row in found.rows) == 1


def test_a_training_tested_in_two_ways_makes_two_rows(tmp_path):
    run = run_with_result(tmp_path, "maml", 0.9)
    add_result(run, accuracies(0.6), "b" * 16, algorithm="nil", before_step=None)
    assert set(rows_of(tmp_path)) == {"maml", "nil"}


def test_running_trainings_stand_in_the_table_and_failed_ones_do_not(tmp_path):
    import os

    from engine.presets import resolve
    from engine.runs import create_run

    finished_run(tmp_path, "boil", state="failed")
    _, descriptor = create_run(tmp_path, resolve(TASK, "anil").spec)
    run_with_result(tmp_path, "maml", 0.9)
    rows = rows_of(tmp_path)
    assert set(rows) == {"anil", "maml"} and rows["anil"]["error"] == "queued"
    os.close(descriptor)


def test_errors_are_better_when_lower(tmp_path):
    for algorithm, scale in (("maml", 0.1), ("pretrain", 2.0)):
        run = finished_run(tmp_path, algorithm, task="sine-10shot")
        add_result(run, [[3.0, scale + number / 100] for number in range(60)])
    found = only(tmp_path)
    assert found.metric == "mse" and not found.higher_is_better
    assert found.table("pretrain")["rows"][0]["label"] == "maml"


def test_what_did_not_change_is_not_read_again(tmp_path):
    run = run_with_result(tmp_path, "maml", 0.9)
    reader = Standings()
    assert reader.look(list_runs(tmp_path)) and reader.look(list_runs(tmp_path)) is None
    (run.results / ".abc.progress").write_text("{}")
    assert reader.look(list_runs(tmp_path)) is None
    add_result(run, accuracies(0.9, 200), "b" * 16)
    again = reader.look(list_runs(tmp_path))
    assert again is not None and len(again) == 2


HOSTILE = [
    {"values": []},
    {"steps": [[0], [1]], "after_step": [1], "before_step": None, "values": [[0.1, 0.2]] * 60},
    {"steps": [1, 1], "after_step": 1, "before_step": None, "values": [[0.1, 0.2]] * 60},
    {"values": [[0.1, 10**400, 0.1, 0.1, 0.1, 1e308]] * 60},
    {"protocol": {"episodes": {"a": 1}, "ways": ["x"], "iterations_done": 3, "time_limit": "x"}},
    {"chosen": {"learning_rate": "fast", "steps": "many", "tried": [1]}},
    {"train_seconds": "long", "train_iterations": "many"},
    {"task": "[red]x\x1b[31m", "algorithm": "a\nb"},
    {"split": 7},
]


@pytest.mark.parametrize("change", HOSTILE)
def test_hostile_results_break_nothing(tmp_path, change):
    run = finished_run(tmp_path, "maml")
    add_result(run, **({"values": accuracies(0.9)} | change))
    run_with_result(tmp_path, "pretrain", 0.7)
    for found in standings(tmp_path):
        for baseline in (found.default_baseline, None):
            made = found.table(baseline)
            json.dumps(made, allow_nan=False)
            assert "\x1b" not in tables.text(made, 80) and "\x1b" not in tables.comma_separated([made])
        found.differences(found.default_baseline)


def test_hostile_runs_break_nothing(tmp_path):
    run = run_with_result(tmp_path, "maml", 0.9)
    run.spec_path.write_text("task: [\n")
    status = json.loads(run.status_path.read_text())
    run.status_path.write_text(json.dumps(status | {"seconds": "x", "best": [1]}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "status.json").write_text('{"state": "finished"')
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "status.json").write_text('{"state": "finished", "summary": {"key": 5}}')
    assert rows_of(tmp_path)["maml"]["tasks_seen"] is None


def test_published_figures_come_from_the_task(tmp_path):
    run = finished_run(tmp_path, "maml", task="omniglot-5way-1shot")
    shape = protocol_of("accuracy", 60) | {"dataset": "omniglot"}
    add_result(run, accuracies(0.9), protocol=shape)
    assert rows_of(tmp_path)["maml"]["published"]["value"] == 98.7


def test_of_a_finished_run_an_earlier_checkpoint_s_test_does_not_count(tmp_path):
    """While it trained, another checkpoint may have been tested than the one that is best at its end."""
    run = finished_run(tmp_path, "maml")
    add_result(run, accuracies(0.9), checkpoint="f" * 16)
    (row,) = only(tmp_path).rows
    assert row.results == (None,) and row.error == NOT_TESTED
    add_result(run, accuracies(0.6), name="b" * 16)
    (row,) = only(tmp_path).rows
    assert row.error is None and row.results[0]["id"] == "b" * 16
