"""Labels of rows that are one algorithm trained in several ways."""

from engine.presets import Spec, resolve
from engine.runs.row_labels import RowKey, labelled

TASK = "glyphs-5way-1shot"


def key(algorithm: str, training: str) -> RowKey:
    return algorithm, training, TASK


def spec(algorithm: str, *overrides: str) -> Spec:
    return resolve(TASK, algorithm, overrides=overrides).spec


def test_a_label_names_what_is_set_and_leaves_out_what_is_not():
    whole, limited = key("maml", "a"), key("maml", "b")
    rows = {whole: spec("maml"), limited: spec("maml", "training.time_limit=600")}
    labels, settings = labelled(rows)
    assert labels == {whole: "maml", limited: "maml, time limit 600.0"}
    assert settings == {whole: {"training.time_limit": None}, limited: {"training.time_limit": 600.0}}


def test_an_unset_value_takes_no_place_of_one_that_is_set():
    first, second = key("maml", "a"), key("maml", "b")
    set_here = ["adaptation.steps=7", "adaptation.learning_rate=0.3"]
    rows = {
        first: spec("maml", *set_here),
        second: spec("maml", "adaptation.batch=3", "training.time_limit=600"),
    }
    labels, settings = labelled(rows)
    assert {path for path, value in settings[first].items() if value is None} == {
        "adaptation.batch",
        "training.time_limit",
    }
    assert labels[first] == "maml, steps 7, learning rate 0.3"
    assert "None" not in "".join(labels.values())


def test_settings_of_one_name_are_told_apart_by_their_section():
    rows = {
        key("maml", "a"): spec("maml", "adaptation.learning_rate=0.3", "outer.learning_rate=0.1"),
        key("maml", "b"): spec("maml", "adaptation.learning_rate=0.4", "outer.learning_rate=0.3"),
        key("fomaml", "c"): spec("fomaml"),
        key("fomaml", "d"): spec("fomaml", "training.validation.adaptation.learning_rate=0.2"),
        key("fomaml", "e"): spec("fomaml", "adaptation.steps=7"),
    }
    labels, settings = labelled(rows)
    assert list(labels.values()) == [
        "maml, adaptation learning rate 0.3, outer learning rate 0.1",
        "maml, adaptation learning rate 0.4, outer learning rate 0.3",
        "fomaml, steps 1",
        "fomaml, steps 1, validation adaptation learning rate 0.2",
        "fomaml, steps 7",
    ]
    assert settings[key("maml", "b")] == {"adaptation.learning_rate": 0.4, "outer.learning_rate": 0.3}


def test_labels_that_say_the_same_are_numbered():
    unread, read = key("maml", "a"), key("maml", "b")
    assert labelled({unread: None, read: None})[0] == {unread: "maml", read: "maml (2)"}
