"""From a task, an algorithm and what was asked on top to one checked spec, and where each value came from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.folders import at_home
from engine.presets.files import Preset, load_preset
from engine.presets.layers import (
    Layer,
    Tree,
    changes_task,
    check_budget,
    given_layer,
    leaf_at,
    leaves,
    merge,
    option_layer,
    override_label,
    override_layer,
    preset_layers,
)
from engine.presets.readers import OWN, given_by, unread
from engine.presets.schema import ImageTask, Spec
from engine.presets.specs import checked_spec, refuse, spec_to_dict

DEFAULT = "schema default"


@dataclass(frozen=True)
class Resolved:
    """A spec, and for each of its keys (`adaptation.steps`) the layer that its value came from."""

    spec: Spec
    layers: dict[str, str] = field(repr=False)


def resolve(
    task: str,
    algorithm: str,
    *,
    budget: str = "quick",
    comparison_set: Mapping[str, Any] | None = None,
    row_set: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    device: str | None = None,
    own: Collection[str] = (),
) -> Resolved:
    """The spec of an algorithm on a task, from all layers; RequestError for whatever does not fit.

    `task` and `algorithm` are preset names or paths; `overrides` are texts `path.to.key=value`. Those of them
    in `own` were given for this algorithm and no other: keys among them that nothing reads are refused, as
    are those of the algorithm's own file where nothing is laid over it.
    """
    task_preset, algorithm_preset = load_preset("tasks", task), load_preset("algorithms", algorithm)
    check_budget(budget, (task_preset, algorithm_preset))
    task_base, task_budget = preset_layers(task_preset, task_preset, budget)
    base, budgets = preset_layers(algorithm_preset, task_preset, budget)
    asked = _asked(comparison_set, row_set, overrides, seed, device)
    tree: Tree = {}
    # What an algorithm's file says makes it that algorithm, at every budget of the task too.
    for layer in (*task_base, *task_budget, *base, *budgets, *asked):
        merge(tree, layer)
    spec = checked_spec(tree, {"origin": _origin(task_preset, algorithm_preset, budget, asked)})
    places = {override_label(text) for text in own}
    given = given_by(tree, lambda leaf: leaf.where in places)
    if not (comparison_set or row_set or overrides):
        names = {layer.name for layer in (*base, *budgets)}
        given = given_by(tree, lambda leaf: leaf.layer in names, OWN)
    refuse(unread(given, spec), tree)
    return Resolved(_anchored(spec), _layers(spec, tree))


def _anchored(spec: Spec) -> Spec:
    """A folder of images that is a path is made absolute: a worker may be started again from anywhere."""
    task = spec.task
    if not isinstance(task, ImageTask) or task.folder is None or "/" not in task.folder:
        return spec
    folder = str(at_home(task.folder).absolute())
    return spec.model_copy(update={"task": task.model_copy(update={"folder": folder})})


def _asked(
    comparison_set: Mapping[str, Any] | None,
    row_set: Mapping[str, Any] | None,
    overrides: Sequence[str],
    seed: int | None,
    device: str | None,
) -> list[Layer]:
    """The layers above the presets, in order."""
    layers = []
    if comparison_set:
        layers.append(given_layer("comparison's set", comparison_set))
    if row_set:
        layers.append(given_layer("row's set", row_set))
    layers.extend(override_layer(text) for text in overrides)
    if seed is not None:
        layers.append(option_layer("--seed", "seed", seed))
    if device is not None:
        layers.append(option_layer("--device", "device", device))
    return layers


def _origin(task: Preset, algorithm: Preset, budget: str, asked: Sequence[Layer]) -> dict[str, Any]:
    """Names, and the published figure where the task tested is still the preset's."""
    figures = task.content.get("published") or {}
    published = None if changes_task(asked) else figures.get(algorithm.name)
    return {
        "task": task.name,
        "algorithm": algorithm.name,
        "budget": budget,
        "family": algorithm.family,
        "summary": algorithm.summary,
        "paper": algorithm.paper,
        "published": published,
    }


def _layers(spec: Spec, tree: Tree) -> dict[str, str]:
    """The layer of each key of a resolved spec."""
    found = {}
    for path, _ in leaves(spec_to_dict(spec)):
        if path[0] in ("kind", "origin"):
            continue
        leaf = leaf_at(tree, path)
        if leaf is None:
            found[".".join(path)] = DEFAULT
        else:
            found[".".join(path)] = f"{DEFAULT}, restored by {leaf.layer}" if leaf.restored else leaf.layer
    return found
