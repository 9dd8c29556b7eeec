"""Presets, overrides and names by the thousand: each works, or one line says what is wrong and where."""

import contextlib
import io
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_presets import KEYS, Case, make

from engine.presets import files, spec_from_dict, spec_to_dict
from engine.texts import plain
from tui import cli, parameters

ROOT = Path(__file__).resolve().parent.parent
USUAL, ALL, EACH = 300, 10_200, 300
"""Cases of the usual run, of the long one, and of one test."""
LONG = [pytest.param(first, marks=pytest.mark.long) for first in range(USUAL, ALL, EACH)]
COMMANDS = 50
"""Cases of the long run that go through the command itself."""
LONGEST = 1500
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]")
MISSING = re.compile(
    r"(omniglot|miniimagenet|cifar-fs|fc100|folder|train \(a folder or train\.zip\)) is (not here|missing)"
)
WHOLE = re.compile(
    r"mine-\d+\.yaml: (larger than|must be a mapping of keys to values|(tasks|rows) must|.* cannot be read)"
)
"""What is wrong with no line of a file, but with all of it, or with what it lacks."""
DOTTED = tuple(key for key in KEYS if "." in key)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, without data; the command tree is made ready once, not at every call."""
    parameters.read_texts_plainly()
    monkeypatch.setattr(parameters, "read_texts_plainly", lambda: None)
    monkeypatch.setenv("KSHOT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(case: Case, folder: Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the case in this process."""
    out, err = io.StringIO(), io.StringIO()
    listed = case.arguments[-1] == "list"
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        if listed:
            patch.setenv("KSHOT_PRESETS", str(folder))
        code = cli.run(case.arguments)
    return code, out.getvalue(), err.getvalue()


def fault(case: Case, code: int, out: str, err: str) -> str | None:
    """What is wrong with an answer; None where nothing is."""
    if CONTROL.search(out + err):
        return "a control character"
    if code == 0:
        return _fault_of_what_works(case, out)
    if code != 2:
        return f"exit code {code}"
    if out:
        return "something on standard output"
    if not err.startswith("kshot: ") or err.count("\n") != 1 or not err.endswith("\n"):
        return "not one line"
    if len(err) > LONGEST:
        return "a line without end"
    return None if names_its_place(case, err) else "neither the key nor the line is named"


def names_its_place(case: Case, line: str) -> bool:
    """Whether a refusal says where: a line that the file has, a key, or what stood on the command line."""
    numbered = re.search(r"mine-\d+\.yaml, line (\d+)", line)
    if numbered and case.file is not None:
        lines = len(re.split(rb"\r\n|[\n\r]|\xc2\x85|\xe2\x80[\xa8\xa9]", case.file.read_bytes()))
        return 1 <= int(numbered[1]) <= lines
    if MISSING.search(line) or WHOLE.search(line):
        return True
    quoted = [json.dumps(name, ensure_ascii=False) for name in case.names]
    within = [text[1:-1] for text in (*quoted, *map(repr, case.names))]
    given = [*map(plain, case.names), *map(repr, case.names), *quoted, *within]
    said = [" ".join(text.split())[:50] for text in given]
    return any(key in line for key in DOTTED) or any(text in line for text in said if text)


def _fault_of_what_works(case: Case, out: str) -> str | None:
    """What was taken is a spec that a run's file can hold and give back, or is shown."""
    if not out.strip():
        return "nothing on standard output"
    if case.arguments[0] == "train" and "--json" in case.arguments:
        for content in json.loads(out)["specs"].values():
            if spec_to_dict(spec_from_dict(content, "again")) != content:
                return "a spec that is not the same when it is read again"
    return None


@pytest.mark.parametrize("first", [0, *LONG])
def test_any_request_works_or_is_refused_in_one_line(folder: Path, first: int) -> None:
    faults, codes = [], {0: 0, 2: 0}
    for number in range(first, first + EACH):
        case = make(folder, number)
        code, out, err = asked(case, folder)
        what = fault(case, code, out, err)
        if what is not None:
            faults.append(f"case {number}: {what}: {[word[:99] for word in case.arguments]}: {err[:300]}")
        codes[code] += 1
        files._read_before.clear()  # else every file of the fuzz stays in memory
        if case.file is not None:
            case.file.unlink()
    assert not faults, "\n".join(faults)
    assert codes[0] > EACH // 20 and codes[2] > EACH // 2


def limited() -> None:
    """For a child process: two gigabytes of memory, half a minute of work."""
    resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
    resource.setrlimit(resource.RLIMIT_CPU, (30, 30))


@pytest.mark.long
def test_the_command_itself_answers_as_in_this_process(folder: Path) -> None:
    step = ALL // COMMANDS
    for number in range(0, ALL, step):
        case = make(folder, number)
        if any(
            "\0" in word or len(word) > 100_000 for word in case.arguments
        ):  # no process can be given this
            continue
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        if case.arguments[-1] == "list":
            environment["KSHOT_PRESETS"] = str(folder)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tui.cli", *map(os.fsencode, case.arguments)],
            capture_output=True,
            env={**environment, "PYTHONPATH": str(ROOT)},
            preexec_fn=limited,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert fault(case, done.returncode, out, err) is None, (number, done.returncode, err[-2000:])
        if case.file is not None:
            case.file.unlink()
