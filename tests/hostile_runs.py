"""Runs folders that nobody meant to write: files half written, missing, of other kinds, of other contents."""

import copy
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARKUP = "[red]x[/]"
TEXTS = (MARKUP, "[", "[@click=quit]", "\x1b[31mred\x1b]0;title\x07", "a\nb\rc\td", "\u202e\0x", "", "ж" * 9)
NAMES = ("[red]x", "\x1b[31m", "a\nb", "-rf", "x" * 120, "20260101-000000-maml-sine-s0-0000", "ж")
NUMBERS = (float("nan"), float("inf"), -1, 0, 1e308, -1e308, 10**400, 2**63, 1e-320, True)
OTHERS = (None, [], {}, [[]], [None, "x"], {"mean": None}, [float("nan")] * 3, [[1.0], [1.0, 2.0], []])


def spoil(runs_dir: Path, seed: int) -> None:
    """Makes up to twelve changes to the runs of a folder; the same ones for the same seed."""
    chance = random.Random(seed)
    for _ in range(chance.randint(3, 12)):
        runs = sorted(path for path in runs_dir.iterdir() if path.is_dir() and not path.is_symlink())
        run = chance.choice(runs)
        files = sorted(path for path in run.rglob("*") if path.is_file() and not path.is_symlink())
        if not files or chance.random() < 0.1:
            _strange_run(run, chance)
        else:
            chance.choice(WAYS)(chance.choice(files), chance)


def spoil_in_known_ways(runs_dir: Path, sound_run: Path) -> None:
    """A copy of a tested run for each way that once ended the app."""
    for way in KNOWN:
        run = runs_dir / f"{sound_run.name[:-4]}{way.__name__.strip('_')[:4]}{KNOWN.index(way):02d}"
        shutil.copytree(sound_run, run)
        way(run)


def _say(run: Path, **changes: Any) -> None:
    path = run / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _say_best(run: Path, text: str) -> None:
    """`best` as JSON text, which has numbers that Python would not write."""
    _say(run, best="BEST")
    path = run / "status.json"
    path.write_text(path.read_text().replace('"BEST"', text))


def _change_results(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    for path in (run / "results").glob("[0-9a-f]*.json"):
        result = json.loads(path.read_text())
        change(result)
        path.write_text(json.dumps(result))


def _add_event(run: Path, **event: Any) -> None:
    with (run / "events.jsonl").open("a") as file:
        file.write(json.dumps({"seq": 10_000, **event}) + "\n")


def _strange_checkpoint(run: Path) -> None:
    _say(run, best=None)
    (run / "checkpoints" / "1a-ff.pt").write_bytes(b"x")


def _number_as_best_file(run: Path) -> None:
    _say_best(run, '{"step": 500, "value": 0.8, "file": 5}')


def _list_as_best_file(run: Path) -> None:
    _say_best(run, '{"step": [], "value": [], "file": ["a"], "files": 7}')


def _best_beyond_floats(run: Path) -> None:
    summary = json.loads((run / "status.json").read_text())["summary"]
    _say(run, summary={**summary, "metric": "mse"})
    _say_best(run, '{"step": 500, "value": 1e999, "file": "x"}')


def _best_of_400_digits(run: Path) -> None:
    _say_best(run, f'{{"step": {10**400}, "value": {10**400}, "file": "x"}}')


def _best_almost_nothing(run: Path) -> None:
    summary = json.loads((run / "status.json").read_text())["summary"]
    _say(run, summary={**summary, "metric": "mse"})
    _say_best(run, '{"step": 500, "value": 5e-324, "file": "x"}')


def _speed_as_text(run: Path) -> None:
    _say(run, iterations_per_second="fast", memory_bytes="much", seconds="long")


def _hardly_any_speed(run: Path) -> None:
    other = {"host": "elsewhere", "updated": time.time(), "pid": 1}
    _say(run, state="running", step=1, iterations_per_second=1e-320, memory_bytes=1e308, **other)


def _steps_of_400_digits(run: Path) -> None:
    _say(run, step=10**399, steps=10**400)


def _deep_spec(run: Path) -> None:
    (run / "spec.yaml").write_text("[" * 3000)


def _spec_is_a_pipe(run: Path) -> None:
    _pipe(run / "spec.yaml", random.Random(0))


def _result_without_choice(run: Path) -> None:
    _change_results(run, lambda result: result.pop("chosen"))


def _choice_of_others(run: Path) -> None:
    _change_results(run, lambda result: result.update(chosen={"learning_rate": [1], "parameters": [[]]}))


def _protocol_of_others(run: Path) -> None:
    wrong = {"evaluation_seed": {}, "statistics": 10**400, "steps_in_testing": "x", "episodes": []}
    _change_results(run, lambda result: result["protocol"].update(wrong))


def _events_without_time(run: Path) -> None:
    path = run / "events.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**event, "time": None}) + "\n" for event in events))


def _fit_of_400_digits(run: Path) -> None:
    points = {"x": [0, 10**400], "truth": [0, 1], "support_x": [0], "support_y": [10**400]}
    _add_event(run, kind="fit", step=1, time=1.0, **points, steps=[0, 1], predictions=[[0, 1], [0, 10**400]])


def _fit_of_tables(run: Path) -> None:
    points = {"x": [[0], [1]], "truth": [[0], [1]], "support_x": [[0]], "support_y": [[0]]}
    _add_event(run, kind="fit", step=1, time=1.0, **points, steps=[0, 1], predictions=[[[0], [1]]] * 2)


def _fit_without_steps(run: Path) -> None:
    points = {"x": [0, 1], "truth": [0, 1], "support_x": "12", "support_y": {}}
    _add_event(run, kind="fit", step=1, time=1.0, **points, steps=[{}, None], predictions=[[0, 1], [0, 1]])


def _cut(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randint(0, len(data))])


def _repeat_half(path: Path, chance: random.Random) -> None:
    """A second writer, or a file system that lost a page."""
    data = path.read_bytes()
    at = chance.randint(0, len(data))
    path.write_bytes(data[:at] + data[at // 2 :])


def _bytes(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    at = chance.randint(0, len(data))
    others = (b"\0" * 512, chance.randbytes(64), b"\xff\xfe", b"\n\n")
    data[at : at + chance.randint(0, 64)] = chance.choice(others)
    path.write_bytes(data)


def _missing(path: Path, chance: random.Random) -> None:
    path.unlink()


def _folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def _loop(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.symlink_to(chance.choice((path.name, "..", "/dev/zero", "nowhere")))


def _pipe(path: Path, chance: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _unreadable(path: Path, chance: random.Random) -> None:
    chance.choice((path, path.parent)).chmod(0)


def _values(path: Path, chance: random.Random) -> None:
    """Well-formed, with values of every wrong kind; spec.yaml too, for what is JSON is YAML."""
    import yaml

    try:
        text = path.read_text()
        lines = text.splitlines() if path.suffix == ".jsonl" else [text]
        contents = [yaml.safe_load(line) if path.suffix == ".yaml" else json.loads(line) for line in lines]
    except (ValueError, yaml.YAMLError):
        return
    for _ in range(chance.randint(1, 4)):
        _put(contents, copy.deepcopy(chance.choice(TEXTS + NUMBERS + OTHERS)), chance)
    path.write_text("".join(json.dumps(content) + "\n" for content in contents))


def _put(content: Any, value: Any, chance: random.Random) -> None:
    """Somewhere in the tree, the deeper the rarer."""
    while isinstance(content, dict | list) and content:
        places = list(content) if isinstance(content, dict) else list(range(len(content)))
        place = chance.choice(places)
        if isinstance(content[place], dict | list) and content[place] and chance.random() < 0.8:
            content = content[place]
            continue
        content[place] = value
        return


def _strange_run(run: Path, chance: random.Random) -> None:
    """Something that is no run, or not this one, under a name that no run has."""
    path = run.parent / chance.choice(NAMES)
    if path.exists() or path.is_symlink():
        return
    match chance.randint(0, 3):
        case 0:
            path.mkdir()
            (path / "status.json").write_text("{}")
        case 1:
            path.write_text("no run")
        case 2:
            path.symlink_to(chance.choice((path.name, "..", run.name)))
        case _:
            path.mkdir()


WAYS: tuple[Callable[[Path, random.Random], None], ...] = (
    _cut,
    _repeat_half,
    _bytes,
    _missing,
    _folder,
    _loop,
    _pipe,
    _unreadable,
    _values,
    _values,
    _values,
)

KNOWN: tuple[Callable[[Path], None], ...] = (
    _strange_checkpoint,
    _number_as_best_file,
    _list_as_best_file,
    _best_beyond_floats,
    _best_of_400_digits,
    _best_almost_nothing,
    _speed_as_text,
    _hardly_any_speed,
    _steps_of_400_digits,
    _deep_spec,
    _spec_is_a_pipe,
    _result_without_choice,
    _choice_of_others,
    _protocol_of_others,
    _events_without_time,
    _fit_of_400_digits,
    _fit_of_tables,
    _fit_without_steps,
)
