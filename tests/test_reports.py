"""Tables from results: numbers against hand arithmetic, the JSON form, and the texts made from it."""

import csv
import io
import json

import pytest

from engine.runs.reports import RowRuns, Trained, evaluation_report, table, verdict
from tui import tables


def result(values, *, metric="accuracy", steps=(0, 1), after=1, before=0, chosen=None, split="abc", **more):
    return {
        "kind": "evaluate",
        "id": "f" * 16,
        "checkpoint": "0" * 16,
        "checkpoint_step": 500,
        "task": "glyphs-5way-1shot",
        "algorithm": "maml",
        "split": "standard",
        "split_hash": split,
        "protocol": {"ways": 5, "shots": 1, "queries": 15, "statistics": "query", "episodes": len(values)},
        "metric": metric,
        "higher_is_better": metric == "accuracy",
        "steps": list(steps),
        "values": values,
        "after_step": after,
        "before_step": before,
        "chosen": chosen,
        "seconds": 1.0,
        "train_seconds": 60.0,
        "train_iterations": 500,
    } | more


def row(label, *results, seeds=None, **more):
    seeds = seeds or tuple(range(len(results)))
    runs = tuple(f"run-{label}-{seed}" for seed in seeds)
    return RowRuns(label, label, "glyphs-5way-1shot", seeds, runs, results, **more)


MAML = result([[0.2, 0.9], [0.4, 1.0], [0.3, 0.8]])
PRETRAIN = result([[0.2, 0.7], [0.2, 0.8], [0.2, 0.6]])


def made(rows, baseline="pretrain", protocol=None, metric="accuracy"):
    return table(
        "glyphs-5way-1shot",
        rows,
        baseline,
        protocol or {"episodes": 3, "seeds": [0]},
        metric,
        metric == "accuracy",
    )


def test_rows_in_percent_paired_with_the_baseline():
    maml, pretrain = made([row("maml", MAML), row("pretrain", PRETRAIN)])["rows"]
    assert maml["before"]["mean"] == pytest.approx(30)
    assert maml["after"] == {
        "step": 1,
        "mean": pytest.approx(90),
        "ci95": pytest.approx(1.96 * 10 / 3**0.5),
        "over": "episodes",
        "method": "normal",
    }
    assert [entry["step"] for entry in maml["steps"]] == [0, 1]
    # Every episode is 20 points apart: the difference is certain although the means are not.
    assert maml["vs_baseline"]["mean"] == pytest.approx(20)
    assert maml["vs_baseline"]["ci95"] == pytest.approx(0, abs=1e-9)
    assert pretrain["vs_baseline"] is None


def test_the_table_has_the_keys_of_the_contract():
    made_table = made([row("maml", MAML), row("pretrain", PRETRAIN)])
    assert {"task", "metric", "higher_is_better", "baseline", "protocol", "rows"} <= set(made_table)
    keys = {
        "label",
        "algorithm",
        "set",
        "trained_on",
        "runs",
        "seeds",
        "iterations",
        "train_seconds",
        "steps",
    }
    keys |= {"before", "after", "vs_baseline", "published", "error"}
    assert all(keys <= set(each) for each in made_table["rows"])
    json.dumps(made_table, allow_nan=False)


def test_several_seeds_are_paired_within_seeds():
    other = result([[0.2, 1.0], [0.4, 1.0], [0.3, 1.0]])
    rows = made([row("maml", MAML, other), row("pretrain", PRETRAIN, PRETRAIN)])["rows"]
    # Seed means 90 and 100; differences 20 and 30; t for one degree of freedom 12.706.
    assert rows[0]["after"]["mean"] == pytest.approx(95)
    assert rows[0]["after"]["over"] == "seeds"
    assert rows[0]["after"]["ci95"] == pytest.approx(12.706 * 50**0.5 / 2**0.5)
    assert rows[0]["vs_baseline"]["mean"] == pytest.approx(25)
    assert rows[0]["vs_baseline"]["ci95"] == pytest.approx(12.706 * 50**0.5 / 2**0.5)
    assert rows[0]["train_seconds"] == 120


def test_a_lost_seed_leaves_the_others_paired():
    rows = made(
        [row("maml", MAML, MAML, MAML), row("pretrain", None, PRETRAIN, PRETRAIN, error="seed 0: crashed")]
    )
    maml, pretrain = rows["rows"]
    assert maml["vs_baseline"] == {
        "mean": pytest.approx(20),
        "ci95": pytest.approx(0, abs=1e-9),
        "over": "seeds",
        "method": "t",
        "episodes": 3,
        "seeds": 2,
    }
    assert pretrain["after"]["mean"] == pytest.approx(70) and pretrain["error"] == "seed 0: crashed"


def test_a_failed_run_is_a_row_of_nulls():
    rows = made([row("maml", None, error="failed: the loss is not finite"), row("pretrain", PRETRAIN)])[
        "rows"
    ]
    for key in ("steps", "before", "after", "vs_baseline", "iterations", "train_seconds"):
        assert rows[0][key] is None
    assert rows[0]["error"].startswith("failed")


def test_without_any_result_the_table_is_still_one():
    made_table = made([row("maml", None, error="crashed")], baseline=None, metric="mse")
    assert made_table["metric"] == "mse"
    assert "maml: crashed" in tables.text(made_table, 80)


def test_rules_without_steps_have_no_before():
    nearest = result([[0.5], [0.6], [0.7]], steps=(1,), before=None)
    assert made([row("nearest", nearest), row("pretrain", PRETRAIN)])["rows"][0]["before"] is None


def test_the_step_read_is_the_one_chosen_never_the_best():
    """After two steps the mean is better than after five; five were chosen, five count."""
    tuned = result([[0.2, 0.9, 0.6], [0.2, 0.9, 0.6]], steps=(0, 2, 5), after=5)
    after = made([row("pretrain", tuned)])["rows"][0]["after"]
    assert (after["step"], after["mean"]) == (5, pytest.approx(60))


def test_what_was_not_finite_is_null_and_said():
    broken = result([[4.0, None], [4.0, 1.0]], metric="mse")
    made_table = made([row("maml", broken)], baseline=None)
    assert made_table["rows"][0]["after"]["mean"] is None
    assert "not finite" in tables.text(made_table, 80)


def test_other_episodes_are_never_paired():
    other_split = result([[0.2, 0.7], [0.2, 0.8], [0.2, 0.6]], split="other")
    fewer = result([[0.2, 0.7]])
    for baseline in (other_split, fewer):
        assert made([row("maml", MAML), row("pretrain", baseline)])["rows"][0]["vs_baseline"] is None


@pytest.mark.parametrize(
    ("mean", "ci95", "higher", "said"),
    [
        (2.0, 1.0, True, "better"),
        (2.0, 1.0, False, "worse"),
        (-2.0, 1.0, True, "worse"),
        (-2.0, 1.0, False, "better"),
        (0.5, 1.0, True, "undecided"),
        (1.0, None, True, None),
    ],
)
def test_verdicts(mean, ci95, higher, said):
    assert verdict({"mean": mean, "ci95": ci95}, higher) == said


def test_evaluation_report():
    report = evaluation_report("run-1", MAML)
    assert {"run", "task", "algorithm", "protocol", "episodes", "steps", "before", "after"} <= set(report)
    assert (report["episodes"], report["after"]["mean"]) == (3, pytest.approx(90))


PUBLISHED = {"value": 98.7, "ci95": 0.4, "source": "Finn 2017"}
CHOSEN = {"learning_rate": 0.01, "head": "zero", "steps": 5, "tried": 54, "episodes": 200, "by_step": []}


def test_how_a_training_went_is_read_from_the_run_and_an_early_end_is_said():
    early, whole = Trained(400, 1000, 600.0), Trained(1000, 1000, 30.0)
    table_made = made(
        [
            row("maml", MAML, trained=(early,), time_limit=600.0),
            row("pretrain", PRETRAIN, trained=(whole,), time_limit=600.0),
        ]
    )
    maml, pretrain = table_made["rows"]
    assert (maml["iterations"], maml["train_seconds"]) == (400, 600)
    assert (pretrain["iterations"], pretrain["train_seconds"]) == (1000, 30)
    assert maml["protocol"]["time_limit"] == 600 and "time_limit" not in pretrain["protocol"]
    text = " ".join(tables.text(table_made, 100).split())
    assert "maml: training ended after 10 min 00 s, 400 of 1,000 iterations" in text
    assert text.count("training ended") == 1


def full_table():
    pretrain = result([[0.2, 0.7], [0.2, 0.8], [0.2, 0.6]], chosen=CHOSEN)
    rows = [row("pretrain", pretrain), row("maml", MAML, published=PUBLISHED, tasks_seen=80_000)]
    return made(rows)


def test_text_says_what_a_reader_needs():
    text = tables.text(full_table(), 80)
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("glyphs-5way-1shot: accuracy in percent, 3 test episodes")
    assert "90.0 ± 11.3 (1)" in text and "better" in text
    assert "98.7 ± 0.4 agrees ¹" in text and "¹ Finn 2017; ± 95 % interval over" in text
    assert (
        "pretrain: learning rate 0.01, zero head, 5 steps, chosen on 200 validation episodes from 54 tries"
        in (" ".join(text.split()))
    )
    protocol = "split standard (abc); 5 ways; 1 shot; 15 queries; batch statistics over all queries"
    footer = f"Protocol: {protocol}, 75 a task; seed 0; ± 95 % interval over test episodes"
    assert footer in " ".join(text.split())
    names = [line.split()[0] for line in lines if line.startswith(("maml", "pretrain "))]
    assert names == ["maml", "pretrain"] * (len(names) // 2)


def test_seeds_that_chose_the_same_share_a_line():
    values = [[0.2, 0.7], [0.2, 0.8]]
    other = {**CHOSEN, "steps": 7}
    three = [result(values, chosen=chosen) for chosen in (CHOSEN, other, CHOSEN)]
    table_made = made([row("pretrain", *three)])
    lines = [line for line in tables.markdown(table_made).splitlines() if line.startswith("pretrain")]
    assert [line.split(":")[0] for line in lines] == ["pretrain, seeds 0, 2", "pretrain, seed 1"]
    assert "7 steps" in lines[1] and "± 95 % interval over training seeds" in tables.markdown(table_made)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("failed at step 40: the loss is not finite", "failed"),
        ("seed 1: not tested yet", "not tested yet"),
        ("seed 1: cannot be tested: it has no checkpoint; seed 2: queued", "cannot be tested"),
        (None, "–"),
    ],
)
def test_a_row_without_a_result_says_why_in_a_word_or_two(error, said):
    assert tables.short_error(error) == said


def test_narrow_text_loses_nothing():
    narrow, wide = tables.text(full_table(), 60), tables.text(full_table(), 200)
    assert sorted(set(narrow.split())) == sorted(set(wide.split()))
    assert all(len(line) <= 60 for line in narrow.splitlines())


def test_errors_in_regression_have_three_significant_digits_and_steps_of_their_own():
    steps = (0, 1, 5, 10)
    maml = result([[4.0, 0.5, 0.2, 0.1234], [4.2, 0.7, 0.4, 0.1434]], metric="mse", steps=steps, after=10)
    base = result([[4.0, 2.5, 2.2, 1.2], [4.0, 2.5, 2.2, 1.4]], metric="mse", steps=steps, after=5)
    text = tables.text(made([row("maml", maml), row("pretrain", base)]), 160)
    assert "0.133 ± 0.020 (10)" in text and "better" in text
    assert " 1 step " in text and "10 steps" in text and "0.600 ± 0.196" in text


def test_csv_can_be_read_back():
    read = list(csv.DictReader(io.StringIO(tables.comma_separated([full_table()]))))
    assert [line["label"] for line in read] == ["pretrain", "maml"]
    assert float(read[1]["vs_baseline"]) == pytest.approx(20)
    assert (read[1]["ci95_over"], read[1]["episodes"]) == ("episodes", "3")
    assert read[1]["verdict"] == "better" and read[1]["published"] == "98.7"


def test_text_from_files_is_neither_markup_nor_control_code():
    evil = row("[red]x[/red]\x1b[31m|y", MAML)
    made_table = made([evil], baseline=None)
    text = tables.text(made_table, 100)
    assert "[red]x[/red][31m|y" in text and "\x1b" not in text
    assert "\\[red\\]x" in tables.markdown(made_table) and "\\|y" in tables.markdown(made_table)


def test_markdown_is_a_table():
    lines = tables.markdown(full_table()).splitlines()
    body = [line for line in lines if line.startswith("|")]
    assert len(body) == 4 and len({line.count("|") for line in body}) == 1


def test_each_row_says_whose_batch_statistics_it_was_tested_by_and_other_training_ways():
    protocol = {"ways": 5, "shots": 1, "statistics": "query"}
    other = {**protocol, "ways_in_training": 20}
    rows = [
        row("protonet", result([[0.9], [1.0]], steps=(1,), before=None, protocol=other), tasks_seen=80_000),
        row("pretrain", result([[0.7], [0.8]], steps=(1,), before=None, protocol=protocol), tasks_seen=400),
        row("pixels", result([[0.3], [0.2]], steps=(1,), before=None, protocol=protocol), normalised=False),
    ]
    table_made = made(rows)
    told = {each["label"]: (each["training_ways"], each["statistics"]) for each in table_made["rows"]}
    assert told == {"protonet": (20, "query"), "pretrain": (None, "query"), "pixels": (None, None)}
    lines = [line.split(" | ") for line in tables.markdown(table_made).splitlines() if line.startswith("|")]
    assert lines[0][-4:] == ["trained", "tasks seen", "training ways", "batch statistics |"]
    assert lines[2][-4:] == ["1 min 00 s", "80,000", "20", "query |"]
    assert lines[3][0] == "| pixels" and lines[3][-2:] == ["–", "– |"]
    read = list(csv.DictReader(io.StringIO(tables.comma_separated([table_made]))))
    assert [(line["training_ways"], line["statistics"]) for line in read] == [
        ("20", "query"),
        ("", "query"),
        ("", ""),
    ]
    # On a terminal the source stands once, in the protocol, unless rows differ.
    assert "batch statistics over all queries" in " ".join(tables.text(table_made, 200).split())
    assert "batch statistics\n" not in tables.text(table_made, 200)
    one = result([[0.7], [0.8]], steps=(1,), before=None, protocol={**protocol, "statistics": "one"})
    differing = tables.text(made([row("maml", one), row("pretrain", rows[1].results[0])]), 200)
    assert "batch statistics\n" in differing and "  one\n" in differing and "  query\n" in differing
