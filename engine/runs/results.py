"""Results and requests: evaluations as files, asked for and answered without a lock."""

import contextlib
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from engine.runs.files import from_json, read_small, sweep, to_json, write_whole
from engine.runs.store import Run

if TYPE_CHECKING:
    from engine.presets import Spec

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def evaluation_id(spec: "Spec", checkpoint_digest: str, split_hash: str) -> str:
    """16 hex digits of everything that an evaluation's numbers depend on.

    Two specs that test the same way have the same ID, wherever their adaptation's values stood.
    """
    from engine.presets import spec_to_dict, test_adaptation

    adaptation = test_adaptation(spec)
    whole = spec_to_dict(spec)
    protocol = {
        key: value for key, value in whole["evaluation"].items() if key not in ("adaptation", "steps")
    }
    facts = {
        "checkpoint": checkpoint_digest,
        "split": split_hash,
        "task": whole["task"],
        "adaptation": adaptation.model_dump(mode="json", by_alias=True),
        "evaluation": protocol,
    }
    return hashlib.sha256(_canonical(facts)).hexdigest()[:16]


def episodes_key(spec: "Spec") -> str:
    """16 hex digits of what makes test episodes what they are, the images apart; over equal ones results
    pair."""
    from engine.presets import spec_to_dict

    # An oracle is told more about the same waves.
    task = {key: value for key, value in spec_to_dict(spec)["task"].items() if key != "oracle"}
    return hashlib.sha256(_canonical({"task": task, "seed": spec.evaluation.seed})).hexdigest()[:16]


def _canonical(facts: Mapping[str, Any]) -> bytes:
    import json

    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def _file(folder: Path, result_id: str) -> Path:
    if not ID.fullmatch(result_id):
        raise RequestError(f"{result_id!r} is no result's name: letters, digits, - and _ only")
    return folder / f"{result_id}.json"


def write_result(run: Run, result_id: str, result: Mapping[str, Any]) -> Path:
    """Write one result; the request that asked for it is then answered and goes. Raises OSError."""
    path = _file(run.results, result_id)
    run.results.mkdir(exist_ok=True)
    write_whole(path, to_json(result))
    sweep(run.results)
    withdraw_request(run, result_id)
    return path


def read_result(run: Run, result_id: str) -> dict[str, Any] | None:
    """The result, or None where there is none that can be read."""
    return _read(_file(run.results, result_id))


def read_results(run: Run) -> dict[str, dict[str, Any]]:
    """All of the run's results by their id; files that are none are passed over."""
    return _read_all(run.results)


def read_evaluation(run: Run, result_id: str) -> dict[str, Any] | None:
    """The evaluation under that id, or None where there is none that can be read."""
    result = read_result(run, result_id)
    return result if result is not None and is_evaluation(result) else None


def read_evaluations(run: Run) -> list[dict[str, Any]]:
    """The run's evaluations, the oldest first; what is none, or lacks a part of one, is passed over."""
    return [result for result in read_results(run).values() if is_evaluation(result)]


def is_evaluation(result: Mapping[str, Any]) -> bool:
    """Whether a result is an evaluation that reports can be made from."""
    texts = ("id", "task", "algorithm", "split_hash")
    steps, values = result.get("steps"), result.get("values")
    return (
        result.get("kind") == "evaluate"
        and result.get("metric") in ("accuracy", "mse")
        and isinstance(result.get("higher_is_better"), bool)
        and type(result.get("checkpoint_step")) is int
        and all(isinstance(result.get(key), str) for key in texts)
        and isinstance(result.get("protocol"), dict)
        and isinstance(result.get("chosen"), dict | None)
        and isinstance(steps, list)
        and result.get("after_step") in steps
        and result.get("before_step") in (None, *steps)
        and isinstance(values, list)
        and all(_is_episode(episode, len(steps)) for episode in values)
    )


def _is_episode(values: Any, steps: int) -> bool:
    """Whether these are one episode's values: a number, or null where it was not finite, for each step."""
    return (
        isinstance(values, list)
        and len(values) == steps
        and all(value is None or isinstance(value, int | float) for value in values)
    )


def write_request(run: Run, request_id: str, request: Mapping[str, Any]) -> Path:
    """Ask an evaluation worker something about this run. Raises RequestError when it cannot be written."""
    path = _file(run.requests, request_id)
    try:
        run.requests.mkdir(exist_ok=True)
        write_whole(path, to_json(request))
    except OSError as error:
        raise RequestError(f"cannot write to {run.requests}: {error.strerror or error}") from error
    return path


def pending_requests(run: Run) -> dict[str, dict[str, Any]]:
    """The requests not answered yet, by id, oldest first."""
    return _read_all(run.requests)


def has_request(run: Run, request_id: str) -> bool:
    """Whether something is asked under that name and not answered yet."""
    return _file(run.requests, request_id).exists()


def withdraw_request(run: Run, request_id: str) -> None:
    """Take a request away, answered or not."""
    with contextlib.suppress(OSError):
        _file(run.requests, request_id).unlink()


def _read_all(folder: Path) -> dict[str, dict[str, Any]]:
    found: list[tuple[int, str, dict[str, Any]]] = []
    with contextlib.suppress(OSError):
        for path in folder.glob("*.json"):
            if ID.fullmatch(path.stem):
                with contextlib.suppress(OSError):
                    content = _read(path)
                    if content is not None:
                        found.append((path.stat().st_mtime_ns, path.stem, content))
    return {name: content for _, name, content in sorted(found, key=lambda item: item[:2])}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = from_json(read_small(path))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
