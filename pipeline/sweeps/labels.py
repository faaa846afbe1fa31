"""Names and values become words that fit a heading, a legend or a cell, and deceive nobody."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pipeline.redact import printable
from pipeline.sweeps.comparison import Run, Value

NONE = "–"  # where there is no value
SHORTEST = 3  # characters that are left of a name or a value
LONG = 8  # characters of a number
CHOICE = ".name"  # optimiser.name=adam is what a person writes as optimiser=adam


def short_names(names: Iterable[str]) -> dict[str, str]:
    """The shortest dotted ending of each name that no other name ends with.

    A choice goes by its group: ``optimiser.name`` is ``optimiser``.
    """
    whole = {name: name.removesuffix(CHOICE) for name in names}
    return {
        name: _ending(base, [other for key, other in whole.items() if key != name]) or name
        for name, base in whole.items()
    }


def _ending(name: str, others: list[str]) -> str:
    parts = name.split(".")
    for start in range(len(parts) - 1, -1, -1):
        ending = ".".join(parts[start:])
        if not any(f".{other}".endswith(f".{ending}") for other in others):
            return ending
    return ""


def value_text(value: Value) -> str:
    """A setting as a person writes it; an en dash where there is none."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return printable(str(value))


def brief(value: Value) -> str:
    """As ``value_text``; a number of many digits, as a random search draws it, with four."""
    text = value_text(value)
    return f"{value:.4g}" if isinstance(value, float) and len(text) > LONG else text


def number(value: float | None, digits: int = 4) -> str:
    """A figure with so many digits after the point; three significant ones out of that range."""
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value != 0 and not 0.5 * 10**-digits <= abs(value) < 1e5:
        return f"{value:.2e}"
    return f"{value:.{digits}f}"


def signed(value: float, digits: int = 4) -> str:
    """A difference: as ``number``, with its sign where it is not 0."""
    return f"+{number(value, digits)}" if value > 0 else number(value, digits)


def interval(low: float, high: float) -> str:
    """Two bounds; an en dash where there are none."""
    return NONE if math.isnan(low) and math.isnan(high) else f"{number(low)} to {number(high)}"


def percent(share: float) -> str:
    """A share as a percentage, three significant figures."""
    return NONE if math.isnan(share) else f"{100 * share:.3g} %"


def counted(n: int, one: str, many: str | None = None) -> str:
    """``1 run``, ``1,000 runs``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def cut(text: str, length: int) -> str:
    """The text in at most ``length`` characters; an ellipsis stands for what was cut."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"[:length]


def configuration(params: Mapping[str, Value], names: Mapping[str, str], length: int) -> str:
    """The parameters by their short names: ``learning_rate=0.3, optimiser=adam``.

    In at most ``length`` characters: values tell candidates apart, so names are cut before them.
    """
    if not names:
        return cut("the one configuration", length)
    words = [printable(short) for short in names.values()]
    values = [brief(params.get(name)) for name in names]
    for texts in (words, values):
        while sum(map(len, words + values)) + 3 * len(words) - 2 > length:
            longest = max(range(len(texts)), key=lambda i: len(texts[i]))
            if len(texts[longest]) <= SHORTEST:
                break
            texts[longest] = cut(texts[longest], len(texts[longest]) - 1)
    return cut(", ".join(f"{a}={b}" for a, b in zip(words, values, strict=True)), length)


def state(run: Run) -> str:
    """How a run ended that did not finish, in one word."""
    return "diverged" if run.diverged else run.status.lower()
