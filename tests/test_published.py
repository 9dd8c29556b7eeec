"""Published figures beside ours: verdicts, what the source's ± is, and why two are not comparable."""

from math import sqrt

import pytest
from test_cards import evaluated
from test_reports import made, row

from engine.presets import list_presets
from engine.runs.published import beside, facts_of
from tui import tables

FINN = {"value": 98.7, "ci95": 0.4, "source": "Finn 2017"}
CARD = {"model": "single", "statistics": "query", "dataset": "omniglot", "split": "finn (abcde)"}


def ours(mean, ci95=0.3, **more):
    return {"mean": mean, "ci95": ci95, "over": "episodes", **more}


@pytest.mark.parametrize(
    ("mean", "said"), [(98.15, "below"), (98.25, "agrees"), (99.15, "agrees"), (99.25, "above")]
)
def test_agreement_is_that_the_interval_of_the_difference_contains_zero(mean, said):
    """Half-widths 0.3 and 0.4 make 0.5."""
    found = beside(FINN, ours(mean), CARD)
    assert found["verdict"] == said and found["reasons"] == []
    assert found["difference"]["mean"] == pytest.approx(mean - 98.7)
    assert found["difference"]["ci95"] == pytest.approx(0.5)
    assert found["plus_minus"] == "95 % interval over test tasks"


def test_uneven_sides_count_where_they_point():
    """Ours reaches from 0.9 to 1.6: the published 1.4 lies within its upper side, 0.7 outside its lower."""
    entry = ours(1.0, 0.35, low=0.9, high=1.6)
    verdicts = [beside({**FINN, "value": v, "ci95": 0.1}, entry, CARD)["verdict"] for v in (1.4, 0.7)]
    assert verdicts == ["agrees", "above"]


def test_a_deviation_over_seeds_is_made_an_interval():
    facts = {"interval": "seeds", "seeds": 3}
    found = beside({**FINN, "ci95": 0.2}, ours(98.7, 0.0), CARD, facts)
    assert found["difference"]["ci95"] == pytest.approx(4.303 * 0.2 / sqrt(3))
    assert found["plus_minus"] == "deviation over 3 seeds"


def test_without_an_interval_there_is_no_verdict_on_the_figure():
    assert beside({**FINN, "ci95": None}, ours(98.7), CARD)["verdict"] == "no interval"
    assert beside(FINN, ours(98.7, None), CARD)["verdict"] == "no interval"
    assert beside(FINN, None, CARD)["verdict"] is None


@pytest.mark.parametrize(
    ("source", "changed", "said"),
    [
        ("Antoniou 2019", {}, "ensemble of 5 there, single here"),
        ("Finn 2017", {"model": "ensemble of 5"}, "single there, ensemble of 5 here"),
        ("Finn 2017", {"statistics": "one"}, "batch statistics: query there, one here"),
        ("Snell 2017", {}, "split vinyals there, finn here"),
        ("Finn 2017", {"copy": "recompressed (WebP)"}, "our images: recompressed (WebP)"),
        ("Lee 2019, ResNet-12, second-hand", {"network": "conv4, 64 filters"}, "resnet12 there, conv4, 64"),
    ],
)
def test_what_is_of_another_protocol_is_not_comparable(source, changed, said):
    found = beside({**FINN, "source": source}, ours(98.7), CARD | changed)
    assert found["verdict"] == "not comparable"
    assert len(found["reasons"]) == 1 and found["reasons"][0].startswith(said)


def test_the_ensemble_of_five_is_comparable_with_antoniou():
    found = beside({**FINN, "source": "Antoniou 2019"}, ours(98.7), CARD | {"model": "ensemble of 5"})
    assert found["verdict"] == "agrees"


def test_every_source_with_a_half_width_says_what_it_is():
    """Nichol prints ± without saying of what; every other source does, or has none."""
    silent = set()
    for preset in list_presets("tasks"):
        for figure in (preset.content.get("published") or {}).values():
            if figure.get("ci95") is not None and "interval" not in facts_of(figure["source"]):
                silent.add(figure["source"])
    assert silent == {"Nichol 2018, transductive"}


def test_the_verdict_stands_beside_the_figure_in_every_form():
    whole = evaluated(notes=[], dataset="omniglot")
    table = made([row("maml", whole, published=FINN)], baseline=None, protocol={"budget": "quick"})
    assert table["rows"][0]["published"]["verdict"] == "agrees"
    note = "Finn 2017; ± 95 % interval over test tasks; as many test queries as shots"
    for text in (tables.text(table, 300), tables.markdown(table)):
        assert "98.7 ± 0.4 agrees ¹" in text and f"¹ {note}" in text and "ours at the quick budget" in text
    assert ",agrees," in tables.comma_separated([table])
    lossy = made([row("maml", evaluated(), published=FINN)], baseline=None)
    text = tables.text(lossy, 300)
    assert "98.7 ± 0.4 not comparable ¹" in text and "our images: recompressed (WebP); 270 of 600" in text
