"""Names and figures as they stand in a heading, a legend or a cell: all formatting is here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pipeline.compare.comparison import Value
from pipeline.text import cut, printable

NONE = "–"  # where there is no value
MIN_LENGTH = 3  # characters that are left of a name or a value
MAX_NUMBER = 8  # characters of a number that is shown whole
CHOICE = ".name"  # optimiser.name=adam is what a person writes as optimiser=adam


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return the shortest dotted ending of each name that no other name ends with.

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


def format_value(value: Value) -> str:
    """Return a setting as a person writes it; an en dash where there is none."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return printable(str(value))


def short_value(value: Value, length: int = 60) -> str:
    """Return the setting in at most ``length`` characters, a long number with four digits."""
    text = format_value(value)
    long = isinstance(value, float) and len(text) > MAX_NUMBER
    return f"{value:.4g}" if long else cut(text, length)


def format_number(value: float, digits: int = 4) -> str:
    """Return a figure with so many digits after the point; three significant ones out of range."""
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value != 0 and not 0.5 * 10**-digits <= abs(value) < 1e5:
        return f"{value:.2e}"
    return f"{value:.{digits}f}"


def format_difference(value: float) -> str:
    """Return a figure with its sign where it is not 0."""
    return f"+{format_number(value)}" if value > 0 else format_number(value)


def format_interval(low: float, high: float) -> str:
    """Return two bounds; an en dash where there are none."""
    if math.isnan(low) and math.isnan(high):
        return NONE
    return f"{format_number(low)} to {format_number(high)}"


def format_share(share: float) -> str:
    """Return a share as a percentage, three significant figures."""
    return f"{100 * share:.3g} %"


def format_params(params: Mapping[str, Value], names: Mapping[str, str], length: int) -> str:
    """Return the parameters by their short names: ``learning_rate=0.3, optimiser=adam``.

    In at most ``length`` characters: values distinguish candidates, so names are cut before them,
    but no value takes more than its part.
    """
    if not names:
        return cut("the one configuration", length)
    words = [printable(short) for short in names.values()]
    values = [short_value(params.get(name), length // len(names)) for name in names]
    for texts in (words, values):
        while sum(map(len, words + values)) + 3 * len(words) - 2 > length:
            longest = max(range(len(texts)), key=lambda i: len(texts[i]))
            if len(texts[longest]) <= MIN_LENGTH:
                break
            texts[longest] = cut(texts[longest], len(texts[longest]) - 1)
    return cut(", ".join(f"{a}={b}" for a, b in zip(words, values, strict=True)), length)
