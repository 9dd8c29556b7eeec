"""Requests that nobody meant to make: presets, `--set` texts and names, each made from a number."""

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hostile_texts import CHARACTERS, FOREIGN_LINES, NAMES, SCALARS, VALUES

from engine.presets.fields import every_key
from engine.presets.files import SHIPPED

TASKS = ("glyphs-5way-1shot", "sine-10shot", "glyphs-20way-5shot", "sine-li-5shot")
OPTIONS = (
    *(
        "--budget",
        "--device",
        "--seed",
        "--seeds",
        "--time-limit",
        "--baseline",
        "--format",
        "--equal-seconds",
    ),
)
KEYS = (
    *every_key(),
    *(
        "summary",
        "paper",
        "family",
        "published",
        "budgets",
        "for",
        "tasks",
        "rows",
        "set",
        "kind",
        "baseline",
    ),
    *("seeds", "origin", "algorithm", "label", "test_on", "budgets.quick", "origin.published"),
)


@dataclass(frozen=True)
class Case:
    """What is asked: arguments of `kshot`; `names` are what a refusal may name beside a key or a line."""

    arguments: tuple[str, ...]
    names: tuple[str, ...] = ()
    file: Path | None = None


def make(folder: Path, number: int) -> Case:
    """The case of that number; the files that it needs are written into `folder`."""
    chance = random.Random(number)
    kind = chance.choices([_file, _overrides, _names, _listed], [60, 28, 10, 2])[0]
    return kind(folder, number, chance)


# --- names and options


def _names(folder: Path, number: int, chance: random.Random) -> Case:
    wrong = chance.choice(NAMES)
    if chance.random() < 0.3:
        wrong = chance.choice([*NAMES, *SCALARS])
        option = chance.choice(OPTIONS)
        plain = option in ("--budget", "--device", "--seed", "--seeds", "--time-limit")
        words = ("train", "sine-10shot", "maml") if plain else ("compare", "sine-10shot", "maml")
        return Case((*words, "--dry-run", f"{option}={wrong}"), (option, wrong))
    commands = [
        ("tasks", "show", wrong),
        ("algorithms", "show", wrong),
        ("comparisons", "show", wrong, "--json"),
        ("algorithms", "show", "maml", "--task", wrong),
        ("train", wrong, "maml", "--dry-run"),
        ("train", "sine-10shot", wrong, "--dry-run"),
        ("train", wrong, "--dry-run"),
        ("compare", wrong, "--dry-run"),
        ("compare", "sine-10shot", "maml", wrong, "--dry-run"),
        ("data", "check", wrong),
    ]
    command = chance.choice(commands)
    # Blank names are refused by what they stand for, or beside the command.
    return Case(
        command,
        (wrong, wrong.strip("/"), Path(wrong).name, "TASK", " ".join(command[:2])),
    )


# --- overrides


def _overrides(folder: Path, number: int, chance: random.Random) -> Case:
    texts = [_override(chance) for _ in range(chance.choice([1, 1, 2, 3]))]
    given = tuple(word for text in texts for word in ("--set", text))
    task = chance.choice(TASKS)
    algorithm = chance.choice(
        ["maml", "maml++", "pretrain", "scratch", "protonet", "r2d2", "reptile", "meta-sgd"]
    )
    commands = [
        ("train", task, algorithm, *given, "--dry-run", "--json"),
        ("algorithms", "show", algorithm, "--task", task, *given),
        ("compare", task, algorithm, *given, "--dry-run"),
    ]
    return Case(chance.choice(commands), tuple(f"--set {text}" for text in texts))


def _override(chance: random.Random) -> str:
    key = chance.choice(every_key())
    changed = chance.random()
    if changed < 0.1:
        key = _typo(key, chance)
    elif changed < 0.15:
        key = chance.choice(
            ["", ".", "a.b.c", key + ".", "." + key, key * 30, "on", "1", "<<", f"maml:{key}"]
        )
    elif changed < 0.18:
        key = f"{key}.{chance.choice(KEYS)}"
    between = "=" if chance.random() < 0.97 else chance.choice(["", "==", ":", " = "])
    return f"{key}{between}{chance.choice(VALUES)}"


def _typo(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    ways = [
        text[:at] + text[at + 1 :],
        text[:at] + chance.choice(string.ascii_letters + ".-_ \t") + text[at:],
    ]
    return chance.choice([*ways, text[:at] + text[at:].swapcase()])


# --- files


def _file(folder: Path, number: int, chance: random.Random) -> Case:
    kind = chance.choice(["tasks", "algorithms", "algorithms", "comparisons", "spec"])
    shipped = "algorithms" if kind == "spec" else kind
    path = chance.choice(sorted((SHIPPED / shipped).glob("*.yaml")))
    content = path.read_text()
    if kind == "spec" or chance.random() < 0.5:
        tree = yaml.safe_load(content) if kind != "spec" else _spec(chance)
        content = _changed_tree(tree, chance)
    data = _changed_text(content, chance) if chance.random() < 0.6 else content.encode()
    if chance.random() < 0.002:
        data += b"\nx: " + b"y" * 10_000_000
    mine = folder / f"mine-{number}.yaml"
    mine.write_bytes(data)
    task, name = chance.choice(TASKS), str(mine)
    commands = {
        "tasks": [("tasks", "show", name), ("train", name, "maml", "--dry-run", "--json")],
        "algorithms": [
            ("algorithms", "show", name, "--task", task),
            ("train", task, name, "--dry-run", "--json"),
        ],
        "comparisons": [("comparisons", "show", name, "--json"), ("compare", name, "--dry-run")],
        "spec": [("train", name, "--dry-run", "--json")],
    }
    return Case(chance.choice(commands[kind]), (), mine)


def _listed(folder: Path, number: int, chance: random.Random) -> Case:
    """A folder of one's own presets, one of them spoilt: it is listed with its problem, beside the others."""
    made = _file(folder, number, chance)
    assert made.file is not None
    for kind in ("tasks", "algorithms", "comparisons"):
        if made.arguments[0] in (kind, "train"):
            (folder / kind).mkdir(exist_ok=True)
            place = made.file.rename(folder / kind / made.file.name)
            return Case((kind if made.arguments[0] == kind else "tasks", "list"), (), place)
    return made


def _spec(chance: random.Random) -> dict[str, Any]:
    from engine.presets import resolve, spec_to_dict

    algorithms = ["maml", "anil", "meta-sgd", "pretrain", "r2d2"]
    return {
        **spec_to_dict(resolve(TASKS[chance.randrange(2)], chance.choice(algorithms)).spec),
        "key": "0" * 16,
    }


def _changed_tree(tree: dict[str, Any], chance: random.Random) -> str:
    """The preset with up to three of its keys or values changed, written again."""
    marks: dict[str, str] = {}
    for _ in range(chance.randint(1, 3)):
        places = list(_places(tree))
        holder, key = chance.choice(places)
        chance.choice(TREE_WAYS)(holder, key, chance, marks)
    text = yaml.safe_dump(
        tree, sort_keys=False, allow_unicode=True, default_flow_style=chance.choice([None, False])
    )
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(inner)


def _mark(chance: random.Random, marks: dict[str, str]) -> str:
    """A text that the writer leaves as it is and that any YAML replaces in the end."""
    mark = f"zz{len(marks)}zz"
    marks[mark] = chance.choice(VALUES)
    return mark


def _replace(holder: Any, key: Any, chance: random.Random, marks: dict[str, str]) -> None:
    holder[key] = _mark(chance, marks)


def _drop(holder: Any, key: Any, chance: random.Random, marks: dict[str, str]) -> None:
    del holder[key]


def _rename(holder: Any, key: Any, chance: random.Random, marks: dict[str, str]) -> None:
    if isinstance(holder, dict):
        holder[_typo(str(key), chance)] = holder.pop(key)


def _add(holder: Any, key: Any, chance: random.Random, marks: dict[str, str]) -> None:
    if isinstance(holder, dict):
        holder[chance.choice(KEYS).rpartition(".")[2]] = _mark(chance, marks)
    else:
        holder.insert(key, _mark(chance, marks))


def _add_dotted(holder: Any, key: Any, chance: random.Random, marks: dict[str, str]) -> None:
    if isinstance(holder, dict):
        holder[chance.choice(KEYS)] = _mark(chance, marks)


def _strange_key(holder: Any, key: Any, chance: random.Random, marks: dict[str, str]) -> None:
    if isinstance(holder, dict):
        holder[_mark(chance, marks)] = 1


def _wrap(holder: Any, key: Any, chance: random.Random, marks: dict[str, str]) -> None:
    holder[key] = chance.choice([lambda v: [v], lambda v: {"value": v}, lambda v: {str(key): v}, str])(
        holder[key]
    )


def _deepen(holder: Any, key: Any, chance: random.Random, marks: dict[str, str]) -> None:
    for _ in range(chance.choice([5, 25, 40, 60])):
        holder[key] = {str(key): holder[key]} if chance.random() < 0.5 else [holder[key]]


def _swap(holder: Any, key: Any, chance: random.Random, marks: dict[str, str]) -> None:
    others = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    other = chance.choice(others)
    holder[key], holder[other] = holder[other], holder[key]


TREE_WAYS: tuple[Callable[..., None], ...] = (
    *(_replace,) * 6,
    *(_add,) * 3,
    *(_drop, _rename, _rename, _add_dotted, _strange_key, _wrap, _deepen, _swap),
)


def _changed_text(text: str, chance: random.Random) -> bytes:
    """The text with up to three changes to its characters and lines, and sometimes in another encoding."""
    for _ in range(chance.randint(1, 3)):
        lines = text.split("\n")
        at = chance.randrange(len(lines))
        way = chance.randrange(10)
        if way == 0:
            lines[at : at + 1] = [lines[at]] * 2
        elif way == 1:
            del lines[at]
        elif way == 2:
            lines[at] = chance.choice(["\t", "  ", " ", "        "]) + lines[at]
        elif way == 3:
            lines[at] = lines[at].lstrip()
        elif way == 4:
            lines[at : at + 2] = ["".join(lines[at : at + 2])]
        elif way == 5:
            lines.insert(at, chance.choice(FOREIGN_LINES))
        elif way == 6 and ": " in lines[at]:
            lines[at] = lines[at].partition(": ")[0] + ": " + chance.choice(VALUES)
        text = "\n".join(lines)
        where = chance.randrange(len(text) + 1)
        if way == 7:
            text = text[:where] + chance.choice(CHARACTERS) + text[where:]
        elif way == 8:
            text = text[:where] + text[where + chance.randint(1, 30) :]
        elif way == 9:
            text = (
                text[:where]
                if chance.random() < 0.3
                else text[:where] + chance.choice(CHARACTERS) * 3 + text[where:]
            )
    data = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.12:
        coding = chance.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-7"])
        data = text.replace("\n", chance.choice(["\n", "\r\n", "\r"])).encode(coding, "replace")
    if chance.random() < 0.06 and data:
        at = chance.randrange(len(data))
        data = data[:at] + bytes(chance.randrange(256) for _ in range(chance.choice([1, 4, 100]))) + data[at:]
    return data
