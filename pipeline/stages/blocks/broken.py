"""Rows that break a rule of their column, counted by the text that they have there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pipeline.config.column_settings import Boolean, Categorical
from pipeline.config.contract import DataSettings

MAX_BAD = 10_000  # different values of a column that break its rules, and are kept


@dataclass
class Bad:
    """Rows that break a rule: how many, and the texts that they have there."""

    n_rows: int = 0
    texts: Counter[str] = field(default_factory=Counter)


def add_bad(one: Bad, other: Bad) -> None:
    """Add the rows of another part of the table."""
    one.n_rows += other.n_rows
    for text, n in other.texts.items():
        if text in one.texts or len(one.texts) < MAX_BAD:
            one.texts[text] += n


def worded(data: DataSettings) -> list[str]:
    """Return the columns whose different texts are counted."""
    kinds = Categorical | Boolean
    return [*(n for n, c in data.used.items() if isinstance(c, kinds)), data.target.name]
