"""Learned inner rates and the movement of layers in words and small bars; for text of any width."""

from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10

from tui.charts.bars import bar
from tui.output import cells, pad, plain

BLOCKS = "▁▂▃▄▅▆▇█"
MINUS, UNKNOWN = "−", "·"
"""A rate below zero has the minus before it, and its bar is hatched: colour tells nothing here."""
HATCHED = "▒"
LONGEST_NAME = 16
WIDEST_BAR = 30
BLOCK = 2
"""Cells of a rate as a small bar: its sign and the bar."""
MOST_LAYERS = 12

Rates = Mapping[str, Sequence[float]]
"""By parameter tensor one rate for each inner step; one alone where they do not differ by step."""


def rate_number(value: float, places: int | None = None) -> str:
    """`0.38`, `−0.029`, `5e-06`: two significant digits, or so many decimal places."""
    if value != value:
        return UNKNOWN
    text = f"{value:.2g}" if places is None else f"{value:.{places}f}"
    return text.replace("-", MINUS, 1) if value < 0 else text


def _places(largest: float) -> int | None:
    """Decimal places that suit all rates up to that size, so that points stand under one another."""
    return max(0, 2 - floor(log10(largest))) if 0.1 <= largest < 1000 else None


def short_name(name: str, width: int = LONGEST_NAME) -> str:
    """The end of a tensor's name, which tells it from its neighbours."""
    text = plain(name)
    while cells(text) > width:
        text = "…" + text.removeprefix("…")[1:]
    return text


def rate_lines(rates: Rates, width: int, marks: str = "") -> list[str]:
    """A line for each tensor: its name, and for each step a number where there is room, else a small bar,
    under a line of steps with their `marks`; rates that do not differ by step have one bar and a number."""
    names = {name: short_name(name) for name in rates}
    steps = max(map(len, rates.values()), default=0)
    left = max([cells(f"of {steps}") if steps > 1 else 0, *map(cells, names.values())]) + 1
    table = {name: [*values, *[float("nan")] * (steps - len(values))] for name, values in rates.items()}
    known = [abs(value) for values in table.values() for value in values if isfinite(value)]
    largest = max(known, default=0.0)
    places = _places(largest)
    texts = {name: [rate_number(value, places) for value in values] for name, values in table.items()}
    number = max((len(text) for row in texts.values() for text in row), default=0) + 1
    room = width - left
    if steps <= 1:
        bars = max(3, min(WIDEST_BAR, room - number - 1))
        drawn = {name: _one_bar(values[0], largest, bars) for name, values in table.items()}
        return [f"{pad(names[name], left)}{drawn[name]}{texts[name][0]:>{number}}" for name in table]
    if steps * number <= room:
        heads, columns, cell = range(1, steps + 1), texts, number
    else:
        shown = max(1, min(steps, room // BLOCK))
        heads, cell = range(1, shown + 1), BLOCK
        columns = {name: [_block(value, largest) for value in row[:shown]] for name, row in table.items()}
    # Over small bars there is room for a mark and a step's last digit.
    told = [f"{marks[step - 1 : step]}{step % 10 if cell == BLOCK else step}" for step in heads]
    first = "".join(f"{text:>{cell}}" for text in told)
    word = "step" if len(heads) == steps else f"of {steps}"
    lines = [pad(names[n], left) + "".join(f"{text:>{cell}}" for text in row) for n, row in columns.items()]
    scale = [f"{BLOCKS[-1]} is {rate_number(largest, places)}"] if cell == BLOCK else []
    return [pad(word, left) + first, *lines, *scale]


def _one_bar(value: float, largest: float, width: int) -> str:
    """A sign's cell, then the bar; that of a negative rate is hatched."""
    share = abs(value) / largest if largest and isfinite(value) else 0.0
    if value < 0:
        return MINUS + pad(HATCHED * max(1, round(share * width)), width)
    return " " + bar(share, width)


def _block(value: float, largest: float) -> str:
    """A sign's cell, then a block as high as the rate's size."""
    if not isfinite(value):
        return UNKNOWN
    share = abs(value) / largest if largest else 0.0
    return (MINUS if value < 0 else "") + BLOCKS[min(7, int(share * 8))]


def move_lines(moved: Mapping[str, float], width: int) -> list[str]:
    """A line for each layer: its name, a bar to the largest of them, percent of its own size."""
    names = {name: short_name(name) for name in moved}
    left = max(map(cells, names.values()), default=0) + 1
    largest = max((value for value in moved.values() if isfinite(value)), default=0.0)
    bars = max(3, min(WIDEST_BAR, width - left - 9))
    return [
        pad(names[name], left)
        + bar(value / largest if largest > 0 and isfinite(value) else 0.0, bars)
        + f" {percent(value):>8}"
        for name, value in moved.items()
    ]


def percent(share: float) -> str:
    """`42 %`, `1.8 %`, `0.068 %`: two significant digits or all before the point."""
    if not isfinite(share):
        return UNKNOWN
    value = 100 * share
    return f"{value:,.0f} %" if value >= 9.95 else f"{value:.2g} %"


def rates_sentence(rates: Rates) -> str:
    """`6 tensors at 5 steps: 0.27 (conv3.weight, step 4) to 0.47 (head.bias, step 4), none below zero`."""
    found = [
        (value, name, step)
        for name, values in rates.items()
        for step, value in enumerate(values, start=1)
        if isfinite(value)
    ]
    if not found:
        return ""
    steps = max(map(len, rates.values()))

    def told(each: tuple[float, str, int]) -> str:
        value, name, step = each
        return f"{rate_number(value)} ({plain(name)}{f', step {step}' if steps > 1 else ''})"

    below = sum(value < 0 for value, _, _ in found)
    of = f" of {len(found)}" if below else ""
    what = f"{len(rates)} tensor{'' if len(rates) == 1 else 's'}{f' at {steps} steps' if steps > 1 else ''}"
    return f"{what}: {told(min(found))} to {told(max(found))}, {below or 'none'}{of} below zero"


def moved_sentence(moved: Mapping[str, float]) -> str:
    """`conv1 0.12 %, conv2 0.43 %, head 42 %`: how far the inner loop moves layers, of their own size."""
    layers = [f"{plain(name)} {percent(value)}" for name, value in moved.items() if isfinite(value)]
    more = len(layers) - MOST_LAYERS
    return ", ".join(layers[:MOST_LAYERS]) + (f" and {more} more" if more > 0 else "")
