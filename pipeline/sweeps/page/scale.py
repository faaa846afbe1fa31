"""The values of a parameter become places on an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeGuard

import numpy as np

from nn.arrays import Array
from pipeline.sweeps.comparison import Value
from pipeline.sweeps.labels import brief, cut, value_text
from pipeline.sweeps.page.look import WIDE_SPAN

MOST_LEVELS = 12  # more numbers than these are drawn to scale
LINE = 48  # characters of all ticks, side by side


@dataclass(frozen=True)
class Scale:
    """Where values stand: at the position of their level, at themselves, or at their logarithm."""

    kind: Literal["levels", "linear", "log"]
    levels: tuple[Value, ...]  # those that occur, in order

    @classmethod
    def of(cls, values: Iterable[Value]) -> Scale:
        """To scale where all are numbers, by decades where they span some, else by level."""
        levels = tuple(sorted({_key(v): v for v in values}.values(), key=_key))
        numbers = [float(v) for v in levels if _is_number(v)]
        if len(numbers) < len(levels) or len(levels) < 2:
            return cls("levels", levels)
        positive = [x for x in numbers if x > 0]
        decades = bool(positive) and max(positive) > WIDE_SPAN * min(positive)
        if not decades:
            return cls("linear", levels)
        if len(positive) == len(numbers):
            return cls("log", levels)
        # A logarithm has no place for 0, a linear axis none for what differs by decades.
        return cls("levels" if len(levels) <= MOST_LEVELS else "linear", levels)

    def places(self, values: Iterable[Value]) -> Array:
        """Where each value stands on the axis (n,); NaN where it is none of the levels."""
        values = list(values)
        if self.kind == "levels":
            known = {_key(level): float(i) for i, level in enumerate(self.levels)}
            return np.array([known.get(_key(value), math.nan) for value in values], dtype=float)
        numbers = [float(v) if _is_number(v) else math.nan for v in values]
        array = np.array(numbers, dtype=float)
        return np.log10(array) if self.kind == "log" else array

    @property
    def gap(self) -> float:
        """The smallest distance of two levels on the axis."""
        places = self.places(self.levels)
        return float(np.diff(places).min()) if places.size > 1 else 1.0

    @property
    def is_labelled(self) -> bool:
        """Whether every level has a tick of its own."""
        return self.kind == "levels" or len(self.levels) <= MOST_LEVELS

    def ticks(self, longest: int | None = None) -> list[str]:
        """The levels as the plain text of ticks, no two of which are alike."""
        if longest is None:
            longest = max(LINE // max(len(self.levels), 3), 6)
        texts = [cut(brief(level), longest) for level in self.levels]
        again = [texts[:i].count(text) for i, text in enumerate(texts)]
        return [f"{text} ({n + 1})" if n else text for text, n in zip(texts, again, strict=True)]


def _is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _key(value: Value) -> tuple[int, float, str]:
    """What orders values and tells them apart: numbers, then words, then none."""
    if _is_number(value):
        return (0, float(value), "")
    return (2, 0.0, "") if value is None else (1, 0.0, value_text(value))
