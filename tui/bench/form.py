"""The settings form as values: every key of the schema with its value, what it replaces and what it takes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from engine.baseline import BASELINE
from engine.errors import RequestError
from engine.presets import Spec, resolve
from engine.presets.messages import allowed
from engine.presets.readers import needs
from engine.presets.schema import AnnealedOrder, Section
from tui.bench.selection import Selection, override_path, scope_of

SECTIONS = ("task", "model", "adaptation", "outer", "training", "evaluation")
RUN = "run"
MOST_DIGITS = {"seed": 18, "seeds": 3}
"""More seeds than that are not begun by a key; and Python refuses to read thousands of digits."""
LONGEST_FOUND = 40


@dataclass(frozen=True)
class Field:
    """One key: `value` as it would be written after `--set`, `was` what a change replaces (None: unchanged),
    `choices` where there are few, `locked` why it has no effect with the other values."""

    path: str
    value: str
    was: str | None = None
    takes: str = ""
    about: str = ""
    choices: tuple[str, ...] = ()
    locked: str = ""
    layer: str = ""

    @property
    def section(self) -> str:
        """The heading that it stands under."""
        return self.path.partition(".")[0] if "." in self.path else RUN


def overrides_for(selection: Selection, algorithm: str) -> list[str]:
    """The --set texts that one algorithm's spec is made with."""
    return [
        text.removeprefix(f"{algorithm}:") if scope_of(text) else text
        for text in selection.overrides
        if scope_of(text) in (None, algorithm)
    ]


def problem(selection: Selection) -> str:
    """Why these settings cannot be used, in the schema's words; empty where they can."""
    for algorithm in dict.fromkeys((*selection.algorithms, BASELINE)):
        try:
            _resolved(selection, algorithm, changed=True)
        except (RequestError, OSError) as fault:
            said = str(fault)
            return said if len(selection.algorithms) < 2 else f"{algorithm}: {said}"
    return ""


def _resolved(selection: Selection, algorithm: str, changed: bool) -> Any:
    return resolve(
        selection.task,
        algorithm,
        budget=selection.budget,
        overrides=overrides_for(selection, algorithm) if changed else (),
        seed=selection.seed if changed else None,
        device=selection.device if changed else None,
    )


def form(selection: Selection, algorithm: str) -> tuple[list[Field], str]:
    """Every key for one algorithm, and what is wrong with the settings as they are (then those of the presets
    are shown). Raises RequestError where the presets themselves do not go together."""
    base = _resolved(selection, algorithm, changed=False)
    said = problem(selection)
    try:
        shown = _resolved(selection, algorithm, changed=True)
    except RequestError as fault:
        shown, said = base, said or str(fault)
    before = {path: written(value) for path, value, _ in _leaves(base.spec)}
    fields = _run_fields(selection, base.spec)
    changed = {override_path(text) for text in selection.overrides if scope_of(text) in (None, algorithm)}
    for path, value, info in _leaves(shown.spec):
        text = written(value)
        was = before.get(path)
        fields.append(
            Field(
                path,
                text,
                was if path in changed or (was is not None and was != text) else None,
                allowed(_annotated(info)),
                info.description or "",
                _choices(info.annotation),
                needs(path, shown.spec),
                shown.layers.get(path, ""),
            )
        )
    return fields, said


def _run_fields(selection: Selection, spec: Spec) -> list[Field]:
    """What is not a key of one spec: budget, number of seeds, first seed, device."""
    info = Spec.model_fields
    seed = str(spec.seed if selection.seed is None else selection.seed)
    device = selection.device or spec.device
    return [
        Field(
            "budget",
            selection.budget,
            None if selection.budget == "quick" else "quick",
            "quick or paper",
            "how long to train: quick is sized for minutes, paper is the published protocol",
            ("quick", "paper"),
        ),
        Field(
            "seeds",
            str(selection.seeds),
            None if selection.seeds == 1 else "1",
            "a whole number of at least 1",
            "how many seeds of each algorithm are trained",
        ),
        Field(
            "seed",
            seed,
            None if selection.seed is None else str(spec.seed),
            allowed(_annotated(info["seed"])),
            "the first seed of the training",
        ),
        Field(
            "device",
            device,
            None if selection.device is None else spec.device,
            "auto, cpu, mps, cuda or cuda:N",
            "where to train",
            ("auto", "cpu", "cuda", "mps"),
        ),
    ]


def with_value(selection: Selection, path: str, text: str, scope: str | None) -> Selection:
    """The selection with that text at that key. RequestError for a number of seeds that is none."""
    text = text.strip()
    if path == "budget":
        return replace(selection, budget=text)
    if path == "device":
        return replace(selection, device=text)
    if path in ("seed", "seeds"):
        least = 1 if path == "seeds" else 0
        digits = MOST_DIGITS[path]
        if not text.isdecimal() or len(text) > digits or int(text) < least:
            most = f" and of at most {digits} digits" if text.isdecimal() and len(text) > digits else ""
            found = text if len(text) <= LONGEST_FOUND else f"{text[:LONGEST_FOUND]}…"
            raise RequestError(f'--{path} must be a whole number of at least {least}{most}, found "{found}"')
        changes: dict[str, Any] = {path: int(text)}
        return replace(selection, **changes)
    return selection.with_override(path, text, scope)


def without_change(selection: Selection, path: str, algorithm: str) -> Selection:
    """The selection with that key as the presets have it."""
    plain: dict[str, Any] = {"budget": "quick", "seeds": 1, "seed": None, "device": None}
    if path in plain:
        return replace(selection, **{path: plain[path]})
    return selection.without(path, None).without(path, algorithm)


def written(value: Any) -> str:
    """A value as it is written after `--set`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(written(item) for item in value)}]"
    if isinstance(value, Section):
        value = value.model_dump(mode="json", by_alias=True)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {written(item)}' for key, item in value.items())}}}"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _leaves(spec: Spec) -> Iterator[tuple[str, Any, Any]]:
    """(path, value, pydantic's field) of every key of the sections, in the schema's order."""

    def walk(section: Section, prefix: str) -> Iterator[tuple[str, Any, Any]]:
        for attribute, info in type(section).model_fields.items():
            name, value = info.alias or attribute, getattr(section, attribute)
            if isinstance(value, Section) and not isinstance(value, AnnealedOrder):
                yield from walk(value, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", value, info

    for name in SECTIONS:
        yield from walk(getattr(spec, name), f"{name}.")


def _annotated(info: Any) -> Any:
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def _choices(annotation: Any) -> tuple[str, ...]:
    """The values of a choice among few; empty for anything else."""
    if get_origin(annotation) is Literal:
        return tuple(written(value) for value in get_args(annotation))
    if annotation is bool:
        return ("false", "true")
    arms = get_args(annotation) if get_origin(annotation) is Union or hasattr(annotation, "__args__") else ()
    found = [choice for arm in arms if arm is not type(None) for choice in _choices(arm)]
    return tuple(found)
