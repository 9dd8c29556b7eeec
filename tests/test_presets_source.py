"""YAML as presets are written: numbers, places, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RequestError
from engine.presets.source import LARGEST_FILE, read_file, read_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("12E+2", 1200.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("1_000", 1000),
        ("007", 7),
        ("+3", 3),
        ("1.2.3", "1.2.3"),
        ("2020-13-45", "2020-13-45"),
        ("1:30", "1:30"),
        ("e3", "e3"),
        ("'1e-3'", "1e-3"),
        ("true", True),
        ("~", None),
        ("[1, 2e0]", [1, 2.0]),
        ("{from: 1}", {"from": 1}),
    ],
)
def test_values_read_as_people_write_them(text: str, value: object) -> None:
    found = read_text(f"key: {text}", "file").content["key"]
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_item_has_its_place() -> None:
    source = read_text("a: 1\nb:\n  c: [1,\n    2]\n  d: 3\n", "my.yaml")
    assert source.places[("b", "c")] == (3, 3)
    assert source.places[("b", "c", 1)] == (4, 5)
    assert source.where(("b", "d")) == "my.yaml, line 5"
    assert source.where(("b", "unknown")) == "my.yaml, line 2"
    assert source.where(("unknown",)) == "my.yaml"


BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", 'line 3: the key "a" is given twice (first on line 1)'),
        ("a: {b: 1, b: 2}", 'line 1: the key "b" is given twice'),
        ("a:\n  - [", "line 2, column 6: not YAML"),
        ("a: 1\n\tb: 2", "line 2, column 1: not YAML"),
        ("a: 1\n---\nb: 2", "line 2, column 1: not YAML: expected a single document"),
        ("a: *missing", "line 1, column 4: not YAML: found undefined alias"),
        ("a: 1\nb: \x01", "line 2: a character that YAML does not allow"),
        ("on: 3", 'line 1: the key "on" reads as bool'),
        ("1: 3", 'line 1: the key "1" reads as int'),
        ("[a]: 3", "line 1: a key must be a text"),
        ("<<: {a: 1}", "line 1: the merge key <<"),
        ("a: !!python/object/apply:os.system ['true']", "line 1: a value of the YAML type python/object"),
        ("a: !!int foo", 'line 1: "foo" is not a value of the type int'),
        ("a: " + "9" * 5000, "is not a value of the type int"),
        ("a: " + "[" * 40 + "]" * 40, "nested deeper than 30 levels"),
        ("a: &a [*a]", "nested deeper than 30 levels"),
        (BOMB, "more than 20,000 values"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_text(text, "my.yaml")
    message = str(caught.value)
    assert message.startswith("my.yaml, ")
    assert problem in message
    assert "\n" not in message


def test_files_that_are_no_presets(tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(RequestError) as caught:
            read_file(path)
        return str(caught.value).removeprefix(f"{path}")

    path = tmp_path / "a.yaml"
    assert refused(path) == ": there is no such file"
    assert refused(tmp_path) == ": this is not a file"
    path.write_bytes(b"a: 1\nb: \xff")
    assert refused(path) == ", line 2: not text in UTF-8"
    path.write_text("")
    assert refused(path) == ": must be a mapping of keys to values, found nothing"
    path.write_text("- a")
    assert refused(path) == ": must be a mapping of keys to values, found a single value or a list"
    path.write_bytes(b"#" * (LARGEST_FILE + 1))
    assert "larger than" in refused(path)
    path.write_text("\ufeffa: 1")
    assert read_file(path).content == {"a": 1}


@given(st.text(alphabet="ab:{}[]&*!<>|-'\"#\n\t ,1e.%@?~\\", max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        read_text(text, "file")
    except RequestError as error:
        assert "\n" not in str(error)
