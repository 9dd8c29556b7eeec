"""An algorithm's three choices in words: how a task is learned, how from many tasks, and from which."""

from collections.abc import Mapping
from typing import Any

from tui.output import plain


def part_of(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    return value if isinstance(value, Mapping) else {}


def order_text(order: Any) -> str:
    return (
        {1: "first order", 2: "second order"}.get(order, "annealed") if isinstance(order, int) else "annealed"
    )


def adaptation_text(adaptation: Mapping[str, Any], tested: Mapping[str, Any]) -> str:
    text = _rule_text(adaptation)
    if not tested:
        return text
    return f"{text}; in testing {_rule_text({**adaptation, **tested})}"


def _rule_text(adaptation: Mapping[str, Any]) -> str:
    rule = adaptation.get("rule", "gradient")
    if rule != "gradient":
        return plain(str(rule))
    parts = ["gradient"]
    if "steps" in adaptation:
        parts.append(f"{adaptation['steps']} steps")
    parameters = adaptation.get("parameters", "all")
    parts.append("all parameters" if parameters == "all" else f"{plain(str(parameters))} alone")
    return ", ".join(parts)


def outer_text(adaptation: Mapping[str, Any], outer: Mapping[str, Any]) -> str:
    rule = plain(str(outer.get("rule", "meta-gradient")))
    if rule == "meta-gradient" and adaptation.get("rule", "gradient") == "gradient":
        return f"{rule}, {order_text(adaptation.get('order', 2))}"
    return {"joint": "joint: all classes or tasks together", "none": "none: nothing is trained"}.get(
        rule, rule
    )


def tasks_text(content: Mapping[str, Any]) -> str:
    """What an algorithm's own content says of the tasks that it trains on, and of the model."""
    training, model = part_of(content, "training"), part_of(content, "model")
    if part_of(content, "outer").get("rule") == "none":
        return "none to train on"
    number = training.get("tasks")
    parts = [f"{number:,} in all" if number else "endless"]
    if part_of(content, "outer").get("rule") == "joint":
        parts = ["all training classes or waves at once"]
    parts += [f"trained with {training[key]} {key}" for key in ("ways", "shots") if training.get(key)]
    if part_of(content, "task").get("oracle"):
        parts.append("told what varies")
    if name := model.get("name"):
        parts.append(f"model {plain(str(name))}")
    return ", ".join(parts)


def choices_of(content: Mapping[str, Any]) -> dict[str, str]:
    """All three, by the words that lists put before them."""
    adaptation, outer = part_of(content, "adaptation"), part_of(content, "outer")
    tested = part_of(part_of(content, "evaluation"), "adaptation")
    tested = {key: value for key, value in tested.items() if value is not None}
    return {
        "inner": adaptation_text(adaptation, tested),
        "outer": outer_text(adaptation, outer),
        "tasks": tasks_text(content),
    }
