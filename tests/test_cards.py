"""The protocol card: what stands in it, where it is printed, and that rows which differ are marked."""

import pytest
from test_reports import made, result, row

from engine.presets import resolve
from engine.runs.cards import card_of
from tui import tables

PROTOCOL = {
    "ways": 5,
    "shots": 1,
    "queries": 15,
    "dataset": "miniimagenet",
    "steps_in_training": 5,
    "steps_in_testing": 10,
    "episodes": 3,
    "evaluation_seed": 0,
    "statistics": "query",
    "model": "single",
    "checkpoint": "best on validation",
    "budget": "quick",
    "seed": 0,
    "network": "conv4, 32 filters, stride, flatten",
    "normalised": True,
    "version": "0.1.0",
    "numerics": 5,
    "engine": "ab12cd34",
}
VALUES = [[0.2, 0.9], [0.4, 1.0], [0.3, 0.8]]
NOTES = ["recompressed (WebP)", "270 of 600 images a class", "held in memory: the cache cannot be used"]


def evaluated(**changed):
    told = {key: changed.pop(key) for key in ("notes", "images_hash", "chosen") if key in changed}
    more = {"images_hash": "0123456789abcdef", "notes": NOTES} | told
    return result(VALUES, protocol=PROTOCOL | changed, **more)


def test_a_card_says_what_a_figure_rests_on():
    card = card_of(evaluated(chosen={"tried": 54, "episodes": 200, "steps": 5}))
    expected = {key: value for key, value in PROTOCOL.items() if key not in ("seed", "normalised")}
    assert card == expected | {
        "split": "standard (abc)",
        "images": "01234567",
        "copy": "recompressed (WebP); 270 of 600 images a class",
        "queries_sharing": 75,
        "tuning": "54 tries on 200 validation episodes",
    }


@pytest.mark.parametrize(("statistics", "sharing"), [("one", 1), ("support", None), ("running", None)])
def test_a_card_says_how_many_queries_share_batch_statistics(statistics, sharing):
    assert card_of(evaluated(statistics=statistics)).get("queries_sharing") == sharing


def test_without_layers_that_normalise_there_are_no_batch_statistics():
    card = card_of(evaluated(normalised=False))
    assert "statistics" not in card and "queries_sharing" not in card


def test_the_card_stands_under_the_table_in_every_form():
    table = made([row("maml", evaluated()), row("pretrain", evaluated())])
    assert table["protocol"]["copy"].startswith("recompressed") and table["protocol"]["numerics"] == 5
    for text in (tables.text(table, 300), tables.markdown(table).replace("\\", "")):
        footer = " ".join(text.partition("Protocol: ")[2].split())
        for part in (
            "split standard (abc)",
            "dataset miniimagenet",
            "steps in training 5",
            "steps in testing 10",
            "batch statistics over all queries, 75 a task",
            "single model",
            "checkpoint best on validation",
            "network conv4, 32 filters, stride, flatten",
            "images 01234567",
            "copy of the images: recompressed (WebP); 270 of 600 images a class",
            "code: kshot 0.1.0, numerics 5, engine ab12cd34",
        ):
            assert part in footer


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "ensemble of 5"}, "model ensemble of 5 (the others: single)"),
        ({"checkpoint": "last"}, "checkpoint last (the others: best on validation)"),
        ({"queries": 1}, "queries 1 (the others: 15)"),
        ({"images_hash": "fedcba9876"}, "images fedcba98 (the others: 01234567)"),
        ({"notes": []}, "copy of the images as published (the others: recompressed"),
        ({"numerics": 4}, "version of the numerics 4 (the others: 5)"),
        ({"network": "mlp, 40-40"}, "network mlp, 40-40 (the others: conv4"),
        (
            {"trained_by": "by another version of the numerics"},
            "training by another version of the numerics (the others: by this one)",
        ),
    ],
)
def test_a_row_whose_card_differs_is_marked_with_what_differs(changed, said):
    rows = [row("maml", evaluated(**changed)), row("anil", evaluated()), row("pretrain", evaluated())]
    table = made(rows)
    assert [bool(each["differs"]) for each in table["rows"]] == [True, False, False]
    text = tables.text(table, 300)
    assert "maml ¹" in text and f"¹ {said}" in text and "anil ¹" not in text
    assert "maml ¹" in tables.markdown(table)


def test_of_two_the_baseline_is_what_is_usual():
    table = made([row("maml", evaluated(checkpoint="last")), row("pretrain", evaluated())])
    assert [[d["here"] for d in each["differs"]] for each in table["rows"]] == [["last"], []]


def test_seeds_that_differ_are_marked_too():
    maml = row("maml", evaluated(), evaluated(checkpoint="last"))
    table = made([maml, row("pretrain", evaluated(), evaluated())])
    assert "checkpoint best on validation, last (the others: best on validation)" in tables.text(table, 300)
    alone = made([row("maml", evaluated(), evaluated(checkpoint="last"))], baseline=None)
    assert "checkpoint best on validation, last by seed" in tables.text(alone, 300)


def test_what_an_algorithm_is_marks_nothing():
    """Its steps, its tuning, and that what is never trained has no checkpoint to choose."""
    rows = [
        row("anil", evaluated(steps_in_training=1, steps_in_testing=50)),
        row("scratch", evaluated(checkpoint="as initialised")),
        row("pretrain", evaluated(chosen={"tried": 54, "episodes": 200})),
    ]
    assert not any(each["differs"] for each in made(rows)["rows"])


def test_a_network_in_words():
    from engine.evaluate_job import network

    def told(task, *settings):
        return network(resolve(task, "maml", overrides=settings).spec.model)

    assert told("omniglot-5way-1shot") == "conv4, 32 filters, stride, flatten"
    assert told("sine-10shot") == "mlp, 40-40, no norm"
