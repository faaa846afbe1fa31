"""Attributes become 0/1 inputs: one for each category, bin, or combination of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nn.arrays import Array
from pipeline.config.column_settings import Attribute, Categorical, Numeric
from pipeline.errors import DataError
from pipeline.stages.encode.bins import bin_labels, fit_edges
from pipeline.stages.encode.numbers import ABSENT
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.convert import MISSING, Table

if TYPE_CHECKING:
    import pandas as pd

WordCounts = Mapping[str, Mapping[str, int]]  # rows by word, of each attribute
INFREQUENT = "infrequent"  # the category of all that have fewer rows than min_count
UNKNOWN = -1


@dataclass(frozen=True)
class OneHot:
    """A block of 0/1 inputs: one for each category of an attribute, or of attributes joined.

    ``edges`` holds where the bins of numeric attributes meet. ``infrequent`` holds, for attributes
    with a ``min_count``, the category of every value that is not among the categories.
    """

    attributes: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    infrequent: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``safety``, or ``buying:maint`` for attributes that are joined."""
        return ":".join(self.attributes)

    @property
    def labels(self) -> tuple[str, ...]:
        """The categories as a person writes them: ``low``, or ``vhigh:low`` where joined.

        A value that is missing is ``missing``, or ``(missing)`` where that is a word of the data.
        """
        absent = free(ABSENT, {word for category in self.categories for word in category})
        return tuple(
            ":".join(absent if word == MISSING else word for word in category)
            for category in self.categories
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs: ``safety=low``, ``buying:maint=vhigh:low``."""
        return tuple(f"{self.name}={label}" for label in self.labels)

    def columns(self, table: Table) -> Array:
        """Return the inputs (n, d) of the rows: all 0 for a category that is not there."""
        return _one_hot(self.codes(table), len(self.categories))

    def at(self, x: Array) -> Array:
        """Return the inputs (n, d) of numbers (n,), where the block is the bins of one column."""
        (edges,) = self.edges.values()
        return _one_hot(np.searchsorted(np.array(edges), x, side="right"), len(self.categories))

    def points(self, _: Array) -> Array:
        """Return the numbers at which bins begin and end, and the effect is to be drawn."""
        if len(self.attributes) > 1 or not any(self.edges.values()):
            return np.empty(0)
        (edges,) = map(np.array, self.edges.values())
        margin = max(np.ptp(edges) / len(edges), abs(edges[0]) / 10, 1e-3)
        steps = np.column_stack([np.nextafter(edges, -np.inf), edges]).ravel()
        return np.concatenate([edges[:1] - margin, steps, edges[-1:] + margin])

    def codes(self, table: Table) -> Counts:
        """Return the position of each row's category in the block, UNKNOWN where it is not there.

        Looked up once for each combination of values that occurs: rows may be millions.
        """
        import pandas as pd

        place = {category: i for i, category in enumerate(self.categories)}
        words = (self._words(table, name) for name in self.attributes)
        codes, values = zip(*(pd.factorize(each) for each in words), strict=True)
        shape = [len(known) for known in values]
        used, combination = np.unique(np.ravel_multi_index(codes, shape), return_inverse=True)
        occurring = zip(
            *(known[at] for known, at in zip(values, np.unravel_index(used, shape), strict=True)),
            strict=True,
        )
        found = [place.get(category, UNKNOWN) for category in occurring]
        return np.array(found, np.int64)[combination]

    def unseen(self, table: Table) -> dict[str, int]:
        """Return the categories that the block does not have, with their rows, commonest first.

        Not of numbers, nor of attributes with a ``min_count``: what is not there is infrequent.
        """
        unknown = np.zeros(len(table.y), bool)
        for at, name in enumerate(self.attributes):
            if name not in self.edges and name not in self.infrequent:
                known = {category[at] for category in self.categories}
                unknown |= ~table.frame[name].isin(known).to_numpy(bool)
        rows = table.frame.loc[unknown, [*self.attributes]].astype("str")
        labels = rows.agg(":".join, axis="columns") if len(rows) else rows.iloc[:, 0]
        n = labels.to_frame("label").assign(n=table.count[unknown]).groupby("label")["n"].sum()
        worst = n.sort_values(ascending=False, kind="stable")
        return {str(category): int(rows) for category, rows in worst.items()}

    def unseen_words(self, words: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
        """Return the same, given the words of each attribute; of joined ones each alone."""
        found: dict[str, int] = {}
        for at, name in enumerate(self.attributes):
            if name not in self.edges and name not in self.infrequent:
                known = {category[at] for category in self.categories}
                found |= {word: n for word, n in words[name].items() if word not in known}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def _words(self, table: Table, name: str) -> pd.Series[str]:
        """Return the category of each row of one attribute."""
        import pandas as pd

        values = table.frame[name]
        if name in self.edges:
            x, edges = values.to_numpy(np.float64), self.edges[name]
            words = np.array([*bin_labels(edges), MISSING], object)
            code = np.searchsorted(np.array(edges), x, side="right")
            return pd.Series(words[np.where(np.isnan(x), len(words) - 1, code)])
        if name in self.infrequent:
            values = values.astype("str")
            at = self.attributes.index(name)
            known = {category[at] for category in self.categories}
            return values.where(values.isin(known), self.infrequent[name])
        return values


def _one_hot(codes: Counts, n: int) -> Array:
    found: Array = (codes[:, None] == np.arange(n)).astype(np.float64)
    return found


def fit_one_hot(
    train: Table, attributes: Mapping[str, Attribute], limit: int, words: WordCounts
) -> OneHot:
    """Return the block of an attribute, or of several joined.

    ``words`` are all of train where ``train`` is a sample of it.

    Raises
    ------
    DataError
        If joined attributes have more than ``limit`` combinations.
    """
    numbers = {n: column for n, column in attributes.items() if isinstance(column, Numeric)}
    edges = {name: fit_edges(train, name, column) for name, column in numbers.items()}
    words = {
        name: words.get(name) or _counted(train, name) for name in attributes if name not in numbers
    }
    infrequent = {
        name: free(INFREQUENT, {*words[name]})
        for name, column in attributes.items()
        if isinstance(column, Categorical) and column.min_count
    }
    options = [
        [
            *(bin_labels(edges[name]) if name in edges else ()),
            *(_categories(words[name], column) if isinstance(column, Categorical) else ()),
            *([MISSING] if column.missing == "input" else []),
        ]
        for name, column in attributes.items()
    ]
    n = math.prod(map(len, options))
    if len(attributes) > 1 and n > limit:
        raise DataError(
            f"encode.crosses must give at most {limit} combinations (data.max_categories); "
            f"got {n} of {':'.join(attributes)}: leave one out, or set data.max_categories={n}"
        )
    return OneHot(tuple(attributes), tuple(itertools.product(*options)), edges, infrequent)


def free(word: str, taken: Set[str]) -> str:
    """Return the word, in as many brackets as it takes to be none of those taken."""
    while word in taken:
        word = f"({word})"
    return word


def _counted(train: Table, name: str) -> Mapping[str, int]:
    """Return the words of a column with the rows of train that have them."""
    cells = train.frame[name].to_frame("value").assign(n=train.count)
    n = cells.groupby("value", observed=True)["n"].sum()
    return {str(word): int(rows) for word, rows in n.items()}


def _categories(words: Mapping[str, int], column: Categorical) -> list[str]:
    """Return the categories of the contract, or else of train; one for those of too few rows."""
    known = sorted({*words} - {MISSING}) if column.categories is None else [*column.categories]
    if column.min_count is None:
        return known
    kept = [value for value in known if words.get(value, 0) >= column.min_count]
    rare = not {*words} <= {*kept, MISSING}
    return [*kept, *([free(INFREQUENT, {*words})] if rare else [])]
