"""The values of a parameter become places on an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nn.arrays import Array
from pipeline.compare.comparison import Value, is_number
from pipeline.compare.labels import format_value, short_value
from pipeline.compare.page.theme import is_wide
from pipeline.compare.trials import Scale

MAX_CATEGORIES = 12  # more numbers than these are drawn to scale
UNKNOWN = math.nan  # stands nowhere


@dataclass(frozen=True)
class Levels:
    """The values that occur, in order: each at a place of its own, or numbers drawn to scale."""

    kind: Literal["category", "linear", "log"]
    values: tuple[Value, ...]

    @classmethod
    def of(cls, values: Iterable[Value], scale: Scale | None = None) -> Levels:
        """Return numbers to scale where they were drawn from one, or are many; else categories."""
        known = {_key(value): value for value in values if value is not UNKNOWN}
        ordered = tuple(known[key] for key in sorted(known))
        if scale and all(map(is_number, ordered)):
            return cls(scale.kind, ordered)
        if len(known) <= MAX_CATEGORIES or not all(map(is_number, ordered)):
            return cls("category", ordered)
        return cls("log" if is_wide(np.array(ordered, float)) else "linear", ordered)

    @property
    def are_categories(self) -> bool:
        """Whether each value has a place of its own."""
        return self.kind == "category"

    def places(self, values: Iterable[Value]) -> Array:
        """Return where each value stands (n,); NaN where it is none of those that occur."""
        if self.are_categories:
            place = {_key(value): float(i) for i, value in enumerate(self.values)}
            return np.array([place.get(_key(value), math.nan) for value in values], float)
        return np.array([float(v) if is_number(v) else math.nan for v in values], float)

    def ticks(self, length: int) -> dict[str, Any]:
        """Return the ticks of categories, in plain text."""
        texts = [short_value(value, length) for value in self.values]
        return {"tickvals": list(range(len(texts))), "ticktext": texts}


def _key(value: Value) -> tuple[int, float, str]:
    """Return what orders and distinguishes values: numbers, then words, then none."""
    if is_number(value):
        return (0, float(value), "")
    return (2, 0.0, "") if value is None else (1, 0.0, format_value(value))
